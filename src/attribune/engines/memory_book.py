"""The twin of the book: what partners are owed, in dictionaries."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from attribune.model.book import Entry, Line, LineState
from attribune.model.ids import START, Position
from attribune.ports import BookWrites, KeptLine, LinesWanted, Taken


class MemoryBook:
    """A book in dictionaries."""

    def __init__(self) -> None:
        self._position = START
        self._states: dict[tuple[int, str], bytes] = {}
        self._lines: dict[str, Line] = {}
        self._entries: dict[str, Entry] = {}
        self._balances: dict[tuple[str, str], int] = {}
        self._statements: dict[str, str] = {}

    def position(self) -> Position:
        """Up to which entry of the journal it is complete."""
        return self._position

    def states(self, kind: int, keys: Collection[str]) -> dict[str, bytes]:
        """What is remembered under these keys, as far as it is."""
        found = ((key, self._states.get((kind, key))) for key in keys)
        return {key: payload for key, payload in found if payload is not None}

    def due(self, state: LineState, until_ms: int, limit: int) -> list[Line]:
        """Up to ``limit`` lines in a state that are due by a moment, ordered by (when, id)."""
        found = [one for one in self._lines.values() if one.state is state]
        found = [one for one in found if one.due_ms <= until_ms]
        return sorted(found, key=lambda line: (line.due_ms, line.id))[:limit]

    def next_due(self, state: LineState) -> int | None:
        """When the next line in a state is due; None when none is."""
        found = (line.due_ms for line in self._lines.values() if line.state is state)
        return min(found, default=None)

    def untaken(self, partner: str, month: int) -> dict[str, tuple[int, int]]:
        """By currency: how many approved lines due by a month no statement has taken, and their sum."""
        found: dict[str, tuple[int, int]] = {}
        for line in self._lines.values():
            if line.partner == partner and self._is_untaken(line, month):
                count, total = found.get(line.currency, (0, 0))
                found[line.currency] = (count + 1, total + line.amount_minor)
        return found

    def commit(self, writes: BookWrites, position: Position) -> None:
        """Write all of it and move the position."""
        for line in writes.lines:
            self._lines.setdefault(line.id, line)
        for id_, (_, state, due_ms, month) in writes.moved.items():
            line = self._lines[id_]
            self._lines[id_] = replace(line, state=state, due_ms=due_ms, month=month)
        for entry in writes.entries:
            if self._entries.setdefault(entry.id, entry) is entry:
                self._count(entry)
        for kind, key, payload in writes.states:
            if payload is None:
                self._states.pop((kind, key), None)
            else:
                self._states[kind, key] = payload
        for taken in writes.taken:
            self._take(taken)
        self._position = max(self._position, position)

    def lines(self, wanted: LinesWanted, after: int, limit: int) -> list[KeptLine]:
        """Up to ``limit`` lines behind a number, in the order of booking."""
        numbered = (
            KeptLine(number, line, self._statements.get(line.id))
            for number, line in enumerate(self._lines.values(), 1)
        )
        found = (kept for kept in numbered if kept.number > after and _is_wanted(kept, wanted))
        return [kept for kept, _ in zip(found, range(limit), strict=False)]

    def entries(self, about: str | None, after: int, limit: int) -> list[tuple[int, Entry]]:
        """Up to ``limit`` entries behind a number, in the order of booking."""
        numbered = enumerate(self._entries.values(), 1)
        found = (
            (number, one)
            for number, one in numbered
            if number > after and about in {None, one.about}
        )
        return [one for one, _ in zip(found, range(limit), strict=False)]

    def balances(self, account: str | None = None) -> list[tuple[str, str, int]]:
        """Account, currency and what was credited less what was debited."""
        found = sorted((*name, amount) for name, amount in self._balances.items())
        return [one for one in found if account is None or one[0].startswith(account)]

    def close(self) -> None:
        """Nothing to let go of."""

    def _count(self, entry: Entry) -> None:
        for account, amount in (
            (entry.debit, -entry.amount_minor),
            (entry.credit, entry.amount_minor),
        ):
            name = (account, entry.currency)
            self._balances[name] = self._balances.get(name, 0) + amount

    def _is_untaken(self, line: Line, month: int) -> bool:
        is_ready = line.state is LineState.APPROVED and line.month <= month
        return is_ready and line.id not in self._statements

    def _take(self, taken: Taken) -> None:
        for line in self._lines.values():
            is_theirs = (line.partner, line.currency) == (taken.partner, taken.currency)
            if is_theirs and self._is_untaken(line, taken.month):
                self._statements[line.id] = taken.statement


def _is_wanted(kept: KeptLine, wanted: LinesWanted) -> bool:
    line = kept.line
    return (
        wanted.partner in {None, line.partner}
        and wanted.currency in {None, line.currency}
        and wanted.statement in {None, kept.statement}
        and wanted.outcome in {None, line.outcome}
    )
