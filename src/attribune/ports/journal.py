"""The journal, and the clock and the chance of who writes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from attribune.model.codec import Record
from attribune.model.ids import (
    Position,
)
from attribune.model.position import Entry, Topic
from attribune.model.unmeasured import NOT_MEASURED as NOT_MEASURED  # noqa: PLC0414 - doors find it here

#: As of now: after every change that a directory has seen.
NOW: Final = Position(2**63 - 1)


class Clock(Protocol):
    """What time it is."""

    def now_ms(self) -> int:
        """The wall clock in milliseconds since the epoch, UTC."""
        ...


class Chance(Protocol):
    """Where randomness comes from."""

    def token(self, size: int) -> bytes:
        """So many unguessable bytes."""
        ...


class Journal(Protocol):
    """The append-only truth, shared by all processes of a folder.

    Entries of all topics stand in one order. A reader of several topics gets them in that order, so that whatever stands
    before an entry has been read before it: this is the barrier. An engine that keeps topics apart (Kafka) brings them
    into this order itself.

    What is old may be pruned: then all entries up to a place, ``start``, are gone, but those of topic ``control``, which are
    kept for ever.
    """

    def append(self, entries: Sequence[tuple[Topic, bytes]]) -> Sequence[Position]:
        """Make the entries durable, all or none, next to each other and in this order; give their places.

        Returns only after the disk has them. Raises JournalUnavailable, JournalFull.
        """
        ...

    def read(self, topics: Iterable[Topic], after: Position, limit: int) -> list[Entry]:
        """Up to ``limit`` entries of the topics that stand after a place, in order; fewer only when there are no more now.

        Raises JournalDamaged when an entry's checksum does not fit, JournalPruned when the place is before ``start`` and
        more is asked for than ``control``.
        """
        ...

    def get(self, topic: Topic, position: Position) -> Entry | None:
        """The entry at a place, or None when it was never there or has been pruned."""
        ...

    def start(self) -> Position:
        """The place before the oldest entry that is kept; START while none was pruned."""
        ...

    def end(self) -> Position:
        """The place of the newest durable entry; START when there is none."""
        ...

    def close(self) -> None:
        """Let go of files and locks."""
        ...


class Sink(Protocol):
    """Where the front door keeps what it was told."""

    async def keep(self, records: Sequence[tuple[Topic, Record]]) -> None:
        """Return when all of the records are durable, next to each other in the journal.

        Raises JournalUnavailable when they are not; then none of them is.
        """
        ...
