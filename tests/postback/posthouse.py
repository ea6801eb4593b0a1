"""A postbacker over memory engines that tells real receivers on loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from aiohttp import web

from attribune.collect.links import read_touch
from attribune.engines.memory import (
    MemoryChance,
    MemoryClock,
    MemoryJournal,
    MemoryOutbox,
    MemoryVault,
)
from attribune.model.activity import Platform
from attribune.model.codec import Record, decode, encode
from attribune.model.control import App, Change, ControlRecord, Partner, PartnerKind, Postback
from attribune.model.delivery import Delivery, Logged, LogQuestion, Trigger
from attribune.model.ids import (
    AppId,
    ConversionId,
    DeviceId,
    LinkId,
    PartnerId,
    PolicyVersion,
    Position,
    PostbackId,
    ProductId,
    RecordId,
    TouchId,
)
from attribune.model.outcome import (
    Attribution,
    Cause,
    ConversionKind,
    Credit,
    CreditedEvent,
    Source,
)
from attribune.model.policy import MatchMethod
from attribune.model.position import Topic
from attribune.model.touch import TouchKind
from attribune.postback.deliver import Deliverer, MakeDeliverer
from attribune.postback.folders import find_shipped
from attribune.registry.view import Registry
from attribune.roles.postbacker import PostbackerRole, World
from attribune.settings import Settings

NOW_MS = MemoryClock().now_ms()
ALL = tuple(Trigger)
PATIENCE_S = 10.0
#: What a receiver is told with, unless a test says otherwise.
QUERY = "?c={partner_click_id}&t={trigger}&e={event_name}&id={delivery_id}"


def credit(partner: str = "acme", touch: str = "t1", **words: Any) -> Credit:
    given = {"method": MatchMethod.REFERRER, "partner_click_id": f"{partner}-click"}
    return Credit(
        touch=TouchId(touch),
        partner=PartnerId(partner),
        kind=TouchKind.CLICK,
        touch_at_ms=1000,
        link=LinkId("l1"),
        **(given | words),
    )


def _of(device: str, record: str) -> dict[str, Any]:
    return {
        "product": ProductId("game"),
        "position": Position(0),
        "about": Position(0),
        "judged_at_ms": NOW_MS,
        "app": AppId("game-android"),
        "platform": Platform.ANDROID,
        "device": DeviceId(device),
        "record": RecordId(record),
        "at_ms": NOW_MS - 5,
    }


def install(device: str = "d1", **words: Any) -> Attribution:
    given = {
        "conversion": ConversionId(f"cv-{device}"),
        "kind": ConversionKind.INSTALL,
        "source": Source.ATTRIBUTED,
        "credit": credit(),
        "policy": PolicyVersion("attribune@0"),
        "as_of": Position(0),
    }
    return Attribution(**(_of(device, f"open-{device}") | given | words))


_WHY = Cause(kind="person", position=Position(9), reason="a mistake")
#: An install of acme's is nobody's any more.
TAKEN = {"credit": None, "source": Source.ORGANIC, "previous": credit(), "cause": _WHY}


def event(record: str = "e1", device: str = "d1", **words: Any) -> CreditedEvent:
    given = {
        "name": "buy",
        "source": Source.ATTRIBUTED,
        "conversion": ConversionId(f"cv-{device}"),
        "credit": credit(),
    }
    return CreditedEvent(**(_of(device, record) | given | words))


def postback(url: str = "", **words: Any) -> Postback:
    given = {
        "id": PostbackId("acme-1"),
        "partner": PartnerId("acme"),
        "template": "generic-get",
        "data": find_shipped(words.get("template", "generic-get")).text,
        "triggers": ALL,
        "settings": {"url": url} if url else {},
        "allowed_hosts": ("127.0.0.1",),
    }
    return Postback(**(given | words))


class Heard(NamedTuple):
    """What a receiver was asked."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: str


Answers = Callable[[Heard], Awaitable[web.StreamResponse]]


async def fine(_: Heard) -> web.StreamResponse:
    return web.Response(text="ok")


async def later(_: Heard) -> web.StreamResponse:
    return web.Response(status=503, text="not now")


