"""Reconciling a partner's own list of conversions with the book."""

from __future__ import annotations

from typing import Any, Final

from litestar import post
from litestar.params import JSONBody
from msgspec import Struct

from attribune.api.access import OPT
from attribune.api.here import Here
from attribune.api.house import House
from attribune.api.routes.asking import sources
from attribune.ledger import reconcile
from attribune.ledger.desk import KNOWN, TRANSACTION, Desk
from attribune.ledger.known import Known, Transaction
from attribune.model.control import Scope
from attribune.model.errors import Invalid
from attribune.model.outcome import CreditedEvent
from attribune.registry import find
from attribune.registry.requests import Request as Body
from attribune.report import explain

#: Rows of one call; a longer list comes in several.
CLAIMS_MAX: Final = 2000
#: Rows of one call whose reason is looked up in our outcomes; the rest say what the book knows.
LOOKED_MAX: Final = 200


class Reconcile(Body, frozen=True, kw_only=True):
    """Some rows of a partner's list."""

    partner: str
    claims: tuple[reconcile.Claim, ...]


class ReconciledAnswer(Struct, frozen=True):
    """What became of each row, in their order."""

    rows: tuple[reconcile.Reconciled, ...]


@post("/api/reconcile", sync_to_thread=True, status_code=200, opt={OPT: Scope.READ})
def compare(house: Here, data: JSONBody[Reconcile]) -> ReconciledAnswer:
    """Compare rows of a partner's list with the book, and say why they differ. Changes nothing."""
    if len(data.claims) > CLAIMS_MAX:
        raise Invalid(f"at most {CLAIMS_MAX} rows are compared at a time", param="claims")
    for number, claim in enumerate(data.claims):
        reconcile.check(claim, f"claims.{number}")
    registry = house.up_to_date()
    partner = find.partner(registry, data.partner).id
    products = [str(row.id) for row in registry.products.newest()]
    with house.desk() as desk:
        _load(desk, products, data.claims)
        looking = _Looking(house, desk, partner, products)
        return ReconciledAnswer(
            tuple(
                reconcile.compare(
                    claim,
                    looking.owed(claim.transaction_id),
                    lambda claim=claim: looking.why(claim.transaction_id),  # type: ignore[misc]
                )
                for claim in data.claims
            )
        )


def _load(desk: Desk, products: list[str], claims: tuple[reconcile.Claim, ...]) -> None:
    names = [f"{product}|{claim.transaction_id}" for claim in claims for product in products]
    desk.load(TRANSACTION, names)
    found = (desk.get(TRANSACTION, name, Transaction) for name in names)
    desk.load(KNOWN, {key for one in found if one is not None for key in one.earners})


class _Looking:
    """What the book and our outcomes know of a transaction."""

    def __init__(self, house: House, desk: Desk, partner: str, products: list[str]) -> None:
        self._house = house
        self._desk = desk
        self._partner = partner
        self._products = products
        self._looked = 0

    def known(self, transaction_id: str) -> list[Known]:
        """The events that bear a transaction number."""
        names = (f"{product}|{transaction_id}" for product in self._products)
        found = (self._desk.get(TRANSACTION, name, Transaction) for name in names)
        keys = (key for one in found if one is not None for key in one.earners)
        return [one for key in keys if (one := self._desk.get(KNOWN, key, Known)) is not None]

    def owed(self, transaction_id: str) -> reconcile.Owed:
        """What the partner is owed for it now, by currency."""
        owed: reconcile.Owed = {}
        for known in self.known(transaction_id):
            for booked in known.booked:
                if booked.partner == self._partner and not booked.level:
                    owed[booked.currency] = owed.get(booked.currency, 0) + booked.amount_minor
        return owed

    def why(self, transaction_id: str) -> str:
        """Why nothing is owed for it."""
        found = self.known(transaction_id)
        for known in found:
            if known.is_held:
                return "held: the rate of its day is missing"
            if known.partner != self._partner:
                return f"credited to {known.partner}" if known.partner else "organic"
            if known.undone_by:
                return "refunded or charged back"
        if found:
            return "taken back, or worth nothing under its offer"
        self._looked += 1
        if self._looked > LOOKED_MAX:
            return "the book has no such transaction"
        return self._in_outcomes(transaction_id)

    def _in_outcomes(self, transaction_id: str) -> str:
        """What was decided of a transaction that the book has not taken in."""
        story = explain.decided(transaction_id, sources(self._house))
        events = [
            one
            for one in story.outcomes
            if isinstance(one, CreditedEvent) and one.transaction_id == transaction_id
        ]
        if not events:
            return "we never heard of it"
        credit = events[-1].credit
        if credit is None:
            return f"not attributed: its source is {events[-1].source.value}"
        if credit.partner != self._partner:
            return f"credited to {credit.partner}"
        return "no offer fits it"


HANDLERS: tuple[Any, ...] = (compare,)
