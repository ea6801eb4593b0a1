"""`tell`: postbacks rendered, delivered to a receiver on loopback, and told beside a partner that is dead.

Run by itself it is one of its processes: the receiver, a postbacker over a folder, or the bare client beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from harness import BENCH, LOAD_CORE, Plan, Result, compared, on_core, say, worker

from attribune.collect.links import read_touch
from attribune.engines.file_vault import FileVault
from attribune.engines.lmdb_journal import LmdbJournal
from attribune.engines.sql_outbox import SqlOutbox
from attribune.engines.system import SystemChance, SystemClock
from attribune.model.activity import Platform
from attribune.model.codec import encode
from attribune.model.control import Change, Postback
from attribune.model.delivery import DeliveryState, LogQuestion, Trigger
from attribune.model.ids import (
    AppId,
    ConversionId,
    DeviceId,
    PartnerId,
    PolicyVersion,
    Position,
    PostbackId,
    ProductId,
    RecordId,
    TouchId,
)
from attribune.model.outcome import Attribution, ConversionKind, Credit, Source
from attribune.model.policy import MatchMethod
from attribune.model.position import Topic
from attribune.model.touch import TouchKind
from attribune.postback.folders import find_shipped
from attribune.postback.plan import Looked, tellings
from attribune.postback.render import Prepared, Request
from attribune.registry.view import Registry
from attribune.roles.postbacker import PostbackerRole, World
from attribune.settings import Settings

CONCURRENCY = 64
QUERY = "/pb?cid={partner_click_id}&ev={event_name}&at={at|iso}&c={campaign}&id={delivery_id}"
#: How many wait for the dead partner, and how many the other one is told one by one.
DEAD, SINGLE = 100_000, 60
DELAY_RATIO_MAX = 1.25
#: Rounds of delivering for each run: one takes two seconds, and the two sides of it differ by a fifth from round to round.
ROUNDS = 3
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def measure(plan: Plan) -> list[Result]:
    """Rendering, delivering, and the delay beside a dead partner."""
    rendered = [worker("tell.py", "render")["per_s"] for _ in range(plan.runs)]
    say("render", f"{statistics.median(rendered):,.0f} postbacks/s")
    ours, yard = [], []
    with receiver() as port:
        for _ in range(ROUNDS * plan.runs):
            ours.append(worker("tell.py", "ours", port, plan.opens)["per_s"])
            yard.append(worker("tell.py", "bare", port, plan.opens)["per_s"])
            say("deliver", f"{ours[-1]:,.0f}/s, bare client {yard[-1]:,.0f}/s")
        delays = worker("tell.py", "dead", port, DEAD if plan.runs > 3 else DEAD // 10)
    say("dead_partner", f"{delays['with_ms']:.1f} ms, alone {delays['alone_ms']:.1f} ms")
    return [
        Result(
            name="render",
            value=round(statistics.median(rendered)),
            unit="postbacks/s",
            goal_in_words="none",
            met=True,
            runs=len(rendered),
        ),
        compared("deliver", "postbacks/s", ours, yard, at_least=0.5),
        Result(
            name="dead_partner",
            value=round(delays["with_ms"], 2),
            unit="ms",
            yardstick=round(delays["alone_ms"], 2),
            ratio=round(delays["with_ms"] / delays["alone_ms"], 3),
            goal=DELAY_RATIO_MAX,
            goal_in_words=f"≤ {DELAY_RATIO_MAX}",
            met=delays["with_ms"] <= DELAY_RATIO_MAX * delays["alone_ms"],
            runs=SINGLE,
            details={"waiting": delays["waiting"]},
        ),
    ]


@contextmanager
def receiver() -> Iterator[int]:
    """A server on the load's core that answers 200 to everything, as fast as it can."""
    command = on_core(LOAD_CORE, [sys.executable, BENCH / "tell.py", "receiver"])
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class _Taker(asyncio.Protocol):
    """Answers each request that has come in whole; requests here have no body."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(_ANSWER * data.count(b"\r\n\r\n"))


async def _receive() -> None:
    server = await asyncio.get_running_loop().create_server(_Taker, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# --- the house


def outcome(n: int, partner: str) -> Attribution:
    """An install that a partner brought."""
    now_ms = SystemClock().now_ms()
    credit = Credit(
        touch=TouchId(f"t-{n}"),
        partner=PartnerId(partner),
        kind=TouchKind.CLICK,
        method=MatchMethod.REFERRER,
        touch_at_ms=now_ms - 60_000,
        partner_click_id=f"click-{n}",
        campaign="spring & summer",
    )
    return Attribution(
        product=ProductId("game"),
        position=Position(0),
        about=Position(0),
        judged_at_ms=now_ms,
        app=AppId("game-android"),
        platform=Platform.ANDROID,
        device=DeviceId(f"{partner}-{n}"),
        record=RecordId(f"{partner}-{n}"),
        at_ms=now_ms,
        conversion=ConversionId(f"cv-{partner}-{n}"),
        kind=ConversionKind.INSTALL,
        source=Source.ATTRIBUTED,
        credit=credit,
        policy=PolicyVersion("attribune@0"),
        as_of=Position(0),
    )


def postback(partner: str, port: int) -> Postback:
    """What a partner on loopback is told."""
    return Postback(
        id=PostbackId(partner),
        partner=PartnerId(partner),
        template="generic-get",
        data=find_shipped("generic-get").text,
        triggers=(Trigger.INSTALL,),
        settings={"url": f"http://127.0.0.1:{port}{QUERY}"},
        allowed_hosts=("127.0.0.1",),
        concurrency=CONCURRENCY,
    )


class PostHouse:
    """A postbacker over real engines in a folder that is gone afterwards."""

    def __init__(self, *postbacks: Postback) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tell-", dir=BENCH))
        clock = SystemClock()
        self.journal = LmdbJournal(
            self.folder / "journal", segment_bytes_max=4 << 30, segment_ms=86_400_000, clock=clock
        )
        self.outbox = SqlOutbox(self.folder / "outbox.db")
        world = World(
            journal=self.journal,
            registry=Registry(),
            outbox=self.outbox,
            vault=FileVault(self.folder / "secrets.key"),
            read_touch=read_touch,
            clock=clock,
            chance=SystemChance(),
        )
        self.role = PostbackerRole(world, Settings())
        changes = [Change(at_ms=clock.now_ms(), record=one) for one in postbacks]
        self.journal.append([(Topic.CONTROL, encode(change)) for change in changes])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.role.run, args=(self._stop,))

    def decide(self, partner: str, numbers: range) -> None:
        """Append installs that a partner brought."""
        for start in range(numbers.start, numbers.stop, 1000):
            some = range(start, min(start + 1000, numbers.stop))
            self.journal.append([(Topic.OUTCOMES, encode(outcome(n, partner))) for n in some])

    def begin(self) -> None:
        """Tell partners."""
        self._thread.start()

    def delivered(self, partner: str) -> int:
        """How many of a partner's were told."""
        return self.outbox.counts().get(PostbackId(partner), {}).get(DeliveryState.DELIVERED, 0)

    def journaled(self) -> int:
        """How many were told, as the role itself counts: asking the outbox costs it as much as many deliveries."""
        return int(self.role.state().get("counters", {}).get("delivered", 0))

    def close(self) -> None:
        """Stop, and remove everything."""
        self._stop.set()
        self._thread.join()
        self.outbox.close()
        self.journal.close()
        shutil.rmtree(self.folder, ignore_errors=True)


