"""What was agreed, as of a place in the journal: offers, rates, who recruited whom, and the products' time zones."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from attribune.ledger import offers as offers_
from attribune.ledger.offers import Terms
from attribune.ledger.precedence import decide
from attribune.ledger.rates import Rates
from attribune.ledger.told import Told
from attribune.ledger.ways import Way, way
from attribune.model.control import Change, Product
from attribune.model.offer import OfferSet, RatesSet, Recruited

#: Kinds of outcomes of which is remembered how they count; when there are more, all are looked up anew.
_WAYS_MAX: Final = 4096


class Agreed:
    """A fold over topic ``control``: what the book is booked under from here on."""

    def __init__(self) -> None:
        """Begin before every change."""
        self.rates = Rates()
        self.parents: dict[str, str | None] = {}
        self._zones: dict[str, str] = {}
        #: Versions of each offer, oldest first.
        self.offers: dict[str, list[Terms]] = {}
        #: Offers by an event that they count, then by the event that they pay for.
        self._by_name: dict[str, dict[str, list[list[Terms]]]] = {}
        #: Events by which some offer asks something of people.
        self.asking: frozenset[str] = frozenset()
        #: When versions were added that hold for what happens from then on, oldest first.
        self._begins: list[int] = []
        #: By all that decides: the offers that count an outcome, and how.
        self._ways: dict[tuple[object, ...], tuple[Way, ...]] = {}
        #: Whose decisions any offer counts.
        self._sources: frozenset[str] = frozenset()

    def apply(self, change: Change) -> None:
        """Take in one change; others leave nothing here."""
        record = change.record
        if isinstance(record, OfferSet):
            self._add_offer(record, change.at_ms)
        elif isinstance(record, RatesSet):
            for rate in record.rates:
                self.rates.add(rate)
        elif isinstance(record, Recruited):
            self.parents[record.partner] = record.parent
        elif isinstance(record, Product):
            self._zones[record.id] = record.timezone

    def timezone(self, product: str) -> str:
        """A product's time zone."""
        return self._zones.get(product, "UTC")

    def counts(self, name: str) -> bool:
        """Whether any offer counts such an event."""
        return name in self._by_name

    def counts_of(self, source: str) -> bool:
        """Whether any version of an offer counts the decisions of a vendor."""
        return source in self._sources

    def ways(self, told: Told) -> tuple[Way, ...]:
        """The offers that count an outcome, and how: of those that pay for the same event, the one that decides."""
        if told.partner is None or told.name not in self._by_name:
            return ()
        # Outcomes that share these share their offers, and most share them with one just before.
        kind = (
            told.name, told.partner, told.product, told.app, told.country, told.platform, told.counts, told.day,
            bisect_right(self._begins, told.at_ms),
        )  # fmt: skip
        found = self._ways.get(kind)
        if found is None:
            if len(self._ways) >= _WAYS_MAX:
                self._ways.clear()
            found = self._ways[kind] = self._decided(told)
        return found

    def _decided(self, told: Told) -> tuple[Way, ...]:
        groups = self._by_name[told.name]
        found = (decide(group, event, told) for event, group in groups.items())
        fits = (fit for fit in found if fit is not None and told.name in fit.terms.names)
        return tuple(way(fit, told) for fit in fits)

    def newest(self) -> list[Terms]:
        """The newest version of each offer, by id."""
        return [self.offers[name][-1] for name in sorted(self.offers)]

    def of_partner(self, partner: str, currency: str | None = None) -> list[Terms]:
        """The newest versions of the offers that may pay a partner."""
        return [
            terms
            for terms in self.newest()
            if terms.offer.partner in {None, partner} and currency in {None, terms.offer.currency}
        ]

    def version(self, offer: str, version: int) -> Terms:
        """One version of an offer."""
        return next(terms for terms in self.offers[offer] if terms.version == version)

    def _add_offer(self, record: OfferSet, at_ms: int) -> None:
        terms = offers_.terms(record.offer, record.version, at_ms)
        self.offers.setdefault(record.offer.id, []).append(terms)
        self._index()

    def _index(self) -> None:
        """Offers by name anew; they are few, and seldom added."""
        self._by_name = {}
        self._ways = {}
        all_ = [terms for versions in self.offers.values() for terms in versions]
        self._sources = frozenset(terms.offer.counts for terms in all_)
        self.asking = frozenset().union(*(t.names for t in all_ if t.condition is not None))
        self._begins = sorted(terms.added_at_ms for terms in all_ if terms.from_day is None)
        for versions in self.offers.values():
            for event in {terms.offer.event for terms in versions}:
                names = frozenset().union(*(t.names for t in versions if t.offer.event == event))
                for name in names:
                    self._by_name.setdefault(name, {}).setdefault(event, []).append(versions)
