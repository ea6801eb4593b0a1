"""Where each activity record ended: the audit's memory of placings and corrections, fourteen bytes a record.

Every activity entry is placed by exactly one outcome of revision 1 whose ``about`` is its place. Later revisions change what
stood; each says what that was. An event that waits is said to, once, before it is placed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Final, TypeAlias

from attribune.model.activity import Activity, Event, ForeignConversion, Open
from attribune.model.ids import Position
from attribune.model.outcome import (
    Attribution,
    Credit,
    CreditedEvent,
    CreditedOpen,
    ForeignCredited,
    Held,
    Noted,
    RefusedRecord,
    Source,
)
from attribune.report.audit import Found
from attribune.report.tally import short_hash

Placing: TypeAlias = (
    Attribution | CreditedOpen | CreditedEvent | ForeignCredited | RefusedRecord | Noted | Held
)
Revised: TypeAlias = Attribution | CreditedOpen | CreditedEvent

_OPEN, _EVENT, _OTHER, _FOREIGN = 1, 2, 3, 4
_CODES: Final[dict[type, int]] = {
    Attribution: 1,
    CreditedOpen: 2,
    CreditedEvent: 3,
    RefusedRecord: 4,
    Noted: 5,
    ForeignCredited: 6,
}
_NAMES: Final = {code: kind.__name__ for kind, code in _CODES.items()}
#: What each sort of record may be placed as.
_FITTING: Final = {_OPEN: {1, 2, 4}, _EVENT: {3, 4}, _OTHER: {4, 5}, _FOREIGN: {4, 6}}


def places(record: Placing) -> bool:
    """Whether an outcome is about an activity entry, and places it when its revision is the first."""
    if isinstance(record, Attribution):
        return record.by_open
    return not (isinstance(record, RefusedRecord) and record.record_type in {"touch", "correct"})


class Placings:
    """What stands about each activity entry."""

    def __init__(self) -> None:
        """Begin with no entry."""
        self.first = Position(0)
        self.places = array("Q")
        self._sorts = bytearray()
        self._codes = bytearray()
        #: A hash of the credit in force.
        self._credits = array("Q")
        #: By when each event must be placed that waits. Milliseconds, UTC.
        self._until_ms: dict[int, int] = {}
        #: The revision in force, of what was corrected.
        self._revisions: dict[int, int] = {}
        #: The same of conversions that no open made, which place nothing: revision and credit by conversion.
        self._loose: dict[str, tuple[int, int]] = {}
        self.misplaced = Found()
        self.doubled = Found()
        #: Corrections that take away what did not stand, by what they correct.
        self.torn: dict[type, Found] = {
            kind: Found() for kind in (Attribution, CreditedOpen, CreditedEvent)
        }

    def activity(self, position: Position, record: Activity) -> None:
        """An activity entry, not placed yet."""
        sort = _OTHER
        if isinstance(record, Open | Event):
            sort = _OPEN if isinstance(record, Open) else _EVENT
        elif isinstance(record, ForeignConversion):
            sort = _FOREIGN
        self.places.append(position)
        self._sorts.append(sort)
        self._codes.append(0)
        self._credits.append(0)

    def outcome(self, position: Position, record: Placing) -> None:
        """An outcome that places or corrects."""
        if not places(record):
            if isinstance(record, Attribution):
                self._loose_conversion(position, record)
            return
        index = self._index(record.about)
        if index is None:
            if record.about >= self.first:
                self.misplaced.say(
                    f"outcome {position} is about {record.about}, which is no activity entry"
                )
            return
        if isinstance(record, Held):
            self._hold(position, index, record)
        elif getattr(record, "revision", 1) == 1:
            self._place(position, index, record)
        else:
            assert isinstance(record, Attribution | CreditedOpen | CreditedEvent)
            self._revise(position, index, record)

    def unplaced(self, until: Position) -> list[tuple[Position, int | None]]:
        """Entries up to a place that no outcome places, and by when those must be that are said to wait."""
        found = []
        index = self._codes.find(0)
        while index >= 0 and self.places[index] <= until:
            found.append((Position(self.places[index]), self._until_ms.get(index)))
            index = self._codes.find(0, index + 1)
        return found

    def _hold(self, position: Position, index: int, record: Held) -> None:
        if self._sorts[index] != _EVENT or self._codes[index] or index in self._until_ms:
            self.misplaced.say(
                f"outcome {position} says that entry {record.about} waits, which it cannot or which is over"
            )
            return
        self._until_ms[index] = record.until_ms

    def _index(self, about: Position) -> int | None:
        index = bisect_left(self.places, about)
        if index < len(self.places) and self.places[index] == about:
            return index
        return None

    def _place(self, position: Position, index: int, record: Placing) -> None:
        code, stands = _CODES[type(record)], self._codes[index]
        self._until_ms.pop(index, None)
        if stands == code:
            self.doubled.say(
                f"outcome {position} says again that entry {record.about} is {_NAMES[code]}"
            )
            return
        if stands:
            self.misplaced.say(
                f"entry {record.about} is {_NAMES[stands]}, and by outcome {position} also {_NAMES[code]}"
            )
            return
        if code not in _FITTING[self._sorts[index]]:
            self.misplaced.say(
                f"entry {record.about} cannot be {_NAMES[code]}, as outcome {position} says"
            )
        self._codes[index] = code
        if isinstance(record, Attribution | CreditedOpen | CreditedEvent):
            self._credits[index] = credit_hash(record.source, record.credit)

    def _revise(self, position: Position, index: int, record: Revised) -> None:
        if self._codes[index] != _CODES[type(record)]:
            self.doubled.say(
                f"outcome {position} is revision {record.revision} of what was never decided (entry {record.about})"
            )
            return
        stands = self._revisions.get(index, 1)
        if not self._follows(position, record, stands):
            return
        self._untorn(position, record, self._credits[index])
        self._revisions[index] = record.revision
        self._credits[index] = credit_hash(record.source, record.credit)

    def _loose_conversion(self, position: Position, record: Attribution) -> None:
        stands, credit = self._loose.get(record.conversion, (0, 0))
        if stands == 0 and record.revision > 1 and record.about < self.first:
            return
        if not self._follows(position, record, stands):
            return
        if record.revision > 1:
            self._untorn(position, record, credit)
        now = credit_hash(record.source, record.credit)
        self._loose[record.conversion] = (record.revision, now)

    def _follows(self, position: Position, record: Revised, stands: int) -> bool:
        if record.revision == stands + 1:
            return True
        what = "is there already" if record.revision <= stands else f"follows revision {stands}"
        self.doubled.say(
            f"outcome {position}: revision {record.revision} about entry {record.about} {what}"
        )
        return False

    def _untorn(self, position: Position, record: Revised, credit: int) -> None:
        """A correction takes away what stood."""
        source = record.previous_source or (
            Source.ATTRIBUTED if record.previous else Source.ORGANIC
        )
        if credit_hash(source, record.previous) != credit:
            who = record.previous.partner if record.previous else source.value
            self.torn[type(record)].say(
                f"outcome {position} takes entry {record.about} away from {who}, where it did not stand"
            )


def credit_hash(source: Source, credit: Credit | None) -> int:
    """Tells one credit from another."""
    return short_hash(source.value, *((credit.touch, credit.partner) if credit else ()))
