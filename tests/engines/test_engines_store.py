"""What every store promises: sorted rows of a partition, and rows and position in one piece."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribune.engines.memory import MemoryStore
from attribune.engines.rocksdb_store import CACHE_BYTES, RocksStore
from attribune.model.errors import FolderTooNew, StoreUnavailable
from attribune.model.ids import START, Position
from attribune.ports import Row

ONE, TWO = b"1" * 16, b"2" * 16

rows = st.builds(
    Row,
    st.integers(0, 2),
    st.sampled_from([0, 1, 2, 255, 256, 65_535]),
    st.sampled_from([bytes(16), ONE, TWO, b"\xff" * 16]),
    st.binary(max_size=3),
)
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("commit"),
            st.dictionaries(rows, st.none() | st.binary(max_size=5), max_size=6),
        ),
        st.tuples(
            st.just("drop"),
            st.tuples(st.integers(0, 2), st.sampled_from([0, 1, 2, 3, 256, 257, 65_535])),
        ),
        st.tuples(st.just("open again"), st.none()),
    ),
    max_size=20,
)


def test_a_new_store_is_empty(open_store):
    store = open_store()
    assert store.position() == START
    assert store.get(Row(1, 0, ONE)) is None
    assert store.rows(1, 0, ONE, 10) == []


def test_rows_of_a_partition_come_in_order(open_store):
    store = open_store()
    store.commit(
        {
            Row(1, 0, ONE, b"b"): b"2",
            Row(1, 0, ONE, b"a"): b"1",
            Row(1, 0, ONE, b""): b"0",
            Row(1, 0, TWO, b"a"): b"another partition",
            Row(1, 1, ONE, b"a"): b"another bucket",
            Row(2, 0, ONE, b"a"): b"another table",
        },
        Position(1),
    )
    assert store.rows(1, 0, ONE, 10) == [(b"", b"0"), (b"a", b"1"), (b"b", b"2")]
    assert store.rows(1, 0, ONE, 2) == [(b"", b"0"), (b"a", b"1")]
    assert store.rows(1, 0, ONE, 0) == []


def test_a_row_is_read_in_several_buckets_at_once(open_store):
    store = open_store()
    named = {Row(1, 6, ONE, b"a"): b"named", Row(1, 6, TWO): b"other", Row(2, 6, ONE): b"table"}
    store.commit({Row(1, 5, ONE): b"five", Row(1, 7, ONE): b"", **named}, Position(1))
    assert store.in_buckets(1, range(5, 9), ONE) == [b"five", None, b"", None]
    assert store.in_buckets(1, (), ONE) == []


def test_a_row_written_again_is_one_row_and_none_deletes(open_store):
    store = open_store()
    key = Row(1, 0, ONE, b"a")
    store.commit({key: b"old"}, Position(1))
    store.commit({key: b"new"}, Position(2))
    assert store.rows(1, 0, ONE, 10) == [(b"a", b"new")]
    store.commit({key: None, Row(1, 0, TWO): None}, Position(3))
    assert store.get(key) is None
    assert store.rows(1, 0, ONE, 10) == []


def test_old_buckets_are_dropped_and_bucket_zero_stays(open_store):
    store = open_store()
    keys = [Row(table, bucket, ONE, b"a") for table in (1, 2) for bucket in (0, 1, 2, 300, 65_535)]
    store.commit(dict.fromkeys(keys, b"x"), Position(1))
    store.drop(1, 300)
    kept = [key for key in keys if store.get(key) is not None]
    assert kept == [key for key in keys if key.table == 2 or key.bucket not in {1, 2}]
    store.commit({Row(1, 2, ONE, b"a"): b"anew"}, Position(2))
    assert store.rows(1, 2, ONE, 9) == [(b"a", b"anew")]


def test_state_and_position_stand_when_it_is_opened_again(open_store):
    store = open_store()
    store.commit({Row(1, 7, ONE, b"a"): b"x"}, Position(42))
    store.close()
    again = open_store()
    assert again.position() == 42
    assert again.rows(1, 7, ONE, 9) == [(b"a", b"x")]


@pytest.mark.parametrize("key", [Row(1, 0, b"short"), Row(255, 0, ONE), Row(1, 0, b"")])
def test_a_key_that_is_none_is_a_mistake(open_store, key):
    store = open_store()
    with pytest.raises(AssertionError):
        store.commit({key: b"x"}, Position(9))
    assert store.position() == START


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=steps)
def test_any_use_agrees_with_the_twin(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("store")
    twin, store, position = MemoryStore(), RocksStore(path), 0
    seen: set[Row] = set()
    try:
        for verb, what in steps:
            if verb == "commit":
                position += 1
                twin.commit(what, Position(position))
                store.commit(what, Position(position))
                seen |= set(what)
            elif verb == "drop":
                twin.drop(*what)
                store.drop(*what)
            else:
                store.close()
                store = RocksStore(path)
            assert store.position() == twin.position()
            for key in seen:
                assert store.get(key) == twin.get(key)
                for limit in (1, 100):
                    assert store.rows(*key[:3], limit) == twin.rows(*key[:3], limit)
    finally:
        store.close()


class Failing:
    """A database whose batches fail; all else works."""

    def __init__(self, db) -> None:
        self._db = db

    def __getattr__(self, name):
        return getattr(self._db, name)

    def write(self, batch) -> None:
        raise OSError("No space left on device")


def test_a_failed_commit_changes_neither_rows_nor_position(tmp_path: Path):
    store = RocksStore(tmp_path / "store")
    store.commit({Row(1, 1, ONE): b"old"}, Position(1))
    db, store._db = store._db, Failing(store._db)
    with pytest.raises(StoreUnavailable, match="No space left"):
        store.commit({Row(1, 1, ONE): b"new", Row(1, 1, TWO): b"new"}, Position(2))
    assert store.position() == 1
    store._db = db
    store.close()
    again = RocksStore(tmp_path / "store")
    assert (again.position(), again.get(Row(1, 1, ONE))) == (1, b"old")
    assert again.get(Row(1, 1, TWO)) is None
    again.close()


KILLED = """
import sys
from attribune.engines.rocksdb_store import CACHE_BYTES, RocksStore
from attribune.model.ids import Position
from attribune.ports import Row
store = RocksStore(sys.argv[1])
for n in range(1, 10_000_000):
    store.commit({Row(1, 1, bytes([i]) * 16): b"%d" % n for i in range(50)}, Position(n))
    if n == 300:
        print("going", flush=True)
