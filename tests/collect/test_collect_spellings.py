"""A record is read the same at once, from its decoded fields, and from the raw JSON of each, however it is spelled."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_collect_fuzz import WORDS, records, telling

from attribune.collect import native
from attribune.collect.dialects import DIALECTS, Letter
from attribune.collect.fields import Fields, checked_json
from attribune.collect.native import read_record
from attribune.collect.refuse import Refused
from attribune.model.activity import Sender
from attribune.model.codec import encode
from attribune.model.control import Door
from attribune.model.ids import DoorId

#: Values that JSON has several spellings for, that lie at a limit, or that are nothing said.
SPELLINGS = [
    b"null", b"true", b"false", b"0", b"-0", b"-1", b"1", b"1.0", b"1e3", b"-0.0", b"1E400", b"1795305600000", b"1795305600000.0",
    b"1.7953056e12", b"946684799999", b"946684800000", b"999999999999999999", b"1000000000000000000", b"18446744073709551616",
    b"17953056000000000000000000000", b'""', b'"null"', b'"NULL"', b'"nULL"', b'"0"', b'"0000000000000000"', b'"0-0"',
    b'"{x}"', b'"[clickid]"', b'"[US]"', b'"d"', b'" d "', b'"a\\u0000b"', b'"a\\nb"', b'"a\\u007fb"', b'"a\x7fb"', b'"\\u2028"',
    b'"\\ud83d\\ude00"', b'"\\ud800"', b'"\\/"', b'"\xc3\xa9"', b'"\xff"', b'"\xed\xa0\x80"', b'"' + b"x" * 257 + b'"',
    b'"' + b"x" * 4097 + b'"', b'"2026-11-21T10:00:00Z"', b'"2026\\u002d11-21T10:00:00Z"', b'"2026-11-21T10:00:00"',
    b'"12.50"', b'"12.505"', b'"-5"', b'"EUR"', b'"eur"', b'"android"', b'"tvOS"', b'"OTHER"', b'"play"', b'"other"', b'"getjar"',
    b'"203.0.113.9"', b'"::ffff:1.2.3.4"', b'"1.2.3.4:80"', b'"01.2.3.4"', b'"1.2.3.256"', b'"home"', b'"open"', b'"event"',
    b"{}", b"[]", b"[null]", b"[{}]", b"[[]]", b'{"id":"d"}', b'{"id":"d","id":"e"}', b'{"amount":"1"}', b'{"amount":1.10}',
    b'{"a":1.10,"b":"\\u00e9","c":null,"d":{"e":[1e3]}}', b'[{"source":"play","value":"x","click_at":0}]',
    b'[{"source":"other","value":"x"}]', b'{"version":"1","id":"game-ios"}', b'{"gaid":"A","aifa":"B","idfv":"C","platform":"other"}',
    b'[{"source":"play","value":"x","click_at":-0,"more":1.0}]', b'[{"value":"a\\u0000"},5]', b"[" + b"{}," * 16 + b"{}]",
    b"[" * 16 + b"]" * 16, b"[" * 17 + b"]" * 17, b"", b"nul", b"{", b"01",
]  # fmt: skip
#: An escaped letter in a name, too.
NAMES = [
    *(f'"{word}"'.encode() for word in WORDS),
    b'"i\\u0064"',
    b'"unknown"',
    b'""',
    b'"\\ud800"',
]


def _object(inner: st.SearchStrategy[bytes], size: int) -> st.SearchStrategy[bytes]:
    pairs = st.tuples(st.sampled_from(NAMES), inner).map(b":".join)
    return st.lists(pairs, max_size=size).map(lambda said: b"{" + b",".join(said) + b"}")


spellings = st.sampled_from(SPELLINGS)
values = st.one_of(spellings, _object(spellings, 6))
#: What a record of each type needs, and no more.
NEEDED: dict[str, dict[bytes, bytes]] = {
    "open": {},
    "event": {b'"name"': b'"n"'},
    "consent": {b'"sharing"': b"true"},
    "evidence": {b'"link_opened"': b'"x"'},
    "claim": {b'"partner"': b'"acme"', b'"touch_at"': b"1795305600000"},
    "click": {b'"link"': b'"plain"'},
    "track": {b'"messageId"': b'"m"', b'"anonymousId"': b'"a"', b'"event"': b'"Order Completed"'},
    "page": {b'"messageId"': b'"m"', b'"anonymousId"': b'"a"'},
}
#: The objects of a record in which spellings matter, by the type that has them.
HOLDERS: dict[str, tuple[bytes, ...]] = {
    "open": (b'"device"', b'"app"'),
    "event": (b'"revenue"', b'"params"'),
    "click": (b'"device"', b'"cost"'),
}
#: Names of a device, of an app and of a referrer that stand in no other object.
INNER = [b'"os_version"', b'"model"', b'"idfa"', b'"idfv"', b'"app_set_id"', b'"locale"', b'"sdk"', b'"build"', b'"install_begin_at"']  # fmt: skip


def based(kind: str, more: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A record of a type with what it needs and more; what is named twice is said twice."""
    base = {b'"type"': b'"%b"' % kind.encode(), b'"id"': b'"r"', b'"device"': b'{"id":"d"}'}
    return b"{" + b",".join(map(b":".join, [*(base | NEEDED[kind]).items(), *more])) + b"}"


