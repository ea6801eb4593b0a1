"""What a person allows: the choice that was said last is in force, in whatever order choices arrive."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from attribune.attribute import say, waiting
from attribune.attribute.foreign import partner_named, readable
from attribune.attribute.state import DeviceState, new_device
from attribune.attribute.turn import Turn
from attribune.model.activity import Consent, Event
from attribune.model.ids import Position
from attribune.model.refusal import RefusalReason

#: Partners of whom a device remembers when it spoke of them; of more, the choice that arrives last counts.
PARTNERS_MAX: Final = 100


def consent(turn: Turn, record: Consent, about: Position) -> None:
    """Take note of what a person allows; with it may change what an SDK is told that asks for the attribution.

    What waits of a person who may not be measured any more is let go of.
    """
    found = turn.desk.device(record.product, record.device.id)
    before = found or new_device(record, record.device)
    partners = _partners(turn, before, record)
    state = _sharing(_measurement(before, record), record)
    said_ms = {**state.partners_said_ms, **dict.fromkeys(partners, record.occurred_at_ms)}
    newest = sorted(said_ms, key=lambda name: (said_ms[name], name))[-PARTNERS_MAX:]
    state = replace(state, partners_said_ms={name: said_ms[name] for name in sorted(newest)})
    shares = state.measurement and state.sharing is not False
    say.note_consent(turn, record, about, shares=shares, partners=partners)
    turn.touched.add((state.product, state.device))
    turn.desk.put_device(state)
    if not state.measurement:
        waiting.drop(turn, waiting.of_device(state.product, state.device), _refuse)


def _measurement(state: DeviceState, record: Consent) -> DeviceState:
    at_ms = record.occurred_at_ms
    if record.measurement is None or at_ms < state.measurement_said_ms:
        return state
    return replace(state, measurement=record.measurement, measurement_said_ms=at_ms)


def _sharing(state: DeviceState, record: Consent) -> DeviceState:
    at_ms = record.occurred_at_ms
    if record.sharing is None or at_ms < state.sharing_said_ms:
        return state
    return replace(state, sharing=record.sharing, sharing_said_ms=at_ms)


def _partners(turn: Turn, state: DeviceState, record: Consent) -> dict[str, bool]:
    """The choices about single partners that are newer than what was said of them before, by our ids where they are ours."""
    said: dict[str, bool] = {}
    for name, may in record.partners.items():
        partner = partner_named(turn, name) or _plain(name)
        said[partner] = may and said.get(partner, True)  # of two names of one partner a no counts
    at_ms, before = record.occurred_at_ms, state.partners_said_ms
    return {name: said[name] for name in sorted(said) if at_ms >= before.get(name, 0)}


def _plain(name: str) -> str:
    """As the id would read that a partner of that name got."""
    return readable(name) or name


def _refuse(turn: Turn, event: Event, about: Position) -> None:
    """Refuse an event that waited. Its transaction may be told again, once the person may be measured."""
    if event.transaction_id:
        turn.desk.forget_transaction(event.product, event.name, event.transaction_id)
    say.refuse(turn, event, about, RefusalReason.NO_CONSENT)
