"""The network between senders and collectors: it delays, loses and doubles."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

if TYPE_CHECKING:
    from faults.processes import Collector

#: Longest way of a request or an answer, in seconds.
_DELAY_S = 0.05


class Lost(Exception):
    """No answer came: nobody listens, or the request or its answer is gone. Whether it was heard, nobody knows."""


class Asking(NamedTuple):
    """A request as sent."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Reply(NamedTuple):
    """An answer as received."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Headers:
    """Headers as Granian gives them."""

    def __init__(self, pairs: tuple[tuple[str, str], ...]) -> None:
        self._pairs = [(name.lower(), value) for name, value in pairs]

    def get(self, key: str, default: Any = None) -> Any:
        return next((value for name, value in self._pairs if name == key), default)

    def get_all(self, key: str) -> list[str]:
        return [value for name, value in self._pairs if name == key]

    def items(self) -> list[tuple[str, str]]:
        return self._pairs


class Exchange:
    """One request under way at a collector: both the scope and the protocol of it."""

    def __init__(self, asking: Asking, client: str, answered: asyncio.Future[Reply]) -> None:
        self.method = asking.method
        self.path = unquote(asking.path)
        self.query_string = asking.query
        self.client = client
        self.headers = Headers(asking.headers)
        self._body = asking.body
        self._answered = answered

    async def __aiter__(self) -> AsyncIterator[bytes]:
        half = len(self._body) // 2
        for piece in (self._body[:half], self._body[half:]):
            if piece:
                yield piece

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.response_bytes(status, headers, b"")

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        if not self._answered.done():
            self._answered.set_result(Reply(status, dict(headers), body))


class Network:
    """Carries requests to whichever collector listens."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.collectors: list[Collector] = []
        #: How often a request, and an answer, is lost; and how often a request arrives twice.
        self.loss, self.echo = chance.choice((0.0, 0.05, 0.2)), chance.choice((0.0, 0.1))

    def heal(self) -> None:
        """Lose and double nothing any more."""
        self.loss = self.echo = 0.0

    async def ask(self, asking: Asking, client: str) -> Reply:
        """Send a request and wait for its answer. Raises Lost."""
        await self._way(asking)
        if self._chance.random() < self.echo:
            asyncio.get_running_loop().call_later(
                self._chance.random(), self._deliver, asking, client
            )
        reply = await self._deliver(asking, client)
        await self._way(asking)
        return reply

    async def _way(self, asking: Asking) -> None:
        await asyncio.sleep(self._chance.random() * _DELAY_S)
        if self._chance.random() < self.loss:
            raise Lost(asking.path)

    def _deliver(self, asking: Asking, client: str) -> asyncio.Future[Reply]:
        answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        answered.add_done_callback(_heard)
        listening = [collector for collector in self.collectors if collector.listens]
        if listening:
            self._chance.choice(listening).hear(Exchange(asking, client, answered), answered)
        else:
            answered.set_exception(Lost("nobody listens"))
        return answered


def _heard(answered: asyncio.Future[Reply]) -> None:
    """Whoever sent the echo of a request does not wait for its answer."""
    answered.exception()
