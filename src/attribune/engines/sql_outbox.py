"""The outbox in SQL: what partners are to be told, and every attempt to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from msgspec.structs import astuple

from attribune.engines.sql import Among, SqlView, View, position_table
from attribune.model.delivery import (
    HOLDING_DECLINES,
    Again,
    Attempt,
    Delivery,
    DeliveryState,
    Logged,
    LogQuestion,
    OutboxPage,
    OutboxRow,
    Planned,
    Related,
    SentRequest,
    Settled,
    Trigger,
)
from attribune.model.ids import ConversionId, DeliveryId, Position, PostbackId, forgotten

_STATES: Final = tuple(DeliveryState)
_NUMBER: Final[dict[DeliveryState, int]] = {state: n for n, state in enumerate(_STATES)}
_WAITING: Final = _NUMBER[DeliveryState.WAITING]
_TRIGGERS: Final[dict[str, Trigger]] = {trigger.value: trigger for trigger in Trigger}

_tables: Final = sa.MetaData()
_deliveries: Final = sa.Table(
    "deliveries",
    _tables,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("postback", sa.Text, nullable=False),
    sa.Column("partner", sa.Text, nullable=False),
    sa.Column("product", sa.Text, nullable=False),
    sa.Column("device", sa.Text),
    sa.Column("outcome_id", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("trigger", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("copy", sa.SmallInteger, nullable=False),
    sa.Column("place", sa.BigInteger, nullable=False),
    sa.Column("undoes", sa.BigInteger),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("due_at_ms", sa.BigInteger, nullable=False),
    sa.Column("since_ms", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("poll_url", sa.Text),
    sa.Column("method", sa.Text),
    sa.Column("url", sa.Text),
    sa.Column("body", sa.Text),
    sa.Column("declines", sa.Integer, nullable=False, server_default="0"),
    # The last attempt; those before it stand in ``attempts``.
    sa.Column("last_at_ms", sa.BigInteger),
    sa.Column("last_took_ms", sa.Integer),
    sa.Column("last_status", sa.SmallInteger),
    sa.Column("last_error", sa.Text),
    sa.Column("last_answer", sa.Text),
    sa.Column("last_state", sa.SmallInteger),
    sa.Column("last_reason", sa.Text),
    sa.Index("deliveries_id", "id", unique=True),
    sa.Index("deliveries_due", "postback", "state", "due_at_ms", "number"),
    sa.Index("deliveries_subject", "subject", "postback"),
    sa.Index("deliveries_partner", "partner", "number"),
)


def _partial(name: str, where: sa.ColumnElement[bool], *columns: str) -> None:
    """An index of a few rows."""
    found = (_deliveries.c[column] for column in columns)
    sa.Index(f"deliveries_{name}", *found, sqlite_where=where, postgresql_where=where)


#: Those that wait by device, for postbacks that tell in order.
_partial("device", _deliveries.c.state == _WAITING, "postback", "device", "number")
#: What is no subject of its own: a refund, which is about what it undoes.
_partial("outcome", _deliveries.c.outcome_id != _deliveries.c.subject, "outcome_id")
sa.Table(
    "attempts",
    _tables,
    sa.Column("delivery", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("took_ms", sa.Integer, nullable=False),
    sa.Column("status", sa.SmallInteger),
    sa.Column("error", sa.Text),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("reason", sa.Text),
)
sa.Table(
    "conversions",
    _tables,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
)
sa.Table(
    "transaction_events",
    _tables,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("record", sa.Text, primary_key=True),
    sa.Column("place", sa.BigInteger, nullable=False),
)
sa.Table("not_sharing", _tables, sa.Column("digest", sa.LargeBinary, primary_key=True))
_VIEW: Final = View("outbox", position_table("outbox_position", _tables))

# In statements written as text 0 is the state of what waits.
assert _WAITING == 0
#: What ``_row`` reads.
_ROW: Final = tuple(column for column in _deliveries.c if not column.name.startswith("last_"))
_NAMES: Final = ", ".join(f"d.{column.name}" for column in _ROW)
#: Rows that are due and have nothing to wait for; in order, nothing of their device either that was not declined too often.
DUE: Final = sa.text(
    f"SELECT {_NAMES} FROM deliveries d WHERE d.postback = :postback AND d.state = 0 AND d.due_at_ms <= :now_ms"  # noqa: S608 - our own names
    " AND NOT EXISTS (SELECT 1 FROM deliveries b WHERE b.subject = d.subject AND b.postback = d.postback"
    " AND b.copy = d.copy AND b.state = 0 AND b.number < d.number)"
    " ORDER BY d.due_at_ms, d.number LIMIT :limit"
)
DUE_IN_ORDER: Final = sa.text(
    f"SELECT {_NAMES} FROM deliveries d WHERE d.postback = :postback AND d.state = 0 AND d.due_at_ms <= :now_ms"  # noqa: S608 - our own names
    " AND NOT EXISTS (SELECT 1 FROM deliveries b WHERE b.subject = d.subject AND b.postback = d.postback"
    " AND b.copy = d.copy AND b.state = 0 AND b.number < d.number)"
    " AND NOT EXISTS (SELECT 1 FROM deliveries b WHERE b.postback = d.postback AND b.device = d.device"
    " AND b.state = 0 AND b.number < d.number AND b.declines < :holding)"
    " ORDER BY d.due_at_ms, d.number LIMIT :limit"
)


# Prepared once: building a statement costs more than running it.
_ABOUT: Final = Among(
    "SELECT d.subject, d.id, d.outcome_id, d.trigger, d.copy, d.state, d.tries FROM deliveries d"
    " WHERE d.postback = :postback AND d.subject IN (:keys) AND EXISTS (SELECT 1 FROM deliveries b"
    " WHERE b.subject = d.subject AND b.postback = d.postback AND b.number <> d.number) ORDER BY d.number"
)
_CONVERSIONS: Final = Among("SELECT id, at_ms FROM conversions WHERE id IN (:keys)")
_BEARING: Final = sa.text(
    "SELECT place FROM transaction_events WHERE digest = :digest ORDER BY place LIMIT :limit"
)
_NOT_SHARING: Final = Among("SELECT digest FROM not_sharing WHERE digest IN (:keys)")
_STATES_OF: Final = Among("SELECT id, state, tries FROM deliveries WHERE id IN (:keys)")
_ATTEMPTS: Final = Among(
    "SELECT * FROM attempts WHERE delivery IN (:keys) ORDER BY delivery, number"
)
_plan: Final = sa.text(
    "INSERT INTO deliveries (id, postback, partner, product, outcome_id, revision, trigger, subject, place, at_ms, device, copy, undoes,"
    " state, tries, due_at_ms, since_ms) VALUES (:id, :postback, :partner, :product, :outcome_id, :revision, :trigger, :subject, :place,"
    " :at_ms, :device, :copy, :undoes, 0, 0, :at_ms, :at_ms) ON CONFLICT (id) DO NOTHING"
)
# What came of a request that was under way when its person was forgotten is kept without its words.
_IS_FORGOTTEN: Final = "device >= 'forgotten:' AND device < 'forgotten;'"
_earlier: Final = sa.text(
    "INSERT INTO attempts (delivery, number, at_ms, took_ms, status, error, answer, state, reason)"
    " SELECT id, tries, last_at_ms, last_took_ms, last_status, last_error, last_answer, last_state, last_reason FROM deliveries"
    " WHERE id = :delivery AND tries <> :number AND last_at_ms IS NOT NULL ON CONFLICT (delivery, number) DO NOTHING"
)


def _sent(column: str) -> str:
    """A column of what was sent last: emptied where somebody was forgotten, NULL where nothing was sent."""
    newest = f"coalesce(:{column}, {column})"
    return f"{column} = CASE WHEN {_IS_FORGOTTEN} THEN substr({newest}, 1, 0) ELSE {newest} END"


_tried: Final = sa.text(
    "UPDATE deliveries SET since_ms = CASE WHEN tries = 0 THEN :at_ms ELSE since_ms END, state = :state, tries = :number,"  # noqa: S608
    f" due_at_ms = :due_at_ms, reason = :reason, poll_url = CASE WHEN {_IS_FORGOTTEN} THEN NULL ELSE :poll_url END,"
    f" declines = :declines, {_sent('method')}, {_sent('url')}, {_sent('body')}, last_at_ms = :at_ms,"
    f" last_took_ms = :took_ms, last_status = :status, last_error = CASE WHEN {_IS_FORGOTTEN} THEN NULL ELSE :error END,"
    f" last_answer = CASE WHEN {_IS_FORGOTTEN} THEN '' ELSE :answer END, last_state = :state, last_reason = :reason WHERE id = :delivery"
)
#: By the words that its device is named by from then on.
_forget: Final = sa.text(
    "UPDATE deliveries SET device = :hash, poll_url = NULL, due_at_ms = 0, method = CASE WHEN url IS NULL THEN NULL ELSE '' END,"
    " url = CASE WHEN url IS NULL THEN NULL ELSE '' END, body = CASE WHEN url IS NULL THEN NULL ELSE '' END,"
    " last_answer = CASE WHEN last_answer IS NULL THEN NULL ELSE '' END, last_error = NULL WHERE product = :product AND device = :device"
)
_forget_answers: Final = sa.text(
    "UPDATE attempts SET answer = '', error = NULL"
    " WHERE delivery IN (SELECT id FROM deliveries WHERE product = :product AND device = :hash)"
)
_settled: Final = sa.text(
    "UPDATE deliveries SET state = :state, due_at_ms = 0, reason = :reason WHERE id = :delivery"
)
_again: Final = sa.text(
    "UPDATE deliveries SET state = 0, due_at_ms = :due_at_ms, since_ms = :due_at_ms, reason = NULL, poll_url = NULL, declines = 0"
    " WHERE id = :delivery"
)
_converted: Final = sa.text(
    "INSERT INTO conversions (id, at_ms) VALUES (:id, :at_ms) ON CONFLICT (id) DO UPDATE SET at_ms = excluded.at_ms"
)
_transacted: Final = sa.text(
    "INSERT INTO transaction_events (digest, record, place) VALUES (:digest, :record, :place)"
    " ON CONFLICT (digest, record) DO UPDATE SET place = excluded.place"
)
_silence: Final = sa.text(
    "INSERT INTO not_sharing (digest) VALUES (:digest) ON CONFLICT (digest) DO NOTHING"
)
_speak: Final = sa.text("DELETE FROM not_sharing WHERE digest = :digest")


class SqlOutbox(SqlView):
    """The outbox under a database URL or in a SQLite file. Raises as ``SqlView`` does."""

    def __init__(self, url_or_path: str | Path, *, is_reader: bool = False) -> None:
        super().__init__(_VIEW, url_or_path, is_reader=is_reader)
        #: Whether the log may hold words of somebody who was forgotten.
        self._holds_words = False

    def fold(self, page: OutboxPage, position: Position) -> None:
        """Take in what some entries change and move the position, all or nothing; what stands already is left."""
        with self.writing(position) as connection:
            for statement, rows in _writes(page):
                self.many(connection, statement, rows)
        self._holds_words = self._holds_words or bool(page.forgotten)
        if self._holds_words:
            self._holds_words = not self.write_home()

    def due(
        self, postback: PostbackId, now_ms: int, limit: int, *, in_order: bool
    ) -> list[OutboxRow]:
        """Up to ``limit`` rows that wait and are due, the longest due first, none before an earlier one that it waits for."""
        values = {"postback": postback, "now_ms": now_ms, "limit": limit}
        if in_order:
            found = self.rows(DUE_IN_ORDER, {**values, "holding": HOLDING_DECLINES})
        else:
            found = self.rows(DUE, values)
        return [_row(row) for row in found]

    def next_due_ms(self, postback: PostbackId) -> int | None:
        """When the first row that waits is due; None when none waits."""
        c = _deliveries.c
        query = sa.select(sa.func.min(c.due_at_ms)).where(
            c.postback == postback, c.state == _WAITING
        )
        found = self.rows(query)
        return found[0][0] if found else None

    def waiting(self, postback: PostbackId, until_ms: int, limit: int) -> list[OutboxRow]:
        """Up to ``limit`` rows that wait and are tried since a moment or longer, due or not, the oldest first."""
        c = _deliveries.c
        query = (
            sa.select(*_ROW)
            .where(c.postback == postback, c.state == _WAITING, c.since_ms <= until_ms)
            .order_by(c.number)
            .limit(limit)
        )
        return [_row(found) for found in self.rows(query)]

    def about(self, postback: PostbackId, subjects: Collection[str]) -> dict[str, list[Related]]:
        """Every row of a postback about some subjects, in order; nothing of a subject that has but one."""
        found: dict[str, list[Related]] = {}
        rows = self.found(_ABOUT.of(subjects, postback))
        for subject, id_, outcome_id, trigger, copy, state, tries in rows:
            row = Related(id_, outcome_id, _TRIGGERS[trigger], copy, _STATES[state], tries)
            found.setdefault(subject, []).append(row)
        return found

    def conversions(self, wanted: Collection[ConversionId]) -> dict[ConversionId, int]:
        """When conversions happened that are known. Milliseconds, UTC."""
        return {ConversionId(id_): at_ms for id_, at_ms in self.found(_CONVERSIONS.of(wanted))}

    def bearing(self, transaction: bytes, limit: int) -> list[Position]:
        """Where the newest outcomes of up to ``limit`` events that bear a transaction (by digest) stand, in the journal's order."""
        found = self.rows(_BEARING, {"digest": transaction, "limit": limit})
        return [Position(place) for (place,) in found]

    def not_sharing(self, wanted: Collection[bytes]) -> set[bytes]:
        """Those of some devices (by digest) whose people do not let partners be told."""
        return {bytes(digest) for (digest,) in self.found(_NOT_SHARING.of(wanted))}

    def states(self, wanted: Collection[DeliveryId]) -> dict[DeliveryId, tuple[DeliveryState, int]]:
        """The state of some deliveries and how often each was tried, of those that are known."""
        found = self.found(_STATES_OF.of(wanted))
        return {DeliveryId(id_): (_STATES[state], tries) for id_, state, tries in found}

    def log(self, wanted: LogQuestion) -> list[Logged]:
        """Deliveries with their attempts, the newest first."""
        query = sa.select(_deliveries).where(*_conditions(wanted))
        query = query.order_by(_deliveries.c.number.desc()).limit(wanted.rows_max)
        rows = self.rows(query)
        earlier: dict[str, list[Any]] = {
            row.id: [] for row in rows if row.tries > 1 or row.last_at_ms is None
        }
        for found in self.found(_ATTEMPTS.of(earlier)):
            earlier[found.delivery].append(tuple(found)[1:])
        logged = []
        for row in rows:
            told = earlier.get(row.id, [])
            if row.last_at_ms is not None:
                # One that was folded again may stand in both.
                told = [one for one in told if one[0] != row.tries]
                told.append((row.tries, *row[len(_ROW) :]))
            attempts = [_read_attempt(row, one) for one in told]
            logged.append(Logged(number=row.number, row=_row(row[: len(_ROW)]), attempts=attempts))
        return logged

    def counts(self) -> dict[PostbackId, dict[DeliveryState, int]]:
        """How many deliveries of each postback are in each state."""
        c = _deliveries.c
        query = sa.select(c.postback, c.state, sa.func.count()).group_by(c.postback, c.state)
        counts: dict[PostbackId, dict[DeliveryState, int]] = {}
        for postback, state, count in self.rows(query):
            counts.setdefault(PostbackId(postback), {})[_STATES[state]] = count
        return counts


