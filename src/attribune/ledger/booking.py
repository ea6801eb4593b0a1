"""From outcomes to commissions: what an outcome earns, what a later revision changes, and what refunds take back."""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec.structs import replace

from attribune.ledger import qualify
from attribune.ledger.agreed import Agreed
from attribune.ledger.clerk import About, Clerk, Grant, Why
from attribune.ledger.desk import CANDIDATE, KNOWN, TRANSACTION, Desk
from attribune.ledger.held import Held
from attribune.ledger.known import Booked, Candidate, Deed, Known, Transaction, Undoing
from attribune.ledger.ladder import SLOT_MAX, Share
from attribune.ledger.numbers import converted, quantity
from attribune.ledger.offers import DealTerms, Terms
from attribune.ledger.precedence import Fit
from attribune.ledger.told import Told, is_undoing
from attribune.ledger.when import due_ms, window_of
from attribune.model.offer import DealKind, LevelBase

#: Events that one transaction number undoes together, and refunds of one number; what is more is a stranger's play.
EARNERS_MAX: Final = 100
UNDOINGS_MAX: Final = 500


class Priced(NamedTuple):
    """An offer that counts an outcome, and the revenue in the offer's currency."""

    fit: Fit
    base_minor: int
    rate: str


class Booking:
    """Takes outcomes in, one after the other."""

    def __init__(self, desk: Desk, agreed: Agreed) -> None:
        """Take the desk and what was agreed."""
        self._desk = desk
        self._agreed = agreed
        self._clerk = Clerk(desk, agreed)
        self._held = Held(desk, agreed)

    def take(self, told: Told) -> None:
        """Book an outcome, or what a later revision of it changes; one that was told before changes nothing."""
        known = self._known(told.key)
        if is_undoing(told) and known is None:
            self._undo(told)
        if known is None:
            # A later revision is remembered though it earns nothing, so that an earlier one told after it does not either.
            fits = self._agreed.fits(told)
            if fits or is_undoing(told) or told.revision > 1:
                self._book(told, fits)
        elif told.revision > known.revision:
            self._revise(told, known)

    def again(self, told: Told) -> None:
        """Book an outcome that a missing rate held, unless a later revision has come between."""
        known = self._known(told.key)
        if known is not None and known.is_held and known.revision == told.revision:
            self._book(told, self._agreed.fits(told))

    def undo_again(self, told: Told) -> None:
        """Undo what a missing rate kept from being undone."""
        self._undo(told)

    def by_hand(self, key: str, why: Why) -> bool:
        """Take back what an outcome earned; whether there was anything."""
        known = self._known(key)
        if known is None or not known.booked:
            return False
        self._strip(key, known, why)
        return True

    def expire(self, key: str, offer: str, at_ms: int) -> None:
        """The time to qualify is over."""
        known = self._known(key)
        assert known is not None, "a line waits for what is known"
        why = Why("expired", "not_qualified", at_ms)
        self._strip_offer(key, known, offer, why)

    def _known(self, key: str) -> Known | None:
        return self._desk.get(KNOWN, key, Known)

    def _keep(self, key: str, known: Known) -> None:
        self._desk.put(KNOWN, key, known)

    def _book(self, told: Told, fits: list[Fit]) -> None:
        """Book an outcome of which nothing stands."""
        priced = [self._priced(told, fit) for fit in fits]
        known = _known_of(told)
        if any(one is None for one in priced):
            self._keep(told.key, replace(known, is_held=True))
            self._bear(told)
            return
        self._keep(told.key, known)
        booked: list[Booked] = []
        for one in priced:
            assert one is not None, "looked at above"
            booked += self._grant(told, one)
        # What it counts for as a deed was kept meanwhile.
        standing = self._known(told.key)
        assert standing is not None, "kept above"
        self._keep(told.key, standing.with_booked((*standing.booked, *booked)))
        for one in priced:
            if one is not None and one.fit.terms.condition is not None:
                self._look_again(told, one.fit.terms)
        self._bear(told)
        self._undo_borne(told)

    def _priced(self, told: Told, fit: Fit) -> Priced | None:
        """The revenue in the offer's currency; None when a rate is missing, and then it is held."""
        currency = fit.terms.offer.currency
        base, at = told.revenue_currency, told.day.isoformat()
        if not told.revenue_minor or not _needs_revenue(fit.terms, told.name):
            return Priced(fit, 0, "")
        if base == currency:
            return Priced(fit, told.revenue_minor, "")
        rate = self._agreed.rates.of(at, base, currency)
        if rate is None:
            self._held.hold(at, base, currency, told)
            return None
        found = converted(told.revenue_minor, base, currency, rate)
        # What lies beyond has no room in any tally, however far it lies.
        bounded = max(-SLOT_MAX - 1, min(SLOT_MAX + 1, found))
        return Priced(fit, bounded, str(rate))

    def _grant(self, told: Told, priced: Priced) -> list[Booked]:
        """Book what an outcome counts for under one offer."""
        terms = priced.fit.terms
        is_waiting = False
        if terms.condition is not None:
            if told.name == terms.condition.event:
                self._deed(told, terms, priced.base_minor)
            if told.name == terms.offer.event:
                if not self._anchor(told, terms):
                    return []
                is_waiting = True
        found: list[Booked] = []
        for number, deal in enumerate(terms.deals):
            share = share_of(deal, terms, told, priced.base_minor)
            if share:
                found += self._earn(told, priced, number, share, is_waiting=is_waiting)
        return found

    def _earn(
        self, told: Told, priced: Priced, number: int, share: Share, *, is_waiting: bool
    ) -> list[Booked]:
        terms = priced.fit.terms
        assert told.partner is not None, "only who is credited fits an offer"
        due = due_ms(terms.offer, told.timezone, told.at_ms)
        if is_waiting:
            assert terms.condition is not None, "it waits for one"
            due = qualify.expires_ms(terms.condition, told.at_ms, self._desk.meta.now_ms)
        about = _about(told)._replace(
            rate=priced.rate,
            rate_day=told.day.isoformat() if priced.rate else "",
            lost=priced.fit.lost,
        )
        deal = terms.deals[number]
        grant = Grant(
            terms=terms,
            deal=number,
            partner=told.partner,
            window=window_of(deal, terms.from_day, told.day),
            cell=told.day.isoformat(),
            share=share,
            base_minor=priced.base_minor,
            due_ms=due,
            is_waiting=is_waiting,
        )
        return self._clerk.earn(about, grant)

    def _revise(self, told: Told, known: Known) -> None:
        """Take in a later revision: what stays as it was stays, else it is undone and booked anew."""
        if _is_same(told, known):
            self._keep(told.key, replace(known, revision=told.revision))
            return
        self._strip(told.key, known, Why(f"r{told.revision}", told.cause, told.judged_at_ms))
        self._book(told, self._agreed.fits(told))

    def _strip(self, key: str, known: Known, why: Why) -> None:
        """Undo all that an outcome earned and counts for."""
        self._clerk.take_back(_about_known(key, known), known.booked, why)
        self._keep(key, replace(known, booked=(), deeds=(), is_held=False))
        for name in known.deeds:
            self._drop_deed(key, name, why)
        for offer in sorted({booked.offer for booked in known.booked}):
            self._free_anchor(key, known, offer)

    def _strip_offer(self, key: str, known: Known, offer: str, why: Why) -> None:
        """Undo what an outcome earned under one offer; its person had their chance."""
        mine = tuple(booked for booked in known.booked if booked.offer == offer)
        self._clerk.take_back(_about_known(key, known), mine, why)
        rest = tuple(booked for booked in known.booked if booked.offer != offer)
        self._keep(key, known.with_booked(rest))

    # What a person must do.

    def _candidate(self, name: str) -> Candidate:
        return self._desk.get(CANDIDATE, name, Candidate) or Candidate()

    def _anchor(self, told: Told, terms: Terms) -> bool:
        """Let a conversion wait for its person; one commission a person, so a second one has none."""
        name = qualify.key(terms.offer.id, told.product, told.player)
        found = self._candidate(name)
        if found.anchor not in {None, told.key}:
            return False
        found = replace(found, anchor=told.key, anchor_at_ms=told.at_ms)
        self._desk.put(CANDIDATE, name, found)
        return True

    def _free_anchor(self, key: str, known: Known, offer: str) -> None:
        name = qualify.key(offer, known.product, known.player)
        found = self._desk.get(CANDIDATE, name, Candidate)
        if found is not None and found.anchor == key:
            self._desk.put(CANDIDATE, name, replace(found, anchor=None))

    def _deed(self, told: Told, terms: Terms, amount_minor: int) -> None:
        name = qualify.key(terms.offer.id, told.product, told.player)
        deed = Deed(told.at_ms, told.key, amount_minor)
        self._desk.put(CANDIDATE, name, qualify.with_deed(self._candidate(name), deed))
        known = self._known(told.key)
        assert known is not None, "an outcome is kept before its deeds"
        self._keep(told.key, replace(known, deeds=(*known.deeds, name)))

    def _drop_deed(self, key: str, name: str, why: Why) -> None:
        """A deed is undone: who no longer qualifies through it loses the commission."""
        found = qualify.without_deed(self._candidate(name), key)
        self._desk.put(CANDIDATE, name, found)
        self._disqualify(name, found, why._replace(tag=f"{why.tag}:{key}"))

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

    def _look_again(self, told: Told, terms: Terms) -> None:
        """Let who has done what was asked qualify."""
        name = qualify.key(terms.offer.id, told.product, told.player)
        found = self._candidate(name)
        known = self._known(found.anchor) if found.anchor else None
        if known is None or found.anchor is None:
            return
        about = _about_known(found.anchor, known)
        booked = tuple(
            self._qualified(about, one, found) if one.offer == terms.offer.id else one
            for one in known.booked
        )
        self._keep(found.anchor, known.with_booked(booked))

    def _qualified(self, about: About, booked: Booked, found: Candidate) -> Booked:
        terms = self._agreed.version(booked.offer, booked.version)
        is_met = terms.condition is not None and qualify.is_met(terms.condition, found)
        if not booked.is_waiting or not is_met:
            return booked
        return self._clerk.qualify(about, booked, due_ms(terms.offer, about.timezone, about.at_ms))

    # Refunds and chargebacks.

    def _bear(self, told: Told) -> None:
        """Remember that an event bears a transaction number."""
        if told.transaction_id is None or is_undoing(told):
            return
        name = transaction_key(told)
        found = self._desk.get(TRANSACTION, name, Transaction) or Transaction()
        if told.key not in found.earners and len(found.earners) < EARNERS_MAX:
            found = replace(found, earners=(*found.earners, told.key))
            self._desk.put(TRANSACTION, name, found)

    def _undo(self, told: Told) -> None:
        """A refund or a chargeback: undo what bears its transaction number, now or when it comes."""
        name = transaction_key(told)
        found = self._desk.get(TRANSACTION, name, Transaction) or Transaction()
        if any(undoing.key == told.key for undoing in found.undoings):
            undoing = next(one for one in found.undoings if one.key == told.key)
        elif len(found.undoings) >= UNDOINGS_MAX:
            return
        else:
            amount = abs(told.revenue_minor) or None
            undoing = Undoing(told.key, told.name, told.at_ms, amount, told.revenue_currency)
            found = replace(found, undoings=(*found.undoings, undoing))
            self._desk.put(TRANSACTION, name, found)
        for key in found.earners:
            self._apply(key, undoing, told)

    def _undo_borne(self, told: Told) -> None:
        """A refund that was told before what it undoes."""
        if told.transaction_id is None or is_undoing(told):
            return
        found = self._desk.get(TRANSACTION, transaction_key(told), Transaction)
        for undoing in found.undoings if found else ():
            self._apply(told.key, undoing, told)

    def _apply(self, key: str, undoing: Undoing, told: Told) -> None:
        """Undo an outcome, whole or in part."""
        known = self._known(key)
        if known is None or known.is_held or not (known.booked or known.deeds):
            return
        if undoing.key in known.undone_by:
            return
        part = self._part(known, undoing, told)
        if part is None:
            return
        why = Why(undoing.key, undoing.name, undoing.at_ms)
        undone = min(known.undone_minor + part, max(0, known.revenue_minor))
        known = replace(known, undone_minor=undone, undone_by=(*known.undone_by, undoing.key))
        mine = tuple(one for one in known.booked if not self._counts(one, undoing.name))
        others = tuple(one for one in known.booked if one not in mine)
        about = _about_known(key, known)
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
        self._disqualify(name, found, why._replace(tag=f"{why.tag}:{key}"))

    def _counts(self, booked: Booked, name: str) -> bool:
        """Whether the offer counts refunds itself, so that nothing is to be undone for them."""
        terms = self._agreed.version(booked.offer, booked.version)
        return any(name in deal.formula for deal in terms.deals)


