"""Reconciling a partner's own list of conversions with the book."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from functools import cache, partial
from typing import Any, Final

from litestar import post
from litestar.params import JSONBody
from msgspec import Struct

from attribune.api.access import OPT
from attribune.api.here import Here
from attribune.api.house import House
from attribune.api.reconciling import OUTCOMES, Heard, Lookup, owed_of
from attribune.ledger import differing, reconcile, waiting
from attribune.ledger.desk import KNOWN, TRANSACTION, Desk
from attribune.ledger.known import Known, Transaction, Undoing
from attribune.ledger.offers import Terms, terms
from attribune.ledger.reconcile import Ours
from attribune.ledger.told import key_of_fact
from attribune.ledger.when import day_of
from attribune.model.book import LineKind
from attribune.model.control import Scope
from attribune.model.delivery import DeliveryState, Logged, LogQuestion, Trigger
from attribune.model.errors import Invalid
from attribune.model.fact import FOREIGN_KINDS, Fact, FactKind, RowPlace, Selection
from attribune.model.ids import PartnerId
from attribune.model.money import BadAmount, money
from attribune.model.offer import OfferSet
from attribune.model.outcome import Attribution
from attribune.ports import KeptLine, LinesWanted
from attribune.registry import find
from attribune.registry.requests import Request as Body
from attribune.registry.view import Versions

#: Rows of one call; a longer list comes in several.
CLAIMS_MAX: Final = 2000
#: Lines of one outcome that are read.
LINES_MAX: Final = 200
#: Rows of the facts that are looked through for what the book calls outcomes, and how many at a time.
FACTS_MAX: Final = 500_000
_PAGE: Final = 20_000
#: Outcomes whose deliveries are asked for at a time, and how many of them.
_CHUNK: Final = 200
_DELIVERIES_MAX: Final = 2000


class Reconcile(Body, frozen=True, kw_only=True):
    """Some rows of a partner's list."""

    partner: str
    claims: tuple[reconcile.Claim, ...]


class Unclaimed(Body, frozen=True, kw_only=True):
    """Outcomes, as lines name them, that a partner's list does not have."""

    partner: str
    outcomes: tuple[str, ...]


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
    partner = find.partner(house.up_to_date(), data.partner).id
    with house.desk() as desk:
        lookup = Lookup(house, desk, partner)
        lookup.find(data.claims)
        looking = _Looking(house, desk, partner, lookup)
        return ReconciledAnswer(tuple(looking.compared(claim) for claim in data.claims))


@post("/api/reconcile/unclaimed", sync_to_thread=True, status_code=200, opt={OPT: Scope.READ})
def unclaimed(house: Here, data: JSONBody[Unclaimed]) -> ReconciledAnswer:
    """Say of outcomes that a partner's list lacks what is owed for them, where that stands, and what the partner was told."""
    if len(data.outcomes) > CLAIMS_MAX:
        raise Invalid(f"at most {CLAIMS_MAX} outcomes are told of at a time", param="outcomes")
    partner = find.partner(house.up_to_date(), data.partner).id
    house.keeper.settle_outbox()
    with house.desk() as desk:
        desk.load(KNOWN, data.outcomes)
        known = {key: one for key in data.outcomes if (one := desk.get(KNOWN, key, Known))}
        owing = {key: one for key, one in known.items() if any(owed_of(one, partner).values())}
        called = _called(house, partner, owing)
        told = _told(house, partner, called.values())
        rows: list[reconcile.Reconciled] = []
        for key, one in owing.items():
            lines = _lines(desk, key, partner)
            said = told.get(_outcome_id(called[key]), "") if key in called else _NOT_KEPT
            reason = f"{differing.where(lines)}; {said or _TOLD_NOTHING}"
            rows += reconcile.unclaimed(_ours(key, one, partner, called.get(key)), reason)
    return ReconciledAnswer(tuple(rows))


_TOLD_NOTHING: Final = "no postback told the partner of it"
_NOT_KEPT: Final = "what the partner was told of it was not found"