def _conditions(wanted: LogQuestion) -> Iterator[sa.ColumnElement[bool]]:
    c = _deliveries.c
    if wanted.partner is not None:
        yield c.partner == wanted.partner
    if wanted.postback is not None:
        yield c.postback == wanted.postback
    if wanted.state is not None:
        yield c.state == _NUMBER[wanted.state]
    if wanted.outcome_ids:
        # Two questions, since each has an index.
        is_own = c.subject.in_(wanted.outcome_ids) & (c.outcome_id == c.subject)
        yield is_own | (c.outcome_id.in_(wanted.outcome_ids) & (c.outcome_id != c.subject))
    if wanted.ids:
        yield c.id.in_(wanted.ids)
    if wanted.before is not None:
        yield c.number < wanted.before


def _writes(page: OutboxPage) -> Iterator[tuple[sa.TextClause, list[tuple[Any, ...]]]]:
    """What is executed, in this order: a row is planned before anything comes of it."""
    yield _plan, list(map(astuple, page.planned))
    for run in _runs(page.came):
        statement, values = _STEPS[type(run[0])]
        if statement is _tried:
            yield _earlier, [(one.delivery, one.number) for one in run if one.number > 1]
        yield statement, list(map(values, run))
    hashes = [(forgotten(*who), *who) for who in page.forgotten]
    yield _forget, hashes
    yield _forget_answers, [(product, hash_) for hash_, product, _ in hashes]
    yield _converted, list(page.conversions.items())
    yield _transacted, [(*bearer, place) for bearer, place in page.transactions.items()]
    yield _silence, [(digest,) for digest, shares in page.sharing.items() if not shares]
    yield _speak, [(digest,) for digest, shares in page.sharing.items() if shares]