def transaction_key(told: Told) -> str:
    """The key of a transaction number within its product."""
    return f"{told.product}|{told.transaction_id}"


def share_of(deal: DealTerms, terms: Terms, told: Told, base_minor: int) -> Share:
    """What an outcome counts for under a deal."""
    share: list[tuple[str, int]] = []
    if told.name == terms.offer.event:
        country = told.country or "" if deal.by_country else ""
        share.append((f"n:{country}", 1))
        if deal.kind is DealKind.UNIT:
            share.append(("u", quantity(told.quantity) or 0))
    is_counted = told.name in deal.formula if deal.formula else told.name == terms.offer.event
    if deal.kind is DealKind.REVSHARE and is_counted:
        share.append((f"s:{told.name}", base_minor))
    if told.name == deal.kpi:
        share.append(("k", 1))
    return tuple(share)


def _needs_revenue(terms: Terms, name: str) -> bool:
    """Whether anything that the offer counts depends on an event's revenue."""
    if any(deal.kind is DealKind.REVSHARE for deal in terms.deals):
        return True
    if any(level.of is LevelBase.REVENUE for level in terms.levels):
        return True
    return terms.condition is not None and terms.condition.event == name


def _known_of(told: Told) -> Known:
    return Known(
        revision=told.revision,
        partner=told.partner,
        name=told.name,
        product=told.product,
        timezone=told.timezone,
        at_ms=told.at_ms,
        revenue_minor=told.revenue_minor,
        revenue_currency=told.revenue_currency,
        player=told.player,
        transaction_id=told.transaction_id,
    )


def _is_same(told: Told, known: Known) -> bool:
    """Whether a later revision leaves everything that counts as it was."""
    return (told.partner, told.name, told.at_ms, told.player) == (
        known.partner,
        known.name,
        known.at_ms,
        known.player,
    )


def _about(told: Told) -> About:
    return About(
        key=told.key,
        revision=told.revision,
        event=told.name,
        at_ms=told.at_ms,
        timezone=told.timezone,
        revenue_minor=told.revenue_minor,
        revenue_currency=told.revenue_currency,
        transaction_id=told.transaction_id,
    )


def _about_known(key: str, known: Known) -> About:
    return About(
        key=key,
        revision=known.revision,
        event=known.name,
        at_ms=known.at_ms,
        timezone=known.timezone,
        revenue_minor=known.revenue_minor,
        revenue_currency=known.revenue_currency,
        transaction_id=known.transaction_id,
    )
