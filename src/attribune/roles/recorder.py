"""The recorder: reads touches, outcomes and refusals from the journal and writes fact rows, each exactly once.

Every row carries the place of the entry it came from, all rows of an entry are written in one insert, and an insert is all
or nothing. So the highest place in the facts says what has been written, and that is where a new recorder goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from attribune.model import scrub
from attribune.model.codec import Record, decode
from attribune.model.control import Change
from attribune.model.fact import Fact, Forgotten
from attribune.model.ids import Position
from attribune.model.outcome import Noted, RefusedRecord
from attribune.model.position import Entry, Topic
from attribune.model.touch import LinkHit, Touch
from attribune.pipeline import RECORD
from attribune.ports import Enricher, Facts, Journal
from attribune.record.facts import Lookups, ReadTouch, closes_at_ms, facts_of
from attribune.registry.view import Registry
from attribune.report.audit import Scope
from attribune.roles.base import Patience
from attribune.settings import Settings

#: Addresses whose country is remembered; some 10 MB.
_COUNTRIES_MAX: Final = 65_536


def lookups_for(
    journal: Journal,
    registry: Registry,
    enricher: Enricher,
    read_touch: ReadTouch,
    settings: Settings,
) -> Lookups:
    """What rows are made with: the same for the recorder, a rebuild and the audit."""

    def touch_at(position: Position) -> LinkHit | Touch | None:
        entry = journal.get(Topic.TOUCHES, position)
        return decode(entry) if entry else None  # type: ignore[return-value]  # the topic says which

    def happened_at_ms(position: Position) -> int | None:
        entry = journal.get(Topic.ACTIVITY, position)
        return decode(entry).occurred_at_ms if entry else None  # type: ignore[union-attr]  # as above

    return Lookups(
        directory=registry,
        read_touch=read_touch,
        touch_at=touch_at,
        happened_at_ms=happened_at_ms,
        country=lru_cache(maxsize=_COUNTRIES_MAX)(enricher.country),
        day_closes_after_hours=settings.day_closes_after_hours,
    )


def audit_scope(
    journal: Journal,
    facts: Facts,
    lookups: Lookups,
    *,
    attributor_position: Position,
    recorder_position: Position,
    differences: int = 0,
    decisions_repeat: Callable[[], Sequence[str]] | None = None,
) -> Scope:
    """What the audit works with; ``lookups`` must know every change up to the journal's end.

    Ask the consumers for their positions before, so that the audit judges only what they have handled.
    """
    return Scope(
        journal=journal,
        facts=facts,
        directory=lookups.directory,
        facts_of=lambda position, record: facts_of(position, record, lookups),
        closes_at_ms=lambda fact: closes_at_ms(fact, lookups),
        attributor_position=attributor_position,
        recorder_position=recorder_position,
        differences=differences,
        decisions_repeat=decisions_repeat,
    )


@dataclass(slots=True)
class _Insert:
    """Rows that go into the facts together, and about how large they are."""

    rows: list[Fact] = field(default_factory=list)
    bytes: int = 0
    #: Who is forgotten by entries among these.
    forgotten: list[Forgotten] = field(default_factory=list)


class RecorderRole:
    """Writes what the journal says into the facts. The only writer of them."""

    name = "recorder"

    def __init__(
        self,
        journal: Journal,
        facts: Facts,
        registry: Registry,
        lookups: Lookups,
        settings: Settings,
    ) -> None:
        """Take the parts; ``registry`` is this role's own view and the directory of ``lookups``."""
        self._journal = journal
        self._facts = facts
        self._registry = registry
        self._lookups = lookups
        self._settings = settings
        self._read: Position | None = None
        self._entries = 0
        self._rows = 0
        self._patience = Patience()

    def position(self) -> Position:
        """Up to which entry the facts are complete."""
        return self._facts.position() if self._read is None else self._read

    def step(self) -> int:
        """Read as many entries as one insert takes, write their rows; how many entries.

        An insert takes ``record_rows_max`` rows, and rows of ``facts_insert_bytes_max`` bytes of entries.

        Raises JournalDamaged, JournalUnavailable, StoreUnavailable; then nothing was written and the next step reads the
        same entries again.
        """
        after = self._start() if self._read is None else self._read
        end = self._journal.end()
        limit = self._settings.read_entries_max
        insert = _Insert()
        entries, taken = 0, limit
        while taken == limit:
            batch = self._journal.read(RECORD.reads, after, limit)
            taken = self._take(batch, insert)
            entries += taken
            after = batch[taken - 1].position if taken else after
        if taken == len(
            batch
        ):  # nothing of these topics is left, whatever else stands up to the end
            after = max(after, end)
        if insert.forgotten:  # before the row that says so, which would not be read again
            self._facts.forget(insert.forgotten)
            insert.rows = [scrub.fact(row, insert.forgotten) for row in insert.rows]
        if insert.rows:
            self._facts.insert(insert.rows)
        self._read = after
        self._entries += entries
        self._rows += len(insert.rows)
        return entries

    def run(self, stop: threading.Event) -> None:
        """Step until told to stop, gathering rows for ``record_wait_ms`` between inserts.

        What cannot be read or written now, as on a full disk, is tried again for a while.
        """
        wait_s = self._settings.record_wait_ms / 1000
        while not stop.is_set():
            taken = self._patience.step(self, stop)
            if taken is None:
                self._read = None  # an insert that failed may have been written: the facts know
            elif taken < self._settings.read_entries_max:
                stop.wait(wait_s)
        self.step()

    def state(self) -> dict[str, Any]:
        """Where the role stands."""
        if self._read is None:
            return {"is_ready": False, "last_error": self._patience.last_error}
        return {
            "last_error": self._patience.last_error,
            "position": self._read,
            "lag": max(0, self._journal.end() - self._read),
            "counters": {"entries": self._entries, "rows": self._rows},
        }

    def forget(self) -> None:
        """Forget every row, so that the next steps make them again from the journal."""
        self._facts.clear()
        self._read = None

    def _start(self) -> Position:
        """Bring the view of the registry up to the place where the facts stand."""
        start = self._facts.position()
        while self._registry.position < start:
            changes = self._journal.read(
                (Topic.CONTROL,), self._registry.position, self._settings.read_entries_max
            )
            for entry in changes:
                self._learn(entry)
            if not changes or changes[-1].position >= start:
                break
        return start

    def _take(self, batch: list[Entry], insert: _Insert) -> int:
        """Add the rows of entries until an entry's rows no longer fit; how many entries were taken."""
        rows_max, bytes_max = self._settings.record_rows_max, self._settings.facts_insert_bytes_max
        for taken, entry in enumerate(batch):
            if entry.topic is Topic.CONTROL:
                self._learn(entry)
                continue
            record = decode(entry)
            made = facts_of(entry.position, record, self._lookups)
            size = insert.bytes + len(made) * self._size(entry, record)
            if insert.rows and (len(insert.rows) + len(made) > rows_max or size > bytes_max):
                return taken
            insert.rows.extend(made)
            if isinstance(record, Noted) and record.forgets:
                said = record.forgets
                insert.forgotten.append(Forgotten(record.product, said.devices, said.touches))
            insert.bytes = size
        return len(batch)

    def _size(self, entry: Entry, record: Record) -> int:
        """The most that a row of an entry holds: its own words, or those of the touch that it takes away. Bytes."""
        touch = self._settings.record_bytes_max if isinstance(record, RefusedRecord) else 0
        return max(len(entry.payload), touch)

    def _learn(self, entry: Entry) -> None:
        change = decode(entry)
        assert isinstance(change, Change)
        self._registry.apply(entry.position, change)
