"""The collector as a process of the house: it follows the registry, drains, and says where it stands."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time

import pytest
from front import APP_KEY, front

from attribune.collect.means import Ways
from attribune.engines.memory import MemoryAnswers, MemoryJournal
from attribune.engines.system import SystemChance, SystemClock
from attribune.model.errors import JournalUnavailable
from attribune.model.position import Topic
from attribune.registry.targets import resolve
from attribune.registry.view import Registry
from attribune.roles.collector import CollectorRole
from attribune.settings import Settings

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

OPEN = json.dumps({"id": "o1", "device": {"id": "d1"}}).encode()


def test_it_counts_and_says_where_it_stands():
    with front() as door:
        door.get("/c/plain")
        door.get("/i/plain")
        door.post("/v1/open", OPEN)
        door.post("/v1/open", b"{}")
        door.get("/nowhere")
        give_up = time.monotonic() + 5
        while not door.role.state()["is_ready"]:
            assert time.monotonic() < give_up
            time.sleep(0.01)
        said = door.role.state()
        assert said["position"] > 0
        assert said["last_error"] is None
        counters = said["counters"]
        assert all(isinstance(value, int) for value in counters.values())
        wanted = {
            "requests": 5,
            "clicks": 1,
            "impressions": 1,
            "records": 1,
            "refused": 1,
            "unknown_paths": 1,
        }
        assert {name: counters[name] for name in wanted} == wanted
        assert counters["entries"] == 4
    assert door.role.state()["is_ready"] is False


def test_it_stops_with_idle_connections_open():
    with front() as door:
        idle = http.client.HTTPConnection("127.0.0.1", door.port, timeout=5)
        idle.request("GET", "/readyz")
        assert idle.getresponse().read()
        began = time.monotonic()
    assert time.monotonic() - began < 2
    idle.close()


def test_a_request_under_way_is_finished_when_it_stops():
    with front() as door:
        link = socket.create_connection(("127.0.0.1", door.port), timeout=5)
        head = f"POST /v1/open HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {APP_KEY}\r\nContent-Length: {len(OPEN)}\r\n\r\n"
        link.sendall(head.encode() + OPEN[:5])
        time.sleep(0.1)
        later = threading.Timer(0.3, link.sendall, (OPEN[5:],))
        later.start()
    later.join()
    assert b" 200 " in link.recv(4096)
    link.close()
    assert len(door.kept(Topic.ACTIVITY)) == 1


def test_a_sender_that_never_ends_does_not_hold_it():
    with front(drain_ms=300, body_wait_ms=60_000) as door:
        link = socket.create_connection(("127.0.0.1", door.port), timeout=5)
        link.sendall(b"POST /v1/open HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        time.sleep(0.1)
        began = time.monotonic()
    assert time.monotonic() - began < 3
    link.close()


def test_it_goes_on_with_what_it_knows_when_the_journal_cannot_be_read(monkeypatch):
    with front() as door:

        def fail(*_):
            raise JournalUnavailable("the disk is asleep")

        monkeypatch.setattr(door.role._journal, "read", fail)
        give_up = time.monotonic() + 5
        while door.role.state()["last_error"] is None:
            assert time.monotonic() < give_up
            time.sleep(0.01)
        assert door.role.state()["last_error"] == "the disk is asleep"
        assert door.get("/c/plain").status == 302
        monkeypatch.undo()
        while door.role.state()["last_error"] is not None:
            assert time.monotonic() < give_up
            time.sleep(0.01)


def test_a_taken_port_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        role = CollectorRole(
            "collector-1",
            MemoryJournal(),
            Registry(),
            MemoryAnswers(),
            SystemClock(),
            SystemChance(),
            Settings(port=taken.getsockname()[1]),
            Ways(resolve, str, ""),
        )
        with pytest.raises(OSError, match=r"(?i)address"):
            role.run(threading.Event())
