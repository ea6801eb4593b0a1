"""Reads the fields of a JSON object one by one, naming each that is wrong by its path. Pure.

An object is decoded as a whole, once, and most of it is what it should be: text, or absent. Its raw JSON is looked up where the
raw JSON matters: what nobody asks for is kept exactly as it was sent, and so is judged whatever is not plainly right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from msgspec import Raw

from attribune.collect.absent import SUSPECTS, is_absent, is_absent_id
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
_ONLY_OBJECTS: Final = {dict}
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

    __slots__ = ("_index", "_json", "_name", "_outer", "_raws", "_values")

    def __init__(
        self,
        values: dict[str, Any],
        name: str = "",
        outer: Fields | None = None,
        index: int | None = None,
        json: bytes = b"",
    ) -> None:
        """Begin with all fields unread; what is read is taken out of ``values``. Each is decoded, or still raw.

        ``name`` says where the object stands, in messages: a path, or a field of the object around it; there, with an
        ``index``, in a list. Decoded values come from ``json``, which is the outermost object.
        """
        self._values = values
        self._name = name
        self._outer = outer
        self._index = index
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
        return cls(value, path, json=raw) if type(value) is dict else cls.of(raw, path)

    def path(self, name: str) -> str:
        """A field's name with what stands before it, such as ``records[3].revenue.amount``."""
        here = self._name if self._outer is None else self._outer.path(self._name)
        if self._index is not None:
            here = f"{here}[{self._index}]"
        return f"{here}.{name}" if here else name

    def raw(self, name: str) -> bytes | None:
        """A field as sent, or None when it is absent or null."""
        value = self._values.pop(name, None)
        return None if value is None else self._as_sent(name, value)

    def _as_sent(self, name: str, value: Any) -> bytes | None:
        """The raw JSON of a field's value, or None when it is null."""
        raw = bytes(value if type(value) is Raw else self.raws()[name])
        return None if raw == b"null" else raw

    def raws(self) -> dict[str, Raw]:
        """All fields of a decoded object as sent, those that were read too."""
        if self._raws is None:
            self._raws = _object.decode(self._whole())
        return self._raws

    def _whole(self) -> bytes | Raw:
        """The object itself as sent."""
        if self._outer is None:
            return self._json
        raw = self._outer.raws()[self._name]
        return raw if self._index is None else _list.decode(raw)[self._index]

    def peek(self, name: str) -> Any:
        """A field's value as it stands: decoded or raw, None when absent. It stays unread."""
        return self._values.get(name)

    def put_back(self, name: str, value: bytes) -> None:
        """Leave a field to ``rest`` after all."""
        self._values[name] = Raw(value)

    def text(
        self, name: str, characters_max: int = TEXT_CHARACTERS_MAX, wanted: str = "text"
    ) -> str | None:
        """A text, or None when it is absent. Control characters are refused. ``wanted`` says what text, to who sent none."""
        said = self._values.pop(name, None)
        if said is None:
            return None
        value: str | None = said if type(said) is str else self._string(name, said, wanted)
        if not value or (value[0] in SUSPECTS and is_absent(value)):
            return None
        if len(value) > characters_max or not value.isprintable():
            self._check_text(name, value, characters_max, RefusalReason.MALFORMED)
        return value

    def texts(self, names: Iterable[str], characters_max: int) -> dict[str, str]:
        """Several texts by name, without those that are absent."""
        values, found = self._values, {}
        for name in names:
            said = values.get(name)
            if said is None:
                continue
            if (
                type(said) is str
                and 0 < len(said) <= characters_max
                and said[0] not in SUSPECTS
                and said.isprintable()
            ):
                found[name] = said
                del values[name]
            elif (text := self.text(name, characters_max)) is not None:
                found[name] = text
        return found

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

    def _string(self, name: str, value: Any, wanted: str = "text") -> str | None:
        """A value that is not decoded text: raw text, or a mistake."""
        raw = self._as_sent(name, value)
        if raw is None:
            return None
        if raw[:1] == b'"':
            return _text.decode(raw)
        raise wrong_type(self.path(name), wanted, raw)

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

    def times(self, names: Iterable[str], unknown: frozenset[bytes]) -> dict[str, int]:
        """Several times as ``{name}_ms``, without those that are absent or unknown."""
        values = self._values
        return {
            f"{name}_ms": at_ms
            for name in names
            if name in values and (at_ms := self.time(name, unknown=unknown)) is not None
        }

    def fields(self, name: str) -> Fields | None:
        """The fields of an object in here, or None when absent."""
        value = self._values.pop(name, None)
        if value is None:
            return None
        if type(value) is dict:
            return Fields(value, name, self, json=self._json)
        raw = self._as_sent(name, value)
        return None if raw is None else Fields.of(raw, self.path(name))

    def each(self, name: str, many: int) -> list[Fields]:
        """The objects of a list in here; empty when absent."""
        value = self._values.pop(name, None)
        if value is None:
            return []
        if type(value) is list and len(value) <= many and {*map(type, value)} <= _ONLY_OBJECTS:
            return [
                Fields(inner, name, self, index, self._json) for index, inner in enumerate(value)
            ]
        path = self.path(name)
        raw = self._as_sent(name, value)
        if raw is None:
            return []
        if raw[:1] != b"[":
            raise wrong_type(path, "a list", raw)
        found = _list.decode(raw)
        if len(found) > many:
            raise Refused(RefusalReason.TOO_LARGE, f"{path} may have at most {many} entries", path)
        return [Fields.of(inner, f"{path}[{index}]") for index, inner in enumerate(found)]

    def mapping(self, name: str) -> dict[str, str]:
        """An object in here as JSON text by name; empty when absent."""
        found = self.fields(name)
        return found.rest() if found else {}

    def rest(self, prefix: str = "") -> dict[str, str]:
        """What nobody asked for, as JSON text by name; nulls say nothing."""
        if not self._values:
            return {}
        is_plain = b"\\" not in self._json
        found = {}
        for name, value in self._values.items():
            # There is one way to spell a whole number, and one to spell a text without escapes.
            if type(value) is str and is_plain:
                found[prefix + name] = f'"{value}"'
            elif type(value) is int and 0 < value < _INTEGER_END:
                found[prefix + name] = str(value)
            elif value is not None and (raw := self._as_sent(name, value)) is not None:
                found[prefix + name] = raw.decode()
        return found

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
