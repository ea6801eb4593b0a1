"""The book's nouns: accounts, entries, lines, statements. The book only grows; a partner's state is a sum."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct

from attribune.model.ids import derived

#: Stands for a moment that is not known yet: a commission that waits to qualify is not due.
NEVER_MS: Final = 2**62
#: What commissions cost the advertiser.
EXPENSE: Final = "commission_expense"
#: What rounding a running total to whole minor units gave or took.
ROUNDING: Final = "rounding"


class Place(StrEnum):
    """Where a partner's money sits."""

    #: Earned, and it may still be taken back before it is due.
    PENDING = "pending"
    #: Earned for good, and on no statement yet.
    APPROVED = "approved"
    #: On a statement.
    PAYABLE = "payable"
    #: Paid.
    PAID = "paid"


class LineKind(StrEnum):
    """What a line does to a commission."""

    #: A conversion earns it.
    EARN = "earn"
    #: It is undone, whole or in part.
    REVERSAL = "reversal"
    #: A tier, a cap or a carry makes it worth something else, since another was undone or came.
    RETIER = "retier"


class LineState(StrEnum):
    """Where a line stands."""

    #: Until its person qualifies.
    WAITING = "waiting"
    #: Until its day.
    PENDING = "pending"
    #: It goes on the next statement, or stands on one.
    APPROVED = "approved"
    #: Undone before it could be due; it goes on no statement.
    VOID = "void"


def account(partner: str, place: Place) -> str:
    """The account of a partner's money at a place."""
    return f"partner:{partner}:{place}"


class Entry(Struct, frozen=True, gc=False, array_like=True):
    """One amount that moves from one account to another. Debits equal credits by construction."""

    id: str
    at_ms: int
    debit: str
    credit: str
    #: Above nothing; what goes the other way has the accounts the other way round.
    amount_minor: int
    currency: str
    #: The line, statement or payout that it is about.
    about: str
    cause: str


def entry(  # noqa: PLR0913, PLR0917 - it is the record's fields, in the order they are said
    id_: str,
    at_ms: int,
    debit: str,
    credit: str,
    amount_minor: int,
    currency: str,
    about: str,
    cause: str,
) -> Entry:
    """An entry of an amount that may be below nothing: then it goes the other way."""
    if amount_minor < 0:
        debit, credit, amount_minor = credit, debit, -amount_minor
    return Entry(id_, at_ms, debit, credit, amount_minor, currency, about, cause)


class Line(Struct, frozen=True, gc=False, array_like=True):
    """One movement of a commission, as it stands on statements."""

    id: str
    #: The commission it belongs to: derived from outcome, offer and tier.
    commission: str
    kind: LineKind
    state: LineState
    partner: str
    offer: str
    version: int
    #: Which of the offer's deals, and how many steps up the tree.
    deal: int
    level: int
    #: The partner below, of a share up the tree.
    below: str | None
    outcome: str
    #: The event's name, or the conversion's kind.
    event: str
    #: When the conversion was. Milliseconds, UTC.
    at_ms: int
    #: The deal's period that it counts in.
    window: str
    amount_minor: int
    currency: str
    #: When it is approved, or when it expires while it waits. Milliseconds, UTC.
    due_ms: int
    #: The month of ``due_ms`` in the product's time zone, such as 202601.
    month: int
    #: Why it was undone or is worth something else.
    cause: str = ""
    revenue_minor: int = 0
    revenue_currency: str = ""
    #: What turned the revenue into the offer's currency, and of which day.
    rate: str = ""
    rate_day: str = ""
    transaction_id: str | None = None
    #: Offers that fitted too and lost, each with the reason.
    lost: tuple[str, ...] = ()
    #: Of what undoes it or makes it worth something else: when that was. Milliseconds, UTC; 0 of what is earned, and of lines
    #: that an older version wrote.
    caused_at_ms: int = 0

    @property
    def moved_at_ms(self) -> int:
        """When it moved: with the conversion, or with what undid it."""
        return self.caused_at_ms or self.at_ms


class RateMissing(NamedTuple):
    """An outcome that waits for a day's rate, or a refund that does."""

    #: As lines name it.
    outcome: str
    #: The event's name, or the conversion's kind.
    event: str
    partner: str | None
    at_ms: int
    day: str
    base: str
    quote: str


class Statement(Struct, frozen=True, kw_only=True):
    """A partner's month in one currency; it never changes."""

    id: str
    partner: str
    period: str
    currency: str
    opening_minor: int
    lines_minor: int
    lines_count: int
    payments_minor: int
    closing_minor: int
    #: The statement before, whose closing is this one's opening.
    previous: str | None
    #: When it was closed; what was approved later is for the next. Milliseconds, UTC.
    closed_at_ms: int
    #: From when on it is to be paid. Milliseconds, UTC.
    pay_at_ms: int
    #: Below it nothing is paid.
    minimum_minor: int


class PayoutState(StrEnum):
    """How far a payout has come."""

    #: It was prepared.
    CREATED = "created"
    #: The bank did it.
    CONFIRMED = "confirmed"
    #: The bank did not.
    FAILED = "failed"


class PayoutItem(Struct, frozen=True, kw_only=True):
    """What one partner is paid in a payout, for which statement."""

    partner: str
    statement: str
    amount_minor: int


class Payout(Struct, frozen=True, kw_only=True):
    """A payment of statements' balances in one currency."""

    id: str
    currency: str
    state: PayoutState
    items: tuple[PayoutItem, ...]
    created_at_ms: int
    settled_at_ms: int | None = None
    reference: str = ""


class Balance(Struct, frozen=True, kw_only=True):
    """Where a partner's money sits, in one currency."""

    currency: str
    pending_minor: int = 0
    approved_minor: int = 0
    payable_minor: int = 0
    paid_minor: int = 0


def commission_id(outcome: str, offer: str, deal: int, level: int) -> str:
    """The id of what one outcome earns under an offer's tier, the same for ever."""
    return derived("cm", outcome, offer, f"{deal}.{level}")


def statement_id(partner: str, period: str, currency: str) -> str:
    """The id of a partner's statement of a period."""
    return derived("st", partner, period, currency)


def outcome_key(product: str, kind: str, id_: str) -> str:
    """What the book knows an outcome by, through all its revisions."""
    return derived("oc", product, kind, id_)
