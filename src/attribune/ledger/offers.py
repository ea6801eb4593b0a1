"""Offers as people write them, read into whole numbers; everything wrong with one is found here and named by its field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final, NamedTuple

from attribune.ledger.numbers import MICRO, micro, minor, percent
from attribune.ledger.offer_checks import (
    EVENT_MAX,
    OWN_MEASURE,
    check_deal,
    check_words,
    refuse,
)
from attribune.model import toml
from attribune.model.errors import Invalid
from attribune.model.offer import (
    Carry,
    Deal,
    DealKind,
    Ladder,
    LevelBase,
    Measure,
    Offer,
    PartialRefund,
    Qualify,
    Tier,
)

#: Largest TOML file of an offer. Bytes.
OFFER_BYTES_MAX: Final = 65_536
#: Tiers of a deal, and terms of a formula.
TIERS_MAX: Final = 50
TERMS_MAX: Final = 32
#: The longest that a person has to qualify. Days.
WITHIN_DAYS_MAX: Final = 400
#: The most that one conversion or unit pays. Minor units.
PAID_MINOR_MAX: Final = 10**9


class Rung(NamedTuple):
    """A tier in whole numbers."""

    #: In conversions, minor units, units or events; percent in millionths of one.
    over: int
    amount_minor: int | None
    share: int | None


class DealTerms(NamedTuple):
    """A deal in whole numbers."""

    kind: DealKind
    amount_minor: int = 0
    by_country: Mapping[str, int] = MappingProxyType({})
    #: Millionths of one.
    share: int = 0
    #: Millionths of one by the event's name; empty takes the event's revenue as it is.
    formula: Mapping[str, int] = MappingProxyType({})
    carry: Carry = Carry.NONE
    rungs: tuple[Rung, ...] = ()
    is_retroactive: bool = False
    measure: Measure = Measure.BASE
    kpi: str | None = None
    keeps_tier: bool = False
    period: str = "month"
    cap_day: int | None = None
    cap_month: int | None = None
    cap_total: int | None = None
    partial_refund: PartialRefund = PartialRefund.KEEP

    @property
    def is_chained(self) -> bool:
        """Whether what one period is worth depends on those before it."""
        return self.carry is not Carry.NONE or self.cap_total is not None


class Condition(NamedTuple):
    """What a person must do, in whole numbers."""

    event: str
    within_days: int
    first_minor: int
    #: How many deeds.
    deeds: int
    total_minor: int


class LevelTerms(NamedTuple):
    """A share up the tree in whole numbers."""

    share: int
    of: LevelBase


class Terms(NamedTuple):
    """A version of an offer, ready to be booked under."""

    offer: Offer
    version: int
    #: When it was added. Milliseconds, UTC.
    added_at_ms: int
    deals: tuple[DealTerms, ...]
    condition: Condition | None
    levels: tuple[LevelTerms, ...]
    from_day: date | None
    until_day: date | None
    minimum_minor: int
    #: Every event that the offer counts.
    names: frozenset[str]


def read(text: bytes) -> Offer:
    """The offer of a TOML file. Raises Invalid."""
    if len(text) > OFFER_BYTES_MAX:
        raise Invalid(f"an offer's file has at most {OFFER_BYTES_MAX} bytes", param="offer")
    try:
        return toml.read(text, Offer)
    except toml.BadToml as fault:
        raise Invalid(f"the offer cannot be read: {fault}", param=_param(str(fault))) from fault


def _param(said: str) -> str:
    """The field that a reader's complaint names: ``… - at `$.deal[0].percent``` or an unknown one in ``contains unknown field``."""
    unknown = re.search(r"unknown field `([^`]+)`", said)
    where = re.search(r"at `\$\.?([^`]*)`", said)
    return (
        ".".join(part for part in (where and where[1], unknown and unknown[1]) if part) or "offer"
    )


def terms(offer: Offer, version: int = 1, added_at_ms: int = 0) -> Terms:
    """An offer in whole numbers. Raises Invalid, naming the field."""
    check_words(offer)
    from_day, until_day = (
        _day(offer.valid_from, "valid_from"),
        _day(offer.valid_until, "valid_until"),
    )
    if from_day and until_day and until_day <= from_day:
        raise Invalid("valid_until is a day after valid_from", param="valid_until")
    deals = tuple(_deal(deal, offer, f"deal.{n}") for n, deal in enumerate(offer.deal))
    return Terms(
        offer=offer,
        version=version,
        added_at_ms=added_at_ms,
        deals=deals,
        names=_names(offer, deals),
        condition=_condition(offer.qualify, offer.currency) if offer.qualify else None,
        levels=tuple(
            LevelTerms(percent(level.percent, f"levels.{n}.percent", most=100), level.of)
            for n, level in enumerate(offer.levels)
        ),
        from_day=from_day,
        until_day=until_day,
        minimum_minor=_amount(offer.minimum_payout, offer.currency, "minimum_payout") or 0,
    )


def _names(offer: Offer, deals: tuple[DealTerms, ...]) -> frozenset[str]:
    """Every event that an offer counts."""
    named = {offer.event} | ({offer.qualify.event} if offer.qualify else set())
    for deal in deals:
        named |= deal.formula.keys()
        named |= {deal.kpi} if deal.kpi else set()
    return frozenset(named)


def _day(text: str | None, param: str) -> date | None:
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise Invalid(f"{param} is a day such as 2026-01-31", param=param)
    return day