def _runs(came: Iterable[Delivery | Again]) -> Iterator[list[Any]]:
    """What came, in its order, in runs of one kind and none of them twice of one delivery, so that each run is one call."""
    run: list[Any] = []
    ids: set[DeliveryId] = set()
    for one in came:
        if run and (type(run[0]) is not type(one) or one.delivery in ids):
            yield run
            run, ids = [], set()
        run.append(one)
        ids.add(one.delivery)
    if run:
        yield run


def _of_tried(one: Attempt) -> tuple[Any, ...]:
    request = one.request
    sent = (request.method, request.url, request.body) if request else (None, None, None)
    came = one.next_at_ms or 0, one.reason, one.poll_url, one.declines
    said = one.took_ms, one.status, one.error, one.answer
    return one.at_ms, _NUMBER[one.state], one.number, *came, *sent, *said, one.delivery


def _of_settled(one: Settled) -> tuple[Any, ...]:
    return _NUMBER[one.state], one.reason, one.delivery


#: What each kind of news changes in its delivery's row.
_STEPS: Final[dict[type, tuple[sa.TextClause, Callable[[Any], tuple[Any, ...]]]]] = {
    Attempt: (_tried, _of_tried),
    Settled: (_settled, _of_settled),
    Again: (_again, lambda one: (one.at_ms, one.delivery)),
}


