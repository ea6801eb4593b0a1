"""A partner's own list in CSV, read into claims."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from attribune.ledger.reconcile import IDS, Claim, check
from attribune.model.errors import Invalid

#: Rows and bytes of a partner's list.
ROWS_MAX: Final = 200_000
FILE_BYTES_MAX: Final = 64 << 20
_CELL_MAX: Final = 512
_DAY_CHARACTERS: Final = len("2026-01-31")
#: What partners call the columns; the first that a file has is taken.
COLUMNS: Final = {
    "transaction_id": ("transaction_id", "transactionid", "txid", "order_id", "oid"),
    "conversion_id": ("conversion_id", "conversionid"),
    "record_id": ("record_id",),
    "touch_id": ("touch_id",),
    "click_id": ("click_id", "clickid", "partner_click_id"),
    "id": ("id", "told_id", "delivery_id", "action_id", "actionid"),
    "event": ("event", "event_name", "goal", "kind"),
    "day": ("day", "date", "conversion_date", "event_date", "event_time", "created_at"),
    "amount": ("amount", "commission", "payout"),
    "currency": ("currency",),
}


def read(text: bytes) -> list[Claim]:
    """A partner's list; rows that say the same but for the amount add up, as the book's lines do. Raises Invalid, naming the line."""
    if len(text) > FILE_BYTES_MAX:
        raise Invalid(
            f"a list has at most {FILE_BYTES_MAX >> 20} MiB; give one list for each month, with --period",
            param="file",
        )
    try:
        lines = io.StringIO(text.decode("utf-8-sig"), newline="")
    except UnicodeDecodeError as fault:
        raise Invalid("the list is text in UTF-8", param="file") from fault
    try:
        rows = csv.DictReader(lines, strict=True)
        columns = _columns(rows.fieldnames or ())
        return _added_up(_claim(row, columns, rows.line_num) for row in _limited(rows))
    except csv.Error as fault:
        raise Invalid(f"the list is no CSV: {fault}", param="file") from fault


def _added_up(claims: Iterable[Claim]) -> list[Claim]:
    """One claim for what is the same, so that what is listed twice is not matched twice."""
    found: dict[Claim, Claim] = {}
    for claim in claims:
        name = replace(claim, amount=None)
        before = found.get(name)
        if before is not None and before.amount and claim.amount:
            total = str(Decimal(before.amount) + Decimal(claim.amount))
            claim = replace(claim, amount=total)  # noqa: PLW2901 - the same, with what stood before
            check(claim, f"{next(iter(claim.ids.values()))}, added up,")
        found[name] = claim
    return list(found.values())


def _limited(rows: Iterable[dict[str, str]]) -> Iterable[dict[str, str]]:
    for number, row in enumerate(rows):
        if number >= ROWS_MAX:
            raise Invalid(
                f"a list has at most {ROWS_MAX} rows; give one list for each month, with --period",
                param="file",
            )
        yield row


def _columns(heads: Iterable[str]) -> dict[str, str]:
    """Our names and the file's."""
    known = {head.strip().lower().replace(" ", "_"): head for head in heads}
    found = {
        ours: known[name]
        for ours, names in COLUMNS.items()
        for name in reversed(names)
        if name in known
    }
    if not found.keys() & set(IDS):
        has = ", ".join(list(known)[:20]) or "none"
        raise Invalid(
            f"the list needs a column with an id ({', '.join(IDS)}), and commas between columns; it has {has}",
            param="file",
        )
    return found


def _claim(row: dict[str, str], columns: dict[str, str], line: int) -> Claim:
    cells = {name: (row.get(head) or "").strip().lstrip("'") for name, head in columns.items()}
    if any(len(cell) > _CELL_MAX for cell in cells.values()) or not any(map(cells.get, IDS)):
        asked = " or ".join(name for name in IDS if name in columns)
        raise Invalid(f"line {line} of the list has no {asked}, or a cell too long", param="file")
    words = {name: cell or None for name, cell in cells.items()}
    words["currency"] = (cells.get("currency") or "").upper() or None
    words["day"] = _day(cells.get("day") or "")
    claim = Claim(**words)
    check(claim, f"line {line}")
    return claim


def _day(cell: str) -> str | None:
    """The day that a cell begins with; what is written otherwise settles nothing, and is nothing to refuse a list for."""
    try:
        return date.fromisoformat(cell[:_DAY_CHARACTERS]).isoformat()
    except ValueError:
        return None
