"""Every limit of the front door is reached: what lies at it is taken, what lies beyond is answered and kept."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from collect.front import SERVER_KEY, front
from house import wait_for
from journal.slow_journal import SlowJournal

from attribune.model.position import Topic

DAY_MS = 86_400_000


def opened(**more: Any) -> dict[str, Any]:
    return {"type": "open", "id": "o1", "device": {"id": "d1", "platform": "android"}, **more}


def at(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat(timespec="milliseconds")


#: Setting and value → a record at the limit, one beyond it, and the reason that it is refused with.
RECORDS: list[tuple[str, int, dict[str, Any], dict[str, Any], str]] = [
    ("id_characters_max", 36, opened(id="x" * 36), opened(id="x" * 37), "bad_id"),
    ("json_depth_max", 4, opened(a={"b": [1]}), opened(a={"b": [{"c": [1]}]}), "malformed"),
    ("record_bytes_max", 1024, opened(a="x" * 800), opened(a="x" * 1100), "too_large"),
    ("app_key_age_max_ms", DAY_MS, opened(at=at(hours=23)), opened(at=at(hours=25)), "too_old"),
    ("future_max_ms", DAY_MS, opened(at=at(hours=-23)), opened(at=at(hours=-25)), "in_the_future"),
]


@pytest.mark.parametrize(
    ("name", "value", "within", "beyond", "reason"), RECORDS, ids=[r[0] for r in RECORDS]
)
def test_a_record_beyond_a_limit_is_refused_and_kept(
    name: str, value: int, within: dict[str, Any], beyond: dict[str, Any], reason: str
) -> None:
    with front(**{name: value}) as door:
        assert [r["status"] for r in door.batch(within)] == ["accepted"]
        (told,) = door.batch(beyond)
        assert (told["status"], told["reason"]) == ("refused", reason)
        assert [r.reason for r in door.kept(Topic.REFUSED)] == [reason]


def test_a_server_key_may_state_older_times() -> None:
    with front(app_key_age_max_ms=DAY_MS, server_key_age_max_ms=3 * DAY_MS) as door:
        told = door.batch(opened(at=at(days=2)), opened(id="o2", at=at(days=4)), key=SERVER_KEY)
        assert [r.get("reason") for r in told] == [None, "too_old"]


def test_a_body_beyond_its_limit_is_413() -> None:
    with front(body_bytes_max=1024) as door:
        assert door.post("/v1/batch", {"records": [opened(a="x" * 700)]}).status == 200
        assert door.post("/v1/batch", {"records": [opened(a="x" * 1100)]}).status == 413


def test_a_batch_beyond_its_limit_is_413() -> None:
    with front(batch_records_max=3) as door:
        three = [opened(id=f"o{n}") for n in range(3)]
        assert len(door.batch(*three)) == 3
        answer = door.post("/v1/batch", {"records": [*three, opened(id="o4")]})
        assert answer.status == 413
        assert answer.json["error"]["code"] == "too_many_records"


def test_a_query_beyond_its_limit_is_no_touch_and_the_person_goes_on() -> None:
    with front(query_bytes_max=256) as door:
        assert door.get("/c/plain?a=" + "x" * 200).status == 302
        assert door.get("/c/plain?a=" + "x" * 300).status == 302
        assert len(door.kept(Topic.TOUCHES)) == 1
        assert [r.reason for r in door.kept(Topic.REFUSED)] == ["too_large"]


def test_a_refused_body_is_kept_up_to_its_limit() -> None:
    with front(refused_body_bytes_max=100) as door:
        door.post("/v1/batch", b"{" + b"x" * 5000)
        (kept,) = door.kept(Topic.REFUSED)
        assert (len(kept.body), kept.body_bytes) == (100, 5001)


def test_an_sdk_that_waits_is_answered_in_time_and_told_when_to_ask_again() -> None:
    with front(attribution_wait_ms=100, attribution_retry_ms=1234) as door:
        begun = time.monotonic()
        (told,) = door.batch(opened(want_attribution=True))
        assert 0.1 <= time.monotonic() - begun < 2
        assert told["attribution"] == {"status": "pending", "retry_after_ms": 1234}


def test_a_full_queue_is_503_with_retry_after() -> None:
    with front(commit_queue_max=64, batch_records_max=1000, retry_after_s=7) as door:
        answer = door.post("/v1/batch", {"records": [opened(id=f"o{n}") for n in range(65)]})
        assert answer.status == 503
        assert answer.headers["retry-after"] == "7"
        assert door.kept(Topic.ACTIVITY) == []


def test_those_who_wait_for_the_disk_share_commits_up_to_their_limit() -> None:
    journal = SlowJournal()
    with front(journal=journal, commit_entries_max=3) as door, ThreadPoolExecutor(9) as senders:
        known = len(journal.sizes)
        journal.allowed.clear()
        journal.begun.clear()
        asks = [senders.submit(door.batch, opened(id="o0"))]
        assert journal.begun.wait(10)
        asks += [senders.submit(door.batch, opened(id=f"o{n}")) for n in range(1, 9)]
        wait_for(lambda: door.role._buffer.waiting == 9, why="not all of them wait")
        journal.allowed.set()
        assert [told["status"] for ask in asks for told in ask.result(10)] == ["accepted"] * 9
        assert journal.sizes[known:] == [1, 3, 3, 2]
