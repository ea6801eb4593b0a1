"""A view in SQL: SQLite here, and nothing but the connect pragmas knows it.

One process writes, and brings the tables up to date when it opens them; others read while it does. Rows and the place
they are complete up to commit in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError

from attribune.model.errors import FolderTooNew, StoreUnavailable
from attribune.model.ids import START, Position

#: How long a reader or the writer waits for the file. Milliseconds.
BUSY_MS: Final = 5000
#: SQLite: memory for pages that the writer keeps, and pages in the log (128 MiB) before they are written home.
_CACHE_KIB: Final = 32_768
_WAL_PAGES: Final = 32_768
_ONLY_ROW: Final = 1
_MIGRATIONS: Final = Path(__file__).parent / "migrations"


class View(NamedTuple):
    """What a view is called, and the table that says up to which entry it is complete.

    Its tables' steps lie in ``migrations/<name>``.
    """

    name: str
    position: sa.Table


def position_table(name: str, tables: sa.MetaData) -> sa.Table:
    """A table of one row with the place up to which a view is complete."""
    return sa.Table(
        name,
        tables,
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False),
    )


class _Words(NamedTuple):
    """A statement in a database's own words, and how a row of values is given to it."""

    text: str
    #: Where values are given by name: the names, in the order of a row.
    names: tuple[str, ...] | None
    #: Where they are given in another order than a row's: what brings them into it.
    places: Callable[[tuple[Any, ...]], Any] | None


def _in_words_of(dialect: sa.Dialect, statement: sa.TextClause) -> _Words:
    compiled = statement.compile(dialect=dialect)
    names = tuple(compiled.params)
    order = getattr(compiled, "positiontup", None)
    if order is None:
        return _Words(str(compiled), names, None)
    if tuple(order) == names:
        return _Words(str(compiled), None, None)
    return _Words(str(compiled), None, itemgetter(*(names.index(name) for name in order)))


class Among:
    """A question about many keys: the statements for it, and the rows of values that these take.

    SQL's lists are limited, and a statement that is known costs less than one of another length: there are a few lengths, and a list
    that is shorter is filled up with its last key.
    """

    _SIZES: Final = (1, 16, 128, 500)

    def __init__(self, query: str) -> None:
        """Take a query in whose text ``:keys`` stands for the keys, behind all other values."""
        self._statements = {
            size: sa.text(query.replace(":keys", ", ".join(f":key{n}" for n in range(size))))
            for size in self._SIZES
        }

    def of(
        self, keys: Collection[Any], *before: Any
    ) -> Iterator[tuple[sa.TextClause, tuple[Any, ...]]]:
        """The question about some keys, as ``SqlView.found`` asks it; ``before`` are the values that stand before them."""
        listed = list(keys)
        for start in range(0, len(listed), self._SIZES[-1]):
            some = listed[start : start + self._SIZES[-1]]
            size = next(size for size in self._SIZES if len(some) <= size)
            yield self._statements[size], (*before, *some, *some[-1:] * (size - len(some)))


