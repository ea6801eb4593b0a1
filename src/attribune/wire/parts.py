"""The engines of one data folder, each opened when it is first asked for."""

# ruff: noqa: PLC0415 - an import inside a function is there so that only who needs an engine pays for it

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attribune.registry.view import Registry
from attribune.settings import Settings

if TYPE_CHECKING:
    from attribune.engines.lmdb_journal import LmdbJournal
    from attribune.ports import (
        Answers,
        Book,
        Chance,
        Clock,
        Enricher,
        Facts,
        Outbox,
        RegistryStore,
        Store,
        Vault,
    )


OUTBOX_FILE: Final = "outbox.db"


class Parts:
    """The engines of one data folder, each opened when it is first asked for."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Open nothing yet."""
        self.folder = folder
        self.settings = settings
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close what was opened, the last first."""
        for name in reversed([name for name in self.__dict__ if name in _ENGINES]):
            self.forget(name)

    def forget(self, name: str) -> None:
        """Close one engine, if it is open; it is opened anew when it is asked for again."""
        opened = self.__dict__.pop(name, None)
        if opened is not None:
            opened.close()

    @cached_property
    def clock(self) -> Clock:
        """The machine's."""
        from attribune.engines.system import SystemClock

        return SystemClock()

    @cached_property
    def chance(self) -> Chance:
        """The kernel's."""
        from attribune.engines.system import SystemChance

        return SystemChance()

    @cached_property
    def journal(self) -> LmdbJournal:
        """The journal."""
        from attribune.engines.lmdb_journal import LmdbJournal

        return LmdbJournal(
            self.folder / "journal",
            segment_bytes_max=self.settings.journal_segment_bytes_max,
            segment_ms=self.settings.journal_segment_ms,
            clock=self.clock,
        )

    @cached_property
    def answers(self) -> Answers:
        """What SDKs that ask are told."""
        from attribune.engines.lmdb_answers import LmdbAnswers

        return LmdbAnswers(self.folder / "answers")

    @cached_property
    def store(self) -> Store:
        """What the attributor remembers."""
        from attribune.engines.rocksdb_store import RocksStore

        return RocksStore(self.folder / "store")

    @property
    def facts(self) -> Facts:
        """The rows that reports add up; asked for by many threads, opened by one."""
        with self._lock:
            return self._facts

    @cached_property
    def _facts(self) -> Facts:
        from attribune.engines.clickhouse_facts import ClickhouseFacts

        return ClickhouseFacts(
            self.folder / "facts",
            memory_bytes_max=self.settings.facts_memory_bytes_max,
            threads=self.settings.facts_threads,
        )

    @cached_property
    def enricher(self) -> Enricher:
        """Reads user agents and addresses."""
        from attribune.engines.enrich import UaEnricher

        return UaEnricher()

    @cached_property
    def vault(self) -> Vault:
        """Seals secrets, with a key of this folder."""
        from attribune.engines.file_vault import FILE_NAME, FileVault

        return FileVault(self.folder / FILE_NAME)

    @cached_property
    def outbox(self) -> Outbox:
        """What partners are told; its writer is the postbacker alone."""
        from attribune.engines.sql_outbox import SqlOutbox

        return SqlOutbox(self.folder / OUTBOX_FILE)

    @cached_property
    def outbox_reader(self) -> Outbox:
        """The same for who only reads."""
        from attribune.engines.sql_outbox import SqlOutbox

        return SqlOutbox(self.folder / OUTBOX_FILE, is_reader=True)

    def registry_store(self, *, is_reader: bool) -> RegistryStore:
        """The history of topic ``control``; its writer is the registrar alone. Who opens it closes it."""
        from attribune.engines.sql_registry import SqlRegistryStore

        return SqlRegistryStore(self.folder / "registry.db", is_reader=is_reader)

    def book(self, *, is_reader: bool) -> Book:
        """What partners are owed; its writer is the bookkeeper alone. Who opens it closes it."""
        from attribune.engines.sql_book import SqlBook

        return SqlBook(self.folder / "book.db", is_reader=is_reader)

    def registry(self) -> Registry:
        """A view of its own for who asks, filled from the store as far as that goes."""
        from attribune.roles.registrar import load

        store = self.registry_store(is_reader=True)
        try:
            return load(Registry(), store)
        finally:
            store.close()

    @contextmanager
    def scratch_store(self) -> Iterator[Store]:
        """An empty store beside the attributor's own, gone afterwards."""
        from attribune.engines.rocksdb_store import RocksStore

        folder = Path(tempfile.mkdtemp(prefix="replay-", dir=self.folder / "run"))
        try:
            store = RocksStore(folder)
            try:
                yield store
            finally:
                store.close()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


#: Attributes of Parts that are closed.
_ENGINES: Final = frozenset({"journal", "answers", "store", "outbox", "outbox_reader", "_facts"})
