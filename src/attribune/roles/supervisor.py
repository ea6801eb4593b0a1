"""The supervisor: starts the roles as processes, starts again what dies, and takes everything down with it.

Errands are done from time to time beside them, by processes that end when they are done.

It does no work of its own that could fail: it holds the folder's lock and the ports' names, waits for children, and obeys
markers in ``run/restart/``. A marker named after a role restarts it; the path of each line in it, inside the data folder,
is removed while the role is down (this is how stores are made again).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import structlog

from attribune.model.errors import Invalid
from attribune.ports import Clock
from attribune.roles.folder import write_whole
from attribune.roles.process import SUPERVISOR_VARIABLE, die_with
from attribune.settings import Settings

log = structlog.get_logger()

STATE_FILE: Final = "run/supervisor.json"
RESTART_FOLDER: Final = "run/restart"
_POLL_S: Final = 0.05
#: A role that ran this long is healthy: its next death is waited for shortly again.
_HEALTHY_S: Final = 60.0
#: An errand waits so long for the house to work before it begins, and so long after it failed, doubling, until it is tried again. Seconds.
_ERRAND_FIRST_S: Final = 60.0
_ERRAND_AGAIN_S: Final = 600.0
#: What may be removed while a role is down.
_REMOVABLE: Final = frozenset({"store", "answers", "outbox.db", "outbox.db-wal", "outbox.db-shm"})
_CONNECT_S: Final = 0.2


class ChildState(msgspec.Struct, kw_only=True):
    """What the supervisor knows of one role."""

    role: str
    pid: int | None = None
    started_at_ms: int | None = None
    restarts: int = 0
    last_exit: str | None = None


class SupervisorState(msgspec.Struct, kw_only=True):
    """What the supervisor knows, as written to ``run/supervisor.json``."""

    pid: int
    children: list[ChildState]


def read_state(folder: Path) -> SupervisorState | None:
    """What the supervisor that serves, or last served, wrote; None when none did."""
    try:
        return msgspec.json.decode((folder / STATE_FILE).read_bytes(), type=SupervisorState)
    except (OSError, msgspec.MsgspecError):
        return None


def reserve(host: str, port: int) -> socket.socket:
    """Hold a port for children that share it (SO_REUSEPORT) without listening; 0 takes a free one.

    Raises Invalid when somebody else has it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if port:  # with SO_REUSEPORT alone another house on the same port would go unnoticed
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _bind(probe, host, port)
    held = socket.socket(family, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    _bind(held, host, port)
    return held


def _bind(sock: socket.socket, host: str, port: int) -> None:
    try:
        sock.bind((host, port))
    except OSError as fault:
        sock.close()
        raise Invalid(
            f"cannot listen on {host} port {port}: {fault.strerror}; give another --port or --web-port",
            param="port",
        ) from fault


def is_listening(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # not bound, asked
    try:
        with socket.create_connection((reachable, port), timeout=_CONNECT_S):
            return True
    except OSError:
        return False


class Child:
    """One role's process."""

    def __init__(self, role: str, command: Sequence[str], settings: Settings) -> None:
        """Take note of how it is started."""
        self.state = ChildState(role=role)
        self._command = list(command)
        self._wait_ms = settings.restart_wait_ms
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self._due_s = 0.0

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None

    @property
    def is_due(self) -> bool:
        """Whether it is down and its wait is over."""
        return self._process is None and time.monotonic() >= self._due_s

    def start(self, environment: Mapping[str, str], lock: int, now_ms: int) -> None:
        """Start the process; it inherits the folder's lock, so that the lock lives as long as anything that writes."""
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and words
            self._command,
            env=dict(environment),
            pass_fds=(lock,),
            stdin=subprocess.DEVNULL,
            preexec_fn=partial(die_with, os.getpid()),  # noqa: PLW1509  # it takes no lock of another thread's
        )
        self._started_s = time.monotonic()
        self.state.pid = self._process.pid
        self.state.started_at_ms = now_ms

    def has_died(self) -> bool:
        """Whether it ended since it was last asked; notes why, and when it is due again."""
        code = self._process.poll() if self._process else None
        if code is None:
            return False
        ran_s = time.monotonic() - self._started_s
        if ran_s > _HEALTHY_S:
            self._wait_ms = self._settings.restart_wait_ms
        self._due_s = time.monotonic() + self._wait_ms / 1000
        self._wait_ms = min(self._wait_ms * 2, self._settings.restart_wait_max_ms)
        self._gone(code)
        self.state.restarts += 1
        return True

    def send(self, number: signal.Signals) -> None:
        """Send a signal when it lives."""
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self, give_up_s: float) -> None:
        """Wait until a moment for it to end by itself; then kill it."""
        if self._process is None:
            return
        try:
            code = self._process.wait(max(0.0, give_up_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("role_killed", stopped=self.state.role, why="it did not stop in time")
            self._process.kill()
            code = self._process.wait()
        self._gone(code)
        self._due_s = 0.0

    def _gone(self, code: int) -> None:
        self._process = None
        self.state.pid = None
        self.state.last_exit = (
            f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        )


class Errand(Child):
    """Something that is done from time to time, by a process that ends when it is done or was killed."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        settings: Settings,
        every_ms: int,
        done_at_ms: Callable[[], int],
    ) -> None:
        """Take note of how often it is to be done, 0 for never, and of who knows when it was done last."""
        super().__init__(name, command, settings)
        self._every_ms = every_ms
        self._done_at_ms = done_at_ms
        self._again_s = _ERRAND_AGAIN_S
        self._rest(_ERRAND_FIRST_S)

    def is_wanted(self, now_ms: int) -> bool:
        """Whether it is to be done now."""
        if self.is_running or not self._every_ms or time.monotonic() < self._due_s:
            return False
        if 0 <= now_ms - self._done_at_ms() < self._every_ms:
            self._rest(_ERRAND_FIRST_S)  # until it is asked again
            return False
        return True

    def has_ended(self) -> bool:
        """Whether it ended since it was last asked; notes how, and when it is looked at again."""
        code = self._process.poll() if self._process else None
        if code is None:
            return False
        self._gone(code)
        self._rest(self._again_s)
        self._again_s = self._again_s * 2 if code else _ERRAND_AGAIN_S
        if code:
            log.warning("errand_failed", errand=self.state.role, why=self.state.last_exit)
        return True

    def _rest(self, most_s: float) -> None:
        self._due_s = time.monotonic() + min(most_s, self._every_ms / 1000)


class Supervisor:
    """Runs children until told to stop."""

    def __init__(
        self,
        folder: Path,
        children: list[Child],
        settings: Settings,
        clock: Clock,
        lock: int,
        environment: Mapping[str, str],
        errands: Sequence[Errand] = (),
    ) -> None:
        """Take the children, none of them started, and what their environment has beside ours."""
        self._folder = folder
        self._children = children
        self._errands = errands
        self._settings = settings
        self._clock = clock
        self._lock = lock
        #: Whether what was last known stands in the file.
        self._is_written = True
        self._environment = {**os.environ, **environment, SUPERVISOR_VARIABLE: str(os.getpid())}

    def run(self, stop: threading.Event) -> None:
        """Start all, start again what dies, and stop all when told to."""
        (self._folder / RESTART_FOLDER).mkdir(mode=0o700, exist_ok=True)
        try:
            while not stop.is_set():
                self._look()
                stop.wait(_POLL_S)
        finally:
            self._stop_all()

    def _look(self) -> None:
        """Notice deaths, obey markers, start what is due."""
        changed = [self._notice(child) for child in self._children]
        self._obey()
        for child in self._children:
            if child.is_due:
                child.start(self._environment, self._lock, self._clock.now_ms())
                changed.append(True)
        changed += [self._run(errand) for errand in self._errands]
        if any(changed) or not self._is_written:
            self._write()

    def _run(self, errand: Errand) -> bool:
        has_ended = errand.has_ended()
        if not errand.is_wanted(now_ms := self._clock.now_ms()):
            return has_ended
        errand.start(self._environment, self._lock, now_ms)
        return True

    def _notice(self, child: Child) -> bool:
        if not child.has_died():
            return False
        log.error("role_died", died=child.state.role, why=child.state.last_exit)
        return True

    def _obey(self) -> None:
        for child in self._children:
            marker = self._folder / RESTART_FOLDER / child.state.role
            if not marker.exists():
                continue
            child.send(signal.SIGTERM)
            child.stop(time.monotonic() + self._settings.drain_ms / 1000)
            for name in marker.read_text().split():
                if name in _REMOVABLE:
                    _remove(self._folder / name)
            self._write()  # nobody takes what the old process last said for true once the marker is gone
            marker.unlink()
            log.info("role_restarted", restarted=child.state.role)

    def _stop_all(self) -> None:
        everybody = [*self._children, *self._errands]
        for child in everybody:
            child.send(signal.SIGTERM)
        give_up_s = time.monotonic() + self._settings.drain_ms / 1000
        for child in everybody:
            child.stop(give_up_s)
        self._write()

    def _write(self) -> None:
        states = [child.state for child in (*self._children, *self._errands)]
        state = SupervisorState(pid=os.getpid(), children=states)
        try:
            write_whole(self._folder / STATE_FILE, msgspec.json.encode(state))
        except (
            OSError
        ):  # a full disk must not take the house down; it is tried again with the next look
            if self._is_written:
                log.warning("state_not_written")
            self._is_written = False
        else:
            self._is_written = True


def _remove(path: Path) -> None:
    """A file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
