"""Ids of one kind never fit where another is expected; ids of derived things are derived from what they are about."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final, NewType

ProductId = NewType("ProductId", str)
AppId = NewType("AppId", str)
PartnerId = NewType("PartnerId", str)
LinkId = NewType("LinkId", str)
KeyId = NewType("KeyId", str)
DoorId = NewType("DoorId", str)
#: A UUIDv7 in its usual text form, so its first 48 bits are the millisecond it was made.
TouchId = NewType("TouchId", str)
#: Made by the sender, unique within a product; the same record sent again carries the same one.
RecordId = NewType("RecordId", str)
#: One installation of an app, made by its SDK.
DeviceId = NewType("DeviceId", str)
UserId = NewType("UserId", str)
#: One configuration of what a partner is told.
PostbackId = NewType("PostbackId", str)
#: Derived from (outcome, revision, trigger, postback): the same whenever it is told again.
DeliveryId = NewType("DeliveryId", str)
#: Derived from the open that converted: (product, record id of the open).
ConversionId = NewType("ConversionId", str)
#: Names the rules a decision was made under, such as ``attribune@3``.
PolicyVersion = NewType("PolicyVersion", str)
#: The place of an entry in the journal. Total within one journal: *before* means smaller.
Position = NewType("Position", int)

#: Stands before every entry.
START = Position(0)

#: Stands between the words of a hash: a sign that no word has.
_BETWEEN: Final = "\x1f"
_UUID7: Final = re.compile(
    r"([0-9a-fA-F]{8})-([0-9a-fA-F]{4})-7[0-9a-fA-F]{3}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
)


def uuid7(at_ms: int, chance: bytes) -> TouchId:
    """A UUIDv7 (RFC 9562 §5.7) of a time and ten bytes of chance."""
    rand = int.from_bytes(chance[:10], "big")
    bits = (at_ms & 0xFFFF_FFFF_FFFF) << 80 | 7 << 76 | (rand >> 68 & 0xFFF) << 64 | 2 << 62
    text = f"{bits | (rand & 0x3FFF_FFFF_FFFF_FFFF):032x}"
    return TouchId(f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")


def time_of(touch_id: TouchId) -> int | None:
    """The millisecond a touch id was made at, or None when the text is no UUIDv7."""
    found = _UUID7.fullmatch(touch_id)
    return int(found[1] + found[2], 16) if found else None


def digest(*parts: str, size: int = 16) -> bytes:
    """A short stable hash of some words; the words cannot run into each other."""
    return blake2b(_BETWEEN.join(parts).encode(), digest_size=size).digest()


_FORGOTTEN: Final = re.compile(r"forgotten:([0-9a-f]{32})")


def device_digest(product: ProductId, device: DeviceId) -> bytes:
    """What a device is kept under: a hash of its id, also when only the hash is left of the id."""
    known = _FORGOTTEN.fullmatch(device) if device.startswith("forgotten:") else None
    return bytes.fromhex(known[1]) if known else digest(product, device)


def is_forgotten(device: DeviceId) -> bool:
    """Whether only a hash is left of a device's id, since its person was forgotten."""
    return device.startswith("forgotten:") and _FORGOTTEN.fullmatch(device) is not None


def forgotten(product: ProductId, device: DeviceId) -> DeviceId:
    """What is left of a device's id when its person was forgotten: a hash, so that it stays forgotten."""
    return DeviceId(f"forgotten:{device_digest(product, device).hex()}")


def derived(prefix: str, *parts: str) -> str:
    """An id that a retry or a rebuild repeats, since it is made from what it is about."""
    return f"{prefix}_{blake2b(_BETWEEN.join(parts).encode(), digest_size=12).hexdigest()}"


def conversion_id(product: ProductId, open_record: RecordId) -> ConversionId:
    """The id of the conversion that an open made."""
    return ConversionId(derived("cv", product, open_record))
