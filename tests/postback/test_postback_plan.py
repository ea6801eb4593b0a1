"""The plan: whom an outcome concerns, as what, and in which words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from attribune.model.activity import Device, Event, Open, Platform, Sender
from attribune.model.delivery import Trigger
from attribune.model.ids import (
    AppId,
    ConversionId,
    DeviceId,
    LinkId,
    PartnerId,
    PolicyVersion,
    Position,
    ProductId,
    RecordId,
    TouchId,
    UserId,
)
from attribune.model.money import Money
from attribune.model.outcome import (
    Attribution,
    Cause,
    ConversionKind,
    Credit,
    CreditedEvent,
    Source,
)
from attribune.model.policy import MatchMethod
from attribune.model.touch import Touch, TouchKind, TouchOrigin
from attribune.postback.macros import MACROS, macro
from attribune.postback.parts import Taken
from attribune.postback.plan import UNDOING, Looked, tellings

OF = {
    "product": ProductId("game"),
    "position": Position(9),
    "about": Position(7),
    "judged_at_ms": 9,
    "app": AppId("game-android"),
    "platform": Platform.ANDROID,
    "device": DeviceId("d1"),
    "record": RecordId("r1"),
    "at_ms": 5000,
    "country": "DE",
    "os_version": "14",
    "app_version": "3.1",
    "user_id": UserId("u1"),
}


def credit(partner: str, touch: str = "t1", **words: Any) -> Credit:
    return Credit(
        touch=TouchId(touch),
        partner=PartnerId(partner),
        kind=TouchKind.CLICK,
        method=MatchMethod.REFERRER,
        touch_at_ms=1000,
        link=LinkId("l1"),
        partner_click_id=f"{partner}-click",
        **words,
    )


def install(**words: Any) -> Attribution:
    given = {
        "conversion": ConversionId("k1"),
        "kind": ConversionKind.INSTALL,
        "source": Source.ATTRIBUTED,
        "policy": PolicyVersion("attribune@0"),
        "as_of": Position(7),
    }
    return Attribution(**(OF | given | words))


def event(**words: Any) -> CreditedEvent:
    given = {"name": "buy", "source": Source.ATTRIBUTED, "conversion": ConversionId("k1")}
    return CreditedEvent(**(OF | given | words))


def told(outcome: Any, **looked: Any) -> list[tuple[str, Trigger]]:
    return [(one.partner, one.trigger) for one in tellings(outcome, Looked(**looked))]


@pytest.mark.parametrize("kind", ConversionKind)
def test_a_conversion_is_told_to_who_is_credited_as_what_it_is(kind) -> None:
    assert told(install(kind=kind, credit=credit("acme"))) == [("acme", Trigger(kind.value))]


def test_what_nobody_is_credited_with_is_told_to_nobody() -> None:
    assert told(install(source=Source.ORGANIC)) == []
    assert told(event(source=Source.UNKNOWN)) == []


def test_a_secondary_credit_earns_nothing_and_is_not_told() -> None:
    assert told(event(credit=credit("again"), secondary=credit("first"))) == [
        ("again", Trigger.EVENT)
    ]


def test_a_correction_takes_back_and_tells_anew() -> None:
    now, before = credit("new"), credit("old", "t0")
    cause = Cause(kind="person", position=Position(9), reason="a mistake")
    for made, trigger in ((install, Trigger.INSTALL), (event, Trigger.EVENT)):
        moved = made(revision=2, credit=now, previous=before, cause=cause)
        assert told(moved) == [("old", Trigger.REVERSAL), ("new", trigger)]
        taken = made(revision=2, previous=before, cause=cause)
        assert told(taken) == [("old", Trigger.REVERSAL)]
        given = made(revision=2, credit=now, cause=cause)
        assert told(given) == [("new", trigger)]
        stays = made(revision=2, credit=credit("old", "t9"), previous=before, cause=cause)
        assert told(stays) == [("old", Trigger.ATTRIBUTION_UPDATE)]
        back, _ = tellings(moved, Looked())
        assert (back.values["partner_click_id"], back.values["touch_id"]) == ("old-click", "t0")
        assert (back.values["reason"], back.revision) == ("a mistake", 2)


def test_a_conversion_that_becomes_another_kind_is_taken_back_as_what_it_was() -> None:
    now = install(
        revision=2,
        kind=ConversionKind.REINSTALL,
        credit=credit("acme"),
        previous=credit("acme"),
        previous_kind=ConversionKind.INSTALL,
    )
    assert told(now) == [("acme", Trigger.REVERSAL), ("acme", Trigger.REINSTALL)]


@pytest.mark.parametrize("name", UNDOING)
def test_a_refund_takes_back_the_event_that_it_names(name) -> None:
    bought = event(record=RecordId("r0"), transaction_id="o1", credit=credit("acme"))
    back = event(
        name=name,
        transaction_id="o1",
        credit=credit("acme"),
        revenue=Money(amount_minor=250, currency="EUR"),
    )
    (one,) = tellings(back, Looked(undone=bought))
    assert one.trigger is Trigger.REVERSAL
    words = ("event", "record_id", "transaction_id", "reason", "revenue")
    assert [one.values[word] for word in words] == ["buy", "r0", "o1", name, "2.50"]
    assert told(back) == [("acme", Trigger.EVENT)], (
        "of what nobody knows it is an event like others"
    )


def test_a_refund_that_moves_is_told_to_its_new_partner_only() -> None:
    """Who had the purchase is told that by the purchase's own correction."""

    def bought(by: str | None) -> CreditedEvent:
        brought = {"credit": credit(by)} if by else {}
        return event(record=RecordId("r0"), transaction_id="o1", **brought)

    words = {"name": "refund", "transaction_id": "o1", "revision": 2}
    moved = event(credit=credit("new"), previous=credit("old"), **words)
    assert told(moved, undone=bought("new")) == [("new", Trigger.REVERSAL)]
    assert told(event(previous=credit("old"), **words), undone=bought(None)) == []
    stays = event(credit=credit("old", "t9"), previous=credit("old"), **words)
    assert told(stays, undone=bought("old")) == []


