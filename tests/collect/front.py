"""A front door on a real socket, with a journal in memory, for the tests of this folder."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple

from attribune.collect.means import Ways
from attribune.engines.memory import MemoryAnswers, MemoryJournal, MemoryVault
from attribune.engines.system import SystemChance, SystemClock
from attribune.model.activity import Platform
from attribune.model.codec import decode, encode
from attribune.model.control import (
    App,
    Change,
    Door,
    Key,
    KeyKind,
    Link,
    Partner,
    PartnerKind,
    Product,
)
from attribune.model.ids import (
    AppId,
    DoorId,
    KeyId,
    LinkId,
    PartnerId,
    ProductId,
)
from attribune.model.position import Topic
from attribune.registry.targets import resolve
from attribune.registry.view import Registry
from attribune.roles.collector import CollectorRole
from attribune.settings import Settings

APP_KEY, SERVER_KEY, SIGNED_KEY = "ak_game_12345678", "sk_game_12345678", "ak_signed_12345678"
OTHER_KEY, OLD_KEY, API_KEY = "ak_other_12345678", "ak_old_12345678", "api_12345678"
WRITE_KEY, SECRET = "wk_test", "shhh"
ORIGIN = "https://shop.example"
GAME, OTHER = ProductId("game"), ProductId("other")
PLAY = "https://play.google.com/store/apps/details?id=com.example.game"

ANDROID = "Mozilla/5.0 (Linux; Android 15; Pixel 8) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Version/26.0 Mobile/15E148 Safari/604.1"
DESKTOP = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def _key(name: str, secret: str, kind: KeyKind, app: str | None, **more: Any) -> Key:
    return Key(
        id=KeyId(name),
        kind=kind,
        sha256=sha256(secret.encode()).hexdigest(),
        app=AppId(app) if app else None,
        **more,
    )


def _link(name: str, **more: Any) -> Link:
    return Link(id=LinkId(name), product=GAME, partner=PartnerId("acme"), **more)


RECORDS = (
    Product(id=GAME, name="Game", currency="EUR"),
    Product(id=OTHER, name="Other"),
    App(
        id=AppId("game-android"),
        product=GAME,
        name="Game",
        platform=Platform.ANDROID,
        store_id="com.example.game",
        sha256_cert_fingerprints=("AA:BB",),
    ),
    App(
        id=AppId("game-ios"),
        product=GAME,
        name="Game",
        platform=Platform.IOS,
        store_id="1234567890",
        apple_team_id="TEAM123456.com.example.game",
        signing_secret=SECRET,
    ),
    App(
        id=AppId("game-web"),
        product=GAME,
        name="Game",
        platform=Platform.WEB,
        store_id="https://game.example/",
        origins=(ORIGIN,),
    ),
    App(
        id=AppId("other-android"),
        product=OTHER,
        name="Other",
        platform=Platform.ANDROID,
        store_id="com.example.other",
    ),
    Partner(id=PartnerId("acme"), name="Acme Ads", kind=PartnerKind.AFFILIATE),
    _link("plain", campaign="spring"),
    _link("off", is_disabled=True),
    _link("pinned", allowed_hosts=("shop.example", "sub.shop.example:8443")),
    _link("trusted", allowed_networks=("127.0.0.0/8",)),
    _link("web-only", targets={"other": "https://land.example/p?a=1#part"}),
    Product(id=ProductId("appless"), name="Appless"),
    Link(id=LinkId("bare"), product=ProductId("appless"), partner=PartnerId("acme")),
    Link(id=LinkId("foreign"), product=OTHER, partner=PartnerId("acme")),
    _key("k-app", APP_KEY, KeyKind.APP, "game-android"),
    _key("k-signed", SIGNED_KEY, KeyKind.APP, "game-ios"),
    _key("k-server", SERVER_KEY, KeyKind.SERVER, "game-android"),
    _key("k-other", OTHER_KEY, KeyKind.APP, "other-android"),
    _key("k-old", OLD_KEY, KeyKind.APP, "game-android", ends_at_ms=1),
    _key("k-api", API_KEY, KeyKind.API, None),
    Door(
        id=DoorId("seg"),
        app=AppId("game-android"),
        dialect="segment",
        sha256=sha256(WRITE_KEY.encode()).hexdigest(),
    ),
    Door(
        id=DoorId("seg-off"),
        app=AppId("game-android"),
        dialect="segment",
        sha256=sha256(WRITE_KEY.encode()).hexdigest(),
        is_disabled=True,
    ),
)


def registry(*more: Any) -> Registry:
    """Everything above, and more."""
    made = Registry()
    for position, record in enumerate((*RECORDS, *more), 1):
        made.apply(position, Change(at_ms=0, record=record))
    return made


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Front:
    """The running door, and what came through it."""

    def __init__(
        self, journal: MemoryJournal, answers: MemoryAnswers, port: int, role: Any
    ) -> None:
        self.journal = journal
        self.answers = answers
        self.port = port
        self.role = role

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: Any = None, headers: Any = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            read = answer.read()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, read)
        finally:
            connection.close()

    def get(self, path: str, agent: str = ANDROID, **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("GET", path, None, {"User-Agent": agent, **named})

    def post(self, path: str, said: Any, key: str | None = APP_KEY, **headers: str) -> Reply:
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", path, body, {**(bearer(key) if key else {}), **named})

    def batch(self, *records: Any, key: str = APP_KEY, **more: Any) -> list[dict[str, Any]]:
        answer = self.post("/v1/batch", {"records": list(records), **more}, key)
        assert answer.status == 200, answer
        results: list[dict[str, Any]] = answer.json["results"]
        return results

    def raw(self, sent: bytes, wait_s: float = 5, *, close: bool = False) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait_s) as link:
            link.sendall(sent)
            if close:
                return b""
            return link.recv(65536)

    def kept(self, topic: Topic) -> list[Any]:
        """What stands in the journal, decoded."""
        return [decode(entry) for entry in self.journal.read((topic,), 0, 1_000_000)]

    def since(self, topic: Topic, before: int) -> list[Any]:
        return [decode(entry) for entry in self.journal.read((topic,), before, 1_000_000)]

    def end(self) -> int:
        return self.journal.end()


@contextmanager
def front(*more: Any, journal: MemoryJournal | None = None, **settings: Any):
    """A collector on a port of its own, while the block runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    journal, answers = journal or MemoryJournal(), MemoryAnswers()
    journal.append(
        [(Topic.CONTROL, encode(Change(at_ms=0, record=record))) for record in (*RECORDS, *more)]
    )
    chosen = Settings(port=port, **{"control_wait_ms": 20, "drain_ms": 2000, **settings})
    role = CollectorRole(
        "collector-1",
        journal,
        Registry(),
        answers,
        SystemClock(),
        SystemChance(),
        chosen,
        Ways(resolve, MemoryVault().unseal, f"http://127.0.0.1:{port}"),
    )
    stop = threading.Event()
    thread = threading.Thread(target=role.run, args=(stop,))
    thread.start()
    try:
        _wait_until_open(port)
        yield Front(journal, answers, port, role)
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def _wait_until_open(port: int) -> None:
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("the door did not open")