# --- what is measured, each in a process of its own


def render() -> dict[str, float]:
    """Postbacks rendered a second: from an outcome to a request."""
    settings = {"url": f"https://partner.example{QUERY}"}
    prepared = Prepared(find_shipped("generic-get").data, settings)
    outcomes = [outcome(n, "acme") for n in range(2000)]
    begun = time.perf_counter()
    rounds = 10
    for _ in range(rounds):
        for one in outcomes:
            (told,) = tellings(one, Looked())
            made = prepared.request(told.trigger, {**told.values, "delivery_id": "dl_1"})
            assert isinstance(made, Request)
    return {"per_s": rounds * len(outcomes) / (time.perf_counter() - begun)}


def ours(port: int, count: int) -> dict[str, float]:
    """Delivered a second: planned, rendered, sent, journaled, folded."""
    house = PostHouse(postback("acme", port))
    house.decide("acme", range(count))
    begun = time.perf_counter()
    house.begin()
    while house.journaled() < count:
        time.sleep(0.02)
    while house.delivered("acme") < count:
        time.sleep(0.005)
    took = time.perf_counter() - begun
    house.close()
    return {"per_s": count / took}


def bare(port: int, count: int) -> dict[str, float]:
    """The same requests by a bare client loop."""
    urls = [
        f"http://127.0.0.1:{port}/pb?cid=click-{n}&ev=install&at=2026-03-01T12%3A00%3A00Z"
        f"&c=spring%20%26%20summer&id=dl_{n:024x}"
        for n in range(count)
    ]

    async def run() -> float:
        waiting = iter(urls)
        async with aiohttp.ClientSession() as session:

            async def one() -> None:
                for url in waiting:
                    async with session.get(url) as answer:
                        assert answer.status == 200
                        await answer.read()

            begun = time.perf_counter()
            await asyncio.gather(*(one() for _ in range(CONCURRENCY)))
            return time.perf_counter() - begun

    return {"per_s": count / asyncio.run(run())}


def dead(port: int, waiting: int) -> dict[str, float]:
    """Delay of single postbacks beside nobody, and beside a dead partner for whom many wait. Milliseconds."""
    alone = _delays(port, 0)
    beside = _delays(port, waiting)
    return {"alone_ms": alone, "with_ms": beside, "waiting": waiting}


def _delays(port: int, waiting: int) -> float:
    house = PostHouse(postback("acme", port), postback("dead", 1))
    house.decide("dead", range(waiting))
    while house.role.step():
        pass
    house.begin()
    time.sleep(3)  # until its breaker is open
    delays = []
    for n in range(SINGLE):
        begun_ms = time.time() * 1000
        house.decide("acme", range(n, n + 1))
        while house.delivered("acme") <= n:
            time.sleep(0.002)
        (newest,) = house.outbox.log(LogQuestion(partner=PartnerId("acme"), rows_max=1))
        delays.append(newest.attempts[-1].at_ms - begun_ms)
        time.sleep(0.03)
    house.close()
    return statistics.median(delays)


def main() -> None:
    """One of the processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["receiver", "render", "ours", "bare", "dead"])
    parser.add_argument("port", type=int, nargs="?", default=0)
    parser.add_argument("count", type=int, nargs="?", default=0)
    given = parser.parse_args()
    if given.what == "receiver":
        asyncio.run(_receive())
    elif given.what == "render":
        print(json.dumps(render()))
    else:
        print(json.dumps(globals()[given.what](given.port, given.count)))


if __name__ == "__main__":
    main()
