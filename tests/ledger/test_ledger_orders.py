"""Refunds by the order's number alone, judged and booked: what they take back, in whatever order they are told."""

from __future__ import annotations

import pytest
from attribute.tale import read_tale, tell
from ledger.books import Books

from attribune.model.outcome import CreditedEvent

SHARE = """
id = "share"
event = "buy"
currency = "EUR"
[[deal]]
kind = "revshare"
percent = "30"
"""
BOUGHT = """
    day 0 09:00  click  acme/spring
    day 0 09:10  open
    day 0 09:20  event  buy tx=T1 pay=100.00:EUR
"""
BACK = "event refund device=none tx=T1 by-order server"


def booked(text: str) -> tuple[list[int], list[str]]:
    """The lines of the book in order, and whom the refunds were credited to."""
    books = Books()
    books.offer(SHARE)
    outcomes = list(tell(read_tale(text)).outcomes())
    books.tell(*outcomes)
    assert books.problems() == []
    refunds = [x for x in outcomes if isinstance(x, CreditedEvent) and x.name == "refund"]
    return [line.amount_minor for line in books.lines()], [x.source.value for x in refunds]


@pytest.mark.parametrize(
    ("told", "lines", "sources"),
    [
        (f"day 1 09:00 {BACK} pay=40.00:EUR", [3000, -1200], ["attributed"]),
        (f"day 1 09:00 {BACK}", [3000, -3000], ["attributed"]),
        (
            f"day 1 09:00 {BACK} pay=40.00:EUR\nday 1 09:01 {BACK} pay=60.00:EUR",
            [3000, -1200, -1800],
            ["attributed", "attributed"],
        ),
        (f"day 1 09:00 {BACK} id=r\nday 1 09:01 {BACK} id=r", [3000, -3000], ["attributed"]),
    ],
    ids=["a part", "whole", "in parts", "told twice"],
)
def test_a_refund_after_the_purchase(told: str, lines: list[int], sources: list[str]) -> None:
    assert booked(f"{BOUGHT}\n{told}") == (lines, sources)


@pytest.mark.parametrize(
    ("told", "sources"),
    [
        (f"day 0 08:59 {BACK} pay=40.00:EUR\n{BOUGHT}", ["attributed"]),
        (
            f"day 0 08:59 {BACK} pay=40.00:EUR\nday 3 08:00 tick\n{BOUGHT.replace('day 0', 'day 4')}",
            ["unknown"],
        ),
    ],
    ids=["while it waits", "and its time was up"],
)
def test_a_refund_before_the_purchase(told: str, sources: list[str]) -> None:
    """The book takes back by the number, so that a refund which waits no more counts as well."""
    lines, refunds = booked(told)
    assert (sum(lines), refunds) == (1800, sources)


def test_a_refund_of_what_a_server_told_by_its_number_too() -> None:
    told = """
        day 0 09:00  click  acme/spring
        day 0 09:05  event  buy device=none tx=T1 pay=100.00:EUR by-order server
        day 0 09:10  open
        day 0 09:20  event  buy tx=T1 pay=999.00:EUR
    """
    assert booked(f"{told}\nday 1 09:00 {BACK}") == ([3000, -3000], ["attributed"])


@pytest.mark.parametrize("what", ["consent no", "forget server"])
def test_a_refund_of_somebody_who_may_not_be_measured_any_more(what: str) -> None:
    """It names nobody; only what was earned with the order goes back."""
    told = f"{BOUGHT}\nday 1 09:00 {what}\nday 1 09:10 {BACK} pay=40.00:EUR\nday 4 09:00 tick"
    assert booked(told) == ([3000, -1200], ["unknown"])
