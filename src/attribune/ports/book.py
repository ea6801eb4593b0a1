"""What partners are owed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from attribune.model.book import Entry as BookEntry
from attribune.model.book import Line, LineState
from attribune.model.ids import (
    Position,
)
from attribune.model.unmeasured import NOT_MEASURED as NOT_MEASURED  # noqa: PLC0414 - doors find it here


class Taken(NamedTuple):
    """The lines that a statement takes: those of a partner that are approved, on no statement, and due by a month."""

    statement: str
    partner: str
    currency: str
    month: int


class Moved(NamedTuple):
    """Where a line stands from now on: its state, when it is due, and the month of that."""

    outcome: str
    state: LineState
    due_ms: int
    month: int


class BookWrites(NamedTuple):
    """What is written into the book together: lines and entries are added, states are put or (None) taken away."""

    lines: Sequence[Line] = ()
    entries: Sequence[BookEntry] = ()
    #: Kind, key and what is remembered under them, each pair once; quickest in the order of kind and key.
    states: Sequence[tuple[int, str, bytes | None]] = ()
    #: By line.
    moved: Mapping[str, Moved] = MappingProxyType({})
    taken: Sequence[Taken] = ()


class LinesWanted(NamedTuple):
    """Which lines are asked for; what is None is all."""

    partner: str | None = None
    currency: str | None = None
    #: The statement they stand on.
    statement: str | None = None
    outcome: str | None = None


class KeptLine(NamedTuple):
    """A line as it stands: its number in the order of booking, itself, and the statement it is on."""

    number: int
    line: Line
    statement: str | None


class Book(Protocol):
    """What partners are owed: lines, entries, balances, and what the bookkeeper remembers. One writer; the rest reads."""

    def position(self) -> Position:
        """Up to which entry of the journal it is complete."""
        ...

    def states(self, kind: int, keys: Collection[str]) -> dict[str, bytes]:
        """What is remembered under these keys, as far as it is; few questions for many keys."""
        ...

    def due(self, state: LineState, until_ms: int, limit: int) -> list[Line]:
        """Up to ``limit`` lines in a state that are due by a moment, ordered by (when, id)."""
        ...

    def next_due(self, state: LineState) -> int | None:
        """When the next line in a state is due; None when none is."""
        ...

    def untaken(self, partner: str, month: int) -> dict[str, tuple[int, int]]:
        """By currency: how many approved lines due by a month no statement has taken, and their sum."""
        ...

    def commit(self, writes: BookWrites, position: Position) -> None:
        """Write all of it and move the position, all or nothing.

        Lines and entries that stand already are left, and balances count each entry once.
        """
        ...

    def lines(self, wanted: LinesWanted, after: int, limit: int) -> list[KeptLine]:
        """Up to ``limit`` lines behind a number, in the order of booking."""
        ...

    def entries(self, about: str | None, after: int, limit: int) -> list[tuple[int, BookEntry]]:
        """Up to ``limit`` entries behind a number, in the order of booking: of all, or about one line, statement or payout."""
        ...

    def balances(self, account: str | None = None) -> list[tuple[str, str, int]]:
        """Account, currency and what was credited less what was debited; all accounts, or those that begin with a text."""
        ...

    def close(self) -> None:
        """Let go of files and locks."""
        ...
