"""What must hold when a world has settled, whatever went wrong in it. Each checker says what does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec.structs import replace

from attribune.attribute.attributor import Attributor
from attribune.attribute.replay import Bench, WhatIf, replay
from attribune.collect.links import read_touch
from attribune.engines.memory import MemoryAnswers, MemoryFacts, MemoryStore, MemoryVault
from attribune.engines.memory_book import MemoryBook
from attribune.engines.memory_outbox import MemoryOutbox
from attribune.engines.system import MemoryChance
from attribune.model.activity import Claim, Consent, Event, Evidence, Open
from attribune.model.codec import decode
from attribune.model.control import Change, Link, Tick
from attribune.model.delivery import DeliveryState, LogQuestion
from attribune.model.ids import START, Position
from attribune.model.outcome import (
    UNDOING,
    Attribution,
    ConversionKind,
    CreditedEvent,
    CreditedOpen,
    Held,
    LateTouch,
    RefusedRecord,
)
from attribune.model.position import Entry, Topic
from attribune.model.refusal import RefusalReason
from attribune.model.touch import LinkHit, Touch
from attribune.registry.view import Registry
from attribune.report.audit import audit
from attribune.report.checks import all_checks
from attribune.report.placings import places
from attribune.roles.attributor import AttributorRole
from attribune.roles.base import settle
from attribune.roles.bookkeeper import BookkeeperRole
from attribune.roles.postbacker import PostbackerRole
from attribune.roles.postbacker import World as Ends
from attribune.roles.recorder import RecorderRole, audit_scope, lookups_for

if TYPE_CHECKING:
    from faults.world import World

_ALL: Final = 1_000_000
_TYPES: Final[dict[type, str]] = {
    Open: "open",
    Event: "event",
    Consent: "consent",
    Evidence: "evidence",
    Claim: "claim",
}
#: Why a partner was rightly not told.
_UNTOLD: Final = frozenset(
    {
        "what it takes back was never told",
        "all of it was taken back before",
        "it was taken back before it was told",
        "it was taken back since, and the partner was told so",
        "it was corrected since, and the partner was told so",
        "the person does not share, and the partner is then told nothing",
    }
)
T = TypeVar("T")


def broken_promises(world: World) -> list[str]:
    """All that does not hold, in sentences; empty when the world is in order."""
    return [*world.broken, *(sentence for check in CHECKS for sentence in check(world))]


def entries(world: World, *topics: Topic) -> list[Entry]:
    """What stands in the journal."""
    found: list[Entry] = world.disk["journal"].read(topics, START, _ALL)
    return found


# --- what was promised


def kept_what_was_accepted(world: World) -> Iterator[str]:
    """Nothing that a sender was told is accepted is missing, and each is what was sent."""
    kept: dict[str, str] = {}
    touches: set[str] = set()
    for entry in entries(world, Topic.ACTIVITY, Topic.TOUCHES):
        record: Any = decode(entry)
        if entry.topic is Topic.TOUCHES:
            touches.add(record.id)
            if isinstance(record, Touch) and record.record_id:
                kept[record.record_id] = str(record.kind)
        else:
            kept[record.id] = _TYPES[type(record)]
    for id_ in sorted(world.ledger.accepted - kept.keys()):
        yield f"record {id_} was answered as accepted and is not in the journal"
    for touch in sorted(world.ledger.touches - touches):
        yield f"touch {touch} was given out and is not in the journal"
    for id_, kind in kept.items():
        if world.ledger.sent.get(id_) != kind:
            yield f"record {id_} stands as {kind}; sent was {world.ledger.sent.get(id_)}"


def kept_what_was_refused(world: World) -> Iterator[str]:
    """Whatever a sender was told is refused stands in the journal, with its reason."""
    bodies = b"\n".join(decode(entry).body for entry in entries(world, Topic.REFUSED))  # type: ignore[union-attr]
    for id_ in sorted(world.ledger.refused):
        if f'"{id_}"'.encode() not in bodies:
            yield f"record {id_} was answered as refused, and no refusal of it is kept"


def no_door_failed(world: World) -> Iterator[str]:
    """No front door met an error that it did not expect."""
    failed = sum(door.counters.faults for door in world.doors)
    if failed:
        yield f"front doors failed {failed} times by a fault of their own"


# --- what was decided


def every_record_placed_once(world: World) -> Iterator[str]:
    """Every activity entry has exactly one first outcome: decided, credited, refused or noted."""
    placed: Counter[Position] = Counter()
    for outcome in _outcomes(world):
        if isinstance(outcome, LateTouch | Held) or not places(outcome):
            continue
        placed[outcome.about] += getattr(outcome, "revision", 1) == 1
    activity = [entry.position for entry in entries(world, Topic.ACTIVITY)]
    for position in activity:
        if placed[position] != 1:
            yield f"entry {position} is placed {placed[position]} times"
    for position in sorted(placed.keys() - set(activity)):
        yield f"an outcome is about entry {position}, which is no activity"


def no_record_counted_twice(world: World) -> Iterator[str]:
    """Of all entries with the same record id one at most is more than a repeat."""
    names = {e.position: decode(e).id for e in entries(world, Topic.ACTIVITY)}  # type: ignore[union-attr]
    firsts: Counter[str] = Counter()
    for outcome in _outcomes(world):
        if isinstance(outcome, LateTouch | Held) or not places(outcome):
            continue
        is_repeat = (
            isinstance(outcome, RefusedRecord) and outcome.reason is RefusalReason.REPEATED_RECORD
        )
        if getattr(outcome, "revision", 1) == 1 and not is_repeat:
            firsts[names.get(outcome.about, "?")] += 1
    for id_, count in firsts.items():
        if count > 1:
            yield f"record {id_} counts {count} times"


def nothing_credited_twice(world: World) -> Iterator[str]:
    """Revisions follow each other; a device has one install, a touch one install, a transaction one event."""
    newest: dict[Any, Any] = {}
    for outcome in _outcomes(world):
        if not isinstance(outcome, Attribution | CreditedEvent | CreditedOpen):
            continue
        name = outcome.conversion if isinstance(outcome, Attribution) else outcome.about
        name = (type(outcome).__name__, name)
        stands = newest[name].revision if name in newest else 0
        if outcome.revision != stands + 1:
            yield f"revision {outcome.revision} of {name} follows revision {stands}"
        newest[name] = outcome
    conversions = [o for o in newest.values() if isinstance(o, Attribution)]
    installs = [o for o in conversions if o.kind is ConversionKind.INSTALL]
    yield from _twice("device {} has several installs", (o.device for o in installs))
    corrected = {o.conversion for o in conversions if o.cause and o.cause.kind == "person"}
    won = (o.credit.touch for o in installs if o.credit and o.conversion not in corrected)
    yield from _twice("touch {} won several installs", won)
    paid = (
        f"{o.name} {o.transaction_id}"
        for o in newest.values()
        if isinstance(o, CreditedEvent) and o.transaction_id and o.name not in UNDOING
    )
    yield from _twice("transaction {} is credited several times", paid)


def nothing_wins_too_early(world: World) -> Iterator[str]:
    """The barrier, from the journal alone: no touch wins before it was appended, nor in other words than its link's then."""
    touches = _touches(world)
    links: dict[str, list[tuple[Position, str | None]]] = {}
    for entry in entries(world, Topic.CONTROL):
        change: Any = decode(entry)
        if isinstance(change.record, Link):
            links.setdefault(change.record.id, []).append((entry.position, change.record.campaign))
    for outcome in _outcomes(world):
        credit = getattr(outcome, "credit", None)
        if credit is None or credit.touch not in touches:
            continue  # organic, or a claim's touch, which nobody appended
        place, touch = touches[credit.touch]
        if place >= outcome.position:
            yield f"touch {touch.id} of {place} won at {outcome.position}, before it was there"
        if not isinstance(touch, LinkHit):
            continue  # its words were read at the door
        told = [campaign for at, campaign in links[touch.link] if at < place][-1]
        if credit.campaign != told:
            yield f"touch {touch.id} of {place} is credited to {credit.campaign}; its link said {told}"


