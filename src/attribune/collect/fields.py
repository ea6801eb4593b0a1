"""Reads the fields of a JSON object one by one, naming each that is wrong by its path. Pure.

An object is decoded as a whole, once, and most of it is what it should be: text, or absent. Its raw JSON is looked up where the
raw JSON matters: what nobody asks for is kept exactly as it was sent, and so is judged whatever is not plainly right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, Final

import msgspec
from msgspec import Raw

from attribune.collect.absent import is_absent, is_absent_id
from attribune.collect.refuse import Refused
from attribune.model.refusal import RefusalReason

#: Nothing happened before this: 2000-01-01. Milliseconds, UTC.
EARLIEST_MS: Final = 946_684_800_000
#: Longest text of a field that is neither an id nor free-form.
TEXT_CHARACTERS_MAX: Final = 4096

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_INTEGER: Final = re.compile(rb"-?\d{1,18}\Z")
#: A time of so many digits is none.
_INTEGER_END: Final = 10**18
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_object: Final = msgspec.json.Decoder(dict[str, Raw])
_list: Final = msgspec.json.Decoder(list[Raw])
_text: Final = msgspec.json.Decoder(str)
_datetime: Final = msgspec.json.Decoder(Annotated[datetime, msgspec.Meta(tz=True)])
_anything: Final = msgspec.json.Decoder()
_KINDS: Final = {
    b"{": "an object",
    b"[": "a list",
    b'"': "text",
    b"t": "true",
    b"f": "false",
    b"n": "null",
}


def checked_json(raw: bytes, depth_max: int, path: str = "") -> bytes:
    """The bytes themselves, known to be whole JSON in UTF-8 and not nested too deep. Raises Refused."""
    _decoded(raw, depth_max, path)
    return raw


def _decoded(raw: bytes, depth_max: int, path: str) -> Any:
    try:
        value = _anything.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise Refused(RefusalReason.MALFORMED, f"this is not JSON: {fault}", path or None) from None
    if raw.count(b"{") + raw.count(b"[") > depth_max and _is_deeper(value, depth_max):
        raise Refused(
            RefusalReason.MALFORMED, f"at most {depth_max} levels may be nested", path or None
        )
    return value


def _is_deeper(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        return depth == 0 or any(_is_deeper(inner, depth - 1) for inner in value.values())
    if isinstance(value, list):
        return depth == 0 or any(_is_deeper(inner, depth - 1) for inner in value)
    return False


def kind_of(raw: bytes) -> str:
    """What a raw value is, in words."""
    return _KINDS.get(raw[:1], "a number")


def wrong_type(path: str, wanted: str, raw: bytes) -> Refused:
    """A refusal of a value that is something else than what is wanted."""
    return Refused(RefusalReason.WRONG_TYPE, f"{path} must be {wanted}, not {kind_of(raw)}", path)


def missing(path: str, what: str) -> Refused:
    """A refusal of an object in which something needed is absent."""
    return Refused(RefusalReason.MISSING_FIELD, f"{path} is needed: {what}", path)


class Fields:
    """The fields of one JSON object. What has been asked for is read; the rest is kept by ``rest``."""

    __slots__ = ("_json", "_path", "_raws", "_values")

    def __init__(
        self, values: dict[str, Any], path: str = "", json: Callable[[], bytes] | None = None
    ) -> None:
        """Begin with all fields unread; what is read is taken out of ``values``. ``path`` stands before names in messages.

        Each value is decoded or still raw. ``json`` gives the raw object, of which decoded ones are made.
        """
        self._values = values
        self._path = path
        self._json = json
        self._raws: dict[str, Raw] | None = None

    @classmethod
    def of(cls, raw: bytes | Raw, path: str = "") -> Fields:
        """The fields of raw JSON, each still raw. Raises Refused when it is no object."""
        try:
            return cls(_object.decode(raw), path)
        except msgspec.ValidationError:
            at = path or "the body"
            raise Refused(
                RefusalReason.WRONG_TYPE,
                f"{at} must be an object, not {kind_of(bytes(raw))}",
                path or None,
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            raise Refused(
                RefusalReason.MALFORMED, f"this is not JSON: {fault}", path or None
            ) from None

    @classmethod
    def checked(cls, raw: bytes, depth_max: int, path: str = "") -> Fields:
        """The fields of JSON that is checked here as ``checked_json`` does. Raises Refused, also when it is no object."""
        value = _decoded(raw, depth_max, path)
        return cls(value, path, lambda: raw) if type(value) is dict else cls.of(raw, path)

    def path(self, name: str) -> str:
        """A field's name with what stands before it, such as ``records[3].revenue.amount``."""
        return f"{self._path}.{name}" if self._path else name

    def raw(self, name: str) -> bytes | None:
        """A field as sent, or None when it is absent or null."""
        value = self._values.pop(name, None)
        return None if value is None else self._as_sent(name, value)

    def _as_sent(self, name: str, value: Any) -> bytes | None:
        """The raw JSON of a field's value, or None when it is null."""
        raw = bytes(value if type(value) is Raw else self._raw_fields()[name])
        return None if raw == b"null" else raw

    def _raw_fields(self) -> dict[str, Raw]:
        """All fields of a decoded object as sent, those that were read too."""
        if self._raws is None:
            assert self._json is not None, "what is decoded was made of something"
            self._raws = _object.decode(self._json())
        return self._raws

    def put_back(self, name: str, value: bytes) -> None:
        """Leave a field to ``rest`` after all."""
        self._values[name] = Raw(value)

    def text(self, name: str, characters_max: int = TEXT_CHARACTERS_MAX) -> str | None:
        """A text, or None when it is absent. Control characters are refused."""
        said = self._values.pop(name, None)
        if said is None:
            return None
        value: str | None = said if type(said) is str else self._string(name, said)
        if value is None or is_absent(value):
            return None
        if len(value) > characters_max or not value.isprintable():
            self._check_text(name, value, characters_max, RefusalReason.MALFORMED)
        return value

    def identifier(self, name: str, characters_max: int) -> str | None:
        """An id, or None when it is absent: null, empty, all zeros, an unfilled macro."""
        said = self._values.pop(name, None)
        if said is None:
            return None
        value: str | None = said if type(said) is str else self._string(name, said)
        if value is None or is_absent_id(value):
            return None
        if len(value) > characters_max or not value.isprintable():
            self._check_text(name, value, characters_max, RefusalReason.BAD_ID)
        return value

    def _string(self, name: str, value: Any) -> str | None:
        """A value that is not decoded text: raw text, or a mistake."""
        raw = self._as_sent(name, value)
        if raw is None:
            return None
        if raw[:1] == b'"':
            return _text.decode(raw)
        raise wrong_type(self.path(name), "text", raw)

    def _check_text(self, name: str, value: str, characters_max: int, why: RefusalReason) -> None:
        path = self.path(name)
        if len(value) > characters_max:
            raise Refused(why, f"{path} may have at most {characters_max} characters", path)
        if _CONTROL.search(value):
            raise Refused(why, f"{path} holds control characters; send it without", path)

    def flag(self, name: str) -> bool | None:
        """True, false, or None when absent."""
        value = self._values.pop(name, None)
        if value is None or value is True or value is False:
            return value
        raw = self._as_sent(name, value)
        if raw is None:
            return None
        if raw not in {b"true", b"false"}:
            raise wrong_type(self.path(name), "true or false", raw)
        return raw == b"true"

    def time(self, name: str, *, unknown: frozenset[bytes] = frozenset()) -> int | None:
        """A time in milliseconds, UTC, or None when absent: RFC 3339 with an offset, or milliseconds.

        ``unknown`` are raw values that say "not known", such as Play's 0.
        """
        value = self._values.pop(name, None)
        if value is None:
            return None
        if type(value) is int and EARLIEST_MS <= value < _INTEGER_END:
            return value
        raw = self._as_sent(name, value)
        if raw is None or raw == b'""' or raw in unknown:
            return None
        path = self.path(name)
        at_ms = _read_time(raw)
        if at_ms is None:
            raise Refused(
                RefusalReason.BAD_TIME,
                f"{path} must be RFC 3339 with an offset, or whole milliseconds since the epoch",
                path,
            )
        if at_ms < EARLIEST_MS:
            raise Refused(
                RefusalReason.BAD_TIME,
                f"{path} lies before 2000-01-01; send milliseconds, not seconds, of a clock that is set",
                path,
            )
        return at_ms

    def fields(self, name: str) -> Fields | None:
        """The fields of an object in here, or None when absent."""
        value = self._values.pop(name, None)
        if value is None:
            return None
        if type(value) is dict:
            return Fields(value, self.path(name), partial(self._raw_field, name))
        raw = self._as_sent(name, value)
        return None if raw is None else Fields.of(raw, self.path(name))

    def _raw_field(self, name: str) -> bytes:
        return bytes(self._raw_fields()[name])

    def each(self, name: str, many: int) -> list[Fields]:
        """The objects of a list in here; empty when absent."""
        value = self._values.pop(name, None)
        if value is None:
            return []
        path = self.path(name)
        if type(value) is list and len(value) <= many and all(type(v) is dict for v in value):
            return [
                Fields(inner, f"{path}[{index}]", partial(self._raw_entry, name, index))
                for index, inner in enumerate(value)
            ]
        raw = self._as_sent(name, value)
        if raw is None:
            return []
        if raw[:1] != b"[":
            raise wrong_type(path, "a list", raw)
        found = _list.decode(raw)
        if len(found) > many:
            raise Refused(RefusalReason.TOO_LARGE, f"{path} may have at most {many} entries", path)
        return [Fields.of(inner, f"{path}[{index}]") for index, inner in enumerate(found)]

    def _raw_entry(self, name: str, index: int) -> bytes:
        return bytes(_list.decode(self._raw_field(name))[index])

    def mapping(self, name: str) -> dict[str, str]:
        """An object in here as JSON text by name; empty when absent."""
        found = self.fields(name)
        return found.rest() if found else {}

    def rest(self, prefix: str = "") -> dict[str, str]:
        """What nobody asked for, as JSON text by name; nulls say nothing."""
        if not self._values:
            return {}
        return {
            prefix + name: raw.decode()
            for name, value in self._values.items()
            if value is not None and (raw := self._as_sent(name, value)) is not None
        }

    def names(self) -> Iterable[str]:
        """The names not yet read."""
        return tuple(self._values)


def _read_time(raw: bytes) -> int | None:
    if raw[:1] != b'"':
        return int(raw) if _INTEGER.match(raw) else None
    try:
        at: datetime = _datetime.decode(raw)
        return (at - _EPOCH) // _MS
    except (msgspec.MsgspecError, OverflowError):
        return None


def list_of(raw: bytes) -> list[Raw]:
    """The raw values of a JSON list, which has been checked."""
    return _list.decode(raw)
