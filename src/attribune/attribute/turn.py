"""One entry's turn: where the judgement stands, what it may look at, and what it has said so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from attribune.attribute.desk import TOUCH_MEMORY_MS, Desk
from attribune.model.codec import decode
from attribune.model.control import Link
from attribune.model.ids import DeviceId, Position, ProductId, TouchId
from attribune.model.outcome import Outcome
from attribune.model.position import Entry, Topic
from attribune.model.touch import LinkHit, Touch, TouchRecord
from attribune.ports import Directory, Enricher

#: Reads a link's hit under the link as it stood then (``collect.links.read_touch``).
ReadTouch = Callable[[LinkHit, Link], Touch]


@dataclass(slots=True)
class Limits:
    """The settings that judging heeds."""

    record_memory_ms: int = 30 * 86_400_000
    held_events_max: int = 1000
    candidates_max: int = 200
    touch_memory_ms: int = TOUCH_MEMORY_MS


@dataclass(slots=True)
class Turn:
    """What the judgement of one entry works with."""

    desk: Desk
    directory: Directory
    enricher: Enricher
    read_touch: ReadTouch
    limits: Limits
    #: The entry's place, and the journal's time there.
    position: Position
    now_ms: int
    said: list[Outcome] = field(default_factory=list)
    #: Devices whose answer to an asking SDK may have changed.
    touched: set[tuple[ProductId, DeviceId]] = field(default_factory=set)

    def say(self, outcome: Outcome) -> None:
        """Write an outcome."""
        self.said.append(outcome)

    def touch(self, touch: TouchId) -> tuple[Position, Touch] | None:
        """A filed touch with its place, read under its link as it stood then."""
        found = self.desk.touch(touch)
        if found is None:
            return None
        position, payload = found
        record = decode(Entry(position, Topic.TOUCHES, payload))
        read = self.as_touch(record, position)  # type: ignore[arg-type]  # of this topic
        return (position, read) if read else None

    def as_touch(self, record: TouchRecord, position: Position) -> Touch | None:
        """A touch as read, or None when its link was never registered."""
        if isinstance(record, Touch):
            return record
        link = self.directory.link(record.link, position)
        return self.read_touch(record, link) if link else None