def nothing_is_missed(world: World) -> Iterator[str]:
    """The barrier, the other way: a touch that an open names and that was appended before it has been considered."""
    touches = _touches(world)
    opens = {e.position: decode(e) for e in entries(world, Topic.ACTIVITY)}
    for outcome in _outcomes(world):
        if isinstance(outcome, Attribution) and outcome.revision == 1:
            said = opens[outcome.about]
            if isinstance(said, Open):
                yield from _missed(outcome, said, touches)


def _touches(world: World) -> dict[str, tuple[Position, Any]]:
    """Every touch by its id, with its place."""
    found: dict[str, tuple[Position, Any]] = {}
    for entry in entries(world, Topic.TOUCHES):
        record: Any = decode(entry)
        found.setdefault(record.id, (entry.position, record))
    return found


def _missed(
    outcome: Attribution, said: Open, touches: dict[str, tuple[Position, Any]]
) -> Iterator[str]:
    """Touches that an open names, that stood before it, and that were not considered."""
    if outcome.not_listed:
        return
    considered = {candidate.touch for candidate in outcome.candidates}
    for referrer in said.referrers:
        name = (referrer.value or "").partition("attribune_click=")[2]
        place, _ = touches.get(name, (None, None))
        if place is not None and place < outcome.about and name not in considered:
            yield f"open {outcome.about} names touch {name} of {place}, which was not considered"


