"""The bookkeeper as a role: each entry is booked once, wherever it is stopped."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
from ledger.books import Books, ms
from ledger.test_ledger_journeys import cpa

from attribune.engines.memory import MemoryBook, MemoryClock, MemoryJournal
from attribune.engines.sql_book import SqlBook
from attribune.model.codec import decode, encode
from attribune.model.control import Change, Tick
from attribune.model.errors import StoreUnavailable
from attribune.model.ids import START, Position
from attribune.model.position import Topic
from attribune.ports import BookWrites, LinesWanted
from attribune.roles.bookkeeper import BookkeeperRole
from attribune.settings import Settings


class Desk:
    """A journal with what a tale told, and bookkeepers over one book."""

    def __init__(self, tale: Books, book: Any = None, **settings: Any) -> None:
        self.journal = MemoryJournal()
        self.clock = MemoryClock()
        self.book = book or MemoryBook()
        self.settings = Settings(**({"read_entries_max": 3, "poll_ms": 1, "tick_ms": 1} | settings))
        for _, record in tale.told:
            topic = Topic.CONTROL if isinstance(record, Change) else Topic.OUTCOMES
            self.journal.append([(topic, encode(record))])
        self.role = self.begin()

    def begin(self) -> BookkeeperRole:
        return BookkeeperRole(self.journal, lambda: self.book, self.clock, self.settings)

    def lines(self) -> list[tuple[str, int]]:
        kept = self.book.lines(LinesWanted(), 0, 1000)
        return [(one.line.id, one.line.amount_minor) for one in kept]


def tale() -> Books:
    books = Books()
    books.offer(cpa(more="hold_days = 30"))
    for n in range(10):
        books.install(f"i{n}", at=f"2026-01-{n + 1:02d}")
    return books


def test_a_bookkeeper_that_is_killed_between_steps_goes_on_where_the_book_stands() -> None:
    books = tale()
    desk = Desk(books)
    while desk.role.step():
        desk.role = desk.begin()
    assert desk.lines() == [(line.id, line.amount_minor) for line in books.lines()]
    assert desk.role.step() == 0
    assert desk.role.position() == desk.journal.end() == desk.book.position()
    assert desk.role.state()["lag"] == 0


def test_a_commit_that_fails_is_done_again_from_what_stands() -> None:
    class Failing(MemoryBook):
        left = 3

        def commit(self, writes: BookWrites, position: Position) -> None:
            self.left -= 1
            if self.left == 0:
                raise StoreUnavailable("the disk is full")
            super().commit(writes, position)

    books = tale()
    desk = Desk(books, Failing())
    failed = 0
    for _ in range(10):
        try:
            desk.role.step()
        except StoreUnavailable:
            failed += 1
    assert failed == 1
    assert desk.lines() == [(line.id, line.amount_minor) for line in books.lines()]
    assert desk.book.balances() == books.book.balances()


def test_time_that_passes_is_journaled_when_something_is_due_and_nothing_is_said() -> None:
    desk = Desk(tale())
    desk.role.tick()
    while desk.role.step():
        pass
    desk.clock.at_ms = ms("2026-01-30")
    desk.role.tick()
    end = desk.journal.end()
    desk.clock.at_ms = ms("2026-02-03")
    desk.role.tick()
    desk.role.tick()
    assert desk.journal.end() == end + 1
    [entry] = desk.journal.read((Topic.CONTROL,), Position(end), 9)
    change = decode(entry)
    assert isinstance(change, Change)
    assert change.record == Tick(at_ms=ms("2026-02-03"))
    desk.role.step()
    assert desk.book.balances("partner:acme:approved") == [("partner:acme:approved", "EUR", 4000)]


def test_a_bookkeeper_runs_until_it_is_told_to_stop() -> None:
    desk = Desk(tale())
    stop = threading.Event()
    thread = threading.Thread(target=desk.role.run, args=(stop,))
    thread.start()
    for _ in range(1000):
        if desk.role.position() == desk.journal.end():
            break
        stop.wait(0.005)
    stop.set()
    thread.join()
    assert len(desk.lines()) == 10
    assert desk.role.state()["counters"]["entries"] >= 12


def test_a_book_that_is_forgotten_is_made_again(tmp_path: Path) -> None:
    books = tale()
    desk = Desk(books)
    path = tmp_path / "book.db"
    role = BookkeeperRole(desk.journal, lambda: SqlBook(path), desk.clock, desk.settings)
    while role.step():
        pass
    role.forget(path.unlink)
    assert role.position() == START
    while role.step():
        pass
    reader = SqlBook(path, is_reader=True)
    assert len(reader.lines(LinesWanted(), 0, 99)) == 10
    assert reader.balances() == books.book.balances()
    reader.close()
    role.close()


@pytest.mark.parametrize("pruned", [True, False])
def test_a_book_that_is_begun_behind_what_was_pruned_holds_what_comes(*, pruned: bool) -> None:
    desk = Desk(tale())
    if pruned:
        desk.journal.prune(Position(6))
    while desk.role.step():
        pass
    assert len(desk.lines()) == (6 if pruned else 10)


def test_what_others_leave_in_a_circle_is_found_while_a_bookkeeper_steps() -> None:
    """It shares its process with the recorder and the API; steps that froze all objects kept their garbage for ever."""

    class Circle:
        def __init__(self) -> None:
            self.itself = self

    desk = Desk(tale())
    alive: WeakSet[Circle] = WeakSet()
    for _ in range(100):
        for _ in range(200):
            alive.add(Circle())
        desk.role.step()
    assert len(alive) < 100 * 200 / 2
