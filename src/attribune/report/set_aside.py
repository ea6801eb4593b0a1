"""Records that a mistake of ours kept from being judged: which they are, and how they are told again once it is mended.

Telling again appends the record anew, so that every outcome stays about one place; the place that it had is noted beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from attribune.model.codec import Record, decode
from attribune.model.control import Change, Retold
from attribune.model.ids import Position
from attribune.model.outcome import RefusedRecord, is_set_aside
from attribune.model.position import Entry, Topic
from attribune.model.refusal import RefusalReason
from attribune.model.touch import LinkHit
from attribune.ports import Journal

#: Most records told again at a time; the oldest are.
RECORDS_MAX: Final = 10_000
_READ_ENTRIES: Final = 5000
#: Words that an entry must hold to be looked at, so that most need not be decoded.
_MARKS: Final = (RefusalReason.NOT_JUDGED.value.encode(), Retold.__struct_config__.tag.encode())  # type: ignore[union-attr]  # it has one


class SetAside(Struct, frozen=True, kw_only=True):
    """One of them."""

    record: str
    #: ``touch``, ``open``, ``event``, ``correct`` …
    record_type: str
    #: Where it stands in the journal.
    position: Position


def untold(journal: Journal) -> list[SetAside]:
    """Those that were not told again and still stand in the journal, oldest first and at most ``RECORDS_MAX``.

    Raises JournalUnavailable, JournalDamaged.
    """
    found: dict[Position, SetAside] = {}
    for entry in _marked(journal):
        record = decode(entry)
        if isinstance(record, RefusedRecord) and is_set_aside(record):
            found[record.about] = SetAside(
                record=record.record, record_type=record.record_type, position=record.about
            )
        elif isinstance(record, Change) and isinstance(record.record, Retold):
            for place in record.record.places:
                found.pop(place, None)
    start = journal.start()
    return [one for place, one in sorted(found.items()) if place > start][:RECORDS_MAX]


def retelling(
    journal: Journal, which: Sequence[SetAside], now_ms: int, by: str
) -> list[tuple[Topic, Record]]:
    """What must be appended, all together, for records to be judged anew. Raises JournalUnavailable, JournalDamaged."""
    again = [_again(entry, now_ms) for one in which for entry in _stands(journal, one.position)]
    note = Retold(places=tuple(one.position for one in which), by=by)
    return [*again, (Topic.CONTROL, Change(at_ms=now_ms, record=note))]


def _marked(journal: Journal) -> Iterator[Entry]:
    after = journal.start()
    while batch := journal.read((Topic.CONTROL, Topic.OUTCOMES), after, _READ_ENTRIES):
        yield from (entry for entry in batch if any(mark in entry.payload for mark in _MARKS))
        after = batch[-1].position


def _stands(journal: Journal, position: Position) -> Iterator[Entry]:
    for topic in (Topic.ACTIVITY, Topic.TOUCHES, Topic.CONTROL):
        entry = journal.get(topic, position)
        if entry is not None:
            yield entry
            return


def _again(entry: Entry, now_ms: int) -> tuple[Topic, Record]:
    """The same record, no part of its request any more: that was whole when it came."""
    record = decode(entry)
    if isinstance(record, Change):
        return entry.topic, replace(record, at_ms=now_ms)
    if isinstance(record, LinkHit):
        return entry.topic, record
    return entry.topic, replace(record, part=None)
