"""Backup and restore over the journal's files. They work beside a house that serves and ask it nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from attribune.backup import files
from attribune.backup.manifest import BackedSegment, BackedTopic
from attribune.backup.restore import Restored
from attribune.backup.restore import restore as restore_
from attribune.backup.take import Taken, take
from attribune.engines import lmdb_carried, lmdb_copy, lmdb_scrubbed
from attribune.engines.lmdb_copy import SegmentStand
from attribune.engines.lmdb_segment import FILE_NAME
from attribune.engines.system import SystemClock
from attribune.model.position import Entry, Topic


class LmdbSegments:
    """The segments in a journal's folder."""

    def __init__(self, journal: Path) -> None:
        """Open nothing yet."""
        self._journal = journal

    def names(self) -> list[str]:
        """The names of the segments that have a file, oldest first."""
        return lmdb_copy.names(self._journal)

    def size(self, name: str) -> int:
        """How large the file is. Bytes."""
        return (self._journal / name / FILE_NAME).stat().st_size

    def stand(self, name: str) -> BackedSegment | None:
        """Where a segment stands; None while it is only being made."""
        written_at_ns = (self._journal / name / FILE_NAME).stat().st_mtime_ns
        found = lmdb_copy.stand(self._journal / name, is_shared=True)
        return _backed(name, found, written_at_ns) if found else None

    def copy(self, name: str, take: files.Take) -> None:
        """Give the file as of one moment, in pieces."""
        lmdb_copy.copy(self._journal / name, take)

    def copied(self, copy: Path, written_at_ns: int) -> BackedSegment:
        """Where the copy of a segment stands. Raises JournalDamaged when entries are missing."""
        return copied(copy, written_at_ns)

    def carry(self, name: str) -> None:
        """Carry on what people changed in the oldest segment. Raises JournalDamaged, JournalFull, OSError."""
        lmdb_carried.carry(self._journal, name)

    def retire(self, name: str) -> None:
        """Make it one that was pruned, at once and for good. Raises OSError."""
        lmdb_carried.retire(self._journal, name)

    def sweep(self) -> int:
        """Remove the files of all that was pruned; how many bytes that were. Raises OSError."""
        return lmdb_carried.sweep(self._journal)

    def entries(
        self, name: str, topics: Collection[Topic] = tuple(Topic), after: int = 0
    ) -> Iterator[Entry]:
        """The entries of a segment behind a place, topic by topic, each in order."""
        return lmdb_scrubbed.entries(self._journal, name, topics, after)

    def at(self, name: str, topic: Topic, places: Iterable[int]) -> Iterator[Entry]:
        """Those of some entries of a topic that stand in a segment."""
        return lmdb_scrubbed.at(self._journal, name, topic, places)

    def rewrite(self, name: str, changed: Callable[[Entry], bytes]) -> int:
        """Put other payloads in the place of what a sealed segment holds; how many differ."""
        return lmdb_scrubbed.rewrite(self._journal, name, changed)

    def sweep_scrubbed(self) -> None:
        """Remove what a scrub that was killed has left. Raises OSError."""
        lmdb_scrubbed.sweep(self._journal)


def copied(copy: Path, written_at_ns: int) -> BackedSegment:
    """Where the copy of a segment stands. Raises JournalDamaged when it is none or entries are missing."""
    return _backed(copy.name, lmdb_copy.stand_of_copy(copy), written_at_ns)


def _backed(name: str, stand: SegmentStand, written_at_ns: int) -> BackedSegment:
    state, topics = stand
    return BackedSegment(
        name=name,
        first=state.base + 1,
        last=state.last,
        begun_at_ms=state.begun_at_ms,
        is_sealed=state.is_sealed,
        topics={
            topic.value: BackedTopic(entries=entries, last=last)
            for topic, (entries, last) in topics.items()
        },
        written_at_ns=written_at_ns,
    )


def backup(data: Path, dest: Path, progress: Callable[[int, int], None]) -> Taken:
    """Take a backup of a data folder, served or not."""
    return take(data, dest, LmdbSegments(data / "journal"), SystemClock().now_ms(), progress)


def restore(source: Path, data: Path, progress: Callable[[int, int], None]) -> Restored:
    """Make a data folder from a backup."""
    return restore_(source, data, copied, progress)
