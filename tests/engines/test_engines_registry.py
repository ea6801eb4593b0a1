"""What every keeper of the registry's history promises."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from attribune.engines import sql_registry
from attribune.engines.sql_registry import SqlRegistryStore
from attribune.model.errors import FolderTooNew, StoreUnavailable
from attribune.model.ids import START, Position

ONE, TWO, NINE = ((Position(n), b"%d" % n) for n in (1, 2, 9))


def test_a_new_history_is_empty(open_registry):
    store = open_registry()
    assert store.history() == []
    assert store.position() == START


def test_changes_are_kept_in_order(open_registry):
    store = open_registry()
    store.add([ONE], Position(1))
    store.add([NINE, TWO], Position(12))
    assert store.history() == [ONE, TWO, NINE]
    assert store.position() == 12


def test_what_stands_already_is_left(open_registry):
    store = open_registry()
    store.add([ONE, TWO], Position(2))
    store.add([(Position(2), b"other"), NINE], Position(9))
    assert store.history() == [ONE, TWO, NINE]


def test_the_position_never_goes_back(open_registry):
    store = open_registry()
    store.add([], Position(8))
    store.add([ONE], Position(3))
    assert store.position() == 8


def test_history_stands_when_opened_again(open_registry):
    store = open_registry()
    changes = [(Position(n), b"x" * n) for n in range(1, 1300)]
    store.add(changes, Position(1300))
    store.close()
    again = open_registry()
    again.add(changes[::2], Position(1300))
    assert again.history() == changes
    assert again.position() == 1300


def test_a_reader_waits_for_the_writer_to_begin(tmp_path: Path):
    path = tmp_path / "registry.db"
    reader = SqlRegistryStore(path, is_reader=True)
    assert (reader.history(), reader.position()) == ([], START)
    assert not path.exists(), "a reader makes no file"
    writer = SqlRegistryStore(path)
    assert (reader.history(), reader.position()) == ([], START)
    writer.add([ONE], Position(1))
    assert (reader.history(), reader.position()) == ([ONE], 1)
    with pytest.raises(StoreUnavailable, match="readonly"):
        reader.add([TWO], Position(2))
    reader.close()
    writer.close()


def test_changes_and_position_are_all_or_nothing(tmp_path: Path, monkeypatch):
    store = SqlRegistryStore(tmp_path / "registry.db")
    store.add([ONE], Position(1))

    def break_down(*args):
        raise sa.exc.OperationalError("UPDATE", {}, Exception("disk I/O error"))

    with monkeypatch.context() as patch:
        patch.setattr(store, "_move", break_down)
        with pytest.raises(StoreUnavailable, match="disk I/O error"):
            store.add([TWO], Position(2))
    assert (store.history(), store.position()) == ([ONE], 1)
    store.close()


def test_tables_are_as_the_migrations_make_them(tmp_path: Path):
    store = SqlRegistryStore(tmp_path / "registry.db")
    migrated = sa.inspect(store._engine)
    for table in sql_registry._tables.sorted_tables:
        made = {column["name"]: column for column in migrated.get_columns(table.name)}
        assert set(made) == {column.name for column in table.columns}
        for column in table.columns:
            assert isinstance(made[column.name]["type"], type(column.type))
            assert made[column.name]["nullable"] == column.nullable
    store.close()


def test_tables_of_a_later_version_are_refused(tmp_path: Path):
    path = tmp_path / "registry.db"
    SqlRegistryStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(FolderTooNew, match="9999"):
        SqlRegistryStore(path)


def test_a_file_that_is_no_database_is_said(tmp_path: Path):
    path = tmp_path / "registry.db"
    path.write_bytes(b"this is no database, whatever its name says" * 40)
    with pytest.raises(StoreUnavailable, match="not a database"):
        SqlRegistryStore(path)


def test_a_percent_sign_in_the_folder_is_no_matter(tmp_path: Path):
    path = tmp_path / "100%20" / "registry.db"
    store = SqlRegistryStore(path)
    store.add([ONE], Position(1))
    assert store.history() == [ONE]
    store.close()
