"""What the journal's entries change in the outbox: always the same, whoever reads them and when."""

from __future__ import annotations

from typing import Any

import pytest
from posthouse import NOW_MS, PostHouse, credit, event, install, postback

from attribune.model.activity import Consent, Device, Platform, Sender
from attribune.model.control import Link, Redelivery
from attribune.model.delivery import Attempt, DeliveryState, Trigger
from attribune.model.ids import (
    AppId,
    DeliveryId,
    DeviceId,
    LinkId,
    PartnerId,
    Position,
    PostbackId,
    ProductId,
    RecordId,
    TouchId,
    uuid7,
)
from attribune.model.outcome import Cause, ConversionKind, Noted, Source
from attribune.model.policy import MatchMethod
from attribune.model.position import Topic
from attribune.model.touch import LinkHit, TouchKind
from attribune.postback.fold import device_digest

URL = "https://acme.example/pb?c={partner_click_id}"
WHY = Cause(kind="person", position=Position(9), reason="a mistake")


def house(*postbacks: Any) -> PostHouse:
    return PostHouse(*(postbacks or (postback(URL),)))


def planned(of: PostHouse) -> list[tuple[str, str, str, int]]:
    of.fold()
    rows = (one.row.planned for one in of.log())
    return [(row.postback, row.trigger.value, row.outcome_id, row.revision) for row in rows]


def test_an_outcome_is_planned_for_each_postback_of_its_partner() -> None:
    mine, other = postback(URL), postback(URL, id=PostbackId("acme-2"))
    zeta = postback(URL, id=PostbackId("zeta-1"), partner=PartnerId("zeta"))
    one = house(mine, other, zeta)
    one.decide(install(), event())
    assert planned(one) == [
        ("acme-1", "install", "cv-d1", 1),
        ("acme-2", "install", "cv-d1", 1),
        ("acme-1", "event", "e1", 1),
        ("acme-2", "event", "e1", 1),
    ]
    assert len({row.row.planned.id for row in one.log()}) == 4


def test_what_nobody_brought_is_planned_for_nobody_but_who_hears_of_everything() -> None:
    everything = postback(URL, id=PostbackId("all-1"), partner=None)
    one = house(postback(URL), everything)
    organic = {"credit": None, "source": Source.ORGANIC}
    one.decide(install(**organic), event(credit=credit("zeta")))
    one.decide(install(**organic, revision=2, previous=credit(), cause=WHY))
    assert planned(one) == [
        ("all-1", "install", "cv-d1", 1),
        ("all-1", "event", "e1", 1),
        ("acme-1", "reversal", "cv-d1", 2),
        ("all-1", "attribution_update", "cv-d1", 2),
    ]


def test_a_postback_holds_from_where_it_stands() -> None:
    one = house(postback(URL, triggers=(Trigger.INSTALL,)))
    one.decide(event("before"))
    one.say(postback(URL, triggers=(Trigger.EVENT,)))
    one.decide(event("meanwhile"))
    one.say(postback(URL, is_ended=True))
    one.decide(event("after"))
    assert [row[2] for row in planned(one)] == ["meanwhile"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ({"only_events": ("buy",)}, ["cv-d1", "e1"]),
        ({"only_events": ("sign_up",)}, ["cv-d1", "e2"]),
        ({"apps": (AppId("game-ios"),)}, []),
        ({"apps": (AppId("game-android"),)}, ["cv-d1", "e1", "e2"]),
        ({"triggers": (Trigger.EVENT,)}, ["e1", "e2"]),
    ],
)
def test_only_what_is_wanted_is_planned(words: dict[str, Any], names: list[str]) -> None:
    one = house(postback(URL, **words))
    one.decide(install(), event(), event("e2", name="sign_up"))
    assert [row[2] for row in planned(one)] == names


