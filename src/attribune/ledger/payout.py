"""Payouts: what is paid of statements, and what becomes of it. A payment is told on the next statement."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from attribune.ledger.desk import CHAIN, PAYOUT, PAYOUTS, STATEMENT, STATEMENTS, Desk
from attribune.ledger.known import Chain
from attribune.ledger.statements import chain_key
from attribune.model.book import (
    Payout,
    PayoutItem,
    PayoutState,
    Place,
    Statement,
    account,
    entry,
)
from attribune.model.errors import Conflict, Invalid, NotFound
from attribune.model.offer import PayoutMade, PayoutSettled


def currencies(desk: Desk, partner: str) -> set[str]:
    """The currencies in which a partner has statements."""
    ids = desk.get(STATEMENTS, partner, tuple) or ()
    desk.load(STATEMENT, ids)
    return {one.currency for one in desk.there(STATEMENT, ids, Statement)}


def item(desk: Desk, partner: str, currency: str, now_ms: int) -> PayoutItem | str:
    """What a partner is to be paid now, or the reason why nothing."""
    chain = desk.get(CHAIN, chain_key(partner, currency), Chain)
    statement = (
        desk.get(STATEMENT, chain.statement, Statement) if chain and chain.statement else None
    )
    if chain is None or statement is None:
        return "no statement is closed"
    if chain.payout is not None:
        return f"payout {chain.payout} is under way"
    amount = chain.closing_minor - chain.payments_minor
    if amount <= 0:
        return "nothing is owed"
    if amount < statement.minimum_minor:
        return "less is owed than the minimum of its offers"
    if now_ms < statement.pay_at_ms:
        return "its day to be paid has not come"
    return PayoutItem(partner=partner, statement=statement.id, amount_minor=amount)


def make(desk: Desk, said: PayoutMade, at_ms: int) -> bool:
    """Prepare a payout; False when an item no longer is what is owed, and then nothing is prepared."""
    if desk.get(PAYOUT, said.id, Payout) is not None:
        return False
    if len({one.partner for one in said.items}) != len(said.items):
        return False
    if any(item(desk, one.partner, said.currency, at_ms) != one for one in said.items):
        return False
    for one in said.items:
        key = chain_key(one.partner, said.currency)
        chain = desk.get(CHAIN, key, Chain) or Chain()
        desk.put(CHAIN, key, replace(chain, payout=said.id))
    payout = Payout(
        id=said.id,
        currency=said.currency,
        state=PayoutState.CREATED,
        items=said.items,
        created_at_ms=at_ms,
    )
    desk.put(PAYOUT, said.id, payout)
    desk.put(PAYOUTS, "", (*(desk.get(PAYOUTS, "", tuple) or ()), said.id))
    return True


def check_settle(desk: Desk, said: PayoutSettled) -> Payout:
    """The payout that is to be settled. Raises NotFound, and Conflict when it was settled otherwise."""
    found = desk.get(PAYOUT, said.id, Payout)
    if found is None:
        raise NotFound(
            f"there is no payout {said.id!r}; see `attribune payout list`", param="payout"
        )
    wanted = PayoutState.CONFIRMED if said.is_paid else PayoutState.FAILED
    if found.state not in {PayoutState.CREATED, wanted}:
        raise Conflict(f"payout {said.id} is {found.state.value} already", param="payout")
    return found


def settle(desk: Desk, said: PayoutSettled, at_ms: int) -> bool:
    """Book what the bank did; once, and what was settled stays so."""
    try:
        payout = check_settle(desk, said)
    except (NotFound, Conflict):
        return False
    if payout.state is not PayoutState.CREATED:
        return False
    for one in payout.items:
        _settle_item(desk, payout, one, said, at_ms)
    state = PayoutState.CONFIRMED if said.is_paid else PayoutState.FAILED
    settled = replace(payout, state=state, settled_at_ms=at_ms, reference=said.reference)
    desk.put(PAYOUT, payout.id, settled)
    return True


def _settle_item(
    desk: Desk, payout: Payout, one: PayoutItem, said: PayoutSettled, at_ms: int
) -> None:
    key = chain_key(one.partner, payout.currency)
    chain = desk.get(CHAIN, key, Chain) or Chain()
    paid = one.amount_minor if said.is_paid else 0
    desk.put(CHAIN, key, replace(chain, payout=None, payments_minor=chain.payments_minor + paid))
    if paid:
        payable = account(one.partner, Place.PAYABLE)
        to = account(one.partner, Place.PAID)
        id_ = f"{payout.id}:{one.partner}"
        desk.enter([entry(id_, at_ms, payable, to, paid, payout.currency, payout.id, "payout")])


def nothing_to_pay(reasons: Mapping[str, str]) -> Invalid:
    """Why a payout would be empty."""
    said = "; ".join(f"{partner}: {reason}" for partner, reason in sorted(reasons.items())[:10])
    return Invalid(f"nobody is to be paid now: {said or 'no partner has a statement'}")
