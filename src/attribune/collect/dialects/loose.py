"""Values as clients of loosely typed languages send them: numbers for texts, texts for numbers, times of many kinds. Pure."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from attribune.collect.absent import is_absent, is_absent_id
from attribune.collect.fields import EARLIEST_MS, Fields, list_of, wrong_type
from attribune.collect.records import Telling, read_money, when
from attribune.collect.refuse import Refused
from attribune.collect.verdict import Judged, Kept
from attribune.model.activity import Device, Platform
from attribune.model.control import Door
from attribune.model.ids import RecordId, UserId, derived
from attribune.model.money import Money
from attribune.model.refusal import RefusalReason

#: Parameters of a form or a query; no client sends as many.
PAIRS_MAX: Final = 1024
#: Texts of a name that may be a key, before a letter is read to find it.
_QUICK_MAX: Final = 8
_NUMBER: Final = b"-0123456789"
_BASIC: Final = re.compile(r"basic +([A-Za-z0-9+/=_-]{1,800}) *\Z", re.IGNORECASE)
#: What money is read with: more digits come from binary fractions and mean nothing.
_DIGITS_MAX: Final = 12
#: A time has fewer, in whatever unit.
_DIGITS_OF_TIMES: Final = 19
#: A time beyond is none that a clock shows.
LATEST_MS: Final = 10**14
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_time: Final = msgspec.json.Decoder(datetime)
#: Apple's numbers for whether the person may be tracked, in words.
ATT: Final = {"0": "not_determined", "1": "restricted", "2": "denied", "3": "authorized"}
PLATFORMS: Final = {
    "android": Platform.ANDROID,
    "ios": Platform.IOS,
    "ipados": Platform.IOS,
    "iphone os": Platform.IOS,
    "web": Platform.WEB,
}


def json_of(value: object) -> str:
    """A value as the JSON text that ``extra`` and ``params`` hold."""
    return msgspec.json.encode(value).decode()


def is_text(fields: Fields, name: str) -> bool:
    """Whether a field is a text; it stays unread."""
    value = fields.peek(name)
    if value is None or type(value) is str:
        return value is not None
    raw = fields.raw(name)
    if raw is not None:
        fields.put_back(name, raw)
    return raw is not None and raw[:1] == b'"'


def word(fields: Fields, name: str) -> str | None:
    """A short text; a number stands for its digits, and what is neither is left to the rest."""
    value = fields.peek(name)
    if value is None or type(value) is str:
        return fields.text(name)
    raw = fields.raw(name)
    if raw is None:
        return None
    if raw[:1] == b'"':
        fields.put_back(name, raw)
        return fields.text(name)
    if raw[:1] in _NUMBER:
        return raw.decode()
    fields.put_back(name, raw)
    return None


def id_of(fields: Fields, name: str, characters_max: int) -> str | None:
    """An id; some are sent as numbers."""
    value = fields.peek(name)
    if value is None or type(value) is str:
        return fields.identifier(name, characters_max)
    raw = fields.raw(name)
    if raw is None:
        return None
    if raw[:1] in _NUMBER:
        text = raw.decode()
        return None if is_absent_id(text) else text
    fields.put_back(name, raw)
    return fields.identifier(name, characters_max)


def first_id(fields: Fields, names: tuple[str, ...], characters_max: int) -> str | None:
    """The first of several ids that says something; the others stay unread."""
    for name in names:
        found = id_of(fields, name, characters_max)
        if found is not None:
            return found
    return None


def amount(fields: Fields, name: str) -> str | None:
    """A number, or a text with one, as a decimal with at most twelve digits behind the point; None when absent. Raises Refused."""
    if fields.peek(name) is None:
        return None
    raw = fields.raw(name)
    if raw is None:
        return None
    if raw[:1] == b'"':
        fields.put_back(name, raw)
        text = fields.text(name, 64)
        return None if text is None else decimal(text)
    if raw[:1] not in _NUMBER:
        raise wrong_type(fields.path(name), "a number", raw)
    return decimal(raw.decode())


def decimal(text: str) -> str:
    """A number's digits without an exponent; what is no number stays as it is, for money to refuse."""
    if len(text) > 64:
        return text
    try:
        read = Decimal(text)
    except InvalidOperation:
        return text
    exponent = read.as_tuple().exponent
    if not isinstance(exponent, int) or read.adjusted() > 15:
        return text
    return f"{read:.{_DIGITS_MAX}f}" if exponent < -_DIGITS_MAX or exponent > 0 else f"{read:f}"