class _Looking:
    """What the book and our outcomes know of the rows of a call."""

    def __init__(self, house: House, desk: Desk, partner: str, lookup: Lookup) -> None:
        self._desk = desk
        self._partner = partner
        self._lookup = lookup
        # No method of ours: it would be a circle, and all that a call has read would wait in it for the garbage collector.
        self._terms_of = cache(partial(_terms, house.up_to_date().offers))

    def compared(self, claim: reconcile.Claim) -> reconcile.Reconciled:
        """What becomes of a row."""
        meant = reconcile.meant(claim, self._lookup.may_mean(claim))
        theirs = [one for one in meant if self._is_theirs(one)]
        return reconcile.compare(
            claim,
            theirs,
            why_other=lambda chosen, currency: self._why_other(claim, chosen, currency),
            why_missing=lambda chosen: self._why_missing(claim, chosen or meant),
        )

    def _is_theirs(self, one: Ours) -> bool:
        return any(one.owed.values()) or self._lookup.heard(one).partner == self._partner

    # --- why the amounts differ

    def _why_other(self, claim: reconcile.Claim, chosen: Sequence[Ours], currency: str) -> str:
        kept = [one for ours in chosen for one in _lines(self._desk, ours.outcome, self._partner)]
        lines = [one.line for one in kept if one.line.currency == currency]
        try:
            theirs_minor = money(claim.amount or "", currency).amount_minor
        except BadAmount:
            return f"{claim.amount} is no amount of {currency}"
        return differing.why_other(lines, self._undoings(chosen), theirs_minor, self._terms_of)

    def _undoings(self, chosen: Sequence[Ours]) -> dict[str, Undoing]:
        """The refunds that outcomes' order numbers bear, by what lines call them."""
        known = (self._lookup.heard(one).known for one in chosen)
        names = {f"{one.product}|{one.transaction_id}" for one in known if one is not None}
        self._desk.load(TRANSACTION, names)
        found = self._desk.there(TRANSACTION, names, Transaction)
        return {undoing.key: undoing for one in found for undoing in one.undoings}

    # --- why nothing is owed

    def _why_missing(self, claim: reconcile.Claim, chosen: Sequence[Ours]) -> str:
        if chosen:
            return "; ".join(dict.fromkeys(self._why_nothing(one) for one in chosen))
        for found, said in (
            (self._lookup.refused, "refused as {}"),
            (self._lookup.pruned, "its {} is counted in reports; the rest was pruned"),
            (self._lookup.touched, "its touch of {} is known, and led to no conversion"),
        ):
            words = (found.get(reconcile.plain(id_)) for id_ in claim.ids.values())
            word = next(filter(None, words), None)
            if word is not None:
                return said.format(word)
        return "we never heard of it"

    def _why_nothing(self, one: Ours) -> str:
        heard = self._lookup.heard(one)
        what = f"{one.event} of {one.day}"
        lines = [kept.line for kept in _lines(self._desk, one.outcome, self._partner)]
        taken = list(differing.taken_back(lines, self._undoings([one])))
        if heard.partner != self._partner:
            return "; ".join([f"{what}: {self._elsewhere(heard)}", *taken])
        if taken:
            return f"{what}: {'; '.join(taken)}"
        missing = waiting.of_outcomes(self._desk, [one.outcome])
        if missing:
            pair = missing[0]
            return (
                f"{what}: held, it waits for the rate of {pair.base} in {pair.quote} on {pair.day}"
            )
        return f"{what}: {'its offer pays nothing for it' if lines else 'no offer fits it'}"

    def _elsewhere(self, heard: Heard) -> str:
        """Who has it instead, and why this partner's touch lost."""
        said = f"credited to {heard.partner}" if heard.partner else heard.source
        lost = [
            f"{one.kind} of {differing.day(one.touch_at_ms)} lost: {one.lost_because}"
            for one in (heard.outcome.candidates if isinstance(heard.outcome, Attribution) else ())
            if one.partner == self._partner and one.lost_because is not None
        ]
        return f"{said} ({lost[0]})" if lost else said


