"""Asking: reports, and the story behind a handle."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Annotated, Any, Final

from litestar import get
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from attribune.api.here import Here
from attribune.api.house import House
from attribune.collect.links import read_touch
from attribune.ledger import waiting
from attribune.ledger.desk import KNOWN, Desk
from attribune.model.book import RateMissing
from attribune.model.delivery import Logged, LogQuestion
from attribune.model.errors import Invalid
from attribune.model.ids import ProductId
from attribune.ports import KeptLine, LinesWanted
from attribune.record.handles import handle_hash
from attribune.registry import find
from attribune.report import explain, query
from attribune.report.dimensions import DIMENSIONS
from attribune.report.metrics import METRICS
from attribune.report.stories import Explained

HANDLE_CHARACTERS_MAX: Final = 2048
#: Most deliveries told with the stories of one handle.
DELIVERIES_MAX: Final = 1000
#: Most lines told of one outcome.
LINES_MAX: Final = 100
_CHUNK: Final = 500


class NamesAnswer(Struct, frozen=True):
    """What a report may be made of, each with its meaning."""

    metrics: dict[str, str]
    dimensions: dict[str, str]


Names = Annotated[
    str, QueryParameter(description="Names, separated by commas; see /api/report/names.")
]
Day = Annotated[str | None, QueryParameter(description="A day of the product, such as 2026-03-01.")]


@get("/api/report", sync_to_thread=True)
def report(  # noqa: PLR0913, PLR0917 - one argument a query parameter
    house: Here,
    metrics: Names = "clicks,installs",
    by: Names = "",
    app: FromQuery[str | None] = None,
    product: FromQuery[str | None] = None,
    first_day: Day = None,
    last_day: Day = None,
    where: Annotated[
        list[str] | None,
        QueryParameter(description="dimension=value; nothing after the sign is absent."),
    ] = None,
    rows_max: FromQuery[int | None] = None,
) -> query.Report:
    """Metrics by dimensions. Organic is the row whose partner is null."""
    registry = house.up_to_date()
    most = house.settings.report_rows_max
    asked = query.ReportRequest(
        metrics=_names(metrics),
        by=_names(by),
        product=ProductId(find.product(registry, product).id) if product else None,
        app=find.app(registry, app).id if app else None,
        first_day=_day(first_day, "first_day"),
        last_day=_day(last_day, "last_day"),
        where=query.parse_where(where or ()),
        rows_max=min(most, rows_max) if rows_max is not None else most,
    )
    house.keeper.settle()
    return query.ask(house.facts(), asked, lag=house.keeper.lag())


def _day(text: str | None, param: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Invalid(f"{param} is a day such as 2026-03-01, not {text!r}", param=param) from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


@get("/api/report/names", sync_to_thread=False)
def report_names() -> NamesAnswer:
    """Every metric and dimension with its meaning."""
    return NamesAnswer(
        {metric.name: metric.help for metric in METRICS.values()},
        {dimension.name: dimension.help for dimension in DIMENSIONS.values()},
    )


@get("/api/explain", sync_to_thread=True)
def explained(
    house: Here,
    handle: Annotated[str, QueryParameter(min_length=1, max_length=HANDLE_CHARACTERS_MAX)],
) -> Explained:
    """The whole story of a device, touch, open, event, transaction, click id, advertising id or user."""
    house.keeper.settle_outbox()
    return explain.stories(handle, sources(house))


def sources(house: House) -> explain.Sources:
    """Where stories are read from."""
    return explain.Sources(
        facts=house.facts(),
        journal=house.journal,
        directory=house.up_to_date(),
        read_touch=read_touch,
        handle_hash=handle_hash,
        deliveries=lambda ids: _deliveries(house, ids),
        booked=lambda keys: _booked(house, keys),
        rates_missing=lambda keys: _rates_missing(house, keys),
    )


def _booked(house: House, keys: Collection[str]) -> list[KeptLine]:
    """What outcomes earned; each has a few lines."""
    book = house.book()
    try:
        known = book.states(KNOWN, keys)
        found = (book.lines(LinesWanted(outcome=key), 0, LINES_MAX) for key in keys if key in known)
        return [kept for lines in found for kept in lines]
    finally:
        book.close()


def _rates_missing(house: House, keys: Collection[str]) -> list[RateMissing]:
    """Which rates outcomes wait for."""
    book = house.book()
    try:
        return waiting.of_outcomes(Desk(book), keys)
    finally:
        book.close()


def _deliveries(house: House, ids: Collection[str]) -> list[Logged]:
    """What partners were told of outcomes, a few hundred outcomes at a time; the newest first."""
    names, found = list(ids), []
    for start in range(0, len(names), _CHUNK):
        wanted = LogQuestion(
            outcome_ids=tuple(names[start : start + _CHUNK]), rows_max=DELIVERIES_MAX
        )
        found += house.outbox().log(wanted)
    return sorted(found, key=lambda one: one.number, reverse=True)[:DELIVERIES_MAX]


HANDLERS: tuple[Any, ...] = (report, report_names, explained)
