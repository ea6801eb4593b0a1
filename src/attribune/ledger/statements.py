"""Statements: a partner's month, closed once and never changed. What comes later goes on the next."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from attribune.ledger.agreed import Agreed
from attribune.ledger.desk import CHAIN, STATEMENT, STATEMENTS, Desk
from attribune.ledger.known import Chain
from attribune.ledger.when import month_number, month_span_ms, pay_at_ms
from attribune.model.book import Place, Statement, account, entry, statement_id
from attribune.model.errors import Invalid
from attribune.model.offer import StatementClosed
from attribune.ports import Taken

#: The first moment of the earth's easternmost zone comes so much before that of UTC. Milliseconds.
_EAST_MS: Final = 14 * 3_600_000


def chain_key(partner: str, currency: str) -> str:
    """The key of a partner's chain of statements in a currency."""
    return f"{partner}|{currency}"


def check(desk: Desk, agreed: Agreed, partner: str, period: str, now_ms: int) -> None:
    """Refuse a month that has not begun, and one before the newest that is closed. Raises Invalid."""
    month = month_number(period)
    begins_ms, _ = month_span_ms("UTC", month)
    if now_ms < begins_ms - _EAST_MS:
        raise Invalid(f"{period} has not begun", param="period")
    chains = (_chain(desk, partner, currency) for currency in currencies(desk, agreed, partner))
    newest = max((chain.period for chain in chains), default="")
    if period < newest:
        raise Invalid(
            f"{newest} is closed already; what belongs to {period} and came later stands there or on the next",
            param="period",
        )


def currencies(desk: Desk, agreed: Agreed, partner: str) -> list[str]:
    """Currencies in which a partner has, or may get, statements."""
    offered = {terms.offer.currency for terms in agreed.of_partner(partner)}
    booked = desk.book.balances(account(partner, Place.PENDING).removesuffix(Place.PENDING))
    return sorted(offered | {currency for _, currency, _ in booked})


def close(desk: Desk, agreed: Agreed, said: StatementClosed, at_ms: int) -> list[Statement]:
    """Issue a partner's statements of a month; one that stands is left as it is.

    Every line that is due by now must have been approved, and committed, before. A month that may not be closed is not: who
    asked was told so.
    """
    try:
        check(desk, agreed, said.partner, said.period, at_ms)
    except Invalid:
        return []
    untaken = desk.book.untaken(said.partner, month_number(said.period))
    names = sorted(set(currencies(desk, agreed, said.partner)) | untaken.keys())
    issued = [
        _issue(desk, agreed, said, currency, untaken.get(currency, (0, 0)), at_ms)
        for currency in names
    ]
    return [statement for statement in issued if statement is not None]


def _issue(
    desk: Desk,
    agreed: Agreed,
    said: StatementClosed,
    currency: str,
    lines: tuple[int, int],
    at_ms: int,
) -> Statement | None:
    id_ = statement_id(said.partner, said.period, currency)
    chain = _chain(desk, said.partner, currency)
    if chain.period >= said.period:
        return None
    count, sum_ = lines
    offers = agreed.of_partner(said.partner, currency)
    pays = [terms.offer.pay for terms in offers]
    statement = Statement(
        id=id_,
        partner=said.partner,
        period=said.period,
        currency=currency,
        opening_minor=chain.closing_minor,
        lines_minor=sum_,
        lines_count=count,
        payments_minor=chain.payments_minor,
        closing_minor=chain.closing_minor + sum_ - chain.payments_minor,
        previous=chain.statement,
        closed_at_ms=at_ms,
        pay_at_ms=max((pay_at_ms("UTC", said.period, pay, at_ms) for pay in pays), default=at_ms),
        minimum_minor=max((terms.minimum_minor for terms in offers), default=0),
    )
    _keep(desk, statement, chain)
    return statement


def _keep(desk: Desk, statement: Statement, chain: Chain) -> None:
    """Write a statement, link the chain to it, and move its lines' money."""
    desk.put(STATEMENT, statement.id, statement)
    ids = desk.get(STATEMENTS, statement.partner, tuple) or ()
    desk.put(STATEMENTS, statement.partner, (*ids, statement.id))
    desk.put(
        CHAIN,
        chain_key(statement.partner, statement.currency),
        replace(
            chain,
            statement=statement.id,
            period=statement.period,
            closing_minor=statement.closing_minor,
            payments_minor=0,
        ),
    )
    desk.take(
        Taken(statement.id, statement.partner, statement.currency, month_number(statement.period))
    )
    if statement.lines_minor:
        approved = account(statement.partner, Place.APPROVED)
        payable = account(statement.partner, Place.PAYABLE)
        desk.enter(
            [
                entry(
                    statement.id,
                    statement.closed_at_ms,
                    approved,
                    payable,
                    statement.lines_minor,
                    statement.currency,
                    statement.id,
                    "statement",
                )
            ]
        )


def _chain(desk: Desk, partner: str, currency: str) -> Chain:
    return desk.get(CHAIN, chain_key(partner, currency), Chain) or Chain()
