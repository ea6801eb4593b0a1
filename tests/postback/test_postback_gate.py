"""One gate for all postbacks of a partner: its pace, whether it is there, and whose turn it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from posthouse import (
    Heard,
    PostHouse,
    Receiver,
    all_delivered,
    credit,
    event,
    fine,
    install,
    later,
    postback,
)
from test_postback_fold import clicked

from attribune.model.delivery import Trigger
from attribune.model.ids import PartnerId, PostbackId
from attribune.postback import breaker, dispatch, lane
from attribune.postback.deliver import Deliverer
from attribune.postback.folders import find_shipped

pytestmark = pytest.mark.enable_socket


class Crowd:
    """Answers after a while, and counts how many are asked at a time."""

    def __init__(self, takes_s: float = 0.02) -> None:
        self.most = self._now = 0
        self._takes_s = takes_s

    async def __call__(self, _: Heard) -> web.StreamResponse:
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(self._takes_s)
        self._now -= 1
        return web.Response()


def second(url: str, **words: Any) -> Any:
    """Another postback of acme's."""
    return postback(url, id=PostbackId("acme-2"), **words)


@pytest.fixture
def other() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


# --- pace


@pytest.mark.parametrize(
    ("said", "most"), [((3, None), 3), ((2, 5), 2), ((None, None), 8), ((12, None), 12)]
)
def test_a_partner_s_postbacks_have_as_many_under_way_together_as_the_strictest_says(
    receiver, other, said, most
) -> None:
    receiver.answer = other.answer = crowd = Crowd()
    one, two = said
    house = PostHouse(
        postback(receiver.url, concurrency=one),
        second(receiver.url, concurrency=two),
        postback(receiver.url, id=PostbackId("acme-3"), concurrency=1, is_ended=True),
    )
    house.decide(*(install(f"d{n}") for n in range(30)))
    house.begin()
    house.until(all_delivered(house, 60))
    house.end()
    assert crowd.most == most


def test_another_partner_s_requests_count_for_themselves(receiver) -> None:
    receiver.answer = crowd = Crowd(0.05)
    zeta = second(receiver.url, partner=PartnerId("zeta"), concurrency=2)
    own = (
        postback(receiver.url, id=PostbackId(f"own-{n}"), partner=None, concurrency=2)
        for n in range(2)
    )
    house = PostHouse(postback(receiver.url, concurrency=2), zeta, *own)
    house.decide(*(install(f"d{n}") for n in range(10)))
    house.decide(*(install(f"z{n}", credit=credit("zeta")) for n in range(10)))
    house.begin()
    house.until(all_delivered(house, 60))
    house.end()
    assert crowd.most == 8, "two of each partner and of each system of one's own"


def test_a_rate_holds_for_all_of_a_partner_s_postbacks_together(receiver) -> None:
    times: list[float] = []

    async def note(_: Heard) -> web.StreamResponse:
        times.append(asyncio.get_running_loop().time())
        return web.Response()

    receiver.answer = note
    house = PostHouse(postback(receiver.url, per_second=50), second(receiver.url, per_second=900))
    house.decide(*(install(f"d{n}") for n in range(8)))
    house.begin()
    house.until(all_delivered(house, 16))
    house.end()
    assert times[-1] - times[0] >= 15 / 50 * 0.9


def test_what_is_still_under_way_of_an_older_configuration_counts(receiver) -> None:
    receiver.answer = crowd = Crowd(0.3)
    house = PostHouse(postback(receiver.url, concurrency=2))
    house.decide(*(install(f"d{n}") for n in range(4)))
    house.begin()
    house.until(lambda: len(receiver.heard) == 2)
    house.say(postback(receiver.url + "?new=1", concurrency=2))
    house.until(all_delivered(house, 4))
    house.end()
    assert crowd.most == 2
    assert [len(one.query) for one in receiver.heard] == [0, 0, 1, 1]


def test_another_pace_holds_from_then_on(receiver) -> None:
    receiver.answer = crowd = Crowd()
    house = PostHouse(postback(receiver.url, concurrency=1))
    house.decide(*(install(f"d{n}") for n in range(3)))
    house.begin()
    house.until(all_delivered(house, 3))
    assert crowd.most == 1
    house.say(postback(receiver.url, concurrency=4))
    house.decide(*(install(f"e{n}") for n in range(30)))
    house.until(all_delivered(house, 33))
    house.end()
    assert crowd.most == 4


def test_each_of_a_partner_s_postbacks_has_its_turn(receiver) -> None:
    receiver.answer = Crowd(0.005)
    house = PostHouse(
        postback(receiver.url + "?of=heap", concurrency=1, triggers=(Trigger.EVENT,)),
        second(receiver.url + "?of=few", triggers=(Trigger.INSTALL,)),
    )
    house.decide(*(event(f"e{n}") for n in range(200)), *(install(f"d{n}") for n in range(5)))
    house.begin()
    house.until(all_delivered(house, 205))
    house.end()
    order = [one.query["of"] for one in receiver.heard]
    assert [n for n, of in enumerate(order) if of == "few"][-1] < 30, "not behind the heap"


