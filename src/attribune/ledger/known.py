"""What the book remembers of an outcome: what it was worth to whom, so that it can be undone without asking anybody else."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from attribune.ledger.ladder import Share

#: So much later than its rejection an install may seem to be, by clocks and whole days. Milliseconds.
CLOCKS_MS: Final = 86_400_000
#: Two messages tell of the same touch when their times are no further apart: some say seconds. Milliseconds.
SAME_TOUCH_MS: Final = 1000


class Booked(Struct, frozen=True, gc=False, array_like=True):
    """One standing commission of an outcome."""

    offer: str
    version: int
    deal: int
    level: int
    partner: str
    below: str | None
    currency: str
    window: str
    cell: str
    #: What it counts for in its window.
    share: Share
    #: The revenue in the offer's currency, all of it.
    base_minor: int
    #: What its lines add up to now, and the same rounded by itself.
    amount_minor: int
    own_minor: int
    #: The lines that move with it.
    lines: tuple[str, ...]
    due_ms: int
    is_waiting: bool = False

    @property
    def ladder(self) -> str:
        """The ladder that it stands on."""
        return ladder_key(self.offer, self.version, self.deal, self.level, self.partner, self.below)


class Known(Struct, frozen=True, gc=False, array_like=True):
    """An outcome as the book last heard of it."""

    revision: int
    partner: str | None
    name: str
    product: str
    timezone: str
    at_ms: int
    revenue_minor: int
    revenue_currency: str
    player: str
    transaction_id: str | None
    #: A missing rate holds it; nothing of it is booked.
    is_held: bool = False
    booked: tuple[Booked, ...] = ()
    #: How much of its revenue was undone, in its own currency. Minor units.
    undone_minor: int = 0
    #: Keys of the refunds that did it.
    undone_by: tuple[str, ...] = ()
    #: Keys of the candidates that it counts for as a deed.
    deeds: tuple[str, ...] = ()
    #: Of a vendor's install: when the touch was that it credits, where it says so. Milliseconds, UTC.
    touch_at_ms: int | None = None

    def with_booked(self, booked: tuple[Booked, ...]) -> Known:
        """The same with other standing commissions."""
        return replace(self, booked=booked)


class Undoing(Struct, frozen=True, gc=False, array_like=True):
    """A refund or chargeback of a transaction."""

    key: str
    #: ``refund`` or ``chargeback``.
    name: str
    at_ms: int
    #: None takes all of it back.
    amount_minor: int | None
    currency: str
    #: Who told it, where it takes back only what the same player did.
    player: str | None = None
    #: Why a vendor rejected it; empty of others, whose name says it.
    cause: str = ""
    #: Of a rejected install: whose it was (None: it does not say), and since when an install may be that one.
    partner: str | None = None
    since_ms: int | None = None
    touch_at_ms: int | None = None

    def reaches(self, known: Known) -> bool:
        """Whether an outcome that is found by the same number or person is what it undoes."""
        if self.player not in {None, known.player}:
            return False
        if self.since_ms is None:
            return True
        is_theirs = self.partner in {None, known.partner} and self._is_touch_of(known)
        return is_theirs and self.since_ms <= known.at_ms <= self.at_ms + CLOCKS_MS

    def _is_touch_of(self, known: Known) -> bool:
        """Whether a rejected touch may be the one that won: vendors reject one, and let the next of the same partner win."""
        if self.touch_at_ms is None or known.touch_at_ms is None:
            return True
        return abs(self.touch_at_ms - known.touch_at_ms) <= SAME_TOUCH_MS


class Transaction(Struct, frozen=True, gc=False, array_like=True):
    """Who bears a transaction number: the events that it names, and those that undo them."""

    earners: tuple[str, ...] = ()
    undoings: tuple[Undoing, ...] = ()


class Deed(Struct, frozen=True, gc=False, array_like=True):
    """Something that a person did towards qualifying."""

    at_ms: int
    key: str
    amount_minor: int


class Candidate(Struct, frozen=True, gc=False, array_like=True):
    """A person on the way to qualify under an offer."""

    #: The conversion that waits for it, and its moment.
    anchor: str | None = None
    anchor_at_ms: int = 0
    deeds: tuple[Deed, ...] = ()


class Chain(Struct, frozen=True, gc=False, array_like=True):
    """Where a partner's statements in one currency have come to."""

    statement: str | None = None
    period: str = ""
    closing_minor: int = 0
    #: Paid since the newest statement was closed.
    payments_minor: int = 0
    #: The payout under way for it.
    payout: str | None = None


class Meta(Struct, array_like=True):
    """What the bookkeeper remembers of itself. Not frozen: time moves on with every entry."""

    #: The journal's time: the latest that any entry said.
    now_ms: int = 0
    #: The next moment at which somebody's time to qualify is over.
    expires_ms: int = 2**62


def ladder_key(
    offer: str, version: int, deal: int, level: int, partner: str, below: str | None
) -> str:
    """The key of a ladder. An offer's id has no such separator in it."""
    return f"{offer}|{version}|{deal}.{level}|{partner}|{below or ''}"
