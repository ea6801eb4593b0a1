"""Exports: what stands now, whatever was corrected, and it adds up to the report."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import pytest
from report.test_report_whole_way import RealHouse

from attribune.model.errors import Invalid
from attribune.model.fact import Fact
from attribune.model.outcome import ForeignCredited
from attribune.report.export import EXPORTS, FOREIGN, ExportRequest, ask, columns_of
from attribune.report.query import ReportRequest
from attribune.report.query import ask as report

ALL = {"first_day": date(2026, 1, 1), "last_day": date(2026, 12, 31)}


def exported(facts: Any, what: str, **words: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    after, total = None, None
    while True:
        page = ask(facts, ExportRequest(what=what, after=after, **(ALL | words)))
        total = page.rows_total if total is None else total
        rows += [dict(zip(page.columns, row, strict=True)) for row in page.rows]
        if page.next is None:
            assert len(rows) == total
            return rows
        after = page.next


@pytest.mark.parametrize("seed", range(12))
def test_the_rows_of_a_day_add_up_to_its_report(seed: int) -> None:
    facts = RealHouse(seed).live().facts
    metrics = ("clicks", "impressions", "installs", "reinstalls", "reattributions", "events")
    found = report(facts, ReportRequest(metrics=metrics, by=("own_day", "partner")))
    reported = {
        (row["own_day"], row["partner"], metric): row[metric]
        for row in found.rows
        for metric in metrics
        if row[metric]
    }
    rows = [row for what in EXPORTS for row in exported(facts, what, rows_max=7)]
    counted = Counter(
        (row["own_day"].isoformat(), row["partner"], f"{row['kind']}s")
        for row in rows
        if row["is_primary"] and row["kind"] != "reengagement"
    )
    assert counted == reported
    assert len({(row["place"], row["kind"], row["is_primary"]) for row in rows}) == len(rows)


@pytest.mark.parametrize("seed", range(4))
def test_pages_of_any_size_and_days_apart_give_the_same_rows(seed: int) -> None:
    facts = RealHouse(seed).live().facts
    for what in EXPORTS:
        rows = exported(facts, what)
        assert rows == exported(facts, what, rows_max=1)
        days = sorted({row["own_day"] for row in rows})
        apart = [r for d in days for r in exported(facts, what, first_day=d, last_day=d)]
        by = sorted(rows, key=lambda row: (row["own_day"], str(row)))
        assert by == sorted(apart, key=lambda row: (row["own_day"], str(row)))


def test_a_correction_shows_once_and_as_it_is_now() -> None:
    facts = RealHouse(3).live().facts
    corrected = [row for row in exported(facts, "installs") if row["revision"] > 1]
    assert corrected, "this seed has corrections"
    signs = [f.sign for f in facts.rows if f.about == corrected[0]["place"]]
    assert -1 in signs


@pytest.mark.parametrize("after", ["nonsense", "!", "WzEsIDJd", "x" * 5000, "WzEs" * 2000])
def test_a_cursor_that_we_did_not_give_is_named(after: str) -> None:
    with pytest.raises(Invalid) as refused:
        ask(RealHouse(0).facts, ExportRequest(what="events", after=after, **ALL))
    assert refused.value.param == "after"


def test_wrong_names_and_days_are_named() -> None:
    facts = RealHouse(0).facts
    with pytest.raises(Invalid, match="choose from touches, installs, events, foreign_conversions"):
        ask(facts, ExportRequest(what="luck", **ALL))
    with pytest.raises(Invalid, match="lies after the last"):
        ask(
            facts,
            ExportRequest(what="events", first_day=date(2026, 3, 2), last_day=date(2026, 3, 1)),
        )
    assert exported(facts, "events", first_day=date(1, 1, 1), last_day=date(9999, 1, 1)) == []


def test_every_column_of_the_facts_is_exported_or_says_why_not() -> None:
    ways = {
        "at": "at_ms",
        "received_at": "received_at_ms",
        "place": "about",
        "rejected_because": "reason",
    }
    names = {what: [column.name for column in columns_of(what)] for what in EXPORTS}
    assert all(len(one) == len(set(one)) for one in names.values())
    shown = {ways.get(name, name) for one in names.values() for name in one}
    # Ours, and hashes.
    inner = {"position", "ordinal", "sign", "handles"}
    # What only the outcome of a foreign conversion says.
    told = set(names[FOREIGN]) - set(ways) - set(Fact.__struct_fields__)
    assert (shown - told) | inner == set(Fact.__struct_fields__)
    words = set(ForeignCredited.__struct_fields__)
    assert all(name in words or f"{name}_ms" in words for name in told)
