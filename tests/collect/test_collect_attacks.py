"""The doors under people who mean harm: what they may cost, and what must not be learned from what is kept of them."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from front import APP_KEY, SERVER_KEY, WRITE_KEY, Front, front

from attribune.collect import plain
from attribune.collect.address import plain_address
from attribune.collect.keeping import keep_judged
from attribune.collect.means import Counters
from attribune.collect.refuse import About, Head, Keeper, Refused
from attribune.collect.request import PACKED_PIECES_MAX
from attribune.collect.turns import PIECE_BYTES, RECORD_COST_BYTES, Turn
from attribune.collect.verdict import Judged
from attribune.engines.system import SystemChance
from attribune.model.codec import encode
from attribune.model.errors import JournalFull
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

OPEN = {"type": "open", "id": "o1", "device": {"id": "d1"}}
EMPTY_PIECE = gzip.compress(b"")


def stalled(door: Front, sent: bytes) -> socket.socket:
    """A connection that says something and then nothing more."""
    link = socket.create_connection(("127.0.0.1", door.port), timeout=5)
    link.sendall(sent)
    return link


def answers(door: Front, sent: bytes) -> list[bytes]:
    """The statuses of all answers that some bytes get until the connection ends."""
    with stalled(door, sent) as link:
        link.shutdown(socket.SHUT_WR)
        heard = b""
        while piece := link.recv(65_536):
            heard += piece
    return [line.split(b" ")[0] for line in heard.split(b"HTTP/1.1 ")[1:]]


# --- what one may cost the others


@pytest.mark.parametrize(("pieces", "status"), [(PACKED_PIECES_MAX, 200), (52_000, 400)])
def test_a_body_of_very_many_packed_pieces_is_not_unpacked(door: Front, pieces, status):
    body = EMPTY_PIECE * (pieces - 1) + gzip.compress(json.dumps(OPEN).encode())
    assert len(body) < 1 << 20
    answer = door.post("/v1/open", body, Content_Encoding="gzip")
    assert answer.status == status
    assert status == 200 or answer.json["error"]["code"] == "bad_encoding"


@pytest.mark.parametrize("said", [b"", b"GET /c/plain HTTP/1.1\r\nHost: x\r\nX-A: "])
def test_those_who_connect_and_say_nothing_are_closed_so_that_others_are_served(said):
    with front(connections_max=16, idle_wait_ms=300) as door, ExitStack() as held:
        for _ in range(24):
            held.enter_context(stalled(door, said))
        assert door.get("/c/plain").status == 302


def test_many_idle_connections_shut_nobody_out(door: Front):
    with ExitStack() as held:
        for _ in range(300):
            link = held.enter_context(stalled(door, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"))
            assert b" 200 " in link.recv(4096)
        assert door.get("/c/plain").status == 302


def test_bodies_that_are_being_taken_have_a_limit_all_together():
    head = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
    with front(bodies_bytes_max=1 << 20, body_wait_ms=1000) as door:
        with stalled(door, head + b"x" * 800_000) as slow:
            time.sleep(0.3)  # until the door has read it; nothing outside says when
            answer = door.post("/v1/batch", b"x" * 400_000)
            assert (answer.status, answer.headers["retry-after"]) == (503, "2")
            assert answer.json["error"]["code"] == "crowded"
            assert door.get("/c/plain").status == 302
            assert door.post("/v1/open", OPEN).status == 200
            assert b" 408 " in slow.recv(4096)
        for _ in range(3):
            assert door.post("/v1/batch", b"x" * 900_000).status == 400
        assert door.role.state()["counters"]["crowded"] == 1
        assert door.get("/healthz").json["status"] == "ok"


def test_refused_records_of_one_request_do_not_multiply_its_head(door: Front):
    before = door.end()
    big = {f"X-{n}": "v" * 900 for n in range(20)}
    answer = door.post("/v1/batch?" + "q" * 2000, {"records": [1] * 500}, **big)
    assert len(answer.json["results"]) == 500
    refusals = door.since(Topic.REFUSED, before)
    assert len(refusals) == 500
    assert refusals[0].headers["x-19"] == "v" * 900
    assert sum(len(encode(refusal)) for refusal in refusals) < 500 * 600


def test_a_long_text_is_no_address_and_is_not_remembered():
    assert plain_address("192.0.2.1" + " " * 100) == "192.0.2.1"
    assert plain_address("192.0.2.1" + " " * 200) is None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/batch", {"records": [1] * 200}),
        ("/v1/batch", {"records": [OPEN] * 200}),
        ("/v1/open", {}),
        ("/in/segment/seg/v1/batch", {"writeKey": WRITE_KEY, "batch": [{"type": "x"}] * 200}),
        ("/in/segment/seg/v1/batch", {"writeKey": "wk_nobody", "batch": []}),
        ("/nowhere", None),
        ("/c/plain?a=1", None),
        ("/c/nothing", None),
    ],
)
def test_no_request_leaves_garbage_that_must_be_looked_for(door: Front, path, body):
    def send() -> int:
        answer = door.post(path, body) if body is not None else door.get(path)
        return answer.status

    assert send() < 500
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            send()
        time.sleep(0.05)  # until the last request's task has gone
        # A circle for each of 5 requests, or 200 records, would be far more than what threads of the test may leave.
        assert gc.collect() < 5
    finally:
        gc.enable()


@pytest.fixture
def quick_switches():
    """A sender shares the interpreter with the door here, and must not wait 5 ms for its lock at every step."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quick_switches")
