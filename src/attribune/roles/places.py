"""Places for connections: those that rest longest make room for others before the last place is taken.

The HTTP server holds so many connections and no more; who comes later waits until one ends. Without a rule for who must go, a few
thousand that say nothing would shut everybody out for as long as a connection may rest.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import structlog
from granian.http import HTTP1Settings
from granian.server.embed import Server

from attribune.roles.process import connections_of

#: How often is looked whether places are few.
_LOOK_S: Final = 0.1
#: Places are few when less than this part of them is free; then connections are closed until the second part is.
_FEW: Final = 1 / 8
_ENOUGH: Final = 1 / 4
#: Who said something, or was told something, within this time is at work and is never closed to make room.
AT_WORK_MS: Final = 500
#: In ``tcp_info`` of the kernel: milliseconds since data was last sent and since data last came (linux/tcp.h).
_TIMES: Final = struct.Struct("=44xI4xI")
_OPEN_FILES: Final = Path("/proc/self/fd")

log = structlog.get_logger()


class HttpServer(Server):
    """Granian's server, whose places nobody can keep from others."""

    def __init__(
        self,
        app: Any,
        *,
        connections_max: int,
        idle_wait_ms: int,
        note_closed: Callable[[int], None],
        head_bytes_max: int = HTTP1Settings.max_buffer_size,
        **options: Any,
    ) -> None:
        """Take the application, where it listens, and the limits.

        ``note_closed`` hears how many connections were closed to make room. ``head_bytes_max``: what is read ahead of a
        connection, and so the longest head of a request.
        """
        # Granian counts connections here, those that say nothing too.
        places = connections_of(connections_max)
        super().__init__(
            app,
            websockets=False,
            backpressure=places,
            http1_settings=HTTP1Settings(
                header_read_timeout=idle_wait_ms, max_buffer_size=head_bytes_max
            ),
            log_enabled=False,
            **options,
        )
        self._places = Places(places, idle_wait_ms)
        self._note_closed = note_closed

    async def serve(self, spawn_target: Callable[..., None] | None = None) -> None:  # type: ignore[override]  # granian's own
        """Serve until stopped."""
        watching = None if self.bind_uds else asyncio.create_task(self._watch())
        try:
            await super().serve(spawn_target)
        finally:
            if watching is not None:
                watching.cancel()

    async def _watch(self) -> None:
        # Granian does not say when it listens.
        while not await asyncio.to_thread(self._places.limit_unread, self.bind_port):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)
        while True:
            await asyncio.sleep(_LOOK_S)
            if not self._places.may_be_few():
                continue
            try:
                closed = await asyncio.to_thread(self._places.make_room, self.bind_port)
            except OSError as fault:
                log.warning("connections_not_looked_at", reason=str(fault))
                continue
            if closed:
                self._note_closed(closed)
                log.warning("connections_closed_to_make_room", closed=closed)


class Places:
    """The connections of this process at one port, as the kernel knows them."""

    def __init__(self, most: int, unread_wait_ms: int) -> None:
        """Take how many there may be, and how long an answer may wait for who asked to read on."""
        self._most = most
        self._unread_wait_ms = unread_wait_ms

    def limit_unread(self, port: int) -> bool:
        """Let the kernel end connections whose peer takes nothing of what is sent; whether the port listens yet.

        The server times a head only: who asks and never reads the answer would keep its place for ever.
        """
        found = False
        for number in _open_files():
            with _held(number) as link:
                if link and _is_listening(link) and link.getsockname()[1] == port:
                    # What is accepted inherits it (tcp(7), RFC 5482); it also ends who advertises no window.
                    link.setsockopt(
                        socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._unread_wait_ms
                    )
                    found = True
        return found

    def may_be_few(self) -> bool:
        """Whether so many files are open that places may be few; a cheap question, and no is certain."""
        # Linux 6.2 and later say the number here, earlier ones nothing.
        count = _OPEN_FILES.stat().st_size or len(_open_files())
        return count > self._most * (1 - _FEW)

    def make_room(self, port: int) -> int:
        """When few places are left, close the connections that rest longest; how many."""
        rests = sorted(_rests(port), reverse=True)
        if len(rests) <= self._most * (1 - _FEW):
            return 0
        surplus = len(rests) - int(self._most * (1 - _ENOUGH))
        return sum(_close(number, port) for _, number in rests[:surplus])


def _open_files() -> list[int]:
    return [int(name) for name in os.listdir(_OPEN_FILES)]  # noqa: PTH208 - paths cost twice as much


@contextmanager
def _held(number: int) -> Iterator[socket.socket | None]:
    """The socket behind a number, under a number of our own: its owner may close it and the number may be given anew.

    What is no socket is left alone. To close a second number of a file gives up every lock that the process has on the file
    (fcntl(2)), and LMDB's lock on a segment is what keeps others from making its table of writers anew below us.
    """
    if not _is_socket(number):
        yield None
        return
    try:
        ours = os.dup(number)
    except OSError:  # gone
        yield None
        return
    if not _is_socket(ours):  # given anew a moment ago: for the same reason it stays open
        yield None
        return
    with socket.socket(fileno=ours) as link:
        yield link


def _is_socket(number: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:  # gone
        return False


def _is_listening(link: socket.socket) -> bool:
    return (
        link.family in {socket.AF_INET, socket.AF_INET6}
        and link.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0
    )


def _rests(port: int) -> Iterator[tuple[int, int]]:
    """How long each connection of the port has rested, milliseconds, and its number."""
    for number in _open_files():
        with _held(number) as link:
            rest = _rest_ms(link, port) if link else None
        if rest is not None:
            yield rest, number


def _rest_ms(link: socket.socket, port: int) -> int | None:
    """Milliseconds since a connection of the port last said or heard something; None when it is none."""
    if link.family not in {socket.AF_INET, socket.AF_INET6} or _is_listening(link):
        return None
    if link.getsockname()[1] != port:
        return None
    info = link.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TIMES.size)
    told_ms, said_ms = _TIMES.unpack(info)
    return min(int(told_ms), int(said_ms))


def _close(number: int, port: int) -> bool:
    """End a connection, unless it is at work; whether it was ended. Its owner sees that its peer has gone."""
    with _held(number) as link:
        if link is None:
            return False
        rest = _rest_ms(link, port)
        if rest is None or rest < AT_WORK_MS:
            return False
        try:
            link.shutdown(socket.SHUT_RDWR)
        except OSError:  # it ended a moment ago
            return False
    return True
