"""The recorder writes each entry's rows exactly once, wherever it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record.house import HOUR_MS, T0, House

from attribune.model.activity import Consent
from attribune.model.errors import StoreUnavailable
from attribune.model.fact import Fact, FactKind
from attribune.model.position import Topic
from attribune.roles import base
from attribune.settings import Settings


def settings(**given: Any) -> Settings:
    return Settings(**given)


def busy(house: House) -> House:
    """Some of everything."""
    hits = [house.click("l-acme"), house.click("l-zeta")]
    installs = [house.install(f"d{n}", hits[n % 2] if n < 2 else None) for n in range(4)]
    for n, install in enumerate(installs):
        house.event(f"e{n}", install, revenue="1.00")
        house.opened(f"o{n}", install)
    house.repeated_touch()
    house.refusal()
    house.correct(installs[0], None, T0 + 5 * HOUR_MS)
    return house


def test_all_rows_of_a_journal_are_written_in_order() -> None:
    house = busy(House()).record()
    assert house.rows() == house.facts.rows
    assert house.facts.position() == house.journal.end() == house.recorder.position()
    assert house.recorder.step() == 0


@given(st.integers(1, 9), st.integers(1, 7), st.integers(0, 30))
def test_a_recorder_that_is_stopped_anywhere_goes_on_without_loss_or_doubling(
    rows_max: int, entries_max: int, fails_at: int
) -> None:
    whole = busy(House()).record().rows()
    house = busy(House(settings=settings(record_rows_max=rows_max, read_entries_max=entries_max)))
    house.recorder = house.new_recorder()
    for _ in range(fails_at):
        house.recorder.step()
    house.recorder = house.new_recorder()  # killed, and started again
    house.record()
    assert house.rows() == whole


def test_an_insert_is_limited_by_the_bytes_of_its_entries_too() -> None:
    """Rows as wide as the wire allows would take gigabytes at once otherwise."""
    house = House(settings=settings(facts_insert_bytes_max=1 << 16))
    for n in range(40):
        house.click(at_ms=T0 + n, query=f"n={n}&wide={'x' * 10_000}")
    touch, _ = house.repeated_touch(extra={"wide": "x" * 10_000})
    assert touch
    house.record()
    assert [row.position for row in house.rows()] == [row.position for row in house.facts.rows]
    sizes = [
        sum(len(house.journal.get(topic_of_row(row), row.position).payload) for row in insert)
        for insert in house.facts.inserts
    ]
    assert len(house.facts.inserts) >= 7
    assert all(size <= 1 << 16 for size in sizes)


def topic_of_row(row: Fact) -> Topic:
    return Topic.TOUCHES if row.position == row.about else Topic.OUTCOMES


def test_an_entry_larger_than_an_insert_is_written_alone() -> None:
    house = House(settings=settings(facts_insert_bytes_max=1 << 16))
    for _ in range(2):
        house.click(query=f"wide={'x' * 100_000}")
    house.record()
    assert [len(insert) for insert in house.facts.inserts] == [1, 1]


@given(st.integers(1, 9), st.integers(1, 7))
def test_the_rows_of_an_entry_are_never_split(rows_max: int, entries_max: int) -> None:
    house = busy(House(settings=settings(record_rows_max=rows_max, read_entries_max=entries_max)))
    house.record()
    seen: set[int] = set()
    for insert in house.facts.inserts:
        places = {row.position for row in insert}
        assert not places & seen
        assert len(insert) <= rows_max or len(places) == 1
        seen |= places


def test_a_failed_insert_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    house = busy(House())
    with monkeypatch.context() as broken:
        broken.setattr(house.facts, "insert", _fail)
        with pytest.raises(StoreUnavailable):
            house.recorder.step()
    assert house.record().rows() == busy(House()).record().rows()


def test_it_goes_on_by_itself_when_the_facts_can_be_written_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "TRY_AGAIN_S", 0.001)
    house = House(settings=settings(record_wait_ms=1)).record()
    house.tick(T0)
    house.record()  # so that it remembers a place of its own
    busy(house)
    insert, stop, told = house.facts.insert, threading.Event(), []

    def twice(rows: Sequence[Fact]) -> None:
        told.append(house.recorder.state().get("last_error"))
        if len(told) == 2:
            insert(rows)  # written, and said to have failed
        if len(told) <= 2:
            raise StoreUnavailable("the disk is full")
        insert(rows)

    monkeypatch.setattr(house.facts, "insert", twice)
    thread = threading.Thread(target=house.recorder.run, args=(stop,))
    thread.start()
    while house.recorder.state().get("lag") != 0 and thread.is_alive():
        stop.wait(0.001)
    stop.set()
    thread.join(5)
    assert told[1] == "the disk is full"
    assert house.recorder.state()["last_error"] is None
    house.record()
    assert len(house.rows()) == len(busy(House()).record().rows())


def test_it_gives_up_when_the_facts_cannot_be_written_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "TRY_AGAIN_S", 0)
    house = busy(House())
    monkeypatch.setattr(house.facts, "insert", _fail)
    with pytest.raises(StoreUnavailable):
        house.recorder.run(threading.Event())


def _fail(_rows: object) -> None:
    raise StoreUnavailable


def test_a_recorder_knows_links_registered_before_it_was_started() -> None:
    house = House()
    house.click()
    house.record()
    house.recorder = house.new_recorder()
    house.click()
    house.record()
    assert [row.partner for row in house.rows()] == ["acme", "acme"]


def test_rows_are_made_again_after_they_were_forgotten() -> None:
    house = busy(House()).record()
    before = house.rows()
    house.recorder.forget()
    assert house.facts.count() == 0
    assert house.record().rows() == before


def test_it_says_where_it_stands() -> None:
    house = House()
    assert house.recorder.state() == {"is_ready": False, "last_error": None}
    house.record()
    house.click()
    state = house.recorder.state()
    assert (state["lag"], state["counters"]["rows"]) == (1, 0)
    house.record()
    state = house.recorder.state()
    assert (state["lag"], state["counters"]["rows"]) == (0, 1)


def test_it_has_no_lag_behind_entries_that_give_no_rows() -> None:
    house = House()
    house.tick(T0)
    house.said(Consent, "c1")
    house.record()
    assert house.recorder.position() == house.journal.end()


def test_it_runs_until_it_is_stopped() -> None:
    house = House(settings=settings(record_wait_ms=1))
    stop = threading.Event()
    thread = threading.Thread(target=house.recorder.run, args=(stop,))
    thread.start()
    house.click()
    while house.facts.count() == 0 and thread.is_alive():
        stop.wait(0.001)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    assert [row.kind for row in house.facts.rows] == [FactKind.CLICK]
