"""One partner's gate: what all its lanes share, so that it is never asked more than it takes, however many postbacks it has.

What one postback says of its partner's pace holds for all of them together; where several say it, the lowest does.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from attribune.model.control import Postback
from attribune.postback.breaker import Breaker

#: Requests under way at a time at a partner of whom nobody says otherwise.
CONCURRENCY: Final = 8


class Waiting(Protocol):
    """A lane as its gate sees it."""

    @property
    def postback(self) -> Postback:
        """Whose way it is."""
        ...

    def may_send(self, now_ms: int) -> bool:
        """Whether something is ready and nothing but the gate holds it back. Milliseconds of the loop."""
        ...

    def send(self) -> None:
        """Send what is first."""
        ...


class Gate:
    """Lets lanes send, one after the other. Belongs to one event loop."""

    def __init__(self) -> None:
        """Begin without lanes."""
        self.concurrency = CONCURRENCY
        self._per_second: int | None = None
        #: Who is to send next is first.
        self._lanes: list[Waiting] = []
        #: By where lanes lead to: one server of a partner may be dead, and another not.
        self._breakers: dict[frozenset[str], Breaker] = {}
        self._under_way = 0
        #: From when on the next request may go out, by the rate. Seconds of the loop.
        self._free_at_s = 0.0

    def breaker(self, places: frozenset[str]) -> Breaker:
        """Whether the partner is there at these origins or hosts, as all its lanes find it that lead to just these."""
        return self._breakers.setdefault(places, Breaker())

    def enter(self, lane: Waiting) -> None:
        """One more lane; its postback's word counts from now on."""
        self._lanes.append(lane)
        self._limit()

    def leave(self, lane: Waiting) -> None:
        """It sends nothing more; what it has under way is counted until it ends."""
        self._lanes = [one for one in self._lanes if one is not lane]
        self._limit()

    def _limit(self) -> None:
        said = [lane.postback for lane in self._lanes if not lane.postback.is_ended]
        self.concurrency = min(
            (one.concurrency for one in said if one.concurrency), default=CONCURRENCY
        )
        self._per_second = min((one.per_second for one in said if one.per_second), default=None)

    def ended(self) -> None:
        """A request has ended."""
        self._under_way -= 1

    def push(self) -> float | None:
        """Send what may be sent now; in how many seconds more may, when the rate holds it back."""
        loop = asyncio.get_running_loop()
        while self._under_way < self.concurrency:
            now_s = loop.time()
            lane = self._next(round(now_s * 1000))
            if lane is None:
                return None
            if self._free_at_s > now_s:
                return self._free_at_s - now_s
            self._keep_pace(now_s)
            self._under_way += 1
            if len(self._lanes) > 1:  # its turn is over
                self._lanes.remove(lane)
                self._lanes.append(lane)
            lane.send()
        return None

    def _next(self, now_ms: int) -> Waiting | None:
        for lane in self._lanes:
            if lane.may_send(now_ms):
                return lane
        return None

    def _keep_pace(self, now_s: float) -> None:
        if self._per_second:
            self._free_at_s = max(self._free_at_s, now_s) + 1 / self._per_second
