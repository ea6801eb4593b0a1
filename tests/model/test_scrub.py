"""What is left of records without their personal fields."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from attribune.model import activity as a
from attribune.model import outcome as o
from attribune.model import scrub
from attribune.model.activity import Device, Platform, Referrer, ReferrerSource, Sender
from attribune.model.delivery import Attempt, DeliveryState, SentRequest
from attribune.model.fact import Fact, FactKind, Forgotten
from attribune.model.ids import forgotten
from attribune.model.money import money
from attribune.model.policy import MatchMethod
from attribune.model.refusal import Refusal, RefusalReason
from attribune.model.touch import LinkHit, Touch, TouchKind, TouchOrigin

SECRET = "personal-word"
STAYS = forgotten("game", SECRET)
DEVICE = Device(id=SECRET, platform=Platform.IOS, ids={"idfa": SECRET}, model=SECRET, locale=SECRET)
SAID = {
    "id": "r1", "product": "game", "app": "game-ios", "sender": Sender.SERVER, "received_at_ms": 5,
    "occurred_at_ms": 4, "device": DEVICE, "user_id": SECRET, "ip": SECRET, "user_agent": SECRET,
    "extra": {"x": SECRET},
}  # fmt: skip
REFERRERS = (Referrer(source=ReferrerSource.PLAY, value=SECRET),)
CREDIT = o.Credit(
    touch="t1", partner="acme", kind=TouchKind.CLICK, method=MatchMethod.CLAIM, touch_at_ms=1,
    campaign="spring", partner_click_id=SECRET, deep_link=SECRET,
)  # fmt: skip
DECIDED = {"product": "game", "position": 9, "about": 8, "judged_at_ms": 5, "device": SECRET}
OF_DEVICE = DECIDED | {
    "app": "game-ios", "platform": Platform.IOS, "record": "r1", "at_ms": 4, "user_id": SECRET,
    "handles": (SECRET,), "credit": CREDIT, "previous": CREDIT, "source": o.Source.ATTRIBUTED,
}  # fmt: skip
ACTIVITY = [
    a.Open(**SAID, referrers=REFERRERS, link_opened=SECRET),
    a.Event(**SAID, name="buy", revenue=money("3.00", "EUR"), params={"x": SECRET}),
    a.Consent(**SAID, tcf=SECRET),
    a.Evidence(**SAID, referrers=REFERRERS, link_opened=SECRET),
    a.Claim(**SAID, partner="acme", kind=TouchKind.CLICK, touch_at_ms=1, partner_click_id=SECRET),
    a.KnownDevice(**SAID),
    a.Forget(**SAID),
]
OUTCOMES = [
    o.Attribution(**OF_DEVICE, conversion="cv", kind=o.ConversionKind.INSTALL, policy="p", as_of=8),
    o.CreditedOpen(**OF_DEVICE),
    o.CreditedEvent(
        **OF_DEVICE, name="buy", revenue=money("3.00", "EUR"), secondary=CREDIT,
        previous_secondary=CREDIT, customer=SECRET,
    ),
    o.RefusedRecord(**DECIDED, record="r1", record_type="open", reason=RefusalReason.NO_CONSENT),
    o.Noted(**DECIDED, record="r1", record_type="consent"),
    o.Noted(**DECIDED, record="r1", record_type="forget",
            forgets=o.Forgets(devices=(SECRET,), touches=("t1",), words=(SECRET,))),
    o.Held(**DECIDED, record="r1", app="game-ios", at_ms=4, until_ms=9, handles=(SECRET,)),
    o.LateTouch(
        **DECIDED, conversion="cv",
        candidate=o.Candidate(touch="t1", partner="acme", kind=TouchKind.CLICK,
                              method=MatchMethod.DEVICE_ID, touch_at_ms=1, age_ms=3),
    ),
]  # fmt: skip


def named(record: Any) -> bool:
    return SECRET.encode() in msgspec.json.encode(record)


@pytest.mark.parametrize("record", ACTIVITY, ids=lambda r: type(r).__name__)
def test_what_people_did_names_nobody(record: Any) -> None:
    left = scrub.activity(record)
    assert named(record)
    assert not named(left)
    assert left.device.id == STAYS
    assert (left.id, left.occurred_at_ms, left.is_scrubbed) == ("r1", 4, True)
    assert getattr(left, "revenue", None) == getattr(record, "revenue", None)
    assert scrub.activity(left) == left


def test_an_event_without_a_device_has_none() -> None:
    assert scrub.activity(msgspec.structs.replace(ACTIVITY[1], device=None)).device is None


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda r: type(r).__name__)
def test_what_was_decided_names_nobody(outcome: Any) -> None:
    left = scrub.without_person(outcome, STAYS)
    assert named(outcome)
    assert not named(left)
    assert (left.device, left.position, left.about) == (STAYS, 9, 8)
    assert scrub.without_person(left, STAYS) == left
    if hasattr(outcome, "credit"):
        assert (left.credit.touch, left.credit.campaign) == ("t1", "spring")


def test_touches_keep_their_words_and_their_cost() -> None:
    touch = Touch(
        id="t1", kind=TouchKind.CLICK, product="game", partner="acme", origin=TouchOrigin.S2S,
        received_at_ms=2, occurred_at_ms=1, campaign="spring", partner_click_id=SECRET,
        ids={"idfa": SECRET}, ip=SECRET, user_agent=SECRET, language=SECRET, model=SECRET,
        cost=money("0.10", "EUR"), extra={"x": SECRET}, not_kept=(SECRET,), deep_link=SECRET,
    )  # fmt: skip
    left = scrub.touch(touch)
    assert not named(left)
    assert (left.campaign, left.cost, left.is_scrubbed) == ("spring", touch.cost, True)


def test_a_hit_of_an_unknown_link_keeps_when_it_came() -> None:
    hit = LinkHit(
        id="t1", kind=TouchKind.CLICK, link="l1", received_at_ms=2, query=SECRET, ip=SECRET,
        user_agent=SECRET, language=SECRET, model=SECRET, os_version=SECRET,
    )  # fmt: skip
    left = scrub.hit(hit)
    assert not named(left)
    assert (left.id, left.received_at_ms, left.is_scrubbed) == ("t1", 2, True)


def test_refusals_keep_their_reason() -> None:
    refusal = Refusal(
        reason=RefusalReason.MALFORMED, received_at_ms=2, method="POST", path="/v1/event",
        query=SECRET, headers={"x": SECRET}, body=SECRET.encode(), ip=SECRET, user_agent=SECRET,
        body_bytes=13,
    )  # fmt: skip
    left = scrub.refusal(refusal)
    assert not named(left)
    assert (left.reason, left.body, left.body_bytes) == (RefusalReason.MALFORMED, b"", 13)


@pytest.mark.parametrize("request_", [None, SentRequest(method="GET", url=SECRET, body=SECRET)])
def test_tellings_keep_what_they_came_to(request_: SentRequest | None) -> None:
    told = Attempt(
        delivery="dl", postback="p", number=2, at_ms=1, took_ms=3, status=200, error=SECRET,
        answer=SECRET, state=DeliveryState.DELIVERED, poll_url=SECRET, request=request_,
    )  # fmt: skip
    left = scrub.attempt(told)
    assert not named(left)
    assert (left.number, left.status, left.state) == (2, 200, DeliveryState.DELIVERED)
    assert (left.request is None) == (request_ is None)


def test_rows_of_a_forgotten_person_keep_their_sums_and_lead_nowhere() -> None:
    def row(**more: Any) -> Fact:
        day = date(2026, 3, 1)
        return Fact(
            position=1, ordinal=0, kind=FactKind.CLICK, product="game", at_ms=1, received_at_ms=1, day=day, own_day=day,
            about=1, handles=(1, 2), **more,
        )  # fmt: skip

    people = [Forgotten("other", ("d1",), ("t1",)), Forgotten("game", ("d1",), ("t1",))]
    left = scrub.fact(row(device="d1", amount_minor=7), people)
    assert (left.device, left.handles, left.amount_minor) == (forgotten("game", "d1"), (), 7)
    assert scrub.fact(row(touch="t1"), people).handles == ()
    for other in (row(device="d2", touch="t1"), row(touch="t2")):
        assert scrub.fact(other, people) == other
