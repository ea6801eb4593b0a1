"""What is told by addresses that a click carries, and taken back: the log says what could not be."""

from __future__ import annotations

import pytest
from posthouse import NOW_MS, credit, event, install
from test_postback_fold import CALLBACKS, WHY, clicked, house
from test_postback_outgoing import urls

from attribune.model.delivery import Attempt, DeliveryState, Trigger
from attribune.model.outcome import Source
from attribune.model.position import Topic


@pytest.mark.parametrize("told", [True, False])
def test_what_was_told_by_callbacks_and_is_taken_back_leaves_a_row_that_says_why(
    told: bool,
) -> None:
    addresses = "+".join(f"https%3A%2F%2Fcb.example%2F{n}" for n in "ab")
    one = house(CALLBACKS)
    touch = clicked(one, f"install_callback={addresses}&event_callback_abc123={addresses}")
    bought = event(credit=credit(touch=touch), transaction_id="t")
    one.decide(install(credit=credit(touch=touch)), bought)
    one.decide(event("e2", name="level", credit=credit(touch=touch), transaction_id="t2"))
    one.fold()
    for row in (row.row.planned for row in one.log() if told):
        answer = {"status": 200, "state": DeliveryState.DELIVERED, "at_ms": NOW_MS, "took_ms": 1}
        words = {"delivery": row.id, "postback": row.postback, "number": 1}
        one.append(Topic.DELIVERIES, Attempt(**words, **answer))
    gone = {"source": Source.ORGANIC, "credit": None, "previous": credit(touch=touch), "cause": WHY}
    one.decide(install(revision=2, **gone))
    one.decide(event("r1", name="refund", credit=credit(touch=touch), transaction_id="t"))
    one.decide(event("r2", name="refund", credit=credit(touch=touch), transaction_id="t2"))
    one.fold()
    rows = [row.row.planned for row in one.log() if row.row.planned.trigger is Trigger.REVERSAL]
    assert [(row.subject, row.copy) for row in rows] == [("cv-d1", 0), ("e1", 0)], "level told none"
    if told:
        by_hand = "no click carries an address for what is taken back; tell the partner by hand"
        assert urls(one) == [by_hand] * 2
