"""Explain: from any handle that a person may hold to the whole stories it belongs to.

The facts lead from the handle to devices and touches, and from those to places in the journal; everything that is told is
read from the journal's own entries. A story is one conversion; what belongs to none has a story of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from msgspec import Struct, field

from attribune.model.activity import Event
from attribune.model.book import RateMissing
from attribune.model.codec import Record, decode
from attribune.model.delivery import Logged
from attribune.model.fact import Trace
from attribune.model.ids import Position, TouchId
from attribune.model.outcome import (
    Attribution,
    Candidate,
    Credit,
    CreditedEvent,
    CreditedOpen,
    ForeignCredited,
    Held,
    LateTouch,
    Noted,
    RefusedRecord,
)
from attribune.model.position import Topic
from attribune.model.refusal import Refusal
from attribune.model.touch import LinkHit, Touch
from attribune.ports import Directory, Facts, Journal, KeptLine
from attribune.report import forgetting, telling
from attribune.report.moment import moment
from attribune.report.stories import (
    Explained,
    Story,
    ToldPruned,
    ToldRefusal,
    ToldTouch,
)
from attribune.report.telling import ReadTouch

#: Most fact rows followed from one handle; the oldest are.
ROWS_MAX: Final = 5000
#: Most devices and touches that a handle (an address's user, a partner's reused click id) may fan out to.
DEVICES_MAX: Final = 20
TOUCHES_MAX: Final = 50
#: Most events and opens shown in a story.
EVENTS_MAX: Final = 500

HandleHash: TypeAlias = Callable[[str], int]


class Sources(Struct, frozen=True, kw_only=True):
    """Where stories are read from."""

    facts: Facts
    journal: Journal
    directory: Directory
    read_touch: ReadTouch
    handle_hash: HandleHash
    #: What partners were told of these outcomes (conversions, records of events), the newest first.
    deliveries: Callable[[Collection[str]], Sequence[Logged]] = lambda _ids: ()
    #: What outcomes (by their keys in the book) earned, each in the order of booking.
    booked: Callable[[Collection[str]], Sequence[KeptLine]] = lambda _keys: ()
    #: Which rates they wait for.
    rates_missing: Callable[[Collection[str]], Sequence[RateMissing]] = lambda _keys: ()


def stories(handle: str, sources: Sources) -> Explained:
    """Every story that a handle leads to, oldest first; none when nobody knows it.

    Raises StoreUnavailable, JournalUnavailable, JournalDamaged.
    """
    if forgotten := forgetting.of(handle, sources):
        return Explained(handle=handle, stories=[], forgotten=forgotten)
    reach = _follow(handle, sources)
    shelves = _sort(_records(reach, sources), reach, sources)
    told = [story for shelf in shelves.values() for story in _tell(shelf)]
    told.sort(key=lambda story: (story.at_ms is None, story.at_ms or 0))
    telling.add_deliveries(told, sources.deliveries, sources.directory)
    telling.add_booked(told, sources.booked, sources.rates_missing)
    return Explained(
        handle=handle,
        stories=told,
        is_truncated=reach.is_truncated,
        pruned=_pruned(reach, sources.journal.start()),
    )


class Decided(Struct, kw_only=True):
    """What was decided of a handle, and the touches beside it."""

    #: Every revision of its conversions and events, in the journal's order.
    outcomes: list[Attribution | CreditedEvent] = field(default_factory=list)
    touches: dict[TouchId, Touch] = field(default_factory=dict)


def decided(handle: str, sources: Sources) -> Decided:
    """The decisions that a handle leads to, as they stand in the journal. Raises as ``stories`` does."""
    reach = _follow(handle, sources)
    outcomes = [
        record
        for position, record in _records(reach, sources)
        if isinstance(record, Attribution | CreditedEvent)
        and (record.device in reach.devices or position in reach.named)
    ]
    credits_ = (credit for one in outcomes for credit in (one.credit, one.previous) if credit)
    touches = dict.fromkeys(credit.touch for credit in credits_)
    return Decided(outcomes=outcomes, touches=_touches(list(touches)[:TOUCHES_MAX], sources))


def _touches(names: Iterable[TouchId], sources: Sources) -> dict[TouchId, Touch]:
    """Touches as their links said them, by id; one that has been pruned, or whose link nobody knows, is left out."""
    found = {}
    for name in names:
        rows = sources.facts.trace(sources.handle_hash(name), ROWS_MAX)
        place = next(
            (row.position for row in rows if row.touch == name and row.device is None), None
        )
        entry = None if place is None else sources.journal.get(Topic.TOUCHES, place)
        record = decode(entry) if entry else None
        if isinstance(record, LinkHit | Touch) and entry:
            read = telling.read(entry.position, record, sources.directory, sources.read_touch)
            if read is not None:
                found[name] = read
    return found


def _pruned(reach: _Reach, start: Position) -> ToldPruned | None:
    """What the rows of the facts tell of entries up to ``start``, which are not kept."""
    kinds = Counter(row.kind for row in set(reach.rows) if row.position <= start)
    return ToldPruned(through=start, kinds=dict(sorted(kinds.items()))) if kinds else None


# --- from the handle to places


class _Reach(Struct, kw_only=True):
    """What a handle leads to."""

    rows: list[Trace]
    devices: dict[str, None]
    #: Places of rows that the handle, or a touch it names, leads to itself.
    named: set[Position]
    is_truncated: bool


def _follow(handle: str, sources: Sources) -> _Reach:
    def trace(word: str) -> list[Trace]:
        return sources.facts.trace(sources.handle_hash(word), ROWS_MAX)

    rows = trace(handle)
    is_truncated = len(rows) >= ROWS_MAX
    touches = dict.fromkeys(row.touch for row in rows if row.touch and row.device is None)
    for touch in list(touches)[:TOUCHES_MAX]:
        rows += trace(str(touch))
    named = {row.position for row in rows}
    devices = dict.fromkeys(row.device for row in rows if row.device)
    for device in list(devices)[:DEVICES_MAX]:
        found = trace(str(device))
        is_truncated |= len(found) >= ROWS_MAX
        rows += found
    is_truncated |= len(devices) > DEVICES_MAX or len(touches) > TOUCHES_MAX
    reached = dict.fromkeys(list(devices)[:DEVICES_MAX])
    return _Reach(rows=rows, devices=reached, named=named, is_truncated=is_truncated)


def _records(reach: _Reach, sources: Sources) -> Iterator[tuple[Position, Record]]:
    """The entries of the rows, each once, in the journal's order; what has been pruned is left out."""
    places = {row.position: row.about for row in reach.rows}
    for position in sorted(places):
        is_outcome = position != places[position]
        topics = (Topic.OUTCOMES,) if is_outcome else (Topic.TOUCHES, Topic.REFUSED)
        for topic in topics:
            entry = sources.journal.get(topic, position)
            if entry is not None:
                yield position, decode(entry)
                break


