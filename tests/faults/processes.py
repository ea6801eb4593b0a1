"""The processes of a house: each runs the real roles over its own ends of the engines, and can be killed at any call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faults.network import Exchange, Lost, Reply
from faults.partners import WorldDeliverer
from faults.plan import WRITES, Fault

from attribune.api.house import House
from attribune.attribute.attributor import Attributor
from attribune.collect.links import read_touch
from attribune.collect.means import Ways
from attribune.collect.rehearsal import Rehearsal
from attribune.engines.memory import MemoryOutbox, MemoryVault
from attribune.engines.memory_book import MemoryBook
from attribune.journal.buffer import CommitBuffer
from attribune.model.errors import JournalFull, JournalUnavailable, StoreUnavailable
from attribune.registry.targets import resolve
from attribune.registry.view import Registry
from attribune.roles.attributor import AttributorRole
from attribune.roles.bookkeeper import BookkeeperRole
from attribune.roles.collector import CollectorRole
from attribune.roles.postbacker import PostbackerRole
from attribune.roles.postbacker import World as Ends
from attribune.roles.recorder import RecorderRole, lookups_for
from attribune.roles.registrar import RegistrarRole, load

if TYPE_CHECKING:
    from faults.world import World

VERBS = {
    "journal": ("append", "read", "get", "start", "end", "close"),
    "store": ("position", "get", "in_buckets", "rows", "commit", "drop", "close"),
    "answers": ("get", "put", "position", "close"),
    "registry": ("history", "add", "position", "close"),
    "facts": ("insert", "position", "close"),
    "book": ("position", "states", "due", "next_due", "untaken", "commit", "close"),
    "outbox": (
        "fold",
        "position",
        "due",
        "next_due_ms",
        "waiting",
        "about",
        "conversions",
        "bearing",
        "not_sharing",
        "close",
    ),
}


class Killed(BaseException):
    """The process that made the call is no more; nothing of it may run on."""


class Handle:
    """A process's own end of an engine: every call may go wrong, and none is made by the dead."""

    def __init__(self, process: Process, name: str) -> None:
        for verb in VERBS[name]:
            setattr(self, verb, partial(process.call, name, verb))


class Process:
    """Something that is started, works, is killed, and is started again by its supervisor."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.is_alive = False
        #: Whether its roles are made.
        self.is_open = False
        #: Whether it is inside a turn, and so must not be given another one.
        self.is_busy = False
        self.starts = 0
        self._task: asyncio.Task[None] | None = None

    # --- its life

    def start(self) -> None:
        """Begin anew, with nothing but what is on the disk."""
        self.is_alive, self.is_open, self.is_busy = True, False, False
        self.starts += 1
        self.world.note(self.name, "starts")
        self._task = self.world.loop.create_task(self._live())

    def die(self, why: str) -> None:
        """Be no more; the supervisor starts it again after a while."""
        if not self.is_alive:
            return
        self.is_alive = self.is_open = False
        self.world.note(self.name, f"dies: {why}")
        if self._task is not None:
            self._task.cancel()
        self.bury()
        if not self.world.is_over:
            self.world.loop.call_later(self.world.chance.uniform(0.05, 0.6), self.start)

    def fail(self, fault: Exception) -> None:
        """End with a traceback, as a process whose role raises. Only the faults of engines are a reason to."""
        if not self.is_alive:
            return
        self.world.note(self.name, f"fails: {fault!r}")
        if not isinstance(fault, JournalUnavailable | StoreUnavailable):
            self.world.broken.append(f"{self.name} failed by itself: {fault!r}")
        self.die("its role failed")

    async def _live(self) -> None:
        if not self._guarded(self.open):
            return
        self.is_open = True
        while True:
            await asyncio.sleep(self.world.chance.random() * self.world.script.rest_s)
            self.turn()

    def turn(self) -> bool:
        """Work for a moment; others may come in between at every call to an engine. Whether anything was tried."""
        if self.is_busy or not self.is_open:
            return False
        self.is_busy = True
        self._guarded(self.work)
        self.is_busy = False
        return True

    def _guarded(self, deed: Callable[[], None]) -> bool:
        try:
            deed()
        except Killed:
            return False
        except Exception as fault:  # noqa: BLE001 - whatever it is, it ends a process
            self.fail(fault)
            return False
        return True

    def bury(self) -> None:
        """Let go of whatever waits for this life."""

    def open(self) -> None:
        """Make the roles."""

    def work(self) -> None:
        """Let the roles work for a moment."""

    # --- its calls

    def handle(self, name: str) -> Any:
        """This life's end of an engine."""
        return Handle(_Life(self), name)  # type: ignore[arg-type]  # as far as a handle goes

    def call(self, name: str, verb: str, *args: Any, **words: Any) -> Any:
        """Call an engine; what the plan says happens to it."""
        world = self.world
        fault = world.plan.strike(name, verb)
        if fault is None:
            if verb in WRITES:
                world.note(self.name, f"{name}.{verb}")
            result = world.disk.do(name, verb, args, words)
        else:
            result = self._struck(fault, name, verb, args, words)
        if name == "journal" or verb in WRITES:
            world.interleave(self)
        return result

    def _struck(
        self, fault: Fault, name: str, verb: str, args: tuple[Any, ...], words: dict[str, Any]
    ) -> Any:
        world = self.world
        world.note(self.name, f"{name}.{verb} {fault}")
        world.faults += 1
        result = None
        if fault in {Fault.UNCLEAR, Fault.KILL_AFTER, Fault.CUT_AFTER}:
            result = world.disk.do(name, verb, args, words)
        if fault in {Fault.FAIL, Fault.UNCLEAR}:
            raise self._fault(name, verb)
        if fault in {Fault.KILL_BEFORE, Fault.KILL_AFTER}:
            self.die(f"killed at {name}.{verb}")
        else:
            world.power_cut()
        return result

    def _fault(self, name: str, verb: str) -> Exception:
        if name != "journal":
            return StoreUnavailable(f"{name}.{verb} fails on purpose")
        kind = JournalFull if self.world.chance.random() < 0.3 else JournalUnavailable
        return kind(f"{name}.{verb} fails on purpose")