def revenue(
    fields: Fields, names: tuple[str, ...], currencies: tuple[str, ...], telling: Telling
) -> Money | None:
    """The first amount that is there, in the first currency that is said, else the product's. Raises Refused."""
    found = next(((name, said) for name in names if (said := amount(fields, name))), None)
    if found is None:
        return None
    currency = next((said for name in currencies if (said := word(fields, name))), None)
    code = (currency or telling.speaker.product.currency).upper()
    may_be_negative = telling.speaker.is_server
    return read_money(found[1], code, fields.path(found[0]), may_be_negative=may_be_negative)


def at_ms(raw: bytes, path: str) -> int:
    """A time: ISO 8601, in UTC where no offset is said, or milliseconds. Raises Refused."""
    fields = Fields({path: msgspec.Raw(raw)})
    if raw[:1] == b'"' or raw in {b"", b"null"}:
        try:
            said = _time.decode(raw)
            aware = said if said.tzinfo else said.replace(tzinfo=UTC)
            ms = (aware - _EPOCH) // timedelta(milliseconds=1)
        except (msgspec.MsgspecError, OverflowError):
            ms = -1
        fields = Fields({path: msgspec.Raw(b"%d" % ms)})
    found = fields.time(path)
    assert found is not None, "a number is never absent"
    return found


def moment(fields: Fields, name: str, units: int | None = None) -> int | None:
    """A time in milliseconds: ISO 8601, or a number of ``units`` a second (1, 1,000, 1,000,000; by its size when None). Raises Refused."""
    if fields.peek(name) is None:
        return None
    raw = fields.raw(name)
    if raw is None or raw == b'""':
        return None
    digits = raw.strip(b'"')
    if digits.isdigit() and len(digits) < _DIGITS_OF_TIMES:
        whole = int(digits)
        ms = whole * 1000 // (units or _units_of(whole))
        if EARLIEST_MS <= ms < LATEST_MS:
            return ms
    path = fields.path(name)
    text = digits.decode("ascii", "replace")
    try:
        number = Decimal(text) if raw[:1] in _NUMBER or text.replace(".", "").isdigit() else None
    except InvalidOperation:
        number = None
    if number is None or number.adjusted() > 18:
        return at_ms(raw, path)
    if units is None:
        units = _units_of(number)
    return at_ms(b"%d" % int(number * 1000 / units), path)


def _units_of(number: int | Decimal) -> int:
    """How many to a second, by the size of a time: seconds, milliseconds or microseconds."""
    return 1 if number < 10**11 else 1000 if number < 10**14 else 1_000_000


def basic(authorization: str | None) -> str | None:
    """The user name of Basic auth, or None."""
    found = _BASIC.match(authorization or "")
    if found is None:
        return None
    try:
        said = b64decode(found[1]).decode()
    except ValueError:
        return None
    return said.partition(":")[0] or None


def pairs(text: str | bytes, literal: frozenset[str] = frozenset()) -> dict[str, str]:
    """The pairs of a form or a query by name, the first of each; those that say nothing are left out. Raises Refused.

    What is ``literal`` may look like a macro that nobody filled in, and is none.
    """
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    try:
        found = parse_qsl(plain, max_num_fields=PAIRS_MAX)
    except ValueError:
        raise Refused(
            RefusalReason.TOO_LARGE, f"a form may have at most {PAIRS_MAX} parameters"
        ) from None
    return {
        name: value
        for name, value in reversed(found)
        if (name in literal and value) or not is_absent(value)
    }


def quick_key(body: bytes, name: bytes, door: Door) -> str | None:
    """The door's key, where one of the first texts of a name in JSON is it, wherever that stands; the rest is not read.

    Who says a door's key anywhere in a letter knows it. None proves nothing: the letter must be read.
    """
    for index, found in enumerate(_texts_of(name).finditer(body)):
        if index == _QUICK_MAX:
            return None
        if sha256(found[1]).hexdigest() == door.sha256:
            return found[1].decode()
    return None


