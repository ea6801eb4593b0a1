"""Reading an outcome for the book: what is remembered of it, and what a line says of it."""

from __future__ import annotations

from msgspec.structs import replace

from attribune.ledger.clerk import About
from attribune.ledger.known import Known
from attribune.ledger.told import Told


def undone_by(told: Told) -> tuple[str, ...]:
    """The keys that an outcome and what undoes it are found by: its transaction number in its product, or the vendor's person.

    No product has an empty id, so no stranger's number is a person's key.
    """
    number = told.transaction_id
    numbered = () if number is None else (f"{told.product}|{number}",)
    return (*numbered, *(f"|{person}" for person in told.persons)) if told.persons else numbered


def known_of(told: Told) -> Known:
    """What is remembered of an outcome of which nothing is booked yet."""
    # By place, as all that is made of every outcome: names would take longer than the making.
    known = Known(
        told.revision,
        told.partner,
        told.name,
        told.product,
        told.timezone,
        told.at_ms,
        told.revenue_minor,
        told.revenue_currency,
        told.player,
        told.transaction_id,
    )
    # Of a vendor's installs alone.
    return known if told.touch_at_ms is None else replace(known, touch_at_ms=told.touch_at_ms)


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
        told.key,
        told.revision,
        told.name,
        told.at_ms,
        told.timezone,
        told.revenue_minor,
        told.revenue_currency,
        told.transaction_id,
        rate,
        told.day.isoformat() if rate else "",
        lost,
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
