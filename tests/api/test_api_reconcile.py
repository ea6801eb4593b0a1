"""A partner's own list: rows are found by any id that the partner was told, and each difference has its reason."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
from asking import Api
from bookkeeping import OFFER, SHARE, begin, ok, purchase, refused, told
from ledger.books import Books, credit, ms
from msgspec.structs import replace

from attribune.api import reconciling
from attribune.api.routes import reconcile
from attribune.model.activity import ForeignKind, ForeignSource, Platform, Vendor
from attribune.model.codec import encode
from attribune.model.delivery import (
    Attempt,
    DeliveryState,
    OutboxPage,
    Planned,
    Settled,
    Trigger,
)
from attribune.model.ids import (
    ConversionId,
    DeliveryId,
    DeviceId,
    PartnerId,
    Position,
    PostbackId,
    ProductId,
    RecordId,
    TouchId,
)
from attribune.model.money import money
from attribune.model.outcome import (
    Candidate,
    ForeignCredited,
    LossReason,
    RefusedRecord,
)
from attribune.model.policy import MatchMethod
from attribune.model.position import Topic
from attribune.model.refusal import Refusal, RefusalReason
from attribune.model.touch import Touch, TouchKind, TouchOrigin

GAME = ProductId("game")
NOON = "2026-03-01 12:00"
INSTALLS = OFFER | {"id": "i", "event": "install"}


@pytest.fixture
def api(tmp_path: Path) -> Api:
    api = begin(tmp_path)
    for offer in (OFFER, SHARE, INSTALLS, OFFER | {"id": "z", "partner": "zeta"}):
        ok(api.ask("POST", "/api/offers", {"offer": offer}))
    return api


def install(id_: str, click: str | None = None, partner: str | None = "acme", **more: Any) -> Any:
    """An install by a click with an id of the partner's."""
    won = credit(partner)
    won = won and replace(won, touch=TouchId(f"touch-{id_}"), partner_click_id=click)
    words = {"at": NOON, "conversion": ConversionId(f"cv-{id_}"), "credit": won, **more}
    return Books().of_install(id_, partner=partner, **words)


def bought(id_: str, of: Any, name: str = "purchase", **more: Any) -> Any:
    """A purchase without an order's number, credited as an install is."""
    words = {"transaction_id": None, "credit": of.credit, "conversion": of.conversion, **more}
    return purchase(id_, name=name, **words)


def compared(api: Api, *claims: dict[str, str], partner: str = "acme") -> list[dict[str, Any]]:
    body = {"partner": partner, "claims": list(claims)}
    return ok(api.ask("POST", "/api/reconcile", body))["rows"]


def said(api: Api, *claims: dict[str, str]) -> list[tuple[str, str | None]]:
    return [(row["match"], row["reason"]) for row in compared(api, *claims)]