def _terms(offers: Versions[OfferSet], offer: str, version: int) -> Terms | None:
    for _, one in offers.get(offer, ()):
        if one.version == version:
            return terms(one.offer, version)
    return None


def _lines(desk: Desk, key: str, partner: str) -> list[KeptLine]:
    """What an outcome earned a partner itself; others' worth and shares up the tree are not of it."""
    kept = desk.book.lines(LinesWanted(partner=partner, outcome=key), 0, LINES_MAX)
    return [one for one in kept if not one.line.level and one.line.kind is not LineKind.RETIER]


# --- what a partner's list lacks


def _ours(key: str, known: Known, partner: str, called: Fact | None) -> Ours:
    names = {"transaction_id": known.transaction_id}
    if called is not None:
        names |= {"conversion_id": called.conversion, "record_id": called.record}
        names |= {"touch_id": called.touch}
    return Ours(
        outcome=key,
        event=known.name,
        day=day_of(known.timezone, known.at_ms).isoformat(),
        names={name: frozenset([id_]) for name, id_ in names.items() if id_},
        owed=owed_of(known, partner),
    )


def _called(house: House, partner: str, known: dict[str, Known]) -> dict[str, Fact]:
    """The rows of outcomes that the book knows by hashes alone: the partner's of those days are looked through."""
    if not known:
        return {}
    days = [day_of(one.timezone, one.at_ms) for one in known.values()]
    wanted = Selection(
        kinds=OUTCOMES,
        until=house.journal.end(),
        partner=partner,
        # The product's days: one whose time zone was changed since has others.
        first_day=min(days) - timedelta(days=1),
        last_day=max(days) + timedelta(days=1),
    )
    found: dict[str, Fact] = {}
    for fact in _standing(house, wanted):
        key = key_of_fact(fact)
        if key in known:
            found[key] = fact
            if len(found) == len(known):
                break
    return found


def _standing(house: House, wanted: Selection) -> Iterator[Fact]:
    after: RowPlace | None = None
    for _ in range(FACTS_MAX // _PAGE):
        page = house.facts().standing(wanted, after, _PAGE)
        yield from page.facts
        after = page.next
        if after is None:
            return


def _outcome_id(fact: Fact) -> str:
    """What deliveries call it."""
    is_own_conversion = fact.kind is not FactKind.EVENT and fact.kind not in FOREIGN_KINDS
    return (fact.conversion if is_own_conversion else fact.record) or ""


def _told(house: House, partner: str, facts: Collection[Fact]) -> dict[str, str]:
    """What a partner was told of some outcomes, in a few words, by what deliveries call them."""
    ids = sorted({_outcome_id(fact) for fact in facts})
    found: dict[str, str] = {}
    for start in range(0, len(ids), _CHUNK):
        wanted = LogQuestion(
            partner=PartnerId(partner),
            outcome_ids=tuple(ids[start : start + _CHUNK]),
            rows_max=_DELIVERIES_MAX,
        )
        for one in house.outbox().log(wanted):  # the newest first
            if one.row.planned.trigger is not Trigger.REVERSAL:
                found.setdefault(one.row.planned.outcome_id, _delivery(one))
    return found


def _delivery(one: Logged) -> str:
    row = one.row
    why = f": {row.reason}" if row.reason else ""
    if row.state is DeliveryState.DELIVERED:
        last = one.attempts[-1] if one.attempts else None
        when = differing.day(last.at_ms if last else row.planned.at_ms)
        return f"the partner was told on {when}" + (f" and answered {last.status}" if last else "")
    if row.state is DeliveryState.WAITING:
        return f"the partner is still to be told{why}"
    if row.state is DeliveryState.GAVE_UP:
        return f"telling the partner was given up{why}"
    return f"the partner needed not be told{why}"


HANDLERS: tuple[Any, ...] = (compare, unclaimed)
