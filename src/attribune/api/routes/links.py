"""Tracking links."""

from __future__ import annotations

from litestar import get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from attribune.api.here import Here
from attribune.api.routes.page import ROWS_MAX, After, Limit, page
from attribune.registry import find, links, shown
from attribune.registry.requests import AddLink, EditLink


class LinkAnswer(Struct, frozen=True):
    """One link."""

    link: shown.LinkShown


class LinksAnswer(Struct, frozen=True):
    """Some links, and where the next page begins."""

    links: tuple[shown.LinkShown, ...]
    next: str | None


@post("/api/links", sync_to_thread=True)
def add_link(house: Here, data: JSONBody[AddLink]) -> LinkAnswer:
    """Make a tracking link of an app's product."""
    return LinkAnswer(
        house.change(lambda reg, _: links.add_link(reg, data, house.chance, house.base_url))
    )


@get("/api/links", sync_to_thread=True)
def list_links(
    house: Here,
    app: FromQuery[str | None] = None,
    product: FromQuery[str | None] = None,
    partner: FromQuery[str | None] = None,
    campaign: FromQuery[str | None] = None,
    after: After = "",
    limit: Limit = ROWS_MAX,
) -> LinksAnswer:
    """Links, of one product, partner or campaign or of all."""
    registry = house.up_to_date()
    wanted: dict[str, str] = {}
    if app is not None or product is not None:
        wanted["product"] = find.product_of(registry, app, product)
    if partner is not None:
        wanted["partner"] = find.partner(registry, partner).id
    if campaign is not None:
        wanted["campaign"] = campaign
    rows = (
        link
        for link in registry.links.newest()
        if all(getattr(link, name) == value for name, value in wanted.items())
    )
    found, next_ = page(rows, after, limit)
    return LinksAnswer(tuple(links.show(registry, row, house.base_url) for row in found), next_)


@get("/api/links/{link_id:str}", sync_to_thread=True)
def show_link(house: Here, link_id: FromPath[str]) -> LinkAnswer:
    """One link."""
    registry = house.up_to_date()
    return LinkAnswer(links.show(registry, find.link(registry, link_id), house.base_url))


@patch("/api/links/{link_id:str}", sync_to_thread=True)
def edit_link(house: Here, link_id: FromPath[str], data: JSONBody[EditLink]) -> LinkAnswer:
    """Change what a link says from now on, or disable it."""
    return LinkAnswer(
        house.change(lambda reg, _: links.edit_link(reg, link_id, data, house.base_url))
    )


HANDLERS = (add_link, list_links, show_link, edit_link)
