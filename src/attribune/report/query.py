"""Reports: metrics by dimensions, with filters, from the facts.

SQL (or the twin) only sums decisions that stand in the rows; what a metric means is in ``metrics``, and ratios are made
here from sums, so that a total's ratio is the ratio of the totals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from msgspec import Struct, field

from attribune.model.errors import Invalid
from attribune.model.fact import Measure, Question, Sum
from attribune.model.ids import ProductId
from attribune.model.money import DECIMALS, decimal_text
from attribune.ports import Facts
from attribune.report import dimensions, metrics
from attribune.report.dimensions import Dimension
from attribune.report.metrics import Metric, Ratio

#: How a filter says "absent".
ABSENT: Final = ""
_RATIO_DECIMALS: Final = 6
#: A price by piece is finer than the currency's smallest coin.
_MONEY_RATIO_EXTRA_DECIMALS: Final = 2

Value = int | float | dict[str, str] | None


class ReportRequest(Struct, frozen=True, kw_only=True):
    """What a person asks for, in names."""

    metrics: tuple[str, ...] = ("clicks", "installs")
    by: tuple[str, ...] = ()
    product: ProductId | None = None
    app: str | None = None
    #: Booked days of the product, both included.
    first_day: date | None = None
    last_day: date | None = None
    #: Dimension → allowed values; an empty text means absent.
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: Most rows (settings: ``report_rows_max``).
    rows_max: int = 10_000


class Report(Struct, frozen=True, kw_only=True):
    """The answer. A row holds its dimensions and metrics by name; money is decimal text by currency."""

    rows: list[dict[str, Any]]
    #: All rows together, those left out included; ratios are those of the sums.
    totals: dict[str, Any]
    #: Entries of the journal that are not in the numbers yet.
    lag: int
    metrics: tuple[str, ...]
    by: tuple[str, ...]
    #: There are more rows than may be shown; narrow the report down.
    is_truncated: bool = False


def ask(facts: Facts, request: ReportRequest, *, lag: int = 0) -> Report:
    """Answer a report. Raises Invalid for a wrong name or filter, StoreUnavailable."""
    wanted = metrics.chosen(request.metrics)
    by = dimensions.chosen(request.by)
    question = _question(request, wanted, by)
    sums = facts.ask(question)
    rows = [_row(by, wanted, sum_) for sum_ in sums[: request.rows_max] if _says(sum_)]
    return Report(
        rows=_ordered(rows, by, wanted),
        totals=_totals(facts, question, wanted),
        lag=lag,
        metrics=tuple(metric.name for metric in wanted),
        by=tuple(dimension.name for dimension in by),
        is_truncated=len(sums) > request.rows_max,
    )


def parse_day(text: str | None, param: str) -> date | None:
    """A day as a person writes it, such as ``2026-03-01``; None and an empty text are no day. Raises Invalid."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid(f"a day is written like 2026-03-01, not {text!r}", param=param) from None