def _twice(sentence: str, names: Iterator[Any]) -> Iterator[str]:
    yield from (sentence.format(name) for name, count in Counter(names).items() if count > 1)


def _outcomes(world: World) -> Iterator[Any]:
    for entry in entries(world, Topic.OUTCOMES):
        yield decode(entry)


# --- views


def views_equal_a_rebuild(world: World) -> Iterator[str]:
    """Store, answers, facts and registry are what the journal alone makes of them."""
    store, answers = MemoryStore(), MemoryAnswers()
    before = world.disk["journal"].end()
    role = _attributor(world, world.disk["journal"], store, answers)
    settle(role)
    if world.disk["journal"].end() != before:
        yield f"a rebuild appended {world.disk['journal'].end() - before} outcomes"
    if role.state()["differences"] or world.differences:
        yield "outcomes come out differently when they are decided again"
    yield from _differ("store", world.disk["store"]._values, store._values)
    yield from _differ("answers", world.disk["answers"]._answers, answers._answers)
    facts = MemoryFacts()
    registry = Registry()
    settle(
        RecorderRole(
            world.disk["journal"], facts, registry, _lookups(world, registry), world.settings
        )
    )
    yield from _differ("facts", _rows(world.disk["facts"]), _rows(facts))
    changes = {e.position: e.payload for e in entries(world, Topic.CONTROL) if not _is_tick(e)}
    yield from _differ("registry", dict(world.disk["registry"].history()), changes)


def book_equals_a_rebuild(world: World) -> Iterator[str]:
    """What partners are owed is what the journal alone says, and every book is balanced."""
    made = MemoryBook()
    settle(BookkeeperRole(world.disk["journal"], lambda: made, world.clock, world.settings))
    live = world.disk["book"]
    for name in ("_lines", "_entries", "_balances", "_states"):
        yield from _differ(f"book, {name[1:]}", getattr(live, name), getattr(made, name))
    sums: Counter[str] = Counter()
    for _, currency, amount in live.balances():
        sums[currency] += amount
    yield from (f"the book is off by {left} in {currency}" for currency, left in sums.items() if left)  # fmt: skip


def outbox_equals_a_rebuild(world: World) -> Iterator[str]:
    """What partners are to be told, and what came of it, is what the journal alone says; and a rebuild tells nobody."""
    made, journal = MemoryOutbox(), world.disk["journal"]
    silent = replace(world.settings, tells_partners=0)
    ends = Ends(journal, Registry(), made, MemoryVault(), read_touch, world.clock, MemoryChance(0))
    settle(PostbackerRole(ends, silent))
    live = world.disk["outbox"]
    for name in ("_rows", "_attempts", "_conversions", "_transactions"):
        yield from _differ(f"outbox, {name[1:]}", getattr(live, name), getattr(made, name))


def partners_were_told(world: World) -> Iterator[str]:
    """Whatever a partner is to be told has arrived, or the log says why not; and nothing arrived that is not in it."""
    logged = world.disk["outbox"].log(LogQuestion(rows_max=_ALL))
    took = world.partners.took
    for one in logged:
        row, id_ = one.row, one.row.planned.id
        if row.state is DeliveryState.WAITING:
            yield f"delivery {id_} still waits: {row.reason}"
        elif row.state is DeliveryState.DELIVERED:
            if id_ not in took:
                yield f"delivery {id_} is said to be told, and nobody took it"
        elif row.reason not in _UNTOLD and "3 days" not in str(row.reason):
            yield f"delivery {id_} was not told: {row.reason}"
    known = {one.row.planned.id for one in logged}
    yield from (f"a partner was told {id_}, which nobody planned" for id_ in took.keys() - known)
    for id_, urls in took.items():
        if len(set(urls)) > 1:
            yield f"delivery {id_} was told in several ways"


