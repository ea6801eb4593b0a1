"""Exact numbers: money, percents and rates as whole numbers, and the one place where they are rounded.

A percent is kept in millionths (30 % is 300 000), a base in millionths of a minor unit, and what a deal is worth in their
product, billionths of thousandths of a minor unit. So nothing is rounded on the way, and once at the end: half to even.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from attribune.model.errors import Invalid
from attribune.model.money import DECIMALS, BadAmount, UnknownCurrency, money

#: Parts of one.
MICRO: Final = 10**6
#: Parts of a minor unit in what a deal is worth.
EXACT: Final = MICRO * MICRO

_NUMBER: Final = re.compile(r"-?\d{1,12}(?:\.\d{1,6})?\Z", re.ASCII)
_RATE: Final = re.compile(r"\d{1,12}(?:\.\d{1,12})?\Z", re.ASCII)


def rounded(exact: int, parts: int = EXACT) -> int:
    """Whole units, half to even."""
    whole, rest = divmod(exact, parts)
    twice = 2 * rest
    return whole + (twice > parts or (twice == parts and whole & 1))


def minor(text: str, currency: str, param: str) -> int:
    """An amount of at least nothing in minor units, and no finer. Raises Invalid."""
    try:
        found = money(text, currency)
    except (BadAmount, UnknownCurrency) as fault:
        raise Invalid(f'{param} is a decimal in a string, such as "12.50"', param=param) from fault
    decimals = len(text.partition(".")[2].rstrip("0"))
    if found.amount_minor < 0 or decimals > DECIMALS[currency]:
        raise Invalid(
            f"{param} is an amount of {currency}, of at least nothing and no finer", param=param
        )
    return found.amount_minor


def micro(text: str, param: str) -> int:
    """A number in millionths. Raises Invalid."""
    if not _NUMBER.match(text):
        raise Invalid(
            f'{param} is a number in a string with at most six digits behind the point, such as "0.835"',
            param=param,
        )
    return int(Decimal(text).scaleb(6))


def percent(text: str, param: str, *, most: int = 1000) -> int:
    """A percent in millionths of one. Raises Invalid."""
    parts = micro(text, param)
    if not 0 <= parts <= most * MICRO or parts % 100:
        raise Invalid(
            f'{param} is a percent in a string from "0" to "{most}", such as "2.5"', param=param
        )
    return parts // 100


def quantity(text: str | None) -> int | None:
    """So many units in millionths; None when the text says none."""
    if text is None or not _NUMBER.match(text) or text.startswith("-"):
        return None
    return int(Decimal(text).scaleb(6))


def rate(text: str, param: str) -> Decimal:
    """An exchange rate. Raises Invalid."""
    if not _RATE.match(text) or not Decimal(text):
        raise Invalid(f'{param} is a rate above nothing in a string, such as "0.9137"', param=param)
    return Decimal(text)


def converted(amount_minor: int, base: str, quote: str, rate_: Decimal) -> int:
    """An amount in another currency's minor units, half to even; exact up to there."""
    numerator, denominator = rate_.as_integer_ratio()
    shift = DECIMALS[quote] - DECIMALS[base]
    numerator *= amount_minor * (10**shift if shift > 0 else 1)
    denominator *= 10**-shift if shift < 0 else 1
    return rounded(numerator, denominator)
