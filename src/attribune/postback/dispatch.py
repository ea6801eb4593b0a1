"""Telling partners: rows that are due are made into requests, sent, and what came of them is journaled.

One thread does all that waits for a disk (``Desk``), one event loop all that waits for partners (``Dispatcher``). What is handed out is
not handed out again until what came of it has been read back from the journal, so nothing is sent twice by one life; what a crash
leaves between a request and its entry is sent again under the same delivery id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog
from msgspec.structs import replace

from attribune.model.codec import encode
from attribune.model.control import Postback
from attribune.model.delivery import (
    Again,
    Attempt,
    Delivery,
    DeliveryState,
    OutboxPage,
    OutboxRow,
    Settled,
)
from attribune.model.errors import Invalid, JournalUnavailable, StoreUnavailable, VaultLocked
from attribune.model.ids import DeliveryId, PartnerId, Position, PostbackId
from attribune.model.position import Topic
from attribune.model.status import BreakerState
from attribune.ports import Clock, Directory, Journal, Outbox, Vault
from attribune.postback.gate import Gate
from attribune.postback.lane import WORST, Lane
from attribune.postback.outgoing import Outgoing, Outgoings, Spoken, settled, spoken
from attribune.postback.schedule import GIVE_UP_MS

log = structlog.get_logger("postbacker")

#: Rows given up at a time, of a partner that never came back.
_EXPIRE_MAX: Final = 1000
#: How long a postback of which nothing is due is not asked for, unless something of it comes.
_QUIET_MS: Final = 1000
#: How long answers are gathered, once one has come; and at most, while all who send have enough to send.
_GATHER_S: Final = 0.01
_GATHER_S_MAX: Final = 0.05
#: How often is looked whether what cannot tell can.
_MENDED_S: Final = 5.0
#: How long is waited when nothing can be written.
_TRY_AGAIN_S: Final = 1.0
#: Threads that look up names: a name that hangs holds one.
_RESOLVERS: Final = 64
#: Breakers that are said of, those that are not closed first: each becomes a line of the metrics.
_BREAKERS_MAX: Final = 1000
#: What each state that a delivery comes to is counted as; one that still waits has failed this time.
_COUNTERS: Final[Mapping[DeliveryState, str]] = {
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.WAITING: "failed",  # or was declined
    DeliveryState.GAVE_UP: "given_up",
    DeliveryState.WITHDRAWN: "withdrawn",
}


def _since(row: OutboxRow, resumed_at_ms: int) -> OutboxRow:
    """A row that is tried from when its postback went on: while that was paused nobody was asked."""
    return replace(row, since_ms=resumed_at_ms) if row.since_ms < resumed_at_ms else row


class Desk:
    """What the dispatcher asks of journal and outbox, all from one thread."""

    def __init__(
        self,
        journal: Journal,
        outbox: Outbox,
        outgoings: Outgoings,
        clock: Clock,
        fold: Callable[[], OutboxPage | None],
    ) -> None:
        """Take the parts; ``fold`` reads some entries into the outbox and gives what they changed, None at the journal's end."""
        self._journal = journal
        self._outbox = outbox
        self._outgoings = outgoings
        self._clock = clock
        self._fold = fold
        #: By postback: what was handed out → where what came of it stands; None while it is under way.
        self._held: dict[PostbackId, dict[DeliveryId, Position | None]] = {}
        #: What became of deliveries in this life.
        self.counters = dict.fromkeys(_COUNTERS.values(), 0)
        #: Until when nothing of a postback is due, unless something of it comes. Milliseconds, UTC.
        self._quiet_until_ms: dict[PostbackId, int] = {}

    def journal(self, came: list[Delivery]) -> None:
        """Keep what came of deliveries. Raises JournalUnavailable; then none of it is kept."""
        if came:
            entries = [(Topic.DELIVERIES, encode(one)) for one in came]
            for one, place in zip(came, self._journal.append(entries), strict=True):
                self._held_of(one.postback)[one.delivery] = place
                self._count(one)

    def _count(self, one: Delivery) -> None:
        if isinstance(one, Attempt) and one.poll_url is not None:
            return  # taken, and not decided yet
        self.counters[_COUNTERS[one.state]] += 1

    def catch_up(self) -> None:
        """Read to the journal's end. Only then is known what has been told."""
        while (page := self._fold()) is not None:
            self._stir(page)
        position = self._outbox.position()
        for held in list(self._held.values()):
            for id_, place in list(held.items()):
                if place is not None and place <= position:
                    held.pop(id_, None)

    def _held_of(self, postback: PostbackId) -> dict[DeliveryId, Position | None]:
        return self._held.setdefault(postback, {})

    def _stir(self, page: OutboxPage) -> None:
        """Something of these postbacks has come, so more may be due."""
        for one in (*page.planned, *page.came):
            if isinstance(one, Again):  # whose it is, the outbox knows
                self._quiet_until_ms.clear()
            else:
                self._quiet_until_ms.pop(one.postback, None)

    def is_quiet(self, postback: PostbackId) -> bool:
        """Whether nothing can be due."""
        return self._clock.now_ms() < self._quiet_until_ms.get(postback, 0)

    def release(self, postback: PostbackId, ids: Iterable[DeliveryId]) -> None:
        """What was handed out for a postback and not sent; it is due again."""
        held = self._held_of(postback)
        for id_ in ids:
            held.pop(id_, None)
            self._quiet_until_ms.pop(postback, None)

    def fetch(self, spoken_: Spoken, room: int) -> list[Outgoing]:
        """Requests for the rows of a postback that are due; what comes of the others is journaled."""
        postback, now_ms = spoken_.postback, self._clock.now_ms()
        held = self._held_of(postback.id)
        limit = room + len(held)
        rows = self._outbox.due(postback.id, now_ms, limit, in_order=postback.in_order)
        free = [row for row in rows if row.planned.id not in held][:room]
        free = [_since(row, postback.resumed_at_ms) for row in free]
        found = self._outgoings.of(free, spoken_, now_ms)
        self.journal([one for one in found if isinstance(one, Settled)])
        if len(rows) < limit:
            next_ms = self._outbox.next_due_ms(postback.id) or now_ms + _QUIET_MS
            # What is due and was not given waits for something that is told of it when it comes.
            self._quiet_until_ms[postback.id] = next_ms if next_ms > now_ms else now_ms + _QUIET_MS
        going = [one for one in found if isinstance(one, Outgoing)]
        # Last of all: what is held and was not given, since something failed here, would wait for ever.
        held.update(dict.fromkeys((one.row.planned.id for one in going), None))
        return going

    def give_up(self, postback: Postback) -> int:
        """Give up what a partner that does not answer was to be told and has waited too long; how many."""
        now_ms = self._clock.now_ms()
        if now_ms - postback.resumed_at_ms <= GIVE_UP_MS:
            return 0  # while it was paused nobody was asked
        rows = self._outbox.waiting(postback.id, now_ms - GIVE_UP_MS, _EXPIRE_MAX)
        why = "the partner was not there for 3 days"
        held = self._held_of(postback.id)
        free = [row for row in rows if row.planned.id not in held]
        self.journal([settled(row, now_ms, DeliveryState.GAVE_UP, why) for row in free])
        return len(free)


