"""The rows of the attributor's store: their tables, and what stands in them."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from attribune.model.ids import DeviceId, Position
from attribune.model.outcome import Attribution

# Tables. Those with a week bucket are dropped when old; the others stay.
TOUCH: Final = 1
TOUCH_KEY: Final = 2
USED: Final = 3
DEVICE: Final = 4
PERSON: Final = 5
RECORD: Final = 6
TRANSACTION: Final = 7
CREDITED: Final = 8
HELD: Final = 9
DUE: Final = 10
CONVERSION: Final = 11
USER: Final = 12
ADDRESS: Final = 13
META: Final = 14
CUSTOMER: Final = 15
HOLDER: Final = 16
FOLLOWER: Final = 17
KNOWN_BY: Final = 18
ORDER: Final = 19

_T = TypeVar("_T")

encode_row: Final = msgspec.msgpack.Encoder().encode
_decoders: dict[type, msgspec.msgpack.Decoder[Any]] = {}


def decode_row(data: bytes, kind: type[_T]) -> _T:
    """What was encoded as a row."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    return decoder.decode(data)  # type: ignore[no-any-return]  # of the kind asked for


class Meta(msgspec.Struct, array_like=True):
    """What the attributor remembers of itself. Not frozen: the journal's time moves on with nearly every entry."""

    #: The largest receipt time seen.
    journal_ms: int = 0
    #: The place of the newest outcome it has written.
    outcomes_end: Position = Position(0)
    #: Decisions that came out differently when made again after a crash: an audit failure.
    differences: int = 0
    #: Records set aside, since a mistake of ours kept them from being judged.
    set_aside: int = 0


class PersonSeen(msgspec.Struct, frozen=True, array_like=True):
    """When a device was seen with an identifier. Milliseconds, UTC."""

    first_ms: int
    last_ms: int
    #: The device was imported as an existing user's.
    is_known: bool = False


class Owner(msgspec.Struct, frozen=True, array_like=True):
    """Whose a conversion is, and its newest revision."""

    device: DeviceId
    newest: Attribution


class Binding(msgspec.Struct, frozen=True, array_like=True):
    """That a server has bound a user to a device, and when. Milliseconds, UTC."""

    device: DeviceId
    at_ms: int


class HeldRow(msgspec.Struct, frozen=True, array_like=True):
    """An event waiting for its device's first open, as it was journaled."""

    payload: bytes
    due_ms: int


class Placer(msgspec.Struct, frozen=True, array_like=True):
    """Who placed an order, by hashes that lead to nobody who was forgotten."""

    #: What its device is kept under; empty when only a user is known.
    device: bytes = b""
    #: What is kept of its user: the device that a server has bound them to.
    user: bytes = b""
    #: What events of that user wait for until then.
    waits_for: bytes = b""
