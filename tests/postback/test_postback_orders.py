"""Refunds by the order's number alone, judged and planned: who had the purchase hears of it, in whatever order they are told."""

from __future__ import annotations

import pytest
from attribute.tale import read_tale, tell
from msgspec.structs import replace
from posthouse import PostHouse, event, postback

from attribune.model.ids import DeviceId, Position, ProductId, RecordId
from attribune.model.outcome import Forgets, Noted, Source
from attribune.postback.fold import device_digest

BOUGHT = """
    day 0 09:00  click  acme/spring
    day 0 09:10  event  buy id=b tx=T1 pay=100.00:EUR
    day 0 09:20  open
"""
BACK = "event refund id=r device=none tx=T1 by-order server"


def planned(text: str) -> PostHouse:
    house = PostHouse(postback("https://acme.example/pb?c={event}&r={reason}"))
    house.decide(*tell(read_tale(text)).outcomes())
    house.fold()
    return house


@pytest.mark.parametrize(
    "told",
    [f"{BOUGHT}\nday 1 09:00 {BACK}", f"day 0 08:59 {BACK}\n{BOUGHT}"],
    ids=["after the purchase", "before it, while it waited"],
)
def test_who_had_the_purchase_is_told_of_the_refund(told: str) -> None:
    rows = [one.row.planned for one in planned(told).log()]
    assert [(row.trigger.value, row.outcome_id, row.partner) for row in rows] == [
        ("install", rows[0].outcome_id, "acme"),
        ("event", "b", "acme"),
        ("reversal", "r", "acme"),
    ]
    assert [row.device for row in rows] == [DeviceId("d1")] * 3


def test_a_refund_of_nobody_is_told_of_the_person_who_bought() -> None:
    """Whether partners may be told of them is their choice, and to be forgotten their right."""
    house = PostHouse(postback("https://acme.example/pb"))
    nobodys = {"credit": None, "conversion": None, "source": Source.UNKNOWN, "device": None}
    house.decide(event(transaction_id="T1"))
    back = event("r", name="refund", transaction_id="T1")
    house.decide(replace(back, **nobodys))
    house.fold()
    (row,) = [one.row.planned for one in house.log() if one.row.planned.outcome_id == "r"]
    assert (row.trigger.value, row.partner, row.device) == ("reversal", "acme", "d1")


def test_of_who_is_forgotten_partners_are_told_no_more_than_of_who_does_not_share() -> None:
    house = PostHouse(postback("https://acme.example/pb"))
    house.decide(event(transaction_id="T1"))
    game, device = ProductId("game"), DeviceId("d1")
    noted = Noted(
        product=game,
        position=Position(0),
        about=Position(0),
        judged_at_ms=0,
        record=RecordId("f"),
        record_type="forget",
        device=device,
        forgets=Forgets(devices=(device,)),
    )
    house.decide(noted)
    house.fold()
    assert house.outbox.not_sharing([device_digest(game, device)])