def parse_where(conditions: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Filters as a person writes them, ``dimension=value``; the same dimension again allows another value.

    ``partner=`` (nothing after the sign) means absent. Raises Invalid.
    """
    where: dict[str, tuple[str, ...]] = {}
    for condition in conditions:
        name, sign, value = condition.partition("=")
        if not sign:
            raise Invalid(
                f"a filter is dimension=value, such as country=DE, not {condition!r}",
                param="where",
            )
        where[name] = (*where.get(name, ()), value)
    return where


def _question(
    request: ReportRequest, wanted: Sequence[Metric], by: Sequence[Dimension]
) -> Question:
    first, last = request.first_day, request.last_day
    if first and last and first > last:
        raise Invalid(f"the first day, {first}, lies after the last, {last}", param="from")
    if request.rows_max < 1:
        raise Invalid("a report has at least one row", param="rows_max")
    return Question(
        measures=metrics.measures_of(wanted),
        by=tuple(dimension.column for dimension in by),
        product=request.product,
        app=request.app,
        first_day=first,
        last_day=last,
        where=dict(_filter(name, values) for name, values in request.where.items()),
        rows_max=request.rows_max + 1,
    )


def _filter(name: str, values: Sequence[str]) -> tuple[str, tuple[str | None, ...]]:
    found = dimensions.dimension(name, "where")
    if found.name in {"day", "own_day"}:
        for value in values:
            if parse_day(value, "where") is None:
                raise Invalid(f"every row has a day; {name}= selects none", param="where")
    allowed = tuple(found.absent if value == ABSENT else value for value in values)
    return found.column, allowed


def _says(sum_: Sum) -> bool:
    """Whether a row has anything to say: corrections may have taken all of it away."""
    return not sum_.by or any(
        any(value.values()) if isinstance(value, dict) else value for value in sum_.values.values()
    )


def _row(by: Sequence[Dimension], wanted: Sequence[Metric], sum_: Sum) -> dict[str, Any]:
    row: dict[str, Any] = {
        dimension.name: _shown(value) for dimension, value in zip(by, sum_.by, strict=True)
    }
    return row | {metric.name: value_of(metric, sum_.values) for metric in wanted}


def _shown(value: str | date | None) -> str | None:
    if value is None or value == "":
        return None
    return value.isoformat() if isinstance(value, date) else str(value)


def _totals(facts: Facts, question: Question, wanted: Sequence[Metric]) -> dict[str, Any]:
    sums = facts.ask(
        Question(
            measures=question.measures,
            product=question.product,
            app=question.app,
            first_day=question.first_day,
            last_day=question.last_day,
            where=question.where,
            rows_max=1,
        )
    )
    values = sums[0].values if sums else {}
    return {metric.name: value_of(metric, values) for metric in wanted}


def value_of(metric: Metric, sums: Mapping[str, int | dict[str, int]]) -> Value:
    """A metric's value from the sums: a number, or decimal text by currency; None for a ratio without a base."""
    formula = metric.formula
    if isinstance(formula, Measure):
        value = sums.get(formula.name)
        if metric.is_money:
            amounts = value if isinstance(value, dict) else {}
            return {
                code: decimal_text(minor, code) for code, minor in sorted(amounts.items()) if minor
            }
        return value if isinstance(value, int) else 0
    return _ratio(formula, metric, sums)


def _ratio(ratio: Ratio, metric: Metric, sums: Mapping[str, int | dict[str, int]]) -> Value:
    under = sums.get(ratio.under) or 0
    over = sums.get(ratio.over) or 0
    assert isinstance(under, int), f"{metric.name}: divided by money"
    if under == 0:
        return None
    if isinstance(over, dict):
        return {code: _price(minor, code, under) for code, minor in sorted(over.items()) if minor}
    if metric.is_money:
        return {}
    return round(ratio.times * over / under, _RATIO_DECIMALS)


def _price(amount_minor: int, currency: str, pieces: int) -> str:
    decimals = DECIMALS.get(currency, 2)
    finest = Decimal(1).scaleb(-decimals - _MONEY_RATIO_EXTRA_DECIMALS)
    price = Decimal(amount_minor).scaleb(-decimals) / pieces
    return f"{price.quantize(finest, ROUND_HALF_EVEN):f}"


def _ordered(
    rows: list[dict[str, Any]], by: Sequence[Dimension], wanted: Sequence[Metric]
) -> list[dict[str, Any]]:
    """By day when there is one; then biggest first by the first metric; then by name, the absent last."""
    days = [dimension.name for dimension in by if dimension.name in {"day", "own_day"}]
    names = [dimension.name for dimension in by]
    first = wanted[0].name

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        return (
            tuple(row[day] for day in days),
            -_size(row[first]),
            tuple((row[name] is None, row[name] or "") for name in names),
        )

    return sorted(rows, key=key)


def _size(value: Value) -> Decimal:
    if isinstance(value, dict):
        return sum((Decimal(amount) for amount in value.values()), Decimal(0))
    return Decimal(str(value or 0))
