"""What every keeper of facts and every outbox does when people are forgotten: sums stay, and nobody is found."""

from __future__ import annotations

from typing import Any

import pytest
from engines.test_engines_facts import DEVICES, EVENTS, INSTALLS, REVENUE, ask, fact
from engines.test_engines_outbox import MINE, attempt, due, planned

from attribune.model.delivery import EMPTIED, DeliveryState, LogQuestion, OutboxPage, SentRequest
from attribune.model.fact import FactKind, Forgotten
from attribune.model.ids import DeviceId, ProductId, TouchId, forgotten

GAME = ProductId("game")
HASH = forgotten(GAME, DeviceId("d1"))
WHO = Forgotten(GAME, (DeviceId("d1"), DeviceId("o'\\d2")), (TouchId("t1"),))
SENT = SentRequest(method="GET", url="https://acme.example/?gaid=the-gaid", body="the-gaid")


def rows() -> list[Any]:
    return [
        fact(1, FactKind.CLICK, touch="t1", handles=(1, 2)),
        fact(2, FactKind.INSTALL, device="d1", touch="t1", record="r", handles=(1, 3)),
        fact(3, FactKind.EVENT, device="d1", amount_minor=5, currency="EUR", handles=(3,)),
        fact(4, FactKind.EVENT, device="o'\\d2", amount_minor=6, currency="EUR", handles=(4,)),
        fact(5, FactKind.EVENT, device="d3", amount_minor=7, currency="EUR", handles=(5,)),
        fact(6, FactKind.EVENT, device="d1", product=ProductId("other"), handles=(6,)),
        fact(7, FactKind.CLICK, touch="t2", handles=(7,)),
        fact(8, FactKind.EVENT, amount_minor=8, currency="EUR", handles=(8,)),
    ]


def sums(facts: Any) -> Any:
    return ask(facts, INSTALLS, EVENTS, REVENUE, DEVICES, by=("product", "day", "kind"))


def test_sums_stay_and_nobody_is_found(facts: Any) -> None:
    facts.insert(rows())
    before = sums(facts)
    facts.forget([WHO])
    assert sums(facts) == before
    assert facts.position() == 8
    found = {handle: facts.trace(handle, 10) for handle in range(1, 9)}
    assert [handle for handle, traces in found.items() if traces] == [5, 6, 7, 8]
    assert found[6][0].device == "d1"


def test_who_is_forgotten_is_one_device_still(facts: Any) -> None:
    facts.insert([*rows(), fact(9, FactKind.EVENT, device="d1")])
    facts.forget([WHO])
    facts.forget([Forgotten(GAME, (HASH,), ())])
    (total,) = ask(facts, DEVICES, product=GAME)
    assert total.values["devices"] == 3


def test_to_forget_nobody_changes_nothing(facts: Any) -> None:
    facts.insert(rows())
    facts.forget([])
    facts.forget([Forgotten(GAME, (), ())])
    assert len(facts.trace(3, 10)) == 2
    assert facts.trace(8, 10)


@pytest.fixture
def outbox(open_outbox: Any) -> Any:
    return open_outbox()


def told(outbox: Any) -> tuple[Any, Any]:
    """The row of d1 that was told, and of d3."""
    page = OutboxPage(
        planned=[planned("a"), planned("b", device=DeviceId("d3")), planned("c")],
        came=[
            attempt(
                "a",
                1,
                DeliveryState.WAITING,
                request=SENT,
                answer="the-gaid",
                next_at_ms=9**9,
                poll_url="https://acme.example/the-gaid",
            ),
            attempt("b", 1, DeliveryState.DELIVERED, request=SENT, answer="the-gaid"),
        ],
    )
    outbox.fold(page, 10)
    return page.planned[0], page.planned[1]


def log(outbox: Any, name: str) -> Any:
    (found,) = outbox.log(LogQuestion(ids=(name,)))
    return found


def test_what_was_sent_of_who_is_forgotten_is_emptied(outbox: Any) -> None:
    told(outbox)
    outbox.fold(OutboxPage(forgotten=[(GAME, DeviceId("d1"))]), 11)
    left, other = log(outbox, "a"), log(outbox, "b")
    assert "the-gaid" not in repr(left)
    assert (left.row.planned.device, left.row.request, left.row.poll_url) == (HASH, EMPTIED, None)
    assert (left.row.tries, left.attempts[0].status) == (1, 200)
    assert other.row.request == SENT
    assert log(outbox, "c").row.request is None
    assert due(outbox) == ["a", "c"]  # to be withdrawn, whenever it was to be tried again


def test_what_comes_of_a_request_under_way_is_emptied_too(outbox: Any) -> None:
    told(outbox)
    outbox.fold(OutboxPage(forgotten=[(GAME, DeviceId("d1"))]), 11)
    came = attempt(
        "c",
        1,
        DeliveryState.DELIVERED,
        request=SENT,
        answer="the-gaid",
        error="the-gaid",
        poll_url="the-gaid",
    )
    outbox.fold(
        OutboxPage(came=[came, attempt("b", 2, DeliveryState.DELIVERED, answer="kept")]), 12
    )
    left = log(outbox, "c")
    assert "the-gaid" not in repr(left)
    assert (left.row.state, left.row.tries) == (DeliveryState.DELIVERED, 1)
    assert log(outbox, "b").attempts[1].answer == "kept"
    assert log(outbox, "b").row.request == SENT


def test_the_same_device_of_another_product_is_another(outbox: Any) -> None:
    told(outbox)
    outbox.fold(OutboxPage(forgotten=[(ProductId("other"), DeviceId("d1"))]), 11)
    assert log(outbox, "a").row.request == SENT


def test_forgotten_twice_is_forgotten_once(outbox: Any) -> None:
    told(outbox)
    for place, device in ((11, DeviceId("d1")), (12, HASH)):
        outbox.fold(OutboxPage(forgotten=[(GAME, device)]), place)
    assert log(outbox, "a").row.planned.device == HASH
    assert outbox.counts()[MINE][DeliveryState.WAITING] == 2