"""


def test_rows_and_position_are_in_one_piece_after_a_kill(tmp_path: Path):
    path = tmp_path / "store"
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout.readline() == "going\n"
    writer.kill()
    writer.communicate(timeout=10)
    store = RocksStore(path)
    position = store.position()
    assert position >= 300
    values = {store.get(Row(1, 1, bytes([i]) * 16)) for i in range(50)}
    store.close()
    assert values == {b"%d" % position}


def test_rows_are_found_in_files_as_in_memory(tmp_path: Path):
    """Enough rows that most of them have left the memtables: prefix seeks then go by the files' bloom filters."""
    store = RocksStore(tmp_path / "store")
    for n in range(0, 6000, 500):
        store.commit(
            {Row(1, 5, i.to_bytes(16, "big"), b"a"): b"x" * 2000 for i in range(n, n + 500)},
            Position(n + 1),
        )
        store._db.flush()
    for i in range(0, 6000, 37):
        assert store.rows(1, 5, i.to_bytes(16, "big"), 9) == [(b"a", b"x" * 2000)]
        assert store.rows(1, 6, i.to_bytes(16, "big"), 9) == []
        assert store.get(Row(1, 5, i.to_bytes(16, "big"), b"b")) is None
    store.close()


def test_cache_and_filters_are_there_when_it_is_opened_again(tmp_path: Path):
    """The driver opens a folder with what the folder remembers of its options, unless it is told otherwise."""
    for _ in range(2):
        store = RocksStore(tmp_path / "store")
        assert int(store._db.property_value("rocksdb.block-cache-capacity")) == CACHE_BYTES
        store.close()
    newest = max((tmp_path / "store").glob("OPTIONS-*"))
    assert "filter_policy=bloomfilter" in newest.read_text()


def test_a_held_folder_is_said(tmp_path: Path):
    store = RocksStore(tmp_path / "store")
    with pytest.raises(StoreUnavailable, match="open already"):
        RocksStore(tmp_path / "store")
    store.close()
    with pytest.raises(StoreUnavailable):
        store.get(Row(1, 0, ONE))


def test_a_later_format_is_refused(tmp_path: Path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("attribune.engines.rocksdb_store.FORMAT", 2)
        store = RocksStore(tmp_path / "store")
        store.commit({}, Position(1))
        store.close()
    with pytest.raises(FolderTooNew, match="install the later one"):
        RocksStore(tmp_path / "store")
