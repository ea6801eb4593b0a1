"""The days of a time zone; safe over changes of the clock.

A day of a zone begins at its first midnight and ends where the next begins, so it may have 23, 24 or 25 hours, and a day
that a zone skipped has none.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAY_MS: Final = 86_400_000
_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Days a calendar remembers before it forgets all of them: 45 years of traffic.
_MEMORY_MAX: Final = 16_384


#: When each of three days ends, and the day.
_Spans = tuple[tuple[int, date], tuple[int, date], tuple[int, date]]


class Calendar:
    """The days of one time zone."""

    def __init__(self, timezone: str) -> None:
        """Read the zone's rules; an unknown zone is read as UTC."""
        self.timezone = timezone
        try:
            self._zone = ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self._zone = ZoneInfo("UTC")
        # By day of UTC: the two or three days of the zone that lie in it. One look-up and a short walk a row.
        self._spans: dict[int, _Spans] = {}
        self._ends: dict[date, int] = {}

    def day_of(self, at_ms: int) -> date:
        """The day that a moment belongs to."""
        utc_day = at_ms // _DAY_MS
        spans = self._spans.get(utc_day)
        if spans is None:
            spans = self._remember(utc_day)
        before, middle, after = spans
        if at_ms < before[0]:
            return before[1]
        return middle[1] if at_ms < middle[0] else after[1]

    def starts_at_ms(self, day: date) -> int:
        """The first moment of a day, in milliseconds, UTC.

        Where the clock jumps over midnight, the day begins at the jump; where midnight comes twice, at the first.
        """
        midnight = datetime.combine(day, time(), self._zone)
        return (midnight.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)

    def ends_at_ms(self, day: date) -> int:
        """The first moment that is no longer of a day."""
        end_ms = self._ends.get(day)
        if end_ms is None:
            if len(self._ends) >= _MEMORY_MAX:
                self._ends.clear()
            end_ms = self._ends[day] = self.starts_at_ms(day + _DAY)
        return end_ms

    def _remember(self, utc_day: int) -> _Spans:
        if len(self._spans) >= _MEMORY_MAX:
            self._spans.clear()
        middle = (_EPOCH + timedelta(days=utc_day)).date()
        before, after = middle - _DAY, middle + _DAY
        spans = (
            (self.ends_at_ms(before), before),
            (self.ends_at_ms(middle), middle),
            (self.ends_at_ms(after), after),
        )
        self._spans[utc_day] = spans
        return spans


@lru_cache(maxsize=1024)
def calendar(timezone: str) -> Calendar:
    """The calendar of a zone; the same one each time."""
    return Calendar(timezone)
