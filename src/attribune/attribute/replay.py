"""Replay: what if? The journal judged again, under other rules or the same, on a store of its own. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from attribune.attribute.attributor import Attributor
from attribune.attribute.transcript import Transcript, compare, set_aside
from attribune.attribute.turn import Limits, ReadTouch
from attribune.model.codec import decode
from attribune.model.control import Change
from attribune.model.ids import START, ConversionId, PolicyVersion, Position, ProductId
from attribune.model.outcome import Attribution, Outcome
from attribune.model.policy import Policy
from attribune.model.position import JUDGED, Entry, Topic
from attribune.ports import NOW, Directory, Enricher, Journal, Store


class LedDirectory(Directory, Protocol):
    """A directory that takes in the journal's changes."""

    def apply(self, position: Position, change: Change) -> None:
        """Take in one change."""
        ...


class Story(Struct, frozen=True, kw_only=True):
    """A conversion that comes out differently."""

    conversion: ConversionId
    product: ProductId
    device: str | None
    at_ms: int
    #: None on a side where it is no conversion at all.
    kind_then: str | None
    kind_now: str | None
    partner_then: str | None
    partner_now: str | None
    touch_then: str | None
    touch_now: str | None
    method_then: str | None
    method_now: str | None


class Replayed(Struct, frozen=True, kw_only=True):
    """What would change."""

    judged: int
    changed: int
    #: Conversions by partner that would be won and lost.
    gains: dict[str, int] = field(default_factory=dict)
    losses: dict[str, int] = field(default_factory=dict)
    #: The first of them, one by one.
    stories: tuple[Story, ...] = ()
    #: Records that were scrubbed: what was decided of them is taken as it stands.
    as_recorded: int = 0
    #: Outcomes that differ in any byte; told of a replay under the rules in force only.
    differences: int = 0


class Ruled:
    """A directory in which other rules are in force."""

    def __init__(self, directory: LedDirectory, policy: Policy) -> None:
        """Put ``policy`` in the place of what the directory says, of every product: what is not asked for is not told."""
        self._directory = directory
        self._rules = PolicyVersion(f"{policy.name}@replay"), policy

    def __getattr__(self, name: str) -> Any:
        """Everything else is as it was."""
        return getattr(self._directory, name)

    def policy(self, _product: ProductId, _at: Position = NOW) -> tuple[PolicyVersion, Policy]:
        """The other rules, whoever and whenever asked for."""
        return self._rules


@dataclass(frozen=True, slots=True)
class Bench:
    """What a replay works with: a journal, and a new directory and an empty store of its own.

    The directory is led on from the journal's beginning, so that its newest state is as of each entry.
    """

    journal: Journal
    directory: LedDirectory
    store: Store
    enricher: Enricher
    read_touch: ReadTouch
    limits: Limits | None = None
    read_entries_max: int = 2000


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What is asked: up to which place, under which rules (none: those in force then), of which product (none: all)."""

    upto: Position
    policy: Policy | None = None
    product: ProductId | None = None
    stories_max: int = 100


def replay(bench: Bench, what_if: WhatIf) -> Replayed:
    """Judge the journal again up to a place and compare with what was decided.

    Without a policy the rules are those that were in force then, and nothing may change.
    """
    journal, directory, limit = bench.journal, bench.directory, bench.read_entries_max
    policy, product, upto = what_if.policy, what_if.product, what_if.upto
    ruled: Directory = Ruled(directory, policy) if policy else directory
    attributor = Attributor(ruled, bench.store, bench.enricher, bench.read_touch, bench.limits)
    now: dict[ConversionId, Attribution] = {}
    then: dict[ConversionId, Attribution] = {}
    recorded = Transcript(journal, START, journal.end(), limit)
    differences = 0
    for entries in _batches(journal, JUDGED, upto, limit):
        for entry in entries:
            record = decode(entry)
            if isinstance(record, Change):
                directory.apply(entry.position, record)
            stood = recorded.of(entry.position)
            said = attributor.judge(entry, record, set_aside(stood), stood)
            found = compare(said, stood, is_last=False)
            differences += found.differences
            for new in said:
                _keep(now, new.outcome)
            for one in stood:
                _keep(then, one.outcome)
        attributor.commit(entries[-1].position)
    for one in recorded.of(upto):
        differences += 1
        _keep(then, one.outcome)
    changes = _compared(then, now, 0 if policy else differences, product, what_if.stories_max)
    return replace(changes, as_recorded=attributor.as_recorded)


def _batches(
    journal: Journal, topics: tuple[Topic, ...], upto: Position, limit: int
) -> Iterator[list[Entry]]:
    position = START
    while position < upto and (entries := journal.read(topics, position, limit)):
        position = entries[-1].position
        if within := [entry for entry in entries if entry.position <= upto]:
            yield within


def _keep(newest: dict[ConversionId, Attribution], outcome: Outcome) -> None:
    if isinstance(outcome, Attribution):
        newest[outcome.conversion] = outcome


def _compared(
    then: dict[ConversionId, Attribution],
    now: dict[ConversionId, Attribution],
    differences: int,
    product: ProductId | None,
    stories_max: int,
) -> Replayed:
    gains: dict[str, int] = {}
    losses: dict[str, int] = {}
    stories: list[Story] = []
    names = [n for n in sorted({*then, *now}) if product in (None, (then.get(n) or now[n]).product)]
    changed = 0
    for name in names:
        a, b = then.get(name), now.get(name)
        if _winner(a) == _winner(b):
            continue
        changed += 1
        if len(stories) < stories_max:
            stories.append(_story(a, b))
        was, is_now = _partner(a), _partner(b)
        if was != is_now:
            _count(losses, was)
            _count(gains, is_now)
    return Replayed(
        judged=len(names),
        changed=changed,
        gains=gains,
        losses=losses,
        stories=tuple(stories),
        differences=differences,
    )


def _winner(outcome: Attribution | None) -> tuple[object, ...] | None:
    if outcome is None:
        return None
    credit = outcome.credit
    return (outcome.kind, outcome.source, credit.touch if credit else None)


def _partner(outcome: Attribution | None) -> str | None:
    return outcome.credit.partner if outcome and outcome.credit else None


def _count(counts: dict[str, int], partner: str | None) -> None:
    if partner is not None:
        counts[partner] = counts.get(partner, 0) + 1


def _story(then: Attribution | None, now: Attribution | None) -> Story:
    known = now or then
    assert known is not None, "one side has it"
    a, b = (then.credit if then else None), (now.credit if now else None)
    return Story(
        conversion=known.conversion,
        product=known.product,
        device=known.device,
        at_ms=known.at_ms,
        kind_then=then.kind if then else None,
        kind_now=now.kind if now else None,
        partner_then=a.partner if a else None,
        partner_now=b.partner if b else None,
        touch_then=a.touch if a else None,
        touch_now=b.touch if b else None,
        method_then=a.method if a else None,
        method_now=b.method if b else None,
    )
