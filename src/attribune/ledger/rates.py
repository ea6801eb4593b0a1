"""Rates of exchange: data with a day. A day without one has none; nothing falls back to another day or another way round."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

from attribune.ledger.numbers import rate
from attribune.model.errors import Conflict, Invalid
from attribune.model.money import DECIMALS
from attribune.model.offer import Rate

#: Rates that one call may add.
RATES_MAX: Final = 1000


class Rates:
    """Every rate that was added; the first of a day and a pair stands."""

    def __init__(self) -> None:
        """Begin without any."""
        self._rates: dict[tuple[str, str, str], Decimal] = {}

    def add(self, given: Rate) -> bool:
        """Take a rate in; whether it is new."""
        key = (given.day, given.base, given.quote)
        if key in self._rates:
            return False
        self._rates[key] = Decimal(given.rate)
        return True

    def of(self, day: str, base: str, quote: str) -> Decimal | None:
        """What one of ``base`` was worth in ``quote`` on a day."""
        return Decimal(1) if base == quote else self._rates.get((day, base, quote))

    def all(self) -> list[tuple[str, str, str, Decimal]]:
        """Every rate: day, base, quote, rate; newest day first."""
        return [(*key, self._rates[key]) for key in sorted(self._rates, reverse=True)]


def check(rates: Rates, given: tuple[Rate, ...]) -> tuple[Rate, ...]:
    """The rates that are new. Raises Invalid, and Conflict when another stands for the day."""
    if not 0 < len(given) <= RATES_MAX:
        raise Invalid(f"from 1 to {RATES_MAX} rates are added at a time", param="rates")
    new: dict[tuple[str, str, str], Rate] = {}
    for n, one in enumerate(given):
        _check_one(one, f"rates.{n}")
        key = (one.day, one.base, one.quote)
        standing = rates.of(*key)
        before = Decimal(new[key].rate) if key in new else standing
        if before is not None and before != Decimal(one.rate):
            raise Conflict(
                f"{one.day} has a rate of {one.base} in {one.quote} already: {before}; lines may be booked with it",
                param=f"rates.{n}.rate",
            )
        if standing is None:
            new[key] = one
    return tuple(new.values())


def _check_one(one: Rate, param: str) -> None:
    try:
        is_day = date.fromisoformat(one.day).isoformat() == one.day
    except ValueError:
        is_day = False
    if not is_day:
        raise Invalid(f"{param}.day is a day such as 2026-01-31", param=f"{param}.day")
    for name, code in (("base", one.base), ("quote", one.quote)):
        if code not in DECIMALS:
            raise Invalid(
                f"{param}.{name} is an ISO 4217 code, such as EUR", param=f"{param}.{name}"
            )
    if one.base == one.quote:
        raise Invalid(f"{param}.quote is another currency than base", param=f"{param}.quote")
    rate(one.rate, f"{param}.rate")
