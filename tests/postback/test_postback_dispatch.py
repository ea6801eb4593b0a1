"""Telling real receivers, hostile ones among them: everything is told once by delivery id, and nobody waits for another."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import threading
from typing import Any

import pytest
from aiohttp import web
from posthouse import (
    QUERY,
    TAKEN,
    Heard,
    PostHouse,
    Receiver,
    all_delivered,
    credit,
    event,
    fine,
    install,
    later,
    patiently,
    postback,
)

from attribune.model.control import Redelivery
from attribune.model.delivery import Attempt, DeliveryState, Settled, Trigger
from attribune.model.errors import JournalFull, StoreUnavailable
from attribune.model.ids import PartnerId, PostbackId
from attribune.model.policy import DAY_MS
from attribune.postback import breaker, dispatch
from attribune.postback.folders import find_shipped
from attribune.postback.lane import SIGNATURE_HEADER

pytestmark = pytest.mark.enable_socket


def test_an_install_and_an_event_are_told_and_journaled(house, receiver) -> None:
    house.decide(install(), event())
    house.begin()
    house.until(all_delivered(house, 2))
    first, second = sorted(receiver.heard, key=lambda one: one.query["t"], reverse=True)
    id_ = house.log()[0].row.planned.id
    assert first.query == {"c": "acme-click", "t": "install", "e": "install", "id": id_}
    assert first.headers["attribune-delivery"] == id_
    assert SIGNATURE_HEADER not in first.headers
    assert second.query["e"] == "buy"
    made = next(one for one in house.came() if one.delivery == id_)
    assert isinstance(made, Attempt)
    assert (made.number, made.status, made.answer, made.state) == (1, 200, "ok", "delivered")
    assert made.request is not None
    assert made.request.url.endswith(f"id={id_}")


@pytest.mark.parametrize("verb", ["due", "next_due_ms", "about", "not_sharing", "fold"])
def test_what_the_outbox_failed_at_once_is_told_all_the_same(house, receiver, verb) -> None:
    """Nothing is handed out that then lies nowhere."""
    works, failed = getattr(house.outbox, verb), []

    def fails_once(*args: Any, **words: Any) -> Any:
        if not failed:
            failed.append(verb)
            raise StoreUnavailable("the disk is full")
        return works(*args, **words)

    house.outbox.__dict__[verb] = fails_once
    house.decide(install())
    house.begin()
    house.until(all_delivered(house))
    assert failed == [verb]
    assert len(receiver.heard) == 1


def test_a_slow_partner_is_told_several_at_a_time_and_no_more(receiver) -> None:
    under_way = most = 0

    async def slowly(_: Heard) -> web.StreamResponse:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        return web.Response()

    receiver.answer = slowly
    house = PostHouse(postback(receiver.url, concurrency=3))
    house.decide(*(install(f"d{n}") for n in range(30)))
    house.begin()
    house.until(all_delivered(house, 30))
    house.end()
    assert most == 3


def test_a_rate_is_kept(receiver) -> None:
    house = PostHouse(postback(receiver.url, per_second=50))
    times: list[float] = []

    async def note(_: Heard) -> web.StreamResponse:
        times.append(asyncio.get_running_loop().time())
        return web.Response()

    receiver.answer = note
    house.decide(*(install(f"d{n}") for n in range(15)))
    house.begin()
    house.until(all_delivered(house, 15))
    house.end()
    assert times[-1] - times[0] >= 14 / 50 * 0.9


def test_an_address_of_the_private_network_is_given_up(receiver) -> None:
    house = PostHouse(postback(receiver.url, allowed_hosts=()))
    house.decide(install())
    house.begin()
    house.until(lambda: [state for _, state, _ in house.states()] == ["gave_up"])
    house.end()
    assert "not of the public internet" in house.states()[0][2]
    assert receiver.heard == []


# --- the breaker, and who waits for whom


def test_a_dead_partner_is_asked_now_and_then_and_delays_nobody(receiver, quick_breaker) -> None:
    dead = Receiver()
    dead.answer = later
    zeta = postback(receiver.url, id=PostbackId("zeta-1"), partner=PartnerId("zeta"), concurrency=1)
    house = PostHouse(postback(dead.url), zeta)
    house.decide(*(install(f"d{n}") for n in range(3000)))
    house.begin()
    house.until(lambda: len(dead.heard) > 5)
    for n in range(20):
        house.decide(install(f"z{n}", credit=credit("zeta")))
        house.until(lambda n=n: len(receiver.heard) == n + 1)
    asked = len(dead.heard)
    assert asked < 100, "the breaker holds back the rest"
    dead.answer = fine
    house.until(lambda: len(set(dead.ids())) > 2900)
    house.end()
    dead.close()


def test_the_breaker_opens_after_five_failures_and_not_before(receiver, monkeypatch) -> None:
    monkeypatch.setattr(breaker, "OPEN_MS", 3_600_000)
    receiver.answer = later
    house = PostHouse(postback(receiver.url, concurrency=1))
    house.decide(*(install(f"d{n}") for n in range(40)))
    house.begin()
    house.until(lambda: len(receiver.heard) == 5)
    house.decide(install("late"))
    house.until(lambda: len(house.log()) == 41)
    assert len(receiver.heard) == 5
    house.end()


def test_the_role_says_whose_partner_does_not_answer(receiver, monkeypatch) -> None:
    monkeypatch.setattr(breaker, "OPEN_MS", 500)
    dead, asked, answers = Receiver(), threading.Event(), threading.Event()
    dead.answer = later
    others = (
        postback(receiver.url, id=PostbackId("a-fine"), partner=PartnerId("zeta")),
        postback(receiver.url, id=PostbackId("b-ended"), is_ended=True),
    )
    house = PostHouse(postback(dead.url, concurrency=1), *others)
    house.decide(*(install(f"d{n}") for n in range(6)))
    house.begin()
    house.until(lambda: house.role.state().get("breakers", {}).get("acme-1") == "open")
    assert list(house.role.state()["breakers"].items()) == [("acme-1", "open"), ("a-fine", "closed")]  # fmt: skip

    async def slowly(_: Heard) -> web.StreamResponse:
        asked.set()
        while not answers.is_set():  # noqa: ASYNC110 - set from another loop
            await asyncio.sleep(0.005)
        return web.Response(text="ok")

    dead.answer = slowly
    house.until(lambda: house.role.state()["breakers"]["acme-1"] == "probing")
    assert asked.wait(5)
    answers.set()
    house.until(lambda: house.role.state()["breakers"]["acme-1"] == "closed")
    monkeypatch.setattr(dispatch, "_BREAKERS_MAX", 1)
    assert house.role.state()["breakers"] == {"a-fine": "closed"}
    house.end()
    dead.close()


def test_what_failed_for_three_days_is_given_up_and_can_be_sent_again(house, receiver) -> None:
    receiver.answer = later
    house.decide(*(install(f"d{n}") for n in range(400)))
    house.begin()
    # What is tried for the first time after the three days has three days of its own.
    house.until(lambda: set(house.role.state().get("breakers", {}).values()) - {"closed"})
    house.clock.advance(3 * DAY_MS + 1)
    house.until(lambda: {state for _, state, _ in house.states()} == {"gave_up"})
    assert "the partner was not there for 3 days" in {reason for _, _, reason in house.states()}
    assert len(receiver.heard) < 100, "those that wait behind an open breaker are not tried for it"
    receiver.answer = fine
    ids = tuple(row.row.planned.id for row in house.log())
    house.say(Redelivery(deliveries=ids, by="operator"))
    house.until(all_delivered(house, 400))


def test_what_was_tried_and_given_up_may_have_arrived_and_is_taken_back(house, receiver) -> None:
    receiver.answer = later
    house.decide(install())
    house.begin()
    house.until(lambda: len(receiver.heard) >= 1)
    house.clock.advance(3 * DAY_MS + 1)
    house.until(lambda: house.states() and house.states()[0][1] == "gave_up")
    receiver.answer = fine
    house.decide(install(revision=2, **TAKEN))
    house.until(lambda: [state for _, state, _ in house.states()] == ["gave_up", "delivered"])
    assert receiver.heard[-1].query["t"] == "reversal"


def test_one_device_after_the_other_where_the_partner_wants_it(receiver, quick_breaker) -> None:
    house = PostHouse(postback(receiver.url + "?e={event}", in_order=True, concurrency=16))
    turns = itertools.count()

    async def now_and_then(_: Heard) -> web.StreamResponse:
        return web.Response(status=503 if next(turns) % 3 == 0 else 200)

    receiver.answer = now_and_then
    for n in range(12):
        house.decide(event(f"a{n}", "d1", name=f"a{n:02}"), event(f"b{n}", "d2", name=f"b{n:02}"))
    house.begin()
    patiently(house)
    house.end()
    told = [one.query["e"] for one in receiver.heard]
    for device in "ab":
        seen = list(dict.fromkeys(name for name in told if name.startswith(device)))
        assert seen == sorted(seen)
        assert len(seen) == 12


# --- taking back


def test_what_was_told_is_taken_back_after_it(house, receiver) -> None:
    house.decide(install())
    house.begin()
    house.until(all_delivered(house))
    house.decide(install(revision=2, **TAKEN))
    house.until(all_delivered(house, 2))
    assert [one.query["t"] for one in receiver.heard] == ["install", "reversal"]


def test_what_was_not_told_yet_is_withdrawn_and_the_partner_hears_nothing(house, receiver) -> None:
    house.decide(install(), install(revision=2, **TAKEN))
    house.begin()
    house.until(lambda: all(state == "withdrawn" for _, state, _ in house.states()) and house.log())
    assert house.states() == [
        ("install", "withdrawn", "it was taken back before it was told"),
        ("reversal", "withdrawn", "what it takes back was never told"),
    ]
    assert house.role.state()["counters"]["withdrawn"] == 2
    assert receiver.heard == []


def test_what_may_have_arrived_is_told_and_then_taken_back(house, receiver) -> None:
    receiver.answer = later
    house.decide(install())
    house.begin()
    house.until(lambda: house.states() and house.states()[0][2] is not None)
    house.decide(install(revision=2, **TAKEN))
    house.until(lambda: len(house.log()) == 2)
    receiver.answer = fine
    patiently(house)
    assert [state for _, state, _ in house.states()] == ["delivered", "delivered"]
    told = [one.query["t"] for one in receiver.heard]
    assert told.index("reversal") > max(n for n, t in enumerate(told) if t == "install") - 1
    assert told[-1] == "reversal"


def test_a_refund_takes_back_the_purchase_by_its_words(house, receiver) -> None:
    house.decide(event("e1", transaction_id="t-1"))
    house.decide(event("r1", name="refund", transaction_id="t-1"))
    house.begin()
    house.until(all_delivered(house, 2))
    assert [(one.query["t"], one.query["e"]) for one in receiver.heard] == [
        ("event", "buy"),
        ("reversal", "buy"),
    ]


def test_a_partner_that_cannot_be_told_of_reversals_leaves_a_reason(receiver) -> None:
    house = PostHouse(postback(receiver.url, triggers=(Trigger.INSTALL,)))
    house.decide(install())
    house.begin()
    house.until(all_delivered(house))
    house.decide(install(revision=2, **TAKEN))
    house.until(lambda: len(house.states()) == 2 and house.states()[1][1] == "gave_up")
    house.end()
    assert "does not tell of reversals" in house.states()[1][2]
    assert len(receiver.heard) == 1


# --- lives


def test_a_new_life_or_a_new_outbox_tells_nobody_twice(house, receiver) -> None:
    house.decide(install(), event())
    house.begin()
    house.until(all_delivered(house, 2))
    before = house.states()
    for outbox in (True, False):
        house.life(outbox=outbox)
        house.begin()
        house.decide(install(f"again-{outbox}"))
        house.until(lambda: all(state == "delivered" for _, state, _ in house.states()))
        house.until(
            lambda outbox=outbox: (
                f"cv-again-{outbox}" in {row.row.planned.outcome_id for row in house.log()}
            )
        )
    house.until(lambda: len(receiver.heard) == 4)
    assert house.states()[:2] == before
    assert len(set(receiver.ids())) == 4


def test_what_was_sent_and_not_journaled_is_sent_again_under_its_id(house, receiver) -> None:
    house.decide(install())
    house.fold()
    house.journal.fault = JournalFull()
    house.begin()
    house.until(lambda: len(receiver.heard) == 1)
    house.end()
    assert house.came() == []
    house.journal.fault = None
    house.life(outbox=True)
    house.begin()
    house.until(all_delivered(house))
    assert len(receiver.heard) == 2
    assert len(set(receiver.ids())) == 1


def test_while_the_journal_is_full_what_came_is_kept_and_nothing_is_sent_twice(
    house, receiver
) -> None:
    house.decide(*(install(f"d{n}") for n in range(5)))
    house.fold()
    house.journal.fault = JournalFull()
    house.begin()
    house.until(lambda: len(receiver.heard) == 5)
    house.journal.fault = None
    house.until(all_delivered(house, 5))
    assert len(receiver.heard) == 5


def test_while_the_journal_is_full_nothing_more_goes_out(receiver) -> None:
    async def slowly(_: Heard) -> web.StreamResponse:
        await asyncio.sleep(0.1)
        return web.Response()

    receiver.answer = slowly
    house = PostHouse(postback(receiver.url + QUERY, concurrency=1))
    house.decide(*(install(f"d{n}") for n in range(5)))
    house.fold()
    house.journal.fault = JournalFull()
    house.begin()
    house.until(lambda: len(receiver.heard) == 2)
    threading.Event().wait(0.5)
    assert len(receiver.heard) == 2, "the one under way when it was seen, and none of those ready"
    house.journal.fault = None
    house.until(all_delivered(house, 5))
    house.end()
    assert len(receiver.heard) == 5


def test_a_copy_of_a_house_keeps_what_is_to_be_told_and_tells_nobody(receiver) -> None:
    house = PostHouse(postback(receiver.url), tells_partners=0)
    house.decide(install())
    house.begin()
    house.until(lambda: house.states() == [("install", "waiting", None)])
    house.end()
    assert receiver.heard == []


# --- configuration


def test_requests_are_signed_for_who_wants_it(receiver) -> None:
    house = PostHouse()
    secret = house.vault.seal("ps_secret")
    mine = postback(
        template="generic-json", settings={"url": receiver.url}, sealed_signing_secret=secret
    )
    get = postback(receiver.url, id=PostbackId("acme-2"), sealed_signing_secret=secret)
    house.say(mine, get)
    house.decide(install())
    house.begin()
    house.until(all_delivered(house, 2))
    house.end()
    for one in receiver.heard:
        at, _, given = one.headers[SIGNATURE_HEADER].partition(",v1=")
        about = one.body or receiver.url
        text = f"{at.removeprefix('t=')}.{about}".encode()
        assert given == hmac.new(b"ps_secret", text, hashlib.sha256).hexdigest()
    assert {one.method for one in receiver.heard} == {"GET", "POST"}


def test_a_secret_goes_to_the_partner_and_into_no_log(receiver) -> None:
    data = find_shipped("affise").text.replace("https://", "http://")
    house = PostHouse()
    sealed = {"secure": house.vault.seal("hush-hush")}
    house.say(postback(data=data, settings={"domain": f"127.0.0.1:{receiver.port}"}, sealed=sealed))
    house.decide(install())
    house.begin()
    house.until(all_delivered(house))
    house.end()
    assert receiver.heard[0].query["secure"] == "hush-hush"
    (made,) = house.came()
    assert isinstance(made, Attempt)
    assert made.request is not None
    assert "secure=SECURE" in made.request.url
    assert "hush-hush" not in str(house.log())


def test_a_postback_whose_secret_cannot_be_read_waits_and_says_why(receiver) -> None:
    house = PostHouse()
    sealed = {"secure": house.vault.seal("hush")}
    house.say(postback(template="affise", settings={"domain": "a.example"}, sealed=sealed))
    house.say(postback(receiver.url, id=PostbackId("acme-2")))
    house.vault.key = "another"
    house.decide(install())
    house.begin()
    house.until(lambda: {state for _, state, _ in house.states()} == {"delivered", "waiting"})
    assert "sealed with another key" in house.role.state()["last_error"]
    assert len(receiver.heard) == 1
    house.end()


def test_a_click_s_own_address_is_called_and_only_at_the_partner_s_host(receiver) -> None:
    from test_postback_fold import clicked  # noqa: PLC0415 - a story of both

    data = find_shipped("callback").text
    house = PostHouse(postback(data=data, callback_hosts=("127.0.0.1",)))
    url = f"http%3A%2F%2F127.0.0.1%3A{receiver.port}%2Fcb%3Fc%3D%7Bclick_id%7D%26k%3D%7Bactivity_kind%7D%26x%3D%7Bisp%7D"
    touch = clicked(house, f"click_id=a%20b&install_callback={url}")
    other = clicked(house, "install_callback=http%3A%2F%2Flocalhost%3A1%2F", 1_772_366_400_777)
    ours = {"partner_click_id": "a b"}
    house.decide(
        install("d1", credit=credit(touch=touch, **ours)), install("d2", credit=credit(touch=other))
    )
    house.begin()
    house.until(lambda: [state for _, state, _ in house.states()] == ["delivered", "gave_up"])
    house.end()
    (heard,) = receiver.heard
    assert (heard.path, heard.query) == ("/cb", {"c": "a b", "k": "install"})
    assert "localhost, which is no callback host" in house.states()[1][2]


# --- a partner that decides later


def test_impact_is_asked_what_it_decided(receiver) -> None:
    data = find_shipped("impact").text.replace(
        "https://api.impact.com", receiver.url.removesuffix("/pb")
    )
    house = PostHouse()
    settings = {"account_sid": "IR1", "campaign_id": "7", "app_id": "9"}
    house.say(
        postback(data=data, settings=settings, sealed={"auth_token": house.vault.seal("tok")})
    )
    decisions = iter(["Queued", "Complete", "Complete"])

    async def say(heard: Heard) -> web.StreamResponse:
        if heard.method == "POST":
            uri = f"/Advertisers/IR1/APISubmissions/{len(receiver.heard)}"
            return web.json_response({"Status": "QUEUED", "QueuedUri": uri})
        said = {"Status": next(decisions)}
        is_second = heard.path.endswith("/4")
        return web.json_response(said | ({"ErrorType": "CONTRACT_NOT_FOUND"} if is_second else {}))

    receiver.answer = say
    house.decide(install("d1"))
    house.begin()
    patiently(house)
    house.decide(install("d2"))
    house.until(lambda: len(house.log()) == 2)
    patiently(house)
    house.end()
    assert house.states() == [
        ("install", "delivered", None),
        ("install", "gave_up", "the partner decided: CONTRACT_NOT_FOUND"),
    ]
    assert [one.method for one in receiver.heard] == ["POST", "GET", "GET", "POST", "GET"]
    assert len({one.headers["authorization"] for one in receiver.heard}) == 1
    assert "tok" not in json.dumps([str(one) for one in house.came()])


def test_a_partner_leads_the_question_to_no_other_host(receiver) -> None:
    data = find_shipped("impact").text.replace(
        "https://api.impact.com", receiver.url.removesuffix("/pb")
    )
    house = PostHouse()
    settings = {"account_sid": "IR1", "campaign_id": "7", "app_id": "9"}
    house.say(
        postback(data=data, settings=settings, sealed={"auth_token": house.vault.seal("tok")})
    )

    async def say(_: Heard) -> web.StreamResponse:
        return web.json_response({"Status": "QUEUED", "QueuedUri": "http://127.0.0.1:1/steal"})

    receiver.answer = say
    house.decide(install())
    house.begin()
    house.until(all_delivered(house))
    house.end()
    assert len(receiver.heard) == 1


def test_every_word_of_a_settled_delivery_is_journaled(house, receiver) -> None:
    house.decide(install(), install(revision=2, **TAKEN))
    house.begin()
    house.until(lambda: len(house.came()) == 2)
    assert all(
        isinstance(one, Settled) and one.state is DeliveryState.WITHDRAWN for one in house.came()
    )
