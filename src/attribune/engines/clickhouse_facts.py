"""The facts in ClickHouse, embedded (chDB): one table, and every question one SELECT.

An insert is one part of the table, so it is there whole or not at all; parts are synced to the disk before an insert
returns, since the recorder resumes after the highest position it finds and would never come back for a lost one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeVar

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from attribune.engines import fact_columns, fact_rows
from attribune.engines.fact_columns import COLUMNS
from attribune.model.errors import FolderTooNew, StoreUnavailable
from attribune.model.fact import (
    Fact,
    FactKind,
    Forgotten,
    Measure,
    Question,
    RowPlace,
    Selection,
    Standing,
    Sum,
    Told,
    Trace,
)
from attribune.model.ids import (
    START,
    DeviceId,
    Position,
    ProductId,
    RecordId,
    TouchId,
    forgotten,
)

FORMAT: Final = 1
#: Rows of one insert; ClickHouse would cut a larger one into parts.
INSERT_ROWS_MAX: Final = 1_000_000

_MARK: Final = "attribune facts "
_NAMES: Final = tuple(COLUMNS)
_row = attrgetter(*_NAMES)
#: Rows of one import lie together as its file had them, which is by time for most.
_TIMES: Final = "times_seen at_ms TYPE minmax GRANULARITY 1"
_TABLE: Final = f"""
CREATE TABLE IF NOT EXISTS facts (
    {", ".join(f"{name} {column.type}" for name, column in COLUMNS.items())},
    INDEX handles_seen handles TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX {_TIMES}
)
ENGINE = MergeTree
ORDER BY (product, day, kind, position, ordinal)
SETTINGS
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1
COMMENT '{_MARK}{FORMAT}'
"""
_VENDOR: Final = COLUMNS["vendor"].type
_THEIRS: Final = (
    "SELECT position, device FROM facts WHERE product = {product:String} AND "
    "(device IN {names:Array(String)} OR (device IS NULL AND touch IN {touches:Array(String)}))"
)
#: What is done is kept on the disk as it was said, so it says places and hashes.
_FORGET: Final = """
ALTER TABLE facts UPDATE
    handles = [],
    device = CAST(if(isNull(device), NULL, transform(
        position, {places:Array(UInt64)}, {hashes:Array(String)}, assumeNotNull(device)
    )), 'Nullable(String)')
