"""From outcomes to commissions: what an outcome earns, and what a later revision changes."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from attribune.ledger import qualify
from attribune.ledger.clerk import About, Grant, Why
from attribune.ledger.desk import CANDIDATE
from attribune.ledger.known import Booked, Candidate, Deed, Known
from attribune.ledger.ladder import SLOT_MAX
from attribune.ledger.numbers import converted
from attribune.ledger.offers import Terms
from attribune.ledger.reading import about_known, about_told, is_same, known_of
from attribune.ledger.taking_back import TakingBack
from attribune.ledger.told import Told, is_undoing
from attribune.ledger.ways import Step, Way
from attribune.ledger.when import due_ms


class Priced(Struct, frozen=True, gc=False):
    """An offer that counts an outcome, and the revenue in the offer's currency."""

    way: Way
    base_minor: int
    rate: str


class Booking(TakingBack):
    """Takes outcomes in, one after the other."""

    def take(self, told: Told) -> None:
        """Book an outcome, or what a later revision of it changes; one that was told before changes nothing."""
        known = self._known(told.key)
        if known is not None:
            if told.revision > known.revision:
                self._revise(told, known)
            return
        undoes = is_undoing(told)
        if undoes:
            self._undo(told)
        ways = self._agreed.ways(told)
        # A later revision is remembered though it earns nothing, so that an earlier one told after it does not either.
        if ways or undoes or told.revision > 1:
            self._book(told, ways)

    def again(self, told: Told) -> None:
        """Book an outcome that a missing rate held, unless a later revision gave it to another; or undo what waited for one."""
        known = self._known(told.key)
        assert known is not None, "what is held is known"
        if not known.is_held:
            self._bear(told)
        elif is_same(told, known):
            told = replace(told, revision=known.revision)
            self._book(told, self._agreed.ways(told))

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

    def _book(self, told: Told, ways: tuple[Way, ...]) -> None:
        """Book an outcome of which nothing stands."""
        known = known_of(told)
        priced: list[Priced] = []
        asking: list[Terms] = []
        for way in ways:
            one = self._priced(told, way)
            if one is not None:
                priced.append(one)
            if way.terms.condition is not None:
                asking.append(way.terms)
        if len(priced) < len(ways):
            self._keep(told.key, replace(known, is_held=True))
            self._bear(told)
            return
        if asking:
            self._keep(told.key, known)
        booked: list[Booked] = []
        for one in priced:
            booked += self._grant(told, one)
        if asking:
            # What it counts for as a deed was kept meanwhile.
            standing = self._known(told.key)
            assert standing is not None, "kept above"
            known = standing
        self._keep(told.key, known.with_booked(tuple(booked)))
        for terms in asking:
            self._look_again(told, terms)
        self._bear(told)

    def _priced(self, told: Told, way: Way) -> Priced | None:
        """The revenue in the offer's currency; None when a rate is missing, and then it is held."""
        currency = way.terms.offer.currency
        base = told.revenue_currency
        if not told.revenue_minor or not way.needs_revenue:
            return Priced(way, 0, "")
        if base == currency:
            return Priced(way, told.revenue_minor, "")
        at = told.day.isoformat()
        rate = self._agreed.rates.of(at, base, currency)
        if rate is None:
            self._held.hold(at, base, currency, told)
            return None
        found = converted(told.revenue_minor, base, currency, rate)
        # What lies beyond has no room in any tally, however far it lies.
        bounded = max(-SLOT_MAX - 1, min(SLOT_MAX + 1, found))
        return Priced(way, bounded, str(rate))

    def _grant(self, told: Told, priced: Priced) -> list[Booked]:
        """Book what an outcome counts for under one offer."""
        way = priced.way
        terms = way.terms
        is_waiting, due = False, due_ms(terms.offer, told.timezone, told.at_ms)
        if terms.condition is not None:
            if told.name == terms.condition.event:
                self._deed(told, terms, priced.base_minor)
            if told.name == terms.offer.event:
                if not self._anchor(told, terms):
                    return []
                is_waiting = True
                due = qualify.expires_ms(terms.condition, told.at_ms, self._desk.meta.now_ms)
        about = about_told(told, priced.rate, way.lost)
        found: list[Booked] = []
        for step in way.steps:
            found += self._clerk.earn(
                about, _grant_of(told, priced, step, due, is_waiting=is_waiting)
            )
        return found

    def _revise(self, told: Told, known: Known) -> None:
        """Take in a later revision: what stays as it was stays, else it is undone and booked anew."""
        if is_same(told, known):
            self._keep(told.key, replace(known, revision=told.revision))
            return
        self._strip(told.key, known, Why(f"r{told.revision}", told.cause, told.judged_at_ms))
        self._book(told, self._agreed.ways(told))

    def _anchor(self, told: Told, terms: Terms) -> bool:
        """Let a conversion wait for its person; one commission a person, so a second one has none."""
        name = qualify.key(terms.offer.id, told.product, told.player)
        found = self._candidate(name)
        if found.anchor not in {None, told.key}:
            return False
        found = replace(found, anchor=told.key, anchor_at_ms=told.at_ms)
        self._desk.put(CANDIDATE, name, found)
        return True

    def _deed(self, told: Told, terms: Terms, amount_minor: int) -> None:
        name = qualify.key(terms.offer.id, told.product, told.player)
        deed = Deed(told.at_ms, told.key, amount_minor)
        self._desk.put(CANDIDATE, name, qualify.with_deed(self._candidate(name), deed))
        known = self._known(told.key)
        assert known is not None, "an outcome is kept before its deeds"
        self._keep(told.key, replace(known, deeds=(*known.deeds, name)))

    def _look_again(self, told: Told, terms: Terms) -> None:
        """Let who has done what was asked qualify."""
        name = qualify.key(terms.offer.id, told.product, told.player)
        found = self._candidate(name)
        known = self._known(found.anchor) if found.anchor else None
        if known is None or found.anchor is None:
            return
        about = about_known(found.anchor, known)
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


def _grant_of(told: Told, priced: Priced, step: Step, due: int, *, is_waiting: bool) -> Grant:
    assert told.partner is not None, "only who is credited fits an offer"
    return Grant(
        priced.way.terms,
        step.number,
        step.deal,
        step.ladder,
        told.partner,
        step.window,
        priced.way.cell,
        step.share(told, priced.base_minor),
        priced.base_minor,
        due,
        is_waiting,
    )
