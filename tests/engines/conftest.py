"""The ports' contract: each test that asks for one of these fixtures runs on the twin and on the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attribune.engines.clickhouse_facts import ClickhouseFacts
from attribune.engines.lmdb_answers import LmdbAnswers
from attribune.engines.lmdb_journal import LmdbJournal
from attribune.engines.memory import (
    MemoryAnswers,
    MemoryClock,
    MemoryFacts,
    MemoryJournal,
    MemoryOutbox,
    MemoryRegistryStore,
    MemoryStore,
)
from attribune.engines.memory_book import MemoryBook
from attribune.engines.rocksdb_store import RocksStore
from attribune.engines.sql_book import SqlBook
from attribune.engines.sql_outbox import SqlOutbox
from attribune.engines.sql_registry import SqlRegistryStore

#: One folder, opened again as often as a test likes. A twin is *opened again* by sharing it.
Opener = Callable[[], Any]


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock()


@pytest.fixture(params=["memory", "lmdb", "lmdb in tiny segments"])
def open_journal(
    request: pytest.FixtureRequest, tmp_path: Path, clock: MemoryClock
) -> Iterator[Opener]:
    twin = MemoryJournal()
    opened: list[LmdbJournal] = []

    def open_() -> MemoryJournal | LmdbJournal:
        if request.param == "memory":
            return twin
        size = 1 << 30 if request.param == "lmdb" else 96 << 10
        opened.append(
            LmdbJournal(
                tmp_path / "journal", segment_bytes_max=size, segment_ms=86_400_000, clock=clock
            )
        )
        return opened[-1]

    yield open_
    for journal in opened:
        journal.close()


@pytest.fixture(params=["memory", "rocksdb"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    twin = MemoryStore()
    opened: list[RocksStore] = []

    def open_() -> MemoryStore | RocksStore:
        if request.param == "memory":
            return twin
        opened.append(RocksStore(tmp_path / "store"))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


@pytest.fixture(params=["memory", "lmdb"])
def open_answers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    twin = MemoryAnswers()
    opened: list[LmdbAnswers] = []

    def open_() -> MemoryAnswers | LmdbAnswers:
        if request.param == "memory":
            return twin
        opened.append(LmdbAnswers(tmp_path / "answers"))
        return opened[-1]

    yield open_
    for answers in opened:
        answers.close()


@pytest.fixture(params=["memory", "sqlite"])
def open_registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    twin = MemoryRegistryStore()
    opened: list[SqlRegistryStore] = []

    def open_() -> MemoryRegistryStore | SqlRegistryStore:
        if request.param == "memory":
            return twin
        opened.append(SqlRegistryStore(tmp_path / "registry.db"))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


@pytest.fixture(params=["memory", "sqlite"])
def open_outbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    twin = MemoryOutbox()
    opened: list[SqlOutbox] = []

    def open_() -> MemoryOutbox | SqlOutbox:
        if request.param == "memory":
            return twin
        opened.append(SqlOutbox(tmp_path / "outbox.db"))
        return opened[-1]

    yield open_
    for outbox in opened:
        outbox.close()


@pytest.fixture(params=["memory", "sqlite"])
def open_book(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    twin = MemoryBook()
    opened: list[SqlBook] = []

    def open_() -> MemoryBook | SqlBook:
        if request.param == "memory":
            return twin
        opened.append(SqlBook(tmp_path / "book.db"))
        return opened[-1]

    yield open_
    for book in opened:
        book.close()


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickhouseFacts]:
    """One for all tests of a file, and closed behind them: chDB opens one folder in a process, and other rooms have theirs."""
    facts = ClickhouseFacts(tmp_path_factory.mktemp("facts"), memory_bytes_max=1 << 30, threads=2)
    yield facts
    facts.close()


@pytest.fixture(params=["memory", "clickhouse"])
def facts(request: pytest.FixtureRequest) -> MemoryFacts | ClickhouseFacts:
    if request.param == "memory":
        return MemoryFacts()
    engine: ClickhouseFacts = request.getfixturevalue("clickhouse")
    engine.clear()
    return engine