def _row(found: Any) -> OutboxRow:
    """A row of the table, whose columns stand in the order in which the steps made them; by name each costs more than all else."""
    _, id_, postback, partner, product, device, outcome_id, revision, trigger, *rest = found
    subject, copy, place, undoes, at_ms, state, tries, due_at_ms, since_ms, *rest = rest
    reason, poll_url, method, url, body, declines = rest
    what = outcome_id, revision, _TRIGGERS[trigger], subject
    when = place, at_ms, device, copy, undoes
    planned = Planned(id_, postback, partner, product, *what, *when)
    request = None if url is None else SentRequest(method=method, url=url, body=body)
    sent = poll_url, request, declines
    return OutboxRow(planned, _STATES[state], tries, due_at_ms, since_ms, reason, *sent)


def _read_attempt(row: Any, told: tuple[Any, ...]) -> Attempt:
    """An attempt of a row, from the columns behind its delivery in ``attempts``."""
    number, at_ms, took_ms, status, error, answer, state, reason = told
    return Attempt(
        delivery=DeliveryId(row.id),
        postback=PostbackId(row.postback),
        number=number,
        at_ms=at_ms,
        took_ms=took_ms,
        status=status,
        error=error,
        answer=answer,
        state=_STATES[state],
        reason=reason,
    )
