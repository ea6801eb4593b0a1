"""Whatever is sent, the readers give a record or a refusal, and never anything else."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from front import GAME, registry
from hypothesis import given, settings
from hypothesis import strategies as st

from attribune.collect.dialects import DIALECTS, Heard, Letter
from attribune.collect.links import read_touch
from attribune.collect.native import read_batch, read_record
from attribune.collect.records import Telling
from attribune.collect.refuse import Refused
from attribune.collect.request import plain_address
from attribune.collect.speaker import Speaker
from attribune.collect.targets import asked_target, is_allowed, way
from attribune.collect.verdict import Kept, peek
from attribune.model.activity import Platform, Sender
from attribune.model.codec import decode, encode
from attribune.model.control import Door, Link
from attribune.model.ids import DoorId, LinkId, PartnerId, TouchId
from attribune.model.position import Entry, Topic
from attribune.model.touch import LinkHit, TouchKind
from attribune.settings import Settings

DIRECTORY = registry()
LINK = DIRECTORY.link("plain")
WORDS = [
    "type", "id", "at", "sent_at", "device", "platform", "gaid", "app", "app_id", "user_id", "referrers", "source", "value",
    "click_at", "link_opened", "want_attribution", "name", "revenue", "amount", "currency", "transaction_id", "params",
    "measurement", "sharing", "tcf", "partner", "kind", "touch_at", "link", "ip", "user_agent", "cost", "click_lookback",
    "is_retargeting", "context", "os", "properties", "traits", "event", "messageId", "anonymousId", "userId", "timestamp",
    "originalTimestamp", "sentAt", "batch", "records", "advertisingId", "library", "version", "campaign", "order_id", "total",
]  # fmt: skip
VALUES = [
    "open", "event", "consent", "evidence", "claim", "click", "impression", "track", "identify", "plain", "acme", "game-android",
    "other-android", "2026-11-21T10:00:00Z", "EUR", "12.50", "-1", "", "null", "{x}", "0", "203.0.113.9", "Order Completed",
    "Application Opened", "\x00", "\ud800"[:0], "é", "7d",
]  # fmt: skip
text = st.one_of(st.sampled_from(VALUES), st.text(max_size=30))
scalar = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), text,
    st.integers(1_700_000_000_000, 1_800_000_000_000),
)  # fmt: skip
names = st.one_of(st.sampled_from(WORDS), st.text(max_size=10))
tree: st.SearchStrategy[Any] = st.recursive(
    scalar,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=8)),
    max_leaves=25,
)
records = st.dictionaries(names, tree, max_size=12).map(
    lambda said: {"id": "r", "type": "open", "device": {"id": "d"}, **said}
)
json_bytes = st.one_of(
    st.binary(max_size=200),
    tree.map(lambda value: json.dumps(value).encode()),
    records.map(lambda value: json.dumps(value).encode()),
)


def telling(sender: Sender) -> Telling:
    return Telling(
        speaker=Speaker(
            sender=sender, app=DIRECTORY.app("game-android"), product=DIRECTORY.product(GAME)
        ),
        directory=DIRECTORY,
        settings=Settings(),
        received_at_ms=1_795_305_600_000,
        ip="198.51.100.4",
        user_agent="x",
    )


def check(kept: Kept) -> None:
    """What was understood can be journaled and read again, and is within limits."""
    payload = encode(kept.record)
    assert encode(decode(Entry(1, kept.topic, payload))) == payload
    for value in getattr(kept.record, "params", {}).values():
        json.loads(value)


@settings(max_examples=400)
@given(json_bytes, st.sampled_from([Sender.APP, Sender.SERVER]), st.sampled_from([None, "open", "event", "claim", "click"]))  # fmt: skip
def test_native_records(raw, sender, kind):
    peek(raw)
    try:
        verdict: Kept | Refused = read_record(raw, telling(sender), "records[0]", kind)
    except Refused as refused:
        verdict = refused
    if isinstance(verdict, Kept):
        check(verdict)
    else:
        assert verdict.message
        assert 400 <= verdict.status < 500


@settings(max_examples=200)
@given(
    st.one_of(
        json_bytes, st.lists(records, max_size=3).map(lambda r: json.dumps({"records": r}).encode())
    )
)
def test_native_batches(raw):
    try:
        raws, circumstances, extra = read_batch(raw, telling(Sender.APP))
    except Refused:
        return
    msgspec.msgpack.encode(extra)
    for inner in raws:
        try:
            check(read_record(bytes(inner), circumstances))
        except Refused:
            continue


@settings(max_examples=300)
@given(st.one_of(json_bytes, st.lists(records, max_size=3).map(lambda r: json.dumps({"batch": r}).encode())), st.sampled_from(["batch", "t", "identify", "x"]), st.booleans())  # fmt: skip
def test_segment_letters(raw, path, trusted):
    segment = DIALECTS["segment"]
    door = Door(
        id=DoorId("d"), app="game-android", dialect="segment", sha256="", is_trusted=trusted
    )
    letter = Letter("POST", f"/v1/{path}", body=raw)
    try:
        segment.hold_to_key(letter, door, lambda: None)
    except Refused as refused:
        segment.refuse(refused, letter)
    try:
        judged = list(segment.read(letter, telling(Sender.APP), door))
    except Refused as refused:
        segment.refuse(refused, letter)
        return
    segment.accept(Heard(letter, door, [verdict for verdict, _ in judged], None, "https://a", 0))
    for verdict, _ in judged:
        if isinstance(verdict, Kept):
            check(verdict)


part = st.tuples(
    st.one_of(st.sampled_from(["click_id", "c", "gaid", "ip", "cost", "cost_currency", "click_lookback", "foo"]), st.text(max_size=8)),
    st.one_of(st.sampled_from(["1", "%ff", "%00", "7d", "EUR", "{x}"]), st.text(max_size=20)),
).map("=".join)  # fmt: skip
queries = st.one_of(st.text(max_size=200), st.lists(part, max_size=80).map("&".join))


@settings(max_examples=400)
@given(queries, st.booleans())
def test_queries(query, trusted):
    # The server hands over what is UTF-8 and nothing else.
    query = query.encode("utf-8", "ignore").decode()
    hit = LinkHit(
        id=TouchId("t"), kind=TouchKind.CLICK, link=LINK.id, received_at_ms=1, query=query, trusted=trusted
    )  # fmt: skip
    touch = read_touch(hit, LINK)
    payload = encode(touch)
    assert encode(decode(Entry(1, Topic.TOUCHES, payload))) == payload
    assert len(touch.extra) <= 64
    assert all(len(value) <= 2048 for value in touch.extra.values())


@settings(max_examples=300)
@given(
    st.text(max_size=60),
    st.sampled_from(["", "https://", "https://shop.example", "//shop.example@"]),
)
def test_locations_are_plain_ascii_and_stay_on_their_host(tail, head):
    url = head + tail
    if is_allowed(url, {"shop.example"}):
        rest = url[len("https://shop.example") :].removeprefix(":443")
        assert url[: len("https://shop.example")].lower() == "https://shop.example"
        assert rest == "" or rest[0] in "/?#"
    link = Link(
        id=LinkId("l"),
        product=GAME,
        partner=PartnerId("a"),
        campaign=tail.encode("utf-8", "ignore").decode(),
    )
    made = way(f"https://shop.example/{tail.encode('utf-8', 'ignore').decode()}", link, "a", "x")
    for piece in made:
        assert piece.isascii()
        assert piece == "" or (piece.isprintable() and " " not in piece)


@pytest.mark.parametrize("platform", list(Platform))
@given(queries)
def test_asked_targets_are_allowed_ones(platform, query):
    found = asked_target(query, platform, {"shop.example"})
    assert found is None or is_allowed(found, {"shop.example"})


@given(st.text(max_size=40))
def test_addresses(said):
    found = plain_address(said)
    assert found is None or plain_address(found) == found
