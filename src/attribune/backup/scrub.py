"""Scrubbing: sealed segments of the journal are rewritten without what names people who were forgotten, old ones without what was refused.

Places, types, times, decisions and sums stay. Which entries those are is known from the outcomes of the requests to forget; what stands
behind the newest sealed segment is scrubbed when it is sealed. ``run/scrub.json`` says up to where everything was done, which
requests there are, and which segments name none of those people, so that these are not read again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from attribune.backup.manifest import BackedSegment
from attribune.model import scrub
from attribune.model.activity import Activity
from attribune.model.codec import decode, encode
from attribune.model.delivery import Attempt
from attribune.model.errors import JournalUnavailable
from attribune.model.ids import DeliveryId, DeviceId, Position, ProductId, forgotten
from attribune.model.outcome import Noted, Outcome, RefusedRecord
from attribune.model.position import Entry, Topic
from attribune.model.refusal import Refusal, RefusalReason
from attribune.model.touch import LinkHit, Touch
from attribune.roles import folder as folder_
from attribune.roles import scrubs
from attribune.roles.disk import Piece, over_at_ms_of
from attribune.roles.scrubs import CleanSegment, ForgetRequest, ScrubNote

#: Words shorter than this are not looked for in what was refused at the door: they stand in anything.
WORD_CHARACTERS_MIN: Final = 6
_FORGOTTEN: Final = RefusalReason.FORGOTTEN
#: Deliveries looked up at a time.
_CHUNK: Final = 500


class Segments(Protocol):
    """The segments of a journal, and how they are rewritten."""

    def names(self) -> list[str]:
        """The names of the segments that have a file, oldest first."""
        ...

    def stand(self, name: str) -> BackedSegment | None:
        """Where a segment stands; None while it is only being made."""
        ...

    def entries(
        self, name: str, topics: Collection[Topic] = tuple(Topic), after: int = 0
    ) -> Iterator[Entry]:
        """The entries of a segment behind a place, topic by topic, each in order."""
        ...

    def at(self, name: str, topic: Topic, places: Iterable[int]) -> Iterator[Entry]:
        """Those of some entries of a topic that stand in a segment."""
        ...

    def rewrite(self, name: str, changed: Callable[[Entry], bytes]) -> int:
        """Put other payloads in the place of what it holds; how many differ."""
        ...

    def sweep_scrubbed(self) -> None:
        """Remove what a scrub that was killed has left."""
        ...


class ScrubbedSegment(Struct, frozen=True, kw_only=True):
    """A segment that was rewritten, or would be."""

    name: str
    first: int
    last: int
    #: Entries that lost their personal fields.
    entries: int


class Scrubbed(Struct, frozen=True, kw_only=True):
    """What a scrub did, or would do."""

    is_dry_run: bool
    segments: tuple[ScrubbedSegment, ...]
    #: Closed segments that were looked through; of all others it was known that they are clean.
    looked: int
    #: Requests to forget that this one was the first to heed.
    requests: int
    #: Requests that stand in the newest segment, which is appended to: they are heeded when it is sealed.
    waiting: int
    #: When the oldest of these was made. Milliseconds, UTC.
    waiting_since_ms: int | None
    #: Up to this place nothing names them.
    through: int


class Sources(Struct, frozen=True, kw_only=True):
    """What scrubbing works with."""

    now_ms: int
    #: What was refused at the door is emptied in segments that were over before this moment; None is never. Milliseconds, UTC.
    raw_before_ms: int | None = None
    #: Up to which place every reader has read: what they have not is left.
    read_to: int
    #: A hit as its link said it, or None when nobody knows the link.
    read: Callable[[Position, LinkHit], Touch | None]
    #: Those of some deliveries whose people were forgotten.
    forgotten_deliveries: Callable[[Collection[DeliveryId]], Collection[DeliveryId]]


class People(Struct, kw_only=True):
    """Who was forgotten, by all requests up to a place."""

    devices: set[str] = msgspec.field(default_factory=set)
    #: Touch → its product.
    touches: dict[str, str] = msgspec.field(default_factory=dict)
    #: What is looked for in requests that were refused at the door.
    words: set[str] = msgspec.field(default_factory=set)
    #: Records of theirs that name no device, by their places.
    about: set[int] = msgspec.field(default_factory=set)

    def add(self, noted: Noted) -> None:
        """Add whom a request names."""
        said = noted.forgets
        assert said is not None, "a request to forget says whom"
        self.devices |= {forgotten(noted.product, device) for device in said.devices}
        self.touches |= dict.fromkeys(said.touches, noted.product)
        found = {*said.words, *said.devices, *([noted.device] if noted.device else [])}
        self.words |= {
            word
            for word in found
            if len(word) >= WORD_CHARACTERS_MIN and not word.startswith("forgotten:")
        }

    def has(self, product: ProductId, device: DeviceId | None) -> bool:
        """Whether a device's person was forgotten."""
        return device is not None and forgotten(product, device) in self.devices


