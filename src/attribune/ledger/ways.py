"""How outcomes of one kind count under the offer that decides for them: all that does not differ from one of them to the next.

It is made once for a kind and remembered with it (``Agreed``), since most outcomes share theirs with one just before.
"""

from __future__ import annotations

from msgspec import Struct

from attribune.ledger.deals import CONVERSIONS, KPI, REVENUE, UNITS
from attribune.ledger.known import ladder_key
from attribune.ledger.ladder import Share
from attribune.ledger.numbers import quantity
from attribune.ledger.offers import DealTerms, Terms
from attribune.ledger.precedence import Fit
from attribune.ledger.told import Told
from attribune.ledger.when import window_of
from attribune.model.offer import DealKind, LevelBase


class Step(Struct, frozen=True, gc=False):
    """One deal that counts them."""

    #: Which of the offer's deals.
    number: int
    deal: DealTerms
    #: The key of the ladder that they stand on.
    ladder: str
    window: str
    #: The slots that each of them fills alike.
    fixed: Share
    #: Whether its units count.
    has_units: bool
    #: The slot of its revenue; empty when that does not count.
    revenue: str

    def share(self, told: Told, base_minor: int) -> Share:
        """What one of them counts for."""
        found = self.fixed
        if self.has_units:
            found = (*found, (UNITS, quantity(told.quantity) or 0))
        if self.revenue:
            found = (*found, (self.revenue, base_minor))
        return found


class Way(Struct, frozen=True, gc=False):
    """An offer that counts them."""

    terms: Terms
    #: Offers that fitted too, each with why it lost.
    lost: tuple[str, ...]
    #: Whether anything that is counted depends on the revenue.
    needs_revenue: bool
    #: Their day, which is the cell that they count in where a day has a cap.
    cell: str
    steps: tuple[Step, ...]


def way(fit: Fit, told: Told) -> Way:
    """How an outcome counts, and every other of its kind."""
    terms = fit.terms
    found = (_step(terms, number, deal, told) for number, deal in enumerate(terms.deals))
    steps = tuple(step for step in found if step.fixed or step.has_units or step.revenue)
    return Way(terms, fit.lost, _needs_revenue(terms, told.name), told.day.isoformat(), steps)


def _step(terms: Terms, number: int, deal: DealTerms, told: Told) -> Step:
    fixed: list[tuple[str, int]] = []
    is_conversion = told.name == terms.offer.event
    if is_conversion:
        country = told.country or "" if deal.by_country else ""
        fixed.append((f"{CONVERSIONS}{country}", 1))
    if told.name == deal.kpi:
        fixed.append((KPI, 1))
    is_counted = told.name in deal.formula if deal.formula else is_conversion
    has_revenue = deal.kind is DealKind.REVSHARE and is_counted
    assert told.partner is not None, "only who is credited fits an offer"
    return Step(
        number=number,
        deal=deal,
        ladder=ladder_key(terms.offer.id, terms.version, number, 0, told.partner, None),
        window=window_of(deal, terms.from_day, told.day),
        fixed=tuple(fixed),
        has_units=is_conversion and deal.kind is DealKind.UNIT,
        revenue=f"{REVENUE}{told.name}" if has_revenue else "",
    )


def _needs_revenue(terms: Terms, name: str) -> bool:
    """Whether anything that the offer counts depends on an event's revenue."""
    if any(deal.kind is DealKind.REVSHARE for deal in terms.deals):
        return True
    if any(level.of is LevelBase.REVENUE for level in terms.levels):
        return True
    return terms.condition is not None and terms.condition.event == name
