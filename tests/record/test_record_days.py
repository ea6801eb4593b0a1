"""The booked-day rule, over changes of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribune.model import calendar as days_module
from attribune.model.calendar import calendar
from attribune.record.days import HOUR_MS, booked_day, closes_at_ms

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "America/Havana",
    "Africa/Cairo",
)
MOMENTS = st.integers(
    int(datetime(2012, 1, 1, tzinfo=UTC).timestamp() * 1000),
    int(datetime(2035, 1, 1, tzinfo=UTC).timestamp() * 1000),
)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@given(MOMENTS, st.sampled_from(ZONES))
def test_a_moment_lies_on_the_date_that_a_clock_in_the_zone_shows(at_ms: int, zone: str) -> None:
    shown = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).date()
    assert calendar(zone).day_of(at_ms) == shown


@given(MOMENTS, st.sampled_from(ZONES))
def test_days_follow_each_other_without_gap_or_overlap(at_ms: int, zone: str) -> None:
    days = calendar(zone)
    day = days.day_of(at_ms)
    assert days.starts_at_ms(day) <= at_ms < days.ends_at_ms(day)
    assert days.day_of(days.ends_at_ms(day) - 1) == day
    assert days.day_of(days.ends_at_ms(day)) > day


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Europe/Berlin", date(2026, 7, 1), 24),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),  # the clock jumps over midnight itself
        ("America/Havana", date(2026, 11, 1), 25),  # midnight comes twice
        ("Pacific/Apia", date(2011, 12, 30), 0),  # a day that the zone skipped
    ],
)
def test_a_day_has_the_hours_that_its_clock_shows(zone: str, day: date, hours: int) -> None:
    days = calendar(zone)
    assert days.ends_at_ms(day) - days.starts_at_ms(day) == hours * HOUR_MS


@pytest.mark.parametrize(
    ("judged", "booked"),
    [
        ("2026-03-02T12:00+00:00", date(2026, 3, 2)),
        ("2026-03-04T23:59:59.999+00:00", date(2026, 3, 2)),  # the last moment the day is open
        ("2026-03-05T00:00+00:00", date(2026, 3, 3)),  # closed; its next day is the first open one
        ("2026-03-20T13:00+00:00", date(2026, 3, 18)),
    ],
)
def test_what_comes_after_the_closing_is_booked_on_the_first_open_day(
    judged: str, booked: date
) -> None:
    days = calendar("UTC")
    assert booked_day(days, ms("2026-03-02T10:00+00:00"), ms(judged), 48) == booked


def test_the_day_closes_by_the_zone_of_the_product() -> None:
    at_ms, judged = ms("2026-03-28T22:30+00:00"), ms("2026-03-30T22:30+00:00")
    assert booked_day(calendar("Europe/Berlin"), at_ms, judged, 48) == date(2026, 3, 28)
    # 28 March ends in Berlin at 23:00 UTC, and 48 hours later at 23:00 UTC, although the 29th has 23 hours.
    assert booked_day(calendar("Europe/Berlin"), at_ms, judged + HOUR_MS, 48) == date(2026, 3, 29)


@given(
    MOMENTS,
    st.integers(0, 60 * 86_400_000),
    st.integers(0, 24 * 60),
    st.sampled_from(ZONES),
)
def test_a_row_is_booked_on_the_first_day_that_is_open(
    at_ms: int, delay_ms: int, hours: int, zone: str
) -> None:
    days = calendar(zone)
    judged = at_ms + delay_ms
    booked = booked_day(days, at_ms, judged, hours)
    assert judged < closes_at_ms(days, booked, hours)
    own = days.day_of(at_ms)
    if booked != own:
        assert booked > own
        assert judged >= closes_at_ms(days, own, hours)
        assert judged >= closes_at_ms(days, booked - timedelta(days=1), hours)


def test_a_calendar_forgets_before_it_grows_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days_module, "_MEMORY_MAX", 3)
    days = days_module.Calendar("Europe/Berlin")
    for n in range(20):
        at_ms = ms("2026-03-20T12:00+00:00") + n * 24 * HOUR_MS
        assert days.day_of(at_ms) == date(2026, 3, 20) + timedelta(days=n)
        assert len(days._spans) <= 3
        assert len(days._ends) <= 3


def test_an_unknown_zone_is_read_as_utc() -> None:
    assert calendar("Nowhere/Land").day_of(ms("2026-03-02T23:59+00:00")) == date(2026, 3, 2)
