"""Rows of other measurement partners: flat, loosely typed, and full of words that say nothing. Pure.

A row is a mapping of the vendor's own field names to texts, whatever it came in: a query, a form, nested JSON or a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from attribune.collect.absent import is_absent, is_absent_id
from attribune.collect.refuse import Refused
from attribune.model.refusal import RefusalReason

#: Fields of a row; the widest export known has some 400.
FIELDS_MAX: Final = 1024
#: Characters of a field that we have a word for; a longer one is no name of anything.
WORD_CHARACTERS_MAX: Final = 1024
#: How much is kept of what we have no word for.
REST_FIELDS_MAX: Final = 256
REST_CHARACTERS_MAX: Final = 2048
#: How deep JSON may be nested before it is kept as text.
_DEPTH_MAX: Final = 4
_LIST_MAX: Final = 8
#: Before this there was no app to measure; a time before it is a wrong unit or a wrong field.
_EARLIEST_MS: Final = 1_199_145_600_000
#: Digits before the point of an amount, or behind it, that are read.
_DIGITS_MAX: Final = 15
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: What vendors send where they have nothing to say.
_NOTHING: Final = frozenset(
    ("n/a", "null", "(null)", "nil", "undefined", "def", "(not set)", "-", "dummy", "[]", "{}")
)
_NOTHING_CHARACTERS_MAX: Final = max(map(len, _NOTHING))
#: Placeholders that nobody filled, in every vendor's spelling: {idfa||gps_adid}, {cl?Network}, {{app_id}}, ${(path)!},
#: [user_id], <#if …>.
_PLACEHOLDER: Final = re.compile(
    r"(?:\{\{?[\w.:~|?=\-\x20]{1,128}\}?\}|\$\{\([^{}]{1,128}\)!?[^{}]{0,32}\}|\[[A-Za-z_]\w{1,63}\]|<#if .*)\Z",
    re.ASCII | re.DOTALL,
)
_NUMBER: Final = re.compile(r"\d{1,19}(?:\.\d{1,9})?\Z", re.ASCII)
#: 2026-03-01 12:00:00 +0000: the space before the offset is more than ISO 8601 allows.
_SPACED_OFFSET: Final = re.compile(r" (?=[+-]\d\d:?\d\d\Z)")
_TRUE: Final = frozenset(("1", "true", "yes", "t"))
_FALSE: Final = frozenset(("0", "false", "no", "f"))


class Row:
    """The fields of one row that say something, by lower-case name; it remembers which were read."""

    def __init__(self, said: Mapping[str, str]) -> None:
        """Raises Refused when there are too many."""
        if len(said) > FIELDS_MAX:
            raise Refused(RefusalReason.TOO_LARGE, f"a row may have at most {FIELDS_MAX} fields")
        self.said = {
            whole(name.strip().lower()): text
            for name, value in said.items()
            if (text := whole(value.strip())) and not says_nothing(text, name)
        }
        self._read: set[str] = set()

    def text(self, *names: str) -> str | None:
        """The first of some fields that says something. Raises Refused when it is too long to be a name."""
        for name in names:
            value = self.said.get(name)
            if value is None:
                continue
            self._read.add(name)
            if len(value) > WORD_CHARACTERS_MAX:
                message = f"{name} may have at most {WORD_CHARACTERS_MAX} characters"
                raise Refused(RefusalReason.TOO_LARGE, message, name)
            return value
        return None

    def mapped(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Our words by name; of several fields for one word the first of the table that says something."""
        found: dict[str, str] = {}
        for theirs, ours in fields.items():
            if theirs in self.said and ours not in found:
                value = self.text(theirs)
                if value is None or (ours.startswith("ids.") and is_absent_id(value)):
                    continue
                found[ours] = value
        return found

    def rest(self) -> dict[str, str]:
        """What was not read, as JSON text by name, each cut at a limit."""
        left = (name for name in self.said if name not in self._read)
        return {
            name[:128]: json_text(self.said[name][:REST_CHARACTERS_MAX])
            for name, _ in zip(left, range(REST_FIELDS_MAX), strict=False)
        }


