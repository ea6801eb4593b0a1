"""Payouts: what is paid of statements, and what the bank did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Request, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from attribune.api.access import BY
from attribune.api.here import Here
from attribune.api.routes.page import ROWS_MAX, After, Limit
from attribune.ledger import payout as payout_
from attribune.ledger import shown
from attribune.ledger.desk import PAYOUT, PAYOUTS, Desk
from attribune.model.book import Payout, PayoutItem, PayoutState
from attribune.model.errors import Invalid, NotFound
from attribune.model.ids import derived
from attribune.model.money import DECIMALS
from attribune.model.offer import PayoutMade, PayoutSettled
from attribune.registry import find
from attribune.registry.made import Made
from attribune.registry.naming import text
from attribune.registry.requests import Request as Body
from attribune.registry.view import Registry

#: Partners of one payout.
PARTNERS_MAX: Final = 10_000


class CreatePayout(Body, frozen=True, kw_only=True):
    """Who is paid; everybody who is owed when nobody is named."""

    #: The only one in which anything is to be paid, when none is named.
    currency: str | None = None
    partners: tuple[str, ...] = ()


class SettlePayout(Body, frozen=True, kw_only=True):
    """What the bank did."""

    is_paid: bool = True
    #: What the bank calls it.
    reference: str = ""


class PayoutAnswer(Struct, frozen=True):
    """One payout."""

    payout: shown.PayoutShown


class PayoutsAnswer(Struct, frozen=True):
    """Some payouts, newest first, and where the next page begins."""

    payouts: tuple[shown.PayoutShown, ...]
    next: str | None


@post("/api/payouts", sync_to_thread=True)
def create(
    house: Here, request: Request[Any, Any, Any], data: JSONBody[CreatePayout]
) -> PayoutAnswer:
    """Prepare a payment of what statements owe and whose day has come."""
    if data.currency is not None and data.currency not in DECIMALS:
        raise Invalid("currency is an ISO 4217 code, such as EUR", param="currency")
    scope: Any = request.scope
    by = str(scope.get(BY, "operator"))
    with house.alone():
        registry = house.up_to_date()
        with house.desk() as desk:
            currency, items = _items(desk, registry, data, house.clock.now_ms())
        # The same statements are in one live payout only; one that failed is followed by another.
        id_ = derived("po", *(item.statement for item in items), str(house.journal.end()))
        record = PayoutMade(id=id_, currency=currency, items=items, by=by)
        house.change(lambda _reg, _now: Made((record,), None))
    with house.desk() as desk:
        return PayoutAnswer(shown.payout(_one(desk, id_)))


def _items(
    desk: Desk, registry: Registry, data: CreatePayout, now_ms: int
) -> tuple[str, tuple[PayoutItem, ...]]:
    """The currency that is paid in, and what. Raises Invalid, and NotFound of a partner."""
    named = [str(find.partner(registry, name).id) for name in data.partners]
    wanted = sorted(set(named or (str(row.id) for row in registry.partners.newest())))
    if len(wanted) > PARTNERS_MAX:
        raise Invalid(f"a payout has at most {PARTNERS_MAX} partners; name some", param="partners")
    if data.currency is not None:
        return data.currency, _payable(
            {one: payout_.item(desk, one, data.currency, now_ms) for one in wanted}
        )
    chained = ((one, code) for one in wanted for code in payout_.currencies(desk, one))
    each: dict[str, dict[str, PayoutItem | str]] = {}
    for one, code in chained:
        each.setdefault(code, {})[one] = payout_.item(desk, one, code, now_ms)
    paying = sorted(code for code, found in each.items() if any(map(_is_item, found.values())))
    if len(paying) > 1:
        raise Invalid(
            f"a payout is in one currency, and {' and '.join(paying)} are to be paid; name one",
            param="currency",
        )
    if not paying:
        raise payout_.nothing_to_pay(
            {
                f"{one} ({code})": str(why)
                for code, found in each.items()
                for one, why in found.items()
            }
        )
    return paying[0], _payable(each[paying[0]])


def _is_item(found: PayoutItem | str) -> bool:
    return isinstance(found, PayoutItem)


def _payable(found: Mapping[str, PayoutItem | str]) -> tuple[PayoutItem, ...]:
    items = tuple(item for item in found.values() if isinstance(item, PayoutItem))
    if not items:
        raise payout_.nothing_to_pay({one: str(reason) for one, reason in found.items()})
    return items


@post("/api/payouts/{payout_id:str}/confirm", sync_to_thread=True, status_code=200)
def confirm(
    house: Here,
    request: Request[Any, Any, Any],
    payout_id: FromPath[str],
    data: JSONBody[SettlePayout],
) -> PayoutAnswer:
    """Book what the bank did; told again, it changes nothing."""
    scope: Any = request.scope
    reference = text(data.reference, "reference") if data.reference else ""
    record = PayoutSettled(
        id=payout_id,
        is_paid=data.is_paid,
        reference=reference,
        by=str(scope.get(BY, "operator")),
    )
    with house.alone():
        with house.desk() as desk:
            found = payout_.check_settle(desk, record)
        if found.state is PayoutState.CREATED:
            house.change(lambda _reg, _now: Made((record,), None))
    with house.desk() as desk:
        return PayoutAnswer(shown.payout(_one(desk, payout_id)))


@get("/api/payouts", sync_to_thread=True)
def list_payouts(house: Here, after: After = "", limit: Limit = ROWS_MAX) -> PayoutsAnswer:
    """Payouts, newest first."""
    with house.desk() as desk:
        ids = list(reversed(desk.get(PAYOUTS, "", tuple) or ()))
        begin = ids.index(after) + 1 if after in ids else 0
        some = ids[begin : begin + limit]
        desk.load(PAYOUT, some)
        next_ = some[-1] if begin + limit < len(ids) else None
        return PayoutsAnswer(tuple(shown.payout(_one(desk, id_)) for id_ in some), next_)


@get("/api/payouts/{payout_id:str}", sync_to_thread=True)
def show_payout(house: Here, payout_id: FromPath[str]) -> PayoutAnswer:
    """One payout."""
    with house.desk() as desk:
        return PayoutAnswer(shown.payout(_one(desk, payout_id)))


def _one(desk: Desk, id_: str) -> Payout:
    found = desk.get(PAYOUT, id_, Payout)
    if found is None:
        raise NotFound(f"there is no payout {id_!r}; see `attribune payout list`", param="payout")
    return found


HANDLERS: tuple[Any, ...] = (create, confirm, list_payouts, show_payout)
