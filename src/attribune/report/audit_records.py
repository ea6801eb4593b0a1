"""The checks of what becomes of records: each promise a class with its name, its sentence and what breaks it."""

from __future__ import annotations

from typing import Final

from attribune.model.activity import Activity
from attribune.model.codec import Record
from attribune.model.control import Change, Retold
from attribune.model.ids import Position
from attribune.model.outcome import (
    Attribution,
    CreditedEvent,
    CreditedOpen,
    ForeignCredited,
    Held,
    LateTouch,
    Noted,
    Outcome,
    RefusedRecord,
    is_set_aside,
)
from attribune.model.position import Entry
from attribune.model.refusal import Refusal
from attribune.model.touch import Touch
from attribune.report.audit import (
    ACTIVITY_TYPES,
    DELIVERY_TYPES,
    OUTCOME_TYPES,
    TOUCH_TYPES,
    Found,
    Scope,
)
from attribune.report.placings import Placings, places
from attribune.report.tally import Tally, short_hash

_PLACING: Final = (
    Attribution,
    CreditedOpen,
    CreditedEvent,
    ForeignCredited,
    RefusedRecord,
    Noted,
    Held,
)


class JournalIsWhole:
    """Places are given one after another over all topics, so an empty one had an entry once."""

    name = "journal_is_whole"
    sentence = "Every place of the journal, from the oldest that is kept, has its entry."
    sees = (Change, Refusal, *TOUCH_TYPES, *ACTIVITY_TYPES, *OUTCOME_TYPES, *DELIVERY_TYPES)

    def __init__(self, start: Position, end: Position) -> None:
        """Take the place before the oldest entry that is kept, and the newest; remember the last one seen only."""
        self._end = end
        self._last = start
        self._found = Found()

    def see(self, entry: Entry, record: Record) -> None:  # noqa: ARG002 - a check sees both
        """Take in an entry."""
        if entry.position != self._last + 1:
            self._missing(self._last + 1, entry.position - 1)
        self._last = entry.position

    def finish(self) -> Found:
        """Places without an entry."""
        if self._last < self._end:
            self._missing(self._last + 1, self._end)
        return self._found

    def _missing(self, first: int, last: int) -> None:
        which = f"entry {first} is" if first == last else f"entries {first} to {last} are"
        self._found.say(f"{which} missing; restore the segment that had it from a backup")


class RequestsAddUp:
    """Parts of requests of several records."""

    name = "requests_add_up"
    sentence = "Every record of a request was accepted or refused at the door, once."
    sees = (Touch, Refusal, *ACTIVITY_TYPES)

    def __init__(self) -> None:
        """Remember only requests that are not whole yet."""
        self._open: dict[str, tuple[int, int]] = {}
        self._whole = Tally()
        self._found = Found()

    def see(self, entry: Entry, record: Record) -> None:
        """Take in a part of a request."""
        part = record.part  # type: ignore[union-attr]  # of what it sees
        if part is None:
            return
        seen, of = self._open.get(part.request, (0, part.of))
        bit = 1 << part.index
        if part.index >= of or part.of != of:
            self._found.say(
                f"entry {entry.position} is record {part.index} of {part.of} of request {part.request}, "
                f"which has {of}"
            )
            return
        if seen & bit:
            self._found.say(f"record {part.index} of request {part.request} stands twice")
            return
        if (seen | bit) == (1 << of) - 1:
            self._open.pop(part.request, None)
            self._whole.add(short_hash(part.request))
        else:
            self._open[part.request] = (seen | bit, of)

    def finish(self) -> Found:
        """Requests that are not whole, or whole twice."""
        for request, (seen, of) in self._open.items():
            missing = [str(index) for index in range(of) if not seen >> index & 1]
            self._found.say(f"request {request} lacks its records {', '.join(missing[:10])}")
        for _ in self._whole.repeated():
            self._found.say("a request stands twice")
        return self._found


