"""The bookkeeper's desk: typed access to the book, with what this batch has changed lying on top.

All that is remembered goes through here and is committed together with the place that it stands at.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeVar

import msgspec

from attribune.ledger.known import Candidate, Chain, Known, Meta, Transaction
from attribune.ledger.ladder import Ladder
from attribune.ledger.told import Told
from attribune.model.book import Entry, Line, LineState, Payout, Statement
from attribune.model.ids import Position
from attribune.ports import Book, BookWrites, Moved, Taken

# What is remembered, by kind.
META: Final = 1
KNOWN: Final = 2
LADDER: Final = 3
TRANSACTION: Final = 4
CANDIDATE: Final = 5
#: Outcomes that wait for a rate, by day, pair and number.
HELD: Final = 6
CHAIN: Final = 7
STATEMENT: Final = 8
#: Ids of a partner's statements, oldest first.
STATEMENTS: Final = 9
PAYOUT: Final = 10
#: Ids of all payouts, oldest first.
PAYOUTS: Final = 11
#: Days and pairs that something is held for, with how much.
HELD_FOR: Final = 12

#: Ladders that stay on the desk from batch to batch; when there are more, all are put away.
_LADDERS_MAX: Final = 4096

T = TypeVar("T")
_encode: Final = msgspec.msgpack.Encoder().encode
_KINDS: Final[dict[int, msgspec.msgpack.Decoder[Any]]] = {
    META: msgspec.msgpack.Decoder(Meta),
    KNOWN: msgspec.msgpack.Decoder(Known),
    LADDER: msgspec.msgpack.Decoder(Ladder),
    TRANSACTION: msgspec.msgpack.Decoder(Transaction),
    CANDIDATE: msgspec.msgpack.Decoder(Candidate),
    HELD: msgspec.msgpack.Decoder(Told),
    CHAIN: msgspec.msgpack.Decoder(Chain),
    STATEMENT: msgspec.msgpack.Decoder(Statement),
    STATEMENTS: msgspec.msgpack.Decoder(tuple[str, ...]),
    PAYOUT: msgspec.msgpack.Decoder(Payout),
    PAYOUTS: msgspec.msgpack.Decoder(tuple[str, ...]),
    HELD_FOR: msgspec.msgpack.Decoder(dict[str, int]),
}


class Desk:
    """The book as this batch sees it."""

    def __init__(self, book: Book) -> None:
        """Go on from where the book stands."""
        self.book = book
        self.position = book.position()
        #: By kind, then by key: what was loaded or changed; None is not there.
        self._held: dict[int, dict[str, Any]] = {kind: {} for kind in _KINDS}
        self._dirty: dict[int, set[str]] = {kind: set() for kind in _KINDS}
        self._lines: list[Line] = []
        self._entries: list[Entry] = []
        self._moved: dict[str, Moved] = {}
        self._taken: list[Taken] = []
        self.meta: Meta = self.get(META, "", Meta) or Meta()

    def get(self, kind: int, key: str, _type: type[T]) -> T | None:
        """What is remembered under a key."""
        held: dict[str, T | None] = self._held[kind]
        try:
            return held[key]
        except KeyError:
            self.load(kind, (key,))
            return held[key]

    def load(self, kind: int, keys: Iterable[str]) -> None:
        """Fetch what is remembered under many keys at once."""
        held = self._held[kind]
        missing = {key for key in keys if key not in held}
        if not missing:
            return
        found = self.book.states(kind, missing)
        held.update(dict.fromkeys(missing - found.keys()))
        decode = _KINDS[kind].decode
        held.update((key, decode(payload)) for key, payload in found.items())

    def there(self, kind: int, keys: Iterable[str], _type: type[T]) -> list[T]:
        """What is remembered under those of these keys that were loaded."""
        held: dict[str, T | None] = self._held[kind]
        return [found for key in keys if (found := held.get(key)) is not None]

    def put(self, kind: int, key: str, value: object) -> None:
        """Remember it; None forgets it."""
        self._held[kind][key] = value
        self._dirty[kind].add(key)

    def ladder(self, key: str) -> Ladder:
        """A ladder; one that nobody has climbed yet is empty, and put back by who does."""
        found = self.get(LADDER, key, Ladder)
        return Ladder() if found is None else found

    def add(self, line: Line, entries: Iterable[Entry]) -> None:
        """Book a line."""
        self._lines.append(line)
        self._entries += entries
        if line.state is LineState.WAITING:
            self.meta.expires_ms = min(self.meta.expires_ms, line.due_ms)

    def enter(self, entries: Iterable[Entry]) -> None:
        """Book entries that have no line of their own."""
        self._entries += entries

    def move(self, line: str, moved: Moved) -> None:
        """Say where a line stands from now on."""
        self._moved[line] = moved

    def approve(self, line: Line) -> None:
        """A line is due; its day stays."""
        self._moved[line.id] = Moved(line.outcome, LineState.APPROVED, line.due_ms, line.month)

    def take(self, taken: Taken) -> None:
        """Let a statement take its lines."""
        self._taken.append(taken)

    def commit(self, position: Position) -> None:
        """Write what has changed, all or nothing, and begin with a clear desk."""
        self.put(META, "", self.meta)
        states = [
            (kind, key, None if (value := held[key]) is None else _encode(value))
            for kind, held in self._held.items()
            # In the order in which a book keeps them: neighbours share a page.
            for key in sorted(self._dirty[kind])
        ]
        self.book.commit(
            BookWrites(self._lines, self._entries, states, self._moved, self._taken), position
        )
        self.position = position
        # Ladders stay on the desk as they were written: each batch climbs the same.
        ladders = self._held[LADDER]
        self._held[LADDER] = {}
        self.clear()
        if len(ladders) <= _LADDERS_MAX:
            self._held[LADDER] = ladders

    def clear(self) -> None:
        """Forget what was loaded and what was not committed, but the bookkeeper's own clock."""
        for kind, held in self._held.items():
            held.clear()
            self._dirty[kind].clear()
        self._lines, self._entries, self._moved, self._taken = [], [], {}, []