def scrub_journal(
    folder: Path, segments: Segments, sources: Sources, *, is_dry_run: bool
) -> Scrubbed:
    """Rewrite what names people who were forgotten, and what was refused at the door long ago.

    Raises Conflict when a prune, another scrub, a backup or an audit works on the journal, JournalDamaged, JournalUnavailable,
    JournalFull.
    """
    with folder_.pruning(folder):
        try:
            if not is_dry_run:
                segments.sweep_scrubbed()
            return _Scrub(folder, segments, sources).run(is_dry_run=is_dry_run)
        except OSError as fault:
            raise JournalUnavailable(
                f"the journal of {folder} cannot be scrubbed: {fault}"
            ) from fault


class _Scrub:
    """One scrub. What it has found out is noted segment by segment, so that one that is killed is gone on with."""

    def __init__(self, folder: Path, segments: Segments, sources: Sources) -> None:
        self._folder = folder
        self._segments = segments
        self._sources = sources
        self._before = scrubs.note_of(folder)
        stands = [stand for name in segments.names() if (stand := segments.stand(name))]
        self._closed = [one for one in stands if one.is_sealed and one.last <= sources.read_to]
        self._through = self._closed[-1].last if self._closed else 0
        self._old = _old(stands, sources.raw_before_ms)
        requests = (*self._before.requests, *_requests(segments, stands, self._before.looked_to))
        self._heeded = [one for one in requests if one.position <= self._through]
        self._waiting = [one for one in requests if one.position > self._through]
        names = {one.name for one in stands}
        self._note = replace(
            self._before,
            looked_to=max(self._before.looked_to, stands[-1].last if stands else 0),
            requests=requests,
            clean={name: one for name, one in self._before.clean.items() if name in names},
        )

    def run(self, *, is_dry_run: bool) -> Scrubbed:
        looked = [one for one in self._closed if not self._is_clean(one)]
        done = self._scrub(looked, is_dry_run=is_dry_run) if looked else []
        if not is_dry_run:
            self._say(replace(self._note, at_ms=self._sources.now_ms, through=self._through))
        through = self._before.through
        return Scrubbed(
            is_dry_run=is_dry_run,
            segments=tuple(done),
            looked=len(looked),
            requests=sum(one.position > through for one in self._heeded),
            waiting=len(self._waiting),
            waiting_since_ms=min((one.at_ms for one in self._waiting), default=None),
            through=self._through,
        )

    @property
    def _newest(self) -> int:
        """The place of the newest request that is heeded; 0 when there is none."""
        return self._heeded[-1].position if self._heeded else 0

    def _is_clean(self, one: BackedSegment) -> bool:
        known = self._note.clean.get(one.name)
        if known is None or known.written_at_ns != one.written_at_ns:
            known = CleanSegment(written_at_ns=one.written_at_ns, requests_to=0)
        is_emptied = known.is_emptied or one.name not in self._old
        return is_emptied and known.requests_to >= self._newest

    def _scrub(self, looked: Sequence[BackedSegment], *, is_dry_run: bool) -> list[ScrubbedSegment]:
        people = self._people()
        first = looked[0].first
        people.about = _about(
            self._segments, [one for one in self._closed if one.first >= first], people
        )
        changes = {}
        for one in looked:
            change = Change(people, self._sources, self._told(one), is_old=one.name in self._old)
            if any(change.of(entry) != entry.payload for entry in self._segments.entries(one.name)):
                changes[one.name] = change
            elif not is_dry_run:
                self._is_done(one)
        found = [one for one in looked if one.name in changes]
        if is_dry_run or not found:
            return [_scrubbed(one, self._count(one, changes[one.name])) for one in found]
        with folder_.journal_alone(self._folder):
            done = []
            for one in found:
                count = self._segments.rewrite(one.name, changes[one.name].of)
                done.append(_scrubbed(one, count))
                self._is_done(one)
            return done

    def _people(self) -> People:
        people = People()
        places = [one.position for one in self._heeded]
        for one in self._closed:
            within = [place for place in places if one.first <= place <= one.last]
            for entry in self._segments.at(one.name, Topic.OUTCOMES, within) if within else ():
                record = decode(entry)
                assert isinstance(record, Noted), "a request to forget is noted"
                people.add(record)
        return people

    def _told(self, one: BackedSegment) -> Collection[DeliveryId]:
        entries = self._segments.entries(one.name, (Topic.DELIVERIES,))
        return _forgotten_deliveries(entries, self._sources)

    def _count(self, one: BackedSegment, change: Change) -> int:
        entries = self._segments.entries(one.name)
        return sum(change.of(entry) != entry.payload for entry in entries)

    def _is_done(self, one: BackedSegment) -> None:
        """Note that a segment names none of them."""
        stand = self._segments.stand(one.name)
        assert stand is not None, "it was closed"
        clean = CleanSegment(
            written_at_ns=stand.written_at_ns,
            requests_to=self._newest,
            is_emptied=one.name in self._old,
        )
        self._say(replace(self._note, clean={**self._note.clean, one.name: clean}))

    def _say(self, note: ScrubNote) -> None:
        self._note = note
        folder_.write_whole(self._folder / folder_.SCRUB_FILE, msgspec.json.encode(note))