@cache
def _texts_of(name: bytes) -> re.Pattern[bytes]:
    return re.compile(b'"' + name + rb'"\s*:\s*"([\x20-\x21\x23-\x5b\x5d-\x7e]{1,256})"')


@lru_cache(maxsize=8)
def form_data(body: bytes) -> bytes | None:
    """The JSON of a form's ``data``, plain or in base64; None when there is none. Raises Refused."""
    said = pairs(body).get("data")
    if said is None:
        return None
    if said.lstrip()[:1] in {"{", "["}:
        return said.encode()
    try:
        return b64decode(said.replace(" ", "+"), validate=True)
    except (NotBase64, ValueError):
        raise Refused(
            RefusalReason.MALFORMED, "data must be JSON, plain or in base64", "data"
        ) from None


def runs_on(telling: Telling, extra: dict[str, str], said: Mapping[str, str | None]) -> Platform:
    """The platform that a client states first under one of some names; one we do not know is kept and is OTHER."""
    for name, value in said.items():
        if value:
            found = PLATFORMS.get(value.lower())
            if found is None:
                extra[name] = json_of(value)
            return found or Platform.OTHER
    return telling.speaker.app.platform


def frame(  # noqa: PLR0913 - what a record is made of
    telling: Telling,
    *,
    record: str,
    at: int | None,
    path: str,
    device: Device | None,
    user: str | None = None,
    stated: tuple[str | None, str | None] | None = None,
    is_trusted: bool = False,
    **texts: str | None,
) -> dict[str, Any]:
    """What every record of a dialect carries.

    ``at`` is the client's time in milliseconds, which stood at ``path``; ``stated`` are the address and the user agent that the
    sender states, which count at a trusted door; ``texts`` are ``app_version``, ``app_build`` and ``sdk``.
    """
    time = when(at, telling, path)
    ip, agent = stated if is_trusted and stated else (telling.ip, telling.user_agent)
    speaker = telling.speaker
    return {
        "id": RecordId(record),
        "product": speaker.product.id,
        "app": speaker.app.id,
        "sender": speaker.sender,
        "received_at_ms": telling.received_at_ms,
        "occurred_at_ms": time.occurred_at_ms,
        "given_at_ms": time.given_at_ms,
        "device": device,
        "user_id": UserId(user) if user else None,
        "dialect": telling.dialect,
        "ip": ip,
        "user_agent": agent,
        **texts,
    }


def known_by(kind: str, door: Door, said: str, at: int | None, telling: Telling) -> RecordId:
    """The id of a record whose client gave it none: what it says, so that the same told again is the same record.

    Where no time is said two may say the same and be two, so each is its own.
    """
    when_ = "" if at is not None else str(telling.received_at_ms)
    return RecordId(derived(kind, door.id, said, when_))


def each(
    raws: Sequence[msgspec.Raw], path: str, read: Callable[[bytes, str], Kept]
) -> Iterable[Judged]:
    """A verdict for each of several records, each made when it is asked for. ``path`` is the list that they stand in."""
    for index, inner in enumerate(raws):
        raw = bytes(inner)
        yield judged(raw, f"{path}[{index}]" if path else f"[{index}]", read)


def judged(raw: bytes, path: str, read: Callable[[bytes, str], Kept]) -> Judged:
    """The verdict about one record."""
    try:
        return Judged(read(raw, path), raw)
    except Refused as refused:
        return Judged(refused.bare(), raw)


def records_of(raw: bytes, path: str, most: int) -> list[msgspec.Raw]:
    """The records of a list that a letter holds. Raises Refused when it is none, or they are too many."""
    if raw[:1] != b"[":
        raise wrong_type(path or "the body", "a list", raw)
    try:
        found = list_of(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise Refused(RefusalReason.MALFORMED, f"this is not JSON: {fault}", path or None) from None
    if len(found) > most:
        message = f"a letter may have at most {most} records; send several"
        raise Refused(RefusalReason.TOO_MANY_RECORDS, message, path or None)
    return found
