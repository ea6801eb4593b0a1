"""Crediting opens and events to the source in force when they happened."""

from __future__ import annotations

import msgspec

from attribune.attribute import customer, orders, say
from attribune.attribute.state import DeviceState, Standing, in_force, seen
from attribune.attribute.turn import Turn
from attribune.model.activity import Event, Open, Sender
from attribune.model.ids import DeviceId, Position, UserId


def see(turn: Turn, state: DeviceState, at_ms: int) -> DeviceState:
    """Remember a sign of life."""
    state = msgspec.structs.replace(
        state, sessions=seen(state.sessions, at_ms), earliest_ms=min(state.earliest_ms, at_ms)
    )
    turn.desk.put_device(state)
    return state


def see_event(turn: Turn, state: DeviceState, record: Event) -> DeviceState:
    """Remember an event as a sign of life; what a server tells by an order's number alone is none."""
    return state if record.by_order else see(turn, state, record.occurred_at_ms)


def credit_open(turn: Turn, state: DeviceState, record: Open, about: Position) -> None:
    """Credit an open that is no conversion."""
    primary, _ = in_force(state, record.occurred_at_ms)
    outcome = say.credited_open(turn, record, about, primary)
    said = turn.say(outcome)
    turn.desk.put_credited(state.product, state.device, outcome, said.payload)


def credit_event(turn: Turn, state: DeviceState, record: Event, about: Position) -> None:
    """Credit an event to its primary, and during a re-engagement to its secondary source too."""
    user, bound = _customer(turn, state, record, about)
    primary, secondary = sources(turn, state, record.occurred_at_ms, user, about)
    outcome = say.credited_event(turn, record, about, primary, secondary)
    outcome = msgspec.structs.replace(
        outcome, device=state.device, customer=user
    )  # an event may name its user only
    for device in bound:
        if device != state.device:
            turn.desk.follow(state.product, device, state.device)
    said = turn.say(outcome)
    turn.desk.put_credited(state.product, state.device, outcome, said.payload)


def sources(
    turn: Turn, state: DeviceState, at_ms: int, user: UserId | None, about: Position
) -> tuple[Standing | None, Standing | None]:
    """The (primary, secondary) source of an event: of the customer whom a binding holds it for, else of its device."""
    brought = customer.brought_by(turn, state.product, user, at_ms, about) if user else None
    return (brought, None) if brought else in_force(state, at_ms)


def claimant(turn: Turn, state: DeviceState, record: Event, about: Position) -> Standing | None:
    """The source that an event would be credited to."""
    user, _ = _customer(turn, state, record, about)
    return sources(turn, state, record.occurred_at_ms, user, about)[0]


def is_customers(turn: Turn, state: DeviceState, record: Event, about: Position) -> bool:
    """Whether an event is a customer's whose source is known, whatever is known of its device."""
    user, _ = _customer(turn, state, record, about)
    if user is None:
        return False
    at_ms = record.occurred_at_ms
    return customer.brought_by(turn, state.product, user, at_ms, about) is not None


def _customer(
    turn: Turn, state: DeviceState, record: Event, about: Position
) -> tuple[UserId | None, list[DeviceId]]:
    """The customer whom an event is held for, and the devices bound; what an app says of its user binds nobody."""
    if not customer.is_bound(turn, state.product, about):
        return None, []
    said = record.user_id if record.sender is Sender.SERVER else None
    user = said or turn.desk.holder(state.product, state.device)
    if user is None:
        return None, []
    bound = customer.devices_of(turn, state.product, user, record.occurred_at_ms, about)
    return (user, bound) if bound else (None, [])


def device_of(turn: Turn, record: Event) -> DeviceId | None:
    """The device an event is of: its own, the one its user was bound to by a server, or the one that placed its order."""
    if record.device:
        return record.device.id
    if record.user_id:
        return turn.desk.user_device(record.product, record.user_id)
    return orders.device_of(turn, record)
