"""Rows that stand: the twin and the engine agree, page by page."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import pytest
from engines.test_engines_facts import MARCH, fact
from msgspec.structs import replace

from attribune.engines.clickhouse_facts import ClickhouseFacts
from attribune.engines.memory import MemoryFacts
from attribune.model.fact import Fact, FactKind, RowPlace, Selection
from attribune.model.ids import Position, ProductId

EVENTS = Selection(
    kinds=(FactKind.EVENT,), until=Position(10**6), first_day=MARCH[0], last_day=MARCH[-1]
)


def told(seed: int) -> list[Fact]:
    """Events of three days, of which some were decided again, or taken away for good, days later."""
    chance = random.Random(seed)
    rows: list[Fact] = []
    for place in range(1, 120):
        row = fact(
            place,
            FactKind.EVENT,
            product=ProductId(chance.choice(["game", "gäme'\\ \t", ""])),
            own_day=(day := chance.choice(MARCH)),
            day=day,
            is_primary=chance.random() < 0.8,
            partner=chance.choice([None, "acme", "zeta"]),
        )
        rows.append(row)
        position = place
        for revision in range(2, chance.choice([2, 2, 2, 3, 4])):
            position += 1000
            moved = {"position": Position(position), "day": row.day + timedelta(days=1)}
            rows.append(replace(row, sign=-1, ordinal=0, **moved))
            if chance.random() < 0.2:
                break
            row = replace(row, ordinal=1, revision=revision, partner="nova", **moved)
            rows.append(row)
    return rows


def standing(facts: Any, wanted: Selection, rows_max: int) -> list[Fact]:
    found: list[Fact] = []
    after: RowPlace | None = None
    while True:
        page = facts.standing(wanted, after, rows_max)
        found += page.facts
        after = page.next
        if after is None:
            return found


@pytest.mark.parametrize("seed", range(4))
def test_the_engine_gives_what_the_twin_gives(clickhouse: ClickhouseFacts, seed: int) -> None:
    twin = MemoryFacts()
    clickhouse.clear()
    for keeper in (twin, clickhouse):
        keeper.insert(told(seed))
    for words in (
        {},
        {"product": ProductId("game")},
        {"app": "none"},
        {"partner": "acme"},
        {"partner": "nova"},
        {"until": Position(1100)},
        {"first_day": MARCH[1], "last_day": MARCH[1]},
    ):
        wanted = replace(EVENTS, **words)
        rows = standing(twin, wanted, 1000)
        assert rows == standing(clickhouse, wanted, 1000) == standing(clickhouse, wanted, 7)
        assert len(rows) == clickhouse.count_standing(wanted) == twin.count_standing(wanted)
    assert rows, "the seed has events on the second day"


def test_what_was_corrected_stands_once_as_it_is_now(facts) -> None:
    old = fact(5, FactKind.EVENT, partner="acme")
    again = {"position": Position(9), "day": date(2026, 3, 3)}
    facts.insert([old])
    facts.insert([replace(old, sign=-1, **again), replace(old, ordinal=1, partner="zeta", **again)])
    assert [f.partner for f in standing(facts, EVENTS, 10)] == ["zeta"]
    assert [f.partner for f in standing(facts, replace(EVENTS, until=Position(8)), 10)] == ["acme"]


def test_rows_taken_away_for_good_are_gone_and_their_page_is_not_the_last(facts) -> None:
    clicks = replace(EVENTS, kinds=(FactKind.CLICK,))
    facts.insert([fact(n, FactKind.CLICK) for n in range(1, 5)])
    facts.insert(
        [replace(fact(n, FactKind.CLICK), position=Position(9), ordinal=n, sign=-1) for n in (1, 2)]
    )
    first = facts.standing(clicks, None, 2)
    assert first.facts == []
    assert first.next is not None
    assert [f.position for f in standing(facts, clicks, 2)] == [3, 4]