def test_long_work_lets_short_work_go_by():
    """Asked is what needs no commit: a click that comes when thousands of entries are being written waits for the disk."""
    hard = json.dumps({"records": [1] * 10_000}).encode()
    with front(batch_records_max=10_000) as door, ThreadPoolExecutor(1) as sender:
        door.get("/healthz")
        begun = time.perf_counter()
        batch = sender.submit(door.post, "/v1/batch", hard)
        took = []
        while not batch.done():
            asked = time.perf_counter()
            assert door.get("/healthz").status == 200
            took.append(time.perf_counter() - asked)
        assert batch.result().status == 200
    # Without turns one question waits for nearly all of it, and a few go before and after.
    assert max(took) < (time.perf_counter() - begun) / 2, took


def test_long_work_is_done_one_after_another_and_short_work_between():
    done: list[str] = []

    async def work(name: str, pieces: int, long: asyncio.Lock) -> None:
        turn = Turn(long)
        for _ in range(pieces):
            done.append(name)
            await turn.spend(PIECE_BYTES)
        turn.over()

    async def click() -> None:
        await asyncio.sleep(0)
        done.append("click")

    async def all_at_once() -> None:
        long = asyncio.Lock()
        await asyncio.gather(work("a", 5, long), work("b", 5, long), click())

    asyncio.run(all_at_once())
    assert done.index("click") <= 4
    # Each does a piece before it is known to be long; then b waits until a is over.
    after_a = len(done) - done[::-1].index("a")
    assert (done[:after_a].count("b"), done[after_a:]) == (1, ["b"] * 4)


def test_refusals_of_a_long_request_are_made_in_turns():
    """A thousand refusals are as much work as a thousand records, and come after all of them were read."""

    async def journey() -> None:
        kept: list[object] = []
        long = asyncio.Lock()
        await long.acquire()
        means = SimpleNamespace(
            chance=SystemChance(),
            keeper=Keeper(body_bytes_max=1000, bytes_per_s_max=1 << 20),
            sink=SimpleNamespace(keep=lambda entries: asyncio.sleep(0, kept.extend(entries))),
            counters=Counters(),
        )
        words = {"method": "POST", "path": "/v1/batch", "query": "", "headers": ()}
        head = Head(**words, received_at_ms=1, ip=None, user_agent=None)
        request = SimpleNamespace(head=lambda: head, turn=Turn(long), about=About())
        refused = Refused(RefusalReason.MALFORMED, "not a record")
        count = PIECE_BYTES // RECORD_COST_BYTES
        work = asyncio.create_task(keep_judged(means, request, [Judged(refused, b"1")] * count))
        await asyncio.sleep(0.01)
        assert not kept, "other long work was under way"
        long.release()
        await asyncio.wait_for(work, 5)
        assert len(kept) == count
        assert not long.locked(), "only waiting for the disk is left"

    asyncio.run(journey())


