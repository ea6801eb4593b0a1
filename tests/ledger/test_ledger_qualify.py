"""Who must do something first: the commission waits, and is owed or lost."""

from __future__ import annotations

import pytest
from ledger.books import Books
from ledger.test_ledger_journeys import cpa

from attribune.model.book import LineKind, LineState

QUALIFIED = cpa(
    "registration",
    more='qualify = { event = "deposit", first = "20", count = 2, total = "100", within_days = 7 }\nhold_days = 10',
)


def test_a_conversion_waits_until_its_person_qualifies() -> None:
    books = Books()
    books.offer(QUALIFIED)
    books.event("reg", "registration", at="2026-01-10")
    books.event("d1", "deposit", "20", at="2026-01-11")
    assert books.lines()[0].state is LineState.WAITING
    assert books.places() == (1000, 0, 0, 0)
    books.event("d2", "deposit", "80", at="2026-01-16 23:59")
    assert books.lines()[0].state is LineState.PENDING
    books.tick("2026-01-20")
    assert books.places() == (0, 1000, 0, 0)
    assert books.problems() == []


@pytest.mark.parametrize(
    "deposits",
    [
        [("19.99", "2026-01-11"), ("90", "2026-01-12")],
        [("100", "2026-01-11")],
        [("50", "2026-01-11"), ("49.99", "2026-01-12")],
        [("50", "2026-01-11"), ("50", "2026-01-17")],
        [("50", "2026-01-09 23:59"), ("50", "2026-01-12")],
    ],
    ids=["first too small", "too few", "too little", "too late", "too early"],
)
def test_who_does_not_qualify_in_time_is_not_paid(deposits: list[tuple[str, str]]) -> None:
    books = Books()
    books.offer(QUALIFIED)
    books.event("reg", "registration", at="2026-01-10")
    for n, (amount, at) in enumerate(deposits):
        books.event(f"d{n}", "deposit", amount, at=at)
    assert books.lines()[0].state is LineState.WAITING or books.kinds()[1:] == [LineKind.REVERSAL]
    books.tick("2026-01-18")
    assert books.places() == (0, 0, 0, 0)
    assert [line.state for line in books.lines()] == [LineState.VOID, LineState.VOID]
    assert books.lines()[1].cause == "not_qualified"
    assert books.problems() == []


def test_a_conversion_that_is_told_late_has_an_hour_to_qualify() -> None:
    books = Books()
    books.offer(QUALIFIED)
    late = {"judged": "2026-06-01"}
    books.tell(
        books.of_event("reg", "registration", at="2026-01-10", **late),
        books.of_event("d1", "deposit", "60", at="2026-01-11", **late),
        books.of_event("d2", "deposit", "60", at="2026-01-12", **late),
    )
    assert books.places() == (0, 1000, 0, 0)
    assert books.lines()[0].month == 202601


@pytest.mark.parametrize(
    ("at", "state"),
    [("2026-01-16 23:59", LineState.APPROVED), ("2026-01-17 00:00", LineState.WAITING)],
)
def test_the_last_moment_to_qualify_is_before_the_days_are_over(at: str, state: LineState) -> None:
    books = Books()
    books.offer(QUALIFIED)
    late = {"judged": "2026-06-01"}
    books.event("reg", "registration", at="2026-01-10", **late)
    books.event("d1", "deposit", "60", at="2026-01-11", **late)
    books.event("d2", "deposit", "60", at=at, **late)
    books.tick("2026-06-01")
    assert books.lines()[0].state is state


def test_who_has_not_qualified_loses_at_the_moment_that_the_days_are_over() -> None:
    books = Books()
    books.offer(QUALIFIED)
    books.event("reg", "registration", at="2026-01-10")
    books.tick("2026-01-16 23:59")
    assert books.places() == (1000, 0, 0, 0)
    books.tick("2026-01-17 00:00")
    assert books.places() == (0, 0, 0, 0)


def test_a_deposit_before_the_registration_was_told_counts_and_one_person_earns_once() -> None:
    books = Books()
    books.offer(QUALIFIED)
    books.event("d1", "deposit", "60", at="2026-01-11")
    books.event("d2", "deposit", "60", at="2026-01-12")
    books.event("reg", "registration", at="2026-01-10", judged="2026-01-12")
    books.event("reg2", "registration", at="2026-01-10", judged="2026-01-12")
    assert books.earned() == 1000
    assert books.lines()[0].state is LineState.PENDING


def test_who_no_longer_qualifies_through_a_chargeback_loses_the_commission() -> None:
    books = Books()
    books.offer(QUALIFIED)
    books.event("reg", "registration", at="2026-01-10")
    books.event("d1", "deposit", "60", at="2026-01-11", transaction_id="t1")
    books.event("d2", "deposit", "60", at="2026-01-12", transaction_id="t2")
    books.event("r", "refund", "10", at="2026-01-13", transaction_id="t1")
    assert books.earned() == 1000
    books.event("c", "refund", "20", at="2026-01-13", transaction_id="t2")
    assert books.earned() == 0
    assert books.problems() == []


def test_a_deposit_that_is_taken_back_before_the_registration_came_does_not_count() -> None:
    books = Books()
    books.offer(QUALIFIED)
    books.event("d1", "deposit", "90", at="2026-01-11", transaction_id="t1")
    books.event("r", "refund", at="2026-01-11", transaction_id="t1")
    books.event("d2", "deposit", "90", at="2026-01-12")
    books.event("reg", "registration", at="2026-01-10", judged="2026-01-12")
    assert books.lines()[-1].state is LineState.WAITING


def test_one_event_may_be_conversion_and_deed_at_once() -> None:
    books = Books()
    books.offer(
        cpa("deposit", more='qualify = { event = "deposit", first = "20", within_days = 1 }')
    )
    books.event("d1", "deposit", "25", transaction_id="t1")
    books.event("d2", "deposit", "25", at="2026-01-11")
    assert books.places() == (0, 1000, 0, 0)
    books.event("r", "refund", transaction_id="t1")
    assert books.earned() == 0
    assert books.problems() == []


def test_many_fall_due_or_lose_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some at a time, and none is left."""
    monkeypatch.setattr("attribune.ledger.bookkeeper.DUE_MAX", 2)
    books = Books()
    books.offer(cpa(more="hold_days = 1"))
    books.offer(QUALIFIED.replace('"cpa"', '"registered"', 1))
    books.tell(
        *(books.of_install(f"i{n}") for n in range(5)),
        *(books.of_event(f"r{n}", "registration", device=f"d{n}") for n in range(5)),
    )
    assert books.places() == (10_000, 0, 0, 0)
    books.tick("2026-01-18")
    assert books.places() == (0, 5_000, 0, 0)
    assert books.problems() == []


def test_deeds_beyond_the_limit_are_added_to_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attribune.ledger.qualify.DEEDS_MAX", 2)
    books = Books()
    books.offer(QUALIFIED)
    books.event("reg", "registration", at="2026-01-10")
    for n, amount in enumerate(("20", "30", "25", "25")):
        books.event(f"d{n}", "deposit", amount, at="2026-01-11", transaction_id=f"t{n}")
    assert books.lines()[0].state is LineState.PENDING
    books.event("r", "refund", "5", at="2026-01-12", transaction_id="t3")
    assert books.earned() == 1000