def test_who_hangs_leaves_the_others_of_its_partner_their_part(receiver) -> None:
    """And is left alone by itself, though its partner's server answers all others."""

    async def by_path(heard: Heard) -> web.StreamResponse:
        await asyncio.sleep(30 if heard.query["is"] == "ill" else 0)
        return web.Response()

    receiver.answer = by_path
    house = PostHouse(
        postback(receiver.url + "?is=ill", concurrency=4),
        second(receiver.url + "?is=well"),
        deliverer=partial(Deliverer, wait_s=1),
    )
    house.decide(*(install(f"d{n}") for n in range(100)))
    house.begin()
    house.until(lambda: [one.query["is"] for one in receiver.heard].count("well") == 100)
    assert [one.query["is"] for one in receiver.heard].count("ill") < 10
    house.until(lambda: house.role.state()["breakers"] == {"acme-1": "open", "acme-2": "closed"})
    house.end()


def test_a_rate_is_used(receiver) -> None:
    times: list[float] = []

    async def note(_: Heard) -> web.StreamResponse:
        times.append(asyncio.get_running_loop().time())
        return web.Response()

    receiver.answer = note
    house = PostHouse(postback(receiver.url, per_second=200), second(receiver.url))
    house.decide(*(install(f"d{n}") for n in range(100)))
    house.begin()
    house.until(all_delivered(house, 200))
    house.end()
    took_s = times[-1] - times[0]
    assert 0.9 < took_s < 2, "a second's worth"


def test_the_pace_of_one_that_cannot_tell_counts(receiver) -> None:
    receiver.answer = crowd = Crowd()
    house = PostHouse(second(receiver.url))
    sealed = {"secure": house.vault.seal("hush")}
    house.vault.key = "another"
    mute = {"template": "affise", "settings": {"domain": "a.example"}, "sealed": sealed}
    house.say(postback(concurrency=2, **mute))
    house.decide(*(install(f"d{n}") for n in range(20)))
    house.begin()
    house.until(lambda: len(receiver.heard) == 20)
    house.end()
    assert crowd.most == 2


def test_one_whose_key_is_put_back_tells(receiver, monkeypatch) -> None:
    monkeypatch.setattr(dispatch, "_MENDED_S", 0.05)
    house = PostHouse()
    sealed, key = house.vault.seal("hush"), house.vault.key
    house.say(postback(receiver.url, sealed_signing_secret=sealed))
    house.vault.key = "another"
    house.decide(install())
    house.begin()
    house.until(lambda: house.role.state().get("last_error"))
    house.vault.key = key
    house.until(all_delivered(house, 1))
    assert house.role.state()["last_error"] is None
    house.end()


# --- whether the partner is there


def test_of_several_servers_of_clicks_one_that_is_dead_keeps_none_from_the_other(receiver) -> None:
    hosts = ("127.0.0.1", "127.0.0.2")
    data = find_shipped("callback").text
    house = PostHouse(postback(data=data, callback_hosts=hosts, allowed_hosts=hosts))

    def brought(n: int, host: str) -> Any:
        address = f"install_callback=http%3A%2F%2F{host}%3A{receiver.port}%2F"
        touch = clicked(house, address, 1_772_366_400_000 + n)
        return install(f"d{n}", credit=credit(touch=touch))

    house.decide(*(brought(n, "127.0.0.2") for n in range(60)))
    house.decide(brought(60, "127.0.0.1"))
    house.begin()
    house.until(lambda: receiver.heard)
    assert house.role.state()["breakers"] == {"acme-1": "closed"}
    house.end()


def test_a_paused_one_says_nothing_of_its_partner(receiver) -> None:
    receiver.answer = later
    house = PostHouse(postback(receiver.url, concurrency=1))
    house.decide(*(install(f"d{n}") for n in range(6)))
    house.begin()
    house.until(lambda: house.role.state().get("breakers") == {"acme-1": "open"})
    house.say(postback(receiver.url, concurrency=1, is_paused=True))
    house.until(lambda: house.role.state()["breakers"] == {})
    house.end()


def test_while_nothing_is_due_of_a_dead_partner_the_outbox_is_left_alone(
    receiver, monkeypatch
) -> None:
    monkeypatch.setattr(breaker, "OPEN_MS", 20)
    receiver.answer = later
    house = PostHouse(postback(receiver.url, concurrency=1))
    house.decide(*(install(f"d{n}") for n in range(6)))
    house.begin()
    house.until(lambda: len(house.came()) >= 6)
    asked: list[str] = []
    due = house.outbox.due

    def noted(*words: Any, **more: Any) -> Any:
        asked.append("due")
        return due(*words, **more)

    monkeypatch.setattr(house.outbox, "due", noted)
    threading.Event().wait(0.5)  # some hundred turns; time stands still for what failed
    house.end()
    assert len(asked) < 10


