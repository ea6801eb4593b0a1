"""Lives of the engines, each in a process of its own, for tests that have the kernel refuse one of its calls.

lives.py DESCRIPTOR   takes ``{"engine", "folder"}`` with a socket from that descriptor, again and again, and lives each in a fork
lives.py DESCRIPTOR facts FOLDER   one life of the facts, whose threads would not outlive a fork; the descriptor is its socket

A life says over its socket that it is ready, waits for a word, does its deeds and tells how they went; after another word it
opens the engine anew and tells what it holds. Sockets only, since the other calls may be the ones that are refused.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final, Protocol

from attribune.engines.lmdb_answers import LmdbAnswers
from attribune.engines.lmdb_journal import LmdbJournal
from attribune.engines.rocksdb_store import RocksStore
from attribune.engines.sql_book import SqlBook
from attribune.engines.sql_outbox import SqlOutbox
from attribune.engines.sql_registry import SqlRegistryStore
from attribune.engines.system import SystemClock
from attribune.model.book import entry
from attribune.model.delivery import (
    Attempt,
    DeliveryState,
    LogQuestion,
    OutboxPage,
    Planned,
    Trigger,
)
from attribune.model.errors import AttribuneError
from attribune.model.fact import Fact, FactKind
from attribune.model.ids import (
    START,
    DeliveryId,
    DeviceId,
    PartnerId,
    Position,
    PostbackId,
    ProductId,
)
from attribune.model.position import Topic
from attribune.ports import BookWrites

#: How often a deed is tried before it is said that it never works again: at most each of ClickHouse's threads fails it once.
TRIES: Final = 30
#: After so many tries an engine whose process would be begun anew is opened anew.
TRIES_OF_ONE: Final = 2
DEEDS: Final = 4
_TOPICS: Final = (Topic.TOUCHES, Topic.ACTIVITY, Topic.CONTROL)

Deed = Callable[[Any], None]


class Engine(Protocol):
    """How an engine is lived with."""

    #: Whether a role that cannot use it any more ends, and the next process opens it anew.
    is_reopened: bool

    def open(self, folder: Path) -> Any: ...

    def deeds(self) -> Iterator[tuple[str, Deed]]: ...

    def held(self, opened: Any) -> Any:
        """All that is kept, as JSON."""


class Journal:
    """A collector appends for as long as it lives, through one object, over the end of a segment."""

    is_reopened = False

    def open(self, folder: Path) -> LmdbJournal:
        return LmdbJournal(
            folder / "journal",
            segment_bytes_max=64 << 10,
            segment_ms=86_400_000,
            clock=SystemClock(),
        )

    def deeds(self) -> Iterator[tuple[str, Deed]]:
        for n in range(DEEDS):
            yield "append", lambda journal, n=n: journal.append(self.batch(n))
            yield "read", lambda journal, n=n: self.check(journal, n)
        yield "segments", lambda journal: journal.segments()

    @staticmethod
    def batch(n: int) -> list[tuple[Topic, bytes]]:
        pad = b"." * 6000
        return [(topic, f"{n} {topic} ".encode() + pad) for topic in _TOPICS]

    def check(self, journal: LmdbJournal, n: int) -> None:
        """Read from the beginning, as a role that was begun anew does."""
        entries = journal.read(_TOPICS, START, 1000)
        assert [bytes(entry.payload) for entry in entries] == [
            payload for k in range(n + 1) for _, payload in self.batch(k)
        ]
        assert journal.end() == len(entries)
        assert journal.start() == START
        assert journal.get(entries[0].topic, entries[0].position) == entries[0]

    def held(self, opened: LmdbJournal) -> list[str]:
        return [entry.payload.decode().rstrip(".") for entry in opened.read(_TOPICS, START, 1000)]


class Answers:
    """The attributor puts answers batch by batch, and goes on from the position."""

    is_reopened = False
    _who = (ProductId("p"), DeviceId("d"))

    def open(self, folder: Path) -> LmdbAnswers:
        return LmdbAnswers(folder / "answers")

    def deeds(self) -> Iterator[tuple[str, Deed]]:
        for n in range(1, DEEDS + 1):
            yield "put", lambda answers, n=n: answers.put(self.batch(n), Position(n))
            yield "get", lambda answers, n=n: self.check(answers, n)

    def batch(self, n: int) -> dict[tuple[ProductId, DeviceId], bytes | None]:
        more = {(ProductId("p"), DeviceId(f"{n}-{i}")): bytes(500) for i in range(20)}
        return {self._who: b"%d" % n, **more}

    def check(self, answers: LmdbAnswers, n: int) -> None:
        assert answers.get(*self._who) == b"%d" % n
        assert answers.position() == n

    def held(self, opened: LmdbAnswers) -> list[Any]:
        newest = opened.get(*self._who)
        return [opened.position(), newest.decode() if newest else None]


class Registry:
    """The registrar adds changes, all of a batch or none."""

    is_reopened = False

    def open(self, folder: Path) -> SqlRegistryStore:
        return SqlRegistryStore(folder / "registry.db")

    def deeds(self) -> Iterator[tuple[str, Deed]]:
        for n in range(1, DEEDS + 1):
            batch = [(Position(10 * n + i), b"%d" % (10 * n + i)) for i in range(3)]
            place = Position(10 * n + 5)
            yield "add", lambda store, batch=batch, place=place: store.add(batch, place)
            yield "history", lambda store, n=n: self.check(store, n)

    def check(self, store: SqlRegistryStore, n: int) -> None:
        assert len(store.history()) == 3 * n
        assert store.position() == 10 * n + 5

    def held(self, opened: SqlRegistryStore) -> list[Any]:
        return [opened.position(), [payload.decode() for _, payload in opened.history()]]


class Outbox:
    """The postbacker folds what is planned and what came of it, and goes on from the position."""

    is_reopened = False
    _postback = PostbackId("acme-1")

    def open(self, folder: Path) -> SqlOutbox:
        return SqlOutbox(folder / "outbox.db")

    def deeds(self) -> Iterator[tuple[str, Deed]]:
        for n in range(1, DEEDS + 1):
            yield "fold", lambda outbox, n=n: outbox.fold(self.page(n), Position(n))
            yield "due", lambda outbox, n=n: self.check(outbox, n)

    def page(self, n: int) -> OutboxPage:
        """Two more to tell, of which the first is told."""
        told, waits = (
            Planned(
                id=DeliveryId(f"{n}-{which}"), postback=self._postback, partner=PartnerId("acme"),
                product=ProductId("p"),
                outcome_id=f"{n}-{which}", revision=1, trigger=Trigger.INSTALL, subject=f"{n}-{which}",
                place=Position(n), at_ms=n,
            )
            for which in ("told", "waits")
        )  # fmt: skip
        attempt = Attempt(
            delivery=told.id, postback=self._postback, number=1, at_ms=n, took_ms=1, status=200,
            state=DeliveryState.DELIVERED,
        )  # fmt: skip
        return OutboxPage(planned=[told, waits], came=[attempt])

    def check(self, outbox: SqlOutbox, n: int) -> None:
        due = outbox.due(self._postback, 1_000, 100, in_order=False)
        assert [row.planned.id for row in due] == [f"{k}-waits" for k in range(1, n + 1)]
        assert outbox.position() == n

    def held(self, opened: SqlOutbox) -> list[Any]:
        log = opened.log(LogQuestion(postback=self._postback))
        return [
            opened.position(),
            sorted([one.row.planned.id, one.row.state, len(one.attempts)] for one in log),
        ]


class Book:
    """The bookkeeper commits lines and entries with its position; what it tries again it books once."""

    is_reopened = False

    def open(self, folder: Path) -> SqlBook:
        return SqlBook(folder / "book.db")

    def deeds(self) -> Iterator[tuple[str, Deed]]:
        for n in range(1, DEEDS + 1):
            yield "commit", lambda book, n=n: book.commit(self.writes(n), Position(n))
            yield "balances", lambda book, n=n: self.check(book, n)

    def writes(self, n: int) -> BookWrites:
        entries = [
            entry(f"{n}-{i}", n, "expense", "partner:acme:approved", 100, "EUR", "line", "earn")
            for i in range(3)
        ]
        return BookWrites(entries=entries, states=[(1, "newest", b"%d" % n)])

    def check(self, book: SqlBook, n: int) -> None:
        assert book.balances("partner:") == [("partner:acme:approved", "EUR", 300 * n)]
        assert book.states(1, ["newest"]) == {"newest": b"%d" % n}
        assert book.position() == n

    def held(self, opened: SqlBook) -> list[Any]:
        balances = [list(balance) for balance in opened.balances()]
        return [opened.position(), len(opened.entries(None, 0, 100)), balances]


class Store:
    """The attributor commits rows with their position."""

    is_reopened = True

    def open(self, folder: Path) -> RocksStore:
        return RocksStore(folder / "store" / "rocks")

    def deeds(self) -> Iterator[tuple[str, Deed]]:
        for n in range(1, DEEDS + 1):
            rows = {
                self.row(n): bytes(300),
                self.row(n - 1): None,
                (2, 1, bytes(16), b"sum"): b"%d" % n,
            }
            yield "commit", lambda store, rows=rows, n=n: store.commit(rows, Position(n))
            yield "rows", lambda store, n=n: self.check(store, n)
        yield "drop", lambda store: store.drop(9, 5)

    @staticmethod
    def row(n: int) -> tuple[int, int, bytes, bytes]:
        return (1, 1, bytes(16), n.to_bytes(4, "big"))

    def check(self, store: RocksStore, n: int) -> None:
        assert store.position() == n
        assert store.get((2, 1, bytes(16), b"sum")) == b"%d" % n
        assert [row for row, _ in store.rows(1, 1, bytes(16), 100)] == [n.to_bytes(4, "big")]

    def held(self, opened: RocksStore) -> list[Any]:
        rows = opened.rows(1, 1, bytes(16), 100)
        return [opened.position(), [int.from_bytes(row, "big") for row, _ in rows]]


class Facts:
    """The recorder inserts rows, and after a failure goes on from what stands. Opened before anything is refused."""

    is_reopened = True

    def open(self, folder: Path) -> Any:
        from attribune.engines.clickhouse_facts import ClickhouseFacts  # noqa: PLC0415 - loads ClickHouse

        return ClickhouseFacts(folder / "facts", memory_bytes_max=1 << 30, threads=1)

    def deeds(self) -> Iterator[tuple[str, Deed]]:
        for n in range(1, DEEDS):
            yield "insert", lambda facts, n=n: self.insert(facts, n)

    def insert(self, facts: Any, n: int) -> None:
        """A failed insert may have been written: the facts know."""
        if facts.position() < n:
            facts.insert([self.row(n, ordinal) for ordinal in range(3)])
        assert (facts.position(), facts.count()) == (n, 3 * n)

    @staticmethod
    def row(n: int, ordinal: int) -> Fact:
        day = date(2026, 3, 1)
        return Fact(
            position=Position(n), ordinal=ordinal, kind=FactKind.CLICK, product=ProductId("p"),
            at_ms=n, received_at_ms=n, day=day, own_day=day, about=Position(n),
        )  # fmt: skip

    def held(self, opened: Any) -> list[int]:
        return [opened.position(), opened.count()]


ENGINES: Final[dict[str, Engine]] = {
    "journal": Journal(),
    "answers": Answers(),
    "registry": Registry(),
    "outbox": Outbox(),
    "book": Book(),
    "store": Store(),
    "facts": Facts(),
}


class Life:
    """One life: every deed is tried until it works, as the roles do."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.opened: Any = None
        self.failures: list[str] = []

    def live(self) -> None:
        """Do all deeds and close. Raises what is no error of ours, and AssertionError when a deed never works."""
        for what, deed in self.engine.deeds():
            self._do(what, deed)
        self._close("close")

    def _do(self, what: str, deed: Deed) -> None:
        for n in range(TRIES):
            if n == TRIES_OF_ONE and self.engine.is_reopened and self.opened is not None:
                self._close("give up")
            doing = "open"
            try:
                if self.opened is None:
                    self.opened = self.engine.open(self.folder)
                    gc.collect()  # what was left open by one that failed is closed
                doing = what
                deed(self.opened)
            except AttribuneError as fault:
                self.failures.append(f"{doing}: {type(fault).__name__}: {fault.message}")
            else:
                return
        raise AssertionError(f"{what} never worked again: {self.failures}")

    def _close(self, what: str) -> None:
        opened, self.opened = self.opened, None
        try:
            opened.close()
        except AttribuneError as fault:
            self.failures.append(f"{what}: {type(fault).__name__}: {fault.message}")