WHERE position IN {all:Array(UInt64)} AND product = {product:String}
SETTINGS mutations_sync = 2
"""
#: Rows that one statement takes.
_FORGET_ROWS_MAX: Final = 10_000
_OUT_OF_MEMORY: Final = "MEMORY_LIMIT_EXCEEDED"

T = TypeVar("T")


class ClickhouseFacts:
    """Fact rows in a chDB folder. One process at a time, and one folder in a process.

    ``memory_bytes_max`` and ``threads`` are those of one question; an insert is limited by its rows. Questions take turns among themselves, and inserts among themselves. Raises StoreUnavailable, FolderTooNew.
    """

    def __init__(self, path: Path | str, *, memory_bytes_max: int, threads: int) -> None:
        self._path = Path(path)
        try:
            self._path.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise StoreUnavailable(f"the facts {path} cannot be made: {fault}") from fault
        asking = {
            "max_memory_usage": memory_bytes_max,
            "max_bytes_before_external_group_by": memory_bytes_max // 2,
            "max_threads": threads,
        }
        # No limit of memory: rows that did not fit today would not fit tomorrow either, and the recorder could never go on.
        inserting = {
            "max_threads": threads,
            # One insert, one part: only a block of more rows than an insert has would be cut.
            "min_insert_block_size_rows": 2 * INSERT_ROWS_MAX,
            "min_insert_block_size_bytes": 0,
        }
        self._asking, self._inserting = Lock(), Lock()
        self._position: Position | None = None
        self._clients: list[Client] = []
        try:
            self._reader = self._try(lambda: self._client(asking))
            self._writer = self._try(lambda: self._client(inserting))
        except StoreUnavailable as fault:
            self.close()
            raise StoreUnavailable(
                f"{fault.message}; if its files are damaged, stop the house and make them again with "
                "`attribune rebuild facts`"
            ) from fault
        try:
            self._try(self._prepare)
        except BaseException:
            self.close()
            raise

    def insert(self, facts: Sequence[Fact]) -> None:
        """Keep rows, all or nothing."""
        if not facts:
            return
        assert len(facts) <= INSERT_ROWS_MAX, f"at most {INSERT_ROWS_MAX} rows at a time"
        columns = list(zip(*map(_row, facts), strict=True))
        with self._inserting:
            known, self._position = self._position, None
            try:
                self._try(
                    lambda: self._writer.insert(
                        "facts", columns, column_names=_NAMES, column_oriented=True
                    )
                )
            finally:
                # The driver leaves a circle of objects that holds this very list: its rows would wait for the garbage collector.
                columns.clear()
            if known is not None:
                self._position = max(known, *(fact.position for fact in facts))

    def position(self) -> Position:
        """The highest position of a kept row; START when empty."""
        with self._inserting:
            if self._position is None:
                ((highest, rows),) = self._select("SELECT max(position), count() FROM facts", {})
                self._position = Position(highest) if rows else START
            return self._position

    def ask(self, question: Question) -> list[Sum]:
        """The sums that a question asks for.

        Biggest first measure first (of money, its currencies together), then by the dimensions, absent last. A group
        whose sums are all nothing is left out, and so is a currency; without dimensions there is always one row.
        """
        fact_columns.check(question)
        query = _Query(question)
        size = len(question.by)
        return [
            Sum(
                by=tuple(row[:size]),
                values={
                    measure.name: _read(measure, value)
                    for measure, value in zip(question.measures, row[size:], strict=True)
                },
            )
            for row in self._select(query.sql(), query.parameters)
        ]

    def trace(self, handle: int, limit: int) -> list[Trace]:
        """The rows whose ``handles`` hold this one, ordered by (position, ordinal), the first ``limit`` of them."""
        sql = (
            "SELECT position, kind, about, device, touch, conversion FROM facts "
            "WHERE has(handles, {handle:UInt64}) ORDER BY position, ordinal LIMIT {limit:UInt64}"
        )
        return [Trace(*row) for row in self._select(sql, {"handle": handle, "limit": limit})]

    def trace_all(
        self, handles: Collection[int], kinds: Collection[FactKind], limit: int
    ) -> list[tuple[int, Trace]]:
        """The rows of some kinds whose ``handles`` hold any of these, each with the one that it holds."""
        if not handles:
            return []
        sql = (
            "SELECT handle, position, kind, about, device, touch, conversion FROM facts ARRAY JOIN handles AS handle "
            "WHERE kind IN {kinds:Array(String)} AND handle IN {handles:Array(UInt64)} "
            "ORDER BY position, ordinal, handle LIMIT {limit:UInt64}"
        )
        asked = {"handles": list(handles), "kinds": [str(kind) for kind in kinds], "limit": limit}
        return [(handle, Trace(*row)) for handle, *row in self._select(sql, asked)]

    def standing(self, wanted: Selection, after: RowPlace | None, rows_max: int) -> Standing:
        """A page of the rows that stand, ordered by ``RowPlace``, made of at most ``rows_max`` rows behind a place."""
        rows, parameters = fact_rows.page(wanted, after, rows_max)
        facts = [fact_rows.fact_of(row) for row in self._select(rows, parameters)]
        if not facts:
            return Standing([], None)
        last = facts[-1]
        place = RowPlace(last.product, last.day, str(last.kind), last.position, last.ordinal)
        sql, parameters = fact_rows.taken(wanted, after, rows_max)
        taken = {tuple(subject): at for *subject, at in self._select(sql, parameters)}
        kept = [
            fact
            for fact in facts
            if fact.position >= taken.get((fact.about, str(fact.kind), fact.is_primary), 0)
        ]
        return Standing(kept, place if len(facts) == rows_max else None)

    def told(self, wanted: Told) -> set[RecordId]:
        """Which records of some have rows."""
        return {RecordId(record) for (record,) in self._select(*fact_rows.told(wanted))}

    def count_standing(self, wanted: Selection) -> int:
        """How many rows stand: the sum of their signs."""
        ((rows,),) = self._select(*fact_rows.counted(wanted))
        return int(rows)

    def count(self) -> int:
        """How many rows are kept."""
        ((rows,),) = self._select("SELECT count() FROM facts", {})
        return int(rows)

    def forget(self, people: Sequence[Forgotten]) -> None:
        """Take what leads to people out of their rows, which stay for the sums; returns when no part shows them any more.

        The parts that held them stay on the disk for ``old_parts_lifetime`` (eight minutes).
        """
        products: dict[ProductId, tuple[set[DeviceId], set[TouchId]]] = {}
        for person in people:
            devices, touches = products.setdefault(person.product, (set(), set()))
            devices |= set(person.devices)
            touches |= set(person.touches)
        for product, (devices, touches) in products.items():
            asked = {"product": product, "names": sorted(devices), "touches": sorted(touches)}
            rows = list(self._select(_THEIRS, asked))
            for start in range(0, len(rows), _FORGET_ROWS_MAX):
                self._forget(product, rows[start : start + _FORGET_ROWS_MAX])

    def _forget(self, product: ProductId, rows: Sequence[Sequence[Any]]) -> None:
        """Let rows, by place and device, lead to nobody."""
        hashes: dict[int, str] = {
            place: forgotten(product, device) for place, device in rows if device is not None
        }
        parameters = {
            "product": product,
            "all": sorted({place for place, _ in rows}),
            "places": list(hashes) or [0],
            "hashes": list(hashes.values()) or [""],
        }
        with self._inserting:
            self._try(lambda: self._writer.command(_FORGET, parameters=parameters))

    def clear(self) -> None:
        """Forget all rows, so that they can be made again."""
        with self._inserting:
            self._position = None
            self._try(lambda: self._writer.command("TRUNCATE TABLE facts"))

    def close(self) -> None:
        """Let go of files and locks."""
        with self._asking, self._inserting:
            while self._clients:
                self._clients.pop(0).close()

    def _client(self, settings: dict[str, Any]) -> Client:
        client = clickhouse_connect.get_client(
            interface="chdb", path=str(self._path), settings=settings
        )
        self._clients.append(client)
        return client

    def _prepare(self) -> None:
        self._writer.command(_TABLE)
        # Folders made before rows had it; what is there already is our own word.
        self._writer.command(f"ALTER TABLE facts ADD COLUMN IF NOT EXISTS vendor {_VENDOR}")
        self._writer.command(f"ALTER TABLE facts ADD INDEX IF NOT EXISTS {_TIMES}")
        comment = str(
            self._writer.command(
                "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = 'facts'"
            )
        )
        written = comment.removeprefix(_MARK)
        if not written.isdigit() or int(written) > FORMAT:
            raise FolderTooNew(
                f"the facts {self._path} have format {written!r}, this version reads {FORMAT}; install the later one"
            )

    def _select(self, sql: str, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
        with self._asking:
            return self._try(lambda: self._reader.query(sql, parameters=parameters).result_rows)

    def _try(self, deed: Callable[[], T]) -> T:
        try:
            return deed()
        except ClickHouseError as fault:
            if _OUT_OF_MEMORY in str(fault):
                raise StoreUnavailable(
                    "the report needs more than facts_memory_bytes_max; ask for fewer days or dimensions, or raise it"
                ) from fault
            raise StoreUnavailable(f"the facts {self._path} cannot be used now: {fault}") from fault


def _read(measure: Measure, value: Any) -> int | dict[str, int]:
    if measure.value in {"amount", "cost"}:
        currencies, sums = value
        return {c: int(s) for c, s in zip(currencies, sums, strict=True) if s}
    return int(value)


class _Query:
    """A question as SQL. Names come from the closed list of columns, all else is a parameter."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self.parameters: dict[str, Any] = {}

    def sql(self) -> str:
        """The SELECT."""
        question = self._question
        chosen = [
            *(f"{name} AS d{i}" for i, name in enumerate(question.by)),
            *(f"{sum_} AS m{i}" for i, sum_ in enumerate(self._sums())),
        ]
        limit = self._add("UInt64", question.rows_max)
        parts = [self._rows(), self._grouped(), self._ordered(), f"LIMIT {limit}"]
        # Names are of the closed list, values are placeholders: no word of the question stands in here.
        return f"SELECT {', '.join(chosen)} FROM {' '.join(parts)}"  # noqa: S608 - see above

    @cached_property
    def _is_per_device(self) -> bool:
        return any(measure.value == "devices" for measure in self._question.measures)

    def _sums(self) -> list[str]:
        measures = self._question.measures
        if self._is_per_device:
            return [self._of_devices(measure, f"s{i}") for i, measure in enumerate(measures)]
        return [self._sum(measure) for measure in measures]

    def _rows(self) -> str:
        """The table, or, when devices are counted, its rows added up per device."""
        if not self._is_per_device:
            return f"facts WHERE {self._where()}"
        keys = ", ".join([*dict.fromkeys(self._question.by), "device"])
        sums = ", ".join(f"{self._sum(m)} AS s{i}" for i, m in enumerate(self._question.measures))
        return f"(SELECT {keys}, {sums} FROM facts WHERE {self._where()} GROUP BY {keys})"  # noqa: S608 - as in sql()

    def _sum(self, measure: Measure) -> str:
        counted = [f"kind IN {self._add('Array(String)', [str(kind) for kind in measure.kinds])}"]
        if not measure.with_secondary:
            counted.append("is_primary")
        if measure.sources:
            counted.append(f"source IN {self._add('Array(String)', list(measure.sources))}")
        if measure.without_events:
            names = self._add("Array(String)", list(measure.without_events))
            counted.append(f"ifNull(event, '') NOT IN {names}")
        when = " AND ".join(counted)
        match measure.value:
            case "amount":
                return f"sumMapIf([currency], [toInt128(amount_minor) * sign], {when})"
            case "cost":
                return f"sumMapIf([cost_currency], [toInt128(cost_minor) * sign], {when})"
            case _:
                return f"sumIf(toInt64(sign), {when})"

    def _of_devices(self, measure: Measure, name: str) -> str:
        match measure.value:
            case "amount" | "cost":
                return f"sumMap({name})"
            case "devices":
                return f"countIf({name} > 0 AND device IS NOT NULL)"
            case _:
                return f"sum({name})"

    def _where(self) -> str:
        question = self._question
        kinds = {str(kind) for measure in question.measures for kind in measure.kinds}
        conditions = [
            f"{condition} {self._add(type_, value)}"
            for condition, type_, value in (
                ("kind IN", "Array(String)", sorted(kinds)),
                ("product =", "String", question.product),
                ("app =", "String", question.app),
                ("day >=", "Date32", question.first_day),
                ("day <=", "Date32", question.last_day),
                ("position <=", "UInt64", question.until),
                ("about >", "UInt64", question.about_after),
            )
            if value is not None
        ]
        return " AND ".join([*conditions, *(self._allowed(name) for name in question.where)])

    def _allowed(self, name: str) -> str:
        if COLUMNS[name].is_day:
            days = self._add("Array(Date32)", fact_columns.days_of(self._question, name))
            return f"{name} IN {days}"
        values = self._question.where[name]
        given = self._add("Array(String)", [value for value in values if value is not None])
        return f"({name} IN {given}{f' OR {name} IS NULL' if None in values else ''})"

    def _grouped(self) -> str:
        question = self._question
        if not question.by:
            return ""
        said = " OR ".join(
            f"notEmpty(m{i}.1)" if measure.value in {"amount", "cost"} else f"m{i} != 0"
            for i, measure in enumerate(question.measures)
        )
        return f"GROUP BY {', '.join(dict.fromkeys(question.by))} HAVING {said}"

    def _ordered(self) -> str:
        question = self._question
        is_money = question.measures[0].value in {"amount", "cost"}
        size = "arraySum(m0.2)" if is_money else "m0"
        names = [f"d{i} ASC NULLS LAST" for i in range(len(question.by))]
        return f"ORDER BY {', '.join([f'{size} DESC', *names])}"

    def _add(self, type_: str, value: Any) -> str:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"{{{name}:{type_}}}"