def whole(text: str) -> str:
    """A text that can be written as UTF-8: halves of signs, which JSON can escape, become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def json_text(value: str) -> str:
    """A text as the JSON that ``extra`` holds."""
    return msgspec.json.encode(value).decode()


def says_nothing(value: str, name: str = "") -> bool:
    """Whether a value is empty, a macro that nobody filled, or a vendor's word for nothing.

    Some links send a field's own name where there is no value (``device_id=device_id``).
    """
    if is_absent(value) or value == name:
        return True
    if len(value) <= _NOTHING_CHARACTERS_MAX and value.lower() in _NOTHING:
        return True
    return value[0] in "{$[<" and _PLACEHOLDER.match(value) is not None


def moment(text: str, path: str, zone: tzinfo = UTC) -> int:
    """A time in milliseconds, UTC: seconds, milliseconds or microseconds since 1970, or ISO 8601.

    ``zone`` is that of times without an offset. Raises Refused.
    """
    ms: int | None
    if _NUMBER.match(text):
        number = float(text)
        units = 1000 if number < 10**11 else 1 if number < 10**14 else 0.001
        ms = int(number * units)
    else:
        ms = _iso(_SPACED_OFFSET.sub("", text.removesuffix(" UTC")), zone)
    if ms is None or ms < _EARLIEST_MS:
        message = f"{path} must be a time such as 2026-03-01 12:00:00, or seconds since 1970"
        raise Refused(RefusalReason.BAD_TIME, message, path)
    return ms


def _iso(text: str, zone: tzinfo) -> int | None:
    try:
        said = datetime.fromisoformat(text)
        aware = said if said.tzinfo else said.replace(tzinfo=zone)
        return (aware - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return None


def decimal(text: str) -> str:
    """A number's digits without exponent or more than twelve decimals; what is no number stays, for money to refuse."""
    try:
        read = Decimal(text)
    except InvalidOperation:
        return text
    if not read.is_finite() or abs(read.adjusted()) > _DIGITS_MAX:
        return "0" if read == 0 else text
    return f"{read:.12f}".rstrip("0").rstrip(".")


def flag(text: str | None) -> bool | None:
    """Yes, no, or None when it is neither."""
    word = (text or "").lower()
    return True if word in _TRUE else False if word in _FALSE else None


def query_of(url: str | None) -> dict[str, str]:
    """The parameters of an address by lower-case name, the first of each."""
    _, _, query = (url or "").partition("?")
    try:
        found = parse_qsl(query.partition("#")[0], max_num_fields=FIELDS_MAX)
    except ValueError:
        return {}
    return {name.lower(): value for name, value in reversed(found) if not says_nothing(value)}


def inner(text: str | None) -> dict[str, str]:
    """The fields of a JSON object that stands in a field as text; none when it is none."""
    if not text or text[0] != "{":
        return {}
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return flat(found) if isinstance(found, dict) else {}


def flat(said: Mapping[str, Any]) -> dict[str, str]:
    """A nested object as a row: names joined by points, numbers and yes or no as their texts. Raises Refused when it is too wide."""
    row: dict[str, str] = {}
    for name, value in _leaves("", said, 0):
        if len(row) >= FIELDS_MAX:
            raise Refused(RefusalReason.TOO_LARGE, f"a row may have at most {FIELDS_MAX} fields")
        row[name] = value
    return row


def _leaves(name: str, value: Any, depth: int) -> Iterable[tuple[str, str]]:
    if value is None:
        return
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    elif isinstance(value, int | float):
        yield name, _digits(value)
    elif depth >= _DEPTH_MAX:
        yield name, msgspec.json.encode(value).decode()
    elif isinstance(value, Mapping):
        for part, one in value.items():
            yield from _leaves(f"{name}.{part}" if name else str(part), one, depth + 1)
    else:
        for part, one in enumerate(value[:_LIST_MAX]):
            yield from _leaves(f"{name}.{part}", one, depth + 1)


def _digits(value: float) -> str:
    """A number as people write it: 12.5 and not 1.25e+01."""
    if isinstance(value, int):
        return str(value)
    text = f"{value:.12f}"
    return text.rstrip("0").rstrip(".")