def tell(talk: socket.socket, engine: Engine, folder: Path, opened: Any = None) -> None:
    """Live, and tell over a socket."""
    talk.send(str(os.getpid()).encode())
    talk.recv(1)
    life = Life(engine, folder)
    life.opened = opened
    try:
        life.live()
        said: dict[str, Any] = {"failures": life.failures}
    except Exception as fault:  # noqa: BLE001 - whatever it is, it is told
        said = {"failures": life.failures, "broken": f"{type(fault).__name__}: {fault}"}
    talk.send(json.dumps(said).encode())
    talk.recv(1)
    opened = engine.open(folder)
    try:
        talk.sendall(json.dumps(engine.held(opened)).encode())
    finally:
        opened.close()


def main() -> None:
    """Live what is asked for, each time in a fork, until nobody asks."""
    control = socket.socket(fileno=int(sys.argv[1]))
    if len(sys.argv) > 2:
        engine, folder = ENGINES[sys.argv[2]], Path(sys.argv[3])
        tell(control, engine, folder, engine.open(folder))
        return
    # What a life would import only when it needs it is loaded before anything is refused. RocksDB's threads would not
    # outlive a fork, so that engine is not tried.
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("journal", "answers", "registry", "outbox", "book"):
            Life(ENGINES[name], Path(scratch)).live()
    control.send(b"!")
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 4096, 1)
        if not message:
            return
        asked = json.loads(message)
        child = os.fork()
        if child == 0:
            control.close()
            tell(
                socket.socket(fileno=descriptors[0]),
                ENGINES[asked["engine"]],
                Path(asked["folder"]),
            )
            os._exit(0)
        os.close(descriptors[0])
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
