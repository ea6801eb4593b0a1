"""Reports over a small house, in the trade's words."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from record.house import DAY_MS, HOUR_MS, T0, House, credit_of

from attribune.model.errors import Invalid
from attribune.model.money import Money
from attribune.model.outcome import ConversionKind
from attribune.model.touch import TouchKind
from attribune.report.dimensions import DIMENSIONS
from attribune.report.metrics import METRICS
from attribune.report.query import ReportRequest, ask, parse_day, parse_where


def rows_of(house: House, *metrics: str, **words: Any) -> list[dict[str, Any]]:
    words["by"] = tuple(words.get("by", "").split())
    return ask(house.record().facts, ReportRequest(metrics=metrics, **words)).rows


@pytest.fixture
def house() -> House:
    """Four clicks and an impression of acme, two of zeta; installs: two acme, one zeta, one organic."""
    house = House()
    acme = [house.click(query="cost=0.10") for _ in range(4)]
    zeta = [house.click("l-zeta") for _ in range(2)]
    house.click(kind=TouchKind.IMPRESSION)
    through = [
        house.install("d1", acme[0]),
        house.install("d2", acme[1]),
        house.install("d3", zeta[0], T0 + DAY_MS),
        house.install("d4"),
    ]
    house.event("e1", through[0], revenue="10.00")
    house.event("e2", through[0], revenue="2.50")
    house.event("e3", through[3], revenue="1.00", name="signup")
    house.opened("o1", through[1])
    house.refusal()
    return house


def test_installs_by_partner_have_organic_in_the_row_without_a_partner(house: House) -> None:
    assert rows_of(house, "installs", "clicks", by="partner") == [
        {"partner": "acme", "installs": 2, "clicks": 4},
        {"partner": "zeta", "installs": 1, "clicks": 2},
        {"partner": None, "installs": 1, "clicks": 0},
    ]


def test_the_report_of_the_readme(house: House) -> None:
    names = "clicks impressions opens installs reinstalls reattributions reengagements events"
    rows = rows_of(house, *names.split(), "revenue", by="partner campaign")
    assert rows[0] == {
        "partner": "acme",
        "campaign": "acme-spring",
        "clicks": 4,
        "impressions": 1,
        "opens": 3,
        "installs": 2,
        "reinstalls": 0,
        "reattributions": 0,
        "reengagements": 0,
        "events": 2,
        "revenue": {"USD": "12.50"},
    }
    assert rows[1]["revenue"] == {}
    assert (rows[2]["partner"], rows[2]["campaign"], rows[2]["opens"]) == (None, None, 1)
    assert rows[2]["revenue"] == {"USD": "1.00"}


def test_every_metric_can_be_asked_by_every_dimension(house: House) -> None:
    report = ask(house.record().facts, ReportRequest(metrics=tuple(METRICS), by=tuple(DIMENSIONS)))
    assert report.rows
    for row in report.rows:
        assert set(row) == set(METRICS) | set(DIMENSIONS)
    assert msgspec.json.decode(msgspec.json.encode(report))["rows"] == report.rows


def test_ratios_are_of_what_a_touch_won(house: House) -> None:
    (row,) = rows_of(house, "conversion_rate", "ctr", "ipm", "arpu", "ecpi")
    assert row == {
        "conversion_rate": 0.5,
        "ctr": 6.0,
        "ipm": 3000.0,
        "arpu": {"USD": "3.3750"},
        "ecpi": {"USD": "0.1333"},
    }


def test_a_ratio_without_a_base_is_null(house: House) -> None:
    names = ("conversion_rate", "ctr", "ipm", "ecpi")
    organic = rows_of(house, "installs", *names, by="partner")[-1]
    assert organic == {"partner": None, "installs": 1} | dict.fromkeys(names)


def test_the_source_tells_organic_installs(house: House) -> None:
    assert rows_of(house, "attributed_installs", "organic_installs", "installs") == [
        {"attributed_installs": 3, "organic_installs": 1, "installs": 4}
    ]


def test_totals_are_of_all_rows_also_of_those_left_out(house: House) -> None:
    request = ReportRequest(metrics=("installs", "conversion_rate"), by=("partner",), rows_max=1)
    report = ask(house.record().facts, request, lag=7)
    assert [row["partner"] for row in report.rows] == ["acme"]
    assert report.totals == {"installs": 4, "conversion_rate": 0.5}
    assert report.is_truncated
    assert report.lag == 7


def test_totals_of_nothing_are_zero() -> None:
    report = ask(House().facts, ReportRequest(metrics=("installs", "revenue", "arpu"), by=("day",)))
    assert report.rows == []
    assert report.totals == {"installs": 0, "revenue": {}, "arpu": None}


def test_days_come_in_their_order(house: House) -> None:
    house.click(at_ms=T0 + 2 * DAY_MS)
    assert rows_of(house, "clicks", by="day") == [
        {"day": "2026-03-02", "clicks": 6},
        {"day": "2026-03-04", "clicks": 1},
    ]


@pytest.mark.parametrize(
    ("words", "installs"),
    [
        ({"where": {"partner": ("acme",)}}, 2),
        ({"where": {"partner": ("acme", "zeta")}}, 3),
        ({"where": {"partner": ("",)}}, 1),
        ({"where": {"partner": ("", "zeta")}}, 2),
        ({"where": {"day": ("2026-03-03",)}}, 1),
        ({"where": {"platform": ("android",), "source": ("organic",)}}, 1),
        ({"where": {"platform": ("",)}}, 0),
        ({"first_day": date(2026, 3, 3)}, 1),
        ({"last_day": date(2026, 3, 2)}, 3),
        ({"product": "game", "app": "droid"}, 4),
        ({"product": "other"}, 0),
        ({"app": "other"}, 0),
    ],
)
def test_filters_narrow_a_report(house: House, words: dict[str, Any], installs: int) -> None:
    report = ask(house.record().facts, ReportRequest(metrics=("installs",), **words))
    assert report.totals["installs"] == installs


@pytest.mark.parametrize(
    ("words", "param", "says"),
    [
        ({"metrics": ("installs", "instals")}, "metrics", "'instals'; choose from clicks,"),
        ({"metrics": ()}, "metrics", "at least one metric; choose from clicks,"),
        ({"by": ("partners",)}, "by", "'partners'; choose from partner,"),
        ({"where": {"colour": ("red",)}}, "where", "'colour'; choose from partner,"),
        ({"where": {"day": ("yesterday",)}}, "where", "written like 2026-03-01"),
        ({"where": {"day": ("",)}}, "where", "every row has a day"),
        ({"first_day": date(2026, 2, 2), "last_day": date(2026, 2, 1)}, "from", "after the last"),
        ({"rows_max": 0}, "rows_max", "at least one row"),
    ],
)
def test_a_wrong_name_is_told_with_the_right_ones(
    words: dict[str, Any], param: str, says: str
) -> None:
    with pytest.raises(Invalid, match=says) as told:
        ask(House().facts, ReportRequest(**words))
    assert told.value.param == param


def test_days_are_written_as_dates() -> None:
    assert parse_day("2026-03-01", "from") == date(2026, 3, 1)
    assert parse_day(None, "from") is parse_day("", "from") is None
    with pytest.raises(Invalid, match="like 2026-03-01, not 'soon'") as told:
        parse_day("soon", "from")
    assert told.value.param == "from"


def test_filters_are_written_with_a_sign() -> None:
    assert parse_where(["country=DE", "partner=", "country=AT", "event=a=b"]) == {
        "country": ("DE", "AT"),
        "partner": ("",),
        "event": ("a=b",),
    }
    with pytest.raises(Invalid, match="dimension=value"):
        parse_where(["country"])


def test_a_correction_moves_the_numbers_and_leaves_no_empty_row(house: House) -> None:
    first = next(iter(house.conversions.values()))
    house.correct(first, house.click("l-zeta"), T0 + 6 * HOUR_MS)
    rows = rows_of(house, "installs", by="partner touch_kind", where={"partner": ("acme", "zeta")})
    assert [(row["partner"], row["installs"]) for row in rows] == [("zeta", 2), ("acme", 1)]
    other = House()
    install = other.install(won=other.click())
    other.correct(install, None, T0 + 6 * HOUR_MS)
    assert rows_of(other, "installs", by="partner") == [{"partner": None, "installs": 1}]


def test_the_numbers_of_a_closed_day_stand(house: House) -> None:
    before = rows_of(house, "installs", "clicks", "revenue", by="day partner")
    first = next(iter(house.conversions.values()))
    house.told_touch(T0, received_at_ms=T0 + 9 * DAY_MS)
    house.correct(first, None, T0 + 9 * DAY_MS)
    closed = {"first_day": date(2026, 3, 1), "last_day": date(2026, 3, 3)}
    names = ("installs", "clicks", "revenue")
    assert rows_of(house, *names, by="day partner", **closed) == before
    later = rows_of(house, "installs", by="own_day day", where={"day": ("2026-03-09",)})
    assert later == []  # one taken away from acme, one given to nobody: the sum of the day is 0
    assert rows_of(house, "clicks", by="own_day day", first_day=date(2026, 3, 4)) == [
        {"own_day": "2026-03-02", "day": "2026-03-09", "clicks": 1}
    ]


def test_secondary_credit_is_not_in_the_sums() -> None:
    house = House()
    first, back = house.click(), house.click("l-zeta")
    through = house.install(won=back, kind=ConversionKind.REENGAGEMENT)
    house.event("e1", through, revenue="5.00", secondary=credit_of(first))
    assert rows_of(house, "events", "revenue", by="partner") == [
        {"partner": "zeta", "events": 1, "revenue": {"USD": "5.00"}}
    ]


def test_devices_are_counted_once_and_where_they_stand_now() -> None:
    house = House()
    install = house.install(won=house.click())
    house.event("e1", install)
    house.opened("o1", install)
    assert rows_of(house, "active_devices") == [{"active_devices": 1}]
    assert rows_of(house, "active_devices", by="partner") == [
        {"partner": "acme", "active_devices": 1}
    ]


def test_cost_of_a_repeated_touch_is_taken_back() -> None:
    house = House()
    house.repeated_touch(cost=Money(amount_minor=30, currency="EUR"))
    (row,) = rows_of(house, "cost", "clicks", "refused")
    assert row == {"cost": {}, "clicks": 0, "refused": 1}


@given(st.lists(st.sampled_from(["acme", "zeta", None]), max_size=8))
def test_rows_add_up_to_the_totals(sources: list[str | None]) -> None:
    house = House()
    for n, partner in enumerate(sources):
        hit = house.click(f"l-{partner}") if partner else None
        house.event(f"e{n}", house.install(f"d{n}", hit), revenue="0.10")
    request = ReportRequest(metrics=("installs", "events", "clicks"), by=("partner",))
    report = ask(house.record().facts, request)
    for name in request.metrics:
        assert sum(row[name] for row in report.rows) == report.totals[name]
    assert report.totals["installs"] == report.totals["events"] == len(sources)
