"""The checks that hold the facts against the journal: what the reports add up is what the outcomes say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date
from operator import attrgetter
from typing import Final, TypeAlias

from attribune.model.codec import Record
from attribune.model.fact import Fact, FactKind, Measure, Question, Sum
from attribune.model.position import Entry
from attribune.model.refusal import Refusal
from attribune.report.audit import OUTCOME_TYPES, TOUCH_TYPES, Found, Scope

_ALL: Final = tuple(FactKind)
#: More groups than any house has: kinds by products, partners, sources and days.
_GROUPS_MAX: Final = 5_000_000
#: What is compared of each group: its rows, and money by currency.
_ROWS: Final = Measure(name="rows", kinds=_ALL, with_secondary=True)
_AMOUNT: Final = Measure(name="amount", kinds=_ALL, value="amount", with_secondary=True)
_COST: Final = Measure(name="cost", kinds=_ALL, value="cost", with_secondary=True)

Group: TypeAlias = tuple[str, ...]
#: The same before its values are text.
Raw: TypeAlias = tuple[object, ...]


def _words(values: Iterable[object]) -> Group:
    """A group's values as text, the same from every engine."""
    return tuple(
        "" if v is None else v.isoformat() if isinstance(v, date) else str(v) for v in values
    )


class Expected:
    """The rows that the journal's entries give, made once an entry for both checks.

    Rows about records that were pruned are left out, here and of the facts: not all that they were made of is there.
    """

    def __init__(self, scope: Scope) -> None:
        """Make rows up to the place that the recorder has reached."""
        self._scope = scope
        self._start = scope.journal.start()
        self._entry: Entry | None = None
        self._rows: tuple[Fact, ...] = ()

    def of(self, entry: Entry, record: Record) -> tuple[Fact, ...]:
        """The rows of an entry that the recorder has read."""
        if entry is not self._entry:
            self._entry = entry
            self._rows = ()
            if entry.position <= self._scope.recorder_position:
                rows = self._scope.facts_of(entry.position, record)
                self._rows = tuple(row for row in rows if row.about > self._start)
        return self._rows


class FactsMatchOutcomes:
    """Facts and what they come from."""

    name = "facts_match_outcomes"
    sentence = "The facts hold the rows that touches, outcomes and refusals give, and no others."
    sees = (*TOUCH_TYPES, *OUTCOME_TYPES, Refusal)
    _BY: Final = ("kind", "product", "partner", "source", "own_day", "sign")

    def __init__(self, scope: Scope, expected: Expected) -> None:
        """Sum what the journal gives."""
        self._scope = scope
        self._expected = expected
        self._columns = attrgetter(*self._BY)
        self._sums: Counter[tuple[Raw, str]] = Counter()

    def see(self, entry: Entry, record: Record) -> None:
        """Add the rows of an entry to the sums."""
        for fact in self._expected.of(entry, record):
            group = self._columns(fact)
            self._sums[group, "rows"] += fact.sign
            if fact.currency:
                self._sums[group, fact.currency] += fact.sign * fact.amount_minor
            if fact.cost_currency:
                self._sums[group, f"cost {fact.cost_currency}"] += fact.sign * fact.cost_minor

    def finish(self) -> Found:
        """Sums that differ."""
        found = Found()
        sums = Counter({(_words(raw), what): n for (raw, what), n in self._sums.items()})
        stored = self._stored()
        for key in sorted(sums.keys() | stored.keys()):
            want, has = sums[key], stored[key]
            if want != has:
                group, what = key
                found.say(
                    f"{' '.join(word or '-' for word in group)}: the facts say {has} {what}, the journal {want}"
                )
        position = self._scope.facts.position()
        if position > self._scope.journal.end():
            found.say(f"a fact comes from {position}, where the journal has nothing yet")
        return found

    def _stored(self) -> Counter[tuple[Group, str]]:
        sums: Counter[tuple[Group, str]] = Counter()
        for row in _asked(self._scope, self._BY, (_ROWS, _AMOUNT, _COST)):
            group = _words(row.by)
            sums[group, "rows"] = _number(row, "rows")
            for name, prefix in (("amount", ""), ("cost", "cost ")):
                amounts = row.values.get(name)
                if isinstance(amounts, dict):
                    for currency, minor in amounts.items():
                        sums[group, prefix + currency] = minor
        return sums


class ClosedDaysHold:
    """Booked days."""

    name = "closed_days_hold"
    sentence = "Every row is booked on its own day or, when that was closed, on the first open one."
    sees = (*TOUCH_TYPES, *OUTCOME_TYPES, Refusal)
    _BY: Final = ("product", "own_day", "sign", "day")

    def __init__(self, scope: Scope, expected: Expected) -> None:
        """Count where rows of a day are booked."""
        self._scope = scope
        self._expected = expected
        self._columns = attrgetter(*self._BY)
        self._booked: Counter[Raw] = Counter()
        self._found = Found()

    def see(self, entry: Entry, record: Record) -> None:
        """Look at the booked day of each row of an entry."""
        for fact in self._expected.of(entry, record):
            self._booked[self._columns(fact)] += fact.sign
            if fact.received_at_ms >= self._scope.closes_at_ms(fact):
                self._found.say(
                    f"entry {entry.position} is booked on {fact.day}, which was closed when it came"
                )

    def finish(self) -> Found:
        """Rows of a day that the facts hold on other days than the journal gives."""
        stored: Counter[Group] = Counter()
        for row in _asked(self._scope, self._BY, (_ROWS,)):
            stored[_words(row.by)] = _number(row, "rows")
        booked = Counter({_words(raw): count for raw, count in self._booked.items()})
        all_rows, all_stored = _by_own_day(booked), _by_own_day(stored)
        for group in sorted(booked.keys() | stored.keys()):
            own = group[:-1]
            # Rows that are missing or too many are the other check's finding.
            if all_rows[own] == all_stored[own] and booked[group] != stored[group]:
                product, own_day, _, day = group
                self._found.say(
                    f"{product or '-'}: {stored[group]} rows of {own_day} are booked on {day}, "
                    f"not {booked[group]}"
                )
        return self._found


def _by_own_day(booked: Counter[Group]) -> Counter[Group]:
    sums: Counter[Group] = Counter()
    for group, count in booked.items():
        sums[group[:-1]] += count
    return sums


def _asked(scope: Scope, by: tuple[str, ...], measures: tuple[Measure, ...]) -> list[Sum]:
    return scope.facts.ask(
        Question(
            measures=measures,
            by=by,
            until=scope.recorder_position,
            about_after=scope.journal.start() or None,
            rows_max=_GROUPS_MAX,
        )
    )


def _number(row: Sum, name: str) -> int:
    value = row.values.get(name, 0)
    assert isinstance(value, int), f"{name} is a number"
    return value
