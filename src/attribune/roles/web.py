"""The web role: one process for the registrar, the recorder, and the API on its port and on the admin socket."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog
from granian.constants import Interfaces

from attribune.roles.base import Role
from attribune.roles.heartbeat import Pulse
from attribune.roles.places import HttpServer
from attribune.roles.process import seldom_gc

log = structlog.get_logger()

#: How often a serving API looks whether it should stop.
_STOP_POLL_S: Final = 0.05
_BACKLOG: Final = 256
#: Connections held at a time, idle ones too, and how long one may take for a request's head or rest between two.
_CONNECTIONS_MAX: Final = 4096
_IDLE_WAIT_MS: Final = 10_000
_SOCKET_MODE: Final = 0o600


class ApiServer:
    """Serves an ASGI application on a port and, for the operator, on a unix socket."""

    name = "web"

    def __init__(
        self,
        app: Any,
        trusted_app: Any,
        address: tuple[str, int],
        socket: Path,
        drain_s: float,
        keys_used_at_ms: Mapping[str, int],
    ) -> None:
        """Take the application for everybody and the one for the operator, and where they listen.

        A stopping server finishes the requests under way for ``drain_s``; ``keys_used_at_ms`` is what the application notes of
        its keys.
        """
        self._app = app
        self._trusted_app = trusted_app
        self._address = address
        self._socket = socket
        self._drain_s = drain_s
        self._keys_used_at_ms = keys_used_at_ms
        self._is_ready = False
        self._connections_closed = 0

    def run(self, stop: threading.Event) -> None:
        """Serve until told to stop. Raises OSError when port or socket cannot be had."""
        asyncio.run(self._serve(stop))

    def state(self) -> dict[str, Any]:
        """Whether it listens."""
        return {
            "is_ready": self._is_ready,
            "counters": {"connections_closed": self._connections_closed},
            "keys_used_at_ms": dict(self._keys_used_at_ms),
        }

    async def _serve(self, stop: threading.Event) -> None:
        logging.getLogger("_granian").setLevel(logging.WARNING)
        self._socket.unlink(missing_ok=True)  # left by a house that was killed; the lock is ours
        folder = os.open(self._socket.parent, os.O_RDONLY | os.O_DIRECTORY)
        host, port = self._address
        servers = [
            self._server(self._app, address=host, port=port),
            self._server(self._trusted_app),
        ]
        # By the folder's descriptor, since a socket's path may have 107 bytes only.
        servers[1].bind_uds = Path(f"/proc/self/fd/{folder}/{self._socket.name}")
        servers[1].uds_permissions = _SOCKET_MODE
        tasks = [asyncio.create_task(server.serve()) for server in servers]
        try:
            while not stop.is_set() and not any(task.done() for task in tasks):
                self._is_ready = self._is_ready or self._socket.exists()
                await asyncio.sleep(_STOP_POLL_S)
        finally:
            self._is_ready = False
            await self._drain(servers, tasks)
            self._socket.unlink(missing_ok=True)
            os.close(folder)
        if not stop.is_set():
            raise RuntimeError("the HTTP server ended by itself")

    def _server(self, app: Any, **where: Any) -> HttpServer:
        return HttpServer(
            app,
            interface=Interfaces.ASGINL,
            backlog=_BACKLOG,
            connections_max=_CONNECTIONS_MAX,
            idle_wait_ms=_IDLE_WAIT_MS,
            note_closed=self._note_closed,
            **where,
        )

    def _note_closed(self, count: int) -> None:
        self._connections_closed += count

    async def _drain(self, servers: list[HttpServer], tasks: list[asyncio.Task[None]]) -> None:
        """Finish the requests under way, and cut those that take too long."""
        for server in servers:
            server.stop()  # type: ignore[no-untyped-call]  # granian's own types say nothing
        _, late = await asyncio.wait(tasks, timeout=self._drain_s)
        for task in late:
            log.warning("requests_cut")
            task.cancel()
        for task in tasks:
            if not task.cancelled() and task.done() and task.exception() is not None:
                raise task.exception() or RuntimeError


class WebRole:
    """Runs the roles of one process in threads, the API in the main one; if one fails, all end and are started again."""

    name = "web"

    def __init__(self, api: ApiServer, others: list[Role], pulse: Pulse) -> None:
        """Take the API and the roles beside it."""
        self._api = api
        self._threads = {role.name: RoleThread(role, pulse, self._fail) for role in others}
        self._stop: threading.Event | None = None
        self.fatal = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Run everything until told to stop; then the API first, so that nothing new begins."""
        self._stop = stop
        with seldom_gc():
            for thread in self._threads.values():
                thread.start()
            try:
                self._api.run(stop)
            finally:
                for thread in self._threads.values():
                    thread.stop()

    def state(self) -> dict[str, Any]:
        """Where the API stands; the others say so themselves."""
        return self._api.state()

    def between(self, role: Role, deed: Callable[[], None]) -> None:
        """Do something while a role of this process rests; it goes on afterwards."""
        thread = self._threads[role.name]
        thread.stop()
        try:
            deed()
        finally:
            thread.start()

    def _fail(self) -> None:
        self.fatal.set()
        if self._stop is not None:
            self._stop.set()


class RoleThread:
    """A role in a thread that can be stopped and started again. What it raises is said in its heartbeat and told."""

    def __init__(self, role: Role, pulse: Pulse, failed: Callable[[], None]) -> None:
        """Start nothing yet."""
        self._role = role
        self._pulse = pulse
        self._failed = failed
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Let the role run."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self._role.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Tell the role to stop, and wait until it has."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        try:
            self._role.run(self._stop)
        except Exception as fault:
            self._pulse.failed(self._role, fault)
            log.exception("role_failed", failed=self._role.name)
            self._failed()
