"""Rows that stand, as SQL: pages in the order of the table, and which of their rows were taken away again.

Revisions of a row have ``about``, ``kind`` and ``is_primary`` in common. An entry that takes a row away may give its
successor too, so a row stands when nothing behind its own entry takes it away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from attribune.engines.fact_columns import COLUMNS
from attribune.model.fact import Fact, FactKind, RowPlace, Selection, Told

#: Hashes lead a person to a row, and say nothing to anybody else.
NAMES: Final = tuple(name for name in COLUMNS if name != "handles")
_ORDER: Final = "product, day, kind, position, ordinal"
#: Behind a place, written out so that the table's index is used.
_AFTER: Final = (
    "(product > {a0:String} OR (product = {a0:String} AND (day > {a1:Date32} OR (day = {a1:Date32} AND "
    "(kind > {a2:String} OR (kind = {a2:String} AND (position > {a3:UInt64} OR "
    "(position = {a3:UInt64} AND ordinal > {a4:UInt32}))))))))"
)

Statement = tuple[str, dict[str, Any]]


def page(wanted: Selection, after: RowPlace | None, rows_max: int) -> Statement:
    """Rows that were given, whether or not they still stand."""
    return _page(", ".join(NAMES), wanted, after, rows_max)


def taken(wanted: Selection, after: RowPlace | None, rows_max: int) -> Statement:
    """What revisions have in common, and the last entry that took one away, for the rows of a page."""
    about, parameters = _page("about", wanted, after, rows_max)
    where, _ = _where(wanted)
    sql = (
        "SELECT about, kind, is_primary, max(position) FROM facts "  # noqa: S608 - placeholders only
        f"WHERE sign = -1 AND {where} AND about IN (SELECT about FROM ({about})) "
        "GROUP BY about, kind, is_primary"
    )
    return sql, parameters


def counted(wanted: Selection) -> Statement:
    """The sum of the signs."""
    where, parameters = _where(wanted)
    return f"SELECT sum(toInt64(sign)) FROM facts WHERE {where}", parameters  # noqa: S608 - the same


def told(wanted: Told) -> Statement:
    """Which records of some have rows."""
    said = (
        ("product = {product:String}", "product", wanted.product),
        ("kind IN {kinds:Array(String)}", "kinds", [str(kind) for kind in wanted.kinds]),
        ("at_ms >= {since:Int64}", "since", wanted.since_ms),
        ("at_ms <= {until:Int64}", "until", wanted.until_ms),
        ("record IN {records:Array(String)}", "records", list(wanted.records)),
    )
    where, parameters = _held(said)
    return f"SELECT DISTINCT record FROM facts WHERE {where}", parameters  # noqa: S608 - the same


def fact_of(row: Sequence[Any]) -> Fact:
    """A row of ``page``."""
    words = dict(zip(NAMES, row, strict=True))
    return Fact(**{**words, "kind": FactKind(words["kind"])})


def _page(chosen: str, wanted: Selection, after: RowPlace | None, rows_max: int) -> Statement:
    where, parameters = _where(wanted)
    parameters["rows_max"] = rows_max
    behind = ""
    if after is not None:
        behind = f" AND {_AFTER}"
        parameters |= {f"a{i}": value for i, value in enumerate(after)}
    sql = (
        f"SELECT {chosen} FROM facts WHERE sign = 1 AND {where}{behind} "  # noqa: S608 - the same
        f"ORDER BY {_ORDER} LIMIT {{rows_max:UInt64}}"
    )
    return sql, parameters


def _where(wanted: Selection) -> Statement:
    said = (
        ("kind IN {kinds:Array(String)}", "kinds", [str(kind) for kind in wanted.kinds]),
        ("position <= {until:UInt64}", "until", wanted.until),
        # A row is never booked before its own day: the table's index knows ``day``.
        ("day >= {first:Date32}", "first", wanted.first_day),
        ("own_day >= {first:Date32}", "first", wanted.first_day),
        ("own_day <= {last:Date32}", "last", wanted.last_day),
        ("product = {product:String}", "product", wanted.product),
        ("app = {app:String}", "app", wanted.app),
        ("partner = {partner:String}", "partner", wanted.partner),
    )
    return _held(said)


def _held(said: Iterable[tuple[str, str, Any]]) -> Statement:
    """The conditions whose values are given."""
    held = [(condition, name, value) for condition, name, value in said if value is not None]
    return " AND ".join(condition for condition, _, _ in held), {n: v for _, n, v in held}
