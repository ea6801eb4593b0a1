"""Audit: whether the numbers of a whole data folder add up, from what came in to what the reports say.

What was pruned is not judged: the report says from where on it judges, and a check that needs the beginning says that it could
not be made. One pass over the journal feeds every check; a check keeps a few bytes a record (never the records themselves), so that tens
of millions fit into memory. What lies beyond the places that the attributor and the recorder have reached is lag and
not judged, so an audit may run under traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, get_args

from msgspec import Struct

from attribune.model.activity import Activity
from attribune.model.codec import Record, decode
from attribune.model.delivery import Delivery
from attribune.model.fact import Fact
from attribune.model.ids import START, Position
from attribune.model.outcome import Outcome
from attribune.model.position import JUDGED, RECORDED, Entry, Topic
from attribune.model.touch import TouchRecord
from attribune.ports import Directory, Facts, Journal

#: Record types, for what a check sees.
ACTIVITY_TYPES: Final[tuple[type, ...]] = get_args(Activity)
OUTCOME_TYPES: Final[tuple[type, ...]] = get_args(Outcome)
DELIVERY_TYPES: Final[tuple[type, ...]] = get_args(Delivery)
TOUCH_TYPES: Final[tuple[type, ...]] = get_args(TouchRecord)
TOPICS: Final = tuple(Topic)
#: Findings listed by name; the rest are counted.
FOUND_MAX: Final = 20
_READ_ENTRIES: Final = 5000


class Scope(Struct, frozen=True, kw_only=True):
    """What is audited, and with what."""

    journal: Journal
    facts: Facts
    #: Every change up to the journal's end.
    directory: Directory
    #: The rows an entry gives (``record.facts.facts_of``), and when a row's booked day closes.
    facts_of: Callable[[Position, Record], Sequence[Fact]]
    closes_at_ms: Callable[[Fact], int]
    #: Up to where each consumer has read. Ask them before the audit is begun.
    attributor_position: Position
    recorder_position: Position
    #: Decisions that came out differently when they were made again after a crash.
    differences: int = 0
    #: Decides all again under the rules in force and says what differs; None leaves that check out.
    decisions_repeat: Callable[[], Sequence[str]] | None = None


class Found:
    """What a check has found, the first few by name."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.listed: list[str] = []
        self.count = 0
        #: Why the check could not be made, when it could not.
        self.not_made: str | None = None

    def say(self, sentence: str) -> None:
        """One finding more."""
        self.count += 1
        if self.count <= FOUND_MAX:
            self.listed.append(sentence)

    def sentences(self) -> list[str]:
        """The findings, and how many more there are."""
        more = self.count - len(self.listed)
        return [*self.listed, f"and {more} more"] if more else list(self.listed)


class Check(Protocol):
    """One promise, and what it takes to see whether it is kept."""

    name: str
    #: What holds when nothing is found, in one sentence.
    sentence: str

    @property
    def sees(self) -> tuple[type, ...]:
        """The types of records that it wants to see."""
        ...

    def see(self, entry: Entry, record: Record) -> None:
        """Take in the next entry of the journal that holds a record of these types."""
        ...

    def finish(self) -> Found:
        """What does not hold."""
        ...


class Result(Struct, frozen=True, kw_only=True):
    """One check's answer."""

    name: str
    ok: bool
    found: list[str]
    #: What the check promises.
    sentence: str
    #: Why it could not be made, when it could not; ``ok`` says nothing then.
    not_made: str | None = None


class AuditReport(Struct, frozen=True, kw_only=True):
    """What holds and what does not."""

    ok: bool
    checks: list[Result]
    #: Entries beyond the place that all consumers have reached, which were not judged.
    lag: int
    #: Entries that were judged.
    entries: int
    attributor_position: int
    recorder_position: int
    #: The place before the first entry that is kept, and when that came in; earlier ones were pruned and are not judged.
    start: int = START
    since_ms: int | None = None


def audit(
    scope: Scope,
    checks: Sequence[Check],
    progress: Callable[[Position, Position], None] = lambda _at, _end: None,
) -> AuditReport:
    """Pass the whole journal through the checks; ``progress`` hears the place reached and the end.

    Raises JournalDamaged, JournalUnavailable, StoreUnavailable.
    """
    start, end = scope.journal.start(), scope.journal.end()
    since_ms: int | None = None
    see: dict[type, list[Callable[[Entry, Record], None]]] = {}
    for check in checks:
        for type_ in check.sees:
            see.setdefault(type_, []).append(check.see)
    entries = behind_attributor = behind_recorder = 0
    for entry in entries_of(scope.journal, start, end, progress):
        record = decode(entry)
        if entries == 0 and start > START:
            since_ms = _came_at_ms(record)
        entries += 1
        behind_attributor += entry.topic in JUDGED and entry.position > scope.attributor_position
        behind_recorder += entry.topic in RECORDED and entry.position > scope.recorder_position
        for take_in in see.get(type(record), ()):
            take_in(entry, record)
    results = [_result(check) for check in checks]
    return AuditReport(
        ok=all(result.ok for result in results),
        checks=results,
        lag=max(behind_attributor, behind_recorder),
        entries=entries,
        attributor_position=scope.attributor_position,
        recorder_position=scope.recorder_position,
        start=start,
        since_ms=since_ms,
    )


def _came_at_ms(record: Record) -> int | None:
    """When a record of any topic came in. Milliseconds, UTC."""
    named = ("received_at_ms", "judged_at_ms", "at_ms")
    return next((at for at in (getattr(record, name, None) for name in named) if at), None)


def entries_of(
    journal: Journal,
    start: Position,
    end: Position,
    progress: Callable[[Position, Position], None],
) -> Iterator[Entry]:
    """Every entry of the audited topics behind a place and up to another."""
    after = start
    while batch := journal.read(TOPICS, after, _READ_ENTRIES):
        for entry in batch:
            if entry.position > end:
                return
            yield entry
        after = batch[-1].position
        progress(after, end)


def _result(check: Check) -> Result:
    found = check.finish()
    return Result(
        name=check.name,
        ok=found.count == 0,
        found=found.sentences(),
        sentence=check.sentence,
        not_made=found.not_made,
    )
