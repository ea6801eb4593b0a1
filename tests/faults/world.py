"""A whole house in one thread under one seed: senders, network, processes, disk and clock, all of which may fail."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

from faults.disk import Disk
from faults.loop import VirtualLoop
from faults.network import Network
from faults.partners import Partners
from faults.plan import NoFaults, Plan, RandomFaults
from faults.processes import AttributorProcess, Collector, PostbackerProcess, Process, WebProcess
from faults.senders import Operator, Person
from faults.town import POSTBACKS, REGISTERED, PlainEnricher

from attribune.attribute.turn import Limits
from attribune.engines.system import MemoryChance
from attribune.model.codec import decode, encode
from attribune.model.control import Change, Correct
from attribune.model.delivery import OutboxRow
from attribune.model.ids import START, PostbackId
from attribune.model.outcome import Attribution
from attribune.model.position import Topic
from attribune.settings import Settings

#: 2026-03-02 09:00 UTC.
T0_MS = 1_772_442_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
#: The world's own time after which a story that has not come to its end is a failure, in seconds.
_STORY_S = 600.0
_SETTLE_S = 120.0
#: How many processes may be inside each other's calls.
_DEPTH_MAX = 3


@dataclass(frozen=True)
class Script:
    """How much happens."""

    people: int = 5
    acts: int = 8
    changes: int = 12
    collectors: int = 2
    #: Longest rest between two turns of a process, in seconds.
    rest_s: float = 0.08


#: As small as a story can be that has every kind of process; idle processes look seldom, since each look is a call.
SMALL = Script(people=2, acts=3, changes=1, collectors=1, rest_s=0.4)


@dataclass
class Ledger:
    """What was sent, and what the senders were told became of it."""

    #: Type by record id.
    sent: dict[str, str] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    #: Touch ids that were given out.
    touches: set[str] = field(default_factory=set)

    def accept(self, id_: str) -> None:
        """A sender was told that a record is kept for good."""
        self.accepted.add(id_)


class Clock:
    """The machine's clock: it goes with the world, and is set now and then."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.set_ms = T0_MS

    def now_ms(self) -> int:
        return self.set_ms + int(self._loop.now_s * 1000)