def test_a_change_makes_no_new_deliveries_and_holds_for_what_stands_behind_it() -> None:
    one = house(postback(triggers=(Trigger.INSTALL,)))
    one.decide(install("d1"), event("e1"))
    one.fold()
    before = [row.row.planned for row in one.log()]
    assert [row.trigger for row in before] == [Trigger.INSTALL]
    one.say(postback("https://new.example/", triggers=(Trigger.INSTALL, Trigger.EVENT)))
    one.fold()
    assert [row.row.planned for row in one.log()] == before
    one.decide(install("d2"), event("e2", device="d2"))
    one.fold()
    planned_ = [row.row.planned for row in one.log()]
    assert [row.trigger for row in planned_] == [Trigger.INSTALL, Trigger.INSTALL, Trigger.EVENT]
    one.life(outbox=False)
    one.fold()
    assert [row.row.planned for row in one.log()] == planned_, "a rebuild plans the same"


def test_what_takes_back_is_planned_if_what_it_takes_back_was() -> None:
    one = house(postback(URL, triggers=(Trigger.INSTALL,)))
    gone = {"credit": None, "source": Source.ORGANIC, "previous": credit(), "cause": WHY}
    one.decide(install(revision=2, **gone), event(revision=2, **gone))
    as_reinstall = {"kind": ConversionKind.REINSTALL, "previous_kind": ConversionKind.INSTALL}
    one.decide(install("d2", revision=2, previous=credit(), cause=WHY, **as_reinstall))
    assert planned(one) == [
        ("acme-1", "reversal", "cv-d1", 2),
        ("acme-1", "reversal", "cv-d2", 2),
    ]


@pytest.mark.parametrize("name", ["refund", "chargeback"])
@pytest.mark.parametrize("in_one_page", [True, False])
def test_a_refund_is_about_the_event_that_it_undoes(name: str, in_one_page: bool) -> None:
    one = house()
    bought = event("e1", transaction_id="t-1")
    back = event("r1", name=name, transaction_id="t-1")
    (place,) = one.decide(bought)
    if not in_one_page:
        one.fold()
    one.decide(back)
    assert planned(one)[-1] == ("acme-1", "reversal", "r1", 1)
    row = one.log()[-1].row.planned
    assert (row.subject, row.undoes) == ("e1", place)


@pytest.mark.parametrize(("device", "trigger"), [("stranger", "event"), (None, "reversal")])
def test_a_refund_by_an_app_takes_back_only_what_its_own_device_did(device, trigger) -> None:
    one = house()
    bought = event("e1", transaction_id="t-1")
    teller = DeviceId(device) if device else bought.device
    one.decide(bought, event("r1", name="refund", transaction_id="t-1", by_app=True, device=teller))
    assert planned(one)[-1][1] == trigger


def test_a_refund_of_what_is_not_known_is_an_event_like_others() -> None:
    one = house()
    other = event("r2", name="refund", transaction_id="t-9", product=ProductId("game"))
    one.decide(event("r1", name="refund"), other)
    assert [row[1] for row in planned(one)] == ["event", "event"]


def test_the_newest_revision_of_a_transaction_is_what_a_refund_undoes() -> None:
    one = house()
    one.decide(event("e1", transaction_id="t-1"))
    (second,) = one.decide(
        event("e1", transaction_id="t-1", revision=2, previous=credit("zeta"), cause=WHY)
    )
    one.decide(event("r1", name="refund", transaction_id="t-1"))
    one.fold()
    assert one.log()[-1].row.planned.undoes == second


@pytest.mark.parametrize("in_one_page", [True, False])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_stranger_that_names_a_purchases_number_hides_no_refund(
    in_one_page: bool, is_first: bool
) -> None:
    one = house()
    bought = event("e1", transaction_id="t-1")
    named = event(
        "x1", name="level", transaction_id="t-1", device=DeviceId("stranger"), credit=None
    )
    for told in (named, bought) if is_first else (bought, named):
        one.decide(told)
        if not in_one_page:
            one.fold()
    one.decide(event("r1", name="refund", transaction_id="t-1"))
    one.fold()
    reversals = [row.row.planned for row in one.log() if row.row.planned.trigger == "reversal"]
    assert [(row.partner, row.subject) for row in reversals] == [("acme", "e1")]


