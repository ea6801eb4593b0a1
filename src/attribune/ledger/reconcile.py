"""Reconciling: a partner's own list of conversions beside the book, and why the two differ where they do."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from attribune.model.errors import Invalid
from attribune.model.money import DECIMALS, BadAmount, UnknownCurrency, decimal_text, money

#: Rows and bytes of a partner's list.
ROWS_MAX: Final = 200_000
FILE_BYTES_MAX: Final = 64 << 20
_CELL_MAX: Final = 512
#: What partners call the columns; the first that a file has is taken.
_NAMES: Final = {
    "transaction_id": ("transaction_id", "transactionid", "txid", "order_id", "oid"),
    "amount": ("amount", "commission", "payout"),
    "currency": ("currency",),
}


class Match(StrEnum):
    """What becomes of a row of either list."""

    #: Both know it, with the same amount.
    MATCHED = "matched"
    #: Both know it, and the amounts differ.
    DIFFERENT_AMOUNT = "different_amount"
    #: The partner has it, and the book owes nothing for it.
    MISSING_HERE = "missing_here"
    #: The book has it, and the partner's list does not.
    MISSING_THERE = "missing_there"


class Claim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of a partner's list."""

    transaction_id: str
    #: A decimal in a string; None when the list has no amounts.
    amount: str | None = None
    currency: str | None = None


class Reconciled(Struct, frozen=True, kw_only=True):
    """A row of either list, and what became of it."""

    transaction_id: str
    match: Match
    theirs: str | None
    ours: str | None
    currency: str | None
    #: Why they differ, as far as our outcomes tell.
    reason: str | None


#: What the book owes a partner for a transaction, by currency; empty when nothing is booked for it.
Owed = dict[str, int]


def read(text: bytes) -> list[Claim]:
    """A partner's list in CSV; rows of one transaction add up, as the book's lines do. Raises Invalid, naming the line."""
    if len(text) > FILE_BYTES_MAX:
        raise Invalid(f"a list has at most {FILE_BYTES_MAX} bytes", param="file")
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
    """One claim for each transaction and currency, so that what is listed twice is not matched twice."""
    found: dict[tuple[str, str | None], Claim] = {}
    for claim in claims:
        name = (claim.transaction_id, claim.currency)
        before = found.get(name)
        if before is not None and before.amount and claim.amount:
            total = str(Decimal(before.amount) + Decimal(claim.amount))
            claim = replace(claim, amount=total)  # noqa: PLW2901 - the same, with what stood before
            check(claim, f"transaction {claim.transaction_id}")
        found[name] = claim
    return list(found.values())


def _limited(rows: Iterable[dict[str, str]]) -> Iterable[dict[str, str]]:
    for number, row in enumerate(rows):
        if number >= ROWS_MAX:
            raise Invalid(f"a list has at most {ROWS_MAX} rows; split it", param="file")
        yield row


def _columns(heads: Iterable[str]) -> dict[str, str]:
    """Our names and the file's."""
    known = {head.strip().lower().replace(" ", "_"): head for head in heads}
    found = {
        ours: known[name]
        for ours, names in _NAMES.items()
        for name in reversed(names)
        if name in known
    }
    if "transaction_id" not in found:
        has = ", ".join(list(known)[:20]) or "none"
        raise Invalid(
            f"the list needs a column transaction_id, and commas between columns; it has {has}",
            param="file",
        )
    return found


def _claim(row: dict[str, str], columns: dict[str, str], line: int) -> Claim:
    cells = {name: (row.get(head) or "").strip().lstrip("'") for name, head in columns.items()}
    if any(len(cell) > _CELL_MAX for cell in cells.values()) or not cells["transaction_id"]:
        raise Invalid(
            f"line {line} of the list has no transaction_id, or a cell too long", param="file"
        )
    claim = Claim(
        transaction_id=cells["transaction_id"],
        amount=cells.get("amount") or None,
        currency=(cells.get("currency") or "").upper() or None,
    )
    check(claim, f"line {line}")
    return claim


def check(claim: Claim, where: str) -> None:
    """Refuse an amount that is none. Raises Invalid."""
    if claim.amount is None:
        return
    try:
        money(claim.amount, claim.currency or "EUR")
    except (BadAmount, UnknownCurrency) as fault:
        raise Invalid(
            f'{where} has an amount that is no decimal such as "12.50", or an unknown currency',
            param="amount",
        ) from fault


def compare(claim: Claim, owed: Owed, why: Callable[[], str]) -> Reconciled:
    """What becomes of a partner's row; ``why`` is asked only when the book owes nothing for it."""
    if not any(owed.values()):
        return _reconciled(claim, Match.MISSING_HERE, None, why())
    currency = claim.currency if claim.currency in owed else None
    if currency is None and (claim.currency is not None or len(owed) > 1):
        said = ", ".join(f"{decimal_text(n, code)} {code}" for code, n in sorted(owed.items()))
        return _reconciled(claim, Match.DIFFERENT_AMOUNT, said, "booked in another currency")
    currency = currency or next(iter(owed))
    ours = decimal_text(owed[currency], currency)
    if claim.amount is None or _is_amount(claim.amount, currency, owed[currency]):
        return _reconciled(claim, Match.MATCHED, ours, None, currency)
    return _reconciled(
        claim, Match.DIFFERENT_AMOUNT, ours, "the offer pays another amount", currency
    )


def _is_amount(amount: str, currency: str, owed_minor: int) -> bool:
    """Whether a decimal is so much. What was no more than a list may say in euro may be so in another currency."""
    try:
        return money(amount, currency).amount_minor == owed_minor
    except BadAmount:
        return False


def unclaimed(transaction_id: str, owed_minor: int, currency: str) -> Reconciled:
    """A transaction that the book owes for and the partner's list does not have."""
    assert currency in DECIMALS, "lines are in currencies that we know"
    return Reconciled(
        transaction_id=transaction_id,
        match=Match.MISSING_THERE,
        theirs=None,
        ours=decimal_text(owed_minor, currency),
        currency=currency,
        reason="not in the partner's list",
    )


def _reconciled(
    claim: Claim, match: Match, ours: str | None, reason: str | None, currency: str | None = None
) -> Reconciled:
    return Reconciled(
        transaction_id=claim.transaction_id,
        match=match,
        theirs=claim.amount,
        ours=ours,
        currency=currency or claim.currency,
        reason=reason,
    )
