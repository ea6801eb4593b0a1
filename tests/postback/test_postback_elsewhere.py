"""What another measurement partner decided is told by the postbacks that count it, once, and by no other."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from posthouse import NOW_MS, PostHouse, event, install, postback
from test_postback_fold import clicked, planned
from test_postback_outgoing import going, urls

from attribune.model.activity import (
    ForeignConversion,
    ForeignKind,
    ForeignSource,
    Platform,
    Sender,
    Vendor,
)
from attribune.model.codec import decode, encode
from attribune.model.control import Change, Postback
from attribune.model.delivery import Attempt, DeliveryState
from attribune.model.ids import (
    AppId,
    PartnerId,
    Position,
    PostbackId,
    ProductId,
    RecordId,
    TouchId,
)
from attribune.model.money import Money
from attribune.model.offer import Counts
from attribune.model.outcome import CreditedBy, ForeignCredited, Source
from attribune.model.policy import MatchMethod
from attribune.model.position import Entry, Topic
from attribune.postback.elsewhere import NEWS_MS, REJECTED_NEWS_MS, as_own

URL = "https://acme.example/pb?c={partner_click_id}&t={trigger}&r={record_id}&m={campaign}&x={transaction_id}&v={revenue}&g={gaid}"


def said(record: str = "fc_1", **words: Any) -> ForeignCredited:
    given = {
        "product": ProductId("game"),
        "position": Position(0),
        "about": Position(0),
        "judged_at_ms": NOW_MS,
        "app": AppId("game-android"),
        "platform": Platform.ANDROID,
        "vendor": Vendor.ADJUST,
        "kind": ForeignKind.INSTALL,
        "source": ForeignSource.ATTRIBUTED,
        "at_ms": NOW_MS - 5,
        "partner": PartnerId("acme"),
        "credited_by": CreditedBy.NAME,
        "partner_click_id": "theirs",
        "vendor_device_id": "adid-1",
        "campaign": "Spring of Adjust",
    }
    return ForeignCredited(record=RecordId(record), **(given | words))


def bought(record: str, **words: Any) -> ForeignCredited:
    return said(record, **({"kind": ForeignKind.EVENT, "name": "buy", "transaction_id": "o-1"} | words))  # fmt: skip


def theirs(**words: Any) -> Postback:
    return postback(URL, **({"id": PostbackId("acme-adjust"), "counts": Counts.ADJUST} | words))


def test_each_postback_tells_of_one_source_of_decisions() -> None:
    other = theirs(id=PostbackId("acme-branch"), counts=Counts.BRANCH)
    house = PostHouse(postback(URL), theirs(), other)
    house.decide(install(), event(), said(), bought("fc_2"))
    assert planned(house) == [
        ("acme-1", "install", "cv-d1", 1),
        ("acme-1", "event", "e1", 1),
        ("acme-adjust", "install", "fc_1", 1),
        ("acme-adjust", "event", "fc_2", 1),
    ]


def test_a_postback_journaled_before_there_was_a_choice_tells_of_ours() -> None:
    old = encode(Change(at_ms=1, record=postback(URL)))
    assert b"counts" not in old
    change = decode(Entry(Position(1), Topic.CONTROL, old))
    assert isinstance(change, Change)
    assert isinstance(change.record, Postback)
    assert change.record.counts is Counts.OWN


def test_a_partner_is_told_in_the_words_of_its_own_click() -> None:
    house = PostHouse(theirs())
    touch = clicked(house, "click_id=mine&campaign=spring")
    [about] = house.append(Topic.ACTIVITY, ForeignConversion(id=RecordId("fc_1"), product=ProductId("game"), app=AppId("game-android"), sender=Sender.SERVER, received_at_ms=NOW_MS, occurred_at_ms=NOW_MS, vendor=Vendor.ADJUST, kind=ForeignKind.INSTALL, source=ForeignSource.ATTRIBUTED, ids={"gaid": "g-1"}))  # fmt: skip
    house.decide(said(touch=touch, credited_by=CreditedBy.TOUCH, partner_click_id=touch, about=about))  # fmt: skip
    house.decide(said("fc_2", touch=TouchId("gone"), credited_by=CreditedBy.CLICK_ID))
    house.decide(bought("fc_3", revenue=Money(amount_minor=250, currency="EUR")))
    assert urls(house) == [
        "https://acme.example/pb?c=mine&t=install&r=fc_1&m=spring&g=g-1",
        "https://acme.example/pb?c=theirs&t=install&r=fc_2&m=Spring%20of%20Adjust",
        "https://acme.example/pb?c=theirs&t=event&r=fc_3&m=Spring%20of%20Adjust&x=o-1&v=2.50",
    ]


def test_our_touch_id_is_never_told_as_the_partner_s_click() -> None:
    house = PostHouse(theirs())
    house.decide(said(touch=TouchId("gone"), credited_by=CreditedBy.TOUCH, partner_click_id="gone"))
    [url] = urls(house)
    assert "gone" not in url


@pytest.mark.parametrize("in_one_page", [True, False])
def test_a_rejection_takes_back_what_was_told_of_its_order_and_person(in_one_page: bool) -> None:
    house = PostHouse(theirs())
    no = {"kind": ForeignKind.REJECTED, "rejected_because": "fraud", "name": None, "partner": None}
    house.decide(bought("fc_1"), bought("fc_2", vendor_device_id="adid-2"))
    if not in_one_page:
        house.fold()
    house.decide(bought("fc_3", **no), bought("fc_4", transaction_id="o-2", **no))
    assert planned(house) == [
        ("acme-adjust", "event", "fc_1", 1),
        ("acme-adjust", "event", "fc_2", 1),
        ("acme-adjust", "reversal", "fc_3", 1),
    ]
    back = next(row.row.planned for row in house.log() if row.row.planned.outcome_id == "fc_3")
    assert (back.subject, back.partner) == ("fc_1", "acme")


def test_a_rejection_names_the_partner_s_own_click_and_event() -> None:
    house = PostHouse(theirs())
    touch = clicked(house, "click_id=mine")
    house.decide(bought("fc_1", touch=touch, credited_by=CreditedBy.TOUCH))
    house.fold()
    told = house.log()[0].row.planned
    delivered = Attempt(
        delivery=told.id,
        postback=told.postback,
        number=1,
        at_ms=NOW_MS,
        took_ms=3,
        status=200,
        state=DeliveryState.DELIVERED,
    )
    house.append(Topic.DELIVERIES, delivered)
    house.decide(bought("fc_2", kind=ForeignKind.REJECTED, name=None, partner=None))
    assert urls(house) == ["https://acme.example/pb?c=mine&t=reversal&r=fc_1&x=o-1"]


def test_a_refund_of_ours_takes_back_nothing_of_theirs() -> None:
    house = PostHouse(postback(URL), theirs())
    house.decide(event(transaction_id="o-1"), bought("fc_1"), event("e2", name="refund", transaction_id="o-1"))  # fmt: skip
    house.fold()
    subjects = {row.row.planned.outcome_id: row.row.planned.subject for row in house.log()}
    assert subjects == {"e1": "e1", "fc_1": "fc_1", "e2": "e1"}


@pytest.mark.parametrize(
    "words",
    [
        {"is_primary": False},
        {"kind": ForeignKind.UPDATE},
        {"kind": ForeignKind.SESSION},
        {"kind": ForeignKind.UNINSTALL},
        {"kind": ForeignKind.REJECTED, "name": "buy"},
        {"kind": ForeignKind.REJECTED, "at_ms": NOW_MS - REJECTED_NEWS_MS - 1},
        {"kind": ForeignKind.REJECTED, "partner": PartnerId("zeta")},
        {"kind": ForeignKind.REJECTED, "transaction_id": "of nothing known"},
        {"partner": None, "credited_by": None, "source": ForeignSource.ORGANIC},
        {"partner": PartnerId("zeta")},
        {"at_ms": NOW_MS - NEWS_MS - 1},
    ],
)
def test_what_is_no_partner_s_news_is_told_to_nobody(words: dict[str, Any]) -> None:
    house = PostHouse(theirs())
    house.decide(said(**words))
    assert planned(house) == []


def test_own_systems_hear_of_everybody_s() -> None:
    house = PostHouse(theirs(partner=None))
    house.decide(said(partner=None, credited_by=None, source=ForeignSource.ORGANIC), said("fc_2"))
    assert [row[1:3] for row in planned(house)] == [("install", "fc_1"), ("install", "fc_2")]


def test_reading_again_gives_the_same() -> None:
    house = PostHouse(theirs())
    house.decide(said(), bought("fc_2"), bought("fc_3", kind=ForeignKind.REJECTED))
    first = planned(house)
    assert len(first) == 3
    ids = [row.row.planned.id for row in house.log()]
    house.life(outbox=False)
    assert planned(house) == first
    assert [row.row.planned.id for row in house.log()] == ids


def test_what_the_vendor_does_not_say_is_a_claim_or_an_id() -> None:
    by_name, by_id = as_own(said(), None), as_own(said(credited_by=CreditedBy.CLICK_ID), None)
    assert by_name is not None
    assert by_id is not None
    assert by_name.credit is not None
    assert by_id.credit is not None
    assert by_name.credit.method is MatchMethod.CLAIM
    assert by_id.credit.method is MatchMethod.REFERRER
    for theirs_, ours in (
        (ForeignSource.UNKNOWN, Source.UNKNOWN),
        (ForeignSource.ATTRIBUTED, Source.UNKNOWN),
        (ForeignSource.ORGANIC, Source.ORGANIC),
        (ForeignSource.RESTRICTED, Source.RESTRICTED),
    ):
        nobodys = as_own(said(partner=None, source=theirs_), None)
        assert nobodys is not None
        assert nobodys.source is ours


def test_own_systems_hear_restricted_of_what_the_vendor_may_not_say_and_never_organic() -> None:
    own = {"template": "webhook", "settings": {"url": "https://own.example/"}, "partner": None}
    house = PostHouse(postback(id=PostbackId("own-1"), counts=Counts.ADJUST, **own))
    hidden = {"partner": None, "credited_by": None, "source": ForeignSource.RESTRICTED}
    house.decide(said(**hidden), bought("fc_2", **hidden))
    bodies = [msgspec.json.decode(one.request.body) for one in going(house)]  # type: ignore[union-attr]
    assert [(one["trigger"], one["source"]) for one in bodies] == [
        ("install", "restricted"),
        ("event", "restricted"),
    ]
