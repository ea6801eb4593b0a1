"""Crediting opens and events to the source in force when they happened."""

from __future__ import annotations

import msgspec

from attribune.attribute import say
from attribune.attribute.state import DeviceState, in_force, seen
from attribune.attribute.turn import Turn
from attribune.model.activity import Event, Open
from attribune.model.ids import DeviceId, Position


def see(turn: Turn, state: DeviceState, at_ms: int) -> DeviceState:
    """Remember a sign of life."""
    state = msgspec.structs.replace(
        state, sessions=seen(state.sessions, at_ms), earliest_ms=min(state.earliest_ms, at_ms)
    )
    turn.desk.put_device(state)
    return state


def credit_open(turn: Turn, state: DeviceState, record: Open, about: Position) -> None:
    """Credit an open that is no conversion."""
    primary, _ = in_force(state, record.occurred_at_ms)
    outcome = say.credited_open(turn, record, about, primary)
    said = turn.say(outcome)
    turn.desk.put_credited(state.product, state.device, outcome, said.payload)


def credit_event(turn: Turn, state: DeviceState, record: Event, about: Position) -> None:
    """Credit an event to its primary, and during a re-engagement to its secondary source too."""
    primary, secondary = in_force(state, record.occurred_at_ms)
    outcome = say.credited_event(turn, record, about, primary, secondary)
    outcome = msgspec.structs.replace(
        outcome, device=state.device
    )  # an event may name its user only
    said = turn.say(outcome)
    turn.desk.put_credited(state.product, state.device, outcome, said.payload)


def device_of(turn: Turn, record: Event) -> DeviceId | None:
    """The device an event is of: its own, or the one its user was bound to by a server."""
    if record.device:
        return record.device.id
    return turn.desk.user_device(record.product, record.user_id) if record.user_id else None
