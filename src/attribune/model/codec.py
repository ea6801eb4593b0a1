"""Records to bytes and back: MessagePack, one tagged union per topic, and a version in front.

A payload is one byte of version and the record. Within a version fields may be added with a default and are never
renamed; an older reader skips what it does not know.
"""

from __future__ import annotations

from typing import Final

import msgspec

from attribune.model.activity import Activity
from attribune.model.control import Change
from attribune.model.delivery import Delivery
from attribune.model.errors import JournalDamaged
from attribune.model.outcome import Outcome
from attribune.model.position import Entry, Topic
from attribune.model.refusal import Refusal
from attribune.model.touch import TouchRecord

VERSION: Final = 1
_MARK: Final = bytes([VERSION])

_encoder = msgspec.msgpack.Encoder()
_decoders: Final[dict[Topic, msgspec.msgpack.Decoder]] = {  # type: ignore[type-arg]
    Topic.TOUCHES: msgspec.msgpack.Decoder(TouchRecord),
    Topic.ACTIVITY: msgspec.msgpack.Decoder(Activity),
    Topic.CONTROL: msgspec.msgpack.Decoder(Change),
    Topic.OUTCOMES: msgspec.msgpack.Decoder(Outcome),
    Topic.REFUSED: msgspec.msgpack.Decoder(Refusal),
    Topic.DELIVERIES: msgspec.msgpack.Decoder(Delivery),
}

Record = TouchRecord | Activity | Change | Outcome | Refusal | Delivery


def encode(record: Record) -> bytes:
    """A record as journaled."""
    return _MARK + _encoder.encode(record)


def body(payload: bytes) -> bytes:
    """The record alone, encoded, without the version in front."""
    return payload[1:]


def decode(entry: Entry) -> Record:
    """The record of an entry. Raises JournalDamaged when it cannot be read."""
    payload = entry.payload
    if payload[:1] != _MARK:
        raise JournalDamaged(
            f"entry {entry.position} of {entry.topic} has version {payload[:1]!r}, not {VERSION}"
        )
    try:
        return _decoders[entry.topic].decode(memoryview(payload)[1:])  # type: ignore[no-any-return]
    except msgspec.MsgspecError as fault:
        raise JournalDamaged(
            f"entry {entry.position} of {entry.topic} cannot be read: {fault}"
        ) from fault