class SqlView:
    """A view under a database URL or in a SQLite file.

    With ``is_reader`` nothing is made or changed, and tables that the writer has not made yet are empty. Raises
    StoreUnavailable, and FolderTooNew when a later version of Attribune has changed the tables.
    """

    def __init__(self, view: View, url_or_path: str | Path, *, is_reader: bool = False) -> None:
        self._view = view
        # Made once: making a statement costs more than running it.
        table = view.position
        given: sa.BindParameter[int] = sa.bindparam("given")
        self._moved = (
            table.update()
            .where(table.c.id == _ONLY_ROW, table.c.position < given)
            .values(position=given)
        )
        self._stands = sa.select(table.c.position)
        #: Statements in the database's own words.
        self._compiled: dict[sa.TextClause, _Words] = {}
        text = str(url_or_path)
        is_url = "://" in text
        self._url = sa.make_url(text) if is_url else sa.URL.create("sqlite", database=text)
        self._is_reader = is_reader
        self._is_made = not is_reader
        if not is_url and not is_reader:
            try:
                Path(text).parent.mkdir(parents=True, exist_ok=True)
            except OSError as fault:
                raise StoreUnavailable(f"the {view.name} {text} cannot be made: {fault}") from fault
        self._engine = sa.create_engine(self._url)
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", self._tune)
            sa.event.listen(self._engine, "begin", _begin)
        try:
            if not is_reader:
                self._migrate()
        except BaseException as fault:
            self._engine.dispose()
            if isinstance(fault, (SQLAlchemyError, OSError)):
                raise self.said(fault) from fault
            raise

    @contextmanager
    def writing(self, position: Position) -> Iterator[sa.Connection]:
        """A transaction that ends with the view standing at a place, or further; all of it or nothing.

        Raises StoreUnavailable.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
                self._move(connection, position)
        except SQLAlchemyError as fault:
            raise self.said(fault) from fault

    def rows(self, query: sa.Executable, values: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """What a query gives; nothing while there are no tables. Raises StoreUnavailable."""
        if not self._is_made and not self._look():
            return []
        try:
            with self._engine.connect() as connection:
                return connection.execute(query, values or {}).all()
        except SQLAlchemyError as fault:
            raise self.said(fault) from fault

    def many(
        self, connection: sa.Connection, statement: sa.TextClause, rows: list[tuple[Any, ...]]
    ) -> int:
        """Execute a statement for many rows, past SQLAlchemy's care for each of them; how many rows it changed.

        A row has the statement's values, each once, in the order in which it first names them.
        """
        if not rows:
            return 0
        text, values = self._in_words(connection, statement, rows)
        return connection.exec_driver_sql(text, values).rowcount

    def found(self, asked: Iterable[tuple[sa.TextClause, tuple[Any, ...]]]) -> Sequence[Any]:
        """What queries give, one after the other, each for a row of values as ``many`` takes them; nothing while there are no tables.

        Raises StoreUnavailable.
        """
        if not self._is_made and not self._look():
            return []
        found: list[Any] = []
        try:
            with self._engine.connect() as connection:
                for statement, row in asked:
                    text, [values] = self._in_words(connection, statement, [row])
                    found += connection.exec_driver_sql(text, values).all()
                return found
        except SQLAlchemyError as fault:
            raise self.said(fault) from fault

    def position(self) -> Position:
        """Up to which entry the view is complete."""
        rows = self.rows(self._stands)
        return Position(rows[0][0]) if rows else START

    def write_home(self) -> bool:
        """SQLite: bring the log home and empty it, so that what was overwritten is read nowhere any more.

        Waits for nobody; False when somebody read meanwhile, and it is to be tried again. Raises StoreUnavailable.
        """
        if self._engine.dialect.name != "sqlite":
            return True
        try:
            connection = self._engine.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute("PRAGMA busy_timeout = 0")
                is_busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                cursor.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
                cursor.close()
            finally:
                connection.close()
        except SQLAlchemyError as fault:
            raise self.said(fault) from fault
        return not is_busy

    def close(self) -> None:
        """Let go of files and connections."""
        self._engine.dispose()

    def said(self, fault: Exception) -> StoreUnavailable:
        """A driver's error as ours. The connections are closed: one that failed may go on failing when the fault has ended."""
        self._engine.dispose()
        name = self._view.name
        why = getattr(fault, "orig", None) or fault
        damage = ""
        if isinstance(fault, DatabaseError) and not isinstance(fault, OperationalError):
            damage = f"; if it is damaged, stop the house and make it again with `attribune rebuild {name}`"
        return StoreUnavailable(f"the {name} {self._engine.url} cannot be used now: {why}{damage}")

    def _in_words(
        self, connection: sa.Connection, statement: sa.TextClause, rows: list[tuple[Any, ...]]
    ) -> tuple[str, list[Any]]:
        """A statement in the database's own words, and rows as these take them."""
        words = self._compiled.get(statement)
        if words is None:
            words = self._compiled[statement] = _in_words_of(connection.dialect, statement)
        if words.names is not None:
            return words.text, [dict(zip(words.names, row, strict=True)) for row in rows]
        if words.places is not None:
            return words.text, list(map(words.places, rows))
        return words.text, rows

    def _look(self) -> bool:
        """Whether the writer has made the tables by now; a reader must not even make an empty file."""
        if self._engine.dialect.name == "sqlite" and not Path(str(self._url.database)).exists():
            return False
        try:
            self._is_made = sa.inspect(self._engine).has_table(self._view.position.name)
        except SQLAlchemyError as fault:
            raise self.said(fault) from fault
        return self._is_made

    def _move(self, connection: sa.Connection, position: Position) -> None:
        table = self._view.position
        moved = connection.execute(self._moved, {"given": position})
        if not moved.rowcount and not connection.execute(sa.select(table.c.id)).first():
            connection.execute(table.insert().values(id=_ONLY_ROW, position=position))

    def _migrate(self) -> None:
        """Bring the tables up to date, in one transaction."""
        # Alembic takes 0.2 s to import, and readers never need it.
        from alembic import command  # noqa: PLC0415
        from alembic.config import Config  # noqa: PLC0415
        from alembic.migration import MigrationContext  # noqa: PLC0415
        from alembic.script import ScriptDirectory  # noqa: PLC0415

        steps = _MIGRATIONS / self._view.name
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        config.set_main_option("path_separator", "newline")
        config.set_main_option("version_locations", str(steps).replace("%", "%%"))
        scripts = ScriptDirectory.from_config(config)
        known = {script.revision for script in scripts.walk_revisions()}
        with self._engine.begin() as connection:
            standing = MigrationContext.configure(connection).get_current_heads()
            if unknown := set(standing) - known:
                raise FolderTooNew(
                    f"the {self._view.name} {self._engine.url} has tables of a later version "
                    f"({', '.join(sorted(unknown))}); install that version of Attribune"
                )
            if set(standing) != set(scripts.get_heads()):
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            # Alembic takes a folder of steps that it cannot read for an empty one.
            if not sa.inspect(connection).has_table(self._view.position.name):
                raise OSError(f"its tables cannot be made, the steps in {steps} cannot be read")

    def _tune(self, connection: Any, _record: Any) -> None:
        """SQLite: readers beside one writer; a power cut may take the last commits, which the journal has."""
        # The driver would begin a transaction with the first row that is written, and leave tables that are made out of it.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        if self._is_reader:
            cursor.execute("PRAGMA query_only = ON")
        else:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = NORMAL")
            # Keys are hashes, so a batch touches pages everywhere: keep them, and write each home seldom.
            cursor.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            cursor.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
            # What is deleted or replaced is overwritten with zeros: who is forgotten is not read in free pages.
            cursor.execute("PRAGMA secure_delete = ON")
        cursor.close()


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")
