"""Machine and disk: a reading that is wrong is named, with what to do; a reading of this machine is possible."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from doctor.patients import said

from attribune.doctor import disk, machine
from attribune.doctor.disk import Mount, Space
from attribune.doctor.machine import Memory
from attribune.settings import Settings

GIB = 1 << 30
NOW_MS = 1_790_000_000_000
S = Settings()
LOCAL = Mount("ext4", "/", frozenset({"rw", "relatime"}))

#: (what is judged, verdict, words of what was seen and of what to do)
READINGS = [
    (machine.judge_python((3, 11, 2)), "ok", "3.11.2"),
    (machine.judge_python((3, 10, 14)), "fail", "3.10.14"),
    (machine.judge_packages(["msgspec==0.0.1", "lmdb>=1"]), "warn", "instead of 0.0.1"),
    (machine.judge_packages(["not-there-at-all==1.0"]), "fail", "not-there-at-all"),
    (machine.judge_clock(NOW_MS, True), "ok", "synchronised"),
    (machine.judge_clock(NOW_MS, None), "ok", "does not say"),
    (machine.judge_clock(NOW_MS, False), "warn", "chrony"),
    (machine.judge_clock(0, True), "fail", "before 2026"),
    (machine.judge_overcommit(0), "ok", "0"),
    (machine.judge_overcommit(2), "warn", "sysctl -w vm.overcommit_memory=0"),
    (machine.judge_memory(Memory(8 * GIB, 4 * GIB, None), S), "ok", "8.0 GiB"),
    (machine.judge_memory(Memory(2 * GIB, GIB, None), S), "warn", "facts_memory_bytes_max"),
    (machine.judge_memory(Memory(8 * GIB, 4 * GIB, GIB), S), "warn", "1.0 GiB in the control"),
    (machine.judge_memory(Memory(8 * GIB, GIB // 8, None), S), "fail", "add memory"),
    (machine.judge_open_files(None, S), "ok", "any number"),
    (machine.judge_open_files(16_640, S), "ok", "16640"),
    (machine.judge_open_files(16_639, S), "warn", "LimitNOFILE=16640"),
    (machine.judge_open_files(1023, S), "fail", "holds 767 connections and not 16384"),
    (machine.judge_backlog(1024, 1024), "ok", "1024"),
    (machine.judge_backlog(128, 1024), "warn", "net.core.somaxconn=1024"),
    (disk.judge_space(Space(50 * GIB, 100 * GIB, 0, 0)), "ok", "50%"),
    (disk.judge_space(Space(9 * GIB, 100 * GIB, 0, 0)), "warn", "larger disk"),
    (disk.judge_space(Space(GIB - 1, 2 * GIB, 0, 0)), "fail", "503"),
    (disk.judge_inodes(Space(1, 1, 0, 0)), "ok", "as many"),
    (disk.judge_inodes(Space(1, 1, 40_000, 1_000_000)), "warn", "4%"),
    (disk.judge_inodes(Space(1, 1, 999, 2000)), "fail", "999 of 2000"),
    (disk.judge_filesystem(LOCAL, ()), "ok", "ext4"),
    (disk.judge_filesystem(LOCAL, ("flock",)), "fail", "does not do flock"),
    (disk.judge_filesystem(LOCAL._replace(kind="nfs4"), ()), "warn", "other machines"),
    (disk.judge_filesystem(LOCAL._replace(kind="fuse.sshfs"), ()), "warn", "other machines"),
    (disk.judge_filesystem(LOCAL._replace(kind="overlay"), ()), "warn", "a volume"),
    (
        disk.judge_filesystem(LOCAL._replace(options=frozenset({"nobarrier"})), ()),
        "warn",
        "nobarrier",
    ),
    (disk.judge_sync((1.0, 2.0, 500.0)), "ok", "500.00 ms at most"),
    (disk.judge_sync((21.0, 21.0, 21.0)), "warn", "iostat"),
    (disk.judge_sync((201.0, 300.0)), "fail", "faster disk"),
]


@pytest.mark.parametrize(("found", "verdict", "words"), READINGS, ids=lambda one: str(one)[:60])
def test_a_reading_is_judged(found, verdict: str, words: str) -> None:
    assert found.verdict == verdict
    assert words in said(found)
    assert bool(found.remedy) is (verdict != "ok")


MOUNTS = r"""
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,errors=remount-ro
30 27 0:27 / /srv/my\040data rw - nfs4 server:/export rw,vers=4.2
31 27 0:28 / /srv rw - xfs /dev/vdb rw
32 31 0:29 / /srv/deep rw shared:1 - tmpfs tmpfs rw
33 31 0:30 / /srv/deep rw - btrfs /dev/vdc rw,nobarrier
""".strip()


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib", "ext4"),
        ("/srv/my data/attribune", "nfs4"),
        ("/srv/mydata", "xfs"),
        ("/srv/deep/er", "btrfs"),
        ("/srv/deeper", "xfs"),
    ],
)
def test_the_file_system_of_a_folder_is_that_of_the_nearest_mount(folder: str, kind: str) -> None:
    assert disk.read_mount(Path(folder), MOUNTS).kind == kind


def test_options_of_mount_and_file_system_both_count() -> None:
    assert {"nobarrier", "rw"} <= disk.read_mount(Path("/srv/deep"), MOUNTS).options


def test_a_folder_in_memory_is_told_from_one_on_a_disk() -> None:
    assert disk.read_mount(Path("/dev/shm")).kind == "tmpfs"


def test_this_disk_is_tried_out_and_nothing_is_left(tmp_path: Path) -> None:
    before = tmp_path.stat().st_mtime_ns
    trial = disk.try_out(tmp_path)
    assert trial.cannot == ()
    assert len(trial.sync_ms) > 0
    assert min(trial.sync_ms) > 0
    assert list(tmp_path.iterdir()) == []
    assert tmp_path.stat().st_mtime_ns == before


def test_a_folder_that_may_not_be_written_is_named() -> None:
    found = disk._not_tried(LOCAL, PermissionError(13, "Permission denied"))
    assert (found.verdict, "user that owns" in found.remedy) == ("fail", True)
    broken = disk._not_tried(LOCAL._replace(options=frozenset({"ro"})), OSError(30, "Read-only"))
    assert (broken.verdict, "dmesg" in broken.remedy) == ("fail", True)


def test_what_this_machine_has_is_read() -> None:
    found = machine.read_memory(None)
    assert 0 < found.available <= found.total
    space = disk.read_space(Path("/"))
    assert 0 <= space.bytes_free <= space.bytes_total
    assert machine.read_open_files(1) is None or machine.read_open_files(1) > 0
    assert machine.is_synchronised() in {True, False, None}
    assert socket.SOMAXCONN > 0
    assert machine.judge_clock(time.time_ns() // 1_000_000, True).verdict == "ok"