def test_each_difference_has_its_reason(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    told(
        api,
        purchase("good"),
        purchase("less"),
        purchase("theirs", partner="zeta"),
        purchase("nobodys", partner=None),
        purchase("gone"),
        purchase("r", name="refund", transaction_id="t-gone", at="2026-03-04"),
        purchase("hand"),
        purchase("held", name="sale", currency="USD"),
        purchase("free", name="level"),
    )
    ok(api.ask("POST", "/api/book/reversals", {"id": "hand", "reason": "fraud"}))
    by_hand = api.clock.now_ms() // 1000
    names = ("good", "less", "theirs", "nobodys", "gone", "hand", "held", "free", "never")
    claims = [{"transaction_id": f"t-{name}", "amount": "10.00"} for name in names]
    claims[1]["amount"] = "12.00"
    rows = compared(api, *claims)
    day = reconcile.differing.day(by_hand * 1000)
    assert [(row["match"], row["reason"]) for row in rows] == [
        ("matched", None),
        ("different_amount", "offer x version 1 pays 10.00 EUR"),
        ("missing_here", "purchase of 2026-03-01: credited to zeta"),
        ("missing_here", "purchase of 2026-03-01: organic"),
        (
            "missing_here",
            "purchase of 2026-03-01: a refund of 100.00 EUR on 2026-03-04 took back 10.00 EUR",
        ),
        ("missing_here", f"purchase of 2026-03-01: 10.00 EUR was taken back on {day}: fraud"),
        (
            "missing_here",
            "sale of 2026-03-01: held, it waits for the rate of USD in EUR on 2026-03-01",
        ),
        ("missing_here", "level of 2026-03-01: no offer fits it"),
        ("missing_here", "we never heard of it"),
    ]
    assert (rows[0]["id"], rows[0]["event"], rows[0]["day"]) == ("t-good", "purchase", "2026-03-01")
    monkeypatch.setattr(reconcile, "CLAIMS_MAX", 1)
    body = {"partner": "acme", "claims": claims}
    assert refused(api.ask("POST", "/api/reconcile", body))[2] == "claims"


@pytest.mark.parametrize(
    ("claim", "param"),
    [
        ({"transaction_id": "t", "amount": "ten"}, "amount"),
        ({"id": "t", "day": "1 March"}, "day"),
        ({"amount": "1.00"}, "claims"),
        ({"click_id": " "}, "claims"),
    ],
)
def test_a_row_that_cannot_be_is_refused(api: Api, claim: dict[str, str], param: str) -> None:
    body = {"partner": "acme", "claims": [claim]}
    assert refused(api.ask("POST", "/api/reconcile", body)) == (400, "invalid", param)


@pytest.mark.parametrize(
    "claim",
    [
        {"click_id": "AC-1"},
        {"transaction_id": "ac-1"},
        {"id": "ac-1"},
        {"touch_id": "touch-1"},
        {"conversion_id": "cv-1"},
        {"record_id": "1"},
        {"id": "cv-1"},
        {"click_id": "ac-1", "transaction_id": "their-own-number"},
        {"id": "dl_1"},
    ],
    ids=str,
)
def test_an_install_is_found_by_any_id_that_the_partner_was_told(
    api: Api, claim: dict[str, str]
) -> None:
    told(api, install("1", "ac-1"), install("2", "ac-2"))
    page = OutboxPage(planned=[planned("dl_1", "cv-1")])
    api.outbox.fold(page, Position(api.journal.end()))
    [row] = compared(api, {**claim, "amount": "10.00"})
    assert (row["match"], row["event"], row["ours"]) == ("matched", "install", "10.00")


def planned(id_: str, outcome: str, **more: Any) -> Planned:
    words: dict[str, Any] = {
        "id": DeliveryId(id_),
        "postback": PostbackId("pb"),
        "partner": PartnerId("acme"),
        "product": GAME,
        "outcome_id": outcome,
        "revision": 1,
        "trigger": Trigger.INSTALL,
        "subject": outcome,
        "place": Position(1),
        "at_ms": 0,
    }
    return Planned(**(words | more))


def test_a_click_with_several_conversions_is_settled_or_said(api: Api) -> None:
    won = install("1", "ac-1")
    told(
        api,
        won,
        bought("p1", won, at="2026-03-02"),
        bought("p2", won, at="2026-03-03"),
        bought("s1", won, "sale", at="2026-03-03"),
    )
    click = {"click_id": "ac-1"}
    for more, ours in (
        ({"event": "install"}, "10.00"),
        ({"event": "Sale"}, "10.00"),
        ({"event": "purchase", "day": "2026-03-03"}, "10.00"),
        ({"event": "purchase", "day": "2026-03-04"}, "10.00"),
        ({"event": "purchase", "amount": "20.00"}, "20.00"),
        ({"amount": "40.00"}, "40.00"),
    ):
        [row] = compared(api, {**click, **more})
        assert (row["match"], row["ours"]) == ("matched", ours), more
    [row] = compared(api, {**click, "amount": "10.00"})
    assert (row["match"], row["ours"], len(row["outcomes"])) == ("ambiguous", "40.00 EUR", 4)
    assert row["reason"].startswith("it may be any of install of 2026-03-01 (10.00 EUR), purchase")
    [row] = compared(api, {**click, "event": "purchase", "amount": "7.00"})
    assert row["match"] == "ambiguous"


def lost(touch: str, partner: str = "acme") -> Candidate:
    return Candidate(
        touch=TouchId(touch),
        partner=PartnerId(partner),
        kind=TouchKind.CLICK,
        method=MatchMethod.DEVICE_ID,
        touch_at_ms=ms("2026-02-28"),
        age_ms=1,
        lost_because=LossReason.OLDER,
    )


def click(api: Api, id_: str, partner_click_id: str, partner: str = "acme") -> None:
    at_ms = ms("2026-02-28")
    touch = Touch(
        id=TouchId(id_),
        kind=TouchKind.CLICK,
        product=GAME,
        partner=PartnerId(partner),
        origin=TouchOrigin.S2S,
        received_at_ms=at_ms,
        occurred_at_ms=at_ms,
        partner_click_id=partner_click_id,
    )
    api.journal.append([(Topic.TOUCHES, encode(touch))])


def test_what_the_partner_did_not_win_says_who_did_and_why(api: Api) -> None:
    click(api, "touch-a", "ac-1")
    click(api, "touch-b", "ac-2")
    click(api, "touch-z", "same", partner="zeta")
    told(
        api,
        install("1", "zc-1", "zeta", candidates=(lost("touch-a"),)),
        install("2", "same", "zeta"),
        install("3", None, None, candidates=(lost("other", "zeta"),)),
    )
    assert said(
        api,
        {"click_id": "ac-1"},
        {"click_id": "ac-2"},
        {"click_id": "same"},
        {"conversion_id": "cv-3"},
    ) == [
        (
            "missing_here",
            "install of 2026-03-01: credited to zeta (click of 2026-02-28 lost: OLDER)",
        ),
        ("missing_here", "its touch of 2026-02-28 is known, and led to no conversion"),
        ("missing_here", "we never heard of it"),
        ("missing_here", "install of 2026-03-01: organic"),
    ]


def test_what_was_given_to_another_says_so_by_the_old_click_too(api: Api) -> None:
    first = install("1", "ac-1")
    again = install("1", "zc-1", "zeta", revision=2, previous=first.credit)
    told(api, first, again)
    [(match, reason)] = said(api, {"click_id": "ac-1"})
    assert match == "missing_here"
    assert reason is not None
    assert reason.startswith("install of 2026-03-01: credited to zeta; 10.00 EUR was taken back on")
    [(match, reason)] = said(api, {"record_id": "1"})
    assert reason is not None
    assert "credited to zeta" in reason


def test_an_event_that_another_has_now_is_the_others(api: Api) -> None:
    won, theirs = install("1", "ac-1"), install("9", "zc-9", "zeta")
    event = bought("p1", won)
    moved = replace(event, credit=theirs.credit, conversion=theirs.conversion, revision=2)
    told(api, won, theirs, event, moved)
    [(match, reason)] = said(api, {"click_id": "ac-1", "event": "purchase", "amount": "10.00"})
    assert match == "missing_here"
    assert reason is not None
    assert reason.startswith("purchase of 2026-03-01: credited to zeta; 10.00 EUR was taken back")


def test_what_was_pruned_is_found_as_far_as_the_book_knows_it(api: Api) -> None:
    won = install("1", "ac-1")
    click(api, "touch-5", "ac-5")
    told(api, won, bought("p1", won), install("5", None, None))
    compared(api, {"id": "x"})  # everything is booked and recorded
    api.journal.prune(api.journal.end())
    for claim in ({"click_id": "ac-1"}, {"conversion_id": "cv-1"}):
        [row] = compared(api, {**claim, "amount": "10.00"})
        assert (row["match"], row["event"]) == ("matched", "install")
    assert said(api, {"record_id": "p1"}, {"record_id": "5"}, {"click_id": "ac-5"}) == [
        ("missing_here", "its event is counted in reports; the rest was pruned"),
        ("missing_here", "its install is counted in reports; the rest was pruned"),
        ("missing_here", "we never heard of it"),
    ]


def test_what_was_refused_says_why(api: Api) -> None:
    words = {"product": GAME, "position": Position(9), "about": Position(9), "judged_at_ms": 1}
    later = RefusedRecord(
        record=RecordId("late"),
        record_type="event",
        reason=RefusalReason.REPEATED_TRANSACTION,
        **words,
    )
    door = Refusal(
        reason=RefusalReason.TOO_OLD,
        received_at_ms=1,
        method="POST",
        path="/v1/event",
        record_id="old",
    )
    api.journal.append([(Topic.REFUSED, encode(door))])
    told(api, later)
    assert said(api, {"record_id": "late"}, {"record_id": "old"}) == [
        ("missing_here", "refused as repeated_transaction"),
        ("missing_here", "refused as too_old"),
    ]


def test_what_another_vendor_decided_is_found_by_the_click(api: Api) -> None:
    ok(api.ask("POST", "/api/offers", {"offer": INSTALLS | {"id": "adj", "counts": "adjust"}}))
    own = install("1", "ac-1", partner=None)
    theirs = ForeignCredited(
        product=GAME,
        app=own.app,
        platform=Platform.ANDROID,
        position=Position(1),
        about=Position(1),
        judged_at_ms=own.judged_at_ms,
        record=RecordId("fc_1"),
        vendor=Vendor.ADJUST,
        kind=ForeignKind.INSTALL,
        source=ForeignSource.ATTRIBUTED,
        at_ms=own.at_ms,
        partner=PartnerId("acme"),
        device=DeviceId("d1"),
        partner_click_id="ac-1",
        handles=("ac-1",),
    )
    told(api, own, theirs, replace(theirs, record=RecordId("fc_2"), is_primary=False))
    [row] = compared(api, {"click_id": "ac-1", "amount": "10.00"})
    assert (row["match"], row["event"]) == ("matched", "install")
    [row] = unclaimed(api, *row["outcomes"])
    assert (row["id"], row["reason"]) == ("fc_1", "approved; no postback told the partner of it")


def test_a_refund_in_part_is_named_with_its_amount(api: Api) -> None:
    refund = purchase("r", name="refund", transaction_id="t-s1", at="2026-03-04")
    told(api, purchase("s1", name="sale"), replace(refund, revenue=money("40", "EUR")))
    found = said(
        api,
        {"transaction_id": "t-s1", "amount": "10.00"},
        {"transaction_id": "t-s1", "amount": "6.01"},
        {"transaction_id": "t-s1", "amount": "6.00", "currency": "USD"},
        {"transaction_id": "t-s1", "amount": "6.00"},
    )
    refunded = "a refund of 40.00 EUR on 2026-03-04 took back 4.00 EUR"
    rounds = "the book rounds what a period adds up to half to even, and not each amount"
    assert found == [
        ("different_amount", refunded),
        ("different_amount", f"offer s version 1 pays 10.00 EUR; {rounds}; {refunded}"),
        ("different_amount", "booked in another currency: 6.00 EUR"),
        ("matched", None),
    ]


def test_an_amount_that_the_currency_cannot_hold_is_said(api: Api) -> None:
    dinar = OFFER | {"id": "y", "event": "dinar", "currency": "KWD"}
    ok(api.ask("POST", "/api/offers", {"offer": dinar}))
    told(api, purchase("y", name="dinar"))
    assert said(
        api,
        {"transaction_id": "t-y", "amount": "10.001"},
        {"transaction_id": "t-y", "amount": "900000000000"},
    ) == [
        ("different_amount", "offer y version 1 pays 10.000 KWD"),
        ("different_amount", "900000000000 is no amount of KWD"),
    ]


def unclaimed(api: Api, *outcomes: str) -> list[dict[str, Any]]:
    body = {"partner": "acme", "outcomes": list(outcomes)}
    return ok(api.ask("POST", "/api/reconcile/unclaimed", body))["rows"]


def test_what_the_list_lacks_says_where_it_stands_and_what_was_told(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = INSTALLS | {"id": "h", "event": "signup", "hold_days": 30}
    asks = INSTALLS | {"id": "q", "event": "trial"}
    asks["qualify"] = {"event": "deposit", "within_days": 7}
    for offer in (held, asks):
        ok(api.ask("POST", "/api/offers", {"offer": offer}))
    won = install("1", "ac-1")
    told(
        api,
        won,
        bought("p1", won, "signup", at=NOON),
        bought("p2", won, "trial", at=NOON),
        bought("p3", won),
        purchase("p4"),
        install("5", "ac-5"),
        purchase("r5", partner="zeta"),
    )
    lines = ok(api.ask("GET", "/api/book/lines?partner=acme"))["lines"]
    keys = {line["event"] + str(n): line["outcome"] for n, line in enumerate(lines)}
    at_ms = won.at_ms
    page = OutboxPage(
        planned=[
            planned("dl_1", "cv-1"),
            planned("dl_2", "p1", trigger=Trigger.EVENT),
            planned("dl_3", "p2", trigger=Trigger.EVENT),
            planned("dl_4", "p3", trigger=Trigger.EVENT),
            planned("dl_5", "p4", trigger=Trigger.REVERSAL),
        ],
        came=[
            Attempt(
                delivery=DeliveryId("dl_1"),
                postback=PostbackId("pb"),
                number=1,
                at_ms=at_ms,
                took_ms=1,
                status=200,
                state=DeliveryState.DELIVERED,
            ),
            *(
                Settled(
                    delivery=DeliveryId(id_),
                    postback=PostbackId("pb"),
                    at_ms=at_ms,
                    state=state,
                    reason=reason,
                )
                for id_, state, reason in (
                    ("dl_2", DeliveryState.GAVE_UP, "no consent"),
                    ("dl_4", DeliveryState.WITHDRAWN, "refunded before"),
                )
            ),
        ],
    )
    api.outbox.fold(page, Position(api.journal.end()))
    rows = unclaimed(api, *keys.values(), "oc_none")
    assert [(row["event"], row["id"], row["ours"]) for row in rows][:2] == [
        ("install", "cv-1", "10.00"),
        ("signup", "cv-1", "10.00"),
    ]
    assert {row["match"] for row in rows} == {"missing_there"}
    assert [row["reason"] for row in rows] == [
        "approved; the partner was told on 2026-03-01 and answered 200",
        "pending until 2026-03-31; telling the partner was given up: no consent",
        "waits to qualify until 2026-03-08; the partner is still to be told",
        "approved; the partner needed not be told: refunded before",
        "approved; no postback told the partner of it",
        "approved; no postback told the partner of it",
    ]
    assert rows[4]["transaction_id"] == "t-p4"
    monkeypatch.setattr(reconcile, "FACTS_MAX", 0)
    [row] = unclaimed(api, keys["install0"])
    assert row["reason"] == "approved; what the partner was told of it was not found"
    assert unclaimed(api) == []
    monkeypatch.setattr(reconcile, "CLAIMS_MAX", 1)
    body = {"partner": "acme", "outcomes": ["a", "b"]}
    assert refused(api.ask("POST", "/api/reconcile/unclaimed", body))[2] == "outcomes"


def test_rows_of_a_call_lead_to_so_many_rows(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    told(api, install("1", "ac-1"), install("2", "ac-2"))
    monkeypatch.setattr(reconciling, "ROWS_MAX", 1)
    found = said(api, {"click_id": "ac-1"}, {"click_id": "ac-2"})
    assert [match for match, _ in found] == ["matched", "missing_here"]


def test_a_call_leaves_none_of_its_rows_to_the_garbage_collector(api: Api) -> None:
    installs = [install(f"g{n}", f"click-{n}") for n in range(200)]
    told(api, *installs)
    claims = [{"click_id": f"click-{n}", "amount": "10.00"} for n in range(200)]
    claims[0]["amount"] = "11.00"
    assert compared(api, *claims)[0]["match"] == "different_amount"
    gc.collect()
    gc.disable()
    try:
        compared(api, *claims)
        # A request leaves some, a row none: those that a circle held would be thousands of objects.
        assert gc.collect() < 200
    finally:
        gc.enable()
