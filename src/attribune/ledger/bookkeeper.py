"""The bookkeeper: takes outcomes and changes in the journal's order, and makes the book of them.

Time is the journal's: the latest moment that an entry said. What is due is approved under its own day, so it does not matter when
that is done, and it is done after each batch. Whose time to qualify is over loses before the next entry is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attribune.ledger import payout, statements
from attribune.ledger.agreed import Agreed
from attribune.ledger.booking import Booking
from attribune.ledger.clerk import Why
from attribune.ledger.desk import CANDIDATE, KNOWN, LADDER, TRANSACTION, Desk
from attribune.ledger.held import Held
from attribune.ledger.known import Known, Transaction
from attribune.ledger.qualify import key as candidate_key
from attribune.ledger.reading import undone_by
from attribune.ledger.told import Told, is_undoing, told, told_elsewhere
from attribune.model.book import LineState, Place, account, entry
from attribune.model.control import Change
from attribune.model.ids import Position
from attribune.model.offer import (
    PayoutMade,
    PayoutSettled,
    RatesSet,
    Reversed,
    StatementClosed,
)
from attribune.model.outcome import UNDOING, Attribution, CreditedEvent, ForeignCredited, Outcome
from attribune.ports import Book

#: Lines that are approved, or expire, at a time.
DUE_MAX: Final = 2000

Entry = tuple[Position, Change | Outcome]


class Bookkeeper:
    """Makes the book; begin it anew when a commit has failed."""

    def __init__(self, book: Book, agreed: Agreed) -> None:
        """Go on from where the book stands; ``agreed`` holds every change up to there."""
        self.agreed = agreed
        self.desk = Desk(book)
        self._booking = Booking(self.desk, agreed)
        self._held = Held(self.desk, agreed)

    def take(self, entries: Sequence[Entry]) -> None:
        """Book entries that stand behind each other in the journal, and commit."""
        begin = 0
        for place, (position, record) in enumerate(entries):
            if isinstance(record, Change):
                self._take_outcomes(entries[begin:place])
                begin = place + 1
                self._on_change(position, record)
        self._take_outcomes(entries[begin:])
        if entries:
            self.desk.commit(entries[-1][0])
        self.approve()

    def next_due(self) -> int | None:
        """The next moment at which something happens though nothing is told."""
        found = self.desk.book.next_due(LineState.PENDING)
        expires = self.desk.book.next_due(LineState.WAITING)
        return min((at for at in (found, expires) if at is not None), default=None)

    def approve(self) -> None:
        """Approve every line that is due; nothing may lie on the desk."""
        desk = self.desk
        while True:
            lines = desk.book.due(LineState.PENDING, desk.meta.now_ms, DUE_MAX)
            for line in lines:
                desk.approve(line)
                if line.amount_minor:
                    desk.enter(
                        [
                            entry(
                                f"{line.id}:approved",
                                line.due_ms,
                                account(line.partner, Place.PENDING),
                                account(line.partner, Place.APPROVED),
                                line.amount_minor,
                                line.currency,
                                line.id,
                                "approved",
                            )
                        ]
                    )
            if lines:
                desk.commit(desk.position)
            if len(lines) < DUE_MAX:
                return

    def _take_outcomes(self, entries: Sequence[Entry]) -> None:
        """Take outcomes with no change between them, so that all are read under the same."""
        tales = [self._told(record) for _, record in entries]  # type: ignore[arg-type]  # none is a change
        self._load([tale for tale in tales if tale is not None])
        meta, take = self.desk.meta, self._booking.take
        for (position, record), tale in zip(entries, tales, strict=True):
            at_ms = record.judged_at_ms  # type: ignore[union-attr]  # none is a change
            if at_ms > meta.now_ms or meta.expires_ms <= meta.now_ms:
                self._pass(at_ms, position)
            if tale is not None:
                take(tale)

    def _told(self, record: Outcome) -> Told | None:
        """What the book takes of an entry, when any offer counts such a thing."""
        if isinstance(record, CreditedEvent):
            if record.name not in UNDOING and not self.agreed.counts(record.name):
                return None
        elif isinstance(record, ForeignCredited):
            return self._told_elsewhere(record)
        elif not isinstance(record, Attribution) or not self.agreed.counts(record.kind):
            return None
        return told(record, self.agreed.timezone(record.product))

    def _told_elsewhere(self, record: ForeignCredited) -> Told | None:
        """The same of another's decision, when any offer counts those of its vendor."""
        if not self.agreed.counts_of(record.vendor):
            return None
        tale = told_elsewhere(record, self.agreed.timezone(record.product))
        return tale if is_undoing(tale) or self.agreed.counts(tale.name) else None

    def _on_change(self, position: Position, change: Change) -> None:
        self._pass(change.at_ms, position)
        self.agreed.apply(change)
        record = change.record
        if isinstance(record, RatesSet):
            self._release()
        elif isinstance(record, Reversed):
            self._booking.by_hand(
                record.outcome, Why(f"hand{position}", record.reason, change.at_ms)
            )
        elif isinstance(record, StatementClosed):
            self._settle(position)
            statements.close(self.desk, self.agreed, record, change.at_ms)
            # At once: what is booked behind it, though in this batch, is not the statement's.
            self.desk.commit(position)
        elif isinstance(record, PayoutMade):
            payout.make(self.desk, record, change.at_ms)
        elif isinstance(record, PayoutSettled):
            payout.settle(self.desk, record, change.at_ms)

    def _release(self) -> None:
        """Book what waited for the rates that came."""
        for one in self._held.release():
            if is_undoing(one):
                self._booking.undo_again(one)
            self._booking.again(one)

    def _pass(self, at_ms: int, position: Position) -> None:
        """Let time pass up to an entry, before it is taken."""
        meta = self.desk.meta
        meta.now_ms = max(meta.now_ms, at_ms)
        if meta.expires_ms <= meta.now_ms:
            self._expire(position)

    def _expire(self, position: Position) -> None:
        """Whose time to qualify is over loses the commission."""
        desk = self.desk
        while True:
            desk.commit(Position(position - 1))
            lines = desk.book.due(LineState.WAITING, desk.meta.now_ms, DUE_MAX)
            for line in lines:
                self._booking.expire(line.outcome, line.offer, line.due_ms)
            if len(lines) < DUE_MAX:
                break
        desk.commit(Position(position - 1))
        desk.meta.expires_ms = desk.book.next_due(LineState.WAITING) or 2**62

    def _settle(self, position: Position) -> None:
        """Let everything that is due by now be so, and stand in the book."""
        self.desk.commit(Position(position - 1))
        self.approve()

    def _load(self, tales: list[Told]) -> None:
        """Fetch what a batch will need in a few questions; what is not foreseen is fetched when it is needed."""
        if not tales:
            return
        self.desk.load(KNOWN, [tale.key for tale in tales])
        self.desk.load(TRANSACTION, [name for tale in tales for name in undone_by(tale)])
        self._load_undone(tales)
        self._load_candidates(tales)

    def _load_undone(self, tales: list[Told]) -> None:
        """What refunds undo, and the ladders that it stands on."""
        undoing = [name for tale in tales if is_undoing(tale) for name in undone_by(tale)]
        borne = self.desk.there(TRANSACTION, undoing, Transaction)
        earners = {key for one in borne for key in one.earners}
        self.desk.load(KNOWN, earners)
        earners.update(tale.key for tale in tales)
        known = self.desk.there(KNOWN, earners, Known)
        self.desk.load(LADDER, {booked.ladder for one in known for booked in one.booked})

    def _load_candidates(self, tales: list[Told]) -> None:
        asking = self.agreed.asking
        if not asking:
            return
        keys = {
            candidate_key(way.terms.offer.id, tale.product, tale.player)
            for tale in tales
            if tale.name in asking
            for way in self.agreed.ways(tale)
            if way.terms.condition is not None
        }
        self.desk.load(CANDIDATE, keys)
