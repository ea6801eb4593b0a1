"""Reading an outcome for the book: what it counts for under a deal, and what is remembered of it."""

from __future__ import annotations

from attribune.ledger.clerk import About
from attribune.ledger.known import Known
from attribune.ledger.ladder import Share
from attribune.ledger.numbers import quantity
from attribune.ledger.offers import DealTerms, Terms
from attribune.ledger.told import Told
from attribune.model.offer import DealKind, LevelBase


def transaction_key(told: Told) -> str:
    """The key of a transaction number within its product."""
    return f"{told.product}|{told.transaction_id}"


def share_of(deal: DealTerms, terms: Terms, told: Told, base_minor: int) -> Share:
    """What an outcome counts for under a deal."""
    share: list[tuple[str, int]] = []
    if told.name == terms.offer.event:
        country = told.country or "" if deal.by_country else ""
        share.append((f"n:{country}", 1))
        if deal.kind is DealKind.UNIT:
            share.append(("u", quantity(told.quantity) or 0))
    is_counted = told.name in deal.formula if deal.formula else told.name == terms.offer.event
    if deal.kind is DealKind.REVSHARE and is_counted:
        share.append((f"s:{told.name}", base_minor))
    if told.name == deal.kpi:
        share.append(("k", 1))
    return tuple(share)


def needs_revenue(terms: Terms, name: str) -> bool:
    """Whether anything that the offer counts depends on an event's revenue."""
    for deal in terms.deals:
        if deal.kind is DealKind.REVSHARE:
            return True
    if any(level.of is LevelBase.REVENUE for level in terms.levels):
        return True
    return terms.condition is not None and terms.condition.event == name


def known_of(told: Told) -> Known:
    """What is remembered of an outcome of which nothing is booked yet."""
    return Known(
        revision=told.revision,
        partner=told.partner,
        name=told.name,
        product=told.product,
        timezone=told.timezone,
        at_ms=told.at_ms,
        revenue_minor=told.revenue_minor,
        revenue_currency=told.revenue_currency,
        player=told.player,
        transaction_id=told.transaction_id,
    )


def is_same(told: Told, known: Known) -> bool:
    """Whether a later revision leaves everything that counts as it was."""
    return (told.partner, told.name, told.at_ms, told.player) == (
        known.partner,
        known.name,
        known.at_ms,
        known.player,
    )


def about_told(told: Told, rate: str, lost: tuple[str, ...]) -> About:
    """What a line says of an outcome that was just told."""
    return About(
        key=told.key,
        revision=told.revision,
        event=told.name,
        at_ms=told.at_ms,
        timezone=told.timezone,
        revenue_minor=told.revenue_minor,
        revenue_currency=told.revenue_currency,
        transaction_id=told.transaction_id,
        rate=rate,
        rate_day=told.day.isoformat() if rate else "",
        lost=lost,
    )


def about_known(key: str, known: Known) -> About:
    """What a line says of an outcome that is known."""
    return About(
        key=key,
        revision=known.revision,
        event=known.name,
        at_ms=known.at_ms,
        timezone=known.timezone,
        revenue_minor=known.revenue_minor,
        revenue_currency=known.revenue_currency,
        transaction_id=known.transaction_id,
    )
