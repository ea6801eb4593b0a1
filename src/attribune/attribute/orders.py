"""Orders: whose an event is that a server tells by the order's number alone.

It is of whoever placed the order: the device, or while none is known the user, of the first event that bore its number. What is
remembered of them are hashes, and these lead to nobody who was forgotten.
"""

from __future__ import annotations

from attribune.attribute.rows import Placer
from attribune.attribute.state import DeviceState
from attribune.attribute.turn import Turn
from attribune.model.activity import Event
from attribune.model.ids import DeviceId
from attribune.model.outcome import UNDOING


def is_placing(record: Event) -> bool:
    """Whether an event says who placed an order: what undoes one does not, nor what is told by its number alone."""
    return bool(record.transaction_id) and not record.by_order and record.name not in UNDOING


def placer_of(turn: Turn, record: Event) -> Placer | None:
    """Who placed the order of an event that is told by its number alone; None of others, and while nobody has told of the order."""
    if not record.by_order:
        return None
    assert record.transaction_id is not None, "the door refuses what names nothing"
    return turn.desk.placer(record.product, record.transaction_id)


def placing_device(turn: Turn, record: Event) -> DeviceId | None:
    """The device that placed an event's order, or the one that its user was bound to by a server."""
    placer = placer_of(turn, record)
    if placer is None:
        return None
    if not placer.device:
        return turn.desk.device_bound(placer.user)
    state = turn.desk.device_under(placer.device)
    return state.device if state else None


def device_of(turn: Turn, record: Event) -> DeviceId | None:
    """The device that an event by an order is of.

    What undoes an order of somebody who may not be measured any more, or who was forgotten, is nobody's: the money goes back, and nothing
    is said of the person.
    """
    device = placing_device(turn, record)
    if device is None or record.name not in UNDOING:
        return device
    state = turn.desk.device(record.product, device)
    return None if state and not state.measurement else device


def held_to(turn: Turn, record: Event) -> DeviceState | None:
    """The device whose consent an event by an order is held to; what undoes an order is held to nobody's."""
    device = placing_device(turn, record) if record.name not in UNDOING else None
    return turn.desk.device(record.product, device) if device else None
