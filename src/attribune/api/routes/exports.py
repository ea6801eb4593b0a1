"""Exports: rows that stand, page by page."""

from __future__ import annotations

from datetime import date
from threading import BoundedSemaphore
from typing import Annotated, Any

from litestar import get
from litestar.params import FromPath, FromQuery, QueryParameter

from attribune.api.errors import TooManyExports
from attribune.api.here import Here
from attribune.api.house import House
from attribune.model.errors import Invalid
from attribune.model.ids import ProductId
from attribune.registry import find
from attribune.report import export, query

Day = Annotated[str | None, QueryParameter(description="A day of the product, included.")]


@get("/api/export/{what:str}", sync_to_thread=True)
def export_page(
    house: Here,
    what: FromPath[str],
    first_day: Day = None,
    last_day: Day = None,
    app: FromQuery[str | None] = None,
    product: FromQuery[str | None] = None,
    after: Annotated[str | None, QueryParameter(description="``next`` of the page before.")] = None,
) -> export.ExportPage:
    """Touches, installs, events or foreign conversions as they stand now. Ask on with ``next``, and the same words, until it is null."""
    registry = house.up_to_date()
    asked = export.ExportRequest(
        what=what,
        first_day=_day(first_day, "first_day"),
        last_day=_day(last_day, "last_day"),
        product=ProductId(find.product(registry, product).id) if product else None,
        app=find.app(registry, app).id if app else None,
        after=after or None,
        rows_max=house.settings.export_rows_max,
    )
    return _one_of_few(house, asked)


def _one_of_few(house: House, asked: export.ExportRequest) -> export.ExportPage:
    pages: BoundedSemaphore = house.export_pages
    if not pages.acquire(blocking=False):
        raise TooManyExports
    try:
        if asked.after is None:
            house.keeper.settle()
        return export.ask(house.facts(), asked, lag=house.keeper.lag(), journal=house.journal)
    finally:
        pages.release()


def _day(text: str | None, param: str) -> date:
    found = query.parse_day(text, param)
    if found is None:
        raise Invalid(f"{param} is missing; give a day such as 2026-03-01", param=param)
    return found


HANDLERS: tuple[Any, ...] = (export_page,)
