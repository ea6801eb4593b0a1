"""A person's word: a conversion is given to another touch, or to nobody."""

from __future__ import annotations

import msgspec

from attribune.attribute import say
from attribune.attribute.cascade import revise
from attribune.attribute.decide import credit_of
from attribune.attribute.state import Standing
from attribune.attribute.turn import Turn
from attribune.model.control import Correct
from attribune.model.outcome import (
    Attribution,
    Candidate,
    Credit,
    LossReason,
    Source,
)
from attribune.model.policy import MatchMethod
from attribune.model.refusal import RefusalReason


def correct(turn: Turn, record: Correct) -> None:
    """Make the next revision that a person asks for; what cannot be made is refused with its reason."""
    owner = turn.desk.conversion(record.conversion)
    if owner is None or owner.newest.product != record.product:
        say.refuse_correction(turn, record, RefusalReason.UNKNOWN_CONVERSION)
        return
    state = turn.desk.device(record.product, owner.device)
    assert state is not None, "a conversion's device is remembered"
    if state.forgotten_at_ms:
        say.refuse_correction(turn, record, RefusalReason.FORGOTTEN)
        return
    credit: Credit | None = None
    if record.to is not None:
        filed = turn.touch(record.to)
        if filed is None or filed[1].product != record.product:
            say.refuse_correction(turn, record, RefusalReason.UNKNOWN_TOUCH)
            return
        credit = credit_of(filed[1], _method(owner.newest, record))
    standing = next(s for s in state.standings if s.conversion == record.conversion)
    new = msgspec.structs.replace(
        standing,
        credit=credit,
        source=Source.ATTRIBUTED if credit else Source.ORGANIC,
        revision=standing.revision + 1,
        is_pinned=True,
        is_void=standing.is_return and credit is None,
    )
    why = say.cause(turn, "person", record.reason, record.by)
    why = msgspec.structs.replace(why, is_rejected=record.is_rejected)
    revise(turn, state, owner.newest, new, why, candidates=_candidates(owner.newest, new))


def _method(outcome: Attribution, record: Correct) -> MatchMethod:
    """How the touch had been joined when it was a candidate; else by the person's word."""
    methods = {c.touch: c.method for c in outcome.candidates}
    return methods.get(record.to, MatchMethod.CORRECTION) if record.to else MatchMethod.CORRECTION


def _candidates(outcome: Attribution, standing: Standing) -> tuple[Candidate, ...]:
    """The same candidates with the person's winner first."""
    credit = standing.credit
    losers = []
    winner: Candidate | None = None
    for candidate in outcome.candidates:
        if credit and candidate.touch == credit.touch:
            winner = msgspec.structs.replace(candidate, lost_because=None)
        elif candidate.lost_because is None:
            losers.append(msgspec.structs.replace(candidate, lost_because=LossReason.CORRECTED))
        else:
            losers.append(candidate)
    if credit and winner is None:
        winner = Candidate(
            touch=credit.touch,
            partner=credit.partner,
            kind=credit.kind,
            method=credit.method,
            touch_at_ms=credit.touch_at_ms,
            age_ms=outcome.at_ms - credit.touch_at_ms,
            link=credit.link,
            campaign=credit.campaign,
            signature_fault=credit.signature_fault,
        )
    return (winner, *losers) if winner else tuple(losers)