# --- from entries to what belongs together


class _Shelf(Struct, kw_only=True):
    """Everything about one device of a product, or about one record or touch without a device."""

    product: str | None = None
    device: str | None = None
    #: Revisions of each conversion, oldest first.
    conversions: dict[str, list[Attribution]] = field(default_factory=dict)
    #: The newest revision of each open and event, by the place of its record.
    opens: dict[Position, CreditedOpen] = field(default_factory=dict)
    events: dict[Position, CreditedEvent] = field(default_factory=dict)
    late: list[LateTouch] = field(default_factory=list)
    refused: list[ToldRefusal] = field(default_factory=list)
    notes: list[Noted] = field(default_factory=list)
    foreign: list[ForeignCredited] = field(default_factory=list)
    held: list[Event] = field(default_factory=list)
    touches: list[ToldTouch] = field(default_factory=list)


_Key: TypeAlias = tuple[str | None, str | None, str | None]


def _sort(
    records: Iterable[tuple[Position, Record]], reach: _Reach, sources: Sources
) -> dict[_Key, _Shelf]:
    shelves: dict[_Key, _Shelf] = {}
    touches: dict[Position, ToldTouch] = {}
    waiting: dict[Position, Held] = {}
    for position, record in records:
        if isinstance(record, LinkHit | Touch):
            touches[position] = telling.touch(
                position, record, sources.directory, sources.read_touch
            )
        elif isinstance(record, Refusal):
            shelf = _shelf(shelves, record.product, None, record.record_id or str(position))
            shelf.refused.append(telling.refused_at_the_door(record))
        elif getattr(record, "device", None) in reach.devices or position in reach.named:
            _put(shelves, waiting, record)
        # Else the device's id is another's word too; that one was not asked for.
    _add_touches(shelves, touches)
    _add_waiting(shelves, waiting, reach, sources)
    return shelves