class Receiver:
    """A server on loopback in a thread of its own, whose answers may be changed while it runs."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.answer: Answers = fine
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self.port = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/pb"

    def ids(self) -> list[str]:
        """Delivery ids in the order that they came."""
        return [one.headers["attribune-delivery"] for one in self.heard]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._hear)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _hear(self, request: web.Request) -> web.StreamResponse:
        body = (await request.read()).decode()
        found = Heard(request.method, request.path, dict(request.query), request.headers, body)
        self.heard.append(found)
        return await self.answer(found)


class PostHouse:
    """A journal that tests write outcomes to, and a postbacker that reads it. ``life`` begins it anew on the same journal."""

    def __init__(
        self, *settings_of: Postback, deliverer: MakeDeliverer = Deliverer, **settings: Any
    ) -> None:
        self._deliverer = deliverer
        self.journal = MemoryJournal()
        self.clock = MemoryClock()
        self.vault = MemoryVault()
        self.settings = Settings(postback_wait_ms=5, **settings)
        self.outbox = MemoryOutbox()
        self.role = self._role()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.failed: BaseException | None = None
        self.say(
            Partner(id=PartnerId("acme"), name="acme", kind=PartnerKind.AFFILIATE),
            App(
                id=AppId("game-android"),
                product=ProductId("game"),
                name="game",
                platform=Platform.ANDROID,
                store_id="com.example.game",
            ),
            *settings_of,
        )

    def _role(self) -> PostbackerRole:
        world = World(
            journal=self.journal,
            registry=Registry(),
            outbox=self.outbox,
            vault=self.vault,
            read_touch=read_touch,
            clock=self.clock,
            chance=MemoryChance(),
            deliverer=self._deliverer,
        )
        return PostbackerRole(world, self.settings)

    def say(self, *records: ControlRecord) -> None:
        """People change something."""
        changes = [Change(at_ms=self.clock.now_ms(), record=record) for record in records]
        self.journal.append([(Topic.CONTROL, encode(change)) for change in changes])

    def append(self, topic: Topic, *records: Record) -> list[Position]:
        return list(self.journal.append([(topic, encode(record)) for record in records]))

    def decide(self, *outcomes: Record) -> list[Position]:
        """The attributor decides."""
        return self.append(Topic.OUTCOMES, *outcomes)

    def fold(self) -> None:
        """Read to the end, and tell nobody."""
        while self.role.step():
            pass

    def begin(self) -> None:
        """Tell partners, in a thread."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.role.run(self._stop)
        except BaseException as fault:  # noqa: BLE001 - the test's thread says it
            self.failed = fault

    def end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)
            assert not self._thread.is_alive(), "it does not stop"
        self._thread = None

    def life(self, *, outbox: bool) -> None:
        """Die and begin anew, with the outbox or without it."""
        self.end()
        if not outbox:
            self.outbox = MemoryOutbox()
        self.role = self._role()

    def until(self, what: Callable[[], object]) -> None:
        """Wait until something is so."""
        waits = threading.Event()
        for _ in range(round(PATIENCE_S / 0.005)):
            if self.failed is not None:
                raise self.failed
            if what():
                return
            waits.wait(0.005)
        raise AssertionError(f"it never came to that: {self.states()}")

    def log(self) -> list[Logged]:
        """Oldest first."""
        return self.outbox.log(LogQuestion(rows_max=100_000))[::-1]

    def states(self) -> list[tuple[str, str, str | None]]:
        """(trigger, state, reason) of each delivery, oldest first."""
        rows = (one.row for one in self.log())
        return [(row.planned.trigger.value, row.state.value, row.reason) for row in rows]

    def came(self) -> list[Delivery]:
        """What stands in topic ``deliveries``."""
        entries = self.journal.read((Topic.DELIVERIES,), Position(0), 1_000_000)
        return [decode(entry) for entry in entries]  # type: ignore[misc]  # of this topic


def patiently(house: PostHouse, step_ms: int = 20_000) -> None:
    """Time passes until nothing waits."""

    def nothing_waits() -> bool:
        house.clock.advance(step_ms)
        return bool(house.log()) and not any(state == "waiting" for _, state, _ in house.states())

    house.until(nothing_waits)


def all_delivered(house: PostHouse, count: int = 1) -> Any:
    return lambda: [state for _, state, _ in house.states()] == ["delivered"] * count
