"""A postback that is held, ended or changed while it tells real receivers: what waits heeds it, and what was told stays told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from aiohttp import web
from posthouse import Heard, PostHouse, Receiver, all_delivered, fine, install, patiently, postback

from attribune.model.delivery import Attempt
from attribune.postback import breaker
from attribune.postback.folders import find_shipped

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


async def later(_: Heard) -> web.StreamResponse:
    return web.Response(status=503)


async def slowly(_: Heard) -> web.StreamResponse:
    await asyncio.sleep(0.02)
    return web.Response(text="ok")


def test_a_paused_postback_keeps_what_it_is_to_tell_and_an_ended_one_gives_it_up(receiver) -> None:
    house = PostHouse(postback(receiver.url, is_paused=True))
    house.decide(install("d1"), install("d2"))
    house.begin()
    house.until(lambda: len(house.log()) == 2)
    assert receiver.heard == []
    house.say(postback(receiver.url))
    house.until(all_delivered(house, 2))
    house.say(postback(receiver.url, is_paused=True))
    house.decide(install("d3"))
    house.until(lambda: len(house.log()) == 3)
    house.say(postback(receiver.url, is_ended=True))
    house.until(lambda: house.states()[2] == ("install", "gave_up", "the postback was ended"))
    house.end()
    assert len(receiver.heard) == 2


def test_a_changed_address_holds_for_what_still_waits(receiver) -> None:
    house = PostHouse(postback("http://127.0.0.1:1/"))
    house.decide(install())
    house.begin()
    house.until(lambda: house.states() and house.states()[0][2] is not None)
    house.say(postback(receiver.url))
    patiently(house)
    house.end()
    assert house.states() == [("install", "delivered", None)]
    first, *_, last = [one for one in house.came() if isinstance(one, Attempt)]
    assert (first.request.url, last.request.url) == ("http://127.0.0.1:1/", receiver.url)


def test_what_was_ready_under_the_old_configuration_is_told_under_the_new_one(receiver) -> None:
    receiver.answer = slowly
    house = PostHouse(postback(receiver.url, concurrency=1))
    house.decide(*(install(f"d{n}") for n in range(12)))
    house.begin()
    house.until(lambda: len(receiver.heard) == 2)
    house.say(postback(receiver.url + "?new=1", concurrency=4))
    house.until(all_delivered(house, 12))
    house.end()
    assert receiver.heard[-1].query == {"new": "1"}
    assert len(set(receiver.ids())) == len(receiver.heard) == 12


def test_what_one_partner_took_is_asked_of_no_other_after_a_change(receiver) -> None:
    data = find_shipped("impact").text.replace(
        "https://api.impact.com", "http://{setting.account_sid}:" + str(receiver.port)
    )
    house = PostHouse()
    words = {"data": data, "sealed": {"auth_token": house.vault.seal("tok")}}
    words["allowed_hosts"] = ("127.0.0.1", "localhost")
    settings = {"account_sid": "127.0.0.1", "campaign_id": "7", "app_id": "9"}
    house.say(postback(settings=settings, **words))

    async def say(_: Heard) -> web.StreamResponse:
        return web.json_response({"Status": "QUEUED", "QueuedUri": "/APISubmissions/1"})

    receiver.answer = say
    house.decide(install("d1"))
    house.begin()
    house.until(lambda: house.states() and house.log()[0].row.poll_url is not None)
    house.say(postback(settings={**settings, "account_sid": "localhost"}, **words))
    # Before time passes: what is due in the moment of a change is asked as it stood.
    house.until(lambda: house.outbox.position() == house.journal.end())
    asked = len(receiver.heard)
    patiently(house)
    house.end()
    [(_, state, why)] = house.states()
    assert (state, len(receiver.heard)) == ("gave_up", asked)
    assert "the postback leads elsewhere by now" in why


def test_an_address_that_was_mended_is_tried_at_once(receiver, monkeypatch) -> None:
    monkeypatch.setattr(breaker, "OPEN_MS", 3_600_000)
    receiver.answer = later
    house = PostHouse(postback(receiver.url, concurrency=1))
    house.decide(*(install(f"d{n}") for n in range(7)))
    house.begin()
    house.until(lambda: house.role.state().get("breakers") == {"acme-1": "open"})
    house.say(postback(receiver.url, concurrency=2))
    house.until(lambda: house.outbox.position() == house.journal.end())
    assert house.role.state()["breakers"] == {"acme-1": "open"}, "another pace heals no partner"
    receiver.answer = fine
    house.say(postback(receiver.url + "?mended=1", concurrency=2))
    patiently(house)
    house.end()
    assert {state for _, state, _ in house.states()} == {"delivered"}
    assert len([one for one in receiver.heard if one.query]) == 7