spelled = st.builds(
    based,
    st.sampled_from([*NEEDED]),
    st.lists(st.tuples(st.sampled_from([*NAMES, *INNER]), values), max_size=4),
)
raws = st.one_of(spelled, spellings, records.map(lambda said: json.dumps(said).encode()))
senders = st.sampled_from([Sender.APP, Sender.SERVER])


def still_raw(raw: bytes, depth_max: int, path: str = "") -> Fields:
    """The fields of an object with each of them still raw."""
    return Fields.of(checked_json(raw, depth_max, path), path)


def every_way(read: Any) -> None:
    """What is read at once, from decoded fields, and from raw ones, is one and the same."""
    at_once = read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "read_usual", lambda *_: None)
        assert read() == at_once
        patch.setattr(Fields, "checked", still_raw)
        assert read() == at_once


def said_of(refused: Refused) -> tuple[Any, ...]:
    return refused.reason, refused.param, refused.message, refused.status, refused.code


def told(raw: bytes, sender: Sender, kind: str | None) -> Any:
    try:
        kept = read_record(raw, telling(sender), "records[0]", kind)
    except Refused as refused:
        return said_of(refused)
    return kept.topic, encode(kept.record), kept.wants_attribution


@settings(max_examples=1500)
@given(raws, senders, st.sampled_from([None, "open", "event"]))
@example(b'{"type":"open","id":"r","device":{"id":"d"},"app":{"x":1.0,"y":null}}', Sender.APP, None)
def test_a_native_record_is_the_same_however_its_fields_are_decoded(raw, sender, kind):
    every_way(lambda: told(raw, sender, kind))


@pytest.mark.parametrize("value", SPELLINGS, ids=repr)
@pytest.mark.parametrize("kind", ["open", "event", "consent", "evidence", "claim", "click"])
def test_every_spelling_of_every_field_is_read_the_same(kind, value):
    for name in [*NAMES, *INNER]:
        inside = b'{"id":"game-android","amount":"1","currency":"EUR",%b:%b}' % (name, value)
        bare = b'{"amount":"1","currency":"EUR",%b:%b}' % (name, value)
        holders = HOLDERS.get(kind, ())
        pairs = [(name, value), *((holder, said) for holder in holders for said in (inside, bare))]
        for pair in pairs:
            raw = based(kind, [pair])
            every_way(lambda raw=raw: told(raw, Sender.SERVER, None))


@settings(max_examples=500)
@given(raws, st.sampled_from(["t", "p", "batch"]), st.booleans())
def test_a_segment_event_is_the_same_however_its_fields_are_decoded(raw, path, trusted):
    door = Door(
        id=DoorId("d"), app="game-android", dialect="segment", sha256="", is_trusted=trusted
    )
    body = b'{"batch":[%b]}' % raw if path == "batch" else raw
    letter = Letter("POST", f"/v1/{path}", body=body)

    def read() -> Any:
        try:
            judged = list(DIALECTS["segment"].read(letter, telling(Sender.APP), door))
        except Refused as refused:
            return said_of(refused)
        return [
            said_of(verdict) if isinstance(verdict, Refused) else (verdict.topic, encode(verdict.record))
            for verdict, _ in judged
        ]  # fmt: skip

    every_way(read)
