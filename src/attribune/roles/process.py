"""What every role's process does beside its work: dies with its supervisor, logs, beats, stops on a signal."""

from __future__ import annotations

import ctypes
import gc
import io
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType
from typing import Final, TextIO, cast

import structlog

#: Names the supervisor's process to its children.
SUPERVISOR_VARIABLE: Final = "ATTRIBUNE_SUPERVISOR_PID"
_PR_SET_PDEATHSIG: Final = 1
#: Loaded before any fork: between fork and exec nothing may be opened or imported.
_libc: Final = ctypes.CDLL(None, use_errno=True)
#: Files that a role opens beside its connections: segments, stores, logs.
OTHER_FILES: Final = 256
#: Objects made between two looks of the collector for garbage. A request leaves none behind, so looking seldom saves a
#: tenth of the time of a click.
_GC_THRESHOLD: Final = 20_000


def die_with(supervisor_pid: int) -> None:
    """Ask the kernel to kill this process when its supervisor dies, however that happens.

    Called between fork and exec: what a process asks survives exec, and a supervisor killed while its child still loads Python
    would otherwise leave an orphan. Ends at once when the supervisor died before it could be asked.
    """
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel does not tell when a parent dies")
    if os.getppid() != supervisor_pid:
        os._exit(1)


def connections_of(wanted: int) -> int:
    """How many connections this process may hold: as many as wanted, or as the system's limit of open files leaves.

    Raises the process's own limit as far as it may; who accepts more than there are files for can open nothing else.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, soft - OTHER_FILES))


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set while the block runs. Must be entered in the main thread."""
    stop = threading.Event()
    # A signal may come while its own thread holds the event's lock, in a wait; to set the event there would wait for ever.
    # So a thread does, and is told through what may be put into at any moment (queue.SimpleQueue.put).
    came: SimpleQueue[int] = SimpleQueue()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        came.put(number)

    def watch() -> None:
        while came.get():
            stop.set()

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)
    }
    watcher = threading.Thread(target=watch, name="signals", daemon=True)
    watcher.start()
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        came.put(0)
        watcher.join()


@contextmanager
def seldom_gc() -> Iterator[None]:
    """Look for garbage seldom, and never among what stands since the start, while the block runs.

    Once in a process, around all that it does. Entering begins all counts anew and leaving makes everything old, whoever made it: a
    thread that did so again and again would keep the garbage of all others from ever being found.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


class LogStream(io.TextIOBase):
    """A file descriptor to log to that never fails who logs: a line that cannot be written is lost, and counted.

    The log may lie on the very disk that is full, and a warning about that must not become the fault.
    """

    def __init__(self, descriptor: int) -> None:
        """Write to an open descriptor, which stays open."""
        super().__init__()
        self._descriptor = descriptor
        self.lost = 0

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Write it all, or count it as lost."""
        left = memoryview(text.encode(errors="backslashreplace"))
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            self.lost += 1
        return len(text)


def log_to_stderr(role: str, level: str) -> None:
    """Log as JSON lines on stderr, each with the role's name; what libraries log comes the same way."""
    stream = LogStream(sys.stderr.fileno())
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    shared: list[structlog.types.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *shared,
            _with_role(role),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", stream)),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processor=structlog.processors.JSONRenderer(),
            foreign_pre_chain=[*shared, _with_role(role)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))


def _with_role(role: str) -> structlog.types.Processor:
    def add(
        _logger: structlog.types.WrappedLogger, _method: str, event: structlog.types.EventDict
    ) -> structlog.types.EventDict:
        event["role"] = role
        return event

    return add
