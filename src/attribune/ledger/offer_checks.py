"""What of an offer goes together, and what is wrong with its words; each complaint names the field."""

from __future__ import annotations

import re
from typing import Final

from attribune.model.errors import Invalid
from attribune.model.money import DECIMALS
from attribune.model.offer import AfterMonth, Carry, Deal, DealKind, Ladder, Measure, Offer

#: Deals of an offer, countries, levels up the tree.
DEALS_MAX: Final = 8
COUNTRIES_MAX: Final = 250
LEVELS_MAX: Final = 5
#: The longest a hold, a window or a period of days may be. Days.
DAYS_MAX: Final = 3660
EVENT_MAX: Final = 200
_ID: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z", re.ASCII)
COUNTRY: Final = re.compile(r"[A-Z]{2}\Z", re.ASCII)
OWN_MEASURE: Final = {
    DealKind.CPA: Measure.CONVERSIONS,
    DealKind.REVSHARE: Measure.BASE,
    DealKind.UNIT: Measure.BASE,
}


def refuse(*, if_: bool, sentence: str, param: str) -> None:
    """Refuse what is so. Raises Invalid, naming the field."""
    if if_:
        raise Invalid(sentence, param=param)


def check_words(offer: Offer) -> None:
    """What of an offer is no number."""
    refuse(
        if_=not _ID.match(offer.id),
        sentence="id has small letters, digits, _ . and -, at most 64",
        param="id",
    )
    refuse(
        if_=not 0 < len(offer.event) <= EVENT_MAX,
        sentence=f"event is a name of at most {EVENT_MAX} signs",
        param="event",
    )
    refuse(
        if_=offer.currency not in DECIMALS,
        sentence="currency is an ISO 4217 code, such as EUR",
        param="currency",
    )
    refuse(
        if_=not 0 < len(offer.deal) <= DEALS_MAX,
        sentence=f"an offer has from 1 to {DEALS_MAX} deals",
        param="deal",
    )
    refuse(
        if_=len(offer.levels) > LEVELS_MAX,
        sentence=f"an offer reaches at most {LEVELS_MAX} levels up the tree",
        param="levels",
    )
    refuse(
        if_=len(offer.countries) > COUNTRIES_MAX or not all(map(COUNTRY.match, offer.countries)),
        sentence="countries are ISO 3166 codes of two capital letters",
        param="countries",
    )
    refuse(
        if_=not 0 <= offer.hold_days <= DAYS_MAX,
        sentence=f"hold_days is from 0 to {DAYS_MAX}",
        param="hold_days",
    )
    refuse(
        if_=bool(offer.hold_days and offer.lock),
        sentence="an offer has hold_days or lock, not both",
        param="lock",
    )
    for name, after in (("lock", offer.lock), ("pay", offer.pay)):
        _check_after(after, name)


def _check_after(after: AfterMonth | None, name: str) -> None:
    refuse(
        if_=after is not None and not 0 <= after.after_month_end_days <= DAYS_MAX,
        sentence=f"{name}.after_month_end_days is from 0 to {DAYS_MAX}",
        param=f"{name}.after_month_end_days",
    )


def check_deal(deal: Deal, offer: Offer, measure: Measure, param: str) -> None:
    """Which fields of a deal go together."""
    is_share = deal.kind is DealKind.REVSHARE
    paid = deal.percent if is_share else deal.amount or deal.amounts
    other = deal.amount or deal.amounts if is_share else deal.percent
    field = "percent" if is_share else "amount"
    refuse(
        if_=bool(other),
        sentence=f"a deal of kind {deal.kind} has {field}, not {'amount' if is_share else 'percent'}",
        param=f"{param}.{'amount' if is_share else 'percent'}",
    )
    refuse(
        if_=not paid and not deal.tiers,
        sentence=f"a deal of kind {deal.kind} says its {field}, or has tiers that do",
        param=f"{param}.{field}",
    )
    refuse(
        if_=not is_share and bool(deal.formula or deal.carry is not Carry.NONE),
        sentence="formula and carry belong to a share of revenue",
        param=f"{param}.formula" if deal.formula else f"{param}.carry",
    )
    refuse(
        if_=bool(deal.amounts) and deal.kind is not DealKind.CPA,
        sentence="amounts by country belong to a CPA",
        param=f"{param}.amounts",
    )
    refuse(
        if_=any(not COUNTRY.match(country) for country in deal.amounts),
        sentence="amounts are named by ISO 3166 codes of two capital letters",
        param=f"{param}.amounts",
    )
    needs_kpi = measure in {Measure.KPI, Measure.KPI_PERCENT}
    refuse(
        if_=needs_kpi is not bool(deal.kpi),
        sentence="kpi names the event that measure = kpi or kpi_percent counts",
        param=f"{param}.kpi",
    )
    _check_period(deal, param)
    _check_ladder(deal, measure, param)
    refuse(
        if_=offer.qualify is not None and bool(deal.formula),
        sentence="a formula counts every event at once; an offer with qualify has none",
        param=f"{param}.formula",
    )


def _check_period(deal: Deal, param: str) -> None:
    is_days = deal.period.isascii() and deal.period.isdigit()
    refuse(
        if_=deal.period not in {"month", "total"}
        and not (is_days and 0 < int(deal.period[:6]) <= DAYS_MAX),
        sentence=f"period is month, total or a number of days up to {DAYS_MAX}",
        param=f"{param}.period",
    )
    cap = deal.cap
    refuse(
        if_=cap is not None and cap.month is not None and deal.period != "month",
        sentence="a cap of a month needs period = month",
        param=f"{param}.cap.month",
    )
    refuse(
        if_=cap is not None and cap.day is not None and deal.carry is not Carry.NONE,
        sentence="a deal with carry has caps of a month or in total, not of a day",
        param=f"{param}.cap.day",
    )


def _check_ladder(deal: Deal, measure: Measure, param: str) -> None:
    """A marginal ladder needs rungs of what it pays on; else nobody could say which part lies within."""
    is_retroactive = deal.ladder is Ladder.RETROACTIVE
    is_own = measure is OWN_MEASURE[deal.kind]
    refuse(
        if_=deal.kind is DealKind.CPA and measure is Measure.BASE,
        sentence="a CPA pays on conversions; measure = base belongs to shares and units",
        param=f"{param}.measure",
    )
    by_percent = deal.kind is not DealKind.REVSHARE and any(t.percent for t in deal.tiers)
    refuse(
        if_=bool(deal.tiers) and not is_retroactive and (not is_own or by_percent),
        sentence="tiers by another measure, or by percent of an amount, need ladder = retroactive",
        param=f"{param}.ladder",
    )
    refuse(
        if_=deal.keeps_tier and not is_retroactive,
        sentence="keeps_tier needs ladder = retroactive",
        param=f"{param}.keeps_tier",
    )
    refuse(
        if_=bool(deal.amounts) and any(tier.amount for tier in deal.tiers),
        sentence="amounts by country take tiers by percent",
        param=f"{param}.tiers",
    )