def _old(stands: Sequence[BackedSegment], before_ms: int | None) -> set[str]:
    """Segments that were over before a moment and in which something refused stands."""
    pieces = [Piece(one.last, 0, one.begun_at_ms, one.is_sealed) for one in stands]
    return {
        one.name
        for one, over_at_ms in zip(stands, over_at_ms_of(pieces), strict=True)
        if Topic.REFUSED.value in one.topics
        and before_ms is not None
        and over_at_ms is not None
        and over_at_ms < before_ms
    }


def _scrubbed(one: BackedSegment, entries: int) -> ScrubbedSegment:
    return ScrubbedSegment(name=one.name, first=one.first, last=one.last, entries=entries)


def _requests(
    segments: Segments, stands: Sequence[BackedSegment], after: int
) -> Iterator[ForgetRequest]:
    """Every request to forget that was decided behind a place, in order."""
    for stand in stands:
        if stand.last <= after:
            continue
        for entry in segments.entries(stand.name, (Topic.OUTCOMES,), after):
            if entry.position <= stand.last and (one := scrubs.request_of(entry)):
                yield one


def _about(segments: Segments, looked: Iterable[BackedSegment], people: People) -> set[int]:
    """Places of records that only their outcomes say to be of a forgotten device."""
    found: set[int] = set()
    for one in looked:
        for entry in segments.entries(one.name, (Topic.OUTCOMES,)):
            outcome = decode(entry)
            assert isinstance(outcome, Outcome), "of this topic"
            is_refused = isinstance(outcome, RefusedRecord) and outcome.reason == _FORGOTTEN
            if is_refused or people.has(outcome.product, outcome.device):
                found.add(outcome.about)
    return found


def _forgotten_deliveries(entries: Iterable[Entry], sources: Sources) -> Collection[DeliveryId]:
    found: set[DeliveryId] = set()
    ids: set[DeliveryId] = set()
    for entry in entries:
        ids.add(decode(entry).delivery)  # type: ignore[union-attr]  # of this topic
        if len(ids) == _CHUNK:
            found |= set(sources.forgotten_deliveries(ids))
            ids = set()
    return found | set(sources.forgotten_deliveries(ids)) if ids else found


class Change:
    """What an entry says without the people who were forgotten."""

    def __init__(
        self,
        people: People,
        sources: Sources,
        told: Collection[DeliveryId],
        *,
        is_old: bool = False,
    ) -> None:
        """Take who they are, which deliveries told of them, and whether everything refused is so old that it is emptied."""
        self._is_old = is_old
        self._people = people
        self._sources = sources
        self._told = told
        words = sorted(people.words)
        self._words = (
            re.compile(b"|".join(re.escape(word.encode()) for word in words), re.IGNORECASE)
            if words
            else None
        )

    def of(self, entry: Entry) -> bytes:
        """The payload that stays: the same, unless it is about one of them."""
        if entry.topic is Topic.CONTROL:
            return entry.payload
        if entry.topic is Topic.REFUSED:
            is_theirs = self._words is not None and self._words.search(entry.payload)
            if not is_theirs and not self._is_old:
                return entry.payload
            record = decode(entry)
            assert isinstance(record, Refusal), "of this topic"
            emptied = scrub.refusal(record)
            return entry.payload if emptied == record else encode(emptied)
        record = decode(entry)
        left = self._left(entry.position, record)
        return entry.payload if left is record else encode(left)  # type: ignore[arg-type]  # a record of the same kind

    def _left(self, place: Position, record: object) -> object:
        people = self._people
        if isinstance(record, LinkHit | Touch):
            return self._touch(place, record)
        if isinstance(record, Attempt):
            return scrub.attempt(record) if record.delivery in self._told else record
        if isinstance(record, Activity):
            device = record.device.id if record.device else None
            is_theirs = people.has(record.product, device) or place in people.about
            return scrub.activity(record) if is_theirs else record
        if not isinstance(record, Outcome):
            return record
        device = record.device
        is_request = isinstance(record, Noted) and record.forgets is not None
        if is_request or people.has(record.product, device):
            return scrub.without_person(record, device and forgotten(record.product, device))
        return record

    def _touch(self, place: Position, record: LinkHit | Touch) -> LinkHit | Touch:
        if record.is_scrubbed:
            return record
        product = self._people.touches.get(record.id)
        if product is None:
            return record
        read = record if isinstance(record, Touch) else self._sources.read(place, record)
        if read is None:
            return scrub.hit(record)  # type: ignore[arg-type]  # what is read already is not None
        return scrub.touch(read) if read.product == product else record
