"""Offers: what pays which partner how much. One struct serves the TOML file, the API and the journal.

Money is a decimal in a string, in the offer's currency (``"12.50"``); a percent is one too (``"30"``, ``"2.5"``). They stay as
people wrote them; ``ledger.offers`` reads them into whole numbers.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from attribune.model.activity import Platform
from attribune.model.book import PayoutItem


class Counts(StrEnum):
    """Whose decisions an offer pays for or a postback tells of: one source, so that nothing is paid or told twice under one."""

    #: Ours.
    OWN = "own"
    #: Adjust's.
    ADJUST = "adjust"
    #: AppsFlyer's.
    APPSFLYER = "appsflyer"
    #: Branch's.
    BRANCH = "branch"
    #: Kochava's.
    KOCHAVA = "kochava"
    #: Singular's.
    SINGULAR = "singular"
    #: Tenjin's.
    TENJIN = "tenjin"
    #: Those that Segment's ``Install Attributed`` passes on.
    SEGMENT = "segment"
    #: impact.com's.
    IMPACT = "impact"


class DealKind(StrEnum):
    """How a deal pays."""

    #: A fixed amount for each conversion.
    CPA = "cpa"
    #: A share of revenue, or of what a formula leaves of it.
    REVSHARE = "revshare"
    #: An amount for each unit, such as a lot, by the event's ``quantity``.
    UNIT = "unit"


class Ladder(StrEnum):
    """What a higher tier is applied to."""

    #: Only to what lies within it.
    MARGINAL = "marginal"
    #: To everything of the period, once it is reached.
    RETROACTIVE = "retroactive"


class Measure(StrEnum):
    """What a tier is reached by."""

    #: Conversions of the period.
    CONVERSIONS = "conversions"
    #: What the deal pays on: the amount that the percent is taken of, or the units.
    BASE = "base"
    #: How many of the event ``kpi`` happened in the period.
    KPI = "kpi"
    #: Events ``kpi`` for each hundred conversions.
    KPI_PERCENT = "kpi_percent"


class Carry(StrEnum):
    """What becomes of a month that ends below nothing."""

    #: It is forgotten: the next month begins at nothing.
    NONE = "none"
    #: What is missing is taken from the next month's base, before the percent.
    REVENUE = "revenue"
    #: What is missing is taken from the next month's commission, after the percent.
    COMMISSION = "commission"


class PartialRefund(StrEnum):
    """What a refund of a part takes back of a fixed amount; a share of revenue always follows the revenue."""

    #: Nothing.
    KEEP = "keep"
    #: The same part of it.
    REVERSE = "reverse"


class LevelBase(StrEnum):
    """What a partner further up the tree has a share of."""

    #: The commission of the partner below.
    COMMISSION = "commission"
    #: The revenue that made it.
    REVENUE = "revenue"


class Tier(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A rung of a ladder."""

    #: Reached from here on: conversions, an amount, events or percent, by the ladder's measure. The first is ``"0"``.
    over: str = "0"
    #: For each conversion or unit.
    amount: str | None = None
    #: Of a share: the percent. Of a CPA: percent of the amount that the deal pays otherwise.
    percent: str | None = None


