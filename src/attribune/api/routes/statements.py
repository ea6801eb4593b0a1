"""Statements: closing a partner's month, and reading what was issued."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from attribune.api.access import BY
from attribune.api.here import Here
from attribune.api.house import House
from attribune.api.routes.book import AfterNumber, LinesAnswer, page
from attribune.api.routes.page import ROWS_MAX, Limit
from attribune.ledger import shown, statements, waiting
from attribune.ledger.agreed import Agreed
from attribune.ledger.desk import STATEMENT, STATEMENTS, Desk
from attribune.ledger.offers import terms
from attribune.model.book import Statement
from attribune.model.errors import NotFound
from attribune.model.offer import StatementClosed
from attribune.ports import LinesWanted
from attribune.registry import find
from attribune.registry.made import Made
from attribune.registry.requests import Request as Body
from attribune.registry.view import Registry

#: How often the bookkeeper is waited for, some seconds each.
CLOSED_WAITS_MAX: Final = 60


class CloseStatement(Body, frozen=True, kw_only=True):
    """Whose month is closed."""

    partner: str
    #: Such as ``2026-01``.
    period: str


class StatementAnswer(Struct, frozen=True):
    """The statement of a month; of several currencies, each."""

    statement: shown.StatementShown
    statements: tuple[shown.StatementShown, ...]


class ClosedAnswer(StatementAnswer, frozen=True):
    """The same, and what is not on it yet."""

    #: What of the partner's, up to the month's end, waits for a rate; it comes on the next statement once that is added.
    held: tuple[shown.HeldShown, ...]


class StatementsAnswer(Struct, frozen=True):
    """A partner's statements, oldest first."""

    statements: tuple[shown.StatementShown, ...]


@post("/api/statements", sync_to_thread=True)
def close(
    house: Here, request: Request[Any, Any, Any], data: JSONBody[CloseStatement]
) -> ClosedAnswer:
    """Close a partner's month and issue its statements; a month that is closed already stands as it is."""
    registry = house.up_to_date()
    partner = find.partner(registry, data.partner).id
    scope: Any = request.scope
    with house.desk() as desk:
        standing = _of_period(desk, partner, data.period)
        agreed = agreed_of(registry)
        statements.check(desk, agreed, partner, data.period, house.clock.now_ms())
        is_whole = len(standing) == len(statements.currencies(desk, agreed, partner))
    if not standing or not is_whole:
        record = StatementClosed(
            partner=partner, period=data.period, by=str(scope.get(BY, "operator"))
        )
        house.change(lambda _reg, _now: Made((record,), None))
    all_ = _issued(house, partner, data.period)
    with house.desk() as desk:
        held = shown.held(waiting.of_partner(desk, partner, data.period))
    return ClosedAnswer(all_[0], all_, held)


def _issued(house: House, partner: str, period: str) -> tuple[shown.StatementShown, ...]:
    """The statements of a month when the bookkeeper has closed it; under a long lag that takes a while."""
    for _ in range(CLOSED_WAITS_MAX):
        with house.desk() as desk:
            issued = tuple(_with_lines(desk, one) for one in _of_period(desk, partner, period))
            if issued:
                return issued
        if not house.keeper.lag():
            break
    raise NotFound(
        f"nothing was ever agreed with or booked for {partner}, or it is booked later; see `attribune status`",
        param="partner",
    )


def agreed_of(registry: Registry) -> Agreed:
    """The newest offers, as the book knows them."""
    agreed = Agreed()
    for record in registry.offers.newest():
        agreed.offers[record.offer.id] = [terms(record.offer, record.version)]
    return agreed


def _of_period(desk: Desk, partner: str, period: str) -> list[Statement]:
    return [one for one in _all(desk, partner) if one.period == period]


def _all(desk: Desk, partner: str) -> list[Statement]:
    ids = desk.get(STATEMENTS, partner, tuple) or ()
    desk.load(STATEMENT, ids)
    return [one for id_ in ids if (one := desk.get(STATEMENT, id_, Statement)) is not None]


def _with_lines(desk: Desk, one: Statement) -> shown.StatementShown:
    found = page(desk, LinesWanted(statement=one.id), 0, ROWS_MAX)
    return shown.statement(one, found.lines, found.next)


@get("/api/statements", sync_to_thread=True)
def list_statements(house: Here, partner: FromQuery[str]) -> StatementsAnswer:
    """A partner's statements, oldest first, without their lines."""
    id_ = find.partner(house.up_to_date(), partner).id
    with house.desk() as desk:
        return StatementsAnswer(tuple(shown.statement(one) for one in _all(desk, id_)))


@get("/api/statements/{statement_id:str}", sync_to_thread=True)
def show_statement(house: Here, statement_id: FromPath[str]) -> StatementAnswer:
    """One statement with its first lines."""
    with house.desk() as desk:
        found = _with_lines(desk, _one(desk, statement_id))
    return StatementAnswer(found, (found,))


@get("/api/statements/{statement_id:str}/lines", sync_to_thread=True)
def list_lines(
    house: Here, statement_id: FromPath[str], after: AfterNumber = 0, limit: Limit = ROWS_MAX
) -> LinesAnswer:
    """A statement's lines, in the order of booking."""
    with house.desk() as desk:
        return page(desk, LinesWanted(statement=_one(desk, statement_id).id), after, limit)


def _one(desk: Desk, id_: str) -> Statement:
    found = desk.get(STATEMENT, id_, Statement)
    if found is None:
        raise NotFound(
            f"there is no statement {id_!r}; see `attribune statement list`", param="statement"
        )
    return found


HANDLERS: tuple[Any, ...] = (close, list_statements, show_statement, list_lines)
