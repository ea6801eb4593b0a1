"""Events that wait for their device's first open, or for their order: held, let go and credited, or let go because their time is up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from attribune.attribute import aside, orders, say
from attribune.attribute.crediting import credit_event, device_of, see_event
from attribune.attribute.rows import HeldRow, Placer
from attribune.attribute.state import DeviceState
from attribune.attribute.turn import Turn
from attribune.model.activity import Event
from attribune.model.codec import decode
from attribune.model.ids import DeviceId, Position, ProductId, UserId, device_digest, digest
from attribune.model.position import Entry, Topic
from attribune.model.refusal import RefusalReason


def expire(turn: Turn) -> None:
    """Let go of events whose device never opened in time, or whose order nobody told: their source is unknown for good."""
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
    """Let an event wait for its device's first open, or for its order, as long as the policy says; with it goes what was journaled of it."""
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
    waiting = [
        _Waiting(waits_for, position, held, _held_event(held.payload, position))
        for position, held in turn.desk.held(waits_for)
    ]
    # What is told by an order's number comes after the event that placed the order, whichever came in first.
    for event in sorted(waiting, key=lambda one: one.record.by_order):
        _let_go(turn, event, partial(_released, turn))


def place(turn: Turn, record: Event, about: Position) -> None:
    """Remember of an event with a transaction number who placed the order."""
    if not orders.is_placing(record):
        return
    product = record.product
    assert record.transaction_id is not None, "without it there is no order"
    if device := device_of(turn, record):
        placer = Placer(device=device_digest(product, device))
    elif record.user_id:
        user = record.user_id
        placer = Placer(user=digest(product, user), waits_for=of_user(product, user))
    else:
        return
    turn.desk.put_order(product, record.transaction_id, about, placer)


def is_awaited(turn: Turn, record: Event) -> bool:
    """Whether an event tells of an order that others wait for."""
    if not orders.is_placing(record) or not turn.desk.awaits_orders(record.product):
        return False
    return bool(turn.desk.held(of_order(record), 1))


def release_order(turn: Turn, record: Event) -> None:
    """Credit what waited for an order, now that an event tells who placed it."""
    if is_awaited(turn, record):
        release(turn, of_order(record))


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
    if record.by_order:
        turn.desk.set_awaits_orders(record.product)
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


def _released(turn: Turn, event: _Waiting) -> None:
    device = device_of(turn, event.record)
    state = turn.desk.device(event.record.product, device) if device else None
    if state and state.has_opened:
        _credit_released(turn, state, event)
    else:
        _wait_on(turn, event)


def _credit_released(turn: Turn, state: DeviceState, event: _Waiting) -> None:
    if event.record.device is None:
        place(
            turn, event.record, event.position
        )  # it is this device's, whatever its user is bound to later
    state = see_event(turn, state, event.record)
    credit_event(turn, state, event.record, event.position)


def _wait_on(turn: Turn, event: _Waiting) -> None:
    waits_for = _waits_for(turn, event.record)
    assert waits_for is not None, "what has waited waits for something"
    _wait(turn, event.record, event.position, waits_for, event.held)


def _waits_for(turn: Turn, record: Event) -> bytes | None:
    """The device an event is of; while none is known, its user, or its order."""
    if device := device_of(turn, record):
        return of_device(record.product, device)
    if record.by_order:
        placer = orders.placer_of(turn, record)
        return placer.waits_for if placer and placer.waits_for else of_order(record)
    return of_user(record.product, record.user_id) if record.user_id else None


def of_device(product: ProductId, device: DeviceId) -> bytes:
    """What events wait for that are of a device."""
    return digest("device", product, device)


def of_user(product: ProductId, user: UserId) -> bytes:
    """What events wait for that name a user whom nobody has bound to a device."""
    return digest("user", product, user)


def of_order(record: Event) -> bytes:
    """What events wait for that name an order which nobody has told of."""
    assert record.transaction_id is not None, "an order has a number"
    return digest("order", record.product, record.transaction_id)


def _held_event(payload: bytes, position: Position) -> Event:
    record = decode(Entry(position, Topic.ACTIVITY, payload))
    assert isinstance(record, Event), "only events are held"
    return record
