"""Corrections: revision n + 1 of a conversion, and of everything that was credited through it.

Nothing is edited: each step is an outcome of its own that names its cause and what stood before.
"""

from __future__ import annotations

from typing import Any

import msgspec

from attribune.attribute.crediting import sources
from attribune.attribute.state import DeviceState, Standing, in_force
from attribune.attribute.turn import Turn
from attribune.model.ids import TouchId
from attribune.model.outcome import (
    Attribution,
    Cause,
    ConversionKind,
    CreditedEvent,
    CreditedOpen,
    Source,
)
from attribune.model.policy import DAY_MS

#: How long before a conversion records may have happened that are credited to it (a server key's oldest times).
_BEFORE_MS = 400 * DAY_MS


def replace_standing(state: DeviceState, new: Standing) -> DeviceState:
    """The device with one of its conversions standing anew, in order of time."""
    others = [s for s in state.standings if s.conversion != new.conversion]
    standings = sorted([*others, new], key=lambda s: (s.at_ms, s.conversion))
    return msgspec.structs.replace(state, standings=tuple(standings))


def move_touch(turn: Turn, old: TouchId | None, new: TouchId | None, standing: Standing) -> None:
    """The touch that won before is free again, unless it stands for others too; the one that wins now is used."""
    if old and old != new:
        turn.desk.free_touch(old, standing.conversion)
    if new:
        turn.desk.use_touch(new, standing.conversion)


def revise(
    turn: Turn, state: DeviceState, old: Attribution, standing: Standing, why: Cause, **changes: Any
) -> DeviceState:
    """Write a conversion's next revision, then credit anew what was credited through it."""
    winner = _won(standing)
    new = msgspec.structs.replace(
        old,
        position=turn.position,
        judged_at_ms=turn.now_ms,
        revision=standing.revision,
        kind=standing.kind,
        source=standing.source,
        credit=standing.credit,
        at_ms=standing.at_ms,
        cause=why,
        previous=old.credit,
        previous_source=old.source,
        previous_kind=old.kind,
        previous_at_ms=old.at_ms,
        **({"handles": _with(old.handles, standing)} | changes),
    )
    said = turn.say(new)
    turn.desk.put_conversion(state.device, new.conversion, said.payload)
    move_touch(turn, old.credit.touch if old.credit else None, winner, standing)
    state = replace_standing(state, standing)
    turn.desk.put_device(state)
    turn.touched.add((state.product, state.device))
    credit_anew(turn, state, min(old.at_ms, standing.at_ms), why)
    return state


def _won(standing: Standing) -> TouchId | None:
    """The touch that a conversion uses up; a reinstall that carries its source on uses none."""
    carried = standing.kind is ConversionKind.REINSTALL and not standing.is_pinned
    return standing.credit.touch if standing.credit and not carried else None


def _with(handles: tuple[str, ...], standing: Standing) -> tuple[str, ...]:
    return tuple(sorted({*handles, standing.credit.touch})) if standing.credit else handles


def credit_anew(turn: Turn, state: DeviceState, from_ms: int, why: Cause) -> None:
    """Revise every open and event since a time whose source is not the one now in force."""
    first = not any(s.at_ms < from_ms for s in state.standings)
    since = max(0, min(from_ms, state.earliest_ms if first else from_ms))
    since = max(since, from_ms - _BEFORE_MS)
    _credit_since(turn, state, since, why)
    credit_followers(turn, state, from_ms, why)


def credit_followers(turn: Turn, state: DeviceState, from_ms: int, why: Cause) -> None:
    """Revise the events of other devices whose customer this one's conversions have brought."""
    for name in turn.desk.followers(state.product, state.device):
        follower = turn.desk.device(state.product, name)
        assert follower is not None, "who follows was credited"
        _credit_since(turn, follower, max(0, from_ms - _BEFORE_MS), why)


def _credit_since(turn: Turn, state: DeviceState, since: int, why: Cause) -> None:
    step = Cause(kind="cascade", position=why.position, reason=why.reason or why.kind, by=why.by)
    credited = list(turn.desk.credited(state.product, state.device, since, turn.now_ms + DAY_MS))
    for outcome in credited:
        revised = _credited_anew(turn, state, outcome, step)
        if revised is not None:
            said = turn.say(revised)
            turn.desk.put_credited(state.product, state.device, revised, said.payload)


def _credited_anew(
    turn: Turn, state: DeviceState, old: CreditedOpen | CreditedEvent, why: Cause
) -> CreditedOpen | CreditedEvent | None:
    """The next revision of what was credited, or None when it stands."""
    if isinstance(old, CreditedEvent):
        primary, secondary = sources(turn, state, old.at_ms, old.customer, old.about)
    else:
        primary, secondary = in_force(state, old.at_ms)
    words: dict[str, Any] = {
        "source": primary.source if primary else Source.UNKNOWN,
        "conversion": primary.conversion if primary else None,
        "credit": primary.credit if primary else None,
    }
    if isinstance(old, CreditedEvent):
        words["secondary"] = secondary.credit if secondary else None
        words["secondary_conversion"] = secondary.conversion if secondary else None
    if all(getattr(old, name) == value for name, value in words.items()):
        return None
    if isinstance(old, CreditedEvent):
        words["previous_secondary"] = old.secondary
    return msgspec.structs.replace(
        old,
        position=turn.position,
        judged_at_ms=turn.now_ms,
        revision=old.revision + 1,
        cause=why,
        previous=old.credit,
        previous_source=old.source,
        **words,
    )
