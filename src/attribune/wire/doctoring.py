"""The checkup: every group of checks in a process of its own, so that a disk that hangs or a file that kills its reader ends one.

``python -m attribune.wire.doctoring GROUP DATA`` is such a process; it prints its checks as JSON, a line each.
"""

# ruff: noqa: PLC0415 - an import inside a function is there so that only who needs an engine pays for it

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from attribune import __version__
from attribune import settings as settings_
from attribune.doctor import advice, disk, folder, house, machine
from attribune.doctor.check import (
    SERVING,
    UNSEEN,
    Check,
    Checkup,
    Look,
    Subject,
    Verdict,
    look,
    worst,
)
from attribune.model.errors import Invalid
from attribune.roles import folder as folder_
from attribune.roles.folder import Holder
from attribune.settings import Settings
from attribune.wire import soundness

#: The groups, in the order in which people read them.
GROUPS: Final[dict[str, Mapping[str, Look]]] = {
    "machine": machine.CHECKS,
    "limits": machine.AGAINST_SETTINGS,
    "disk": disk.CHECKS,
    "folder": folder.CHECKS,
    "settings": advice.CHECKS,
    "journal": soundness.JOURNAL,
    "registry": soundness.REGISTRY,
    "stores": soundness.STORES,
    "facts": soundness.FACTS,
    "house": house.CHECKS,
}
#: How long all of it may take. Seconds.
WAIT_S: Final = 20.0
_POLL_S: Final = 0.02
_KILLED_S: Final = 0.5


def checkup(data: Path, wait_s: float = WAIT_S) -> Checkup:
    """Look at a data folder and at what it stands on. Changes nothing, and comes back in time whatever hangs."""
    place = data.absolute()
    children = {name: _begun(name, place) for name in GROUPS}
    give_up = time.monotonic() + wait_s
    while any(child.poll() is None for child in children.values()) and time.monotonic() < give_up:
        time.sleep(_POLL_S)
    checks = tuple(
        check for name, child in children.items() for check in _told(name, child, wait_s)
    )
    return Checkup(data=str(place), version=__version__, verdict=worst(checks), checks=checks)


def _begun(group: str, data: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  # our own interpreter and words
        [sys.executable, "-m", "attribune.wire.doctoring", group, str(data)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    )


def _told(group: str, child: subprocess.Popen[bytes], wait_s: float) -> Iterator[Check]:
    """What a process said, and of each check that it did not come to, why."""
    code = child.poll()
    if code is None:
        child.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # who hangs in the kernel stays
            child.wait(_KILLED_S)
    found = {check.id: check for check in _read(child)}
    for id_ in GROUPS[group]:
        yield found.get(id_) or Check(
            id=id_, verdict=Verdict.FAIL, seen=_why(code, wait_s), remedy=_REMEDY[code is None]
        )


def _read(child: subprocess.Popen[bytes]) -> Iterator[Check]:
    """The checks that a process has said by now. Nothing is waited for."""
    assert child.stdout is not None
    os.set_blocking(child.stdout.fileno(), False)
    with child.stdout as said:
        for line in (said.read() or b"").splitlines():
            with contextlib.suppress(msgspec.MsgspecError):  # cut off by its end
                yield msgspec.json.decode(line, type=Check)


def _why(code: int | None, wait_s: float) -> str:
    if code is None:
        return f"no answer within {wait_s:g} s: what it looks at hangs"
    if code < 0:
        return f"who looked at it was killed by {signal.Signals(-code).name}: a file is not what it should be, or memory is out"
    return f"who looked at it ended with code {code}"


_REMEDY: Final = {
    True: "see `dmesg` for the disk, and whether a network file system answers",
    False: "see `dmesg`; restore the folder from a backup if the journal is named above, else rebuild the view",
}


# --- inside such a process


def subject(data: Path, now_ms: int) -> Subject:
    """Whom the checks of this process are about."""
    holder: Holder | None = UNSEEN
    said = folder_.serving(data) or {}
    try:
        holder = folder_.holder(data) if data.is_dir() else None
        is_served = holder is not None and holder.doing == SERVING
        settings, unreadable = _in_force(data, said if is_served else {}), None
    except (Invalid, msgspec.ValidationError, OSError) as fault:
        settings, unreadable = Settings(), str(fault)
    return Subject(data, now_ms, holder, settings, unreadable, said)


def _in_force(data: Path, said: Mapping[str, Any]) -> Settings:
    """The settings of the house that serves, as it said them; else those that one would have."""
    if "settings" in said:
        return msgspec.convert(said["settings"], Settings)
    return settings_.load(data)


def main(arguments: list[str]) -> int:
    """Say what the checks of a group found."""
    from attribune.engines.system import SystemClock

    group, data = arguments[0], Path(arguments[1])
    for check in look(GROUPS[group], subject(data, SystemClock().now_ms())):
        sys.stdout.buffer.write(msgspec.json.encode(check) + b"\n")
        sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
