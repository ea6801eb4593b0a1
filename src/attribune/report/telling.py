"""The parts of a story, each from the record that says it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from attribune.model.activity import Event
from attribune.model.book import RateMissing, outcome_key
from attribune.model.control import Link
from attribune.model.delivery import Logged
from attribune.model.ids import Position
from attribune.model.outcome import (
    Attribution,
    Candidate,
    Credit,
    CreditedEvent,
    CreditedOpen,
    ForeignCredited,
    Noted,
    RefusedRecord,
    Source,
)
from attribune.model.refusal import Refusal
from attribune.model.touch import LinkHit, Touch
from attribune.ports import Directory, KeptLine
from attribune.report.booked import line, rate_missing
from attribune.report.deliveries import delivery
from attribune.report.moment import moment
from attribune.report.stories import (
    Competitor,
    Story,
    ToldCorrection,
    ToldEvent,
    ToldForeign,
    ToldHeld,
    ToldNote,
    ToldOpen,
    ToldRefusal,
    ToldTouch,
    Winner,
    amount,
)

ReadTouch: TypeAlias = Callable[[LinkHit, Link], Touch]


def summary(story: Story) -> str:
    """One sentence that says what became of it."""
    if story.conversion and story.winner:
        return (
            f"{_a(story.kind)} won by the {story.winner.kind} {story.winner.touch_id} of "
            f"{story.winner.partner}, joined by {story.method}."
        )
    if story.conversion:
        lost = len(story.candidates) + sum(story.not_listed.values())
        why = "no touch was in reach" if lost == 0 else f"none of {lost} candidates could win"
        return f"{_a(story.kind)} without a winner ({story.source}): {why}."
    if story.touches and story.refused:
        return f"{_a(story.touches[0].kind)} that was not used: {story.refused[0].reason}."
    if story.touches:
        return f"{_a(story.touches[0].kind)} that led to no conversion."
    if story.events or story.opens:
        return f"Credited through no conversion of this device; its source is {story.source}."
    if story.foreign:
        one = story.foreign[0]
        return f"{_a(one.kind)} that {one.vendor} told of; we have not seen its device."
    if story.held:
        return "Waiting for the open of its device."
    if story.refused:
        return f"Not used: {story.refused[0].reason}."
    return "Taken note of; it led to no conversion."


def _a(noun: str | None) -> str:
    return f"{'An' if noun and noun[0] in 'aeiou' else 'A'} {noun}"


def winner(credit: Credit, at_ms: int) -> Winner:
    """The touch that is credited, as of a conversion."""
    return Winner(
        touch_id=credit.touch,
        partner=credit.partner,
        kind=credit.kind.value,
        method=credit.method.value,
        at=moment(credit.touch_at_ms),
        at_ms=credit.touch_at_ms,
        age_ms=max(0, at_ms - credit.touch_at_ms),
        link=credit.link,
        campaign=credit.campaign,
        campaign_id=credit.campaign_id,
        adgroup=credit.adgroup,
        creative=credit.creative,
        site_id=credit.site_id,
        sub_site_id=credit.sub_site_id,
        partner_click_id=credit.partner_click_id,
        confidence=credit.confidence,
        signature_fault=credit.signature_fault,
    )


def competitor(candidate: Candidate) -> Competitor:
    """A touch that was considered."""
    return Competitor(
        touch_id=candidate.touch,
        partner=candidate.partner,
        kind=candidate.kind.value,
        method=candidate.method.value,
        at=moment(candidate.touch_at_ms),
        at_ms=candidate.touch_at_ms,
        age_ms=candidate.age_ms,
        lost_because=candidate.lost_because.value if candidate.lost_because else None,
        link=candidate.link,
        campaign=candidate.campaign,
        signature_fault=candidate.signature_fault,
    )


def correction(revision: Attribution) -> ToldCorrection:
    """A later revision."""
    cause = revision.cause
    return ToldCorrection(
        revision=revision.revision,
        at=moment(revision.judged_at_ms),
        at_ms=revision.judged_at_ms,
        cause=cause.kind if cause else None,
        reason=cause.reason if cause else None,
        by=cause.by if cause else None,
        cause_position=cause.position if cause else None,
        before=_short(revision.previous),
        now=_short(revision.credit),
    )


def _short(credit: Credit | None) -> dict[str, str] | None:
    return {"touch_id": credit.touch, "partner": credit.partner} if credit else None


def event(event: CreditedEvent, credit: str) -> ToldEvent:
    """An event by its ``primary`` or ``secondary`` credit."""
    earner = event.credit if credit == "primary" else event.secondary
    source = event.source
    if credit == "secondary":
        source = Source.ATTRIBUTED if earner else Source.ORGANIC
    return ToldEvent(
        id=event.record,
        name=event.name,
        at=moment(event.at_ms),
        at_ms=event.at_ms,
        source=source.value,
        partner=earner.partner if earner else None,
        credit=credit,
        revision=event.revision,
        revenue=amount(event.revenue),
        transaction_id=event.transaction_id,
        customer=event.customer,
    )


def open_(open_: CreditedOpen) -> ToldOpen:
    """A start of the app."""
    return ToldOpen(
        id=open_.record,
        at=moment(open_.at_ms),
        at_ms=open_.at_ms,
        source=open_.source.value,
        partner=open_.credit.partner if open_.credit else None,
        revision=open_.revision,
    )


def read(
    position: Position, record: LinkHit | Touch, directory: Directory, read_touch: ReadTouch
) -> Touch | None:
    """A touch as its link said it at its place; None when nobody knows the link."""
    if isinstance(record, Touch):
        return record
    link = directory.link(record.link, at=position)
    return read_touch(record, link) if link else None


def touch(
    position: Position, record: LinkHit | Touch, directory: Directory, read_touch: ReadTouch
) -> ToldTouch:
    """A touch for who asks; one whose link nobody knows as it came in."""
    known = read(position, record, directory, read_touch)
    if known is None:
        return ToldTouch(
            touch_id=record.id,
            partner=None,
            kind=record.kind.value,
            at=moment(record.received_at_ms),
            at_ms=record.received_at_ms,
            link=record.link,
            signature_fault=record.signature_fault,
        )
    return ToldTouch(
        touch_id=known.id,
        partner=known.partner,
        kind=known.kind.value,
        at=moment(known.occurred_at_ms),
        at_ms=known.occurred_at_ms,
        link=known.link,
        campaign=known.campaign,
        partner_click_id=known.partner_click_id,
        signature_fault=known.signature_fault,
    )


def refused_later(outcome: RefusedRecord) -> ToldRefusal:
    """A record refused behind the journal."""
    at_ms = outcome.at_ms or outcome.judged_at_ms
    return ToldRefusal(
        record=outcome.record,
        record_type=outcome.record_type,
        reason=str(outcome.reason),
        at=moment(at_ms),
        at_ms=at_ms,
        where="journal",
        claimant=outcome.claimant,
        instead_of=outcome.instead_of,
    )


def refused_at_the_door(refusal: Refusal) -> ToldRefusal:
    """A hit or record refused at the door."""
    return ToldRefusal(
        record=refusal.record_id,
        record_type=refusal.record_type,
        reason=str(refusal.reason),
        at=moment(refusal.received_at_ms),
        at_ms=refusal.received_at_ms,
        where="door",
        message=refusal.message or None,
    )


def note(noted: Noted) -> ToldNote:
    """What was taken note of."""
    return ToldNote(
        record=noted.record,
        record_type=noted.record_type,
        at=moment(noted.at_ms),
        at_ms=noted.at_ms,
        shares=noted.shares,
        partners=noted.partners or None,
    )


def foreign(said: ForeignCredited) -> ToldForeign:
    """What another measurement partner decided."""
    return ToldForeign(
        record=said.record,
        vendor=said.vendor.value,
        kind=said.kind.value,
        name=said.name,
        source=said.source.value,
        partner=said.partner,
        credited_by=said.credited_by.value if said.credited_by else None,
        network=said.network,
        campaign=said.campaign,
        method=said.method_said,
        revenue=str(said.revenue) if said.revenue else None,
        currency=said.revenue.currency if said.revenue else None,
        transaction_id=said.transaction_id,
        rejected_because=said.rejected_because,
        at=moment(said.at_ms),
        at_ms=said.at_ms,
    )


def held(waiting: Sequence[Event]) -> list[ToldHeld]:
    """Events that wait."""
    return [
        ToldHeld(
            id=event.id,
            name=event.name,
            at=moment(event.occurred_at_ms),
            at_ms=event.occurred_at_ms,
        )
        for event in waiting
    ]


def add_deliveries(
    stories: list[Story],
    asked: Callable[[Collection[str]], Sequence[Logged]],
    directory: Directory,
) -> None:
    """Put what partners were told at the story of what it was about; ``asked`` gives the newest first."""
    of: dict[str, Story] = {}
    for story in stories:
        records = (*(event.id for event in story.events), *(one.record for one in story.foreign))
        about = (story.conversion, story.record, *records)
        of.update(dict.fromkeys(filter(None, about), story))
    for logged in reversed(asked(of.keys()) if of else ()):
        of[logged.row.planned.outcome_id].deliveries.append(delivery(logged, directory))


def add_booked(
    stories: list[Story],
    asked: Callable[[Collection[str]], Sequence[KeptLine]],
    missing: Callable[[Collection[str]], Sequence[RateMissing]],
) -> None:
    """Put what was booked, and what waits for a rate, at the story of what earned it."""
    of = _by_outcome(stories)
    if not of:
        return
    for kept in asked(of.keys()):
        of[kept.line.outcome].booked.append(line(kept))
    for one in missing(of.keys()):
        of[one.outcome].rates_missing.append(rate_missing(one))


def _by_outcome(stories: list[Story]) -> dict[str, Story]:
    """Stories by what the book knows their outcomes by."""
    of: dict[str, Story] = {}
    for story in stories:
        if story.product is None:
            continue
        events = [story.record, *(event.id for event in story.events)]
        names = [("conversion", story.conversion), *(("event", id_) for id_ in events)]
        names += [("foreign", one.record) for one in story.foreign]
        of.update({outcome_key(story.product, kind, id_): story for kind, id_ in names if id_})
    return of
