"""Which offer decides, where several fit. One list, and the first that differs decides.

1. the one with more conditions (partner, product, app, country, platform);
2. the one for this partner before one for all;
3. the one for this app, then the one for this product;
4. the one for this country;
5. the one for this platform;
6. the one with days before one without;
7. the one that was added last;
8. the one whose id comes first.

Everflow publishes its order of custom settings in this way; ours has the fields that we have.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from attribune.ledger.offers import Terms
from attribune.ledger.told import Told
from attribune.ledger.when import begins_before, is_in_force

#: What decides, by its place in the rank.
_REASONS: Final = (
    "fewer conditions",
    "not for this partner alone",
    "not for this app alone",
    "not for this product alone",
    "not for this country",
    "not for this platform",
    "no days of its own",
    "older",
    "a later id",
)
#: Losers that a line names.
LOST_MAX: Final = 20


class Fit(NamedTuple):
    """An offer that decides, and those that fitted too, each with why it lost."""

    terms: Terms
    lost: tuple[str, ...]


def decide(offers: Iterable[list[Terms]], event: str, told: Told) -> Fit | None:
    """The offer for an event that decides for an outcome; each offer is given with its versions, oldest first."""
    fitting = [
        terms
        for versions in offers
        if (terms := in_force(versions, told)) is not None
        and terms.offer.event == event
        and fits(terms, told)
    ]
    if not fitting:
        return None
    if len(fitting) == 1:
        return Fit(fitting[0], ())
    ordered = sorted(fitting, key=_rank)
    winner, *losers = ordered
    return Fit(winner, tuple(f"{t.offer.id}: {_why(winner, t)}" for t in losers[:LOST_MAX]))


def in_force(versions: list[Terms], told: Told) -> Terms | None:
    """The newest version that had begun at the conversion, unless it had ended."""
    for terms in reversed(versions):
        if begins_before(terms, told.day, told.at_ms):
            return terms if is_in_force(terms, told.day, told.at_ms) else None
    return None


def fits(terms: Terms, told: Told) -> bool:
    """Whether an offer's conditions hold."""
    offer = terms.offer
    return (
        offer.counts == told.counts
        and (offer.partner is None or offer.partner == told.partner)
        and (offer.product is None or offer.product == told.product)
        and (offer.app is None or offer.app == told.app)
        and (not offer.countries or told.country in offer.countries)
        and (not offer.platforms or told.platform in offer.platforms)
    )


def _rank(terms: Terms) -> tuple[int, int, int, int, int, int, int, int, str]:
    """Lowest first."""
    offer = terms.offer
    named = [
        offer.partner is not None,
        offer.app is not None,
        offer.product is not None,
        bool(offer.countries),
        bool(offer.platforms),
    ]
    partner, app, product, country, platform = (-int(is_named) for is_named in named)
    is_dated = terms.from_day is not None or terms.until_day is not None
    return (
        -sum(named),
        partner,
        app,
        product,
        country,
        platform,
        -int(is_dated),
        -terms.added_at_ms,
        offer.id,
    )


def _why(winner: Terms, loser: Terms) -> str:
    ranks = zip(_rank(winner), _rank(loser), _REASONS, strict=True)
    return next(reason for best, other, reason in ranks if best != other)