class Term(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One event of a formula and what is counted of its revenue."""

    event: str
    #: ``"1"`` adds all of it, ``"-0.1"`` takes a tenth away.
    factor: str


class Cap(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The most that a deal pays one partner."""

    day: str | None = None
    month: str | None = None
    total: str | None = None


class Deal(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One way of paying; an offer with several is a hybrid."""

    kind: DealKind
    #: Of a CPA or a unit.
    amount: str | None = None
    #: Of a CPA: by country; ``amount`` is for all others.
    amounts: dict[str, str] = field(default_factory=dict)
    #: Of a share.
    percent: str | None = None
    #: Of a share: what the percent is taken of; the event's own revenue when left out.
    formula: tuple[Term, ...] = ()
    carry: Carry = Carry.NONE
    tiers: tuple[Tier, ...] = ()
    ladder: Ladder = Ladder.MARGINAL
    #: By what the deal pays on when left out: conversions, an amount, or units.
    measure: Measure | None = None
    #: The event that ``measure`` counts.
    kpi: str | None = None
    #: A rung that was reached is kept, though what reached it is undone.
    keeps_tier: bool = False
    #: ``month``, ``total``, or a number of days counted from ``valid_from``.
    period: str = "month"
    cap: Cap | None = None
    partial_refund: PartialRefund = PartialRefund.KEEP


class AfterMonth(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """So many days after the end of a month."""

    #: 27 after January: when 27 February is over.
    after_month_end_days: int


class Qualify(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a person must do before the conversion counts."""

    event: str
    within_days: int
    #: The first such event brings at least so much.
    first: str | None = None
    #: So many of them.
    count: int = 1
    #: Together they bring at least so much.
    total: str | None = None


class Level(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The share of a partner one step further up the tree."""

    percent: str
    of: LevelBase = LevelBase.COMMISSION


class Offer(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The terms: what conversion pays which partner how much. A field that it does not know is refused by name."""

    id: str
    #: The event's name, or ``install``, ``reinstall``, ``reattribution``, ``reengagement``.
    event: str
    #: ISO 4217; every amount of the offer is in it, and it is paid in it.
    currency: str
    deal: tuple[Deal, ...]
    #: Whose decisions it pays for: ours, or those of one other measurement partner.
    counts: Counts = Counts.OWN
    #: Every partner when left out; so with the rest.
    partner: str | None = None
    product: str | None = None
    app: str | None = None
    #: ISO 3166 codes.
    countries: tuple[str, ...] = ()
    platforms: tuple[Platform, ...] = ()
    #: The first day it holds for, such as ``2026-01-01``, in the product's time zone. Left out: of a first version, every
    #: conversion told after it was added; of a later one, conversions that happen after it was added.
    valid_from: str | None = None
    #: The first day it no longer holds for.
    valid_until: str | None = None
    #: Days after the conversion that a commission waits.
    hold_days: int = 0
    #: It waits for a date instead.
    lock: AfterMonth | None = None
    #: When a statement is due to be paid.
    pay: AfterMonth | None = None
    #: A statement below it is not paid but carried on.
    minimum_payout: str | None = None
    qualify: Qualify | None = None
    #: The first is the partner who recruited the one that earns, the second who recruited that one.
    levels: tuple[Level, ...] = ()


class OfferSet(Struct, frozen=True, kw_only=True, tag="offer", omit_defaults=True):
    """An offer as of a version."""

    version: int
    offer: Offer


class Rate(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one unit of a currency was worth in another on a day."""

    #: Such as ``2026-01-31``.
    day: str
    base: str
    quote: str
    #: A decimal: so much of ``quote`` for one of ``base``.
    rate: str


class RatesSet(Struct, frozen=True, kw_only=True, tag="rates", omit_defaults=True):
    """Rates that were added."""

    rates: tuple[Rate, ...]


class Recruited(Struct, frozen=True, kw_only=True, tag="recruited", omit_defaults=True):
    """Who brought a partner; None takes it away."""

    partner: str
    parent: str | None


class StatementClosed(Struct, frozen=True, kw_only=True, tag="statement", omit_defaults=True):
    """A person closes a partner's month."""

    partner: str
    #: Such as ``2026-01``.
    period: str
    by: str = ""


class PayoutMade(Struct, frozen=True, kw_only=True, tag="payout", omit_defaults=True):
    """A payout is prepared: what is to be paid to whom, in one currency."""

    id: str
    currency: str
    items: tuple[PayoutItem, ...]
    by: str = ""


class PayoutSettled(Struct, frozen=True, kw_only=True, tag="payout_settled", omit_defaults=True):
    """The bank did it, or did not."""

    id: str
    is_paid: bool
    #: What the bank calls it.
    reference: str = ""
    by: str = ""


class Reversed(Struct, frozen=True, kw_only=True, tag="reversed", omit_defaults=True):
    """A person takes the commissions of an outcome back."""

    #: The conversion's or the event's key in the book.
    outcome: str
    reason: str
    by: str = ""


LedgerRecord = (
    OfferSet | RatesSet | Recruited | StatementClosed | PayoutMade | PayoutSettled | Reversed
)
