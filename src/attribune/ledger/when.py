"""When: which period an outcome counts in, and from when on a commission is owed. Days are the product's."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from attribune.ledger.offers import DealTerms, Terms
from attribune.model.book import NEVER_MS
from attribune.model.calendar import Calendar, calendar
from attribune.model.errors import Invalid
from attribune.model.offer import AfterMonth, Offer

DAY_MS: Final = 86_400_000
_EPOCH: Final = date(1970, 1, 1)


def day_of(timezone: str, at_ms: int) -> date:
    """The day of a moment."""
    return calendar(timezone).day_of(at_ms)


def window_of(deal: DealTerms, from_day: date | None, day: date) -> str:
    """The name of the deal's period that a day lies in; later periods have greater names."""
    if deal.period == "month":
        return month_text(day)
    if deal.period == "total":
        return "total"
    number = (day - (from_day or _EPOCH)).days // int(deal.period)
    return f"{number:06d}"


def due_ms(offer: Offer, timezone: str, at_ms: int) -> int:
    """When a commission of a conversion is approved: at once, after its hold, or when its lock falls."""
    if offer.lock is not None:
        return after_month(calendar(timezone), day_of(timezone, at_ms), offer.lock)
    return at_ms + offer.hold_days * DAY_MS


def after_month(days: Calendar, day: date, after: AfterMonth) -> int:
    """The first moment at which so many days after the end of a day's month are over.

    27 days after January: the first moment of 28 February.
    """
    return _after_month(days.timezone, day.year, day.month, after.after_month_end_days)


@lru_cache(maxsize=4096)
def _after_month(timezone: str, year: int, month: int, days: int) -> int:
    return calendar(timezone).starts_at_ms(_first_of_next(year, month) + timedelta(days=days))


def _first_of_next(year: int, month: int) -> date:
    return date(year + month // 12, month % 12 + 1, 1)


def month_of(timezone: str, at_ms: int) -> int:
    """The month of a moment, such as 202601; of one that never comes, a month after all others."""
    if at_ms >= NEVER_MS:
        return 999_912
    day = day_of(timezone, at_ms)
    return day.year * 100 + day.month


def month_text(day: date) -> str:
    """The month of a day, such as ``2026-01``."""
    return f"{day.year:04d}-{day.month:02d}"


def month_number(period: str) -> int:
    """202601 of ``2026-01``. Raises Invalid."""
    year, _, month = period.partition("-")
    digits = year + month if (len(year), len(month)) == (4, 2) else ""
    is_month = digits.isascii() and digits.isdigit()
    if not is_month or not 1 <= int(month) <= 12 or not 1970 <= int(year) <= 2999:
        raise Invalid("period is a month such as 2026-01", param="period")
    return int(year) * 100 + int(month)


def month_span_ms(timezone: str, month: int) -> tuple[int, int]:
    """The first moment of a month such as 202601, and of the next."""
    days = calendar(timezone)
    first = date(month // 100, month % 100, 1)
    return days.starts_at_ms(first), days.starts_at_ms(_first_of_next(first.year, first.month))


def pay_at_ms(timezone: str, period: str, after: AfterMonth | None, closed_at_ms: int) -> int:
    """From when on a statement is to be paid: so many days after its month, or when it is closed.

    20 days after February: 20 March begins then. Counted as people do: the first of March is the first day.
    """
    if after is None:
        return closed_at_ms
    month = month_number(period)
    first = _first_of_next(month // 100, month % 100)
    day = first + timedelta(days=max(0, after.after_month_end_days - 1))
    return calendar(timezone).starts_at_ms(day)


def is_in_force(terms: Terms, day: date, at_ms: int) -> bool:
    """Whether a version holds for a conversion of a day and moment, as far as its beginning and end say."""
    if terms.until_day is not None and day >= terms.until_day:
        return False
    return begins_before(terms, day, at_ms)


def begins_before(terms: Terms, day: date, at_ms: int) -> bool:
    """Whether a version had begun; a first one without a day holds for every conversion that is told after it."""
    if terms.from_day is not None:
        return day >= terms.from_day
    return terms.version == 1 or at_ms >= terms.added_at_ms
