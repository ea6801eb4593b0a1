"""The collector: one process of the front door. Several share the port, each with its own view of the registry."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, Final, cast

import structlog
import uvloop
from granian.constants import HTTPModes, Interfaces

from attribune.collect.app import FrontDoor
from attribune.collect.means import Ways
from attribune.journal.buffer import CommitBuffer
from attribune.model.codec import decode
from attribune.model.control import Change, Door, Key, Link
from attribune.model.errors import AttribuneError
from attribune.model.ids import DoorId, LinkId, Position
from attribune.model.position import Entry, Topic
from attribune.ports import NOW, Answers, Chance, Clock, Directory, Journal
from attribune.registry.view import Registry
from attribune.roles.places import HttpServer
from attribune.roles.process import seldom_gc
from attribune.settings import Settings

#: How often a running collector looks whether it should stop.
_STOP_POLL_S: Final = 0.05
#: Requests of a stopping collector that are under way are cut when this part of ``drain_ms`` is over.
_SERVER_SHARE: Final = 0.7


#: What is read ahead of a connection, and so the longest head of a request; a longer one is answered 431.
_BUFFER_BYTES_MAX: Final = 65_536

log = structlog.get_logger()


class FreshDirectory:
    """A registry that looks for changes before it says that something is unknown.

    So whoever was told a new key or link can use it at once; what is changed or ended is in force with the next look.
    """

    def __init__(self, registry: Registry, catch_up: Callable[[], int]) -> None:
        """Take the view, and what leads it to the journal's end and says how many changes there were."""
        self._registry = registry
        self._catch_up = catch_up

    def __getattr__(self, name: str) -> Any:
        """Everything else is the registry's."""
        return getattr(self._registry, name)

    def key(self, sha256: str) -> Key | None:
        """The key with this hash."""
        return self._registry.key(sha256) or (
            self._registry.key(sha256) if self._catch_up() else None
        )

    def link(self, link: LinkId, at: Position = NOW) -> Link | None:
        """A link, newest or as of a place."""
        found = self._registry.link(link, at)
        return found or (self._registry.link(link, at) if self._catch_up() else None)

    def door(self, door: DoorId, at: Position = NOW) -> Door | None:
        """A door, newest or as of a place."""
        found = self._registry.door(door, at)
        return found or (self._registry.door(door, at) if self._catch_up() else None)


