"""Events that wait for their device's first open: nothing is decided of them yet, so only the journal knows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from attribune.model.activity import Event
from attribune.model.codec import decode
from attribune.model.ids import START, Position
from attribune.model.position import Entry, Topic
from attribune.ports import Journal

HandleHash: TypeAlias = Callable[[str], int]

#: Newest entries of the journal that are searched: about a second when all of them must be read.
ENTRIES_MAX: Final = 100_000
#: Events that are told of, the oldest.
EVENTS_MAX: Final = 500
_READ_ENTRIES: Final = 5000


def waiting(words: Iterable[str], journal: Journal, handle_hash: HandleHash) -> Sequence[Event]:
    """The events that any of the words names and that have no outcome yet, in the journal's order.

    To be asked when the attributor has reached the journal's end: what it has not come to is taken for what waits. Raises
    JournalUnavailable, JournalDamaged.
    """
    wanted = {handle_hash(word) for word in words}
    marks = {mark for word in words for mark in _marks(word)}
    undecided: dict[Position, Event] = {}
    for entry in _newest(journal):
        if entry.topic is Topic.OUTCOMES:
            if undecided:
                undecided.pop(decode(entry).about, None)  # type: ignore[union-attr]  # every outcome is about something
        elif any(mark in entry.payload or mark in entry.payload.lower() for mark in marks):
            record = decode(entry)
            if isinstance(record, Event) and not wanted.isdisjoint(
                map(handle_hash, _names(record))
            ):
                undecided[entry.position] = record
    return list(undecided.values())[:EVENTS_MAX]


def _marks(word: str) -> set[bytes]:
    """How a word may stand in an entry, so that most entries need not be decoded."""
    word = word.strip()
    return {spelt.encode("utf-8", "surrogatepass") for spelt in (word, word.casefold())}


def _newest(journal: Journal) -> Iterator[Entry]:
    after = Position(max(START, journal.end() - ENTRIES_MAX))
    while batch := journal.read((Topic.ACTIVITY, Topic.OUTCOMES), after, _READ_ENTRIES):
        yield from batch
        after = batch[-1].position


def _names(event: Event) -> Iterator[str]:
    device = event.device
    named = (event.id, event.user_id, event.transaction_id, device and device.id)
    yield from (name for name in named if name)
    if device:
        yield from device.ids.values()
