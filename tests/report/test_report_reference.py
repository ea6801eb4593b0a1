"""The reference page of metrics and dimensions says what the tables say."""

from __future__ import annotations

from pathlib import Path

from attribune.model.fact import Fact, FactKind, Measure
from attribune.report.dimensions import DIMENSIONS
from attribune.report.metrics import METRICS, Ratio, measures_of

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics-of-reports.md"


def table(heading: str) -> list[tuple[str, ...]]:
    """The rows of the first table under a heading."""
    part = PAGE.read_text().split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:]]


def test_the_page_lists_every_metric_as_it_is_defined() -> None:
    assert table("Metrics") == [
        (f"`{metric.name}`", metric.help, metric.in_words) for metric in METRICS.values()
    ]


def test_the_page_lists_every_dimension_as_it_is_defined() -> None:
    assert table("Dimensions") == [
        (f"`{dimension.name}`", dimension.help) for dimension in DIMENSIONS.values()
    ]


def test_dimensions_are_columns_of_the_facts() -> None:
    assert {dimension.column for dimension in DIMENSIONS.values()} <= set(Fact.__struct_fields__)


def test_ratios_are_made_of_sums() -> None:
    for metric in METRICS.values():
        if isinstance(metric.formula, Ratio):
            for name in (metric.formula.over, metric.formula.under):
                assert isinstance(METRICS[name].formula, Measure)
    assert {measure.name for measure in measures_of(METRICS.values())} == {
        name for name, metric in METRICS.items() if isinstance(metric.formula, Measure)
    }


def test_every_kind_of_fact_is_counted_by_a_metric_or_says_that_it_is_not() -> None:
    counted = {
        kind
        for metric in METRICS.values()
        if isinstance(metric.formula, Measure)
        for kind in metric.formula.kinds
    }
    assert set(FactKind) - counted == {FactKind.NOTE}
