"""A disk that is full: the documented answers, nothing lost that was accepted, and recovery without a hand.

``RLIMIT_FSIZE`` of 0 on every process of the house: each write to a file fails, as on a full disk, and sockets still work.
"""

from __future__ import annotations

import json
import resource
import threading
import time
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
from house import RunningHouse, wait_for

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

FULL_S = 3.0


def test_a_full_disk_loses_nothing_and_needs_no_hand(tmp_path) -> None:
    with RunningHouse(tmp_path / "data", collectors=2, restart_wait_max_ms=1000) as house:
        at = addresses(house)
        stop = threading.Event()
        server, person = Server("s", at, stop), Person("p", at, stop)
        server.start()
        person.start()
        try:
            wait_for(lambda: server.count > 3 and person.answered)
            before = fill(house)
            check_answers(at)
            time.sleep(FULL_S)
            during = server.count
            limit(house, before)
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


def check_answers(at: Addresses) -> None:
    """What the wire promises while nothing can be written: records are refused to be sent again, people go on."""
    body = json.dumps({"records": records("full", at.link)})
    refused = ask(at.host, "POST", "/v1/batch", body, {"authorization": f"Bearer {at.key}"})
    assert refused.status == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert json.loads(refused.body)["error"]["code"] == "journal_full"
    clicked = ask(at.host, "GET", at.click_path, None, BROWSER)
    assert clicked.status == 302
    assert "id=com.example.g" in clicked.headers["location"]
    assert click_id(clicked.headers["location"]) is None
    wait_for(lambda: health(at) == (200, "degraded"))


def health(at: Addresses) -> tuple[int, str]:
    """What the collector that happens to be asked says of itself."""
    answer = ask(at.host, "GET", "/healthz")
    return answer.status, json.loads(answer.body)["status"]


def fill(house: RunningHouse) -> int:
    """Let no process of the house write to a file any more; the limit that was."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    limit(house, 0)
    return before


def limit(house: RunningHouse, file_bytes: int) -> None:
    """Limit the supervisor first, whose next children inherit it, and then all that it has."""
    boss = house.process.pid
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.prlimit(boss, resource.RLIMIT_FSIZE, (file_bytes, hard))
    for pid in Path(f"/proc/{boss}/task/{boss}/children").read_text().split():
        resource.prlimit(int(pid), resource.RLIMIT_FSIZE, (file_bytes, hard))
