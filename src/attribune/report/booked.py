"""Lines of the book for people: what an outcome earned whom, under which offer, and what became of it."""

from __future__ import annotations

from msgspec import Struct

from attribune.model.book import LineKind, LineState, RateMissing
from attribune.model.money import decimal_text
from attribune.ports import KeptLine


class ToldLine(Struct, frozen=True, kw_only=True):
    """One movement of a commission."""

    partner: str
    kind: LineKind
    state: LineState
    #: The offer that decided, and those that fitted too and lost, each with the reason.
    offer: str
    version: int
    lost: list[str]
    #: The event's name, or the conversion's kind.
    event: str
    #: When the conversion was, and when this movement: a reversal moves with what undid it. Milliseconds, UTC.
    at_ms: int
    moved_at_ms: int
    #: A decimal in the offer's currency.
    amount: str
    currency: str
    due_ms: int
    cause: str
    #: The rate that turned the revenue into the offer's currency; empty when none was needed.
    rate: str
    statement: str | None


class ToldRateMissing(Struct, frozen=True, kw_only=True):
    """What is not booked, or not taken back, until the rate of its day is added."""

    #: Who is credited with it.
    partner: str | None
    #: The event's name, or the conversion's kind.
    event: str
    at_ms: int
    day: str
    base: str
    quote: str


def rate_missing(one: RateMissing) -> ToldRateMissing:
    """What waits for a rate as people read it."""
    return ToldRateMissing(
        partner=one.partner,
        event=one.event,
        at_ms=one.at_ms,
        day=one.day,
        base=one.base,
        quote=one.quote,
    )


def line(kept: KeptLine) -> ToldLine:
    """A line as people read it."""
    one = kept.line
    return ToldLine(
        partner=one.partner,
        kind=one.kind,
        state=one.state,
        offer=one.offer,
        version=one.version,
        lost=list(one.lost),
        event=one.event,
        at_ms=one.at_ms,
        moved_at_ms=one.moved_at_ms,
        amount=decimal_text(one.amount_minor, one.currency),
        currency=one.currency,
        due_ms=one.due_ms,
        cause=one.cause,
        rate=one.rate,
        statement=kept.statement,
    )
