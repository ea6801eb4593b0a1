"""The house that serves: its roles, how far they are behind, what they last complained of, and whether its doors open."""

from __future__ import annotations

import http.client
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from attribune.doctor.check import AS_OWNER, UNSEEN, Found, Look, Subject, fail, ok, warn
from attribune.doctor.words import age
from attribune.model.status import RoleState, RoleStatus
from attribune.roles.folder import ADMIN_SOCKET
from attribune.roles.standing import role_names, status

#: So many entries behind is a moment's work for a role that moves.
LAG_WANTED: Final = 50_000
#: A role that was started again within that time is not over it.
RESTARTED_MS: Final = 3_600_000
#: A role that is behind and has not moved for so long stands still. Seconds.
MOVES_S: Final = 2.0
#: How long a door may take to answer. Seconds.
ANSWER_S: Final = 2.0

_LOG: Final = "read its log: journalctl -u attribune --since -1h"
#: Counters that should stand at 0 → what one of them means.
_TROUBLE: Final = {
    "journal_failures": "requests that the journal did not take",
    "commit_failures": "commits that failed",
    "clicks_not_kept": "clicks sent on and not kept",
    "refusals_not_kept": "refusals not kept",
    "crowded": "requests turned away since bodies took too much memory",
    "faults": "answers that a mistake of ours spoiled",
}


def _unserved(subject: Subject) -> Found:
    """What there is to say of a house that does not serve."""
    if subject.holder == UNSEEN:
        return fail("whether a house serves cannot be seen", AS_OWNER)
    return ok("nobody serves the folder")


def _stand(subject: Subject, later_ms: int = 0) -> dict[str, RoleStatus]:
    """Where each role stands, by what it last wrote, so long after the checkup began."""
    settings = subject.settings
    found = status(
        subject.folder,
        role_names(settings.collectors),
        settings.heartbeat_ms,
        subject.now_ms + later_ms,
        0,
        is_serving=True,
    )
    return {role.role: role for role in found.roles}


def roles(subject: Subject) -> Found:
    """Whether every role works, and has for a while."""
    return judge_roles(_stand(subject), subject.now_ms) if subject.is_served else _unserved(subject)


def judge_roles(found: Mapping[str, RoleStatus], now_ms: int) -> Found:
    """The same for what they wrote."""
    down = [_down(role) for role in found.values() if role.state is not RoleState.RUNNING]
    if down:
        is_starting = all(
            role.state is RoleState.RUNNING
            or (role.state is RoleState.STARTING and not role.restarts)
            for role in found.values()
        )
        return (
            warn("; ".join(down), "wait a moment, and look again")
            if is_starting
            else fail("; ".join(down), _LOG)
        )
    again = [
        f"{role.role} {role.restarts} times, last {role.last_exit}"
        for role in found.values()
        if role.restarts and now_ms - (role.started_at_ms or 0) < RESTARTED_MS
    ]
    if again:
        return warn(f"started again: {'; '.join(again)}", _LOG)
    return ok(f"all {len(found)} run")


def _down(role: RoleStatus) -> str:
    why = f", {role.last_exit}" if role.last_exit else ""
    why += f": {role.last_error}" if role.last_error else ""
    return f"{role.role} is {role.state}{why}"


def lag(subject: Subject) -> Found:
    """Whether what came in is decided and recorded soon."""
    if not subject.is_served:
        return _unserved(subject)
    before = _stand(subject)
    if not any(role.lag for role in before.values()):
        return judge_lag(before, before)
    time.sleep(MOVES_S)
    return judge_lag(before, _stand(subject, int(MOVES_S * 1000)))


def judge_lag(before: Mapping[str, RoleStatus], after: Mapping[str, RoleStatus]) -> Found:
    """The same for where the roles stood at two moments."""
    behind = {name: role.lag for name, role in after.items() if role.lag}
    said = ", ".join(f"{name} {entries}" for name, entries in behind.items())
    still = [
        name
        for name in behind
        if before[name].lag and before[name].position == after[name].position
    ]
    if still:
        return fail(
            f"entries not handled: {said}; {', '.join(still)} does not move",
            f"{_LOG}; `attribune status` says its last error",
        )
    if any(entries > LAG_WANTED for entries in behind.values()):
        return warn(
            f"entries not handled: {said}; they move on",
            "wait, unless it grows: then fewer records come in than one machine decides",
        )
    return ok(f"entries not handled: {said or 'none'}")


def errors(subject: Subject) -> Found:
    """Whether roles complain of anything."""
    return (
        judge_errors(_stand(subject), subject.now_ms) if subject.is_served else _unserved(subject)
    )


def judge_errors(found: Mapping[str, RoleStatus], now_ms: int) -> Found:
    """The same for what they wrote."""
    if differing := sum(role.counters.get("differences", 0) for role in found.values()):
        return fail(
            f"{differing} decisions came out differently when they were made again",
            "attribune audit",
        )
    said = [f"{role.role}: {role.last_error}" for role in found.values() if role.last_error]
    for role in found.values():
        counted = [
            f"{role.counters[name]} {what}"
            for name, what in _TROUBLE.items()
            if role.counters.get(name)
        ]
        if counted:
            since = age(now_ms - (role.started_at_ms or now_ms))
            said.append(f"{role.role} within {since}: {', '.join(counted)}")
    return warn("; ".join(said), _LOG) if said else ok("none")


# --- the doors


def doors(subject: Subject) -> Found:
    """Whether collector, API and admin socket answer."""
    if not subject.is_served:
        return _unserved(subject)
    silent = []
    for name in ("collector_url", "web_url"):
        url = str(subject.said.get(name) or "")
        if why := ask(url):
            silent.append(f"{url}: {why}")
    if not _listens(subject.folder / ADMIN_SOCKET):
        silent.append(f"{ADMIN_SOCKET}: nobody listens")
    if silent:
        return fail("; ".join(silent), _LOG)
    return ok("collector, API and admin socket answer")


def ask(url: str) -> str | None:
    """What is wrong with the health that an address tells; None when nothing is."""
    parts = urlsplit(url)
    door = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_S)
    try:
        door.request("GET", "/healthz")
        answer = door.getresponse()
        body: Any = answer.read(1 << 16)
    except (OSError, http.client.HTTPException) as fault:
        return f"does not answer ({fault})"
    finally:
        door.close()
    if answer.status != http.client.OK:
        return f"answers {answer.status}"
    return "is degraded: what came in lately could not be kept" if b"degraded" in body else None


def _listens(path: Path) -> bool:
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:  # by the descriptor, since a socket's path may have 107 bytes only
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
            one.settimeout(ANSWER_S)
            one.connect(f"/proc/self/fd/{folder}/{path.name}")
    except OSError:
        return False
    finally:
        os.close(folder)
    return True


CHECKS: Final[dict[str, Look]] = {
    "roles": roles,
    "lag": lag,
    "errors": errors,
    "doors": doors,
}
