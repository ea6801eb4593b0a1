"""Records to bytes and back, and what is said of bytes that are no record."""

from __future__ import annotations

import msgspec
import pytest

from attribune.model.activity import KnownDevice
from attribune.model.codec import VERSION, decode, encode
from attribune.model.control import Change, Tick
from attribune.model.errors import JournalDamaged
from attribune.model.ids import Position
from attribune.model.position import Entry, Topic

TICK = Change(at_ms=1, record=Tick(at_ms=1))


def entry(payload: bytes, topic: Topic = Topic.CONTROL) -> Entry:
    return Entry(Position(77), topic, payload)


def test_the_same_record_is_the_same_bytes_and_comes_back_whole() -> None:
    assert encode(TICK) == encode(Change(at_ms=1, record=Tick(at_ms=1)))
    assert decode(entry(encode(TICK))) == TICK


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x02" + encode(TICK)[1:]])
def test_an_entry_of_another_version_is_damaged_and_says_which_and_where(payload: bytes) -> None:
    with pytest.raises(JournalDamaged) as fault:
        decode(entry(payload))
    assert "entry 77 of control" in fault.value.message
    assert f"version {payload[:1]!r}, not {VERSION}" in fault.value.message


@pytest.mark.parametrize(
    "payload",
    [
        encode(TICK)[:-1],
        encode(TICK) + b"\xc0",
        bytes([VERSION]),
        bytes([VERSION]) + b"\xc1",
        bytes([VERSION]) + b"\x81\xa2\xff\xfe\x01",
        bytes([VERSION]) + msgspec.msgpack.encode({"type": "nothing we know"}),
    ],
    ids=["cut short", "too long", "empty", "no MessagePack", "no text", "another record"],
)
def test_an_entry_that_cannot_be_read_is_damaged_and_says_where(payload: bytes) -> None:
    with pytest.raises(JournalDamaged, match="entry 77 of control cannot be read"):
        decode(entry(payload))


def test_a_record_in_the_wrong_topic_is_damaged() -> None:
    with pytest.raises(JournalDamaged, match="entry 77 of activity"):
        decode(entry(encode(TICK), Topic.ACTIVITY))


def test_what_a_later_version_adds_is_skipped_and_what_an_older_one_left_out_is_absent() -> None:
    said = {
        "type": "known",
        "id": "r1",
        "product": "game",
        "app": "game-app",
        "sender": "operator",
        "received_at_ms": 2,
        "occurred_at_ms": 1,
        "device": {"id": "d1", "platform": "android", "of_later": [1, {"x": None}]},
        "of_later": {"any": ["thing"]},
    }
    record = decode(entry(bytes([VERSION]) + msgspec.msgpack.encode(said), Topic.ACTIVITY))
    assert isinstance(record, KnownDevice)
    assert (record.device.id, record.last_seen_at_ms, record.extra) == ("d1", None, {})
