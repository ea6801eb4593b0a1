"""The clerk: books commissions and takes them back. Every change goes through a ladder, and every line through here.

A commission that is taken back is undone to the minor unit by a reversal; when tiers, caps or carries make others worth something
else thereby, a line of kind ``retier`` brings the period to what still stands.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from attribune.ledger import ladder as ladder_
from attribune.ledger.agreed import Agreed
from attribune.ledger.desk import LADDER, Desk
from attribune.ledger.known import Booked, ladder_key
from attribune.ledger.ladder import Delta, Share
from attribune.ledger.numbers import EXACT, rounded
from attribune.ledger.offers import DealTerms, Terms
from attribune.ledger.tree import ancestors
from attribune.ledger.when import month_of
from attribune.model.book import (
    EXPENSE,
    NEVER_MS,
    ROUNDING,
    Entry,
    Line,
    LineKind,
    LineState,
    Place,
    account,
    commission_id,
    entry,
)
from attribune.model.offer import DealKind, LevelBase, PartialRefund
from attribune.ports import Moved

#: What an entry says of a line without a cause.
_CAUSES: Final = {kind: kind.value for kind in LineKind}


class About(Struct, frozen=True, gc=False):
    """What a line says of the outcome that it is about."""

    key: str
    revision: int
    event: str
    at_ms: int
    timezone: str
    revenue_minor: int = 0
    revenue_currency: str = ""
    transaction_id: str | None = None
    rate: str = ""
    rate_day: str = ""
    lost: tuple[str, ...] = ()


class Why(Struct, frozen=True, gc=False):
    """Why something is taken back, and when."""

    #: Makes the ids of what is written, so each reason has its own.
    tag: str
    cause: str
    at_ms: int


class Grant(Struct, frozen=True, gc=False):
    """What an outcome earns under one deal."""

    terms: Terms
    #: Which of the offer's deals, and what it says at this level.
    number: int
    deal: DealTerms
    #: The key of the ladder that it stands on.
    ladder: str
    partner: str
    window: str
    cell: str
    share: Share
    base_minor: int
    due_ms: int
    is_waiting: bool
    level: int = 0
    below: str | None = None


def deal_of(terms: Terms, deal: int, level: int) -> DealTerms:
    """The deal that a ladder is climbed under; up the tree it is a share of what is below."""
    own = terms.deals[deal]
    if level == 0:
        return own
    return DealTerms(kind=DealKind.REVSHARE, share=terms.levels[level - 1].share, period=own.period)


def up_share(amount_minor: int) -> Share:
    """What counts up the tree."""
    return (("s:", amount_minor),)


class Clerk:
    """Writes lines on the desk."""

    def __init__(self, desk: Desk, agreed: Agreed) -> None:
        """Take the desk and what was agreed."""
        self._desk = desk
        self._agreed = agreed

    def earn(self, about: About, grant: Grant) -> list[Booked]:
        """Book what an outcome earns, and the shares of those up the tree.

        A stranger's number that no book could hold earns nothing.
        """
        own = self._earn(about, grant)
        if own is None:
            return []
        terms = grant.terms
        if not terms.levels:
            return [own]
        found = [own]
        above = ancestors(self._agreed.parents, grant.partner, len(terms.levels))
        for level, partner in enumerate(above, 1):
            of = terms.levels[level - 1].of
            amount = own.base_minor if of is LevelBase.REVENUE else own.amount_minor
            up = replace(
                grant,
                deal=deal_of(terms, grant.number, level),
                ladder=ladder_key(
                    terms.offer.id, terms.version, grant.number, level, partner, grant.partner
                ),
                level=level,
                partner=partner,
                below=grant.partner,
                share=up_share(amount),
                cell="",
            )
            booked = self._earn(about, up)
            if booked is not None:
                found.append(booked)
        return found

    def take_back(self, about: About, all_: tuple[Booked, ...], why: Why) -> None:
        """Undo commissions of an outcome, whole."""
        for booked in all_:
            self._reverse(about, booked, why)

    def reduce(
        self, about: About, all_: tuple[Booked, ...], undone_minor: int, why: Why
    ) -> tuple[Booked, ...]:
        """Undo a part of an outcome's revenue; what its commissions are then."""
        found: list[Booked] = []
        own: dict[tuple[str, int], Booked] = {}
        for booked in all_:
            below = own.get((booked.offer, booked.deal))
            share = self._reduced(booked, below, about.revenue_minor, undone_minor)
            booked = self._lessen(about, booked, share, why)  # noqa: PLW2901 - the same, as it stands now
            if booked.level == 0:
                own[booked.offer, booked.deal] = booked
            found.append(booked)
        return tuple(found)

    def qualify(self, about: About, booked: Booked, due_ms: int) -> Booked:
        """A person has done what was asked: the commission goes its usual way."""
        for line in booked.lines:
            self._move(about, line, LineState.PENDING, due_ms)
        return replace(booked, due_ms=due_ms, is_waiting=False)

    def _earn(self, about: About, grant: Grant) -> Booked | None:
        """Book one commission; None when its period has no room for it."""
        ladder = self._desk.ladder(grant.ladder)
        if not ladder_.has_room(ladder, grant.window, grant.share):
            return None
        terms = grant.terms
        deltas = ladder_.change(grant.deal, ladder, grant.window, grant.cell, grant.share)
        self._desk.put(LADDER, grant.ladder, ladder)
        due_ms = grant.due_ms
        state = LineState.WAITING if grant.is_waiting else self._state(due_ms)
        first = deltas[0]
        booked = Booked(
            terms.offer.id,
            terms.version,
            grant.number,
            grant.level,
            grant.partner,
            grant.below,
            terms.offer.currency,
            grant.window,
            grant.cell,
            grant.share,
            grant.base_minor,
            first.amount_minor,
            first.own_minor,
            (),
            due_ms,
            grant.is_waiting,
        )
        line = self._write(about, booked, LineKind.EARN, first, state, due_ms)
        if len(deltas) > 1:
            self._retier(about, booked, deltas[1:], Why("", "retier", about.at_ms))
        return replace(booked, lines=(line,))

    def _reverse(self, about: About, booked: Booked, why: Why) -> None:
        """Undo a commission to the minor unit, and bring its period to what stands without it."""
        minus = tuple((slot, -number) for slot, number in booked.share)
        first, *others = self._change(booked, minus)
        due_ms = self._due(booked, why)
        state = LineState.VOID if booked.is_waiting else self._state(due_ms)
        undone = Delta(booked.window, -booked.amount_minor, -booked.own_minor)
        self._write(about, booked, LineKind.REVERSAL, undone, state, due_ms, why)
        if booked.is_waiting:
            for line in booked.lines:
                self._move(about, line, LineState.VOID, NEVER_MS)
        left = first.amount_minor + booked.amount_minor
        self._retier(about, booked, [Delta(booked.window, left, left), *others], why)

    def _lessen(self, about: About, booked: Booked, share: Share, why: Why) -> Booked:
        """Let a commission count for less; the difference is a reversal of its own."""
        diff = difference(booked.share, share)
        if not diff:
            return booked
        first, *others = self._change(booked, diff)
        due_ms = booked.due_ms if booked.is_waiting else self._due(booked, why)
        state = LineState.WAITING if booked.is_waiting else self._state(due_ms)
        line = self._write(about, booked, LineKind.REVERSAL, first, state, due_ms, why)
        self._retier(about, booked, others, why)
        return replace(
            booked,
            share=share,
            amount_minor=booked.amount_minor + first.amount_minor,
            own_minor=booked.own_minor + first.own_minor,
            lines=(*booked.lines, line),
        )

    def _reduced(
        self, booked: Booked, below: Booked | None, revenue_minor: int, undone_minor: int
    ) -> Share:
        """What a commission counts for when a part of the revenue is undone."""
        terms = self._agreed.version(booked.offer, booked.version)
        left = booked.base_minor - rounded(booked.base_minor * undone_minor, revenue_minor)
        if booked.level:
            of = terms.levels[booked.level - 1].of
            assert below is not None, "what is up the tree stands behind what is below"
            return up_share(left if of is LevelBase.REVENUE else below.amount_minor)
        deal = terms.deals[booked.deal]
        kept = tuple(pair for pair in booked.share if pair[0][:2] != "s:" and pair[0] != "m")
        if deal.kind is DealKind.REVSHARE:
            sums = tuple((slot, left) for slot, _ in booked.share if slot[:2] == "s:")
            return (*kept, *sums)
        if deal.partial_refund is PartialRefund.KEEP:
            return booked.share
        window = self._desk.ladder(booked.ladder).windows[booked.window]
        each = ladder_.alone(deal, window, kept)
        return (*kept, ("m", rounded(each * undone_minor, revenue_minor * EXACT)))

    def _change(self, booked: Booked, share: Share) -> list[Delta]:
        terms = self._agreed.version(booked.offer, booked.version)
        deal = deal_of(terms, booked.deal, booked.level)
        ladder = self._desk.ladder(booked.ladder)
        self._desk.put(LADDER, booked.ladder, ladder)
        return ladder_.change(deal, ladder, booked.window, booked.cell, share)

    def _retier(self, about: About, booked: Booked, deltas: list[Delta], why: Why) -> None:
        """What others are worth more or less through this; those up the tree have their share of it."""
        due_ms = self._due(booked, why)
        for delta in deltas:
            if not delta.amount_minor:
                continue
            at = replace(why, tag=f"{why.tag}:retier:{delta.window}")
            self._write(about, booked, LineKind.RETIER, delta, self._state(due_ms), due_ms, at)
            self._retier_up(about, booked, delta, replace(at, tag=f"{at.tag}:up"))

    def _retier_up(self, about: About, booked: Booked, delta: Delta, why: Why) -> None:
        terms = self._agreed.version(booked.offer, booked.version)
        if booked.level or not terms.levels:
            return
        above = ancestors(self._agreed.parents, booked.partner, len(terms.levels))
        for level, partner in enumerate(above, 1):
            if terms.levels[level - 1].of is LevelBase.COMMISSION:
                up = replace(
                    booked,
                    level=level,
                    partner=partner,
                    below=booked.partner,
                    window=delta.window,
                    cell="",
                )
                deltas = self._change(up, up_share(delta.amount_minor))
                due_ms = self._due(booked, why)
                self._write(about, up, LineKind.RETIER, deltas[0], self._state(due_ms), due_ms, why)

    def _move(self, about: About, line: str, state: LineState, due_ms: int) -> None:
        month = month_of(about.timezone, due_ms)
        self._desk.move(line, Moved(about.key, state, due_ms, month))

    def _state(self, due_ms: int) -> LineState:
        is_due = due_ms <= self._desk.meta.now_ms
        return LineState.APPROVED if is_due else LineState.PENDING

    def _due(self, booked: Booked, why: Why) -> int:
        """What undoes a commission is due with it, or when it was undone."""
        return why.at_ms if booked.is_waiting else max(booked.due_ms, why.at_ms)

    def _write(
        self,
        about: About,
        booked: Booked,
        kind: LineKind,
        delta: Delta,
        state: LineState,
        due_ms: int,
        why: Why | None = None,
    ) -> str:
        """Put a line and its entries on the desk; the line's id."""
        commission = commission_id(about.key, booked.offer, booked.deal, booked.level)
        id_ = f"{commission}:{about.revision}"
        if why is not None:
            id_ = f"{id_}:{why.tag}"
        line = Line(
            id_,
            commission,
            kind,
            state,
            booked.partner,
            booked.offer,
            booked.version,
            booked.deal,
            booked.level,
            booked.below,
            about.key,
            about.event,
            about.at_ms,
            delta.window,
            delta.amount_minor,
            booked.currency,
            due_ms,
            month_of(about.timezone, due_ms),
            "" if why is None else why.cause,
            about.revenue_minor,
            about.revenue_currency,
            about.rate,
            about.rate_day,
            about.transaction_id,
            about.lost,
            0 if why is None else why.at_ms,
        )
        self._desk.add(line, entries_of(line, delta.own_minor, why.at_ms if why else about.at_ms))
        return line.id


def difference(old: Share, new: Share) -> Share:
    """What must be added to the old share to make it the new one."""
    left = dict(new)
    for slot, number in old:
        left[slot] = left.get(slot, 0) - number
    return tuple((slot, number) for slot, number in left.items() if number)


def entries_of(line: Line, own_minor: int, at_ms: int) -> list[Entry]:
    """A line's money: what it is worth by itself from the expense, and what rounding the running total adds or takes."""
    place = Place.APPROVED if line.state is LineState.APPROVED else Place.PENDING
    to = account(line.partner, place)
    cause = line.cause or _CAUSES[line.kind]
    found = []
    if own_minor:
        found.append(entry(line.id, at_ms, EXPENSE, to, own_minor, line.currency, line.id, cause))
    rest = line.amount_minor - own_minor
    if rest:
        id_ = f"{line.id}:rounding"
        found.append(entry(id_, at_ms, ROUNDING, to, rest, line.currency, line.id, "rounding"))
    return found
