"""A disk that is full, or that no longer syncs: the documented answers, nothing lost that was accepted, and recovery without a hand.

Full: ``RLIMIT_FSIZE`` of 0 on every process of the house, so that each write to a file fails and sockets still work. Not
syncing: strace has the kernel answer each ``fdatasync`` of the collectors with an error.
"""

from __future__ import annotations

import json
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from fire.rows import standing
from fire.senders import (
    BROWSER,
    Addresses,
    Person,
    Server,
    addresses,
    ask,
    click_id,
    is_ready,
    records,
)
from fire.trace import traced
from house import RunningHouse, wait_for

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

FAULT_S = 3.0


@pytest.mark.parametrize("fault", ["full", "unsynced"])
def test_a_bad_disk_loses_nothing_and_needs_no_hand(fault, tmp_path) -> None:
    with RunningHouse(tmp_path / "data", collectors=2, restart_wait_max_ms=1000) as house:
        at = addresses(house)
        stop = threading.Event()
        server, person = Server("s", at, stop), Person("p", at, stop)
        server.start()
        person.start()
        try:
            wait_for(lambda: server.count > 3 and person.answered)
            with full(house) if fault == "full" else unsynced(house, tmp_path):
                check_answers(at, "journal_full" if fault == "full" else "journal_unavailable")
                time.sleep(FAULT_S)
                during = server.count
            wait_for(lambda: server.count > during + 3, 20, "batches were not accepted again")
            kept = len(person.answered)
            wait_for(lambda: len(person.answered) > kept + 3, 20, "clicks were not kept again")
        finally:
            stop.set()
            server.join(30)
            person.join(30)
        assert set(server.refusals) == {503}
        assert person.without_id > 0
        wait_for(lambda: is_ready(house), 30)
        house.settle(30)
        audit = house.cli("audit")
        assert audit["ok"], [check for check in audit["checks"] if not check["ok"]]
    found = standing(house.folder)
    sent = [f"s-{n}" for n in range(server.count)]
    assert found["event"] == {f"e-{name}": 1 for name in sent}
    assert found["open"] == {f"o-{name}": 1 for name in sent}
    assert set(found["click"].values()) == {1}
    assert set(person.answered) <= set(found["click"])


def check_answers(at: Addresses, code: str) -> None:
    """What the wire promises while nothing can be written: records are refused to be sent again, people go on."""
    body = json.dumps({"records": records("full", at.link)})
    refused = ask(at.host, "POST", "/v1/batch", body, {"authorization": f"Bearer {at.key}"})
    assert refused.status == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert json.loads(refused.body)["error"]["code"] == code
    clicked = ask(at.host, "GET", at.click_path, None, BROWSER)
    assert clicked.status == 302
    assert "id=com.example.g" in clicked.headers["location"]
    assert click_id(clicked.headers["location"]) is None
    wait_for(lambda: health(at) == (200, "degraded"))


def health(at: Addresses) -> tuple[int, str]:
    """What the collector that happens to be asked says of itself."""
    answer = ask(at.host, "GET", "/healthz")
    return answer.status, json.loads(answer.body)["status"]


@contextmanager
def full(house: RunningHouse) -> Iterator[None]:
    """Let no process of the house write to a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    limit(house, 0)
    yield
    limit(house, before)


@contextmanager
def unsynced(house: RunningHouse, folder: Path) -> Iterator[None]:
    """Let no commit of a collector reach the disk."""
    refusing = ("-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO")
    with ExitStack() as watched:
        for role, pid in house.pids().items():
            if role.startswith("collector"):
                watched.enter_context(traced(pid, folder / f"{role}.calls", refusing))
        yield
    assert all("(INJECTED)" in calls.read_text() for calls in folder.glob("*.calls"))


def limit(house: RunningHouse, file_bytes: int) -> None:
    """Limit the supervisor first, whose next children inherit it, and then all that it has."""
    boss = house.process.pid
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.prlimit(boss, resource.RLIMIT_FSIZE, (file_bytes, hard))
    for pid in Path(f"/proc/{boss}/task/{boss}/children").read_text().split():
        resource.prlimit(int(pid), resource.RLIMIT_FSIZE, (file_bytes, hard))
