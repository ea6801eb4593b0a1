"""Taking back: what corrections, refunds and chargebacks undo, whole or in part, and who no longer qualifies through it."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from attribune.ledger import qualify
from attribune.ledger.agreed import Agreed
from attribune.ledger.clerk import Clerk, Why
from attribune.ledger.desk import CANDIDATE, KNOWN, TRANSACTION, Desk
from attribune.ledger.held import Held
from attribune.ledger.known import Booked, Candidate, Deed, Known, Transaction, Undoing
from attribune.ledger.numbers import converted
from attribune.ledger.reading import about_known, undone_by
from attribune.ledger.told import Told, is_undoing
from attribune.model.offer import Counts

#: Events that one transaction number undoes together, and refunds of one number; what is more is a stranger's play.
EARNERS_MAX: Final = 100
UNDOINGS_MAX: Final = 500


class TakingBack:
    """Undoes what stands."""

    def __init__(self, desk: Desk, agreed: Agreed) -> None:
        """Take the desk and what was agreed."""
        self._desk = desk
        self._agreed = agreed
        self._clerk = Clerk(desk, agreed)
        self._held = Held(desk, agreed)

    def _known(self, key: str) -> Known | None:
        return self._desk.get(KNOWN, key, Known)

    def _keep(self, key: str, known: Known) -> None:
        self._desk.put(KNOWN, key, known)

    def _strip(self, key: str, known: Known, why: Why) -> None:
        """Undo all that an outcome earned and counts for."""
        self._clerk.take_back(about_known(key, known), known.booked, why)
        self._keep(key, replace(known, booked=(), deeds=(), is_held=False))
        for name in known.deeds:
            self._drop_deed(key, name, why)
        for offer in sorted({booked.offer for booked in known.booked}):
            self._free_anchor(key, known, offer)

    def _strip_offer(self, key: str, known: Known, offer: str, why: Why) -> None:
        """Undo what an outcome earned under one offer; its person had their chance."""
        mine = tuple(booked for booked in known.booked if booked.offer == offer)
        self._clerk.take_back(about_known(key, known), mine, why)
        rest = tuple(booked for booked in known.booked if booked.offer != offer)
        self._keep(key, known.with_booked(rest))

    def _candidate(self, name: str) -> Candidate:
        return self._desk.get(CANDIDATE, name, Candidate) or Candidate()

    def _free_anchor(self, key: str, known: Known, offer: str) -> None:
        name = qualify.key(offer, known.product, known.player)
        found = self._desk.get(CANDIDATE, name, Candidate)
        if found is not None and found.anchor == key:
            self._desk.put(CANDIDATE, name, replace(found, anchor=None))

    def _drop_deed(self, key: str, name: str, why: Why) -> None:
        """A deed is undone: who no longer qualifies through it loses the commission."""
        found = qualify.without_deed(self._candidate(name), key)
        self._desk.put(CANDIDATE, name, found)
        self._disqualify(name, found, replace(why, tag=f"{why.tag}:{key}"))

    def _disqualify(self, name: str, found: Candidate, why: Why) -> None:
        known = self._known(found.anchor) if found.anchor else None
        if known is None or found.anchor is None:
            return
        offer = name.partition("|")[0]
        mine = [one for one in known.booked if one.offer == offer and not one.is_waiting]
        if not mine:
            return
        condition = self._agreed.version(offer, mine[0].version).condition
        if condition is not None and not qualify.is_met(condition, found):
            self._strip_offer(found.anchor, known, offer, why)

    def _bear(self, told: Told) -> None:
        """Remember what an outcome is undone by, and let what was told before to undo it do so."""
        names = undone_by(told)
        if not names or is_undoing(told):
            return
        for name in names:
            found = self._desk.get(TRANSACTION, name, Transaction) or Transaction()
            if told.key not in found.earners and len(found.earners) < EARNERS_MAX:
                found = replace(found, earners=(*found.earners, told.key))
                self._desk.put(TRANSACTION, name, found)
            for undoing in found.undoings:
                self._apply(told.key, undoing, told)

    def _undo(self, told: Told) -> None:
        """A refund, chargeback or rejection: undo what bears its transaction number or is of its person, now or when it comes."""
        for name in undone_by(told):
            self._undo_under(name, told)

    def _undo_under(self, name: str, told: Told) -> None:
        found = self._desk.get(TRANSACTION, name, Transaction) or Transaction()
        if any(undoing.key == told.key for undoing in found.undoings):
            undoing = next(one for one in found.undoings if one.key == told.key)
        elif len(found.undoings) >= UNDOINGS_MAX or not self._may_undo(told, found):
            return
        else:
            undoing = _undoing(told)
            found = replace(found, undoings=(*found.undoings, undoing))
            self._desk.put(TRANSACTION, name, found)
        for key in found.earners:
            self._apply(key, undoing, told)

    def _may_undo(self, told: Told, found: Transaction) -> bool:
        """Whether a refund may count; of one that takes back only its player's own, something of theirs must stand first."""
        if not told.is_own_only:
            return True
        earners = (self._known(key) for key in found.earners)
        return any(one is not None and one.player == told.player for one in earners)

    def _apply(self, key: str, undoing: Undoing, told: Told) -> None:
        """Undo an outcome, whole or in part."""
        known = self._known(key)
        if known is None or known.is_held or not (known.booked or known.deeds):
            return
        if undoing.key in known.undone_by or not undoing.reaches(known):
            return
        part = self._part(known, undoing, told)
        if part is None:
            return
        why = Why(undoing.key, undoing.cause or undoing.name, undoing.at_ms)
        undone = min(known.undone_minor + part, max(0, known.revenue_minor))
        known = replace(known, undone_minor=undone, undone_by=(*known.undone_by, undoing.key))
        mine = tuple(one for one in known.booked if not self._counts(one, undoing.name))
        others = tuple(one for one in known.booked if one not in mine)
        about = about_known(key, known)
        if undone >= known.revenue_minor:
            self._strip(key, known.with_booked(mine), why)
            known = self._known(key) or known
            self._keep(key, known.with_booked(others))
            return
        reduced = self._clerk.reduce(about, mine, undone, why)
        known = known.with_booked((*reduced, *others))
        self._keep(key, known)
        for name in known.deeds:
            self._lessen_deed(key, known, name, why)

    def _part(self, known: Known, undoing: Undoing, told: Told) -> int | None:
        """How much of the revenue is undone, in its currency; None when a rate for that is missing, and it is held."""
        if undoing.amount_minor is None or known.revenue_minor <= 0:
            return max(1, known.revenue_minor)
        if undoing.currency == known.revenue_currency:
            return undoing.amount_minor
        day = told.day.isoformat()
        rate = self._agreed.rates.of(day, undoing.currency, known.revenue_currency)
        if rate is None:
            self._held.hold(day, undoing.currency, known.revenue_currency, told)
            return None
        return converted(undoing.amount_minor, undoing.currency, known.revenue_currency, rate)

    def _lessen_deed(self, key: str, known: Known, name: str, why: Why) -> None:
        """A partly refunded deed brings only what is left."""
        found = self._candidate(name)
        deed = next((one for one in found.deeds if one.key == key), None)
        if deed is None:
            return
        left = known.revenue_minor - known.undone_minor
        smaller = Deed(deed.at_ms, key, deed.amount_minor * left // known.revenue_minor)
        found = qualify.with_deed(found, smaller)
        self._desk.put(CANDIDATE, name, found)
        self._disqualify(name, found, replace(why, tag=f"{why.tag}:{key}"))

    def _counts(self, booked: Booked, name: str) -> bool:
        """Whether the offer counts refunds itself, so that nothing is to be undone for them."""
        terms = self._agreed.version(booked.offer, booked.version)
        return any(name in deal.formula for deal in terms.deals)


def _undoing(told: Told) -> Undoing:
    """What is remembered of what undoes others."""
    is_of_install = told.rejects_since_ms is not None
    return Undoing(
        told.key,
        told.name,
        told.at_ms,
        abs(told.revenue_minor) or None if told.is_event else None,
        told.revenue_currency,
        told.player if told.is_own_only else None,
        "" if told.counts == Counts.OWN else told.cause,
        told.partner if is_of_install else None,
        told.rejects_since_ms,
        told.touch_at_ms,
    )
