"""Who means harm by number: connections that are held and say too little, and floods of requests.

They live in a process of their own, so that their sockets and their work are nobody else's: ``Attack`` starts it, tells it what to do
and hears what it has seen.
"""

from __future__ import annotations

import contextlib
import errno
import json
import random
import resource
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from typing import Any, Final, NamedTuple, Self

#: Each address of loopback gives 28,000 ports and more; the attackers come from so many.
ADDRESSES: Final = 64
#: Connections that are being opened at a time: fewer than wait in a backlog.
_OPENING_MAX: Final = 400
#: How long those who are about to go wait for the answers owed to them.
_LAST_ANSWERS_S: Final = 20


class Attack:
    """Attackers at work while the block runs.

    ``requests``: what they send, in turn (text, Latin-1), each on a connection of its own. ``connections``: how many they hold at a
    time. ``again``: they open another for each that ends, and go when they are answered; without it they stay until the house
    ends them. ``reads``: whether they read what is answered; else they ask on and on.
    """

    def __init__(
        self,
        host: str,
        requests: list[str],
        connections: int,
        *,
        again: bool = False,
        reads: bool = True,
    ) -> None:
        self._orders = json.dumps(
            {
                "host": host,
                "requests": requests,
                "connections": connections,
                "again": again,
                "reads": reads,
            }
        )

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        self._process.stdin.write(self._orders + "\n")
        self._process.stdin.flush()
        return self

    def opened(self) -> int:
        """Wait until as many connections as wanted have been opened; how many."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())["opened"]

    def end(self) -> Seen:
        """Let them hear the answers that are owed to them, and go; what they saw."""
        out, _ = self._process.communicate(timeout=60)
        return Seen(**json.loads(out.splitlines()[-1]))

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


class Seen(NamedTuple):
    """What attackers saw."""

    #: Requests begun, and answers by status; connections that failed by the name of the fault.
    requests: int
    statuses: dict[str, int]
    faults: dict[str, int]
    #: Connections held in the end, and seconds after which each of the others was ended by the house.
    held: int
    ended_after_s: list[float]


class Band:
    """The attackers themselves: one thread, one selector, many sockets."""

    def __init__(self, orders: dict[str, Any]) -> None:
        host, _, port = orders["host"].partition(":")
        self._to = (host, int(port))
        self._requests = [text.encode("latin-1") for text in orders["requests"]]
        self._wanted: int = orders["connections"]
        self._again: bool = orders["again"]
        self._reads: bool = orders["reads"]
        self._selector = selectors.DefaultSelector()
        self._opening: set[socket.socket] = set()
        #: Connections that stand: since when, and what is still to be said.
        self._since: dict[socket.socket, float] = {}
        self._left: dict[socket.socket, memoryview] = {}
        self._is_ending = False
        self.opened = 0
        self.requests = 0
        self.statuses: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.ended_after_s: list[float] = []

    def work(self) -> None:
        """Until stdin ends, and those who go when they are answered have gone."""
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        give_up = float("inf")
        is_told = False
        while time.monotonic() < give_up and not (self._is_ending and not self._since):
            if not self._is_ending:
                self._open_more()
            for key, events in self._selector.select(0.2):
                if key.fileobj is sys.stdin:
                    self._is_ending = True
                    self._selector.unregister(sys.stdin)
                    give_up = time.monotonic() + (_LAST_ANSWERS_S if self._again else 0)
                else:
                    self._on(key.fileobj, events)
            if not is_told and self.opened >= self._wanted:
                is_told = True
                tell({"opened": self.opened})

    def seen(self) -> Seen:
        return Seen(
            self.requests,
            dict(self.statuses),
            dict(self.faults),
            len(self._since),
            sorted(self.ended_after_s),
        )

    def _open_more(self) -> None:
        while len(self._opening) < _OPENING_MAX and (
            self.opened + len(self._opening) < self._wanted
            or (self._again and len(self._since) + len(self._opening) < self._wanted)
        ):
            link = socket.socket()
            link.setblocking(False)
            if not self._reads:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            link.bind((f"127.0.0.{random.randrange(2, 2 + ADDRESSES)}", 0))
            with contextlib.suppress(BlockingIOError):
                link.connect(self._to)
            self._opening.add(link)
            self._selector.register(link, selectors.EVENT_WRITE)

    def _on(self, link: Any, events: int) -> None:
        try:
            if link in self._opening:
                self._connected(link)
            if events & selectors.EVENT_READ:
                self._hear(link)
            if link in self._since and events & selectors.EVENT_WRITE:
                self._say(link)
        except OSError as fault:
            self.faults[errno.errorcode.get(fault.errno or 0, "?")] += 1
            self._ended_by_house(link)

    def _connected(self, link: socket.socket) -> None:
        fault = link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if fault or self._is_ending:
            self._end(link)
            return
        self._opening.discard(link)
        self.opened += 1
        self._since[link] = time.monotonic()
        self._next(link)

    def _next(self, link: socket.socket) -> None:
        """Take up the next request."""
        self._left[link] = memoryview(self._requests[self.requests % len(self._requests)])
        self.requests += 1
        reading = selectors.EVENT_READ if self._reads else 0
        self._selector.modify(link, selectors.EVENT_WRITE | reading)

    def _say(self, link: socket.socket) -> None:
        if left := self._left[link]:
            self._left[link] = left[link.send(left) :]
        elif self._reads:
            self._selector.modify(link, selectors.EVENT_READ)
        else:
            self._next(link)

    def _hear(self, link: socket.socket) -> None:
        heard = link.recv(65_536)
        if not heard:
            self._ended_by_house(link)
            return
        if heard.startswith(b"HTTP/1.1 "):
            self.statuses[heard[9:12].decode()] += 1
        if self._again:
            self._end(link)

    def _ended_by_house(self, link: socket.socket) -> None:
        if link in self._since:
            self.ended_after_s.append(time.monotonic() - self._since[link])
        self._end(link)

    def _end(self, link: socket.socket) -> None:
        self._selector.unregister(link)
        self._opening.discard(link)
        self._since.pop(link, None)
        self._left.pop(link, None)
        link.close()


def tell(said: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Take orders, work, and tell."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    band = Band(json.loads(sys.stdin.readline()))
    band.work()
    tell(band.seen()._asdict())


if __name__ == "__main__":
    main()
