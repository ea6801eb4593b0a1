"""The history of topic ``control`` in SQL: SQLite here, and nothing but the connect pragmas knows it.

One process writes, and brings the tables up to date when it opens them; others read while it does. Rows and the place
they are complete up to commit in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError

from attribune.model.errors import FolderTooNew, StoreUnavailable
from attribune.model.ids import START, Position

#: How long a reader or the writer waits for the file. Milliseconds.
BUSY_MS: Final = 5000
#: Places looked up by one statement; SQL's lists of parameters are limited.
_CHUNK: Final = 500
_ONLY_ROW: Final = 1
_MIGRATIONS: Final = Path(__file__).parent / "migrations"

_tables: Final = sa.MetaData()
_history: Final = sa.Table(
    "control_history",
    _tables,
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
)
_position: Final = sa.Table(
    "control_position",
    _tables,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("position", sa.BigInteger, nullable=False),
)


class SqlRegistryStore:
    """The registry's history under a database URL or in a SQLite file.

    With ``is_reader`` nothing is made or changed, and tables that the writer has not made yet are empty. Raises
    StoreUnavailable, and FolderTooNew when a later version of Attribune has changed the tables.
    """

    def __init__(self, url_or_path: str | Path, *, is_reader: bool = False) -> None:
        text = str(url_or_path)
        is_url = "://" in text
        self._url = sa.make_url(text) if is_url else sa.URL.create("sqlite", database=text)
        self._is_reader = is_reader
        self._is_made = not is_reader
        if not is_url and not is_reader:
            try:
                Path(text).parent.mkdir(parents=True, exist_ok=True)
            except OSError as fault:
                raise StoreUnavailable(f"the registry {text} cannot be made: {fault}") from fault
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
                raise self._said(fault) from fault
            raise

    def history(self) -> list[tuple[Position, bytes]]:
        """Every change ever made, in order, encoded as journaled."""
        query = sa.select(_history.c.position, _history.c.payload).order_by(_history.c.position)
        return [(Position(place), bytes(payload)) for place, payload in self._rows(query)]

    def add(self, changes: Sequence[tuple[Position, bytes]], position: Position) -> None:
        """Keep more changes and move the position, all or nothing; what stands already is left."""
        wanted = dict(changes)
        try:
            with self._engine.begin() as connection:
                places = list(wanted)
                for start in range(0, len(places), _CHUNK):
                    chunk = places[start : start + _CHUNK]
                    standing = connection.execute(
                        sa.select(_history.c.position).where(_history.c.position.in_(chunk))
                    )
                    for place in standing.scalars():
                        del wanted[place]
                if wanted:
                    rows = [{"position": p, "payload": payload} for p, payload in wanted.items()]
                    connection.execute(_history.insert(), rows)
                self._move(connection, position)
        except SQLAlchemyError as fault:
            raise self._said(fault) from fault

    def position(self) -> Position:
        """Up to which entry the history is complete."""
        rows = self._rows(sa.select(_position.c.position))
        return Position(rows[0][0]) if rows else START

    def close(self) -> None:
        """Let go of files and connections."""
        self._engine.dispose()

    def _rows(self, query: sa.Select[Any]) -> Sequence[Any]:
        if not self._is_made and not self._look():
            return []
        try:
            with self._engine.connect() as connection:
                return connection.execute(query).all()
        except SQLAlchemyError as fault:
            raise self._said(fault) from fault

    def _look(self) -> bool:
        """Whether the writer has made the tables by now; a reader must not even make an empty file."""
        if self._engine.dialect.name == "sqlite" and not Path(str(self._url.database)).exists():
            return False
        try:
            self._is_made = sa.inspect(self._engine).has_table(_position.name)
        except SQLAlchemyError as fault:
            raise self._said(fault) from fault
        return self._is_made

    def _move(self, connection: sa.Connection, position: Position) -> None:
        moved = connection.execute(
            _position.update()
            .where(_position.c.id == _ONLY_ROW, _position.c.position < position)
            .values(position=position)
        )
        if not moved.rowcount and not connection.execute(sa.select(_position.c.id)).first():
            connection.execute(_position.insert().values(id=_ONLY_ROW, position=position))

    def _migrate(self) -> None:
        """Bring the tables up to date, in one transaction."""
        # Alembic takes 0.2 s to import, and readers never need it.
        from alembic import command  # noqa: PLC0415
        from alembic.config import Config  # noqa: PLC0415
        from alembic.migration import MigrationContext  # noqa: PLC0415
        from alembic.script import ScriptDirectory  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        scripts = ScriptDirectory.from_config(config)
        known = {script.revision for script in scripts.walk_revisions()}
        with self._engine.begin() as connection:
            standing = MigrationContext.configure(connection).get_current_heads()
            if unknown := set(standing) - known:
                raise FolderTooNew(
                    f"the registry {self._engine.url} has tables of a later version "
                    f"({', '.join(sorted(unknown))}); install that version of Attribune"
                )
            if set(standing) != set(scripts.get_heads()):
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            # Alembic takes a folder of steps that it cannot read for an empty one.
            if not sa.inspect(connection).has_table(_position.name):
                raise OSError(
                    f"its tables cannot be made, the steps in {_MIGRATIONS} cannot be read"
                )

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
        cursor.close()

    def _said(self, fault: Exception) -> StoreUnavailable:
        self._engine.dispose()  # a connection that failed may go on failing when the fault has ended
        why = getattr(fault, "orig", None) or fault
        damage = ""
        if isinstance(fault, DatabaseError) and not isinstance(fault, OperationalError):
            damage = "; if it is damaged, stop the house and make it again with `attribune rebuild registry`"
        return StoreUnavailable(
            f"the registry {self._engine.url} cannot be used now: {why}{damage}"
        )


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")
