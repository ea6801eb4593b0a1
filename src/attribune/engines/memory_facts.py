"""The facts in memory: the same questions, the same sums, row by row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from itertools import islice
from typing import Any, TypeAlias

from msgspec.structs import replace

from attribune.engines import fact_columns
from attribune.model import scrub
from attribune.model.fact import (
    Fact,
    FactKind,
    Forgotten,
    Measure,
    Question,
    RowPlace,
    Selection,
    Standing,
    Sum,
    Told,
    Trace,
)
from attribune.model.ids import START, Position, RecordId

Group: TypeAlias = tuple[str | date | None, ...]


class MemoryFacts:
    """Fact rows in a list."""

    def __init__(self) -> None:
        self._facts: list[Fact] = []

    def insert(self, facts: Sequence[Fact]) -> None:
        """Keep rows, all or nothing."""
        self._facts += facts

    def position(self) -> Position:
        """The highest position of a kept row; START when empty."""
        return max((fact.position for fact in self._facts), default=START)

    def ask(self, question: Question) -> list[Sum]:
        """The sums that a question asks for.

        Biggest first measure first (of money, its currencies together), then by the dimensions, absent last. A group
        whose sums are all nothing is left out, and so is a currency; without dimensions there is always one row.
        """
        fact_columns.check(question)
        groups: dict[Group, list[Fact]] = {} if question.by else {(): []}
        for fact in self._facts:
            if _is_asked_for(fact, question):
                key = tuple(_plain(getattr(fact, name)) for name in question.by)
                groups.setdefault(key, []).append(fact)
        sums = [
            Sum(by=key, values={m.name: _value(m, facts) for m in question.measures})
            for key, facts in groups.items()
        ]
        said = (sum_ for sum_ in sums if not question.by or any(sum_.values.values()))
        return list(islice(sorted(said, key=_rank), question.rows_max))

    def trace(self, handle: int, limit: int) -> list[Trace]:
        """The rows whose ``handles`` hold this one, ordered by (position, ordinal), the first ``limit`` of them."""
        found = [fact for fact in self._facts if handle in fact.handles]
        found.sort(key=lambda fact: (fact.position, fact.ordinal))
        return [_trace(fact) for fact in found[:limit]]

    def trace_all(
        self, handles: Collection[int], kinds: Collection[FactKind], limit: int
    ) -> list[tuple[int, Trace]]:
        """The rows of some kinds whose ``handles`` hold any of these, each with the one that it holds."""
        asked = set(handles)
        kept = sorted(
            (fact for fact in self._facts if fact.kind in kinds),
            key=lambda fact: (fact.position, fact.ordinal),
        )
        found = [(h, _trace(fact)) for fact in kept for h in sorted(fact.handles) if h in asked]
        return found[:limit]

    def standing(self, wanted: Selection, after: RowPlace | None, rows_max: int) -> Standing:
        """A page of the rows that stand, ordered by ``RowPlace``, made of at most ``rows_max`` rows behind a place."""
        taken = {_subject(f): f.position for f in self._selected(wanted) if f.sign < 0}
        given = sorted((f for f in self._selected(wanted) if f.sign > 0), key=_place)
        page = [f for f in given if after is None or _place(f) > after][:rows_max]
        next_ = _place(page[-1]) if len(page) == rows_max else None
        kept = [f for f in page if f.position >= taken.get(_subject(f), 0)]
        return Standing([replace(f, handles=()) for f in kept], next_)

    def told(self, wanted: Told) -> set[RecordId]:
        """Which records of some have rows."""
        records = set(wanted.records)
        return {
            RecordId(fact.record)
            for fact in self._facts
            if fact.record in records
            and fact.product == wanted.product
            and fact.kind in wanted.kinds
            and (wanted.since_ms is None or fact.at_ms >= wanted.since_ms)
            and (wanted.until_ms is None or fact.at_ms <= wanted.until_ms)
        }

    def count_standing(self, wanted: Selection) -> int:
        """How many rows stand: the sum of their signs."""
        return sum(fact.sign for fact in self._selected(wanted))

    def _selected(self, wanted: Selection) -> list[Fact]:
        found = [
            fact
            for fact in self._facts
            if fact.kind in wanted.kinds
            and fact.position <= wanted.until
            and wanted.first_day <= fact.own_day <= wanted.last_day
            and wanted.product in {None, fact.product}
            and wanted.app in {None, fact.app}
            and wanted.partner in {None, fact.partner}
        ]
        return sorted(found, key=lambda fact: fact.position)

    def count(self) -> int:
        """How many rows are kept."""
        return len(self._facts)

    def forget(self, people: Sequence[Forgotten]) -> None:
        """Take what leads to people out of their rows, which stay for the sums."""
        self._facts = [scrub.fact(row, people) for row in self._facts]

    def clear(self) -> None:
        """Forget all rows, so that they can be made again."""
        self._facts.clear()

    def close(self) -> None:
        """Nothing to let go of."""


def _place(fact: Fact) -> RowPlace:
    return RowPlace(fact.product, fact.day, str(fact.kind), fact.position, fact.ordinal)


def _subject(fact: Fact) -> tuple[Any, ...]:
    """What revisions of one row have in common."""
    return fact.about, fact.kind, fact.is_primary


def _trace(fact: Fact) -> Trace:
    kind = str(fact.kind)
    return Trace(fact.position, kind, fact.about, fact.device, fact.touch, fact.conversion)


def _plain(value: Any) -> Any:
    """An enum member as the text it stands for."""
    return str(value) if isinstance(value, str) else value


def _is_asked_for(fact: Fact, question: Question) -> bool:
    return (
        (question.product is None or fact.product == question.product)
        and (question.app is None or fact.app == question.app)
        and (question.first_day is None or fact.day >= question.first_day)
        and (question.last_day is None or fact.day <= question.last_day)
        and (question.until is None or fact.position <= question.until)
        and (question.about_after is None or fact.about > question.about_after)
        and all(_is_allowed(fact, question, name) for name in question.where)
    )


def _is_allowed(fact: Fact, question: Question, name: str) -> bool:
    value = getattr(fact, name)
    if fact_columns.COLUMNS[name].is_day:
        return value in fact_columns.days_of(question, name)
    return value in question.where[name]


def _value(measure: Measure, facts: Iterable[Fact]) -> int | dict[str, int]:
    counted = [
        fact
        for fact in facts
        if fact.kind in measure.kinds
        and (measure.with_secondary or fact.is_primary)
        and (not measure.sources or fact.source in measure.sources)
        and fact.event not in measure.without_events
    ]
    match measure.value:
        case "rows":
            return sum(fact.sign for fact in counted)
        case "amount":
            return _money((f.currency, f.sign * f.amount_minor) for f in counted)
        case "cost":
            return _money((f.cost_currency, f.sign * f.cost_minor) for f in counted)
        case "devices":
            signs: dict[str, int] = defaultdict(int)
            for fact in counted:
                if fact.device is not None:
                    signs[fact.device] += fact.sign
            return sum(sign > 0 for sign in signs.values())


def _money(amounts: Iterable[tuple[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = defaultdict(int)
    for currency, minor in amounts:
        sums[currency] += minor
    return {currency: sums[currency] for currency in sorted(sums) if sums[currency]}


def _rank(sum_: Sum) -> tuple[Any, ...]:
    first = next(iter(sum_.values.values()), 0)
    size = sum(first.values()) if isinstance(first, dict) else first
    return -size, tuple((value is None, value or "") for value in sum_.by)
