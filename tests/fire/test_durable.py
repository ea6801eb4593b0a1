"""Durable means synced: a kill cannot show it, since what the kernel holds outlives a process. So its calls are watched."""

from __future__ import annotations

import json
import time

import pytest
from fire.senders import BROWSER, Addresses, addresses, ask, records
from fire.trace import Call, calls, is_synced_by_itself, traced
from house import RunningHouse

pytestmark = pytest.mark.server

ROUNDS = 8


def test_what_is_answered_is_on_the_disk(house: RunningHouse, tmp_path) -> None:
    at = addresses(house)
    ask(at.host, "GET", at.click_path, None, BROWSER)
    pid = house.pids()["collector-1"]
    out = tmp_path / "calls"
    with traced(pid, out):
        for n in range(ROUNDS):
            send(at, f"marked-{n}-")
        time.sleep(0.2)
        seen = calls(out)
        header = {call.descriptor for call in seen if is_header(call)}
        assert header, "no commit was seen"
        assert all(is_synced_by_itself(pid, one) for one in header)
    for n in range(ROUNDS):
        check_order(seen, f"marked-{n}-")


def send(at: Addresses, mark: str) -> None:
    """A click, or a batch, that carries a mark."""
    if int(mark.split("-")[1]) % 2:
        body = json.dumps({"records": records(mark, at.link)})
        answer = ask(
            at.host, "POST", "/v1/batch", body, {"authorization": f"Bearer {at.key}"}, timeout=20
        )
        assert answer.status == 200
    else:
        answer = ask(at.host, "GET", f"{at.click_path}?sub1={mark}", None, BROWSER, timeout=20)
        assert answer.status == 302


def check_order(seen: list[Call], mark: str) -> None:
    """The marked bytes were written to the journal, synced, made the newest by a synced header, and only then answered."""
    asked = first(seen, 0, lambda call: call.name == "recvfrom" and mark in call.rest)
    written = first(seen, asked, lambda call: is_journal(call) and mark in call.rest)
    synced = first(seen, written, lambda call: is_journal(call) and call.name == "fdatasync")
    assert seen[synced].result == 0
    assert seen[synced].began >= seen[written].ended
    committed = first(seen, synced, is_header)
    assert seen[committed].result > 0
    answered = first(seen, asked, lambda call: "HTTP/1.1 " in call.rest and call.name != "recvfrom")
    # Calls of two threads overlap: the answer must not even begin before the commit has returned.
    assert seen[answered].began >= seen[committed].ended, (
        "it was answered before it was on the disk"
    )


def first(seen: list[Call], after: int, wanted) -> int:
    """The first call from a place on that is wanted."""
    return next(n for n in range(after, len(seen)) if wanted(seen[n]))


def is_journal(call: Call) -> bool:
    return call.target.endswith("/data.mdb") and "/journal/" in call.target


def is_header(call: Call) -> bool:
    """Whether it writes LMDB's header, which makes a commit the newest: a short write at one of the first two pages."""
    offset = int(call.rest.rpartition(", ")[2].rstrip(") ")) if call.name == "pwrite64" else -1
    return is_journal(call) and 0 <= offset < 8192 and 0 < call.result < 4096