def test_a_refund_is_told_to_who_had_the_purchase_whoever_is_credited_with_itself() -> None:
    words = {"name": "refund", "transaction_id": "o1"}
    bought = event(record=RecordId("r0"), transaction_id="o1", credit=credit("seller"))
    for own in (credit("other"), None):
        assert told(event(credit=own, **words), undone=bought) == [("seller", Trigger.REVERSAL)]


def test_all_that_is_known_stands_under_its_macro() -> None:
    device = Device(
        id=DeviceId("d1"),
        platform=Platform.ANDROID,
        model="Pixel 8",
        locale="de-DE",
        ids={
            "gaid": "g",
            "idfa": "i",
            "idfv": "v",
            "android_id": "a",
            "oaid": "o",
            "app_set_id": "s",
        },
    )
    said = {
        "id": RecordId("r1"),
        "product": ProductId("game"),
        "app": AppId("game-android"),
        "sender": Sender.APP,
        "received_at_ms": 6000,
        "occurred_at_ms": 5000,
        "device": device,
        "ip": "192.0.2.1",
        "user_agent": "UA",
    }
    touch = Touch(
        id=TouchId("t1"),
        kind=TouchKind.CLICK,
        product=ProductId("game"),
        partner=PartnerId("acme"),
        origin=TouchOrigin.REDIRECT,
        received_at_ms=1000,
        occurred_at_ms=1000,
        extra={"promo": "x", "no macro can name me": "y"},
    )
    record = Event(name="buy", params={"level": "7", "item": '"sword"', "a b": "1"}, **said)
    outcome = event(
        credit=credit("acme", campaign="c", campaign_id="ci", adgroup="ag", adgroup_id="agi",
                      creative="cr", creative_id="cri", site_id="s", sub_site_id="ss"),
        transaction_id="o1",
        revenue=Money(amount_minor=1250, currency="EUR"),
        cause=Cause(kind="late_touch", position=Position(1)),
    )  # fmt: skip
    looked = Looked(
        record=record, touches={touch.id: touch}, store_id="com.example", conversion_at_ms=4000
    )
    (one,) = tellings(outcome, looked)
    values = one.values
    for name in values:
        macro(name)  # each is one
    # Delivery gives its id, the partner's data the name of the event, and rendering the id of what is told.
    unsaid = {name for name in MACROS if values.get(name) is None}
    parts = {"revenue_undone", "revenue_undone_minor", "revenue_left", "revenue_left_minor"}
    assert unsaid == {"delivery_id", "event_name", "told_id"} | parts
    back = event(name="refund", revenue=Money(amount_minor=250, currency="EUR"))
    (part,) = tellings(back, Looked(undone=outcome, taken=Taken(250, 1000)))
    assert part.trigger is Trigger.PARTIAL_REVERSAL
    assert [part.values[name] for name in sorted(parts)] == ["10.00", 1000, "2.50", 250]
    moved = msgspec.structs.replace(outcome, revision=2, previous=credit("old"))
    old, new = tellings(moved, Looked(taken=Taken(1250, 0)))
    assert (old.trigger, old.values["revenue_undone"]) == (Trigger.REVERSAL, "12.50")
    assert "revenue_undone" not in new.values, "nothing is taken back from the new one"
    assert (values["extra.promo"], values["param.level"], values["param.item"]) == (
        "x",
        "7",
        "sword",
    )
    assert (values["revenue"], values["revenue_minor"], values["at"]) == ("12.50", 1250, 5000)
    assert (values["conversion_at"], values["touch_at"], values["reason"]) == (
        4000,
        1000,
        "late_touch",
    )
    (opened,) = tellings(install(credit=credit("acme")), Looked(record=Open(**said)))
    assert (opened.values["gaid"], opened.values["conversion_at"]) == ("g", 5000)
    assert "extra.promo" not in opened.values


def test_what_stood_on_another_click_is_not_told() -> None:
    touch = Touch(
        id=TouchId("another"),
        kind=TouchKind.CLICK,
        product=ProductId("game"),
        partner=PartnerId("acme"),
        origin=TouchOrigin.REDIRECT,
        received_at_ms=1,
        occurred_at_ms=1,
        extra={"promo": "x"},
    )
    (one,) = tellings(install(credit=credit("acme")), Looked(touches={touch.id: touch}))
    assert "extra.promo" not in one.values