def test_a_refund_takes_back_every_event_of_its_number() -> None:
    one = house(postback(URL), postback(URL, id=PostbackId("all-1"), partner=None))
    one.decide(event("e1", transaction_id="t-1"), event("e2", name="level", transaction_id="t-1"))
    one.decide(event("r1", name="refund", transaction_id="t-1"))
    one.fold()
    rows = [row.row.planned for row in one.log() if row.row.planned.trigger == "reversal"]
    told = {(row.postback, row.subject) for row in rows}
    assert told == {(name, about) for name in ("acme-1", "all-1") for about in ("e1", "e2")}
    assert len({row.id for row in rows}) == 4


def test_reading_again_or_in_other_pieces_gives_the_same() -> None:
    one, other = house(), PostHouse(read_entries_max=1)
    for a_house in (one, other):
        a_house.say(postback(URL))
        a_house.decide(
            install(), event(transaction_id="t"), event("r", name="refund", transaction_id="t")
        )
        a_house.fold()

    def rows(of: PostHouse) -> list[Any]:
        return [one.row.planned for one in of.log()]

    assert [row.id for row in rows(one)] == [row.id for row in rows(other)]
    before = rows(one)
    one.life(outbox=False)
    one.fold()
    assert rows(one) == before


def test_an_outbox_that_is_new_begins_where_the_journal_does() -> None:
    one = house()
    (pruned,) = one.decide(event("before"))
    one.journal.prune(pruned)
    one.decide(event("after"))
    assert [row[2] for row in planned(one)] == ["after"]


# --- consent


def say_consent(
    one: PostHouse,
    *,
    shares: bool | None = None,
    partners: dict[str, bool] | None = None,
    late_ms: int = 0,
    **words: bool,
) -> None:
    """A consent, and what the attributor noted of it; without ``shares`` as version 0.1.0 noted it."""
    device = Device(id=DeviceId("d1"), platform=Platform.ANDROID)
    record = Consent(
        id=RecordId("c"),
        product=ProductId("game"),
        app=AppId("game-android"),
        sender=Sender.APP,
        received_at_ms=NOW_MS,
        occurred_at_ms=NOW_MS - late_ms,
        device=device,
        **words,
    )
    (place,) = one.append(Topic.ACTIVITY, record)
    noted = Noted(
        product=ProductId("game"),
        position=place,
        about=place,
        judged_at_ms=NOW_MS,
        record=RecordId("c"),
        record_type="consent",
        device=DeviceId("d1"),
        shares=shares,
        partners=partners or {},
    )
    one.decide(noted)


@pytest.mark.parametrize(
    ("said", "is_silent"),
    [
        ([{"sharing": False}], True),
        ([{"sharing": False}, {"sharing": True}], False),
        ([{"sharing": False}, {"measurement": True}], True),
        ([{"measurement": False}], True),
        ([{"measurement": True}], False),
    ],
)
def test_what_a_person_allows_is_read_from_what_was_said_where_no_note_says_it(
    said: list[dict], is_silent: bool
) -> None:
    one = house()
    for words in said:
        say_consent(one, **words)
    one.fold()
    key = device_digest(ProductId("game"), DeviceId("d1"))
    assert one.outbox.not_sharing([key]) == ({key} if is_silent else set())


def test_a_note_of_what_is_in_force_stands_above_what_its_record_says() -> None:
    one = house()
    key = device_digest(ProductId("game"), DeviceId("d1"))
    say_consent(one, sharing=True, shares=False)
    one.fold()
    assert one.outbox.not_sharing([key]) == {key}
    say_consent(one, measurement=True, shares=True)
    one.fold()
    assert one.outbox.not_sharing([key]) == set()


# --- callbacks


def clicked(one: PostHouse, query: str, at_ms: int = NOW_MS) -> TouchId:
    one.say(Link(id=LinkId("l1"), product=ProductId("game"), partner=PartnerId("acme")))
    id_ = uuid7(at_ms, bytes(10))
    hit = LinkHit(
        id=id_, kind=TouchKind.CLICK, link=LinkId("l1"), received_at_ms=at_ms, query=query
    )
    one.append(Topic.TOUCHES, hit)
    return id_


