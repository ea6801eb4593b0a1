"""How much a lane makes ready, and for how long it stays so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from posthouse import PostHouse, Receiver, install, postback
from test_postback_fold import say_consent

from attribune.engines.system import MemoryClock, SystemChance
from attribune.model.delivery import Attempt, DeliveryState, OutboxRow, Planned, Trigger
from attribune.model.ids import DeliveryId, PartnerId, Position, PostbackId, ProductId
from attribune.postback import dispatch, lane
from attribune.postback.deliver import Answer, Deliverer
from attribune.postback.dispatch import Dispatcher
from attribune.postback.gate import Gate
from attribune.postback.lane import Lane
from attribune.postback.outgoing import Outgoing, spoken
from attribune.postback.render import Request
from attribune.postback.verdict import Presence


class Partner(Deliverer):
    """Answers after a while, without a network."""

    takes_s = 0.0

    async def send(self, request: Request) -> Answer:
        await asyncio.sleep(self.takes_s)
        return Answer(200, b"", None, 0)


def outgoing(n: int) -> Outgoing:
    of = PartnerId("acme"), ProductId("game"), f"cv-{n}", 1, Trigger.INSTALL, f"cv-{n}"
    planned = Planned(DeliveryId(f"dl-{n}"), PostbackId("acme-1"), *of, Position(1), 1)
    row = OutboxRow(planned, DeliveryState.WAITING)
    return Outgoing(row, Request("GET", "http://acme.example/", {}, b""), None)


async def until(what: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if what():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came to that")


def lived(journey: Callable[[Lane, list[Attempt]], Awaitable[Any]], concurrency: int = 4) -> Any:
    """What comes of a journey with an open lane."""

    async def live() -> Any:
        finished: list[Attempt] = []
        ready = spoken(postback("http://acme.example/", concurrency=concurrency), cast("Any", None))
        gate = Gate()
        gate.hear(ready.postback)
        one = Lane(
            ready, finished.append, gate, None, clock=MemoryClock(), chance=SystemChance(),
            deliverer=Partner,
        )  # fmt: skip
        await one.open()
        try:
            return await journey(one, finished)
        finally:
            await one.close(1)

    return asyncio.run(live())


def test_for_a_quick_partner_more_is_made_ready_than_for_one_that_is_slow() -> None:
    async def journey(one: Lane, finished: list[Attempt]) -> list[int]:
        found = [one.room()]
        one.offer([outgoing(n) for n in range(200)])
        await until(lambda: len(finished) == 200)
        found.append(one.room())
        await asyncio.sleep(0.05)
        return [*found, one.room()]

    begun, quick, slow = lived(journey)
    assert (begun, slow) == (8, 8), "as many as may be under way wait ready"
    assert quick == 4 + 4 * 16, "at most sixteen for each"


def test_no_more_is_fetched_while_a_quarter_is_left() -> None:
    async def journey(one: Lane, finished: list[Attempt]) -> list[bool]:
        one.room()
        one.offer([outgoing(n) for n in range(200)])
        await until(lambda: len(finished) == 200)
        assert one.room() == 68
        found = []
        for n in (4 + 16, 1):  # four go out at once; a quarter of 64 stays, and then one more
            one.offer([outgoing(1000 + n + k) for k in range(n)])
            found.append(one.is_busy)
        return found

    assert lived(journey) == [False, True]


def test_a_mistake_is_said_and_nothing_more_goes_out() -> None:
    async def journey(one: Lane, finished: list[Attempt]) -> tuple[Exception | None, list[str]]:
        one._clock = cast("Any", SimpleNamespace(now_ms=None))
        one.offer([outgoing(1), outgoing(2)])
        await until(lambda: not one.under_way)
        assert finished == []
        return one.mistake, list(one.take_back())

    mistake, left = lived(journey, concurrency=1)
    assert isinstance(mistake, TypeError)
    assert left == ["dl-2"]


def test_what_is_cut_at_the_end_was_not_sent() -> None:
    async def journey(one: Lane, _: list[Attempt]) -> set[str]:
        cast("Any", one._deliverer).takes_s = 30
        one.offer([outgoing(n) for n in range(6)])
        await asyncio.sleep(0.01)
        return set(await one.close(0.01))

    assert lived(journey) == {f"dl-{n}" for n in range(6)}


def test_who_withdraws_while_a_request_waits_ready_is_heeded(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "STALE_S", 0.1)
    a_minute = lambda one, now_s: setattr(one, "_free_at_s", now_s + 60)  # noqa: E731
    monkeypatch.setattr(
        Gate, "_keep_pace", a_minute
    )  # the slowest rate is too quick for a busy machine
    house = PostHouse(postback(receiver.url, per_second=1))
    house.decide(install("first"), install("d1"))
    house.begin()
    house.until(lambda: len(receiver.heard) == 1)
    say_consent(house, sharing=False)
    house.until(lambda: house.states()[1][1] == "gave_up")
    house.end()
    assert "does not share" in str(house.states()[1][2])
    assert len(receiver.heard) == 1


@pytest.mark.parametrize(
    ("lanes", "least_s", "most_s"),
    [([], 0.01, 0.04), ([(True, True)], 0.05, 0.5), ([(True, True), (True, False)], 0.01, 0.04)],
)
def test_answers_are_gathered_for_longer_while_all_have_enough_to_send(
    lanes: list[tuple[bool, bool]], least_s: float, most_s: float
) -> None:
    async def journey() -> float:
        one = Dispatcher(*cast("Any", [None] * 4), wait_s=5, drain_s=1)
        one._lanes = {
            PostbackId(str(n)): cast(
                "Lane",
                SimpleNamespace(under_way=int(is_sending), is_busy=is_busy),
            )
            for n, (is_sending, is_busy) in enumerate(lanes)
        }
        one._wake.set()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await one._pause()
        assert not one._wake.is_set()
        return loop.time() - begun

    assert dispatch._GATHER_S_MAX == 0.05
    took = min(asyncio.run(journey()) for _ in range(5))
    assert least_s * 0.9 <= took < most_s


def test_who_was_given_something_longest_ago_is_served_first() -> None:
    async def journey() -> list[float]:
        one = Dispatcher(*cast("Any", [None] * 4), wait_s=5, drain_s=1)
        one._lanes = {
            PostbackId(str(n)): cast("Lane", SimpleNamespace(offered_s=n)) for n in (3, 0, 2)
        }
        served: list[float] = []

        async def refresh() -> None:
            return

        async def serve(lane: Lane, *_: Any) -> None:
            served.append(lane.offered_s)

        for name, part in (("_read", lambda came: None), ("_refresh", refresh), ("_serve", serve)):
            setattr(one, name, part)
        await one._turn(asyncio.get_running_loop(), cast("Any", None))
        return served

    assert asyncio.run(journey()) == [0, 2, 3]


class Ready:
    """A lane that has something to send, and whose requests never end."""

    def __init__(self, gate: Gate, ready: int, under_way: int = 0) -> None:
        self.ready, self.under_way = ready, under_way
        gate.enter(self)

    def may_send(self, now_ms: int) -> bool:
        return self.ready > 0

    def send(self) -> None:
        self.ready, self.under_way = self.ready - 1, self.under_way + 1

    def partner_is_back(self, partner: Any) -> None:
        raise AssertionError


def test_who_has_the_fewest_requests_under_way_is_next_and_else_each_in_turn() -> None:
    async def journey() -> list[int]:
        gate = Gate()
        lanes = [Ready(gate, 9, 3), Ready(gate, 1), Ready(gate, 9, 1)]
        gate.push()
        return [lane.under_way for lane in lanes]

    assert asyncio.run(journey()) == [6, 1, 5], "eight went out"


def test_what_the_rate_holds_back_goes_out_by_itself_when_it_may() -> None:
    async def journey() -> tuple[int, int]:
        gate = Gate()
        gate.hear(postback("http://acme.example/", concurrency=64, per_second=50))
        one = Ready(gate, 9)
        gate.push()
        at_once = one.under_way
        await asyncio.sleep(1)
        return at_once, one.under_way

    assert asyncio.run(journey()) == (1, 9)


def test_a_request_that_is_late_makes_the_next_no_later() -> None:
    gate = Gate()
    gate.hear(postback("http://acme.example/", per_second=100))
    free = []
    for now_s in (10.0, 10.0, 10.015, 20.0):
        gate._keep_pace(now_s)
        free.append(round(gate._free_at_s, 3))
    assert free == [10.0, 10.01, 10.02, 20.0], "after a rest one more than the rate, and no heap"


def test_where_the_partner_is_back_each_postback_begins_anew() -> None:
    async def journey() -> list[bool]:
        gate, held = Gate(), []
        addresses = ("http://acme.example/a", "http://acme.example/b", "http://other.example/")
        lanes = [
            Lane(
                spoken(postback(url), cast("Any", None)), lambda _: None, gate, None,
                clock=MemoryClock(), chance=SystemChance(), deliverer=Partner,
            )
            for url in addresses
        ]  # fmt: skip
        for one in lanes:
            gate.enter(one)
            for _ in range(5):
                one._learn(Presence.ABSENT)
            held.append(one.is_held)
        lanes[0]._learn(Presence.THERE)
        return [*held, *(one.is_held for one in lanes)]

    assert asyncio.run(journey()) == [True, True, True, False, False, True]
