"""How offers, lines, statements and payouts are shown: flat, with money in minor units and as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict

from attribune.ledger.waiting import Waits
from attribune.model.book import (
    Entry,
    Line,
    LineKind,
    LineState,
    Payout,
    PayoutState,
    Statement,
)
from attribune.model.money import decimal_text
from attribune.model.offer import Offer, OfferSet
from attribune.ports import KeptLine


class OfferShown(Struct, frozen=True, kw_only=True):
    """A version of an offer."""

    id: str
    version: int
    partner: str | None
    event: str
    currency: str
    valid_from: str | None
    valid_until: str | None
    #: The offer as it was written.
    terms: Offer


class LineShown(Struct, frozen=True, kw_only=True):
    """One movement of a commission."""

    id: str
    commission: str
    kind: LineKind
    state: LineState
    partner: str
    offer: str
    version: int
    deal: int
    level: int
    below: str | None
    outcome: str
    event: str
    #: When the conversion was, and when this movement: a reversal moves with what undid it. Milliseconds, UTC.
    at_ms: int
    moved_at_ms: int
    window: str
    amount_minor: int
    amount: str
    currency: str
    due_ms: int
    cause: str
    revenue_minor: int
    revenue_currency: str
    rate: str
    rate_day: str
    transaction_id: str | None
    lost: tuple[str, ...]
    statement: str | None


class EntryShown(Struct, frozen=True, kw_only=True):
    """One amount that moved from one account to another."""

    id: str
    at_ms: int
    debit: str
    credit: str
    amount_minor: int
    amount: str
    currency: str
    about: str
    cause: str


class StatementShown(Struct, frozen=True, kw_only=True):
    """A partner's month in one currency."""

    id: str
    partner: str
    period: str
    currency: str
    opening_minor: int
    lines_minor: int
    lines_count: int
    payments_minor: int
    closing_minor: int
    opening: str
    closing: str
    previous: str | None
    closed_at_ms: int
    pay_at_ms: int
    minimum_minor: int
    #: Its first lines; ``next`` leads to the others.
    lines: tuple[LineShown, ...] | UnsetType = UNSET
    next: int | UnsetType | None = UNSET


class PayoutItemShown(Struct, frozen=True, kw_only=True):
    """What one partner is paid."""

    partner: str
    statement: str
    amount_minor: int
    amount: str


class PayoutShown(Struct, frozen=True, kw_only=True):
    """A payment of statements' balances."""

    id: str
    currency: str
    state: PayoutState
    items: tuple[PayoutItemShown, ...]
    total_minor: int
    total: str
    created_at_ms: int
    settled_at_ms: int | None
    reference: str


class HeldShown(Struct, frozen=True, kw_only=True):
    """How many of a partner's wait for a rate."""

    day: str
    base: str
    quote: str
    count: int
    #: More wait for this rate than were looked at.
    is_least: bool


def offer(record: OfferSet) -> OfferShown:
    """A version of an offer as shown."""
    said = record.offer
    return OfferShown(
        id=said.id,
        version=record.version,
        partner=said.partner,
        event=said.event,
        currency=said.currency,
        valid_from=said.valid_from,
        valid_until=said.valid_until,
        terms=said,
    )


def line(kept: KeptLine) -> LineShown:
    """A line as shown."""
    one = kept.line
    return LineShown(
        **_same(one, LineShown),
        moved_at_ms=one.moved_at_ms,
        amount=decimal_text(one.amount_minor, one.currency),
        statement=kept.statement,
    )


def entry(one: Entry) -> EntryShown:
    """An entry as shown."""
    return EntryShown(**_same(one, EntryShown), amount=decimal_text(one.amount_minor, one.currency))


def statement(
    one: Statement,
    lines: tuple[LineShown, ...] | UnsetType = UNSET,
    next_: int | UnsetType | None = UNSET,
) -> StatementShown:
    """A statement as shown, with some of its lines when they are given."""
    return StatementShown(
        **_same(one, StatementShown),
        opening=decimal_text(one.opening_minor, one.currency),
        closing=decimal_text(one.closing_minor, one.currency),
        lines=lines,
        next=next_,
    )


def payout(one: Payout) -> PayoutShown:
    """A payout as shown."""
    total = sum(item.amount_minor for item in one.items)
    items = tuple(
        PayoutItemShown(
            partner=item.partner,
            statement=item.statement,
            amount_minor=item.amount_minor,
            amount=decimal_text(item.amount_minor, one.currency),
        )
        for item in one.items
    )
    return PayoutShown(
        id=one.id,
        currency=one.currency,
        state=one.state,
        items=items,
        total_minor=total,
        total=decimal_text(total, one.currency),
        created_at_ms=one.created_at_ms,
        settled_at_ms=one.settled_at_ms,
        reference=one.reference,
    )


def held(waits: Sequence[Waits]) -> tuple[HeldShown, ...]:
    """What of a partner's waits for which rates."""
    return tuple(HeldShown(**asdict(one)) for one in waits)


def held_sentence(one: HeldShown) -> str:
    """What waits for a rate, for people."""
    count = f"At least {one.count}" if one.is_least else str(one.count)
    waits = "conversion waits" if one.count == 1 else "conversions wait"
    return f"{count} {waits} for the rate of {one.base} in {one.quote} on {one.day}"


def _same(record: Line | Entry | Statement, kind: type[Struct]) -> dict[str, Any]:
    """The fields that a record and what is shown of it have in common."""
    wanted = kind.__struct_fields__
    return {name: getattr(record, name) for name in record.__struct_fields__ if name in wanted}