def _amount(text: str | None, currency: str, param: str) -> int | None:
    return None if text is None else minor(text, currency, param)


def _paid(text: str | None, currency: str, param: str) -> int | None:
    """What one conversion or unit pays; no more than a book can hold many of."""
    found = _amount(text, currency, param)
    refuse(
        if_=found is not None and found > PAID_MINOR_MAX,
        sentence=f"{param} is at most {PAID_MINOR_MAX} minor units",
        param=param,
    )
    return found


def _deal(deal: Deal, offer: Offer, param: str) -> DealTerms:
    """A deal in whole numbers."""
    measure = deal.measure or OWN_MEASURE[deal.kind]
    check_deal(deal, offer, measure, param)
    cap = deal.cap
    currency = offer.currency
    return DealTerms(
        kind=deal.kind,
        amount_minor=_paid(deal.amount, currency, f"{param}.amount") or 0,
        by_country={
            country: _paid(text, currency, f"{param}.amounts.{country}") or 0
            for country, text in deal.amounts.items()
        },
        share=0 if deal.percent is None else percent(deal.percent, f"{param}.percent", most=100),
        formula=_formula(deal, param),
        carry=deal.carry,
        rungs=_rungs(deal, currency, measure, param),
        is_retroactive=deal.ladder is Ladder.RETROACTIVE,
        measure=measure,
        kpi=deal.kpi,
        keeps_tier=deal.keeps_tier,
        period=deal.period,
        cap_day=_amount(cap.day if cap else None, currency, f"{param}.cap.day"),
        cap_month=_amount(cap.month if cap else None, currency, f"{param}.cap.month"),
        cap_total=_amount(cap.total if cap else None, currency, f"{param}.cap.total"),
        partial_refund=deal.partial_refund,
    )


def _formula(deal: Deal, param: str) -> dict[str, int]:
    refuse(
        if_=len(deal.formula) > TERMS_MAX,
        sentence=f"a formula has at most {TERMS_MAX} terms",
        param=f"{param}.formula",
    )
    found: dict[str, int] = {}
    for n, term in enumerate(deal.formula):
        refuse(
            if_=term.event in found or not 0 < len(term.event) <= EVENT_MAX,
            sentence="each term of a formula names another event",
            param=f"{param}.formula.{n}.event",
        )
        factor = micro(term.factor, f"{param}.formula.{n}.factor")
        refuse(
            if_=abs(factor) > 1000 * MICRO,
            sentence="a factor is from -1000 to 1000",
            param=f"{param}.formula.{n}.factor",
        )
        found[term.event] = factor
    return found


def _rungs(deal: Deal, currency: str, measure: Measure, param: str) -> tuple[Rung, ...]:
    refuse(
        if_=len(deal.tiers) > TIERS_MAX,
        sentence=f"a deal has at most {TIERS_MAX} tiers",
        param=f"{param}.tiers",
    )
    rungs = tuple(
        _rung(tier, deal, currency, measure, f"{param}.tiers.{n}")
        for n, tier in enumerate(deal.tiers)
    )
    overs = [rung.over for rung in rungs]
    refuse(
        if_=bool(rungs) and (overs[0] != 0 or overs != sorted(set(overs))),
        sentence="the first tier is over 0, and each is over more than the one before",
        param=f"{param}.tiers",
    )
    return rungs


def _rung(tier: Tier, deal: Deal, currency: str, measure: Measure, param: str) -> Rung:
    is_share = deal.kind is DealKind.REVSHARE
    refuse(
        if_=(tier.amount is None) is (tier.percent is None) or (is_share and tier.percent is None),
        sentence="a tier of a share has percent, any other has amount or percent",
        param=f"{param}.{'percent' if is_share else 'amount'}",
    )
    refuse(
        if_=not is_share and tier.percent is not None and not (deal.amount or deal.amounts),
        sentence="a tier by percent needs an amount that it is a percent of",
        param=f"{param}.percent",
    )
    return Rung(
        over=_over(tier.over, deal.kind, currency, measure, f"{param}.over"),
        amount_minor=_paid(tier.amount, currency, f"{param}.amount"),
        share=None if tier.percent is None else percent(tier.percent, f"{param}.percent"),
    )


def _over(text: str, kind: DealKind, currency: str, measure: Measure, param: str) -> int:
    """Where a rung begins, in what its ladder is measured by."""
    if measure is Measure.KPI_PERCENT:
        return percent(text, param)
    if measure is Measure.BASE and kind is not DealKind.UNIT:
        return minor(text, currency, param)
    whole = micro(text, param)
    refuse(
        if_=whole < 0 or whole % MICRO != 0,
        sentence=f"{param} is a whole number of at least nothing",
        param=param,
    )
    return whole // MICRO


def _condition(qualify: Qualify, currency: str) -> Condition:
    refuse(
        if_=not 0 < qualify.within_days <= WITHIN_DAYS_MAX,
        sentence=f"qualify.within_days is from 1 to {WITHIN_DAYS_MAX}",
        param="qualify.within_days",
    )
    refuse(
        if_=not 0 < qualify.count <= 100,
        sentence="qualify.count is from 1 to 100",
        param="qualify.count",
    )
    return Condition(
        event=qualify.event,
        within_days=qualify.within_days,
        first_minor=_amount(qualify.first, currency, "qualify.first") or 0,
        deeds=qualify.count,
        total_minor=_amount(qualify.total, currency, "qualify.total") or 0,
    )
