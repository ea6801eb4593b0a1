"""What a deal is worth: a total as a function of what stands in a period. A commission is the difference that one outcome makes to it.

What stands is a tally of whole numbers by slot: ``n:DE`` conversions of a country, ``s:deposit`` minor units of an event's revenue,
``u`` millionths of a unit, ``k`` events of the KPI, ``m`` minor units that partial refunds took. A tally adds up whatever the
order, so the total does not depend on the order either.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from attribune.ledger.numbers import EXACT, MICRO
from attribune.ledger.offers import DealTerms, Rung
from attribune.model.offer import DealKind, Measure

CONVERSIONS: Final = "n:"
REVENUE: Final = "s:"
UNITS: Final = "u"
KPI: Final = "k"
MINUS: Final = "m"

Tally = Mapping[str, int]
_END: Final = 1 << 100


def conversions(tally: Tally) -> int:
    """How many conversions stand."""
    return sum(n for slot, n in tally.items() if slot[:2] == CONVERSIONS)


def base(deal: DealTerms, tally: Tally) -> int:
    """What a share is taken of, in millionths of a minor unit: the formula over what stands."""
    formula = deal.formula
    total = 0
    for slot, amount in tally.items():
        if slot[:2] == REVENUE:
            total += amount * (formula.get(slot[2:], 0) if formula else MICRO)
    return total


def worth(deal: DealTerms, tally: Tally, carried: int = 0, peak: int = 0) -> int:
    """The total before caps, exact, and never below nothing.

    ``carried`` is what is missing from the period before, in the deal's base; ``peak`` the highest rung that was reached.
    """
    return max(0, raw(deal, tally, carried, peak))


def raw(deal: DealTerms, tally: Tally, carried: int = 0, peak: int = 0) -> int:
    """The same where a share of less than nothing is less than nothing; what a carry of commission goes on with."""
    if deal.kind is DealKind.REVSHARE:
        return _of_base(deal, tally, base(deal, tally) + carried, peak)
    paid = (
        _of_units(deal, tally, peak) if deal.kind is DealKind.UNIT else _of_count(deal, tally, peak)
    )
    return paid - tally.get(MINUS, 0) * EXACT


def reached(deal: DealTerms, tally: Tally, base_micro: int = 0, peak: int = 0) -> int:
    """The number of the highest rung that is reached, or was if the deal keeps it."""
    measured = _measured(deal, tally, base_micro)
    found = 0
    for number, rung in enumerate(deal.rungs):
        if measured > rung.over * MICRO:
            found = number
    return max(found, peak) if deal.keeps_tier else found


def _measured(deal: DealTerms, tally: Tally, base_micro: int) -> int:
    """How far up the ladder, in millionths of its measure."""
    if deal.measure is Measure.CONVERSIONS:
        return conversions(tally) * MICRO
    if deal.measure is Measure.BASE:
        return tally.get(UNITS, 0) if deal.kind is DealKind.UNIT else base_micro
    events = tally.get(KPI, 0)
    if deal.measure is Measure.KPI:
        return events * MICRO
    count = conversions(tally)
    return events * MICRO * MICRO // count if count else 0


def _of_base(deal: DealTerms, tally: Tally, base_micro: int, peak: int) -> int:
    if not deal.rungs:
        return base_micro * deal.share
    if deal.is_retroactive or base_micro <= 0:
        rung = deal.rungs[reached(deal, tally, base_micro, peak)]
        return base_micro * (rung.share or 0)
    return sum(
        within * (rung.share or 0) for within, rung in _slices(deal.rungs, base_micro, MICRO)
    )


def _of_units(deal: DealTerms, tally: Tally, peak: int) -> int:
    units = tally.get(UNITS, 0)
    if not deal.rungs:
        return units * deal.amount_minor * MICRO
    if deal.is_retroactive:
        rung = deal.rungs[reached(deal, tally, 0, peak)]
        return units * _each(rung, deal.amount_minor)
    return sum(
        within * (rung.amount_minor or 0) * MICRO
        for within, rung in _slices(deal.rungs, units, MICRO)
    )


def _of_count(deal: DealTerms, tally: Tally, peak: int) -> int:
    if not deal.rungs:
        return EXACT * _fixed(deal, tally)
    if deal.is_retroactive:
        rung = deal.rungs[reached(deal, tally, 0, peak)]
        if rung.share is not None:
            return _fixed(deal, tally) * rung.share * MICRO
        return conversions(tally) * (rung.amount_minor or 0) * EXACT
    return sum(
        within * (rung.amount_minor or 0) * EXACT
        for within, rung in _slices(deal.rungs, conversions(tally), 1)
    )


def _each(rung: Rung, amount_minor: int) -> int:
    """What a unit pays on a rung, in millionths of a minor unit."""
    if rung.share is not None:
        return amount_minor * rung.share
    return (rung.amount_minor or 0) * MICRO


def _fixed(deal: DealTerms, tally: Tally) -> int:
    """Every conversion at its country's amount. Minor units."""
    return sum(
        n * deal.by_country.get(slot[2:], deal.amount_minor)
        for slot, n in tally.items()
        if slot[:2] == CONVERSIONS
    )


def _slices(rungs: tuple[Rung, ...], measured: int, parts: int) -> list[tuple[int, Rung]]:
    """How much of what is measured lies on each rung."""
    overs = [*(rung.over * parts for rung in rungs), _END]
    return [
        (max(0, min(measured, next_) - over), rung)
        for rung, (over, next_) in zip(rungs, pairwise(overs), strict=True)
    ]
