"""An event loop whose time is made up: nothing waits, so that hours pass in a moment and every run is the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class Stuck(AssertionError):
    """Everybody waits for something that nobody will do."""


class _NoSockets:
    """What the loop asks for sockets: there are none, so the time until the next deed passes at once."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Stuck("everybody waits and nothing is due")
        self._loop.now_s += max(timeout, 0)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop without sockets and threads: its clock jumps to whatever is due next, what runs in a thread runs at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self._selector = _NoSockets(self)
        # Tasks of killed processes never end; that is the point of them.
        self.set_exception_handler(lambda _loop, _context: None)

    def time(self) -> float:
        return self.now_s

    def run_in_executor(self, _executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except BaseException as fault:  # noqa: BLE001 - whoever awaits it hears of it
            done.set_exception(fault)
        return done

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps."""