class World:
    """A house and those outside, from one seed.

    ``plan`` says which calls fail (None: at random); ``script`` how much happens.
    """

    def __init__(self, seed: int, plan: Plan | None = None, script: Script | None = None) -> None:
        self.seed = seed
        self.script = script or Script()
        self.chance = random.Random(f"{seed}/world")
        self.plan: Plan = plan or RandomFaults(random.Random(f"{seed}/faults"))
        self._is_calm = plan is not None
        self.loop = VirtualLoop()
        self.clock = Clock(self.loop)
        self.tokens = MemoryChance(seed)
        self.settings = self._draw_settings()
        self.limits = Limits(
            record_memory_ms=self.settings.record_memory_ms,
            held_events_max=self.settings.held_events_max,
            candidates_max=self.settings.candidates_max,
            touch_memory_ms=self.settings.touch_memory_ms,
        )
        self.enricher = PlainEnricher()
        self.disk = Disk()
        self.network = Network(random.Random(f"{seed}/network"))
        self.ledger = Ledger()
        #: Front doors that were ever opened.
        self.doors: list[object] = []
        #: Broken promises that were seen under way.
        self.broken: list[str] = []
        self.trace: list[str] = []
        self.faults = 0
        self.is_over = False
        #: Where the consumers stood at the end, and how many decisions came out differently when they were made again.
        self.attributor_position = self.recorder_position = START
        self.differences = 0
        self._depth = 0
        collectors = [Collector(self, f"collector-{n + 1}") for n in range(self.script.collectors)]
        self.web = WebProcess(self, "web")
        self.attributor = AttributorProcess(self, "attributor")
        self.partners = Partners(self)
        self.postbacker = PostbackerProcess(self, "postbacker")
        self.processes: list[Process] = [*collectors, self.attributor, self.web, self.postbacker]
        self.network.collectors = collectors
        if self._is_calm:
            self._heal()

    def _draw_settings(self) -> Settings:
        """Small batches, so that there are many places to fail at."""
        chance = self.chance
        return Settings(
            read_entries_max=chance.choice((1, 3, 10, 50)),
            record_rows_max=chance.choice((1, 5, 100)),
            commit_entries_max=chance.choice((1, 4, 64)),
            commit_queue_max=64,
            tick_ms=1000,
            attribution_wait_ms=50,
            held_events_max=chance.choice((2, 1000)),
            drain_ms=60_000,
            postback_wait_ms=1000 if self._is_calm else chance.choice((20, 200)),
        )

    # --- running

    def run(self) -> World:
        """Live the whole story, and settle. Raises Stuck when it does not come to its end."""
        records = [(Topic.CONTROL, encode(Change(at_ms=T0_MS, record=r))) for r in REGISTERED]
        self.disk["journal"].append(records)
        try:
            self.loop.run_until_complete(self._run())
        finally:
            self._end()
        return self

    def _end(self) -> None:
        """Let nothing of the house run on."""
        self.is_over = True
        for process in self.processes:
            process.die("the world ends")
        while left := asyncio.all_tasks(self.loop):
            for task in left:
                task.cancel()
            self.loop.run_until_complete(asyncio.wait(left, timeout=_STORY_S))
        self.loop.close()

    async def _run(self) -> None:
        for process in self.processes:
            process.start()
        weather = self.loop.create_task(self._weather())
        senders = [Person(self, n) for n in range(self.script.people)]
        stories = asyncio.gather(Operator(self).live(), *(sender.live() for sender in senders))
        await asyncio.wait_for(stories, _STORY_S)
        await asyncio.sleep(self.chance.random())
        weather.cancel()
        self.plan = NoFaults()
        self._heal()
        await self._settle()
        await self._stop_collectors()
        self.clock.set_ms += HOUR_MS
        self.note("clock", "an hour later")
        await self._settle()
        self.clock.set_ms += 4 * DAY_MS
        self.note("clock", "four days later")
        await self._settle()
        self.differences = self.attributor.role.state()["differences"]
        self.attributor_position = self.attributor.role.reached
        self.recorder_position = self.web.recorder.position()

    async def _settle(self) -> None:
        """Nothing fails any more: wait until the roles have nothing left to do."""
        end, since_s = START, self.loop.now_s
        while self.loop.now_s - since_s < _SETTLE_S:
            await asyncio.sleep(0.5)
            if end == self.disk["journal"].end() and self.is_settled():
                return
            end = self.disk["journal"].end()
        self.broken.append(f"the roles have not caught up within {_SETTLE_S} s without faults")

    def is_settled(self) -> bool:
        """Whether every role has come to the journal's end."""
        if not all(
            process.is_open or process in self.network.collectors for process in self.processes
        ):
            return False
        end = self.disk["journal"].end()
        web = self.web
        return (
            self.attributor.role.reached
            == end
            == web.recorder.position()
            == web.bookkeeper.position()
            == self.postbacker.role.position()
        ) and not self.untold()

    def untold(self) -> list[OutboxRow]:
        """What partners should have been told by now; what waits for something earlier, which is not due, is not."""
        now_ms, outbox = self.clock.now_ms(), self.disk["outbox"]
        return [
            row
            for name, _, in_order in POSTBACKS
            for row in outbox.due(PostbackId(name), now_ms, 1, in_order=in_order)
        ]

    def _heal(self) -> None:
        """Whoever is outside is well."""
        self.network.heal()
        self.partners.is_well = True

    async def _stop_collectors(self) -> None:
        for collector in self.network.collectors:
            if collector.is_alive:
                await collector.drain()

    async def _weather(self) -> None:
        """What happens to the machine and not at a call: the clock is set, time passes, processes are killed."""
        while True:
            await asyncio.sleep(self.chance.random() * 2.0)
            self.clock.set_ms += self.chance.choice((0, 1000, 60_000, HOUR_MS, 9 * HOUR_MS))
            if self._is_calm:
                continue
            event = self.chance.random()
            if event < 0.1:
                jump = self.chance.choice((-DAY_MS, -600_000, -1000, 3 * DAY_MS))
                self.note("clock", f"jumps {jump} ms")
                self.clock.set_ms += jump
            elif event < 0.3:
                self.chance.choice(self.processes).die("killed")
            elif event < 0.35:
                self.power_cut()

    # --- what goes wrong

    def power_cut(self) -> None:
        """Every process dies at once, and the disk keeps what was synced."""
        self.note("machine", "loses power")
        for process in self.processes:
            process.die("power")
        self.disk.cut(self.chance)

    def interleave(self, caller: Process) -> None:
        """Let another process work while this one is inside a call."""
        if self._depth >= _DEPTH_MAX or self.chance.random() < 0.8:
            return
        other = self.chance.choice(self.processes)
        if other is caller and not isinstance(other, Collector):
            return
        self._depth += 1
        try:
            other.turn()
        finally:
            self._depth -= 1

    # --- looking

    def note(self, who: str, what: str) -> None:
        """One line of the trace."""
        self.trace.append(f"{self.loop.now_s:9.4f} {who:<12} {what}")

    def fingerprint(self) -> str:
        """Tells one run from another: all that happened, and what stands in the journal."""
        found = blake2b(digest_size=16)
        for line in self.trace:
            found.update(line.encode())
        for entry in self.disk["journal"].read(tuple(Topic), START, 1_000_000):
            found.update(b"%d %s " % (entry.position, entry.topic.encode()) + entry.payload)
        return found.hexdigest()

    def attributions(self) -> Iterator[Attribution]:
        """What was decided about conversions, all revisions."""
        for entry in self.disk["journal"].read((Topic.OUTCOMES,), START, 1_000_000):
            record = decode(entry)
            if isinstance(record, Attribution):
                yield record

    def asked_corrections(self, journal: object) -> set[str]:
        """The corrections that stand in the journal, as a process reads it."""
        entries = journal.read((Topic.CONTROL,), START, 1_000_000)  # type: ignore[attr-defined]
        changes = (decode(entry) for entry in entries)
        return {c.record.id for c in changes if isinstance(c.record, Correct)}  # type: ignore[union-attr]