class RecordsPlacedOnce:
    """Each activity record ends in exactly one place."""

    name = "every_record_placed_once"
    sentence = "Every accepted record was decided, credited, noted or refused once, or is an event that still waits."
    sees = (Change, *TOUCH_TYPES, *ACTIVITY_TYPES, *_PLACING)

    def __init__(self, scope: Scope, placings: Placings) -> None:
        """Share the memory of placings, which this check feeds."""
        self._scope = scope
        self._placings = placings
        #: The journal's time where the attributor stands.
        self._now_ms = 0

    def see(self, entry: Entry, record: Record) -> None:
        """Take in an activity entry or an outcome about one."""
        if not self._placings.first:
            self._placings.first = entry.position
        if isinstance(record, _PLACING):
            self._placings.outcome(entry.position, record)
            return
        if entry.position <= self._scope.attributor_position:
            at_ms = record.at_ms if isinstance(record, Change) else record.received_at_ms  # type: ignore[union-attr]  # of these topics
            self._now_ms = max(self._now_ms, at_ms)
        if isinstance(record, Activity):
            self._placings.activity(entry.position, record)

    def finish(self) -> Found:
        """Records that ended nowhere, or in two places."""
        found = self._placings.misplaced
        for position, until_ms in self._placings.unplaced(self._scope.attributor_position):
            if until_ms is None:
                found.say(f"no outcome is about entry {position}")
            elif until_ms <= self._now_ms:
                found.say(f"entry {position} waits, and its time is over")
        return found


class RecordsJudged:
    """Records that a mistake of ours kept from being judged."""

    name = "every_record_judged"
    sentence = (
        "No record is set aside because of a mistake of Attribune's own, or it was told again."
    )
    sees = (RefusedRecord, Change)

    def __init__(self, start: Position) -> None:
        """Take the place before the oldest entry that is kept; what is gone cannot be told again."""
        self._start = start
        self._aside: dict[Position, str] = {}

    def see(self, entry: Entry, record: Record) -> None:
        """Take in what was set aside, and what was told again."""
        del entry
        if isinstance(record, RefusedRecord):
            if is_set_aside(record) and record.about > self._start:
                self._aside[record.about] = f"{record.record_type} {record.record}"
        elif isinstance(record, Change) and isinstance(record.record, Retold):
            for place in record.record.places:
                self._aside.pop(place, None)

    def finish(self) -> Found:
        """What was set aside and not told again."""
        found = Found()
        for place, what in self._aside.items():
            found.say(
                f"{what} (entry {place}) could not be judged; the attributor's log has the mistake. "
                "Install a version without it, then run `attribune journal retell`"
            )
        return found


class NoOutcomeDoubled:
    """Outcomes and their revisions."""

    name = "no_outcome_doubled"
    sentence = "No outcome stands twice, and revisions follow each other from 1."
    sees = (LateTouch, RefusedRecord)

    def __init__(self, placings: Placings) -> None:
        """Share the memory of placings; touches have their own."""
        self._placings = placings
        self._touches = Tally()

    def see(self, entry: Entry, record: Record) -> None:
        """Take in outcomes about touches, which place no activity."""
        del entry
        if isinstance(record, LateTouch):
            self._touches.add(short_hash("late", record.about, record.conversion))
        elif isinstance(record, RefusedRecord) and not places(record):
            self._touches.add(short_hash("refused", record.about))

    def finish(self) -> Found:
        """Outcomes that stand twice, and revisions that are missing."""
        found = self._placings.doubled
        for _ in self._touches.repeated():
            found.say("an outcome about a touch or a correction stands twice")
        return found


class PositionsAgree:
    """Outcomes and the places they were decided from."""

    name = "positions_agree"
    sentence = "Outcomes stand behind what they were decided from, in its order; no consumer is ahead of the journal."
    sees = OUTCOME_TYPES

    def __init__(self, scope: Scope) -> None:
        """Remember the last place decided from."""
        self._scope = scope
        self._last = Position(0)
        self._found = Found()

    def see(self, entry: Entry, record: Record) -> None:
        """Take in an outcome."""
        assert isinstance(record, Outcome)
        if record.position >= entry.position:
            self._found.say(
                f"outcome {entry.position} was decided from {record.position}, which is not before it"
            )
        if record.about > record.position:
            self._found.say(
                f"outcome {entry.position} is about {record.about}, which lies after {record.position}"
            )
        if record.position < self._last:
            self._found.say(
                f"outcome {entry.position} was decided from {record.position}, after one from {self._last}"
            )
        self._last = max(self._last, record.position)

    def finish(self) -> Found:
        """Outcomes out of order, and consumers ahead of the journal."""
        end = self._scope.journal.end()
        for name, position in (
            ("attributor", self._scope.attributor_position),
            ("recorder", self._scope.recorder_position),
        ):
            if position > end:
                self._found.say(f"the {name} has read to {position}, and the journal ends at {end}")
        return self._found
