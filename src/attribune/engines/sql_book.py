"""The book in SQL: what partners are owed, and what the bookkeeper remembers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace

from attribune.engines.sql import Among, SqlView, View, position_table
from attribune.model.book import Entry, Line, LineState
from attribune.model.ids import Position
from attribune.ports import BookWrites, KeptLine, LinesWanted

_STATES: Final = tuple(LineState)
_NUMBER: Final[dict[LineState, int]] = {state: n for n, state in enumerate(_STATES)}
# In statements written as text 2 is the state of what is approved.
assert _NUMBER[LineState.APPROVED] == 2

_tables: Final = sa.MetaData()
_VIEW: Final = View("book", position_table("book_position", _tables))
_lines: Final = sa.table(
    "lines",
    *map(
        sa.column,
        (
            "number",
            "id",
            "outcome",
            "partner",
            "currency",
            "amount_minor",
            "state",
            "due_ms",
            "month",
            "statement",
            "payload",
        ),
    ),
)
_entries: Final = sa.table(
    "entries",
    *map(
        sa.column,
        (
            "number",
            "id",
            "at_ms",
            "debit",
            "credit",
            "amount_minor",
            "currency",
            "about",
            "cause",
        ),
    ),
)

# Prepared once: building a statement costs more than running it.
_STATES_OF: Final = Among("SELECT name, payload FROM states WHERE kind = :kind AND name IN (:keys)")
_PUT: Final = sa.text(
    "INSERT INTO states (kind, name, payload) VALUES (:kind, :name, :payload)"
    " ON CONFLICT (kind, name) DO UPDATE SET payload = excluded.payload"
)
_FORGET: Final = sa.text("DELETE FROM states WHERE kind = :kind AND name = :name")
_LINE: Final = sa.text(
    "INSERT INTO lines (id, outcome, partner, currency, amount_minor, state, due_ms, month, payload) VALUES"
    " (:id, :outcome, :partner, :currency, :amount_minor, :state, :due_ms, :month, :payload)"
    " ON CONFLICT (outcome, id) DO NOTHING"
)
_MOVE: Final = sa.text(
    "UPDATE lines SET state = :state, due_ms = :due_ms, month = :month"
    " WHERE outcome = :outcome AND id = :id"
)
_ENTRY: Final = sa.text(
    "INSERT INTO entries (id, at_ms, debit, credit, amount_minor, currency, about, cause) VALUES"
    " (:id, :at_ms, :debit, :credit, :amount_minor, :currency, :about, :cause)"
    " ON CONFLICT (about, id) DO NOTHING"
)
_COUNT: Final = sa.text(
    "INSERT INTO balances (account, currency, amount_minor) VALUES (:account, :currency, :amount_minor)"
    " ON CONFLICT (account, currency) DO UPDATE SET amount_minor = balances.amount_minor + excluded.amount_minor"
)
_COUNT_ANEW: Final = sa.text(
    "INSERT INTO balances (account, currency, amount_minor) SELECT :account, :currency, coalesce(sum("
    "CASE WHEN credit = :account THEN amount_minor ELSE -amount_minor END), 0) FROM entries"
    " WHERE currency = :currency AND (credit = :account OR debit = :account)"
    " ON CONFLICT (account, currency) DO UPDATE SET amount_minor = excluded.amount_minor"
)
_TAKE: Final = sa.text(
    "UPDATE lines SET statement = :statement WHERE partner = :partner AND currency = :currency"
    " AND month <= :month AND state = 2 AND statement IS NULL"
)
_DUE: Final = sa.text(
    "SELECT state, due_ms, month, payload FROM lines WHERE state = :state AND state IN (0, 1)"
    " AND due_ms <= :until_ms ORDER BY due_ms, id LIMIT :limit"
)
_NEXT_DUE: Final = sa.text("SELECT min(due_ms) FROM lines WHERE state = :state AND state IN (0, 1)")
_UNTAKEN: Final = sa.text(
    "SELECT currency, count(*), sum(amount_minor) FROM lines WHERE partner = :partner AND month <= :month"
    " AND state = 2 AND statement IS NULL GROUP BY currency"
)
_OF_ACCOUNT: Final = sa.text(
    "SELECT account, currency, amount_minor FROM balances WHERE account >= :from_ AND account < :to"
    " ORDER BY account, currency"
)
#: Behind every sign that an account has.
_LAST: Final = "\U0010ffff"
_encode: Final = msgspec.msgpack.Encoder().encode
_read_line: Final = msgspec.msgpack.Decoder(Line).decode


class SqlBook(SqlView):
    """The book under a database URL or in a SQLite file. Raises as ``SqlView`` does."""

    def __init__(self, url_or_path: str | Path, *, is_reader: bool = False) -> None:
        super().__init__(_VIEW, url_or_path, is_reader=is_reader)

    def states(self, kind: int, keys: Collection[str]) -> dict[str, bytes]:
        """What is remembered under these keys, as far as it is."""
        rows = self.found(_STATES_OF.of(keys, kind))
        return {name: bytes(payload) for name, payload in rows}

    def due(self, state: LineState, until_ms: int, limit: int) -> list[Line]:
        """Up to ``limit`` lines in a state that are due by a moment, ordered by (when, id)."""
        values = {"state": _NUMBER[state], "until_ms": until_ms, "limit": limit}
        return [_line(*row) for row in self.rows(_DUE, values)]

    def next_due(self, state: LineState) -> int | None:
        """When the next line in a state is due; None when none is."""
        rows = self.rows(_NEXT_DUE, {"state": _NUMBER[state]})
        return rows[0][0] if rows else None

    def untaken(self, partner: str, month: int) -> dict[str, tuple[int, int]]:
        """By currency: how many approved lines due by a month no statement has taken, and their sum."""
        rows = self.rows(_UNTAKEN, {"partner": partner, "month": month})
        return {currency: (count, int(total)) for currency, count, total in rows}

    def commit(self, writes: BookWrites, position: Position) -> None:
        """Write all of it and move the position, all or nothing; what stands already is left."""
        with self.writing(position) as connection:
            for statement, rows in _writes(writes):
                self.many(connection, statement, rows)
            self._enter(connection, writes.entries)
            for taken in writes.taken:
                connection.execute(_TAKE, taken._asdict())

    def lines(self, wanted: LinesWanted, after: int, limit: int) -> list[KeptLine]:
        """Up to ``limit`` lines behind a number, in the order of booking."""
        c = _lines.c
        # An outcome has a few lines, a partner may have millions: by a value that is worked out no index is chosen.
        conditions = [
            (
                sa.func.coalesce(c[name], sa.null())
                if wanted.outcome and name != "outcome"
                else c[name]
            )
            == value
            for name, value in wanted._asdict().items()
            if value
        ]
        query = (
            sa.select(c.number, c.statement, c.state, c.due_ms, c.month, c.payload)
            .where(c.number > after, *conditions)
            .order_by(c.number)
            .limit(limit)
        )
        return [
            KeptLine(number, _line(*rest), statement)
            for number, statement, *rest in self.rows(query)
        ]

    def entries(self, about: str | None, after: int, limit: int) -> list[tuple[int, Entry]]:
        """Up to ``limit`` entries behind a number, in the order of booking."""
        c = _entries.c
        query = sa.select(_entries).where(c.number > after).order_by(c.number).limit(limit)
        if about is not None:
            query = query.where(c.about == about)
        return [(row.number, _entry(row)) for row in self.rows(query)]

    def balances(self, account: str | None = None) -> list[tuple[str, str, int]]:
        """Account, currency and what was credited less what was debited."""
        from_ = account or ""
        rows = self.rows(_OF_ACCOUNT, {"from_": from_, "to": from_ + _LAST})
        return [(name, currency, int(amount)) for name, currency, amount in rows]

    def _enter(self, connection: sa.Connection, entries: Sequence[Entry]) -> None:
        """Keep entries and count them into the balances, each once."""
        kept = self.many(connection, _ENTRY, [msgspec.structs.astuple(one) for one in entries])
        flows: dict[tuple[str, str, str], int] = {}
        for one in entries:
            way = (one.debit, one.credit, one.currency)
            flows[way] = flows.get(way, 0) + one.amount_minor
        moved: dict[tuple[str, str], int] = {}
        for (debit, credit, currency), amount in flows.items():
            moved[debit, currency] = moved.get((debit, currency), 0) - amount
            moved[credit, currency] = moved.get((credit, currency), 0) + amount
        if kept == len(entries):
            self.many(connection, _COUNT, [(*name, amount) for name, amount in moved.items()])
        else:  # some stood already, and nobody says which: the balances are added up anew
            self.many(connection, _COUNT_ANEW, list(moved))


def _writes(writes: BookWrites) -> Iterator[tuple[sa.TextClause, list[tuple[Any, ...]]]]:
    """What is executed, in this order: a line stands before it is moved."""
    yield _LINE, [_of_line(line) for line in writes.lines]
    moved = writes.moved.items()
    yield _MOVE, [(_NUMBER[to.state], to.due_ms, to.month, to.outcome, id_) for id_, to in moved]
    yield _PUT, [row for row in writes.states if row[2] is not None]
    yield _FORGET, [row[:2] for row in writes.states if row[2] is None]


def _of_line(line: Line) -> tuple[Any, ...]:
    return (
        line.id,
        line.outcome,
        line.partner,
        line.currency,
        line.amount_minor,
        _NUMBER[line.state],
        line.due_ms,
        line.month,
        _encode(line),
    )


def _line(state: int, due_ms: int, month: int, payload: bytes) -> Line:
    """A line as it stands: what moves is in columns of its own."""
    line = _read_line(payload)
    if line.due_ms == due_ms and line.state is _STATES[state]:
        return line
    return replace(line, state=_STATES[state], due_ms=due_ms, month=month)


def _entry(row: Any) -> Entry:
    return Entry(
        id=row.id,
        at_ms=row.at_ms,
        debit=row.debit,
        credit=row.credit,
        amount_minor=row.amount_minor,
        currency=row.currency,
        about=row.about,
        cause=row.cause,
    )
