"""Who sends while a house burns: partners' servers that repeat what was not answered, and people who click once."""

from __future__ import annotations

import http.client
import json
import threading
import time
from abc import ABC, abstractmethod
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from house import RunningHouse

from attribune.collect.targets import CLICK_PARAMETER

BROWSER = {"user-agent": "Mozilla/5.0 (Linux; Android 15; Pixel 8) Chrome/140.0.0.0 Mobile"}
#: What may come between a request and its answer when the process that answers is killed.
LOST = (OSError, http.client.HTTPException)
_PAUSE_S = 0.05


class Addresses(NamedTuple):
    """Where senders of one house send, and as whom."""

    host: str
    key: str
    link: str
    click_path: str


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def addresses(house: RunningHouse) -> Addresses:
    """Make an app, a partner, a link and a server key, and say where they are."""
    house.cli(
        "app", "add", "--name", "Game", "--platform", "android", "--store-id", "com.example.g"
    )
    house.cli("partner", "add", "--name", "acme")
    link = house.cli("link", "add", "--app", "Game", "--partner", "acme")["link"]
    key = house.cli("key", "add", "--app", "Game", "--kind", "server")["key"]["secret"]
    return Addresses(
        urlsplit(house.collector_url).netloc, key, link["id"], urlsplit(link["click_url"]).path
    )


def ask(
    host: str,
    method: str,
    path: str,
    body: str | None = None,
    headers: dict[str, str] | None = None,
    timeout: float = 5,
) -> Answer:
    """One request on a connection of its own. Raises one of LOST when no answer comes."""
    connection = http.client.HTTPConnection(host, timeout=timeout)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, answer.read())
    finally:
        connection.close()


class Sender(threading.Thread, ABC):
    """Sends one thing after another until told to stop; a subclass says what one thing is.

    ``count`` things were sent, ``lost`` counts requests that got no answer, ``refusals`` holds the statuses that said to come again.
    """

    def __init__(self, name: str, at: Addresses, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.at = at
        self.count = 0
        self.lost = 0
        self.refusals: list[int] = []
        self._done = stop

    def run(self) -> None:
        while not self._done.is_set():
            self.one(f"{self.name}-{self.count}")
            self.count += 1
            time.sleep(0.01)

    @abstractmethod
    def one(self, name: str) -> None:
        """Send one thing, named so that no two are alike."""


class Server(Sender):
    """A server that sends a click, an open and an event in a batch, with the same ids until each is accepted."""

    def one(self, name: str) -> None:
        body = json.dumps({"records": records(name, self.at.link)})
        while not self._accepted(body):
            time.sleep(_PAUSE_S)

    def _accepted(self, body: str) -> bool:
        headers = {"authorization": f"Bearer {self.at.key}"}
        try:
            answer = ask(self.at.host, "POST", "/v1/batch", body, headers)
        except LOST:
            self.lost += 1
            return False
        if answer.status != 200:
            self.refusals.append(answer.status)
            return False
        said = {result["status"] for result in json.loads(answer.body)["results"]}
        assert said == {"accepted"}, said
        return True


class Person(Sender):
    """People who click. ``answered`` holds the id of each click that was sent on with one."""

    def __init__(self, name: str, at: Addresses, stop: threading.Event) -> None:
        super().__init__(name, at, stop)
        self.answered: list[str] = []
        self.without_id = 0

    def one(self, name: str) -> None:
        try:
            answer = ask(self.at.host, "GET", f"{self.at.click_path}?sub1={name}", None, BROWSER)
        except LOST:
            self.lost += 1
            return
        assert answer.status == 302, answer
        click = click_id(answer.headers["location"])
        if click is None:
            self.without_id += 1
        else:
            self.answered.append(click)


def records(name: str, link: str) -> list[dict[str, Any]]:
    """A click, an open and an event of one device, with ids made of a name."""
    device = {"id": f"d-{name}", "platform": "android"}
    return [
        {"type": "click", "id": f"c-{name}", "link": link},
        {"type": "open", "id": f"o-{name}", "device": device},
        {"type": "event", "id": f"e-{name}", "device": device, "name": "buy"},
    ]


def is_ready(house: RunningHouse) -> bool:
    """Whether every role works again."""
    try:
        return ask(house.web_url.rpartition("/")[2], "GET", "/readyz").status == 200
    except LOST:
        return False


def click_id(location: str) -> str | None:
    """The touch id that a store's address carries in its referrer; None when the click could not be kept."""
    referrer = parse_qs(urlsplit(location).query).get("referrer", [""])[0]
    return parse_qs(referrer).get(CLICK_PARAMETER, [None])[0]