def _shelf(
    shelves: dict[_Key, _Shelf], product: str | None, device: str | None, record: str | None
) -> _Shelf:
    """A device has one shelf; what has no device has one by its record."""
    key = (product, device, None if device else record)
    return shelves.setdefault(key, _Shelf(product=product, device=device))


def _put(shelves: dict[_Key, _Shelf], waiting: dict[Position, Held], record: Record) -> None:
    if isinstance(record, Held):
        waiting[record.about] = record
        return
    device, name = getattr(record, "device", None), getattr(record, "record", None)
    if isinstance(record, RefusedRecord) and record.record_type == "touch":
        shelf = _shelf(shelves, None, None, _touch_name(record.about))
        shelf.refused.append(telling.refused_later(record))
        return
    shelf = _shelf(shelves, getattr(record, "product", None), device, name)
    match record:
        case Attribution():
            shelf.conversions.setdefault(record.conversion, []).append(record)
        case CreditedOpen():
            shelf.opens[record.about] = record
        case CreditedEvent():
            shelf.events[record.about] = record
            waiting.pop(record.about, None)
        case LateTouch():
            shelf.late.append(record)
        case RefusedRecord():
            shelf.refused.append(telling.refused_later(record))
            waiting.pop(record.about, None)
        case ForeignCredited():
            shelf.foreign.append(record)
        case Noted():
            shelf.notes.append(record)
        case _:
            pass


def _add_touches(shelves: dict[_Key, _Shelf], touches: dict[Position, ToldTouch]) -> None:
    """Put touches that are in no other story on shelves of their own."""
    competed = {
        touch
        for shelf in shelves.values()
        for touch in (
            *(c.touch for revisions in shelf.conversions.values() for c in _all(revisions)),
            *(late.candidate.touch for late in shelf.late),
        )
    }
    for position, touch in touches.items():
        if touch.touch_id not in competed:
            _shelf(shelves, None, None, _touch_name(position)).touches.append(touch)


def _touch_name(position: Position) -> str:
    """A touch and its refusal behind the journal share a shelf."""
    return f"touch at {position}"


def _all(revisions: Sequence[Attribution]) -> Iterator[Candidate | Credit]:
    for revision in revisions:
        yield from revision.candidates
        if revision.credit:
            yield revision.credit


def _add_waiting(
    shelves: dict[_Key, _Shelf], waiting: dict[Position, Held], reach: _Reach, sources: Sources
) -> None:
    """The events that wait for their device's open or their order: said to wait, and nothing became of them yet."""
    for position, held in list(waiting.items())[:EVENTS_MAX]:
        if reach.is_truncated and _came_out(held, sources):
            continue
        entry = sources.journal.get(Topic.ACTIVITY, position)
        if entry is not None:
            event = decode(entry)
            assert isinstance(event, Event), "only events wait"
            _shelf(shelves, held.product, held.device, held.record).held.append(event)


def _came_out(held: Held, sources: Sources) -> bool:
    """Whether something became of an event, by rows that the handle's own did not reach."""
    rows = sources.facts.trace(sources.handle_hash(held.record), ROWS_MAX)
    return any(row.about == held.about and row.position > held.about for row in rows[1:])


# --- from what belongs together to stories