class Dispatcher:
    """Keeps a gate for each partner and a lane for each postback, and moves rows from the outbox to partners until told to stop."""

    def __init__(
        self,
        desk: Desk,
        directory: Directory,
        vault: Vault,
        lane: Callable[[Spoken, Callable[[Attempt], None], Gate, Lane | None], Lane],
        *,
        wait_s: float,
        drain_s: float,
    ) -> None:
        """Take the parts; ``lane`` makes one of a postback, who hears of its attempts, its partner's gate, and the lane before it.

        ``wait_s`` is how often is looked for what is due, ``drain_s`` how long requests may end at a stop.
        """
        self._desk = desk
        self._directory = directory
        self._vault = vault
        self._lane = lane
        self._wait_s = wait_s
        self._drain_s = drain_s
        self._lanes: dict[PostbackId, Lane] = {}
        #: By partner; the operator's own systems are as many as there are postbacks to them.
        self._gates: dict[PartnerId | PostbackId, Gate] = {}
        #: Lanes of configurations that have changed, ending what is under way.
        self._closing: set[asyncio.Task[None]] = set()
        self._finished: list[Delivery] = []
        self._wake = asyncio.Event()
        #: When those that cannot tell are looked at again. Seconds of the loop.
        self._mended_at_s = 0.0
        #: Postbacks that cannot tell as they are, and why.
        self.faults: dict[PostbackId, tuple[Postback, str]] = {}

    def breakers(self) -> dict[PostbackId, BreakerState]:
        """Whether the partner of each postback that is active is asked, the worst first. Asked from any thread."""
        found = [
            (id_, lane.breaker)
            for id_, lane in list(self._lanes.items())
            if not lane.postback.is_ended and not lane.postback.is_paused
        ]
        found.sort(key=lambda one: (WORST.index(one[1]), one[0]))
        return dict(found[:_BREAKERS_MAX])

    async def run(self, is_stopping: Callable[[], bool]) -> None:
        """Tell until told to stop. What cannot be written now is kept and tried again; mistakes are raised."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(_RESOLVERS, "resolver"))
        with ThreadPoolExecutor(1, "desk") as desk:
            try:
                while not is_stopping():
                    await self._turn(loop, desk)
                    await self._pause()
            finally:
                for lane in self._lanes.values():
                    self._close(lane)
                await asyncio.gather(*self._closing)
                await loop.run_in_executor(desk, self._last_words)

    async def _turn(self, loop: asyncio.AbstractEventLoop, desk: ThreadPoolExecutor) -> None:
        came, self._finished = self._finished, []
        try:
            await loop.run_in_executor(desk, self._read, came)
            await self._refresh()
            # Who was given something longest ago is first: behind an open breaker one of a partner's lanes may try, each in its turn.
            for lane in sorted(self._lanes.values(), key=lambda one: one.offered_s):
                await self._serve(lane, loop, desk)
        except (JournalUnavailable, StoreUnavailable) as fault:
            log.warning("cannot_tell", reason=fault.message)
            for lane in self._lanes.values():  # nothing more goes out of which no entry can be made
                id_, back = lane.postback.id, lane.take_back()
                await loop.run_in_executor(desk, self._desk.release, id_, back)
            await asyncio.sleep(_TRY_AGAIN_S)

    def _read(self, came: list[Delivery]) -> None:
        try:
            self._desk.journal(came)
        except JournalUnavailable:
            self._finished[:0] = came
            raise
        self._desk.catch_up()

    def _last_words(self) -> None:
        try:
            self._desk.journal(self._finished)
        except JournalUnavailable as fault:
            # They are sent again, under the same ids.
            log.warning("not_journaled", deliveries=len(self._finished), reason=fault.message)

    async def _serve(
        self, lane: Lane, loop: asyncio.AbstractEventLoop, desk: ThreadPoolExecutor
    ) -> None:
        if lane.mistake is not None:
            raise lane.mistake
        postback = lane.postback
        if (lane.is_held or lane.is_stale) and (back := lane.take_back()):
            await loop.run_in_executor(desk, self._desk.release, postback.id, back)
        room = 0 if lane.is_busy else lane.room()
        if not room or self._desk.is_quiet(postback.id):
            return
        if lane.is_held:
            await loop.run_in_executor(desk, self._desk.give_up, postback)
        lane.offer(await loop.run_in_executor(desk, self._desk.fetch, lane.spoken, room))

    async def _pause(self) -> None:
        """Until something has come, or it is time to look again."""
        for gate in self._gates.values():
            gate.push()
        try:
            await asyncio.wait_for(self._wake.wait(), self._wait_s)
        except TimeoutError:
            return
        # What comes within a moment is journaled and read back together.
        gathered_s = 0.0
        while not gathered_s or (gathered_s < _GATHER_S_MAX and self._has_enough()):
            await asyncio.sleep(_GATHER_S)
            gathered_s += _GATHER_S
        self._wake.clear()

    def _has_enough(self) -> bool:
        """Whether some send, and all of these have enough ready."""
        sending = [lane for lane in self._lanes.values() if lane.under_way]
        return bool(sending) and all(lane.is_busy for lane in sending)

    async def _refresh(self) -> None:
        """A lane for each postback, made anew when its configuration has changed."""
        now_s = asyncio.get_running_loop().time()
        if is_time := now_s >= self._mended_at_s:  # a key may have been put back
            self._mended_at_s = now_s + _MENDED_S
        for postback in self._directory.every_postback():
            lane = self._lanes.get(postback.id)
            if lane is not None and lane.postback is postback:
                continue
            fault = self.faults.get(postback.id)
            if fault is not None and fault[0] is postback and not is_time:
                continue
            if lane is not None:
                self._close(self._lanes.pop(postback.id))
            await self._open(postback, lane)

    def _close(self, lane: Lane) -> None:
        """End a lane beside all others; what it does not send is handed out again."""

        async def end() -> None:
            unsent = await lane.close(self._drain_s)
            self._desk.release(lane.postback.id, unsent)

        task = asyncio.get_running_loop().create_task(end())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _open(self, postback: Postback, before: Lane | None) -> None:
        gate = self._gates.setdefault(postback.partner or postback.id, Gate())
        gate.hear(postback)
        try:
            ready = spoken(postback, self._vault)
        except (Invalid, VaultLocked) as fault:
            if self.faults.get(postback.id) != (postback, fault.message):
                log.error(  # noqa: TRY400 - its sentence says all
                    "postback_cannot_tell", postback=postback.id, reason=fault.message
                )
            self.faults[postback.id] = postback, fault.message
            return
        self.faults.pop(postback.id, None)
        lane = self._lane(ready, self._came, gate, before)
        await lane.open()
        self._lanes[postback.id] = lane

    def _came(self, attempt: Attempt) -> None:
        self._finished.append(attempt)
        self._wake.set()
