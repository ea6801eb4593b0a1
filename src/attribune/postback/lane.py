"""One postback's way out: what is ready, what is under way, and whether all of it is turned away.

When it may send is its partner's gate to say, which it shares with that partner's other postbacks and with nobody else's, so that a
partner that fails or hangs delays nobody else.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import deque
from collections.abc import Callable
from typing import Final

from attribune.model.control import Postback
from attribune.model.delivery import Attempt
from attribune.model.ids import DeliveryId
from attribune.model.status import BreakerState
from attribune.ports import Chance, Clock
from attribune.postback.breaker import DOUBT_MS, Breaker
from attribune.postback.deliver import MakeDeliverer
from attribune.postback.gate import Gate
from attribune.postback.outgoing import Outgoing, Spoken
from attribune.postback.render import Request
from attribune.postback.verdict import Presence, attempt

DELIVERY_HEADER: Final = "attribune-delivery"
SIGNATURE_HEADER: Final = "attribune-signature"
#: For how long requests are made ready, so that none who sends waits for the disk, by how many were answered lately. A slow partner's
#: wait in the outbox, where they can still be withdrawn.
_READY_S: Final = 0.2
#: How old what is ready may grow: then it is made ready anew, since a person may have withdrawn a consent, or what it says been taken back.
STALE_S: Final = 2.0
#: Most that are ready for each that may be under way.
_READY_FACTOR: Final = 16
#: The part of them that is left when more are made.
_LOW: Final = 0.25
#: States of a breaker, the worst first.
WORST: Final = (BreakerState.OPEN, BreakerState.PROBING, BreakerState.CLOSED)


def _leads(postback: Postback) -> tuple[object, ...]:
    """What decides where a postback's requests go, and by whose name."""
    return postback.settings, postback.sealed, postback.allowed_hosts, postback.callback_hosts


def signature(secret: str, at_ms: int, request: Request) -> str:
    """``t=MS,v1=HEX``: HMAC-SHA256 of the time, a point, and the body, or the address of a request without one."""
    text = f"{at_ms}.".encode() + (request.body or request.url.encode())
    digest = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
    return f"t={at_ms},v1={digest}"


