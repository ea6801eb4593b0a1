"""Every engine and every twin has the verbs of its port, with the same words for what they take."""

from __future__ import annotations

import inspect

import pytest

from attribune import ports
from attribune.engines import memory
from attribune.engines.clickhouse_facts import ClickhouseFacts
from attribune.engines.enrich import UaEnricher
from attribune.engines.file_vault import FileVault
from attribune.engines.lmdb_answers import LmdbAnswers
from attribune.engines.lmdb_journal import LmdbJournal
from attribune.engines.rocksdb_store import RocksStore
from attribune.engines.sql_outbox import SqlOutbox
from attribune.engines.sql_registry import SqlRegistryStore
from attribune.engines.system import SystemChance, SystemClock
from attribune.journal.buffer import CommitBuffer

FITS = [
    (ports.Clock, SystemClock),
    (ports.Clock, memory.MemoryClock),
    (ports.Chance, SystemChance),
    (ports.Chance, memory.MemoryChance),
    (ports.Journal, LmdbJournal),
    (ports.Journal, memory.MemoryJournal),
    (ports.Store, RocksStore),
    (ports.Store, memory.MemoryStore),
    (ports.Answers, LmdbAnswers),
    (ports.Answers, memory.MemoryAnswers),
    (ports.RegistryStore, SqlRegistryStore),
    (ports.RegistryStore, memory.MemoryRegistryStore),
    (ports.Outbox, SqlOutbox),
    (ports.Outbox, memory.MemoryOutbox),
    (ports.Vault, FileVault),
    (ports.Vault, memory.MemoryVault),
    (ports.Facts, ClickhouseFacts),
    (ports.Facts, memory.MemoryFacts),
    (ports.Enricher, UaEnricher),
    (ports.Sink, CommitBuffer),
]


@pytest.mark.parametrize(("port", "engine"), FITS, ids=lambda kind: kind.__name__)
def test_an_engine_fits_its_port(port, engine):
    verbs = {name: verb for name, verb in vars(port).items() if not name.startswith("_")}
    assert verbs
    for name, verb in verbs.items():
        wanted, given = inspect.signature(verb), inspect.signature(getattr(engine, name))
        assert list(given.parameters) == list(wanted.parameters), name
        assert given.return_annotation == wanted.return_annotation, name
