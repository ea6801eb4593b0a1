"""Returns: a device that has the app comes back through a touch."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from attribune.attribute import say
from attribune.attribute.cascade import credit_anew, move_touch, replace_standing, revise
from attribune.attribute.decide import Case, Decision, decide, silent_ms
from attribune.attribute.gather import Search, gather
from attribune.attribute.state import DeviceState, Standing, installation, lasting, seen
from attribune.attribute.turn import Turn
from attribune.model.activity import Claim, Evidence, Open
from attribune.model.ids import Position, TouchId, conversion_id
from attribune.model.outcome import Attribution, ConversionKind, Source
from attribune.model.policy import Policy, ReturnRule


class Return(Struct, frozen=True, kw_only=True):
    """A sign that a device came back: an open, or later evidence of one."""

    record: Open | Evidence | Claim
    about: Position
    at_ms: int
    touches: tuple[TouchId, ...] = ()
    claims: tuple[Claim, ...] = ()
    #: An open that the device made, and not one that an event stands for or evidence tells of.
    by_open: bool = True


def judge_return(turn: Turn, state: DeviceState, sign: Return) -> DeviceState | None:
    """Make a re-engagement (or a reattribution, by Adjust's rule) when a touch brought the device back.

    Returns the device's new state, or None when nothing brought it back. The sessions of ``state`` must not hold the
    sign itself yet.
    """
    version, policy = turn.directory.policy(state.product, turn.position)
    first = installation(state)
    if (first and sign.at_ms <= first.at_ms) or not _could_return(state, sign, policy):
        return None
    later = _own_later(state, sign.at_ms)
    if begun := next((s for s in later if _began_with(state, s, sign)), None):
        return _move(turn, state, begun, sign, policy)
    decision = _decide(turn, state, sign, policy, later)
    if decision.credit is None:
        return None
    if moved := next(
        (s for s in later if s.credit and s.credit.touch == decision.credit.touch), None
    ):
        return _move(turn, state, moved, sign, policy)
    kind = _kind(policy)
    stood = lasting(state, sign.at_ms)
    standing = Standing(
        conversion=conversion_id(state.product, sign.record.id),
        kind=kind,
        at_ms=sign.at_ms,
        source=Source.ATTRIBUTED,
        credit=decision.credit,
        is_return=True,
        until_ms=_until(policy, kind, sign.at_ms),
        judged_at_ms=turn.now_ms,
        as_of=turn.position,
    )
    outcome = say.attribution(
        turn,
        sign.about,
        state,
        standing,
        decision,
        say.of_device(turn, sign.record, sign.about) | {"handles": say.handles(sign.record)},
        policy=version,
        by_open=sign.by_open,
        before=stood.conversion if stood else None,
    )
    return _stand(turn, state, standing, outcome)


def _kind(policy: Policy) -> ConversionKind:
    inactive = policy.returns is ReturnRule.INACTIVE
    return ConversionKind.REATTRIBUTION if inactive else ConversionKind.REENGAGEMENT


def _until(policy: Policy, kind: ConversionKind, at_ms: int) -> int | None:
    return at_ms + policy.reengagement_credit_ms if kind is ConversionKind.REENGAGEMENT else None


def _stand(turn: Turn, state: DeviceState, standing: Standing, outcome: Attribution) -> DeviceState:
    """Let a new return stand, and credit to it what had happened since."""
    said = turn.say(outcome)
    turn.desk.put_conversion(state.device, standing.conversion, said.payload)
    move_touch(turn, None, standing.credit.touch if standing.credit else None, standing)
    state = replace_standing(state, standing)
    turn.desk.put_device(state)
    turn.touched.add((state.product, state.device))
    credit_anew(turn, state, standing.at_ms, say.cause(turn, standing.kind.value))
    return state


def _move(
    turn: Turn, state: DeviceState, standing: Standing, sign: Return, policy: Policy
) -> DeviceState:
    """An earlier open of the same return arrived later: the return began with it."""
    owner = turn.desk.conversion(standing.conversion)
    assert owner is not None, "what stands was decided"
    new = msgspec.structs.replace(
        standing,
        at_ms=sign.at_ms,
        until_ms=_until(policy, standing.kind, sign.at_ms),
        revision=standing.revision + 1,
    )
    return revise(turn, state, owner.newest, new, say.cause(turn, "evidence"))


def _own_later(state: DeviceState, at_ms: int) -> list[Standing]:
    """Returns of this device that an earlier sign could be the true beginning of."""
    return [s for s in state.standings if s.is_return and s.at_ms > at_ms and not s.is_pinned]


def _began_with(state: DeviceState, standing: Standing, sign: Return) -> bool:
    """Whether a return began with this earlier open: after its touch, and in one session with it."""
    if standing.credit is None or sign.at_ms < standing.credit.touch_at_ms:
        return False
    sessions = seen(seen(state.sessions, sign.at_ms), standing.at_ms)
    return any(first <= sign.at_ms < standing.at_ms <= last for first, last in sessions)


def _could_return(state: DeviceState, sign: Return, policy: Policy) -> bool:
    """Spare the search when no touch could win: the device was active just before, and nothing says it came by one."""
    if sign.touches or sign.claims:
        return True
    return silent_ms(state.sessions, sign.at_ms) >= policy.inactivity_ms


def _decide(
    turn: Turn, state: DeviceState, sign: Return, policy: Policy, later: list[Standing]
) -> Decision:
    by_inactivity = policy.returns is ReturnRule.INACTIVE
    standing = lasting(state, sign.at_ms)
    lookback = policy.reattribution_ms if by_inactivity else policy.reengagement_lookback_ms
    search = Search(
        product=state.product,
        platform=state.platform,
        policy=policy,
        as_of=turn.position,
        at_ms=sign.at_ms,
        touches=sign.touches,
        ids=tuple(sorted({*state.dossier.ids, *_ids(sign)})),
        claims=sign.claims,
        own=frozenset(s.conversion for s in later),
    )
    case = Case(
        at_ms=sign.at_ms,
        platform=state.platform.value,
        policy=policy,
        return_lookback_ms=lookback,
        any_touch_returns=by_inactivity,
        not_of_link=standing.credit.link
        if by_inactivity and standing and standing.credit
        else None,
        installed_at_ms=standing.at_ms if standing else 0,
        sessions=state.sessions,
    )
    return decide(case, gather(turn, search))


def _ids(sign: Return) -> list[tuple[str, str]]:
    return list(sign.record.device.ids.items())
