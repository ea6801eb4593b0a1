"""One partner's gate: what all its lanes share, so that it is never asked more than it takes, however many postbacks it has.

What one postback says of its partner's pace holds for all of them together; where several say it, the lowest does.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from attribune.model.control import Postback
from attribune.model.ids import PostbackId
from attribune.postback.breaker import Breaker

#: Requests under way at a time at a partner of whom nobody says otherwise.
CONCURRENCY: Final = 8
#: How late a request may go out for the next not to be later for it.
_LATE_S: Final = 0.01


class Waiting(Protocol):
    """A lane as its gate sees it."""

    @property
    def under_way(self) -> int:
        """How many requests it has under way."""
        ...

    def may_send(self, now_ms: int) -> bool:
        """Whether something is ready and nothing but the gate holds it back. Milliseconds of the loop."""
        ...

    def send(self) -> None:
        """Send what is first."""
        ...

    def partner_is_back(self, partner: Breaker) -> None:
        """The breaker of some servers has closed after it was open."""
        ...


class Gate:
    """Lets lanes send, one after the other. Belongs to one event loop."""

    def __init__(self) -> None:
        """Begin without lanes."""
        self.concurrency = CONCURRENCY
        self._per_second: int | None = None
        #: The partner's postbacks, as they are now.
        self._said: dict[PostbackId, Postback] = {}
        #: Who is to send next is first, of those that have as many requests under way.
        self._lanes: list[Waiting] = []
        #: By where lanes lead to: one server of a partner may be dead, and another not.
        self._breakers: dict[str, Breaker] = {}
        self._under_way = 0
        #: From when on the next request may go out, by the rate. Seconds of the loop.
        self._free_at_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def hear(self, postback: Postback) -> None:
        """A postback of the partner as it is now: what it says of the pace holds, whether or not it can tell."""
        self._said[postback.id] = postback
        said = [one for one in self._said.values() if not one.is_ended]
        self.concurrency = min(
            (one.concurrency for one in said if one.concurrency), default=CONCURRENCY
        )
        self._per_second = min((one.per_second for one in said if one.per_second), default=None)

    def breaker(self, place: str) -> Breaker:
        """Whether the partner is there at an origin or host, as all its lanes find it that lead there."""
        return self._breakers.setdefault(place, Breaker())

    def is_back(self, partner: Breaker) -> None:
        """The partner answered where it was not there, or is asked otherwise; so each of its lanes that lead there may begin anew."""
        for lane in self._lanes:
            lane.partner_is_back(partner)

    def enter(self, lane: Waiting) -> None:
        """One more lane."""
        self._lanes.append(lane)

    def leave(self, lane: Waiting) -> None:
        """It sends nothing more; what it has under way is counted until it ends."""
        self._lanes = [one for one in self._lanes if one is not lane]

    def ended(self) -> None:
        """A request has ended."""
        self._under_way -= 1

    def push(self) -> None:
        """Send what may be sent now; what the rate holds back goes out when it may."""
        loop = asyncio.get_running_loop()
        while self._under_way < self.concurrency:
            now_s = loop.time()
            lane = self._next(round(now_s * 1000))
            if lane is None:
                return
            if self._free_at_s > now_s:
                if self._timer is None:
                    self._timer = loop.call_at(self._free_at_s, self._go_on)
                return
            self._keep_pace(now_s)
            self._under_way += 1
            if len(self._lanes) > 1:  # its turn is over
                self._lanes.remove(lane)
                self._lanes.append(lane)
            lane.send()

    def _go_on(self) -> None:
        self._timer = None
        self.push()

    def _next(self, now_ms: int) -> Waiting | None:
        """Who has the fewest requests under way, so that one whose requests hang does not keep what the others need."""
        if len(self._lanes) == 1:
            [lane] = self._lanes
            return lane if lane.may_send(now_ms) else None
        ready = [lane for lane in self._lanes if lane.may_send(now_ms)]
        return min(ready, key=lambda lane: lane.under_way, default=None)

    def _keep_pace(self, now_s: float) -> None:
        if self._per_second:
            # A timer that was late has cost nothing.
            self._free_at_s = max(self._free_at_s, now_s - _LATE_S) + 1 / self._per_second
