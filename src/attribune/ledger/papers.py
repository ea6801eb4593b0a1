"""Statements and payouts as papers: CSV for machines, and a clean page to print. What others wrote is never obeyed in them.

Text that a spreadsheet would take for a formula gets an apostrophe in front, and text in a page is escaped.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from attribune.ledger.shown import LineShown, PayoutShown, StatementShown
from attribune.model.money import decimal_text

#: Columns of a statement's lines.
LINE_COLUMNS: Final = (
    "id",
    "at",
    "kind",
    "event",
    "offer",
    "amount",
    "currency",
    "cause",
    "transaction_id",
    "revenue",
    "revenue_currency",
    "rate",
    "rate_day",
    "outcome",
    "conversion_at",
)
_PAYOUT_COLUMNS: Final = ("payout", "partner", "statement", "amount", "currency")
#: How a cell begins that a spreadsheet takes for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_STYLE: Final = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;color:#111}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25em .5em;border-bottom:1px solid #ddd}"
    ".n{text-align:right;font-variant-numeric:tabular-nums}thead{display:table-header-group}tr{break-inside:avoid}"
    "@media print{body{margin:0;max-width:none}}"
)


def lines_csv(lines: Iterable[LineShown]) -> Iterator[str]:
    """A statement's lines, row by row."""
    yield _row(LINE_COLUMNS)
    for line in lines:
        yield _row(_cells(line))


def payout_csv(payout: PayoutShown) -> Iterator[str]:
    """What is to be paid, row by row."""
    yield _row(_PAYOUT_COLUMNS)
    for item in payout.items:
        yield _row((payout.id, item.partner, item.statement, item.amount, payout.currency))


def page(statement: StatementShown, lines: Iterable[LineShown]) -> Iterator[str]:
    """A statement as a page to print, piece by piece; it loads nothing from anywhere."""
    title = escape(f"Statement {statement.period} · {statement.partner}")
    yield (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>{escape(statement.id)} · closed {_moment(statement.closed_at_ms)}"
        f" · to be paid from {_moment(statement.pay_at_ms)[:10]}</p>"
    )
    yield _sums(statement)
    heads = "".join(
        f"<th{_class(name)}>{escape(name.replace('_', ' '))}</th>" for name in LINE_COLUMNS
    )
    yield f"<h2>Lines</h2><table><thead><tr>{heads}</tr></thead><tbody>"
    for line in lines:
        cells = zip(LINE_COLUMNS, _cells(line), strict=True)
        yield (
            "<tr>"
            + "".join(f"<td{_class(n)}>{escape(str(c or ''))}</td>" for n, c in cells)
            + "</tr>"
        )
    yield "</tbody></table></body></html>\n"


def _sums(statement: StatementShown) -> str:
    rows = (
        ("Opening", statement.opening_minor),
        (f"Lines ({statement.lines_count})", statement.lines_minor),
        ("Payments", -statement.payments_minor),
        ("Closing", statement.closing_minor),
    )
    cells = "".join(
        f'<tr><th>{escape(name)}</th><td class="n">{decimal_text(amount, statement.currency)}'
        f" {escape(statement.currency)}</td></tr>"
        for name, amount in rows
    )
    return f"<table>{cells}</table>"


def _class(name: str) -> str:
    return ' class="n"' if name in {"amount", "revenue", "rate"} else ""


def _cells(line: LineShown) -> tuple[Any, ...]:
    has_revenue = bool(line.revenue_currency)
    return (
        line.id,
        _moment(line.moved_at_ms),
        line.kind.value,
        line.event,
        line.offer,
        line.amount,
        line.currency,
        line.cause,
        line.transaction_id or "",
        decimal_text(line.revenue_minor, line.revenue_currency) if has_revenue else "",
        line.revenue_currency,
        line.rate,
        line.rate_day,
        line.outcome,
        _moment(line.at_ms),
    )


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).isoformat().replace("+00:00", "Z")


def _row(cells: Iterable[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([harmless(cell) for cell in cells])
    return out.getvalue()


def harmless(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula; an amount below nothing stays a number."""
    if not isinstance(cell, str) or not cell.startswith(_FORMULA):
        return cell
    is_number = cell[0] == "-" and cell[1:].replace(".", "", 1).isdigit() and cell.isascii()
    return cell if is_number else f"'{cell}"