def test_failures_of_all_postbacks_that_lead_to_one_server_count_together(
    receiver, monkeypatch
) -> None:
    monkeypatch.setattr(breaker, "OPEN_MS", 3_600_000)
    receiver.answer = later
    house = PostHouse(postback(receiver.url, concurrency=1), second(receiver.url + "?second=1"))
    house.decide(*(install(f"d{n}") for n in range(20)))
    house.begin()
    open_both = {"acme-1": "open", "acme-2": "open"}
    house.until(lambda: house.role.state().get("breakers") == open_both)
    house.decide(install("late"))
    house.until(lambda: len(house.log()) == 42)
    assert len(receiver.heard) == 5
    house.end()


def test_a_partner_s_other_server_is_told_while_one_is_dead(receiver, other, monkeypatch) -> None:
    monkeypatch.setattr(breaker, "OPEN_MS", 3_600_000)
    other.answer = later
    house = PostHouse(postback(other.url, concurrency=2), second(receiver.url))
    house.decide(*(install(f"d{n}") for n in range(20)))
    house.begin()
    house.until(lambda: len(receiver.heard) == 20)
    house.until(lambda: house.role.state()["breakers"] == {"acme-1": "open", "acme-2": "closed"})
    house.end()


def test_once_one_postback_finds_the_partner_there_all_go_on(receiver, monkeypatch) -> None:
    monkeypatch.setattr(breaker, "OPEN_MS", 200)
    receiver.answer = later
    house = PostHouse(postback(receiver.url, concurrency=1), second(receiver.url))
    house.decide(*(install(f"d{n}") for n in range(20)))
    house.begin()
    house.until(lambda: set(house.role.state().get("breakers", {}).values()) == {"open"})
    asked = len(receiver.heard)
    monkeypatch.setattr(breaker, "OPEN_MS_MAX", 3_600_000)
    receiver.answer = fine
    house.until(lambda: len(receiver.heard) >= asked + 35)
    assert set(house.role.state()["breakers"].values()) == {"closed"}
    house.end()


def test_who_has_wrong_credentials_holds_no_other_postback_of_the_partner(
    receiver, monkeypatch
) -> None:
    monkeypatch.setattr(lane, "DOUBT_MS", 0)
    monkeypatch.setattr(breaker, "OPEN_MS", 3_600_000)

    async def by_token(heard: Heard) -> web.StreamResponse:
        return web.Response(status=200 if heard.query["token"] == "right" else 401)

    receiver.answer = by_token
    house = PostHouse(
        postback(receiver.url + "?token=wrong", concurrency=1, triggers=(Trigger.INSTALL,)),
        second(receiver.url + "?token=right", triggers=(Trigger.EVENT,)),
    )
    house.decide(*(install(f"d{n}") for n in range(20)))
    house.begin()
    house.until(lambda: house.role.state().get("breakers", {}).get("acme-1") == "open")
    assert len(receiver.heard) == 5
    house.decide(*(event(f"e{n}") for n in range(20)))
    house.until(lambda: len(receiver.heard) == 25)
    assert house.role.state()["breakers"] == {"acme-1": "open", "acme-2": "closed"}
    house.end()


def test_behind_an_open_breaker_each_postback_may_be_the_one_that_tries(
    receiver, monkeypatch
) -> None:
    """One whose every request finds out nothing new does not keep another from finding the partner there."""
    monkeypatch.setattr(breaker, "OPEN_MS", 100)
    monkeypatch.setattr(breaker, "OPEN_MS_MAX", 100)
    is_back = False

    async def by_token(heard: Heard) -> web.StreamResponse:
        if not is_back:
            return web.Response(status=503)
        return web.Response(status=200 if heard.query["token"] == "right" else 401)

    receiver.answer = by_token
    house = PostHouse(
        postback(receiver.url + "?token=wrong", concurrency=1),
        second(receiver.url + "?token=right"),
    )
    house.decide(*(install(f"d{n}") for n in range(300)))
    house.begin()
    house.until(lambda: set(house.role.state().get("breakers", {}).values()) == {"open"})
    is_back = True
    house.until(lambda: "delivered" in {state for _, state, _ in house.states()})
    asked = [one.query["token"] for one in receiver.heard]
    assert len(asked[: asked.index("right")]) < 20
    house.end()


def test_one_that_tries_and_is_cut_lets_another_try(receiver, monkeypatch) -> None:
    monkeypatch.setattr(breaker, "OPEN_MS", 50)
    receiver.answer = later
    house = PostHouse(postback(receiver.url, concurrency=1), drain_ms=100)
    house.decide(*(install(f"d{n}") for n in range(6)))
    house.begin()
    house.until(lambda: house.role.state().get("breakers") == {"acme-1": "open"})
    asked = len(receiver.heard)
    receiver.answer = Crowd(30)
    house.until(lambda: len(receiver.heard) == asked + 1)
    receiver.answer = fine
    house.say(postback(receiver.url, concurrency=2))  # the old lane's request is cut
    house.until(lambda: len(receiver.heard) > asked + 1)
    house.until(lambda: house.role.state()["breakers"] == {"acme-1": "closed"})
    house.end()
