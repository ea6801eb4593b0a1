"""Reads what clients send as forms: names and values in a query or a body. What is taken is read, the rest is kept. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote_to_bytes

from attribune.collect.absent import SUSPECTS, is_absent, is_absent_id
from attribune.collect.dialects.loose import json_of
from attribune.collect.fields import TEXT_CHARACTERS_MAX
from attribune.collect.refuse import Refused
from attribune.model.refusal import RefusalReason

#: More parameters than any client library sends.
PARAMETERS_MAX: Final = 256


class Form:
    """The parameters of a letter by name; of a name given twice the first counts, and what says nothing is not there."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, str]) -> None:
        """Begin with all parameters unread; what is read is taken out of ``values``."""
        self._values = values

    @classmethod
    def of(cls, query: str, body: bytes = b"") -> Form:
        """The parameters of a query and of a body. Raises Refused when they are no form or too many.

        Some client libraries encode the sign between a name and its value too: such a pair is parted at the first one.
        """
        values: dict[str, str] = {}
        try:
            said = f"{query}&{body.decode()}" if query else body.decode()
            parts = said.split("&")
            if len(parts) > PARAMETERS_MAX:
                message = f"at most {PARAMETERS_MAX} parameters may be sent"
                raise Refused(RefusalReason.TOO_LARGE, message)
            for part in parts:
                name, parted, value = part.partition("=")
                name, value = _plain(name), _plain(value)
                if not parted:
                    name, _, value = name.partition("=")
                if name and value and not (value[0] in SUSPECTS and is_absent(value)):
                    values.setdefault(name, value)
            said.encode()
        except UnicodeError:
            message = "send a form in UTF-8: name=value&name=value, percent-encoded"
            raise Refused(RefusalReason.MALFORMED, message) from None
        return cls(values)

    def take(self, name: str) -> str | None:
        """A value as it was sent, or None when it is absent."""
        return self._values.pop(name, None)

    def look(self, name: str) -> str | None:
        """The same, but it stays unread, so that it is kept under its own name too."""
        return self._values.get(name)

    def word(self, name: str) -> str | None:
        """A short text on one line; what is none stays unread."""
        value = self._values.get(name)
        if value is None or len(value) > TEXT_CHARACTERS_MAX or not value.isprintable():
            return None
        return self._values.pop(name)

    def identifier(self, name: str, characters_max: int) -> str | None:
        """An id, or None when it is absent or all zeros. Raises Refused when it is none."""
        value = self._values.pop(name, None)
        if value is None or is_absent_id(value):
            return None
        if len(value) > characters_max or not value.isprintable():
            message = f"{name} must be an id on one line, of at most {characters_max} characters"
            raise Refused(RefusalReason.BAD_ID, message, name)
        return value

    def put_back(self, name: str, value: str) -> None:
        """Leave a parameter to ``rest`` after all."""
        self._values[name] = value

    def drop(self, names: tuple[str, ...]) -> None:
        """Read some parameters that nobody needs to keep."""
        for name in names:
            self._values.pop(name, None)

    def said(self, without: frozenset[str]) -> str:
        """All that is unread but for some names, in one text that does not go by its order."""
        return "\x1e".join(
            f"{n}\x1f{v}" for n, v in sorted(self._values.items()) if n not in without
        )

    def rest(self) -> dict[str, str]:
        """What nobody asked for, as JSON text by name."""
        return {name: json_of(value) for name, value in self._values.items()}


def _plain(text: str) -> str:
    """A name or value as it was before it was encoded for a form. Raises UnicodeError."""
    if "%" not in text and "+" not in text:
        return text
    return unquote_to_bytes(text.replace("+", " ")).decode()
