"""The bookkeeper: reads outcomes and changes in the journal's order and keeps the book of what partners are owed.

What a batch books commits together with the place that it has read to, so the book is complete up to there and each entry is
booked once. When something is due and nobody says anything, it journals that time has passed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from attribune.ledger.agreed import Agreed
from attribune.ledger.bookkeeper import Bookkeeper
from attribune.model.codec import Record, decode, encode
from attribune.model.control import Change, Tick
from attribune.model.ids import START, Position
from attribune.model.outcome import Outcome
from attribune.model.position import Topic
from attribune.pipeline import BOOK
from attribune.ports import Book, Clock, Journal
from attribune.roles.base import Patience
from attribune.settings import Settings


class BookkeeperRole:
    """Keeps the book. The only writer of it."""

    name = "bookkeeper"

    def __init__(
        self,
        journal: Journal,
        open_book: Callable[[], Book],
        clock: Clock,
        settings: Settings,
    ) -> None:
        """Take the journal, and how the book is opened: again after it was forgotten."""
        self._journal = journal
        self._open_book = open_book
        self._clock = clock
        self._settings = settings
        self._lock = threading.Lock()
        self._patience = Patience()
        self._book = open_book()
        self._keeper: Bookkeeper | None = None
        self._read = self._book.position()
        self._entries = 0
        self._ticked_ms = 0

    def position(self) -> Position:
        """Up to which entry the book is complete."""
        return self._read

    def step(self) -> int:
        """Book the next entries, and move the position; how many entries that were.

        Raises JournalDamaged, JournalUnavailable, StoreUnavailable; then the next step goes on from what was committed.
        """
        with self._lock:
            try:
                return self._step()
            except BaseException:
                # What was agreed may have gone ahead of what was committed.
                self._keeper = None
                raise

    def run(self, stop: threading.Event) -> None:
        """Step until told to stop. What cannot be read or written now, as on a full disk, is tried again for a while."""
        wait_s = self._settings.poll_ms / 1000
        while not stop.is_set():
            if self._patience.step(self, stop) == 0:
                self.tick()
                stop.wait(wait_s)

    def tick(self) -> None:
        """Journal that time has passed, when something is due and nothing else is said."""
        now_ms = self._clock.now_ms()
        if self._keeper is None or now_ms - self._ticked_ms < self._settings.tick_ms:
            return
        with self._lock:
            due = self._keeper.next_due() if self._keeper is not None else None
        if due is None or due > now_ms:
            return
        self._ticked_ms = now_ms
        tick = Change(at_ms=now_ms, record=Tick(at_ms=now_ms))
        self._journal.append([(Topic.CONTROL, encode(tick))])

    def state(self) -> dict[str, Any]:
        """Where the role stands."""
        return {
            "position": self._read,
            "lag": max(0, self._journal.end() - self._read),
            "last_error": self._patience.last_error,
            "counters": {"entries": self._entries},
        }

    def forget(self, remove: Callable[[], None]) -> None:
        """Close the book, let it be removed, and begin again with an empty one."""
        with self._lock:
            self._book.close()
            remove()
            self._book = self._open_book()
            self._keeper, self._read = None, START

    def close(self) -> None:
        """Let go of the book."""
        with self._lock:
            self._book.close()

    def _step(self) -> int:
        if self._keeper is None:
            # A book that is begun where the beginning was pruned holds what is owed from there on.
            self._read = max(self._book.position(), self._journal.start())
            self._keeper = Bookkeeper(self._book, self._agreed(self._read))
        after = self._read
        end = self._journal.end()
        batch = self._journal.read(BOOK.reads, after, self._settings.read_entries_max)
        self._keeper.take([(entry.position, _booked(decode(entry))) for entry in batch])
        if len(batch) < self._settings.read_entries_max:
            # Nothing of these topics is left, whatever else stands up to the end.
            self._read = max(end, batch[-1].position) if batch else max(after, end)
        else:
            self._read = batch[-1].position
        self._entries += len(batch)
        return len(batch)

    def _agreed(self, upto: Position) -> Agreed:
        """What was agreed up to the place where the book stands; people's changes are kept for ever."""
        agreed, position = Agreed(), START
        while position < upto:
            batch = self._journal.read((Topic.CONTROL,), position, self._settings.read_entries_max)
            for entry in batch:
                if entry.position <= upto:
                    agreed.apply(_change(decode(entry)))
            if not batch:
                break
            position = batch[-1].position
        return agreed


def _booked(record: Record) -> Change | Outcome:
    """The topics that are read hold outcomes and changes alone."""
    return record  # type: ignore[return-value]  # the topic says so


def _change(record: Record) -> Change:
    assert isinstance(record, Change), "topic control holds changes"
    return record
