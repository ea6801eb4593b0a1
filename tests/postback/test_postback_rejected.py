"""Installs that are refused: by another measurement partner, or by a person who found fraud."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from posthouse import NOW_MS, PostHouse, credit, event, install, postback
from test_postback_elsewhere import said, theirs
from test_postback_fold import CALLBACKS, clicked
from test_postback_outgoing import going, urls

from attribune.model.activity import ForeignKind
from attribune.model.codec import decode, encode
from attribune.model.control import Change, Correct
from attribune.model.delivery import Attempt, DeliveryState, Trigger
from attribune.model.ids import ConversionId, PartnerId, Position, PostbackId, ProductId
from attribune.model.offer import Counts
from attribune.model.outcome import (
    Attribution,
    Cause,
    ConversionKind,
    CreditedBy,
    ForeignCredited,
    Source,
)
from attribune.model.position import Entry, Topic
from attribune.postback.elsewhere import NEWS_MS

URL = "https://acme.example/pb?t={trigger}&why={reason}&c={partner_click_id}"
FRAUD = Cause(kind="person", position=Position(9), reason="a bot farm", is_rejected=True)
GONE = {"revision": 2, "credit": None, "source": Source.ORGANIC, "cause": FRAUD}


def without_rejected(**words: Any) -> Any:
    some = tuple(one for one in Trigger if one is not Trigger.REJECTED_INSTALL)
    return postback(URL, **({"triggers": some} | words))


def taken_away(device: str = "d1", **words: Any) -> Attribution:
    return install(device, **({"previous": credit()} | GONE | words))


def deliver(house: PostHouse) -> None:
    """What waits is told."""
    house.fold()
    for row in (one.row for one in house.log()):
        if row.state is DeliveryState.WAITING:
            answer = {"at_ms": NOW_MS, "took_ms": 1, "status": 200}
            words = {"delivery": row.planned.id, "postback": row.planned.postback, "number": 1}
            house.append(
                Topic.DELIVERIES, Attempt(**words, **answer, state=DeliveryState.DELIVERED)
            )
    house.fold()


# --- another measurement partner's word


def rejected(record: str = "fc_2", **words: Any) -> ForeignCredited:
    given = {"kind": ForeignKind.REJECTED, "rejected_because": "click_flood"}
    return said(record, **(given | words))


def test_the_partner_that_a_vendor_names_hears_that_its_install_was_refused_and_why() -> None:
    house = PostHouse(theirs(settings={"url": URL}))
    house.decide(said())
    deliver(house)
    house.decide(rejected(), rejected("fc_3", rejected_because=None))
    assert urls(house) == [
        "https://acme.example/pb?t=rejected_install&why=click_flood&c=theirs",
        "https://acme.example/pb?t=rejected_install&why=rejected&c=theirs",
    ]


def test_a_vendor_rejects_for_longer_than_it_brings_news() -> None:
    house = PostHouse(theirs(settings={"url": URL}))
    house.decide(rejected(at_ms=NOW_MS - NEWS_MS - 1))
    assert len(urls(house)) == 1


def test_own_systems_hear_of_a_refused_install_that_names_nobody() -> None:
    own = {"template": "webhook", "settings": {"url": "https://own.example/"}, "partner": None}
    house = PostHouse(postback(id=PostbackId("own-1"), counts=Counts.ADJUST, **own))
    house.decide(rejected(partner=None, credited_by=None))
    (found,) = going(house)
    body = msgspec.json.decode(found.request.body)  # type: ignore[union-attr]  # it goes out
    assert (body["trigger"], body["reason"]) == ("rejected_install", "click_flood")


def test_the_addresses_of_the_click_are_called() -> None:
    house = PostHouse(msgspec.structs.replace(CALLBACKS, counts=Counts.ADJUST))
    query = "rejected_install_callback=https%3A%2F%2Fcb.example%2F%3Fwhy%3D%7Brejection_reason%7D%26k%3D%7Bactivity_kind%7D"
    touch = clicked(house, query)
    house.decide(rejected(touch=touch, credited_by=CreditedBy.TOUCH))
    assert urls(house) == ["https://cb.example/?why=click_flood&k=rejected_install"]


# --- a person's word


def test_who_asked_for_refused_installs_hears_of_one_and_of_no_reversal() -> None:
    reversals = without_rejected(id=PostbackId("acme-2"))
    house = PostHouse(postback(URL), reversals)
    house.decide(install())
    deliver(house)
    house.decide(taken_away())
    assert urls(house) == [
        "https://acme.example/pb?t=rejected_install&why=a%20bot%20farm&c=acme-click",
        "https://acme.example/pb?t=reversal&why=a%20bot%20farm&c=acme-click",
    ]


def test_the_one_it_goes_to_hears_of_an_install() -> None:
    zeta = postback(URL, id=PostbackId("zeta-1"), partner=PartnerId("zeta"))
    house = PostHouse(postback(URL), zeta)
    house.decide(install())
    deliver(house)
    house.decide(taken_away(credit=credit("zeta"), source=Source.ATTRIBUTED))
    assert [url.partition("?")[2].partition("&")[0] for url in urls(house)] == [
        "t=rejected_install",
        "t=install",
    ]


def test_an_install_that_was_not_told_yet_is_withdrawn_and_its_refusal_told() -> None:
    house = PostHouse(postback(URL))
    house.decide(install(), taken_away())
    assert urls(house) == ["it was taken back before it was told"]
    deliver(house)
    trigger = house.log()[-1].row.planned.trigger
    assert trigger is Trigger.REJECTED_INSTALL


@pytest.mark.parametrize(
    ("outcome", "trigger"),
    [
        (taken_away(), Trigger.REJECTED_INSTALL),
        (taken_away(kind=ConversionKind.REINSTALL), Trigger.REJECTED_INSTALL),
        (taken_away(kind=ConversionKind.REATTRIBUTION), Trigger.REVERSAL),
        (taken_away(cause=msgspec.structs.replace(FRAUD, is_rejected=False)), Trigger.REVERSAL),
        (event(previous=credit(), **GONE), Trigger.REVERSAL),
    ],
)
def test_only_an_install_is_a_refused_install(outcome: Any, trigger: Trigger) -> None:
    house = PostHouse(postback(URL))
    house.decide(outcome)
    house.fold()
    assert [one.row.planned.trigger for one in house.log()] == [trigger]


@pytest.mark.parametrize("has_address", [True, False])
def test_a_click_with_an_address_for_it_is_called_and_of_another_the_log_says_why(
    has_address: bool,
) -> None:
    house = PostHouse(CALLBACKS)
    no = "&rejected_install_callback=https%3A%2F%2Fcb.example%2Fno" if has_address else ""
    touch = clicked(house, f"install_callback=https%3A%2F%2Fcb.example%2Fyes{no}")
    house.decide(install(credit=credit(touch=touch)))
    deliver(house)
    house.decide(taken_away(previous=credit(touch=touch)))
    by_hand = "no click carries an address for what is taken back; tell the partner by hand"
    assert urls(house) == ["https://cb.example/no" if has_address else by_hand]


def test_a_rebuild_plans_the_same() -> None:
    house = PostHouse(postback(URL), theirs(settings={"url": URL}))
    house.decide(install(), taken_away(), said(), rejected())
    house.fold()
    before = [one.row.planned for one in house.log()]
    assert len(before) == 4
    house.life(outbox=False)
    house.fold()
    assert [one.row.planned for one in house.log()] == before


def test_a_correction_of_before_there_was_a_choice_rejects_nothing() -> None:
    record = Correct(
        conversion=ConversionId("cv"),
        product=ProductId("game"),
        to=None,
        reason="why",
        by="operator",
        id="fix_1",
    )
    old = encode(Change(at_ms=1, record=record))
    assert b"is_rejected" not in old
    change = decode(Entry(Position(1), Topic.CONTROL, old))
    assert isinstance(change, Change)
    assert change.record == record
