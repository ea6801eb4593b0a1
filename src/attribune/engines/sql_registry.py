"""The history of topic ``control`` in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from attribune.engines.sql import SqlView, View, position_table
from attribune.model.ids import Position

#: Places looked up by one statement; SQL's lists of parameters are limited.
_CHUNK: Final = 500

_tables: Final = sa.MetaData()
_history: Final = sa.Table(
    "control_history",
    _tables,
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
)
_VIEW: Final = View("registry", position_table("control_position", _tables))


class SqlRegistryStore(SqlView):
    """The registry's history under a database URL or in a SQLite file. Raises as ``SqlView`` does."""

    def __init__(self, url_or_path: str | Path, *, is_reader: bool = False) -> None:
        super().__init__(_VIEW, url_or_path, is_reader=is_reader)

    def history(self) -> list[tuple[Position, bytes]]:
        """Every change ever made, in order, encoded as journaled."""
        query = sa.select(_history.c.position, _history.c.payload).order_by(_history.c.position)
        return [(Position(place), bytes(payload)) for place, payload in self.rows(query)]

    def add(self, changes: Sequence[tuple[Position, bytes]], position: Position) -> None:
        """Keep more changes and move the position, all or nothing; what stands already is left."""
        wanted = dict(changes)
        with self.writing(position) as connection:
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