class CollectorRole:
    """Serves the front door: requests into the journal, many to a disk write, and answers once they are durable."""

    def __init__(  # noqa: PLR0913, PLR0917 - the ports of a process
        self,
        name: str,
        journal: Journal,
        registry: Registry,
        answers: Answers,
        clock: Clock,
        chance: Chance,
        settings: Settings,
        ways: Ways,
    ) -> None:
        """Take the ports. ``registry`` is this role's own view; it follows the topic from where it stands."""
        self.name = name
        self._journal = journal
        self._registry = registry
        self._answers = answers
        self._clock = clock
        self._chance = chance
        self._settings = settings
        self._ways = ways
        self._door: FrontDoor | None = None
        self._buffer: CommitBuffer | None = None
        self._last_error: str | None = None
        self._is_ready = False

    def run(self, stop: threading.Event) -> None:
        """Serve until told to stop, then finish what is under way within ``drain_ms``.

        Raises JournalUnavailable, JournalDamaged, OSError when the port cannot be had.
        """
        logging.getLogger("_granian").setLevel(logging.WARNING)
        with seldom_gc(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve(stop))

    def state(self) -> dict[str, Any]:
        """Where the role stands. ``keys_used_at_ms`` says when each key was last used."""
        door, buffer = self._door, self._buffer
        if door is None or buffer is None:
            return {"is_ready": False}
        counted = door.counters
        return {
            "is_ready": self._is_ready,
            "position": self._registry.position,
            "last_error": self._last_error,
            "counters": {
                **{name: getattr(counted, name) for name in counted.__struct_fields__},
                "commits": buffer.commits,
                "entries": buffer.entries,
                "commit_failures": buffer.failures,
                "commit_overflows": buffer.overflows,
            },
            "keys_used_at_ms": dict(door.keys_used_at_ms),
        }

    async def _serve(self, stop: threading.Event) -> None:
        settings = self._settings
        self._buffer = buffer = self._commit_buffer()
        self._door = door = FrontDoor(
            cast("Directory", FreshDirectory(self._registry, self._catch_up)),
            buffer,
            self._answers,
            self._clock,
            self._chance,
            settings,
            self._ways,
        )
        while self._learn(self._read()):
            pass
        server = self._server(door)
        serving = asyncio.create_task(server.serve())
        following = asyncio.create_task(self._follow(door))
        try:
            # A thread's event, set by a signal handler: it cannot be awaited.
            while not stop.is_set() and not serving.done():
                await asyncio.sleep(_STOP_POLL_S)
                self._is_ready = not serving.done()
        finally:
            self._is_ready = False
            door.is_draining = True
            following.cancel()
            await self._drain(server, serving, buffer)
        if not stop.is_set():
            raise OSError(f"port {settings.port} of {settings.host} is lost: {_why(serving)}")

    def _commit_buffer(self) -> CommitBuffer:
        return CommitBuffer(
            self._journal,
            entries_max=self._settings.commit_entries_max,
            queue_max=self._settings.commit_queue_max,
        )

    def _server(self, door: FrontDoor) -> HttpServer:
        settings = self._settings
        return HttpServer(
            door,
            address=settings.host,
            port=settings.port,
            interface=Interfaces.RSGI,
            http=HTTPModes.http1,
            backlog=settings.backlog,
            connections_max=settings.connections_max,
            idle_wait_ms=settings.idle_wait_ms,
            head_bytes_max=_BUFFER_BYTES_MAX,
            note_closed=door.note_closed,
        )

    async def _drain(
        self, server: HttpServer, serving: asyncio.Task[None], buffer: CommitBuffer
    ) -> None:
        """Finish the requests under way, cut what takes too long, and write what was taken."""
        server.stop()  # type: ignore[no-untyped-call]  # granian's own
        drain_s = self._settings.drain_ms / 1000
        _, late = await asyncio.wait((serving,), timeout=drain_s * _SERVER_SHARE)
        if late:
            log.warning("requests_cut", role=self.name)
            serving.cancel()
        await asyncio.wait_for(buffer.close(), drain_s)

    async def _follow(self, door: FrontDoor) -> None:
        """Take over what is changed in the registry, for as long as the role runs."""
        wait_s = self._settings.control_wait_ms / 1000
        while True:
            await asyncio.sleep(wait_s)
            try:
                entries = await asyncio.to_thread(self._read)
            except AttribuneError as fault:
                # Old links and keys serve better than none; the heartbeat says why they are old.
                self._last_error = fault.message
                log.warning("registry_not_followed", reason=fault.message)
                continue
            self._last_error = None
            if self._learn(entries):
                door.registry_changed()

    def _catch_up(self) -> int:
        """Take over what has been changed up to now; how many changes there were."""
        try:
            found = self._learn(self._read())
        except AttribuneError as fault:
            self._last_error = fault.message
            return 0
        if found and self._door:
            self._door.registry_changed()
        return found

    def _read(self) -> list[Entry]:
        return self._journal.read(
            (Topic.CONTROL,), self._registry.position, self._settings.read_entries_max
        )

    def _learn(self, entries: list[Entry]) -> int:
        """Apply changes to this role's view of the registry; how many there were."""
        for entry in entries:
            change = decode(entry)
            assert isinstance(change, Change)
            self._registry.apply(entry.position, change)
        return len(entries)


def _why(ended: asyncio.Task[None]) -> str:
    """Why the HTTP server ended by itself, in one line."""
    fault = ended.exception() if not ended.cancelled() else None
    return str(fault).partition("\n")[0] if fault else "the HTTP server ended by itself"
