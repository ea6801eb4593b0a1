"""Which of a product's days a row stands on, and which days are closed. Pure; safe over changes of the clock.

A day closes ``day_closes_after_hours`` after its end; from then on its numbers stand, and what comes later is booked on the
first day that is still open.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from attribune.model.calendar import Calendar

HOUR_MS: Final = 3_600_000


def closes_at_ms(days: Calendar, day: date, closes_after_hours: int) -> int:
    """The moment from which a day's numbers stand."""
    return days.ends_at_ms(day) + closes_after_hours * HOUR_MS


def booked_day(days: Calendar, at_ms: int, judged_at_ms: int, closes_after_hours: int) -> date:
    """The day a row is booked on: its own, or the first open one when its own had closed at the judgement.

    A day is closed when the judgement is not before its closing, so the first open day is the one that holds the moment
    ``closes_after_hours`` before the judgement.
    """
    first_open = days.day_of(judged_at_ms - closes_after_hours * HOUR_MS)
    return max(days.day_of(at_ms), first_open)