def test_beyond_the_quota_heads_are_cut_too_and_counted():
    with front(refused_bytes_per_s_max=4000) as door:
        heads = {f"X-{n}": "v" * 900 for n in range(20)}
        for _ in range(4):
            assert door.get("/c/nothing?" + "q" * 3000, "a" * 2000, **heads).status == 404
        refusals = door.kept(Topic.REFUSED)
        assert [refusal.is_cut for refusal in refusals] == [True] * 4
        assert max(len(encode(refusal)) for refusal in refusals) < 1200
        counters = door.role.state()["counters"]
        assert (counters["refused"], counters["refused_cut"]) == (4, 4)


# --- two requests in one


@pytest.mark.parametrize(
    ("head", "body", "told"),
    [
        (b"Content-Length: 2\r\nContent-Length: 3", b"{}", [b"400"]),
        (b"Content-Length: 4\r\nTransfer-Encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n", [b"401"]),
        (b"Transfer-Encoding: xchunked", b"2\r\n{}\r\n0\r\n\r\n", [b"400"]),
        (b"Transfer-Encoding: chunked, identity", b"2\r\n{}\r\n0\r\n\r\n", [b"400"]),
        (b"Transfer-Encoding: chunked", b"zz\r\n{}\r\n0\r\n\r\n", [b"401"]),
        (b"Transfer-Encoding: chunked", b"-2\r\n{}\r\n0\r\n\r\n", [b"401"]),
        (b"Content-Length: +2", b"{}", [b"400"]),
        (b"Content-Length: -1", b"{}", [b"400"]),
    ],
)
def test_what_two_servers_could_read_differently_ends_the_connection(door: Front, head, body, told):
    hidden = b"GET /c/plain HTTP/1.1\r\nHost: x\r\n\r\n"
    before = len(door.kept(Topic.TOUCHES))
    said = b"POST /v1/open HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n" + body + hidden
    assert answers(door, said) == told
    assert len(door.kept(Topic.TOUCHES)) == before


# --- what is kept of it


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/c/nothing?key=" + "".join(f"%{ord(sign):02x}" for sign in SERVER_KEY), {}),
        ("/c/nothing?a=%20&key=" + SERVER_KEY, {}),
        (f"/c/{SERVER_KEY}", {}),
        ("/c/nothing", {"User-Agent": f"app {SERVER_KEY}"}),
        ("/c/nothing", {"Referer": f"https://x.example/?key={SERVER_KEY}"}),
        ("/v1/open", {"Content-Encoding": SERVER_KEY}),
        ("/in/segment/seg/v1/batch?writeKey=" + SERVER_KEY, {}),
        ("/in/segment/seg/v1/batch?writekey=wk_" + SERVER_KEY[3:], {}),
    ],
)
def test_a_secret_is_not_kept_wherever_it_stands(door: Front, path, headers):
    before = door.end()
    method = "GET" if path.startswith("/c/") else "POST"
    body = None if method == "GET" else b"{}"
    headers = {"Authorization": f"Bearer {APP_KEY}", **headers}
    assert door.ask(method, path, body, headers).status in {400, 401, 404, 415}
    [refusal] = door.since(Topic.REFUSED, before)
    stored = encode(refusal)
    assert SERVER_KEY[3:].encode() not in stored
    assert "".join(f"%{ord(sign):02x}" for sign in SERVER_KEY).encode() not in stored


def test_what_is_kept_of_a_user_agent_has_an_end(door: Front):
    before = door.end()
    door.get("/c/nothing", agent="x" * 20_000)
    [refusal] = door.since(Topic.REFUSED, before)
    assert refusal.user_agent == "x" * 2048


# --- afterwards


def test_health_is_well_again_some_time_after_the_journal_is(monkeypatch):
    with front() as door:
        door.journal.fault = JournalFull()
        assert door.post("/v1/open", OPEN).status == 503
        door.journal.fault = None
        assert door.post("/v1/open", OPEN).status == 200
        assert door.get("/healthz").json["status"] == "degraded"
        monkeypatch.setattr(plain, "DEGRADED_MS", 0)
        health = door.get("/healthz").json
        assert (health["status"], health["journal_failures"]) == ("ok", 1)
