"""A running house under attack: roles killed under load, bodies that break readers, keys that have ended."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import threading
import time
from urllib.parse import urlsplit

import pytest
from house import RunningHouse, wait_for
from house import http as ask

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

ANDROID = "Mozilla/5.0 (Linux; Android 15; Pixel 8) Chrome/140.0.0.0 Mobile"
KILLS = 4


class Sender(threading.Thread):
    """Sends batches and repeats each, with the same ids, until it is accepted."""

    def __init__(self, name: str, url: str, key: str, link: str, stop: threading.Event) -> None:
        super().__init__(name=name)
        self._at = urlsplit(url).netloc
        self._key = key
        self._link = link
        self._done = stop
        self.batches = 0
        self.unanswered = 0

    def run(self) -> None:
        while not self._done.is_set():
            name = f"{self.name}-{self.batches}"
            device = {"id": f"d-{name}", "platform": "android"}
            records = [
                {"type": "click", "id": f"c-{name}", "link": self._link},
                {"type": "open", "id": f"o-{name}", "device": device},
                {"type": "event", "id": f"e-{name}", "device": device, "name": "buy"},
            ]
            body = json.dumps({"records": records})
            while not self._accepted(body):
                self.unanswered += 1
                time.sleep(0.05)
            self.batches += 1
            time.sleep(0.01)

    def _accepted(self, body: str) -> bool:
        connection = http.client.HTTPConnection(self._at, timeout=5)
        try:
            connection.request("POST", "/v1/batch", body, {"Authorization": f"Bearer {self._key}"})
            answer = connection.getresponse()
            said = json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return answer.status == 200 and {r["status"] for r in said["results"]} == {"accepted"}


def test_whatever_is_killed_under_load_all_that_was_accepted_counts_once(tmp_path) -> None:
    chance = random.Random(11)
    with RunningHouse(tmp_path / "data", collectors=2) as house:
        house.cli(
            "app", "add", "--name", "Game", "--platform", "android", "--store-id", "com.example.g"
        )
        house.cli("partner", "add", "--name", "acme")
        link = house.cli("link", "add", "--app", "Game", "--partner", "acme")["link"]["id"]
        key = house.cli("key", "add", "--app", "Game", "--kind", "server")["key"]["secret"]
        stop = threading.Event()
        senders = [Sender(f"s{n}", house.collector_url, key, link, stop) for n in range(2)]
        for sender in senders:
            sender.start()
        try:
            for n in range(KILLS):
                role, pid = chance.choice(sorted(house.pids().items()))
                os.kill(pid, signal.SIGKILL)
                wait_for(lambda role=role, pid=pid: house_pid(house, role) not in {None, pid})
                house.cli("link", "edit", link, "--campaign", f"number-{n}")
        finally:
            stop.set()
            for sender in senders:
                sender.join()
        wait_for(lambda: ask("GET", f"{house.web_url}/readyz").status == 200)
        house.settle()
        sent = sum(sender.batches for sender in senders)
        totals = house.cli("report", "--metrics", "clicks,installs,events")["totals"]
        assert sent > KILLS
        assert totals == {"clicks": sent, "installs": sent, "events": sent}
        audit = house.cli("audit")
        assert audit["ok"], [check for check in audit["checks"] if not check["ok"]]


def house_pid(house: RunningHouse, role: str) -> int | None:
    """The process of a role by the supervisor's own word; the web role may not be there to be asked."""
    state = json.loads((house.folder / "run" / "supervisor.json").read_bytes())
    hosted = {"registrar": "web", "recorder": "web"}
    name = hosted.get(role, role)
    return next(child["pid"] for child in state["children"] if child["role"] == name)


@pytest.mark.parametrize(
    "body", [b'{"name": "\xff"}', b'{"name": ' + b"[" * 100_000, b'{"a":' * 50_000, b"\x00", b""]
)
def test_no_body_breaks_the_api(shared_house: RunningHouse, body: bytes) -> None:
    key = shared_house.cli("key", "add", "--kind", "api", "--scopes", "write")["key"]["secret"]
    answer = ask("POST", f"{shared_house.web_url}/api/partners", body, key=key)
    assert (answer.status, answer.json()["error"]["code"]) == (400, "invalid")
    assert "request_crashed" not in shared_house.stderr_file.read_text()


def test_idle_connections_do_not_shut_the_api(shared_house: RunningHouse) -> None:
    at = urlsplit(shared_house.web_url)
    held = [http.client.HTTPConnection(str(at.hostname), at.port, timeout=5) for _ in range(300)]
    try:
        for connection in held:
            connection.connect()
        assert ask("GET", f"{shared_house.web_url}/healthz").status == 200
    finally:
        for connection in held:
            connection.close()