CALLBACKS = postback(template="callback", callback_hosts=("cb.example",), events={"buy": "abc123"})


@pytest.mark.parametrize(
    ("query", "copies"),
    [
        ("install_callback=https%3A%2F%2Fcb.example%2F", [("install", 0)]),
        ("adj_install_callback=https%3A%2F%2Fcb.example%2F", [("install", 0)]),
        (
            "install_callback=https%3A%2F%2Fcb.example%2Fa+https%3A%2F%2Fcb.example%2Fb",
            [("install", 0), ("install", 1)],
        ),
        ("event_callback_abc123=https%3A%2F%2Fcb.example%2F", [("event", 0)]),
        ("event_callback_zzz_abc123=https%3A%2F%2Fcb.example%2F", [("event", 0)]),
        ("event_callback_zzz=https%3A%2F%2Fcb.example%2F", []),
        ("event_callback_buy=https%3A%2F%2Fcb.example%2F", []),
        (
            "install_callback=" + "+".join(["https%3A%2F%2Fcb.example%2F"] * 9),
            [("install", n) for n in range(5)],
        ),
        ("click_id=1", []),
    ],
)
def test_as_much_is_planned_as_the_click_carries_addresses(
    query: str, copies: list[tuple[str, int]]
) -> None:
    one = house(CALLBACKS)
    touch = clicked(one, query)
    one.decide(install(credit=credit(touch=touch)), event(credit=credit(touch=touch)))
    one.fold()
    rows = [row.row.planned for row in one.log()]
    assert [(row.trigger.value, row.copy) for row in rows] == copies
    assert len({row.id for row in rows}) == len(rows)


def test_the_click_is_found_among_many_and_a_claim_is_looked_for_nowhere() -> None:
    one = house(CALLBACKS)
    for n in range(700):
        clicked(one, f"click_id={n}", NOW_MS - 140_000 + 200 * n)
    touch = clicked(one, "install_callback=https%3A%2F%2Fcb.example%2F", NOW_MS + 1)
    for n in range(700):
        clicked(one, f"click_id={n}", NOW_MS + 2 + 200 * n)
    one.decide(install(credit=credit(touch=touch)))
    one.decide(install("d2", credit=credit(touch=touch, method=MatchMethod.CLAIM)))
    one.decide(install("d3", credit=credit(touch=uuid7(NOW_MS + 50, b"z" * 10))))
    one.decide(install("d4", credit=credit(touch="no-uuid")))
    assert [row[2] for row in planned(one)] == ["cv-d1"]


def test_a_click_that_came_long_after_its_time_is_found_all_the_same() -> None:
    """As when its commit waited for the disk while others went on."""
    one = house(CALLBACKS)
    for n in range(300):
        clicked(one, "", NOW_MS + 4000 + n)
    touch = clicked(one, "install_callback=https%3A%2F%2Fcb.example%2F", NOW_MS)
    for n in range(300):
        clicked(one, "", NOW_MS + 4300 + n)
    one.decide(install(credit=credit(touch=touch)))
    assert len(planned(one)) == 1


# --- what came


def test_what_came_and_what_a_person_wants_again_is_folded_in_order() -> None:
    one = house()
    one.decide(install())
    one.fold()
    id_ = one.log()[0].row.planned.id
    tried = Attempt(
        delivery=id_,
        postback=PostbackId("acme-1"),
        number=1,
        at_ms=NOW_MS,
        took_ms=3,
        status=200,
        state=DeliveryState.DELIVERED,
    )
    one.append(Topic.DELIVERIES, tried)
    one.fold()
    assert one.states() == [("install", "delivered", None)]
    one.clock.advance(7000)
    one.say(Redelivery(deliveries=(id_, DeliveryId("nobody")), by="operator"))
    one.fold()
    (row,) = (found.row for found in one.log())
    assert (row.state, row.due_at_ms, row.tries) == (DeliveryState.WAITING, NOW_MS + 7000, 1)
