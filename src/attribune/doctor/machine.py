"""The machine: Python, packages, clock, memory, open files."""

from __future__ import annotations

import ctypes
import re
import resource
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final, NamedTuple

from attribune import __version__
from attribune.doctor.check import Found, Look, Subject, fail, ok, warn
from attribune.doctor.words import size
from attribune.roles.process import OTHER_FILES
from attribune.settings import Settings

#: No machine that runs this version lives earlier: 2026-01-01.
EARLIEST_MS: Final = 1_767_225_600_000
PYTHON_LEAST: Final = (3, 11)
#: With fewer open files than that a house hardly serves.
FILES_LEAST: Final = 1024
#: What a house needs beside what its settings allow reports and bodies to take.
BASE_BYTES: Final = 1 << 30
#: Less than that left, and the kernel is about to kill somebody.
LEFT_BYTES_LEAST: Final = 256 << 20

_PROC: Final = Path("/proc")
_CGROUPS: Final = Path("/sys/fs/cgroup")
#: A cgroup without a limit says a number near 2**63.
_NO_LIMIT: Final = 1 << 60
_PINNED: Final = re.compile(r"([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==([A-Za-z0-9.+!-]+)$")
_STA_UNSYNC: Final = 0x40
_TIME_ERROR: Final = 5
_NEVER_OVERCOMMIT: Final = 2


# --- what is installed


def python(_: Subject) -> Found:
    """Whether Python is one that Attribune runs on."""
    return judge_python(sys.version_info[:3])


def judge_python(found: tuple[int, ...]) -> Found:
    """The same for a version."""
    said = ".".join(map(str, found))
    if found[:2] < PYTHON_LEAST:
        wanted = ".".join(map(str, PYTHON_LEAST))
        return fail(f"Python {said}", f"install Python {wanted} or later and make the venv anew")
    return ok(f"Python {said}")


def packages(_: Subject) -> Found:
    """Whether the engines are those that this version was tested with."""
    return judge_packages(requires("attribune") or [])


def judge_packages(wanted: list[str]) -> Found:
    """The same for a list of requirements."""
    pinned = [found.groups() for found in map(_PINNED.match, wanted) if found]
    missing, others = [], []
    for name, tested in pinned:
        try:
            installed = version(name)
        except PackageNotFoundError:
            missing.append(name)
            continue
        if installed != tested:
            others.append(f"{name} {installed} instead of {tested}")
    again = f"install attribune {__version__} into a new venv"
    if missing:
        return fail(f"not installed: {', '.join(missing)}", again)
    if others:
        return warn(f"not those that this version was tested with: {', '.join(others)}", again)
    return ok(f"attribune {__version__}; all {len(pinned)} packages as it was tested with them")


# --- the clock


