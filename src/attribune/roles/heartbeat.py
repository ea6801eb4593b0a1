"""Heartbeats: each role says every ``heartbeat_ms`` where it stands, in ``run/<role>.json``; anyone may read them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import structlog

from attribune.model.status import BreakerState, RoleState
from attribune.ports import Clock
from attribune.roles.base import Role
from attribune.roles.folder import write_whole

#: A heartbeat older than this many intervals is stale: the role hangs or is gone.
STALE_AFTER: Final = 5
#: How soon a role that has moved says so: reports tell from it whether they are complete. Seconds.
_MOVED_S: Final = 0.05
_ERROR_CHARACTERS_MAX: Final = 500
_STATM: Final = Path("/proc/self/statm")

log = structlog.get_logger()


class Heartbeat(msgspec.Struct, kw_only=True, omit_defaults=False):
    """Where a role stood when it last said so."""

    role: str
    pid: int
    state: RoleState
    started_at_ms: int
    at_ms: int
    #: The last entry handled, and how many of the role's entries were not yet; None for a role that reads none.
    position: int | None = None
    lag: int | None = None
    last_error: str | None = None
    counters: dict[str, int] = msgspec.field(default_factory=dict)
    #: Memory in use. Bytes.
    rss_bytes: int = 0
    #: When each key was last used with this role, now or in an earlier life. Milliseconds, UTC.
    keys_used_at_ms: dict[str, int] = msgspec.field(default_factory=dict)
    #: By postback, whether its partner is asked at all.
    breakers: dict[str, BreakerState] = msgspec.field(default_factory=dict)

    def is_stale(self, now_ms: int, heartbeat_ms: int) -> bool:
        """Whether the role should have said something since."""
        return now_ms - self.at_ms > STALE_AFTER * heartbeat_ms


def rss_bytes() -> int:
    """Memory in use by this process, 0 where the system does not say."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def read(folder: Path, role: str) -> Heartbeat | None:
    """The newest heartbeat of a role, or None when it never gave one."""
    try:
        return msgspec.json.decode((folder / "run" / f"{role}.json").read_bytes(), type=Heartbeat)
    except (OSError, msgspec.MsgspecError):
        return None


def say_failed(folder: Path, role: str, fault: BaseException, now_ms: int) -> None:
    """Say that a role could not even begin, and why; the rest stays as it was last said."""
    before = read(folder, role) or Heartbeat(
        role=role, pid=0, state=RoleState.FAILED, started_at_ms=now_ms, at_ms=now_ms
    )
    beat = msgspec.structs.replace(
        before,
        pid=os.getpid(),
        state=RoleState.FAILED,
        at_ms=now_ms,
        last_error=sentence(fault)[:_ERROR_CHARACTERS_MAX],
    )
    _write(folder, beat)


def _write(folder: Path, beat: Heartbeat) -> None:
    try:
        write_whole(folder / "run" / f"{beat.role}.json", msgspec.json.encode(beat))
    except OSError:  # a full disk must not stop a role; its heartbeat goes stale, which says it
        log.warning("heartbeat_not_written", role=beat.role)


class Pulse:
    """Says where some roles of this process stand, from a thread of its own, while the block runs."""

    def __init__(self, folder: Path, roles: list[Role], clock: Clock, heartbeat_ms: int) -> None:
        """Take note of the roles; nothing is said before the block begins."""
        self._folder = folder
        self._roles = roles
        self._clock = clock
        self._wait_s = heartbeat_ms / 1000
        self._started_at_ms = clock.now_ms()
        self._stop = threading.Event()
        self._failures: dict[str, str] = {}
        #: Where each role stood when it was last said.
        self._positions: dict[str, int | None] = {}
        before = ((role.name, read(folder, role.name)) for role in roles)
        self._keys = {name: beat.keys_used_at_ms if beat else {} for name, beat in before}
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    def __enter__(self) -> Self:
        """Begin to say."""
        for role in self._roles:
            self._say(role, self._asked(role), None)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say the last word: stopped by request, or failed and why."""
        self._stop.set()
        self._thread.join(timeout=self._wait_s * 2)
        for role in self._roles:
            if fault is not None and role.name not in self._failures:
                self._failures[role.name] = sentence(fault)
            state = RoleState.FAILED if role.name in self._failures else RoleState.STOPPED
            self._say(role, self._asked(role), state)

    def failed(self, role: Role, fault: BaseException) -> None:
        """Remember why a role of this process ended."""
        self._failures[role.name] = sentence(fault)

    def _beat(self) -> None:
        """Say where the roles stand when they have moved, and every ``heartbeat_ms`` in any case."""
        next_s = time.monotonic()
        while not self._stop.wait(min(_MOVED_S, self._wait_s)):
            is_due = time.monotonic() >= next_s
            if is_due:
                next_s = time.monotonic() + self._wait_s
            for role in self._roles:
                said = self._asked(role)
                if is_due or said.get("position") != self._positions.get(role.name):
                    self._say(role, said, None)

    def _asked(self, role: Role) -> Mapping[str, Any]:
        try:
            return role.state()
        except Exception as fault:
            log.exception("state_failed", role=role.name)
            return {"last_error": sentence(fault)}

    def _say(self, role: Role, said: Mapping[str, Any], state: RoleState | None) -> None:
        self._positions[role.name] = said.get("position")
        self._keys[role.name].update(said.get("keys_used_at_ms") or {})
        error = self._failures.get(role.name) or said.get("last_error")
        beat = Heartbeat(
            role=role.name,
            pid=os.getpid(),
            state=state
            or (RoleState.RUNNING if said.get("is_ready", True) else RoleState.STARTING),
            started_at_ms=self._started_at_ms,
            at_ms=self._clock.now_ms(),
            position=said.get("position"),
            lag=said.get("lag"),
            last_error=error[:_ERROR_CHARACTERS_MAX] if error else None,
            counters=_counters(said),
            rss_bytes=rss_bytes(),
            keys_used_at_ms=self._keys[role.name],
            breakers=said.get("breakers") or {},
        )
        _write(self._folder, beat)


#: What a role says beside its counters.
_NOT_COUNTED: Final = frozenset(
    {"position", "lag", "is_ready", "last_error", "counters", "keys_used_at_ms", "breakers"}
)


def _counters(said: Mapping[str, Any]) -> dict[str, int]:
    """The whole numbers that only grow: those under ``counters``, and those said beside it but times."""
    beside = {
        name: value
        for name, value in said.items()
        if isinstance(value, int) and name not in _NOT_COUNTED and not name.endswith("_ms")
    }
    return {**beside, **(said.get("counters") or {})}


def sentence(fault: BaseException) -> str:
    """What went wrong, in one line."""
    return f"{type(fault).__name__}: {fault}" if str(fault) else type(fault).__name__
