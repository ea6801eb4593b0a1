"""What the API works on: changes that are journaled one after another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attribune.api.house import House
from attribune.collect.rehearsal import Rehearsal
from attribune.engines.memory import MemoryChance, MemoryClock, MemoryJournal
from attribune.model.codec import encode
from attribune.model.control import Change, Product, Tick
from attribune.model.ids import ProductId
from attribune.model.position import Topic
from attribune.registry.view import Registry
from attribune.settings import Settings


def house_over(journal: MemoryJournal) -> House:
    nobody: Any = None
    return House(
        folder=Path("unused"),
        settings=Settings(read_entries_max=1),
        base_url="https://t.example",
        clock=MemoryClock(),
        chance=MemoryChance(),
        journal=journal,
        registry=Registry(),
        keeper=nobody,
        enricher=nobody,
        facts=nobody,
        book=nobody,
        outbox=nobody,
        vault=nobody,
        dialects=Rehearsal(),
    )


def test_a_change_hides_no_earlier_one_from_a_registry_that_was_behind() -> None:
    """As after a power cut that took the registry store's last commits: the journal has more than the store."""
    journal = MemoryJournal()
    game = Product(id=ProductId("game"), name="Game")
    journal.append([(Topic.CONTROL, encode(Change(at_ms=1, record=game)))] * 3)
    house = house_over(journal)
    [place] = house.journal_changes([Change(at_ms=2, record=Tick(at_ms=2))])
    assert (house.registry.position, place) == (4, 4)
    assert house.registry.product(game.id) == game