def _tell(shelf: _Shelf) -> list[Story]:
    """A story for each conversion, and one for what belongs to none."""
    told = [_conversion(revisions, shelf) for revisions in shelf.conversions.values()]
    told.sort(key=lambda story: story.at_ms or 0)
    rest = _without_conversion(shelf)
    if not told:
        return [_finished(rest)]
    if rest.opens or rest.events:
        told.append(rest)
    for refused in shelf.refused:
        _nearest(told, refused.at_ms).refused.append(refused)
    for said in shelf.foreign:
        _nearest(told, said.at_ms).foreign.append(telling.foreign(said))
    for noted in shelf.notes:
        _nearest(told, noted.at_ms).notes.append(telling.note(noted))
    told[-1].held = telling.held(shelf.held)
    return [_finished(story) for story in told]


def _nearest(told: Sequence[Story], at_ms: int) -> Story:
    """The newest story that had begun at a moment, else the first."""
    begun = [story for story in told if story.at_ms is not None and story.at_ms <= at_ms]
    return begun[-1] if begun else told[0]


def _conversion(revisions: Sequence[Attribution], shelf: _Shelf) -> Story:
    newest = max(revisions, key=lambda revision: revision.revision)
    credit = newest.credit
    events = [
        telling.event(event, "primary" if event.conversion == newest.conversion else "secondary")
        for event in shelf.events.values()
        if newest.conversion in (event.conversion, event.secondary_conversion)
    ]
    return Story(
        conversion=newest.conversion,
        kind=newest.kind.value,
        at=moment(newest.at_ms),
        at_ms=newest.at_ms,
        source=newest.source.value,
        winner=telling.winner(credit, newest.at_ms) if credit else None,
        method=credit.method.value if credit else None,
        policy=newest.policy,
        revision=newest.revision,
        candidates=[telling.competitor(candidate) for candidate in newest.candidates],
        not_listed=dict(newest.not_listed),
        events=events,
        opens=[telling.open_(o) for o in shelf.opens.values() if o.conversion == newest.conversion],
        corrections=[
            telling.correction(revision) for revision in revisions if revision.revision > 1
        ],
        late_touches=[
            telling.competitor(late.candidate)
            for late in shelf.late
            if late.conversion == newest.conversion
        ],
        product=newest.product,
        app=newest.app,
        platform=newest.platform.value,
        device=newest.device,
        record=newest.record,
        country=newest.country,
        os_version=newest.os_version,
        app_version=newest.app_version,
        before=newest.before,
        enrichment=newest.enrichment or None,
        as_of=newest.as_of,
    )


def _without_conversion(shelf: _Shelf) -> Story:
    """What is credited through no conversion that this shelf tells of."""
    known = shelf.conversions
    events = [event for event in shelf.events.values() if event.conversion not in known]
    opens = [open_ for open_ in shelf.opens.values() if open_.conversion not in known]
    said: list[CreditedEvent | CreditedOpen] = sorted(
        (*events, *opens), key=lambda outcome: outcome.at_ms
    )
    first = said[0] if said else None
    times = [touch.at_ms for touch in shelf.touches]
    times += [refused.at_ms for refused in shelf.refused]
    times += [event.occurred_at_ms for event in shelf.held]
    times += [said.at_ms for said in shelf.foreign]
    at_ms = first.at_ms if first else min(times, default=None)
    story = Story(
        at=None if at_ms is None else moment(at_ms),
        at_ms=at_ms,
        source=first.source.value if first else None,
        events=[telling.event(event, "primary") for event in events],
        opens=[telling.open_(open_) for open_ in opens],
        touches=shelf.touches,
        product=shelf.product,
        device=shelf.device,
        app=first.app if first else None,
        platform=first.platform.value if first else None,
        record=first.record if first else None,
    )
    if not known:
        story.refused = shelf.refused
        story.notes = [telling.note(noted) for noted in shelf.notes]
        story.held = telling.held(shelf.held)
        story.foreign = [telling.foreign(said) for said in shelf.foreign]
    return story


def _finished(story: Story) -> Story:
    """Put a story's lists in order, cut the long ones, and say it in one sentence."""
    story.events.sort(key=lambda event: event.at_ms)
    story.opens.sort(key=lambda open_: open_.at_ms)
    story.events_not_listed = max(0, len(story.events) - EVENTS_MAX)
    story.events = story.events[:EVENTS_MAX]
    story.opens = story.opens[:EVENTS_MAX]
    story.summary = telling.summary(story)
    return story
