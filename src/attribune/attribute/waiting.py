"""Events that wait for their device's first open: held, let go and credited, or let go because their time is up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from attribune.attribute import aside, say
from attribune.attribute.crediting import credit_event, device_of, see
from attribune.attribute.desk import HeldRow
from attribune.attribute.state import DeviceState
from attribune.attribute.turn import Turn
from attribune.model.activity import Event
from attribune.model.codec import decode
from attribune.model.ids import DeviceId, Position, ProductId, UserId, digest
from attribune.model.position import Entry, Topic
from attribune.model.refusal import RefusalReason


def expire(turn: Turn) -> None:
    """Let go of events whose device never opened in time: their source is unknown for good."""
    for waits_for, position, held in turn.desk.overdue(turn.now_ms):
        record = _held_event(held.payload, position)
        _let_go(
            turn,
            _Waiting(waits_for, position, held, record),
            lambda event: turn.say(
                say.credited_event(turn, event.record, event.position, None, None)
            ),
        )


def hold(turn: Turn, record: Event, about: Position, payload: bytes) -> None:
    """Let an event wait for its device's first open, as long as the policy says; with it goes what was journaled of it."""
    _, policy = turn.directory.policy(record.product, turn.position)
    waits_for = _waits_for(turn, record)
    if policy.hold_ms <= 0 or waits_for is None:
        turn.say(say.credited_event(turn, record, about, None, None))
        return
    held = HeldRow(payload, turn.now_ms + policy.hold_ms)
    if _wait(turn, record, about, waits_for, held):
        turn.say(say.held(turn, record, about, held.due_ms))


def release(turn: Turn, waits_for: bytes) -> None:
    """Credit what waited, now that its device is known; before that device has opened, it waits on for it."""
    for position, held in turn.desk.held(waits_for):
        record = _held_event(held.payload, position)
        device = device_of(turn, record)
        assert device is not None, "what is released has a device"
        state = turn.desk.device(record.product, device)
        event = _Waiting(waits_for, position, held, record)
        if state and state.has_opened:
            _let_go(turn, event, partial(_credit_released, turn, state))
        else:
            _let_go(turn, event, partial(_wait_on, turn, device))


def drop(turn: Turn, waits_for: bytes, refuse: Callable[[Turn, Event, Position], None]) -> None:
    """Let go of what waited, and refuse it."""
    for position, held in turn.desk.held(waits_for):
        event = _held_event(held.payload, position)
        turn.desk.let_go(waits_for, position, held.due_ms)
        refuse(turn, event, position)


def _wait(turn: Turn, record: Event, about: Position, waits_for: bytes, held: HeldRow) -> bool:
    """Whether an event may wait with those that wait for the same already; else it is refused."""
    limit = turn.limits.held_events_max
    if len(turn.desk.held(waits_for, limit)) >= limit:
        say.refuse(turn, record, about, RefusalReason.TOO_MANY_HELD)
        return False
    turn.desk.hold(waits_for, about, held.payload, held.due_ms)
    return True


class _Waiting(NamedTuple):
    """An event that waits: for what, its place, how it is remembered, itself."""

    waits_for: bytes
    position: Position
    held: HeldRow
    record: Event


def _let_go(turn: Turn, event: _Waiting, then: Callable[[_Waiting], object]) -> None:
    """Let an event wait no more for what it waited for.

    One that cannot be credited, by a mistake of ours, is set aside and holds up nothing else.
    """

    def judge() -> None:
        turn.desk.let_go(event.waits_for, event.position, event.held.due_ms)
        then(event)

    def set_aside() -> None:
        turn.desk.let_go(event.waits_for, event.position, event.held.due_ms)
        aside.held_event(turn, event.record, event.position)

    turn.attempt(event.position, judge, set_aside)


def _credit_released(turn: Turn, state: DeviceState, event: _Waiting) -> None:
    state = see(turn, state, event.record.occurred_at_ms)
    credit_event(turn, state, event.record, event.position)


def _wait_on(turn: Turn, device: DeviceId, event: _Waiting) -> None:
    waits_for = of_device(event.record.product, device)
    _wait(turn, event.record, event.position, waits_for, event.held)


def _waits_for(turn: Turn, record: Event) -> bytes | None:
    """The device an event is of; while none is known, its user."""
    if device := device_of(turn, record):
        return of_device(record.product, device)
    return of_user(record.product, record.user_id) if record.user_id else None


def of_device(product: ProductId, device: DeviceId) -> bytes:
    """What events wait for that are of a device."""
    return digest("device", product, device)


def of_user(product: ProductId, user: UserId) -> bytes:
    """What events wait for that name a user whom nobody has bound to a device."""
    return digest("user", product, user)


def _held_event(payload: bytes, position: Position) -> Event:
    record = decode(Entry(position, Topic.ACTIVITY, payload))
    assert isinstance(record, Event), "only events are held"
    return record
