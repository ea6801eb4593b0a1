"""What waits for a rate: whose it is, which rate, and that it is booked or undone once the rate is there."""

from __future__ import annotations

from typing import Any

import pytest
from ledger.books import Books, ms

from attribune.ledger import waiting
from attribune.ledger.desk import Desk
from attribune.model.book import LineKind, outcome_key

SHARE = """
id = "share"
event = "purchase"
currency = "EUR"
[[deal]]
kind = "revshare"
percent = "10"
"""
DAY = "2026-01-10"


@pytest.fixture
def books() -> Books:
    books = Books()
    books.offer(SHARE)
    return books


def held(books: Books, partner: str = "acme", **more: Any) -> list[tuple[str, str, str, int]]:
    found = waiting.of_partner(Desk(books.book), partner, **more)
    return [(one.day, one.base, one.quote, one.count) for one in found]


def rates_of(books: Books, *ids: str) -> list[tuple[str, str | None, str, str, str]]:
    keys = [outcome_key("game", "event", id_) for id_ in ids]
    found = waiting.of_outcomes(Desk(books.book), keys)
    return [(one.event, one.partner, one.day, one.base, one.quote) for one in found]


def test_each_partners_are_counted_by_themselves(books: Books) -> None:
    for n, partner in enumerate(("acme", "acme", "duo", None)):
        books.event(f"p{n}", "purchase", "10", currency="USD", partner=partner)
    books.event("late", "purchase", "10", currency="GBP", at="2026-02-01")
    assert held(books) == [(DAY, "USD", "EUR", 2), ("2026-02-01", "GBP", "EUR", 1)]
    assert held(books, "duo") == [(DAY, "USD", "EUR", 1)]
    assert held(books, until="2026-01") == [(DAY, "USD", "EUR", 2)]
    assert held(books, "nobody") == []
    books.rate(DAY, "USD", "EUR", "0.9")
    assert held(books) == [("2026-02-01", "GBP", "EUR", 1)]
    assert books.earned() == 180


def test_many_are_counted_up_to_a_limit(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LOOKED_MAX", 2)
    for n in range(3):
        books.event(f"p{n}", "purchase", "10", currency="USD")
    [found] = waiting.of_partner(Desk(books.book), "acme")
    assert (found.count, found.is_least) == (2, True)


def test_an_outcome_says_which_rate_it_waits_for(books: Books) -> None:
    assert rates_of(books, "p1") == []
    books.event("p1", "purchase", "10", currency="USD")
    books.event("p2", "purchase", "10", currency="USD", at="2026-01-11")
    books.event("p3", "purchase", "10")
    assert rates_of(books, "p1", "p3") == [("purchase", "acme", DAY, "USD", "EUR")]
    assert rates_of(books, "p3", "unheard-of") == []
    books.event("p4", "purchase", "10", currency="USD")
    assert rates_of(books, "p1") == [("purchase", "acme", DAY, "USD", "EUR")]


def test_a_refund_waits_for_its_own_rate_and_undoes_once_it_is_there(books: Books) -> None:
    books.event("p1", "purchase", "100", transaction_id="t")
    books.event("r1", "refund", "20", currency="USD", transaction_id="t", at="2026-01-12")
    assert rates_of(books, "r1") == [("refund", "acme", "2026-01-12", "USD", "EUR")]
    assert books.earned() == 1000
    books.rate("2026-01-12", "USD", "EUR", "0.5")
    assert books.earned() == 900
    assert books.problems() == []


def test_a_refund_that_came_first_undoes_once_its_rate_is_there(books: Books) -> None:
    books.event("r1", "refund", "20", currency="USD", transaction_id="t")
    books.event("p1", "purchase", "100", transaction_id="t")
    assert books.earned() == 1000
    books.rate(DAY, "USD", "EUR", "0.5")
    assert books.earned() == 900
    assert books.problems() == []


def test_what_is_held_and_told_anew_with_other_words_is_booked(books: Books) -> None:
    sale = books.of_event("p1", "purchase", "10", currency="USD")
    books.tell(sale)
    books.corrected(sale, "acme")
    assert held(books) == [(DAY, "USD", "EUR", 1)]
    books.rate(DAY, "USD", "EUR", "0.9")
    assert books.earned() == 90
    books.corrected(sale, "duo", revision=2)
    assert (books.earned(), books.earned("duo")) == (90, 0)
    books.corrected(sale, "duo", revision=3)
    assert (books.earned(), books.earned("duo")) == (0, 90)
    assert books.problems() == []


def test_what_is_held_and_given_to_another_is_the_others(books: Books) -> None:
    sale = books.of_event("p1", "purchase", "10", currency="USD")
    books.tell(sale)
    books.corrected(sale, "duo")
    assert (held(books), held(books, "duo")) == ([], [(DAY, "USD", "EUR", 1)])
    books.rate(DAY, "USD", "EUR", "0.9")
    assert (books.earned(), books.earned("duo")) == (0, 90)


def test_what_is_held_and_given_to_nobody_is_nobodys(books: Books) -> None:
    sale = books.of_event("p1", "purchase", "10", currency="USD")
    books.tell(sale)
    books.corrected(sale, None)
    assert held(books) == []
    books.rate(DAY, "USD", "EUR", "0.9")
    assert books.earned() == 0


def test_a_line_moves_with_what_undid_it(books: Books) -> None:
    books.event("p1", "purchase", "100", transaction_id="t")
    books.event("r1", "refund", "20", transaction_id="t", at="2026-01-15")
    found = [(line.kind, line.at_ms, line.moved_at_ms) for line in books.lines()]
    bought, back = ms(DAY), ms("2026-01-15")
    assert found == [(LineKind.EARN, bought, bought), (LineKind.REVERSAL, bought, back)]