class _Life:
    """One life of a process: its handles die with it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._life = process.starts

    @property
    def world(self) -> World:
        return self._process.world

    @property
    def name(self) -> str:
        return self._process.name

    def call(self, name: str, verb: str, *args: Any, **words: Any) -> Any:
        self.check()
        result = self._process.call(name, verb, *args, **words)
        self.check()
        return result

    def check(self) -> None:
        """Raises Killed when this life is over."""
        if not self._process.is_alive or self._process.starts != self._life:
            raise Killed


class Turns:
    """A stop signal that comes after so many looks at it, and for which nobody waits."""

    def __init__(self, turns: int) -> None:
        self._left = turns

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0

    def wait(self, _wait_s: float) -> bool:
        return False


class AttributorProcess(Process):
    """The attributor."""

    def open(self) -> None:
        world, registry = self.world, Registry()
        judge = Attributor(registry, self.handle("store"), world.enricher, read_touch, world.limits)
        self.role = AttributorRole(
            self.handle("journal"),
            registry,
            judge,
            self.handle("answers"),
            world.clock,
            world.settings,
        )

    def work(self) -> None:
        self.role.run(Turns(self.world.chance.randint(1, 3)))  # type: ignore[arg-type]


class WebProcess(Process):
    """Registrar, recorder and bookkeeper, and the house that the API changes."""

    def open(self) -> None:
        world, journal = self.world, self.handle("journal")
        store = self.handle("registry")
        self.registrar = RegistrarRole(journal, lambda: store, world.settings)
        registry = Registry()
        lookups = lookups_for(journal, registry, world.enricher, read_touch, world.settings)
        self.recorder = RecorderRole(
            journal, self.handle("facts"), registry, lookups, world.settings
        )
        book = self.handle("book")
        self.bookkeeper = BookkeeperRole(journal, lambda: book, world.clock, world.settings)
        self.house = House(
            folder=Path("/nowhere"),
            settings=world.settings,
            base_url="https://t.example",
            clock=world.clock,
            chance=world.tokens,
            journal=journal,
            registry=load(Registry(), store),
            keeper=None,  # type: ignore[arg-type]  # only what changes the registry is used
            enricher=lambda: world.enricher,  # type: ignore[arg-type, return-value]
            facts=lambda: world.disk["facts"],
            outbox=MemoryOutbox,
            book=MemoryBook,
            vault=MemoryVault(),
            dialects=Rehearsal(),
        )

    def change(self, deed: Callable[[House], None]) -> None:
        """Change something through the API. Raises Lost when no answer comes, JournalUnavailable for a 503."""
        if not self.is_open:
            raise Lost("nobody listens")
        try:
            deed(self.house)
        except Killed:
            raise Lost("the API died") from None

    def work(self) -> None:
        roles = [self.registrar, self.recorder, self.bookkeeper]
        self.world.chance.shuffle(roles)
        for role in roles:
            role.run(Turns(self.world.chance.randint(1, 2)))  # type: ignore[arg-type]


class PostbackerProcess(Process):
    """The postbacker: the real role in the world's loop, with the world's partners in the place of HTTP."""

    async def _live(self) -> None:
        try:
            self.open()
            self.is_open = True
            await self.role.serve(lambda: False)
        except Killed:
            pass
        except Exception as fault:  # noqa: BLE001 - whatever it is, it ends a process
            self.fail(fault)

    def open(self) -> None:
        world, life = self.world, _Life(self)
        ends = Ends(
            journal=self.handle("journal"),
            registry=Registry(),
            outbox=self.handle("outbox"),
            vault=MemoryVault(),
            read_touch=read_touch,
            clock=world.clock,
            chance=world.tokens,
            deliverer=partial(WorldDeliverer, world.partners, life),  # type: ignore[arg-type]  # it sends as one does
        )
        self.role = PostbackerRole(ends, world.settings)

    def turn(self) -> bool:
        """Its loop gives it its turns."""
        return False


class Collector(Process):
    """A front door: the real role in the world's loop, with the network in the place of the server."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.server: Server | None = None
        self.buffer: SteppedBuffer | None = None
        self._answers: set[asyncio.Future[Reply]] = set()
        self.hearing: set[asyncio.Task[None]] = set()

    async def _live(self) -> None:
        try:
            role = SteppedCollector(self, load(Registry(), self.handle("registry")))
            self.stop = asyncio.Event()
            await role.serve(self.stop)  # type: ignore[arg-type]  # its is_set is asked and nothing else
        except Killed:
            pass
        except Exception as fault:  # noqa: BLE001 - whatever it is, it ends a process
            self.fail(fault)

    def turn(self) -> bool:
        """Let the writing thread work, which runs beside everything else."""
        return self.buffer is not None and self.buffer.write()

    async def drain(self) -> None:
        """Stop as on a signal: answer what is under way, write what was taken, end."""
        self.stop.set()
        await self._task
        self.is_alive = False

    def hear(self, exchange: Exchange, answered: asyncio.Future[Reply]) -> None:
        """Take a request."""
        assert self.server is not None
        self._answers.add(answered)
        answered.add_done_callback(self._answers.discard)
        task = self.world.loop.create_task(self._hear(self.server.door, exchange))
        self.hearing.add(task)
        task.add_done_callback(self.hearing.discard)

    async def _hear(self, door: Any, exchange: Exchange) -> None:
        # A request that dies with its process ends in silence.
        try:
            await door.__rsgi__(exchange, exchange)
        except Killed:
            return

    @property
    def listens(self) -> bool:
        """Whether requests find it."""
        return self.server is not None and self.server.listens

    def bury(self) -> None:
        self.server = None
        for answered in tuple(self._answers):
            if not answered.done():
                answered.set_exception(Lost(f"{self.name} died"))
        if self.buffer is not None:
            self.buffer.die()
            self.buffer = None
        for task in self.hearing:
            task.cancel()


