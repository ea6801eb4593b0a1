"""One template engine for all dialects: text with macros in it, read once, filled many times. Pure.

Everything that can be wrong with a template is found when it is read: unknown names and functions, functions that do not fit,
brackets that are no macro. So filling one cannot fail, and no macro's own name ever goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from attribune.model.errors import Invalid
from attribune.postback.dialects import BRANCH_LINK, SPEECH, Dialect, Speech
from attribune.postback.functions import Function, Value, said, step
from attribune.postback.macros import Reach, Shape, macro, reaches

#: Longest template, and the most macros in it.
CHARACTERS_MAX: Final = 8192
MACROS_MAX: Final = 200

#: How a value is written where it stands: percent-encoded in a URL, as it is in JSON.
Quote = Callable[[str], str]


class _Choice(NamedTuple):
    """One macro and what its value goes through."""

    name: str
    steps: tuple[tuple[Function, str], ...]
    shape: Shape


class Slot(NamedTuple):
    """A place for a value: the first of its choices that has one."""

    written: str
    choices: tuple[_Choice, ...]

    def value(self, values: Mapping[str, Value | None]) -> str | None:
        """What is said, or None when no choice has a value."""
        for name, steps, shape in self.choices:
            value = values.get(name)
            if value is None or value == "":
                continue
            for function, argument in steps:
                value = function.apply(value, argument)
            return value if shape is Shape.TEXT and type(value) is str else said(value, shape)
        return None


class Filled(NamedTuple):
    """A template with its values in it."""

    text: str
    #: The macros that had no value, as written; nothing stands in their place.
    absent: tuple[str, ...]


class Template(NamedTuple):
    """Text and slots in their order."""

    parts: tuple[str | Slot, ...]

    def say(self, values: Mapping[str, Value | None], quote: Quote = str) -> str | None:
        """What ``fill`` puts together, None when a value is absent; of most templates, which are one value, sooner."""
        if len(self.parts) == 1:
            alone = self.parts[0]
            if isinstance(alone, str):
                return alone
            value = alone.value(values)
            return None if value is None else quote(value)
        filled = self.fill(values, quote)
        return None if filled.absent else filled.text

    def fill(self, values: Mapping[str, Value | None], quote: Quote = str) -> Filled:
        """Put values in. What was written in the template stays as it is; only values are quoted."""
        text: list[str] = []
        absent: list[str] = []
        for part in self.parts:
            if isinstance(part, str):
                text.append(part)
                continue
            value = part.value(values)
            if value is None:
                absent.append(part.written)
            else:
                text.append(quote(value))
        return Filled("".join(text), tuple(absent))

    @property
    def macros(self) -> frozenset[str]:
        """The names of all macros that it may use."""
        slots = (part for part in self.parts if isinstance(part, Slot))
        return frozenset(choice.name for slot in slots for choice in slot.choices)


def allowed(values: Mapping[str, Value | None], limit: Reach) -> dict[str, Value | None]:
    """The values that may be told of a person who shares no more than this."""
    return {name: value for name, value in values.items() if reaches(macro(name).reach, limit)}


def read(
    text: str, dialect: Dialect, param: str = "template", *, is_handed: bool = False
) -> Template:
    """Read a template. Raises Invalid that names the field, the macro and what is wrong with it.

    Of one that was handed to us, and that nobody here can mend, a macro that we do not know never has a value.
    """
    if len(text) > CHARACTERS_MAX:
        raise Invalid(f"a template has at most {CHARACTERS_MAX} characters", param=param)
    speech = SPEECH[dialect]
    parts: list[str | Slot] = []
    end = 0
    try:
        for found in speech.macro.finditer(text):
            parts.append(_plain(text[end : found.start()], speech))
            name = next(group for group in found.groups() if group is not None)
            parts.append(Slot(found.group(), _choices(name, speech, is_handed=is_handed)))
            end = found.end()
        parts.append(_plain(text[end:], speech))
    except Invalid as wrong:
        raise Invalid(f"{param}: {wrong.message}", param=param) from None
    if len(parts) > 2 * MACROS_MAX:
        raise Invalid(f"{param}: a template has at most {MACROS_MAX} macros", param=param)
    return Template(tuple(part for part in parts if part))


def _plain(text: str, speech: Speech) -> str:
    stray = speech.stray.search(text)
    if stray is not None:
        around = text[max(0, stray.start() - 10) : stray.end() + 10]
        raise Invalid(f"{stray.group()!r} in {around!r} begins or ends no macro")
    return text


def _choices(written: str, speech: Speech, *, is_handed: bool) -> tuple[_Choice, ...]:
    names = written.split("||") if speech.has_steps else [written]
    try:
        return tuple(_choice(name.strip(), speech) for name in names)
    except Invalid:
        if is_handed:
            return ()
        raise


def _choice(written: str, speech: Speech) -> _Choice:
    name, *rest = written.split("|") if speech.has_steps else [written]
    ours, *before = _ours(name.strip(), speech).split("|")
    found = macro(ours)
    shape, steps = found.shape, []
    for one in (*before, *rest):
        called, colon, argument = one.partition(":")
        function = step(called.strip(), argument if colon else None, shape)
        steps.append((function, argument))
        shape = function.gives
    return _Choice(found.name, tuple(steps), shape)


def _ours(name: str, speech: Speech) -> str:
    """A dialect's name as our expression."""
    known = speech.names.get(name)
    if known is not None:
        return known
    if speech.names and name.startswith(BRANCH_LINK):
        return f"extra.{name.removeprefix(BRANCH_LINK)}"
    return f"{speech.otherwise}.{name}" if speech.otherwise else name
