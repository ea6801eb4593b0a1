"""One entry's turn: where the judgement stands, what it may look at, and what it has said so far."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from attribune.attribute.desk import TOUCH_MEMORY_MS, Desk
from attribune.model.codec import decode, encode
from attribune.model.control import Link
from attribune.model.errors import JournalDamaged, JournalUnavailable, StoreUnavailable
from attribune.model.ids import DeviceId, Position, ProductId, TouchId
from attribune.model.outcome import Outcome
from attribune.model.position import Entry, Topic
from attribune.model.touch import LinkHit, Touch, TouchRecord
from attribune.ports import Directory, Enricher

#: What keeps records from being judged that is no mistake in judging them.
OF_THE_WORLD: Final = (JournalUnavailable, JournalDamaged, StoreUnavailable, OSError, MemoryError)

#: Touches kept as they were read; some 3 kB each.
READINGS_MAX: Final = 4096

#: Reads a link's hit under the link as it stood then (``collect.links.read_touch``).
ReadTouch = Callable[[LinkHit, Link], Touch]


@dataclass(slots=True)
class Limits:
    """The settings that judging heeds."""

    record_memory_ms: int = 30 * 86_400_000
    held_events_max: int = 1000
    candidates_max: int = 200
    touch_memory_ms: int = TOUCH_MEMORY_MS


class Said(NamedTuple):
    """An outcome, and the same as it is journaled."""

    outcome: Outcome
    payload: bytes


@dataclass(frozen=True, slots=True)
class Mistake:
    """What could not be done because of a mistake of ours, in words for the log, and the mistake."""

    what: str
    fault: Exception


@dataclass(slots=True)
class Turn:
    """What the judgement of one entry works with."""

    desk: Desk
    directory: Directory
    enricher: Enricher
    read_touch: ReadTouch
    limits: Limits
    #: Touches read of late, by their places: who wins is told to its device's SDK too, and a touch may be found by many.
    readings: dict[Position, Touch | None]
    #: The entry's place, and the journal's time there.
    position: Position
    now_ms: int
    said: list[Said] = field(default_factory=list)
    #: Places of records that stand as set aside in this turn: a mistake since mended must not decide them anew.
    stood_aside: Collection[Position] = ()
    #: The mistakes made in this turn, and whether any record was set aside, for one of these or as before.
    mistakes: list[Mistake] = field(default_factory=list)
    has_set_aside: bool = False
    #: Devices whose answer to an asking SDK may have changed.
    touched: set[tuple[ProductId, DeviceId]] = field(default_factory=set)

    def say(self, outcome: Outcome) -> Said:
        """Write an outcome."""
        said = Said(outcome, encode(outcome))
        self.said.append(said)
        return said

    def attempt(
        self, about: Position, judge: Callable[[], None], set_aside: Callable[[], None]
    ) -> None:
        """Judge a record; when a mistake of ours prevents it, undo all that it did and set it aside.

        What is no mistake of ours (a disk, memory, a damaged journal) is raised: then nothing can be decided now.
        """
        changes, said = self.desk.mark(), len(self.said)
        if about not in self.stood_aside:
            try:
                judge()
            except OF_THE_WORLD:
                raise
            except Exception as fault:  # noqa: BLE001 - whatever the mistake, it costs one record and not all that follow
                self.mistakes.append(Mistake(f"entry {about} is set aside", fault))
            else:
                return
        self.desk.undo(changes)
        del self.said[said:]
        set_aside()
        self.has_set_aside = True

    def touch(self, touch: TouchId) -> tuple[Position, Touch] | None:
        """A filed touch with its place, read under its link as it stood then."""
        found = self.desk.touch(touch)
        if found is None:
            return None
        position, payload = found
        if position not in self.readings:
            if len(self.readings) >= READINGS_MAX:
                self.readings.clear()
            record = decode(Entry(position, Topic.TOUCHES, payload))
            self.readings[position] = self.as_touch(record, position)  # type: ignore[arg-type]  # of this topic
        read = self.readings[position]
        return (position, read) if read else None

    def as_touch(self, record: TouchRecord, position: Position) -> Touch | None:
        """A touch as read, or None when its link was never registered."""
        if isinstance(record, Touch):
            return record
        link = self.directory.link(record.link, position)
        return self.read_touch(record, link) if link else None
