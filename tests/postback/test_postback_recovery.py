"""Partners that do not take what they are told, in every way there is, and then do: everything is told once by delivery id."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

import pytest
from aiohttp import web
from posthouse import (
    NOW_MS,
    QUERY,
    TAKEN,
    Answers,
    Heard,
    PostHouse,
    Receiver,
    all_delivered,
    event,
    fine,
    install,
    later,
    patiently,
    postback,
)

from attribune.model.control import Redelivery
from attribune.model.delivery import HOLDING_DECLINES, Attempt
from attribune.model.policy import DAY_MS
from attribune.postback import breaker, lane
from attribune.postback.deliver import Deliverer
from attribune.postback.folders import find_shipped

pytestmark = pytest.mark.enable_socket


async def _reset(_: Heard) -> web.StreamResponse:
    raise asyncio.CancelledError


async def _hang(_: Heard) -> web.StreamResponse:
    await asyncio.sleep(0.3)  # longer than is waited
    return web.Response(status=500)


async def _slowly(_: Heard) -> web.StreamResponse:
    await asyncio.sleep(0.05)
    return web.Response(text="success=true")


async def _redirect(_: Heard) -> web.StreamResponse:
    raise web.HTTPFound("/login")


async def _unauthorized(_: Heard) -> web.StreamResponse:
    return web.Response(status=401, text="success=true? log in first")


async def _not_found(_: Heard) -> web.StreamResponse:
    return web.Response(status=404)


async def _refuse(_: Heard) -> web.StreamResponse:
    return web.Response(text="success=false; err_msg=Invalid Trans. ID")


async def _take(_: Heard) -> web.StreamResponse:
    return web.Response(text="success=true;")


async def _too_many(_: Heard) -> web.StreamResponse:
    return web.Response(status=429, headers={"retry-after": "3000"})


@pytest.fixture
def tuned(receiver: Receiver, quick_breaker: None) -> Iterator[PostHouse]:
    """A partner whose words decide, and who may take a fifth of a second."""
    data = find_shipped("tune").text.replace("https://", "http://")
    settings = {"network": f"127.0.0.1:{receiver.port}", "offer_id": "26"}
    one = PostHouse(
        postback(data=data, settings=settings), deliverer=partial(Deliverer, wait_s=0.2)
    )
    yield one
    one.end()


#: Every way in which a partner does not take what it is told, and will once it is well.
ILL = {
    "503": later,
    "429": _too_many,
    "reset": _reset,
    "hang": _hang,
    "slow": _slowly,
    "redirect": _redirect,
    "401": _unauthorized,
    "404": _not_found,
    "200 with a refusal": _refuse,
}


@pytest.mark.parametrize("ill", ILL.values(), ids=ILL)
def test_everything_is_told_once_the_partner_recovers(tuned, receiver, ill) -> None:
    taken: list[str] = []

    async def note(heard: Heard, answer: Answers) -> web.StreamResponse:
        response = await answer(heard)
        if response.status == 200 and response.text.startswith("success=true"):
            taken.append(heard.headers["attribune-delivery"])
        return response

    receiver.answer = partial(note, answer=ill)
    tuned.decide(*(install(f"d{n}") for n in range(40)))
    tuned.begin()
    tuned.until(lambda: len(tuned.came()) >= 5)
    if ill is not _slowly:
        assert (taken, {one.state for one in tuned.came()}) == ([], {"waiting"})
    receiver.answer = partial(note, answer=_take)
    patiently(tuned)
    assert all_delivered(tuned, 40)()
    ids = [row.row.planned.id for row in tuned.log()]
    assert sorted(taken) == sorted(ids), "each was taken once, by its delivery id"
    told = [one.delivery for one in tuned.came() if one.state == "delivered"]
    assert sorted(told) == sorted(ids)


def test_a_verdict_on_the_request_itself_is_given_up_at_once(house, receiver) -> None:
    async def say(_: Heard) -> web.StreamResponse:
        return web.Response(status=400)

    receiver.answer = say
    house.decide(install())
    house.begin()
    reason = "the partner answered 400, for good"
    house.until(lambda: house.states() == [("install", "gave_up", reason)])
    house.clock.advance(DAY_MS)
    house.decide(install("d2"))
    house.until(lambda: len(receiver.heard) == 2)
    assert len(set(receiver.ids())) == 2


def test_a_no_that_lasts_is_given_up_with_its_reason(house, receiver) -> None:
    receiver.answer = _not_found
    house.decide(install())
    house.begin()
    tries, state = 0, "waiting"
    while state == "waiting":
        tries += 1
        house.until(lambda n=tries: len(house.came()) == n)
        made = house.came()[-1]
        assert isinstance(made, Attempt)
        state = made.state
        house.clock.advance((made.next_at_ms or 0) - house.clock.now_ms())
    reason = "tried for 3 days; the partner answered 404"
    house.until(lambda: house.states() == [("install", "gave_up", reason)])
    assert 80 < tries == len(receiver.heard) < 160
    assert len(set(receiver.ids())) == 1


def test_a_partner_that_closes_the_connection_was_asked_once_for_each_attempt(
    house, receiver
) -> None:
    """The client would send a GET again by itself, which neither pace nor log would know of."""
    receiver.answer = _reset
    house.decide(install("d1"), install("d2"))
    house.begin()
    house.until(lambda: len(house.came()) == 2)
    house.until(lambda: len(receiver.heard) == 2)
    receiver.answer = fine
    patiently(house)
    assert len(receiver.heard) == len(house.came())


def test_who_had_it_already_has_taken_it(tuned, receiver) -> None:
    answers = iter(["Duplicate conversion", "success=true;"])

    async def say(_: Heard) -> web.StreamResponse:
        return web.Response(text=next(answers))

    receiver.answer = say
    tuned.decide(install("d1"), install("d2"))
    tuned.begin()
    tuned.until(all_delivered(tuned, 2))
    assert len(receiver.heard) == 2


# --- the breaker


def test_a_partner_that_turns_everything_away_is_left_alone_and_one_that_refuses_some_is_not(
    receiver, quick_breaker, monkeypatch
) -> None:
    monkeypatch.setattr(lane, "DOUBT_MS", 0)
    house = PostHouse(postback(receiver.url + QUERY, concurrency=1))

    async def some(heard: Heard) -> web.StreamResponse:
        is_third = len(receiver.heard) % 3 == 0
        return await (fine if is_third else _not_found)(heard)

    receiver.answer = some
    house.decide(*(install(f"d{n}") for n in range(30)))
    house.begin()
    house.until(lambda: len(house.came()) == 30)
    assert house.role.state()["breakers"] == {"acme-1": "closed"}
    monkeypatch.setattr(breaker, "OPEN_MS", 3_600_000)
    receiver.answer = _not_found
    house.decide(*(install(f"e{n}") for n in range(30)))
    house.until(lambda: house.role.state()["breakers"] == {"acme-1": "open"})
    asked = len(receiver.heard)
    assert asked <= 30 + 2 + 5
    house.clock.advance(60_000)
    house.decide(install("late"))
    house.until(lambda: len(house.log()) == 61)
    assert len(receiver.heard) == asked, "what was turned away before is not asked either"
    house.end()


def test_what_is_turned_away_again_and_again_stands_in_nobody_s_way(receiver, monkeypatch) -> None:
    monkeypatch.setattr(breaker, "OPEN_MS", 50)
    house = PostHouse(postback(receiver.url + "?e={event_name}", concurrency=1))
    says = {"bad": _not_found, "sick": _too_many, "good": fine}
    receiver.answer = lambda heard: says[heard.query["e"]](heard)
    house.decide(*(event(f"b{n}", name="bad") for n in range(20)))
    house.begin()
    house.until(lambda: len(house.came()) == 20)
    house.decide(*(event(f"s{n}", name="sick") for n in range(5)))
    house.until(lambda: house.role.state()["breakers"]["acme-1"] != "closed")
    house.decide(event("g", name="good", judged_at_ms=NOW_MS + 80_000))
    house.clock.advance(90_000)
    house.until(lambda: house.states()[-1][1] == "delivered")
    assert len(receiver.heard) > 40, "all that a partner never takes had its turn before"
    house.end()


def test_an_attempt_says_when_it_was_sent(house, receiver) -> None:
    async def after_ten_seconds(_: Heard) -> web.StreamResponse:
        house.clock.advance(10_000)
        return web.Response(status=503)

    receiver.answer = after_ten_seconds
    house.decide(install())
    house.begin()
    house.until(lambda: len(house.came()) == 1)
    (made,) = house.came()
    assert isinstance(made, Attempt)
    assert made.at_ms == NOW_MS
    assert made.next_at_ms is not None
    assert made.next_at_ms > NOW_MS + 10_000, "while it is tried again after the answer"


# --- what waits for what is declined


def test_in_order_a_device_is_held_for_a_while_by_what_is_declined_and_then_goes_on(
    receiver, quick_breaker
) -> None:
    house = PostHouse(postback(receiver.url + "?e={event_name}", in_order=True))

    async def by_name(heard: Heard) -> web.StreamResponse:
        return await (_not_found if heard.query["e"] == "bad" else fine)(heard)

    receiver.answer = by_name
    house.decide(event("a", name="bad"), event("b", name="good"), event("c", "d2", name="other"))
    house.begin()
    house.until(lambda: len(receiver.heard) == 2)
    assert {one.query["e"] for one in receiver.heard} == {"bad", "other"}
    for n in range(2, HOLDING_DECLINES + 1):
        assert "good" not in {one.query["e"] for one in receiver.heard}
        # Time goes on once the answer is kept, or the next try would count from later on.
        house.until(lambda n=n: max(len(one.attempts) for one in house.log()) == n - 1)
        house.clock.advance(3_600_000)
        house.until(
            lambda n=n: len([one for one in receiver.heard if one.query["e"] == "bad"]) >= n
        )
    house.until(lambda: [state for _, state, _ in house.states()].count("delivered") == 2)
    assert house.states()[0][1] == "waiting", "which goes on to be tried"
    receiver.answer = fine
    patiently(house, 600_000)
    assert all_delivered(house, 3)()
    house.end()


def test_what_was_declined_and_then_corrected_is_told_and_taken_back(house, receiver) -> None:
    """As with what failed: the partner ends with what is so, in the order in which it came about."""
    receiver.answer = _not_found
    house.decide(install())
    house.begin()
    house.until(lambda: len(house.came()) == 1)
    house.decide(install(revision=2, **TAKEN))
    house.until(lambda: len(house.log()) == 2)
    receiver.answer = fine
    patiently(house)
    assert all_delivered(house, 2)()
    assert [one.query["t"] for one in receiver.heard] == ["install", "install", "reversal"]


def test_what_was_declined_waits_while_its_postback_is_paused(house, receiver) -> None:
    receiver.answer = _not_found
    house.decide(install())
    house.begin()
    house.until(lambda: len(house.came()) == 1)
    house.say(postback(receiver.url + QUERY, is_paused=True))
    house.until(lambda: house.role.state()["lag"] == 0)
    receiver.answer = fine
    house.clock.advance(DAY_MS)
    house.decide(install("d2"))
    house.until(lambda: len(house.log()) == 2)
    assert len(receiver.heard) == 1
    house.say(postback(receiver.url + QUERY))
    house.until(all_delivered(house, 2))


def test_what_was_taken_back_since_is_not_told_after_it_by_any_way(house, receiver) -> None:
    """A word that a person gave before the correction came, or to an older version."""

    async def gone(_: Heard) -> web.StreamResponse:
        return web.Response(status=410)

    receiver.answer = gone
    house.decide(event(transaction_id="t1"))
    house.begin()
    house.until(lambda: house.states() and house.states()[0][1] == "gave_up")
    receiver.answer = fine
    house.decide(event("r1", name="refund", transaction_id="t1"))
    house.until(lambda: [state for _, state, _ in house.states()] == ["gave_up", "delivered"])
    house.say(Redelivery(deliveries=(house.log()[0].row.planned.id,), by="operator"))
    reason = "it was taken back since, and the partner was told so"
    house.until(lambda: house.states()[0] == ("event", "gave_up", reason))
    assert [one.query["t"] for one in receiver.heard] == ["event", "reversal"]


@pytest.mark.parametrize("ill", [later, _not_found], ids=["503", "404"])
def test_a_pause_counts_for_no_time_that_was_tried(house, receiver, ill) -> None:
    """Tried, paused for four days, and then the partner is not well for a moment more: nothing is given up for it."""
    address = receiver.url + QUERY
    receiver.answer = ill
    house.decide(*(install(f"d{n}") for n in range(8)))
    house.begin()
    house.until(lambda: len(house.came()) >= 5)
    house.say(postback(address, is_paused=True))
    house.until(lambda: house.role.state()["lag"] == 0)
    house.decide(*(install(f"e{n}") for n in range(8)))
    house.clock.advance(4 * DAY_MS)
    asked = len(house.came())
    house.say(postback(address, resumed_at_ms=house.clock.now_ms()))
    house.until(lambda: len(house.came()) >= asked + 5)
    receiver.answer = fine
    patiently(house)
    assert all_delivered(house, 16)()


def test_what_is_given_up_after_a_pause_was_tried_for_three_days_since(house, receiver) -> None:
    address = receiver.url + QUERY
    house.clock.advance(DAY_MS)
    house.say(postback(address, resumed_at_ms=house.clock.now_ms()))
    receiver.answer = later
    house.decide(*(install(f"d{n}") for n in range(20)))
    house.begin()
    house.until(lambda: len(receiver.heard) >= 5)
    house.clock.advance(3 * DAY_MS)
    house.until(lambda: len(receiver.heard) >= 20)
    assert {state for _, state, _ in house.states()} == {"waiting"}
    house.clock.advance(4 * DAY_MS)
    house.until(lambda: {state for _, state, _ in house.states()} == {"gave_up"})
