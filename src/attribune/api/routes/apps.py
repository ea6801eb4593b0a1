"""Products, apps, partners."""

from __future__ import annotations

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from attribune.api.here import Here
from attribune.api.routes.page import ROWS_MAX, After, Limit, page
from attribune.registry import apps, find, shown, signing
from attribune.registry.requests import AddApp, AddPartner, SignPartner


class AppAnswer(Struct, frozen=True):
    """One app."""

    app: shown.AppShown


class AppsAnswer(Struct, frozen=True):
    """Some apps, and where the next page begins."""

    apps: tuple[shown.AppShown, ...]
    next: str | None


class ProductsAnswer(Struct, frozen=True):
    """Some products, and where the next page begins."""

    products: tuple[shown.ProductShown, ...]
    next: str | None


class PartnerAnswer(Struct, frozen=True):
    """One partner."""

    partner: shown.PartnerShown


class PartnersAnswer(Struct, frozen=True):
    """Some partners, and where the next page begins."""

    partners: tuple[shown.PartnerShown, ...]
    next: str | None


@post("/api/apps", sync_to_thread=True)
def add_app(house: Here, data: JSONBody[AddApp]) -> AppAnswer:
    """Register an app, its product unless it joins one, and its first key."""
    return AppAnswer(house.change(lambda reg, now: apps.add_app(reg, data, house.chance, now)))


@get("/api/apps", sync_to_thread=True)
def list_apps(
    house: Here, product: FromQuery[str | None] = None, after: After = "", limit: Limit = ROWS_MAX
) -> AppsAnswer:
    """Apps, of one product or of all."""
    registry = house.up_to_date()
    wanted = find.product(registry, product).id if product is not None else None
    rows = (app for app in registry.apps.newest() if wanted is None or app.product == wanted)
    found, next_ = page(rows, after, limit)
    return AppsAnswer(tuple(shown.app(row) for row in found), next_)


@get("/api/products", sync_to_thread=True)
def list_products(house: Here, after: After = "", limit: Limit = ROWS_MAX) -> ProductsAnswer:
    """Products."""
    found, next_ = page(house.up_to_date().products.newest(), after, limit)
    return ProductsAnswer(tuple(shown.product(row) for row in found), next_)


@post("/api/partners", sync_to_thread=True)
def add_partner(house: Here, data: JSONBody[AddPartner]) -> PartnerAnswer:
    """Register a partner."""
    return PartnerAnswer(house.change(lambda reg, _: apps.add_partner(reg, data, house.chance)))


@get("/api/partners", sync_to_thread=True)
def list_partners(house: Here, after: After = "", limit: Limit = ROWS_MAX) -> PartnersAnswer:
    """Partners."""
    found, next_ = page(house.up_to_date().partners.newest(), after, limit)
    return PartnersAnswer(tuple(shown.partner(row) for row in found), next_)


@post("/api/partners/{partner_id:str}/sign", sync_to_thread=True)
def sign_partner(
    house: Here, partner_id: FromPath[str], data: JSONBody[SignPartner]
) -> PartnerAnswer:
    """Make a partner's signing secret, which is in this answer only; an old one holds for the overlap."""
    return PartnerAnswer(
        house.change(lambda reg, now: signing.sign(reg, partner_id, data, house.chance, now))
    )


@post("/api/partners/{partner_id:str}/unsign", sync_to_thread=True, status_code=200)
def unsign_partner(house: Here, partner_id: FromPath[str]) -> PartnerAnswer:
    """End all signing secrets of a partner now."""
    return PartnerAnswer(house.change(lambda reg, _: signing.unsign(reg, partner_id)))


HANDLERS = (
    add_app,
    list_apps,
    list_products,
    add_partner,
    list_partners,
    sign_partner,
    unsign_partner,
)
