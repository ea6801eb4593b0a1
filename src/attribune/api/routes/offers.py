"""Offers, rates, and who recruited whom."""

from __future__ import annotations

from typing import Any, Final

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct
from msgspec.structs import replace

from attribune.api.here import Here
from attribune.api.routes.page import ROWS_MAX, After, Limit
from attribune.ledger import offers as offers_
from attribune.ledger import rates as rates_
from attribune.ledger import shown, tree
from attribune.ledger.rates import Rates
from attribune.model.errors import Invalid, NotFound
from attribune.model.offer import Offer, OfferSet, Rate, RatesSet, Recruited
from attribune.registry import find
from attribune.registry.made import Made
from attribune.registry.requests import Request
from attribune.registry.view import Registry

#: Offers that a house may have.
OFFERS_MAX: Final = 10_000


class AddOffer(Request, frozen=True, kw_only=True):
    """An offer as TOML text, or as an object."""

    toml: str | None = None
    offer: Offer | None = None


class AddRates(Request, frozen=True, kw_only=True):
    """Rates of some days."""

    rates: tuple[Rate, ...]


class Recruit(Request, frozen=True, kw_only=True):
    """Who brought a partner; none takes it away."""

    parent: str | None = None


class OfferAnswer(Struct, frozen=True):
    """One version of an offer."""

    offer: shown.OfferShown


class OffersAnswer(Struct, frozen=True):
    """Some offers, and where the next page begins."""

    offers: tuple[shown.OfferShown, ...]
    next: str | None


class VersionsAnswer(Struct, frozen=True):
    """Every version of an offer, oldest first."""

    offers: tuple[shown.OfferShown, ...]


class RatesAnswer(Struct, frozen=True):
    """Rates, newest day first, and where the next page begins."""

    rates: tuple[Rate, ...]
    next: str | None


class AddedAnswer(Struct, frozen=True):
    """The rates that are new; those that stood already are not among them."""

    rates: tuple[Rate, ...]


class RecruitShown(Struct, frozen=True, kw_only=True):
    """A partner and who brought it."""

    partner: str
    parent: str | None


class RecruitAnswer(Struct, frozen=True):
    """A partner and who brought it."""

    recruit: RecruitShown


@post("/api/offers", sync_to_thread=True)
def add_offer(house: Here, data: JSONBody[AddOffer]) -> OfferAnswer:
    """Add an offer, or a version of it; the same again changes nothing."""
    if (data.toml is None) is (data.offer is None):
        raise Invalid("give the offer as toml, or as offer", param="offer")
    said = data.offer if data.toml is None else offers_.read(data.toml.encode())
    assert said is not None, "one of them was given"
    return OfferAnswer(house.change(lambda reg, _: _offer(reg, said)))


def _offer(registry: Registry, said: Offer) -> Made[shown.OfferShown]:
    named = _with_ids(registry, said)
    offers_.terms(named)
    standing = registry.offers.at(named.id)
    if standing is not None and standing.offer == named:
        return Made((), shown.offer(standing))
    if standing is None and len(registry.offers) >= OFFERS_MAX:
        raise Invalid(f"there are {OFFERS_MAX} offers, and no more may be", param="offer")
    record = OfferSet(version=standing.version + 1 if standing else 1, offer=named)
    return Made((record,), shown.offer(record))


def _with_ids(registry: Registry, said: Offer) -> Offer:
    """The offer with ids where people gave names. Raises NotFound."""
    return replace(
        said,
        partner=find.partner(registry, said.partner).id if said.partner is not None else None,
        product=find.product(registry, said.product).id if said.product is not None else None,
        app=find.app(registry, said.app).id if said.app is not None else None,
    )


@get("/api/offers", sync_to_thread=True)
def list_offers(
    house: Here,
    partner: FromQuery[str | None] = None,
    after: After = "",
    limit: Limit = ROWS_MAX,
) -> OffersAnswer:
    """The newest version of each offer, of one partner (and those for all) or of all."""
    registry = house.up_to_date()
    wanted = find.partner(registry, partner).id if partner is not None else None
    rows = sorted(
        (
            row
            for row in registry.offers.newest()
            if row.offer.id > after and (wanted is None or row.offer.partner in {None, wanted})
        ),
        key=lambda row: row.offer.id,
    )
    is_more = len(rows) > limit
    next_ = rows[limit - 1].offer.id if is_more else None
    return OffersAnswer(tuple(map(shown.offer, rows[:limit])), next_)


@get("/api/offers/{offer_id:str}", sync_to_thread=True)
def show_offer(house: Here, offer_id: FromPath[str]) -> VersionsAnswer:
    """Every version of an offer, oldest first."""
    versions = house.up_to_date().offers.get(offer_id)
    if not versions:
        raise NotFound(f"there is no offer {offer_id!r}; see `attribune offer list`", param="offer")
    return VersionsAnswer(tuple(shown.offer(record) for _, record in versions))


@post("/api/rates", sync_to_thread=True)
def add_rates(house: Here, data: JSONBody[AddRates]) -> AddedAnswer:
    """Add rates; what waited for them is booked. A day's rate never changes."""
    return AddedAnswer(house.change(lambda reg, _: _rates(reg, data.rates)))


def _rates(registry: Registry, given: tuple[Rate, ...]) -> Made[tuple[Rate, ...]]:
    new = rates_.check(_standing(registry), given)
    return Made((RatesSet(rates=new),) if new else (), new)


def _standing(registry: Registry) -> Rates:
    found = Rates()
    for _, record in registry.rates.get("rates", ()):
        for rate in record.rates:
            found.add(rate)
    return found


@get("/api/rates", sync_to_thread=True)
def list_rates(house: Here, after: After = "", limit: Limit = ROWS_MAX) -> RatesAnswer:
    """Every rate, newest day first."""
    rows = [
        Rate(day=day, base=base, quote=quote, rate=str(rate))
        for day, base, quote, rate in _standing(house.up_to_date()).all()
        if not after or f"{day}|{base}|{quote}" < after
    ]
    last = rows[limit - 1] if len(rows) > limit else None
    return RatesAnswer(
        tuple(rows[:limit]), f"{last.day}|{last.base}|{last.quote}" if last else None
    )


@post("/api/partners/{partner_id:str}/recruit", sync_to_thread=True, status_code=200)
def recruit(house: Here, partner_id: FromPath[str], data: JSONBody[Recruit]) -> RecruitAnswer:
    """Say who brought a partner; offers with levels pay those up the tree from then on."""
    return RecruitAnswer(house.change(lambda reg, _: _recruit(reg, partner_id, data.parent)))


def _recruit(registry: Registry, partner: str, parent: str | None) -> Made[RecruitShown]:
    id_ = find.partner(registry, partner).id
    above = find.partner(registry, parent).id if parent is not None else None
    parents = {row.partner: row.parent for row in registry.recruits.newest()}
    answer = RecruitShown(partner=id_, parent=above)
    if parents.get(id_) == above:
        return Made((), answer)
    tree.check({**parents, id_: None}, id_, above)
    return Made((Recruited(partner=id_, parent=above),), answer)


HANDLERS: tuple[Any, ...] = (
    add_offer,
    list_offers,
    show_offer,
    add_rates,
    list_rates,
    recruit,
)
