"""The book: balances, lines, entries, and what a person takes back."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Request, get, post
from litestar.params import FromQuery, JSONBody, QueryParameter
from msgspec import Struct

from attribune.api.access import BY
from attribune.api.here import Here
from attribune.api.routes.page import ROWS_MAX, Limit
from attribune.ledger import shown, waiting
from attribune.ledger.audit import Checked, checks
from attribune.ledger.desk import KNOWN, Desk
from attribune.ledger.known import Known
from attribune.model.book import Balance, Place, account, outcome_key
from attribune.model.errors import Invalid, NotFound
from attribune.model.offer import Reversed
from attribune.ports import LinesWanted
from attribune.registry import find
from attribune.registry.made import Made
from attribune.registry.naming import text
from attribune.registry.requests import Request as Body

_REASON_CHARACTERS_MAX: Final = 500
#: The largest number that a page can end with.
_NUMBER_MAX: Final = 2**63 - 1
AfterNumber = Annotated[
    int, QueryParameter(ge=0, le=_NUMBER_MAX, description="The `next` of the page before.")
]


class Reverse(Body, frozen=True, kw_only=True):
    """Take back what an outcome earned."""

    #: An outcome as lines name it, or the id of a conversion or an event's record.
    id: str
    reason: str


class BalancesAnswer(Struct, frozen=True):
    """Where a partner's money sits, and what of theirs waits for a rate."""

    partner: str
    balances: tuple[Balance, ...]
    held: tuple[shown.HeldShown, ...]


class LinesAnswer(Struct, frozen=True):
    """Some lines, and where the next page begins."""

    lines: tuple[shown.LineShown, ...]
    next: int | None


class EntriesAnswer(Struct, frozen=True):
    """Some entries, and where the next page begins."""

    entries: tuple[shown.EntryShown, ...]
    next: int | None


class ReversalShown(Struct, frozen=True, kw_only=True):
    """What was taken back, and why."""

    outcome: str
    reason: str
    lines: tuple[shown.LineShown, ...]


class ReversalAnswer(Struct, frozen=True):
    """What was taken back."""

    reversal: ReversalShown


class ChecksAnswer(Struct, frozen=True):
    """Whether the book adds up."""

    ok: bool
    checks: tuple[Checked, ...]


@get("/api/book/balances", sync_to_thread=True)
def balances(house: Here, partner: FromQuery[str]) -> BalancesAnswer:
    """Where a partner's money sits: pending, approved, payable, paid; one row a currency."""
    id_ = find.partner(house.up_to_date(), partner).id
    with house.desk() as desk:
        held = shown.held(waiting.of_partner(desk, id_))
        return BalancesAnswer(id_, _balances(desk, id_), held)


def _balances(desk: Desk, partner: str) -> tuple[Balance, ...]:
    sums: dict[str, dict[str, int]] = {}
    for place in Place:
        name = account(partner, place)
        for found, currency, amount in desk.book.balances(name):
            if found == name:
                sums.setdefault(currency, {})[f"{place}_minor"] = amount
    return tuple(Balance(currency=currency, **places) for currency, places in sorted(sums.items()))


@get("/api/book/lines", sync_to_thread=True)
def list_lines(
    house: Here,
    partner: FromQuery[str | None] = None,
    currency: FromQuery[str | None] = None,
    statement: FromQuery[str | None] = None,
    outcome: FromQuery[str | None] = None,
    after: AfterNumber = 0,
    limit: Limit = ROWS_MAX,
) -> LinesAnswer:
    """Movements of commissions, in the order of booking."""
    id_ = find.partner(house.up_to_date(), partner).id if partner is not None else None
    with house.desk() as desk:
        return page(desk, LinesWanted(id_, currency, statement, outcome), after, limit)


def page(desk: Desk, wanted: LinesWanted, after: int, limit: int) -> LinesAnswer:
    """Some lines, and where the next page begins."""
    kept = desk.book.lines(wanted, after, limit + 1)
    next_ = kept[limit - 1].number if len(kept) > limit else None
    return LinesAnswer(tuple(shown.line(one) for one in kept[:limit]), next_)


@get("/api/book/entries", sync_to_thread=True)
def list_entries(
    house: Here,
    about: FromQuery[str | None] = None,
    after: AfterNumber = 0,
    limit: Limit = ROWS_MAX,
) -> EntriesAnswer:
    """Amounts that moved between accounts, in the order of booking: all, or those about a line, statement or payout."""
    with house.desk() as desk:
        found = desk.book.entries(about, after, limit + 1)
        next_ = found[limit - 1][0] if len(found) > limit else None
        return EntriesAnswer(tuple(shown.entry(one) for _, one in found[:limit]), next_)


@post("/api/book/reversals", sync_to_thread=True)
def reverse(
    house: Here, request: Request[Any, Any, Any], data: JSONBody[Reverse]
) -> ReversalAnswer:
    """Take back what an outcome earned, and say why; what was paid is taken from the next statement."""
    reason = text(data.reason, "reason", _REASON_CHARACTERS_MAX)
    scope: Any = request.scope
    with house.desk() as desk:
        products = [str(row.id) for row in house.up_to_date().products.newest()]
        key, known = _found(desk, data.id, products)
    if known.booked:
        record = Reversed(outcome=key, reason=reason, by=str(scope.get(BY, "operator")))
        house.change(lambda _reg, _now: Made((record,), None))
    with house.desk() as desk:
        lines = page(desk, LinesWanted(outcome=key), 0, ROWS_MAX).lines
    return ReversalAnswer(ReversalShown(outcome=key, reason=reason, lines=lines))


def _found(desk: Desk, id_: str, products: list[str]) -> tuple[str, Known]:
    """The outcome that an id means. Raises NotFound, Invalid when it may be several."""
    keys = {id_} | {
        outcome_key(product, kind, id_) for product in products for kind in ("event", "conversion")
    }
    found = {key: one for key in keys if (one := desk.get(KNOWN, key, Known)) is not None}
    if not found:
        raise NotFound(f"the book knows no outcome {id_!r}; see `attribune book lines`", param="id")
    if len(found) > 1:
        raise Invalid(f"{id_!r} may mean {', '.join(sorted(found))}; give one of these", param="id")
    return next(iter(found.items()))


@get("/api/book/check", sync_to_thread=True)
def check(house: Here) -> ChecksAnswer:
    """Whether the book adds up, from its entries on."""
    with house.desk() as desk:
        found = checks(desk)
    return ChecksAnswer(all(one.ok for one in found), found)


HANDLERS: tuple[Any, ...] = (balances, list_lines, list_entries, reverse, check)
