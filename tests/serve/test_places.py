"""Looking at the connections of a process costs it no lock on a file."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from house import RunningHouse, wait_for

from attribune.engines.lmdb_journal import LmdbJournal
from attribune.engines.system import SystemClock
from attribune.model.position import Topic
from attribune.roles import places
from attribune.roles.places import Places

#: LMDB's lock of an environment that is in use: shared by all who have it open, alone for who makes its tables anew.
_ALONE = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
    except OSError:
        sys.exit(7)
"""


def may_be_made_anew(lock: Path) -> bool:
    """Whether somebody who opens the segment now would think that nobody else has."""
    return subprocess.run([sys.executable, "-c", _ALONE, lock], check=False).returncode == 0


def test_a_look_at_connections_keeps_the_journals_lock(tmp_path: Path) -> None:
    journal = LmdbJournal(
        tmp_path / "journal", segment_bytes_max=1 << 24, segment_ms=86_400_000, clock=SystemClock()
    )
    (lock,) = (tmp_path / "journal").glob("*/lock.mdb")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), listening.accept()[0]:
            look = Places(1, 1000)
            assert look.limit_unread(port)
            journal.append([(Topic.TOUCHES, b"one")])
            look.make_room(port)
            assert not may_be_made_anew(lock)
    journal.close()
    assert may_be_made_anew(lock)


def test_a_number_that_is_no_socket_anymore_is_neither_looked_at_nor_closed(tmp_path: Path) -> None:
    """Between the look and the duplicate its owner may have opened a file under it."""
    with (tmp_path / "file").open("wb") as file, socket.socket() as link:
        fcntl.lockf(file, fcntl.LOCK_EX, 1, 0)
        kept = os.dup(link.fileno())
        real = os.dup

        def given_anew(_: int) -> int:
            return real(file.fileno())

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(places.os, "dup", given_anew)
            with places._held(kept) as found:
                assert found is None
        assert not may_be_made_anew(tmp_path / "file")
        os.close(kept)


@pytest.mark.server
def test_every_role_holds_its_lock_on_what_it_has_open(house: RunningHouse) -> None:
    """Else a role that starts while the others run makes the writers' lock anew below them, and two write at once."""
    time.sleep(0.5)  # the look for the port comes a little after the role listens
    wait_for(lambda: len(opened(house)) >= 4, why="too few roles had the journal open")
    for _ in range(3):
        before = opened(house)
        lost = (before - locked()) & opened(house)
        assert not lost, f"open without a lock, by process and file: {lost}"
        time.sleep(0.2)


def opened(house: RunningHouse) -> set[tuple[int, int]]:
    """The lock files of LMDB that the roles have open: process and inode."""
    found = set()
    for pid in house.pids().values():
        for number in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if number.readlink().name == "lock.mdb":
                    found.add((pid, number.stat().st_ino))
            except FileNotFoundError:  # closed meanwhile
                continue
    return found


def locked() -> set[tuple[int, int]]:
    """Whoever says that it uses an environment: LMDB locks the first byte of its lock file for that, shared."""
    held = set()
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if "->" not in fields and fields[1] == "POSIX" and fields[6] == "0":
            held.add((int(fields[4]), int(fields[5].rpartition(":")[2])))
    return held