def _differ(view: str, live: dict[Any, Any], made: dict[Any, Any]) -> Iterator[str]:
    names = [name for name in {**live, **made} if live.get(name) != made.get(name)]
    if names:
        first = names[0]
        yield f"{view}: {len(names)} rows are not as rebuilt, such as {first}: {live.get(first)!r}, not {made.get(first)!r}"


def _rows(facts: MemoryFacts) -> Counter[tuple[Any, ...]]:
    """Each row, and how often it stands."""
    return Counter(repr(fact) for fact in facts._facts)  # type: ignore[misc]


def _is_tick(entry: Entry) -> bool:
    change = decode(entry)
    return isinstance(change, Change) and isinstance(change.record, Tick)


def outcomes_equal_an_undisturbed_run(world: World) -> Iterator[str]:
    """What was decided is, byte for byte, what an attributor decides that reads the same journal and never fails."""
    apart = Apart(world.disk["journal"])
    settle(_attributor(world, apart, MemoryStore(), MemoryAnswers()))
    decided = [entry.payload for entry in entries(world, Topic.OUTCOMES)]
    undisturbed = [entry.payload for entry in apart.outcomes]
    if decided != undisturbed:
        where = next(
            (
                n
                for n, pair in enumerate(zip(decided, undisturbed, strict=False))
                if pair[0] != pair[1]
            ),
            min(len(decided), len(undisturbed)),
        )
        yield f"{len(decided)} outcomes stand, undisturbed there would be {len(undisturbed)}; outcome {where} is the first that differs"


class Apart:
    """A journal whose inputs are another's, and whose outcomes are its own."""

    def __init__(self, journal: Any) -> None:
        self._journal = journal
        self.outcomes: list[Entry] = []

    def append(self, told: Sequence[tuple[Topic, bytes]]) -> list[Position]:
        first = 1 + len(self.outcomes)
        self.outcomes += [
            Entry(Position(first + n), topic, payload) for n, (topic, payload) in enumerate(told)
        ]
        return [entry.position for entry in self.outcomes[first - 1 :]]

    def read(self, topics: Sequence[Topic], after: Position, limit: int) -> list[Entry]:
        if topics == (Topic.OUTCOMES,):
            return [entry for entry in self.outcomes if entry.position > after][:limit]
        found: list[Entry] = self._journal.read(topics, after, limit)
        return found

    def end(self) -> Position:
        found: Position = self._journal.end()
        return found


def audit_is_clean(world: World) -> Iterator[str]:
    """The audit that people run finds nothing, and decides all again the same."""
    journal = world.disk["journal"]
    registry = Registry()
    for entry in entries(world, Topic.CONTROL):
        registry.apply(entry.position, decode(entry))  # type: ignore[arg-type]  # topic control holds changes

    def repeated() -> list[str]:
        bench = Bench(journal, Registry(), MemoryStore(), world.enricher, read_touch, world.limits)
        found = replay(bench, WhatIf(world.attributor_position))
        return [f"{found.differences} outcomes differ"] if found.differences else []

    scope = audit_scope(
        journal,
        world.disk["facts"],
        _lookups(world, registry),
        attributor_position=world.attributor_position,
        recorder_position=world.recorder_position,
        differences=world.differences,
        decisions_repeat=repeated,
    )
    report = audit(scope, all_checks(scope))
    if report.lag:
        yield f"the audit sees a lag of {report.lag} entries"
    for result in report.checks:
        yield from (f"audit, {result.name}: {sentence}" for sentence in result.found)


def _attributor(world: World, journal: Any, store: Any, answers: Any) -> AttributorRole:
    registry = Registry()
    judge = Attributor(registry, store, world.enricher, read_touch, world.limits)
    return AttributorRole(journal, registry, judge, answers, world.clock, world.settings)


def _lookups(world: World, registry: Registry) -> Any:
    return lookups_for(world.disk["journal"], registry, world.enricher, read_touch, world.settings)


Check = Callable[["World"], Iterator[str]]
CHECKS: Final[tuple[Check, ...]] = (
    kept_what_was_accepted,
    kept_what_was_refused,
    no_door_failed,
    every_record_placed_once,
    no_record_counted_twice,
    nothing_credited_twice,
    nothing_wins_too_early,
    nothing_is_missed,
    views_equal_a_rebuild,
    book_equals_a_rebuild,
    outbox_equals_a_rebuild,
    partners_were_told,
    outcomes_equal_an_undisturbed_run,
    audit_is_clean,
)
