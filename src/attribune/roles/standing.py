"""Where the house stands, put together from what the roles and the supervisor wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from attribune import __version__
from attribune.model.status import RoleState, RoleStatus, Status
from attribune.roles import heartbeat, supervisor
from attribune.roles.folder import serving
from attribune.roles.heartbeat import Heartbeat
from attribune.roles.supervisor import ChildState

#: Roles that live in another role's process.
HOSTS: Final = {"registrar": "web", "recorder": "web", "bookkeeper": "web"}


def role_names(collectors: int) -> tuple[str, ...]:
    """Every role of a house, in the order that a record passes them."""
    return (
        *(f"collector-{number}" for number in range(1, collectors + 1)),
        "attributor",
        "registrar",
        "recorder",
        "bookkeeper",
        "postbacker",
        "web",
    )


def status(
    folder: Path,
    roles: tuple[str, ...],
    heartbeat_ms: int,
    now_ms: int,
    journal_end: int,
    *,
    is_serving: bool,
) -> Status:
    """Where the house stands."""
    found = supervisor.read_state(folder)
    children = {child.role: child for child in found.children} if found else {}
    states = tuple(
        _role(
            name,
            heartbeat.read(folder, name),
            children.get(HOSTS.get(name, name)),
            heartbeat_ms,
            now_ms,
        )
        for name in roles
    )
    said = serving(folder) or {}
    return Status(
        data=str(folder),
        version=__version__,
        is_serving=is_serving,
        is_ready=all(role.state is RoleState.RUNNING for role in states),
        journal_end=journal_end,
        lag=max((role.lag or 0 for role in states), default=0),
        collector_url=said.get("collector_url"),
        web_url=said.get("web_url"),
        roles=states,
    )


def _role(
    name: str, beat: Heartbeat | None, child: ChildState | None, heartbeat_ms: int, now_ms: int
) -> RoleStatus:
    restarts, last_exit = (child.restarts, child.last_exit) if child else (0, None)
    if beat is None:
        return RoleStatus(role=name, state=RoleState.ABSENT, restarts=restarts, last_exit=last_exit)
    ran_s = max(0.001, (beat.at_ms - beat.started_at_ms) / 1000)
    state = _state(beat, child, heartbeat_ms, now_ms)
    return RoleStatus(
        role=name,
        state=state,
        pid=beat.pid,
        position=beat.position,
        lag=beat.lag,
        last_error=beat.last_error,
        restarts=restarts,
        last_exit=last_exit,
        started_at_ms=beat.started_at_ms,
        seen_at_ms=beat.at_ms,
        rss_bytes=beat.rss_bytes,
        counters=beat.counters,
        rates={name: round(value / ran_s, 3) for name, value in beat.counters.items()},
        # What a role that does not run said of partners holds no longer.
        breakers=beat.breakers if state is RoleState.RUNNING else {},
    )


def _state(beat: Heartbeat, child: ChildState | None, heartbeat_ms: int, now_ms: int) -> RoleState:
    """What a role says of itself, unless its process is another one by now or it has fallen silent."""
    is_over = beat.state in (RoleState.STOPPED, RoleState.FAILED)
    if child is not None and child.pid not in (None, beat.pid):
        return RoleState.STARTING
    if is_over:
        return beat.state
    if child is not None and child.pid is None:
        return RoleState.FAILED
    return RoleState.STALE if beat.is_stale(now_ms, heartbeat_ms) else beat.state


def keys_used_at_ms(folder: Path, roles: tuple[str, ...]) -> dict[str, int]:
    """When each key was last used with any role. Milliseconds, UTC."""
    newest: dict[str, int] = {}
    for role in roles:
        beat = heartbeat.read(folder, role)
        for key, at_ms in (beat.keys_used_at_ms if beat else {}).items():
            newest[key] = max(at_ms, newest.get(key, 0))
    return newest
