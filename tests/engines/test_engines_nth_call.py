"""The kernel refuses an engine one call, the n-th of its kind, for each n: the error is one of ours, nothing kept is lost, and
the next tries succeed without a hand."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from engines import lives
from fire.trace import refusing, traced

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

#: More calls of a kind than any life makes.
CALLS_MAX = 300

#: What each engine asks of the kernel, and as what it is refused.
JOURNAL = [
    ("openat", "EIO"),
    ("mkdir", "ENOSPC"),
    ("newfstatat", "EIO"),
    ("getdents64", "EIO"),
    ("fcntl", "ENOLCK"),
    ("ftruncate", "ENOSPC"),
    ("pwrite64", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("fdatasync", "EIO"),
    ("fsync", "EIO"),
]
ANSWERS = [
    ("openat", "EIO"),
    ("mkdir", "ENOSPC"),
    ("newfstatat", "EIO"),
    ("fcntl", "ENOLCK"),
    ("ftruncate", "ENOSPC"),
    ("pwrite64", "EIO"),
    ("fdatasync", "EIO"),
]
REGISTRY = [
    ("openat", "EIO"),
    ("ftruncate", "ENOSPC"),
    ("pwrite64", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("fdatasync", "EIO"),
    ("unlink", "EIO"),
]
#: A write that fails for want of room says what any failed write does, and these write a lot.
VIEWS = [pair for pair in REGISTRY if pair != ("pwrite64", "EIO")]
STORE = [
    ("openat", "EIO"),
    ("mkdir", "ENOSPC"),
    ("write", "EIO"),
    ("fdatasync", "EIO"),
    ("fsync", "EIO"),
    ("rename", "EIO"),
    ("unlink", "EIO"),
]
#: Each of its threads is refused its n-th. ``write`` is left out: ClickHouse ends itself when it cannot write to its own pipes.
FACTS = [("fdatasync", "EIO"), ("rename", "EIO"), ("mkdir", "ENOSPC")]


class Told(NamedTuple):
    """What a life told, and how often a call was refused meanwhile."""

    refused: int
    failures: list[str]
    broken: str | None
    held: Any


class Lives:
    """Lets engines live in forks of a process that has loaded them."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._control.settimeout(60)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, lives.__file__, str(theirs.fileno())], pass_fds=[theirs.fileno()]
            )
        assert self._control.recv(1) == b"!"

    def live(self, engine: str, folder: Path, words: Sequence[str]) -> Told:
        """One life under strace, which is told what to refuse."""
        ours, theirs = socket.socketpair()
        asked = json.dumps({"engine": engine, "folder": str(folder)}).encode()
        with ours:
            with theirs:
                socket.send_fds(self._control, [asked], [theirs.fileno()])
            return heard(ours, folder, words)

    def close(self) -> None:
        self._control.close()
        self._process.wait(10)


def heard(ours: socket.socket, folder: Path, words: Sequence[str]) -> Told:
    """What a life tells over its socket, with strace beside it while it does its deeds."""
    ours.settimeout(60)
    pid = int(ours.recv(100))
    out = folder / "calls"
    with traced(pid, out, words):
        ours.send(b"!")
        said = json.loads(ours.recv(1 << 20) or b'{"broken": "it died", "failures": []}')
    ours.send(b"!")
    held = b"".join(iter(lambda: ours.recv(1 << 20), b""))
    refused = out.read_text(errors="replace").count("(INJECTED)")
    return Told(refused, said["failures"], said.get("broken"), json.loads(held or b"null"))


def live_of_facts(folder: Path, words: Sequence[str]) -> Told:
    """One life of the facts, in a process of its own."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            command = [sys.executable, lives.__file__, str(theirs.fileno()), "facts", str(folder)]
            process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        told = heard(ours, folder, words)
    assert process.wait(30) == 0
    return told


@pytest.fixture(scope="module")
def lived() -> Iterator[Lives]:
    lives_ = Lives()
    yield lives_
    lives_.close()


def each(lived: Lives, engine: str, call: str, error: str, tmp_path: Path) -> Iterator[Told]:
    """Lives in which the first, the second, … call of a kind is refused, until one makes no more of them."""
    for n in range(1, CALLS_MAX):
        folder = tmp_path / str(n)
        folder.mkdir()
        words = refusing(call, error, n)
        told = (
            live_of_facts(folder, words) if engine == "facts" else lived.live(engine, folder, words)
        )
        if not told.refused:
            assert n > 1, f"the life never called {call}"
            return
        assert told.broken is None, (
            f"{call} {n} refused with {error}: {told.broken}; {told.failures}"
        )
        yield told
        shutil.rmtree(folder)
    raise AssertionError(f"more than {CALLS_MAX} calls of {call}")


@pytest.mark.parametrize(("call", "error"), JOURNAL)
def test_a_journal_keeps_each_batch_once(call, error, lived, tmp_path) -> None:
    topics = ("touches", "activity", "control")
    wanted = [f"{n} {topic} " for n in range(lives.DEEDS) for topic in topics]
    failures = []
    for told in each(lived, "journal", call, error, tmp_path):
        assert told.held == wanted
        failures += told.failures
    if error == "ENOSPC":
        assert all(": JournalFull: " in failure for failure in failures), failures


@pytest.mark.parametrize(("call", "error"), ANSWERS)
def test_answers_stand_where_they_were_put(call, error, lived, tmp_path) -> None:
    for told in each(lived, "answers", call, error, tmp_path):
        assert told.held == [lives.DEEDS, str(lives.DEEDS)]


@pytest.mark.parametrize(("call", "error"), REGISTRY)
def test_a_registry_keeps_each_change_once(call, error, lived, tmp_path) -> None:
    wanted = [str(10 * n + i) for n in range(1, lives.DEEDS + 1) for i in range(3)]
    for told in each(lived, "registry", call, error, tmp_path):
        assert told.held == [10 * lives.DEEDS + 5, wanted]


@pytest.mark.parametrize(("call", "error"), VIEWS)
def test_an_outbox_tells_what_it_was_told_once(call, error, lived, tmp_path) -> None:
    each_delivery = [
        [f"{n}-{which}", state, attempts]
        for n in range(1, lives.DEEDS + 1)
        for which, state, attempts in (("told", "delivered", 1), ("waits", "waiting", 0))
    ]
    for told in each(lived, "outbox", call, error, tmp_path):
        assert told.held == [lives.DEEDS, each_delivery]


@pytest.mark.parametrize(("call", "error"), VIEWS)
def test_a_book_books_each_entry_once(call, error, lived, tmp_path) -> None:
    sums = [["expense", "EUR", -300 * lives.DEEDS], ["partner:acme:approved", "EUR", 300 * lives.DEEDS]]  # fmt: skip
    for told in each(lived, "book", call, error, tmp_path):
        assert told.held == [lives.DEEDS, 3 * lives.DEEDS, sums]


@pytest.mark.parametrize(("call", "error"), STORE)
def test_a_store_stands_at_its_last_commit(call, error, lived, tmp_path) -> None:
    for told in each(lived, "store", call, error, tmp_path):
        assert told.held == [lives.DEEDS, [lives.DEEDS]]


@pytest.mark.parametrize(("call", "error"), FACTS)
def test_facts_keep_each_insert_once(call, error, lived, tmp_path) -> None:
    inserts = lives.DEEDS - 1
    for told in each(lived, "facts", call, error, tmp_path):
        assert told.held == [inserts, 3 * inserts]
