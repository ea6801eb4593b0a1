"""The outcomes that stand already, turn by turn: what a second judgement of the same entries is compared with."""

from __future__ import annotations

from collections import deque
from itertools import zip_longest
from typing import NamedTuple

from msgspec.structs import replace

from attribune.attribute.turn import Said
from attribune.model.codec import decode, encode
from attribune.model.ids import Position, is_forgotten
from attribune.model.outcome import CreditedEvent, Held, Noted, Outcome, is_set_aside
from attribune.model.position import Topic
from attribune.ports import Journal


class Stood(NamedTuple):
    """An outcome as it stands, and where."""

    position: Position
    payload: bytes
    outcome: Outcome


class Compared(NamedTuple):
    """What of a turn's outcomes does not stand yet, and how many stand otherwise."""

    missing: list[Said]
    differences: int


class Transcript:
    """Outcomes that stood in the journal when it was opened, handed out in the order of the turns that wrote them."""

    def __init__(self, journal: Journal, after: Position, end: Position, limit: int) -> None:
        """Take those after a place, up to ``end``; ``limit`` are read at a time. Raises JournalUnavailable, JournalDamaged."""
        self._journal = journal
        self._after = after
        self._end = end
        self._limit = limit
        self._read: deque[Stood] = deque()

    def of(self, turn: Position) -> list[Stood]:
        """Those that the judgement of one entry wrote. Entries must be asked for in order; what lies before is passed by."""
        found = []
        while (stood := self._next()) is not None and stood.outcome.position <= turn:
            self._read.popleft()
            found.append(stood)
        return found

    def is_at_end(self) -> bool:
        """Whether nothing stands from later turns."""
        return self._next() is None

    def _next(self) -> Stood | None:
        if not self._read and self._after < self._end:
            entries = self._journal.read((Topic.OUTCOMES,), self._after, self._limit)
            for entry in entries:
                if entry.position <= self._end:
                    outcome: Outcome = decode(entry)  # type: ignore[assignment]  # of this topic
                    self._read.append(Stood(entry.position, entry.payload, outcome))
            self._after = entries[-1].position if entries else self._end
        return self._read[0] if self._read else None


def set_aside(stood: list[Stood]) -> frozenset[Position]:
    """Places of the records that a turn set aside: they stay so, whatever has been mended since."""
    return frozenset(one.outcome.about for one in stood if is_set_aside(one.outcome))


def compare(said: list[Said], stood: list[Stood], *, is_last: bool) -> Compared:
    """A turn judged again beside what stands of it; ``is_last`` when nothing stands from later turns.

    A crash may have kept the last outcomes from being written: those are missing. All else that does not stand as it is said
    is a difference. Version 0.1.0 did not say that an event waits, nor how many units it was, nor what a consent leaves in force;
    where such a word is missing, nothing is.
    """
    if not is_last and not any(isinstance(one.outcome, Held) for one in stood):
        said = [one for one in said if not isinstance(one.outcome, Held)]
    # What others' turns said of people who were forgotten and scrubbed is not said again.
    taken = {one.payload for one in said}
    stood = [one for one in stood if one.payload in taken or not _is_forgotten(one.outcome)]
    pairs = list(zip_longest(said, stood))
    differences = sum(
        new is None or not _is_same(new, old) for new, old in pairs if old is not None
    )
    missing = said[len(stood) :]
    if is_last:
        return Compared(missing, differences)
    return Compared([], differences + len(missing))


def _is_forgotten(outcome: Outcome) -> bool:
    return outcome.device is not None and is_forgotten(outcome.device)


def _is_same(new: Said, old: Stood) -> bool:
    """Whether an outcome comes out as it stands, but for what its version did not say."""
    if new.payload == old.payload:
        return True
    now, then = new.outcome, old.outcome
    if isinstance(now, CreditedEvent) and isinstance(then, CreditedEvent):
        return then.quantity is None and encode(replace(now, quantity=None)) == old.payload
    if isinstance(now, Noted) and isinstance(then, Noted):
        return then.shares is None and encode(replace(now, shares=None)) == old.payload
    return False
