"""Events that a server tells by the click alone: of the device that the click brought, or of one that stands in for it.

A site without the script, or a visitor who blocks it, never opens anything. The event implies the open then, of a device named
after the touch; when the true one opens later, it is the same person come again and no second install.
"""

from __future__ import annotations

from typing import Final

import msgspec

from attribune.attribute import say
from attribune.attribute.state import DeviceState
from attribune.attribute.turn import Turn
from attribune.model.activity import Activity, Device, Event
from attribune.model.ids import DeviceId, ProductId, TouchId

_PREFIX: Final = "touch:"


def stand_in(touch: TouchId) -> DeviceId:
    """The device that stands in for the one that a touch will have brought."""
    return DeviceId(f"{_PREFIX}{touch}")


def is_stand_in(device: DeviceId) -> bool:
    """Whether a device only stands in for one."""
    return device.startswith(_PREFIX)


def with_device(turn: Turn, record: Activity) -> Activity:
    """The record itself; of an event that names a touch of its product and no device, with that touch's device."""
    if not isinstance(record, Event) or record.device or record.touch_id is None:
        return record
    filed = turn.touch(record.touch_id)
    if filed is None or filed[1].product != record.product:
        return record
    name = _brought(turn, record.product, record.touch_id) or stand_in(record.touch_id)
    state = turn.desk.device(record.product, name)
    platform = state.platform if state else say.platform_of(turn, record.app)
    return msgspec.structs.replace(record, device=Device(id=name, platform=platform))


def stood_in(turn: Turn, state: DeviceState) -> DeviceState | None:
    """The stand-in that has opened in this device's place, when a touch of its evidence has one."""
    for touch in state.dossier.touches:
        earlier = turn.desk.device(state.product, stand_in(touch))
        if earlier and earlier.has_opened and earlier.device != state.device:
            return earlier
    return None


def _brought(turn: Turn, product: ProductId, touch: TouchId) -> DeviceId | None:
    """The device of the conversion that a touch stands for."""
    owners = (turn.desk.conversion(conversion) for conversion in turn.desk.won_by(touch))
    return next(
        (owner.device for owner in owners if owner and owner.newest.product == product), None
    )
