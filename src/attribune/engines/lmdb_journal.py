"""The journal on LMDB: a folder of segments, appended to and tailed by several processes at once.

An append takes its positions under the newest segment's writer lock, which all processes share, and returns after the
disk has the commit. Who finds the segment full or old seals it, in a transaction of its own; who finds it sealed goes on
to the next, which begins at the place where the sealed one ended. Each step can be the last one of a process that is
killed: the next appender takes up from what is on disk.

A read sees a segment as of one moment, and leaves it for the next only when it was sealed in that moment. Positions are
given and committed in the same order, so whatever is readable has everything before it readable too.

The oldest segments may be pruned by another process at any time. Who has one open reads on in it; who has not finds it
gone, looks again at what there is, and answers from there. Sealed segments may be exchanged for others with the same places
(scrubbed ones). Who reads looks once a minute, and lets go of the old file.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, RLock
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

import lmdb

from attribune.engines import lmdb_carried
from attribune.engines.lmdb_segment import DRIVER, Segment, State, said
from attribune.model.errors import JournalDamaged, JournalPruned, JournalUnavailable
from attribune.model.ids import START, Position
from attribune.model.position import Entry, Topic
from attribune.ports import Clock

#: Segments kept open; older ones are opened again when somebody reads them.
OPEN_MAX: Final = 8
#: How often a reader looks whether what it has open was pruned or exchanged. Seconds.
LOOK_S: Final = 60.0
_DIGITS: Final = 10
#: After these a segment can only be used when it is opened anew: its first page could not be written, or it was outgrown.
_OPENED_ANEW: Final = (lmdb.PanicError, lmdb.BadTxnError, lmdb.MapResizedError)

_here: WeakValueDictionary[tuple[int, int], LmdbJournal] = WeakValueDictionary()
_here_lock: Final = Lock()


class SegmentInfo(NamedTuple):
    """One segment as listed."""

    name: str
    #: Its first and last place; ``last`` is one before ``first`` while it is empty.
    first: Position
    last: Position
    #: On disk.
    bytes: int
    #: When its first entry was appended, or when it was made while it has none. Milliseconds, UTC.
    begun_at_ms: int
    is_sealed: bool


class _Sealed(NamedTuple):
    """What is known for good of a sealed segment."""

    base: Position
    last: Position
    ends: dict[Topic, Position]


class _Gone(Exception):
    """A segment was pruned while it was being read up to."""


class LmdbJournal:
    """An append-only journal in a folder. One object per folder and process: share it between threads.

    Raises JournalUnavailable when this process has the folder open already, since LMDB's locks belong to processes.
    """

    def __init__(
        self, folder: Path | str, *, segment_bytes_max: int, segment_ms: int, clock: Clock
    ) -> None:
        self._folder = Path(folder)
        self._bytes_max = segment_bytes_max
        self._age_max_ms = segment_ms
        self._clock = clock
        self._pid = os.getpid()
        self._is_closed = False
        self._files = RLock()
        self._reading = Lock()
        self._writing = Lock()
        self._open: dict[int, Segment] = {}
        self._sealed: dict[int, _Sealed] = {}
        self._listings: dict[int, SegmentInfo] = {}
        self._look_due_s = time.monotonic() + LOOK_S
        #: The entries of ``control`` that stood in pruned segments; opened when they are asked for.
        self._carried: Segment | None = None
        #: The oldest segment when it was last looked at, and the place before its first entry.
        self._oldest: tuple[int, Position] = (1, START)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            status = self._folder.stat()
            self._numbers = self._listed()
        except OSError as fault:
            raise said(fault, f"journal {self._folder}") from fault
        self._identity = (status.st_dev, status.st_ino)
        with _here_lock:
            if self._identity in _here:
                raise JournalUnavailable(
                    f"this process, or the one it was forked from, has the journal {self._folder} open; share that object"
                )
            _here[self._identity] = self
        #: The segment appended to, and its number; None after it had to be closed.
        self._appending = self._numbers[-1] if self._numbers else 1
        self._newest: Segment | None = None
        try:
            self._go_to(self._appending)
        except BaseException:
            self.close()
            raise

    def append(self, entries: Sequence[tuple[Topic, bytes]]) -> Sequence[Position]:
        """Make the entries durable, all or none, next to each other and in this order; give their places.

        Raises JournalFull when the disk is full or they do not fit a segment, otherwise JournalUnavailable.
        """
        if not entries:
            return ()
        with self._writing:
            self._check()
            has_panicked = False
            while True:
                segment = self._newest or self._go_to(self._appending)
                now_ms = self._clock.now_ms()
                try:
                    places = segment.append(entries, now_ms, self._bytes_max, self._age_max_ms)
                except lmdb.Error as fault:
                    if isinstance(fault, _OPENED_ANEW):
                        self._let_go(segment)
                    if isinstance(fault, lmdb.PanicError) and not has_panicked:
                        has_panicked = True  # of an earlier commit; this one was not even begun
                        continue
                    raise said(fault, f"journal {self._folder}") from fault
                if places is not None:
                    return places
                self._go_to(segment.number + 1)

    def read(self, topics: Iterable[Topic], after: Position, limit: int) -> list[Entry]:
        """Up to ``limit`` entries of the topics that stand after a place, in order.

        Raises JournalDamaged, and JournalPruned when they were not kept.
        """
        wanted = tuple(dict.fromkeys(topics))
        with self._reading:
            self._check()
            try:
                if time.monotonic() >= self._look_due_s:
                    self._list()
                while True:
                    try:
                        return self._found(wanted, after, limit)
                    except _Gone:
                        continue
            except DRIVER as fault:
                raise said(fault, f"journal {self._folder}") from fault

    def get(self, topic: Topic, position: Position) -> Entry | None:
        """The entry at a place, or None when it was never there or has been pruned."""
        with self._reading:
            self._check()
            try:
                while True:
                    try:
                        return self._got(topic, position)
                    except _Gone:
                        continue
            except DRIVER as fault:
                raise said(fault, f"journal {self._folder}") from fault

    def start(self) -> Position:
        """The place before the oldest entry that is kept; START while none was pruned."""
        with self._reading:
            self._check()
            try:
                self._list()
                return self._base_of_oldest()
            except DRIVER as fault:
                raise said(fault, f"journal {self._folder}") from fault

    def end(self) -> Position:
        """The place of the newest durable entry; START when there is none."""
        with self._reading:
            self._check()
            try:
                return self._last()
            except DRIVER as fault:
                raise said(fault, f"journal {self._folder}") from fault

    def segments(self) -> list[SegmentInfo]:
        """All segments, oldest first."""
        with self._reading:
            self._check()
            try:
                self._list()
                listed = (self._info(number) for number in self._numbers)
                return [info for info in listed if info]
            except DRIVER as fault:
                raise said(fault, f"journal {self._folder}") from fault

    def close(self) -> None:
        """Let go of files and locks. What waits for the disk is finished first."""
        with self._writing, self._reading, self._files:
            self._is_closed = True
            if self._pid == os.getpid():
                for segment in (*self._open.values(), *filter(None, [self._carried])):
                    segment.close()
            self._open.clear()
            self._carried = None
            with _here_lock:
                if _here.get(self._identity) is self:
                    del _here[self._identity]

    def _check(self) -> None:
        if self._is_closed:
            raise JournalUnavailable(f"the journal {self._folder} is closed")
        if self._pid != os.getpid():
            raise JournalUnavailable(
                f"the journal {self._folder} was opened before a fork; open it in the process that uses it"
            )

    def _found(self, wanted: tuple[Topic, ...], after: Position, limit: int) -> list[Entry]:
        start = self._base_of_oldest()
        if after >= start:
            return self._read_into([], wanted, after, limit)
        if wanted != (Topic.CONTROL,):
            raise JournalPruned(self._why_pruned(start))
        carried = self._carried_to(start)
        entries, _ = carried.read(wanted, after, limit)
        found = [entry for entry in entries if entry.position <= start]
        return self._read_into(found, wanted, start, limit)

    def _read_into(
        self, found: list[Entry], wanted: tuple[Topic, ...], after: Position, limit: int
    ) -> list[Entry]:
        number: int | None = self._start(after)
        while number is not None and len(found) < limit:
            sealed = self._sealed.get(number)
            if sealed is None or any(sealed.ends.get(topic, START) > after for topic in wanted):
                segment = self._visit(number)
                if segment is None:
                    self._see_whether_gone(number)
                    return found
                entries, state = segment.read(wanted, after, limit - len(found))
                found += entries
                if not state.is_sealed:
                    return found
                if sealed is None:
                    self._sealed[number] = _Sealed(state.base, state.last, segment.ends())
            number = self._after(number)
        return found

    def _got(self, topic: Topic, position: Position) -> Entry | None:
        number: int | None = self._start(Position(position - 1))
        while number is not None:
            segment = self._visit(number)
            if segment is None:
                self._see_whether_gone(number)
                return None
            state = segment.state()
            if position <= state.base and number == self._numbers[0]:
                is_kept = topic is Topic.CONTROL and position > START
                return self._carried_to(state.base).get(topic, position) if is_kept else None
            if position <= state.last or not state.is_sealed:
                return segment.get(topic, position)
            number = self._after(number)
        return None

    def _base_of_oldest(self) -> Position:
        """The place before the oldest entry that is kept."""
        number, base = self._oldest
        while self._numbers and number != self._numbers[0]:
            number = self._numbers[0]
            segment = self._visit(number)
            if segment is not None:
                base = segment.state().base
                self._oldest = (number, base)
            elif not self._is_pruned(number):
                return START  # the very first is only being made
        return base

    def _carried_to(self, start: Position) -> Segment:
        """The entries of ``control`` up to a place, behind which nothing was pruned. Raises JournalDamaged."""
        if self._carried is None:
            self._carried = lmdb_carried.opened(self._folder)
        if self._carried is None or self._carried.state().last < start:
            raise JournalDamaged(
                f"the journal {self._folder} begins with entry {start + 1}, and what was changed before was not carried on; "
                "restore it from a backup"
            )
        return self._carried

    def _why_pruned(self, start: Position) -> str:
        segment = self._visit(self._numbers[0])
        begun_ms = segment.state().begun_at_ms if segment else self._clock.now_ms()
        day = datetime.fromtimestamp(begun_ms / 1000, UTC).date()
        return (
            f"the journal {self._folder} was pruned up to entry {start} and is kept from {day} on; restore a backup into a "
            "new folder, where all of it is, and ask there"
        )

    def _info(self, number: int) -> SegmentInfo | None:
        """A segment as listed, None while it is not whole. What is sealed is opened for that once."""
        known = self._listings.get(number)
        segment = None if known else self._visit(number)
        if segment is None:
            return known
        state = segment.state()
        info = SegmentInfo(
            name=self._path(number).name,
            first=Position(state.base + 1),
            last=state.last,
            bytes=segment.bytes_used(),
            begun_at_ms=state.begun_at_ms,
            is_sealed=state.is_sealed,
        )
        if info.is_sealed:
            self._listings[number] = info
        return info

    def _last(self) -> Position:
        # The newest folder may hold a segment that is only being made.
        known = (self._segment(number) for number in reversed(self._numbers))
        segment = next(filter(None, known), None)
        last = START
        while segment is not None:
            state = segment.state()
            last = state.last
            number = self._after(segment.number) if state.is_sealed else None
            segment = None if number is None else self._segment(number)
        return last

    def _start(self, after: Position) -> int:
        """The first segment that may hold a place greater than this."""
        for number in self._numbers:
            sealed = self._sealed.get(number)
            if sealed is None or sealed.last > after:
                return number
        return self._numbers[-1]

    def _after(self, number: int) -> int | None:
        """The segment that follows, or None while there is none."""
        if number >= self._numbers[-1]:
            self._list()
        index = bisect_right(self._numbers, number)
        return self._numbers[index] if index < len(self._numbers) else None

    def _see_whether_gone(self, number: int) -> None:
        """Raise _Gone when a segment that cannot be opened was pruned, and is not merely being made."""
        if self._is_pruned(number):
            raise _Gone

    def _is_pruned(self, number: int) -> bool:
        self._list()
        return bool(self._numbers) and number < self._numbers[0]

    def _list(self) -> None:
        """See which segments there are, and let go of those that were pruned or exchanged. Only with ``_reading`` held."""
        self._look_due_s = time.monotonic() + LOOK_S
        self._numbers = self._listed()
        with self._files:
            for number, segment in list(self._open.items()):
                is_exchanged = number != self._appending and segment.was_exchanged()
                if number < self._numbers[0] or is_exchanged:
                    self._listings.pop(number, None)
                    self._open.pop(number).close()

    def _listed(self) -> list[int]:
        names = (path.name for path in self._folder.iterdir() if path.is_dir())
        return sorted(int(name) for name in names if len(name) == _DIGITS and name.isdigit())

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:0{_DIGITS}}"

    def _segment(self, number: int) -> Segment | None:
        """An open segment, or None when it is not there or not whole."""
        with self._files:
            segment = self._open.get(number)
            if segment is None:
                segment = Segment.open(self._path(number), number, self._bytes_max)
                if segment is not None:
                    self._open[number] = segment
            return segment

    def _visit(self, number: int) -> Segment | None:
        """The same for readers, who keep few of them open."""
        if len(self._open) >= OPEN_MAX and number not in self._open:
            self._evict()
        return self._segment(number)

    def _evict(self) -> None:
        """Make room for one more below OPEN_MAX by closing the oldest. Only with ``_reading`` held: nobody may be inside them."""
        with self._files:
            spare = len(self._open) + 1 - OPEN_MAX
            for number in sorted(self._open)[: max(spare, 0)]:
                if number != self._appending:
                    self._open.pop(number).close()

    def _go_to(self, number: int) -> Segment:
        """The segment to append to from now on; made, when it is not there, from where the one before it ended."""
        with self._reading:
            self._evict()
        with self._files:
            try:
                segment = self._segment(number) or self._begin(number)
                # Its name must be as durable as what will be appended to it, whoever made it.
                lmdb_carried.sync(self._path(number))
                lmdb_carried.sync(self._folder)
                numbers = self._listed()
            except DRIVER as fault:
                raise said(fault, f"journal {self._folder}") from fault
            self._appending, self._newest, self._numbers = number, segment, numbers
            return segment

    def _begin(self, number: int) -> Segment:
        path, base = self._path(number), self._base(number)
        path.mkdir(exist_ok=True)
        begin = State(base, base, self._clock.now_ms(), is_sealed=False)
        segment = Segment.open(path, number, self._bytes_max, begin)
        assert segment is not None, "made a moment ago"
        self._open[number] = segment
        return segment

    def _base(self, number: int) -> Position:
        if number == 1:
            return START
        before = self._segment(number - 1)
        if before is None:
            raise JournalUnavailable(
                f"segment {self._path(number)} is not whole and the one before it is missing; restore it"
            )
        state = before.state()
        assert state.is_sealed, "a segment is begun after the one before it was sealed"
        return state.last

    def _let_go(self, segment: Segment) -> None:
        """Close a segment, so that the next append opens it anew."""
        with self._reading, self._files:
            self._newest = None
            self._open.pop(segment.number).close()
