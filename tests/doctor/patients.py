"""Folders to look at: a healthy one, made once, and copies of it to be hurt."""

from __future__ import annotations

import shutil
from pathlib import Path

from house import RunningHouse

from attribune.doctor.check import Check, Found, Subject, look
from attribune.engines.system import SystemClock
from attribune.wire import doctoring

SETTINGS = 'public_url = "https://go.example.com"\nproxy_hops = 1\n'
#: What the machine says, which no test makes healthy.
OF_THE_MACHINE = {
    *("python", "packages", "clock", "overcommit", "memory", "open_files", "backlog"),
    *("disk_space", "inodes", "filesystem", "sync"),
}


def make_healthy(folder: Path) -> RunningHouse:
    """A folder with an app, a signing partner, a link and some traffic, settled and copied; the house has stopped."""
    folder.mkdir(mode=0o700)
    (folder / "attribune.toml").write_text(SETTINGS)
    house = RunningHouse(folder)
    with house.start():
        house.cli("app", "add", "--name", "G", "--platform", "android", "--store-id", "com.e.g")
        house.cli("partner", "add", "--name", "acme")
        house.cli("partner", "sign", "acme")
        house.cli("link", "add", "--app", "g-android", "--partner", "acme", "--campaign", "spring")
        house.settle()
        house.cli("backup", str(folder.parent / "backup"))
    return house


def copy_of(folder: Path, place: Path) -> Path:
    """A copy that may be hurt, links kept."""
    shutil.copytree(folder, place, symlinks=True)
    return place


def subject(folder: Path) -> Subject:
    """Whom the checks are about, as each process of the doctor sees it."""
    return doctoring.subject(folder, SystemClock().now_ms())


def seen(folder: Path, id_: str, about: Subject | None = None) -> Check:
    """What one check says of a folder."""
    checks = {name: one for group in doctoring.GROUPS.values() for name, one in group.items()}
    [found] = look({id_: checks[id_]}, about or subject(folder))
    return found


def said(found: Found | Check) -> str:
    """Verdict, what was seen and what to do, to look for words in."""
    return f"{found.verdict}: {found.seen} -> {found.remedy}"