class _Timex(ctypes.Structure):
    """The beginning of the kernel's struct timex, with room for the rest of it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


def is_synchronised() -> bool | None:
    """What the kernel says of its clock; None where it does not say."""
    timex = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    if state < 0:
        return None
    return state != _TIME_ERROR and not timex.status & _STA_UNSYNC


def clock(subject: Subject) -> Found:
    """Whether the clock can be right."""
    return judge_clock(subject.now_ms, is_synchronised())


def judge_clock(now_ms: int, is_synced: bool | None) -> Found:  # noqa: FBT001 - what the kernel said
    """The same for a reading."""
    if now_ms < EARLIEST_MS:
        return fail(
            "the clock stands before 2026: every moment that is kept would be wrong",
            "set it and keep it synchronised (apt-get install chrony), then start the house",
        )
    if is_synced is None:
        return ok("plausible; the kernel does not say whether it is synchronised")
    if not is_synced:
        return warn(
            "the kernel says that nobody keeps the clock synchronised; windows and ages are counted by it",
            "install chrony, or `timedatectl set-ntp true`; on a guest ask the host",
        )
    return ok("plausible and synchronised")


# --- memory


class Memory(NamedTuple):
    """What there is to use. Bytes."""

    total: int
    available: int
    #: The limit of the control group; None without one.
    limit: int | None


def read_memory(pid: int | None) -> Memory:
    """What a process has to use."""
    lines = (line.split() for line in (_PROC / "meminfo").read_text().splitlines())
    kib = {words[0].rstrip(":"): int(words[1]) for words in lines}
    return Memory(kib["MemTotal"] << 10, kib["MemAvailable"] << 10, _group_limit(pid))


def _group_limit(pid: int | None) -> int | None:
    """The lowest limit of the control groups that a process is in, in either version."""
    found = []
    for line in (_PROC / str(pid or "self") / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = _CGROUPS / "memory" if controllers else _CGROUPS
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        group = root / path.lstrip("/")
        for place in (group, *(up for up in group.parents if up.is_relative_to(root))):
            text = (place / name).read_text().strip() if (place / name).exists() else ""
            if text.isdigit() and int(text) < _NO_LIMIT:
                found.append(int(text))
    return min(found, default=None)


def memory(subject: Subject) -> Found:
    """Whether there is as much as the settings allow to be used."""
    return judge_memory(read_memory(subject.server_pid), subject.settings)


def judge_memory(found: Memory, settings: Settings) -> Found:
    """The same for a reading."""
    bodies = settings.bodies_bytes_max * settings.collectors
    wanted = settings.facts_memory_bytes_max + bodies + BASE_BYTES
    there = min(found.total, found.limit or found.total)
    said = f"{size(there)}" + (" in the control group" if there < found.total else "")
    said += f", {size(found.available)} available on the machine"
    if found.available < LEFT_BYTES_LEAST:
        return fail(said, "end what takes it, or add memory: the kernel kills roles when it is out")
    if there < wanted:
        return warn(
            f"{said}; the settings allow {size(wanted)} to be used at once",
            "lower facts_memory_bytes_max or bodies_bytes_max in attribune.toml, or add memory",
        )
    return ok(f"{said}; the settings allow {size(wanted)}")


def overcommit(_: Subject) -> Found:
    """Whether the kernel lets engines reserve more address space than they use."""
    return judge_overcommit(int((_PROC / "sys/vm/overcommit_memory").read_text()))


def judge_overcommit(mode: int) -> Found:
    """The same for a mode."""
    if mode == _NEVER_OVERCOMMIT:
        return warn(
            "vm.overcommit_memory is 2: the facts reserve address space that they never use and may be refused it",
            "sysctl -w vm.overcommit_memory=0, and the same in /etc/sysctl.d",
        )
    return ok(f"vm.overcommit_memory is {mode}")


# --- open files and connections


def open_files(subject: Subject) -> Found:
    """Whether a collector may open as many files as it may hold connections."""
    return judge_open_files(read_open_files(subject.server_pid), subject.settings)


def read_open_files(pid: int | None) -> int | None:
    """How many files a process may have open after it has raised its limit; None for any number."""
    if pid is None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        return None if hard == resource.RLIM_INFINITY else hard
    text = (_PROC / str(pid) / "limits").read_text()
    found = re.search(r"^Max open files +\S+ +(\S+)", text, re.MULTILINE)
    return int(found[1]) if found and found[1].isdigit() else None


def judge_open_files(most: int | None, settings: Settings) -> Found:
    """The same for a reading."""
    wanted = settings.connections_max + OTHER_FILES
    if most is None or most >= wanted:
        said = "any number" if most is None else str(most)
        return ok(f"{said} allowed; {wanted} are enough for connections_max")
    remedy = (
        f"LimitNOFILE={wanted} in the unit file, `ulimit -n` in a shell; or lower connections_max"
    )
    said = f"{most} allowed, so a collector holds {max(1, most - OTHER_FILES)} connections and not {settings.connections_max}"
    return fail(said, remedy) if most < FILES_LEAST else warn(said, remedy)


def backlog(subject: Subject) -> Found:
    """Whether the kernel lets as many connections wait as the settings say."""
    return judge_backlog(
        int((_PROC / "sys/net/core/somaxconn").read_text()), subject.settings.backlog
    )


def judge_backlog(most: int, wanted: int) -> Found:
    """The same for a reading."""
    if most < wanted:
        return warn(
            f"net.core.somaxconn lets {most} connections wait, and backlog is {wanted}",
            f"sysctl -w net.core.somaxconn={wanted}, and the same in /etc/sysctl.d",
        )
    return ok(f"net.core.somaxconn is {most}, backlog {wanted}")


#: What asks the kernel and the interpreter, and never the data folder's disk.
CHECKS: Final[dict[str, Look]] = {
    "python": python,
    "packages": packages,
    "clock": clock,
    "overcommit": overcommit,
}
#: What is measured against the settings.
AGAINST_SETTINGS: Final[dict[str, Look]] = {
    "memory": memory,
    "open_files": open_files,
    "backlog": backlog,
}
