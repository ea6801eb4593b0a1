"""Corrections: a person gives a conversion to another touch, or to nobody."""

from __future__ import annotations

import time
from typing import Any, Final

from litestar import Request, post
from litestar.params import JSONBody
from msgspec import Struct

from attribune.api.access import BY
from attribune.api.here import Here
from attribune.api.house import House
from attribune.api.routes.asking import sources
from attribune.model.codec import decode
from attribune.model.control import Change, Correct
from attribune.model.errors import Invalid, NotFound, NotJudged, StoreUnavailable
from attribune.model.ids import START, ConversionId, Position, ProductId, TouchId, derived
from attribune.model.outcome import Attribution, RefusedRecord, is_set_aside
from attribune.model.position import Entry, Topic
from attribune.registry.naming import text
from attribune.registry.requests import Request as Body
from attribune.report import explain
from attribune.report.stories import Story

ORGANIC: Final = "organic"
#: How long the attributor may take to decide; under load the correction stands and is decided later.
DECIDED_WAIT_S: Final = 10.0
_POLL_S: Final = 0.02
_REASON_CHARACTERS_MAX: Final = 500
#: Entries of the journal read at a time.
_ENTRIES_MAX: Final = 1000


class AskCorrection(Body, frozen=True, kw_only=True):
    """Whose conversion, to whom, and why."""

    #: The conversion, or any handle that leads to one conversion only.
    id: str
    #: A touch id, or ``organic``.
    to: str
    reason: str
    #: It was fraud: the partner that had it is told that its install was refused.
    is_rejected: bool = False


class CorrectionShown(Struct, frozen=True, kw_only=True):
    """The revision that a correction made."""

    id: str
    conversion: str
    revision: int
    source: str
    partner: str | None
    touch_id: str | None
    reason: str
    is_rejected: bool
    position: int


class CorrectionAnswer(Struct, frozen=True):
    """One correction."""

    correction: CorrectionShown


@post("/api/corrections", sync_to_thread=True)
def correct(
    house: Here, request: Request[Any, Any, Any], data: JSONBody[AskCorrection]
) -> CorrectionAnswer:
    """Give a conversion to another touch, or to nobody; answers with the revision that it made.

    What a person has asked for already is the same deed: nothing is journaled, and the answer is the revision that stands.
    """
    house.keeper.settle()
    settled = Position(max(START, house.journal.end() - house.keeper.lag()))
    story = _conversion(house, data.id)
    scope: Any = request.scope
    record = Correct(
        conversion=ConversionId(str(story.conversion)),
        product=ProductId(str(story.product)),
        to=_touch(data.to),
        reason=text(data.reason, "reason", _REASON_CHARACTERS_MAX),
        by=str(scope.get(BY, "operator")),
        id=derived("fix", str(story.conversion), house.chance.token(16).hex()),
        is_rejected=data.is_rejected,
    )
    with house.alone():  # so that of two who ask at once the second finds the first
        found = _asked_for(house, story, settled)
        if found is not None and found[1].to == record.to:
            if record.is_rejected and not found[1].is_rejected:
                raise Invalid(
                    "it was corrected to that already, and who had it was told so; give it back first to have it refused",
                    param="is_rejected",
                )
            position, record = found
        else:
            [position] = house.journal_changes([Change(at_ms=house.clock.now_ms(), record=record)])
    house.keeper.settle()
    return CorrectionAnswer(_shown(record, _decided(house, record, position)))


def _asked_for(house: House, story: Story, settled: Position) -> tuple[Position, Correct] | None:
    """The newest correction of a conversion that stands or is to be decided, with its place.

    After a person's word nothing but another person's revises a conversion, so the newest revision says whether one stands.
    The story tells of all that was decided before ``settled``; what was asked for since is in the journal.
    """
    newest = story.corrections[-1] if story.corrections else None
    found = None
    if newest is not None and newest.cause == "person" and newest.cause_position is not None:
        entry = house.journal.get(Topic.CONTROL, Position(newest.cause_position))
        found = _correction(entry, story) if entry else None
    after = settled
    while batch := house.journal.read((Topic.CONTROL,), after, _ENTRIES_MAX):
        found = next(filter(None, (_correction(entry, story) for entry in reversed(batch))), found)
        after = batch[-1].position
    return found


def _correction(entry: Entry, story: Story) -> tuple[Position, Correct] | None:
    change = decode(entry)
    assert isinstance(change, Change), "topic control holds changes"
    said = change.record
    if isinstance(said, Correct) and said.conversion == story.conversion:
        return entry.position, said
    return None


def _touch(to: str) -> TouchId | None:
    found = text(to, "to")
    return None if found == ORGANIC else TouchId(found)


def _conversion(house: House, handle: str) -> Story:
    """The one conversion that a handle leads to. Raises NotFound, Invalid when there are several."""
    told = explain.stories(text(handle, "id", 2048), sources(house)).stories
    stories = [story for story in told if story.conversion]
    for story in stories:
        if story.conversion == handle:
            return story
    if not stories:
        raise NotFound(
            f"{handle!r} leads to no conversion; see `attribune explain {handle}`", param="id"
        )
    if len(stories) > 1:
        ids = ", ".join(str(story.conversion) for story in stories)
        raise Invalid(f"{handle!r} leads to several conversions; give one of {ids}", param="id")
    return stories[0]


def _decided(house: House, record: Correct, position: Position) -> Attribution:
    """What the attributor made of a correction.

    Raises Invalid when it refused, NotJudged when it could not judge, StoreUnavailable when it is not there.
    """
    give_up = time.monotonic() + DECIDED_WAIT_S
    after = position
    while True:
        for entry in house.journal.read((Topic.OUTCOMES,), after, _ENTRIES_MAX):
            after = entry.position
            outcome = decode(entry)
            if getattr(outcome, "position", None) != position:
                continue
            if isinstance(outcome, RefusedRecord) and is_set_aside(outcome):
                raise NotJudged
            if isinstance(outcome, RefusedRecord):
                raise Invalid(
                    f"the correction was refused ({outcome.reason}); `to` must be a touch of the conversion's product",
                    param="to",
                )
            if isinstance(outcome, Attribution) and outcome.conversion == record.conversion:
                return outcome
        if time.monotonic() > give_up:
            raise StoreUnavailable(
                "the correction is journaled and the attributor has not decided it yet; see `attribune status`"
            )
        time.sleep(_POLL_S)


def _shown(record: Correct, outcome: Attribution) -> CorrectionShown:
    credit = outcome.credit
    return CorrectionShown(
        id=record.id,
        conversion=record.conversion,
        revision=outcome.revision,
        source=outcome.source,
        partner=credit.partner if credit else None,
        touch_id=credit.touch if credit else None,
        reason=record.reason,
        is_rejected=record.is_rejected,
        position=outcome.position,
    )


HANDLERS = (correct,)