class Server:
    """Stands in for Granian: it listens until it is stopped, and then until all requests are answered."""

    def __init__(self, collector: Collector, door: Any) -> None:
        self.door = door
        self._collector = collector
        self._stopped = asyncio.Event()
        self.listens = False

    async def serve(self) -> None:
        self._collector.server, self.listens = self, True
        await self._stopped.wait()
        if under_way := tuple(self._collector.hearing):
            await asyncio.wait(under_way)

    def stop(self) -> None:
        self.listens = False
        self._stopped.set()


class SteppedCollector(CollectorRole):
    """The collector, whose buffer and server are the world's."""

    def __init__(self, collector: Collector, registry: Registry) -> None:
        world = collector.world
        super().__init__(
            collector.name,
            collector.handle("journal"),
            registry,
            collector.handle("answers"),
            world.clock,
            world.tokens,
            world.settings,
            Ways(resolve, str, "https://t.example"),
        )
        self._collector = collector

    async def serve(self, stop: Any) -> None:
        """Serve until told to stop."""
        await self._serve(stop)

    def _commit_buffer(self) -> CommitBuffer:
        self._collector.buffer = SteppedBuffer(self._collector, self._journal, self._settings)
        return self._collector.buffer

    def _server(self, door: Any) -> Any:
        self.door = door
        self._collector.world.doors.append(door)
        return Server(self._collector, door)


class SteppedBuffer(CommitBuffer):
    """The commit buffer, whose writing thread gets its turns from the world."""

    def __init__(self, collector: Collector, journal: Any, settings: Any) -> None:
        super().__init__(
            journal, entries_max=settings.commit_entries_max, queue_max=settings.commit_queue_max
        )
        self._collector = collector
        self._waiting_commits: list[Any] = []
        self._is_writing = False

    def _begin(self) -> None:
        """The world gives the turns: no thread of its own."""

    def _hand_over(self, commit: Any) -> None:
        self._waiting_commits.append(commit)
        world = self._collector.world
        world.loop.call_later(world.chance.random() * 0.03, self.write)

    def write(self) -> bool:
        """Write what was handed over first, unless the thread is busy or there is nothing. Whether it did."""
        if self._is_writing or not self._waiting_commits:
            return False
        commit = self._waiting_commits.pop(0)
        self._is_writing = True
        try:
            self._write(commit)
        except Killed as killed:
            commit.set_exception(killed)
        finally:
            self._is_writing = False
        return True

    async def close(self) -> None:
        await super().close()
        while self._waiting_commits:
            self.write()

    def die(self) -> None:
        """The thread is no more; nobody learns what became of its commits."""
        for commit in self._waiting_commits:
            commit.set_exception(Killed())
        self._waiting_commits.clear()
