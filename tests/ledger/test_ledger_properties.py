"""Whatever is told, in whatever order and however often: the book balances, and telling it twice changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger.books import Books, credit

from attribune.ledger import desk
from attribune.ledger.desk import CHAIN, KNOWN, STATEMENTS
from attribune.ledger.numbers import converted, rounded
from attribune.ledger.rates import Rates
from attribune.model.control import Change
from attribune.model.offer import StatementClosed

OFFERS = (
    """
    id = "tiers"
    event = "install"
    currency = "EUR"
    hold_days = 3
    levels = [{ percent = "10" }, { percent = "5", of = "revenue" }]
    [[deal]]
    kind = "cpa"
    ladder = "retroactive"
    keeps_tier = true
    tiers = [{ amount = "1.00" }, { over = "2", amount = "1.37" }, { over = "4", amount = "2.00" }]
    """,
    """
    id = "share"
    event = "purchase"
    currency = "EUR"
    lock = { after_month_end_days = 2 }
    levels = [{ percent = "33.33" }]
    [[deal]]
    kind = "revshare"
    percent = "33.33"
    carry = "revenue"
    cap = { month = "30.00", total = "50.00" }
    formula = [{ event = "purchase", factor = "0.835" }, { event = "bonus", factor = "-1" }]
    [[deal]]
    kind = "cpa"
    amount = "0.50"
    partial_refund = "reverse"
    cap = { day = "1.00" }
    """,
    """
    id = "qualified"
    event = "registration"
    currency = "USD"
    qualify = { event = "deposit", total = "10", within_days = 2 }
    [[deal]]
    kind = "cpa"
    amount = "3.00"
    """,
)
PARTNERS = st.sampled_from(["acme", "zeta", None])
DAYS = st.integers(1, 28).map(lambda day: f"2026-01-{day:02d}")
NUMBERS = st.integers(0, 4)
AMOUNTS = st.sampled_from(["10", "33.33", "0.01", "-20", "1000"])

DEEDS = st.one_of(
    st.tuples(st.just("install"), NUMBERS, PARTNERS, DAYS, st.integers(1, 3)),
    st.tuples(
        st.sampled_from(["purchase", "bonus", "registration", "deposit"]),
        NUMBERS,
        PARTNERS,
        DAYS,
        AMOUNTS,
        st.sampled_from(["EUR", "USD"]),
        st.integers(1, 3),
    ),
    st.tuples(
        st.sampled_from(["refund", "chargeback"]), NUMBERS, NUMBERS, DAYS, st.none() | AMOUNTS
    ),
    st.tuples(st.just("close"), st.sampled_from(["2026-01", "2026-02"]), PARTNERS),
    st.tuples(st.just("rate"), DAYS),
    st.tuples(st.just("tick"), DAYS),
)


def told(books: Books, deed: tuple[Any, ...]) -> None:
    """Tell one deed."""
    match deed:
        case ("install", number, partner, day, revision):
            books.tell(books.of_install(f"i{number}", at=day, partner=partner, revision=revision))
        case ("refund" | "chargeback" as name, number, target, day, amount):
            words = {"at": day, "transaction_id": f"t{target}"}
            books.event(f"{name}{number}", name, amount, **words)
        case ("close", period, partner):
            books.change(StatementClosed(partner=partner or "acme", period=period))
        case ("rate", day):
            books.rate(day, "USD", "EUR", "0.9137")
            books.rate(day, "EUR", "USD", "1.0943")
        case ("tick", day):
            books.tick(day)
        case (name, number, partner, day, amount, currency, revision):
            books.event(
                f"{name}{number}",
                name,
                amount,
                at=day,
                partner=partner,
                currency=currency,
                revision=revision,
                device=f"d{number % 2}",
                transaction_id=f"t{number}" if name == "purchase" else None,
            )


def begun() -> Books:
    books = Books(timezone="Europe/Berlin")
    books.recruit("acme", "boss")
    books.recruit("boss", "chief")
    for offer in OFFERS:
        books.offer(offer)
    return books


def standing(books: Books) -> Any:
    return (
        books.lines(),
        books.book.balances(),
        books.statements("acme"),
        books.statements("zeta"),
    )


@settings(max_examples=120)
@given(st.lists(DEEDS, min_size=10, max_size=60))
def test_the_book_adds_up_after_everything(deeds: list[tuple[Any, ...]]) -> None:
    books = begun()
    for deed in deeds:
        told(books, deed)
    assert books.problems() == []


@settings(max_examples=120)
@given(st.lists(DEEDS, min_size=8, max_size=40), st.randoms(use_true_random=False))
def test_what_is_told_again_changes_nothing(deeds: list[tuple[Any, ...]], lots: Any) -> None:
    books = begun()
    for deed in deeds:
        told(books, deed)
    books.tick("2026-03-31")
    before = standing(books)
    outcomes = [record for _, record in books.told if not isinstance(record, Change)]
    lots.shuffle(outcomes)
    for record in outcomes:
        books.tell(record)
    assert standing(books) == before


def test_ladders_that_were_put_away_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def after_eight() -> Any:
        books = begun()
        for number in range(1, 9):
            told(books, ("install", number, "acme", f"2026-01-{number:02d}", 1))
        return standing(books)

    before = after_eight()
    monkeypatch.setattr(desk, "_LADDERS_MAX", 0)
    assert after_eight() == before


@settings(max_examples=80)
@given(st.lists(DEEDS, min_size=8, max_size=40), st.integers(1, 7))
def test_a_rebuild_makes_the_same_book(deeds: list[tuple[Any, ...]], size: int) -> None:
    books = begun()
    for deed in deeds:
        told(books, deed)
    again_ = Books(timezone="Europe/Berlin")
    entries = books.told[1:]
    for begin in range(0, len(entries), size):
        again_.keeper.take(entries[begin : begin + size])
    assert {one.id: one for one in again_.lines()} == {one.id: one for one in books.lines()}
    assert again_.book.balances() == books.book.balances()
    for kind in (KNOWN, CHAIN, STATEMENTS):
        keys = [key for k, key in books.book._states if k == kind]  # type: ignore[attr-defined]
        assert again_.book.states(kind, keys) == books.book.states(kind, keys)


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**12))
def test_rounding_is_half_to_even_and_never_off_by_more_than_half(amount: int, parts: int) -> None:
    found = rounded(amount, parts)
    assert abs(2 * (amount - found * parts)) <= parts
    if 2 * abs(amount - found * parts) == parts:
        assert found % 2 == 0


def test_credits_of_nobody_are_nobody() -> None:
    assert credit(None) is None
    assert Rates().of("2026-01-01", "EUR", "EUR") == 1
    assert converted(1, "JPY", "KWD", Rates().of("x", "JPY", "JPY") or 0) == 1000  # type: ignore[arg-type]
