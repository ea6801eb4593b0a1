"""The limits of connections, reached at a served house by real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from urllib.parse import urlsplit

import pytest
from house import RunningHouse

from attribune.roles.places import AT_WORK_MS

pytestmark = pytest.mark.server

HELD_MAX = 16
#: Neither the HTTP server's default nor ours.
WAITING_MAX = 160
REST_MS = 1000

SLOW_BODY = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
ASK = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


class Caller:
    """A connection that speaks when it is told to, and is not closed by itself."""

    def __init__(self, house: RunningHouse, wait_s: float = 5.0) -> None:
        at = urlsplit(house.collector_url)
        self._link = socket.create_connection((str(at.hostname), at.port), timeout=wait_s)

    def say(self, words: bytes) -> None:
        self._link.sendall(words)

    def hear(self, wait_s: float = 5.0) -> bytes | None:
        """What comes next: nothing when the other side has closed, None when it is silent for that long."""
        self._link.settimeout(wait_s)
        try:
            return self._link.recv(4096)
        except TimeoutError:
            return None
        except ConnectionResetError:
            return b""

    def is_answered(self) -> bool:
        self.say(ASK)
        return b" 200 " in (self.hear() or b"")

    def close(self) -> None:
        self._link.close()


@pytest.fixture(scope="module")
def narrow_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHouse]:
    """Few connections, and few that wait; none is closed for being quiet but to make room."""
    folder = tmp_path_factory.mktemp("narrow") / "data"
    settings = {
        "connections_max": HELD_MAX,
        "backlog": WAITING_MAX,
        "idle_wait_ms": 60_000,
        "body_wait_ms": 60_000,
    }
    with RunningHouse(folder, **settings) as running:
        yield running


@contextmanager
def full(house: RunningHouse) -> Iterator[list[Caller]]:
    """As many connections as a collector may hold, each of them at work: a body that comes a byte at a time."""
    over = threading.Event()
    with ExitStack() as open_:
        held = []
        for _ in range(HELD_MAX):
            held.append(caller := Caller(house))
            open_.callback(caller.close)
            assert caller.is_answered()
            caller.say(SLOW_BODY)
        worker = threading.Thread(target=_drip, args=(held, over), daemon=True)
        worker.start()
        try:
            yield held
        finally:
            over.set()
            worker.join(5)


def _drip(held: list[Caller], over: threading.Event) -> None:
    while not over.wait(AT_WORK_MS / 5000):
        for caller in held:
            with suppress(OSError):  # closed by now
                caller.say(b"x")


def callers(house: RunningHouse) -> Iterator[Caller]:
    """New connections, until none gets through."""
    with suppress(TimeoutError):
        while True:
            yield Caller(house, wait_s=1.0)


def test_one_connection_more_than_are_held_waits_until_one_goes(narrow_house: RunningHouse) -> None:
    with full(narrow_house) as held:
        late = Caller(narrow_house)
        late.say(ASK)
        assert late.hear(0.5) is None
        held[0].close()
        assert b" 200 " in (late.hear() or b"")
        late.close()


def test_whoever_rests_makes_room_for_who_comes(narrow_house: RunningHouse) -> None:
    resting = []
    for _ in range(HELD_MAX):
        resting.append(caller := Caller(narrow_house))
        assert caller.is_answered()
        time.sleep(0.02)  # the kernel's clock of a connection ticks every few milliseconds
    late = Caller(narrow_house)
    late.say(ASK)
    assert b" 200 " in (late.hear(3) or b"")
    # The first to come rest longest; the last ones stay.
    assert resting[0].hear(1) == b""
    assert resting[-1].hear(0.1) is None
    for caller in (*resting, late):
        caller.close()


def test_of_those_who_wait_to_be_accepted_there_are_so_many(narrow_house: RunningHouse) -> None:
    with full(narrow_house) as held, ExitStack() as open_:
        waiting = list(islice(callers(narrow_house), 2 * WAITING_MAX))
        for caller in waiting:
            open_.callback(caller.close)
        # Linux lets one more wait than was asked for.
        assert len(waiting) in {WAITING_MAX, WAITING_MAX + 1}
        for caller in held:
            caller.close()
        assert waiting[0].is_answered()


@pytest.fixture(scope="module")
def hasty_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHouse]:
    """Closes connections soon."""
    folder = tmp_path_factory.mktemp("hasty") / "data"
    with RunningHouse(folder, idle_wait_ms=REST_MS) as running:
        yield running


@pytest.mark.parametrize(
    ("before", "said"),
    [(b"", b""), (b"", ASK[:20]), (ASK, b""), (ASK, ASK[:20])],
    ids=["nothing", "half a head", "nothing more", "half of another head"],
)
def test_a_connection_may_rest_so_long_and_is_closed_then(
    hasty_house: RunningHouse, before: bytes, said: bytes
) -> None:
    caller = Caller(hasty_house)
    if before:
        assert caller.is_answered()
    begun = time.monotonic()
    caller.say(said)
    # A head that was begun may be answered with what is wrong before the end.
    while caller.hear():
        pass
    rested_ms = (time.monotonic() - begun) * 1000
    caller.close()
    assert REST_MS * 0.9 <= rested_ms <= REST_MS * 3


@pytest.mark.parametrize("said", [0, 20], ids=["between requests", "within a head"])
def test_whoever_speaks_again_in_time_may_rest_again(hasty_house: RunningHouse, said: int) -> None:
    caller = Caller(hasty_house)
    for _ in range(3):
        caller.say(ASK[:said])
        time.sleep(REST_MS * 0.6 / 1000)
        caller.say(ASK[said:])
        assert b" 200 " in (caller.hear() or b"")
    caller.close()