class Lane:
    """Sends what it is given. Belongs to one event loop."""

    def __init__(
        self,
        spoken: Spoken,
        finished: Callable[[Attempt], None],
        gate: Gate,
        before: Lane | None,
        *,
        clock: Clock,
        chance: Chance,
        deliverer: MakeDeliverer,
    ) -> None:
        """Take the postback, who hears of each attempt, and its partner's gate.

        It goes on where ``before``, an earlier lane of the postback, stood, unless it leads elsewhere. ``deliverer`` makes what sends, of
        the hosts that may lead anywhere.
        """
        self.spoken = spoken
        postback = spoken.postback
        self.gate = gate
        places = spoken.leads_to()
        #: Whether the partner is there, as all its lanes find it that lead there. Of several servers each request would have to be
        #: asked where it leads before it is made ready: then nothing is held, and what fails is tried again in its own time.
        self._partner = gate.breaker(*places) if len(places) == 1 else None
        #: Whether this postback's own requests are answered, and whether all that it tells is turned away.
        self.own = Breaker(), Breaker(DOUBT_MS)
        if before is not None and _leads(before.postback) == _leads(postback):
            self.own = before.own
        elif before is not None and self._partner is not None:  # what failed there says nothing
            gate.is_back(self._partner)
            self._partner.close()
        self._breakers = (self._partner, *self.own) if self._partner is not None else ()
        self._clock = clock
        self._chance = chance
        self._finished = finished
        self._deliverer = deliverer(frozenset(postback.allowed_hosts))
        self._queue: deque[Outgoing] = deque()
        self._sending: dict[DeliveryId, asyncio.Task[None]] = {}
        #: How many are to be ready; how many were answered since when that was said. Seconds of the loop.
        self._ready = gate.concurrency
        self._answered, self._since_s = 0, 0.0
        #: When something was made ready last. Seconds of the loop.
        self.offered_s = 0.0
        #: A mistake of ours in sending; whoever runs the lane raises it.
        self.mistake: Exception | None = None

    @property
    def postback(self) -> Postback:
        """Whose way it is."""
        return self.spoken.postback

    async def open(self) -> None:
        """Begin."""
        await self._deliverer.__aenter__()
        self.gate.enter(self)

    async def close(self, drain_s: float) -> list[DeliveryId]:
        """Let requests that are under way end, for a while, and cut the rest; what was not sent, or was cut."""
        self.gate.leave(self)
        unsent = self.take_back()
        if self._sending:
            under_way = dict(self._sending)
            _, late = await asyncio.wait(under_way.values(), timeout=drain_s)
            unsent += [id_ for id_, task in under_way.items() if task in late]
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._deliverer.__aexit__()
        return unsent

    def room(self) -> int:
        """How many more rows it wants now."""
        if self.postback.is_paused:
            return 0
        self._ready = self._pace()
        wanted = self.gate.concurrency + self._ready - len(self._queue) - len(self._sending)
        return self._room(self._now_ms(), max(0, wanted))

    def _room(self, now_ms: int, wanted: int) -> int:
        for one in self._breakers:
            wanted = one.room(now_ms, wanted)
        return wanted

    @property
    def is_held(self) -> bool:
        """Whether a breaker holds requests back."""
        return any(one.is_open for one in self._breakers)

    @property
    def breaker(self) -> BreakerState:
        """Whether the partner takes anything: what its breaker and the postback's own say, the worst of them."""
        states = (one.state for one in self._breakers)
        return min(states, key=WORST.index, default=BreakerState.CLOSED)

    @property
    def under_way(self) -> int:
        """How many requests it has under way."""
        return len(self._sending)

    @property
    def is_busy(self) -> bool:
        """Whether enough is ready that no more need be fetched."""
        return len(self._queue) > self._ready * _LOW

    @property
    def is_stale(self) -> bool:
        """Whether what is ready has been so for too long."""
        return bool(self._queue) and self._now_s() - self.offered_s > STALE_S

    def _pace(self) -> int:
        """How many will be answered in a while, going by those that were since this was asked last."""
        now_s, most = self._now_s(), self.gate.concurrency
        soon = self._answered / max(now_s - self._since_s, 0.001) * _READY_S
        self._answered, self._since_s = 0, now_s
        return max(most, min(round(soon), most * _READY_FACTOR))

    def offer(self, outgoing: list[Outgoing]) -> None:
        """Send these, as soon as there is room."""
        if outgoing:
            self._queue.extend(outgoing)
            self.offered_s = self._now_s()
        self.gate.push()

    def take_back(self) -> list[DeliveryId]:
        """What is ready and need not be sent now: the breaker has opened, or it has grown old."""
        back = [one.row.planned.id for one in self._queue]
        self._queue.clear()
        return back

    def may_send(self, now_ms: int) -> bool:
        """Whether something is ready and nothing but the gate holds it back. Milliseconds of the loop."""
        return bool(self._queue) and self._room(now_ms, 1) > 0

    def send(self) -> None:
        """Send what is first."""
        for one in self._breakers:
            one.began()
        outgoing = self._queue.popleft()
        task = asyncio.get_running_loop().create_task(self._go(outgoing))
        self._sending[outgoing.row.planned.id] = task

    async def _go(self, outgoing: Outgoing) -> None:
        """Send, and let the next go: a task's own end costs less than somebody who is told of it."""
        presence = Presence.UNSAID  # as of one that is cut: another may try
        try:
            presence = await self._send(outgoing)
        except Exception as mistake:  # noqa: BLE001 - whoever runs the lane raises it
            self.mistake = mistake
        finally:
            del self._sending[outgoing.row.planned.id]
            self._answered += 1
            self._learn(presence)
            self.gate.ended()
        if self.mistake is None:
            # At once: the next request does not wait for the disk.
            self.gate.push()

    async def _send(self, outgoing: Outgoing) -> Presence:
        request = outgoing.request
        headers = {**request.headers, DELIVERY_HEADER: outgoing.row.planned.id}
        sent_at_ms = self._clock.now_ms()
        if self.spoken.signing_secret is not None:
            headers[SIGNATURE_HEADER] = signature(self.spoken.signing_secret, sent_at_ms, request)
        going = Request(request.method, request.url, headers, request.body)
        answer = await self._deliverer.send(going)
        chance = int.from_bytes(self._chance.token(2), "big")
        came_at_ms = self._clock.now_ms()
        data = self.spoken.data
        made, presence = attempt(outgoing, answer, data, sent_at_ms, came_at_ms, chance)
        self._finished(made)
        return presence

    def _learn(self, presence: Presence) -> None:
        """What the breakers make of an answer."""
        if self._partner is None:
            return
        failures, doubts = self.own
        now_ms = self._now_ms()
        match presence:
            case Presence.THERE:
                if self._partner.is_open:
                    self.gate.is_back(self._partner)
                for one in self._breakers:
                    one.close()
            case Presence.ABSENT:
                self._partner.failed(now_ms)
                failures.failed(now_ms)
                doubts.unsaid()
            case Presence.DOUBTFUL:
                self._partner.doubted(now_ms)
                failures.doubted(now_ms)
                doubts.failed(now_ms)
            case Presence.UNSAID:
                for one in self._breakers:
                    one.unsaid()

    def partner_is_back(self, partner: Breaker) -> None:
        """What failed while the partner was not there says nothing of this postback."""
        if self._partner is partner:
            self.own[0].close()

    def _now_ms(self) -> int:
        return round(self._now_s() * 1000)

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()
