"""Reads the usual record at once: an open or an event of a device in which all is as it should be. Pure.

Nearly every record is: nothing in it is unknown, absent in words, escaped or wrong. It is decoded into one struct, and its
raw JSON is not looked at again. Whatever is not so plain is left to ``native``, which names what is wrong and keeps what is
unknown; what is read here reads the same there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from attribune.collect.absent import SUSPECTS, ZERO_HASH_CHARACTERS, is_absent_id
from attribune.collect.address import plain_address
from attribune.collect.fields import EARLIEST_MS, TEXT_CHARACTERS_MAX
from attribune.collect.records import (
    APP_TEXTS,
    DEVICE_IDS,
    DEVICE_TEXTS,
    PLATFORMS,
    REFERRERS_MAX,
    SOURCES,
    Telling,
    read_money,
    spoken_app,
    when,
)
from attribune.collect.refuse import Refused
from attribune.collect.verdict import Kept
from attribune.model.activity import Device, Event, Open, Referrer, ReferrerSource
from attribune.model.ids import DeviceId
from attribune.model.money import Money
from attribune.model.position import Topic

_ACTIVITY: Final = Topic.ACTIVITY
_OTHER_SOURCE: Final = ReferrerSource.OTHER
#: A whole number of so many digits is looked at as it was sent.
_INTEGER_END: Final = 10**18


class _Unusual(Exception):
    """Something in a record is not plain; its fields are to be read one by one."""


class _Referrer(Struct, forbid_unknown_fields=True):
    source: str
    value: str


class _Revenue(Struct, forbid_unknown_fields=True):
    amount: str
    currency: str


class _Said(Struct, forbid_unknown_fields=True, tag_field="type"):
    id: str
    device: dict[str, str]
    #: Decoded as what it is: 1.0 is no whole number.
    at: Any = None
    app: dict[str, str] = {}
    app_id: str | None = None
    user_id: str | None = None
    ip: str | None = None
    user_agent: str | None = None


class _Open(_Said, tag="open"):
    referrers: list[_Referrer] = []
    link_opened: str | None = None
    want_attribution: bool = False


class _Event(_Said, tag="event"):
    name: str = ""
    revenue: _Revenue | None = None
    transaction_id: str | None = None
    params: dict[str, Any] = {}


_decoder: Final = msgspec.json.Decoder(_Open | _Event)


def read_usual(raw: bytes, telling: Telling, kind: str | None) -> Kept | None:
    """The record of JSON that may be anything, or None when it is not usual."""
    # Without escapes a text stands in the JSON as it is; with few brackets nothing is deep.
    if b"\\" in raw or raw.count(b"{") + raw.count(b"[") > telling.settings.json_depth_max:
        return None
    try:
        said = _decoder.decode(raw)
        if type(said) is _Open and kind in {None, "open"}:
            return _open(said, telling)
        if type(said) is _Event and kind in {None, "event"}:
            return _event(said, telling)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Refused, _Unusual):
        return None
    return None


def _open(said: _Open, telling: Telling) -> Kept:
    found = []
    if len(said.referrers) > REFERRERS_MAX:
        raise _Unusual
    for referrer in said.referrers:
        source = SOURCES.get(referrer.source)
        if source is None or source is _OTHER_SOURCE:  # whose name is kept as it was said
            raise _Unusual
        found.append(Referrer(source=source, value=referrer.value))
    _check((referrer.value for referrer in found), TEXT_CHARACTERS_MAX)
    if said.link_opened is not None:
        _check((said.link_opened,), TEXT_CHARACTERS_MAX)
    record = Open(**_frame(said, telling), referrers=tuple(found), link_opened=said.link_opened)
    return Kept(_ACTIVITY, record, said.want_attribution)


def _event(said: _Event, telling: Telling) -> Kept:
    most = telling.settings.id_characters_max
    _check((said.name,), most)
    if said.transaction_id is not None:
        _check((said.transaction_id,), most)
    record = Event(
        **_frame(said, telling),
        name=said.name,
        revenue=_money(said.revenue) if said.revenue else None,
        transaction_id=said.transaction_id,
        params=dict(_params(said.params)),
    )
    return Kept(_ACTIVITY, record)


def _money(said: _Revenue) -> Money:
    _check((said.amount, said.currency), TEXT_CHARACTERS_MAX)
    return read_money(said.amount, said.currency, "")


def _params(said: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Parameters as JSON text, as far as there is one way to spell them."""
    for name, value in said.items():
        if type(value) is str:
            yield name, f'"{value}"'
        elif type(value) is int and 0 < value < _INTEGER_END:
            yield name, str(value)
        else:
            raise _Unusual


def _frame(said: _Said, telling: Telling) -> dict[str, Any]:
    speaker, most = telling.speaker, telling.settings.id_characters_max
    app = said.app
    _check((said.id, *said.device.values(), *app.values()), most)
    if said.user_id is not None:
        _check((said.user_id,), most)
    at = when(_time(said.at), telling, "")
    frame: dict[str, Any] = {
        "id": said.id,
        "product": speaker.product.id,
        "app": spoken_app(said.app_id or app.pop("id", None), telling, ""),
        "sender": speaker.sender,
        "received_at_ms": telling.received_at_ms,
        "occurred_at_ms": at.occurred_at_ms,
        "given_at_ms": at.given_at_ms,
        "device": _device(said.device, telling),
        "user_id": said.user_id,
        "dialect": telling.dialect,
    }
    for name, text in app.items():
        field = APP_TEXTS.get(name)
        if field is None:
            raise _Unusual
        frame[field] = text
    frame["ip"], frame["user_agent"] = _address(said, telling)
    return frame


def _address(said: _Said, telling: Telling) -> tuple[str | None, str | None]:
    if not telling.speaker.is_server:
        if said.ip is not None or said.user_agent is not None:
            raise _Unusual
        return telling.ip, telling.user_agent
    if said.user_agent is not None:
        _check((said.user_agent,), TEXT_CHARACTERS_MAX)
    if said.ip is None:
        return None, said.user_agent
    _check((said.ip,), 64)
    address = plain_address(said.ip)
    if address is None:
        raise _Unusual
    return address, said.user_agent


def _device(said: dict[str, str], telling: Telling) -> Device:
    ids: dict[str, str] = {}
    found: dict[str, Any] = {"platform": telling.speaker.app.platform}
    for name, text in said.items():
        if name in DEVICE_TEXTS:
            found[name] = text
        elif name in DEVICE_IDS:
            ids.setdefault(DEVICE_IDS[name], text)
        elif name == "id":
            found["id"] = DeviceId(text)
        elif name == "platform" and text in PLATFORMS:
            found["platform"] = PLATFORMS[text]
        else:
            raise _Unusual
    if "id" not in found:
        raise _Unusual
    return Device(ids=ids, **found)


def _time(said: Any) -> int | None:
    if said is None or (type(said) is int and EARLIEST_MS <= said < _INTEGER_END):
        return said
    raise _Unusual


def _check(texts: Iterable[str], characters_max: int) -> None:
    """Raise _Unusual unless each text is one: not absent in words, nor too long, nor with control characters."""
    for text in texts:
        if not 0 < len(text) <= characters_max or not text.isprintable():
            raise _Unusual
        if (text[0] in SUSPECTS or len(text) in ZERO_HASH_CHARACTERS) and is_absent_id(text):
            raise _Unusual
