"""Scrubbing: sealed segments of the journal are rewritten without what names people who were forgotten.

Places, types, times, decisions and sums stay. Which entries those are is known from the outcomes of the requests to forget; what stands
behind the newest sealed segment is scrubbed when it is sealed. ``run/scrub.json`` says up to where everything was done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from attribune.backup.manifest import BackedSegment
from attribune.model import scrub
from attribune.model.activity import Activity
from attribune.model.codec import decode, encode
from attribune.model.delivery import Attempt
from attribune.model.errors import JournalUnavailable
from attribune.model.ids import DeliveryId, DeviceId, Position, ProductId, forgotten
from attribune.model.outcome import Noted, Outcome
from attribune.model.position import Entry, Topic
from attribune.model.refusal import Refusal
from attribune.model.touch import LinkHit, Touch
from attribune.roles import folder as folder_

FILE_NAME: Final = "run/scrub.json"
#: Words shorter than this are not looked for in what was refused at the door: they stand in anything.
WORD_CHARACTERS_MIN: Final = 6
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

    def entries(self, name: str) -> Iterator[Entry]:
        """Every entry of a segment, topic by topic, each in order."""
        ...

    def rewrite(self, name: str, changed: Callable[[Entry], bytes]) -> int:
        """Put other payloads in the place of what it holds; how many differ."""
        ...

    def sweep_scrubbed(self) -> None:
        """Remove what a scrub that was killed has left."""
        ...


class ScrubNote(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was scrubbed: nothing up to ``through`` names anybody whose request to be forgotten stands up to there."""

    at_ms: int
    through: int = 0


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


def note_of(folder: Path) -> ScrubNote:
    """What was scrubbed last; nothing when nothing was."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=ScrubNote)
    except (OSError, msgspec.MsgspecError):
        return ScrubNote(at_ms=0)


def scrub_journal(
    folder: Path, segments: Segments, sources: Sources, *, is_dry_run: bool
) -> Scrubbed:
    """Rewrite what names people who were forgotten.

    Raises Conflict when a prune, a backup or an audit works on the journal, JournalDamaged, JournalUnavailable, JournalFull.
    """
    with folder_.pruning(folder):
        try:
            if is_dry_run:
                return _scrub(folder, segments, sources, is_dry_run=True)
            segments.sweep_scrubbed()
            with folder_.journal_alone(folder):
                return _scrub(folder, segments, sources, is_dry_run=False)
        except OSError as fault:
            raise JournalUnavailable(
                f"the journal of {folder} cannot be scrubbed: {fault}"
            ) from fault


def _scrub(folder: Path, segments: Segments, sources: Sources, *, is_dry_run: bool) -> Scrubbed:
    before = note_of(folder).through
    stands = [stand for name in segments.names() if (stand := segments.stand(name))]
    closed = [one for one in stands if one.is_sealed and one.last <= sources.read_to]
    through = closed[-1].last if closed else 0
    requests = list(_requests(segments, stands))
    heeded = [noted for place, noted in requests if place <= through]
    waiting = [noted for place, noted in requests if place > through]
    new = sum(before < place <= through for place, _ in requests)
    people = People()
    for noted in heeded:
        people.add(noted)
    looked = closed if new else [one for one in closed if one.last > before]
    done = _rewritten(segments, looked, people, sources, is_dry_run=is_dry_run) if heeded else []
    if not is_dry_run:
        note = ScrubNote(at_ms=sources.now_ms, through=through)
        folder_.write_whole(folder / FILE_NAME, msgspec.json.encode(note))
    return Scrubbed(
        is_dry_run=is_dry_run,
        segments=tuple(done),
        requests=new,
        waiting=len(waiting),
        waiting_since_ms=min((noted.judged_at_ms for noted in waiting), default=None),
        through=through,
    )


def _requests(
    segments: Segments, stands: Sequence[BackedSegment]
) -> Iterator[tuple[Position, Noted]]:
    """Every request to forget that was decided, in order."""
    for stand in stands:
        for entry in segments.entries(stand.name):
            if entry.topic is not Topic.OUTCOMES:
                continue
            record = decode(entry)
            if isinstance(record, Noted) and record.forgets is not None:
                yield entry.position, record


def _rewritten(
    segments: Segments,
    looked: Sequence[BackedSegment],
    people: People,
    sources: Sources,
    *,
    is_dry_run: bool,
) -> list[ScrubbedSegment]:
    people.about |= _about(segments, looked, people)
    done = []
    for one in looked:
        told = _forgotten_deliveries(segments.entries(one.name), sources)
        change = Change(people, sources, told)
        if not any(change.of(entry) != entry.payload for entry in segments.entries(one.name)):
            continue
        if is_dry_run:
            entries = segments.entries(one.name)
            count = sum(change.of(entry) != entry.payload for entry in entries)
        else:
            count = segments.rewrite(one.name, change.of)
        done.append(ScrubbedSegment(name=one.name, first=one.first, last=one.last, entries=count))
    return done


def _about(segments: Segments, looked: Iterable[BackedSegment], people: People) -> set[int]:
    """Places of records that only their outcomes say to be of a forgotten device."""
    found: set[int] = set()
    for one in looked:
        for entry in segments.entries(one.name):
            if entry.topic is Topic.OUTCOMES:
                outcome = decode(entry)
                assert isinstance(outcome, Outcome), "of this topic"
                if people.has(outcome.product, outcome.device):
                    found.add(outcome.about)
    return found


def _forgotten_deliveries(entries: Iterable[Entry], sources: Sources) -> Collection[DeliveryId]:
    found: set[DeliveryId] = set()
    ids: set[DeliveryId] = set()
    for entry in entries:
        if entry.topic is Topic.DELIVERIES:
            ids.add(decode(entry).delivery)  # type: ignore[union-attr]  # of this topic
            if len(ids) == _CHUNK:
                found |= set(sources.forgotten_deliveries(ids))
                ids = set()
    return found | set(sources.forgotten_deliveries(ids)) if ids else found


class Change:
    """What an entry says without the people who were forgotten."""

    def __init__(self, people: People, sources: Sources, told: Collection[DeliveryId]) -> None:
        """Take who they are, and which deliveries told of them."""
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
            if self._words is None or not self._words.search(entry.payload):
                return entry.payload
            record = decode(entry)
            assert isinstance(record, Refusal), "of this topic"
            return encode(scrub.refusal(record))
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
