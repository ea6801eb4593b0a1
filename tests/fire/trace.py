"""What a process asks of the kernel, in the order in which the calls returned, as strace saw it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

#: How much of what is written is shown: more than a page of LMDB's has.
_SHOWN_BYTES: Final = 20_000
_CALLS: Final = "fsync,fdatasync,msync,write,writev,pwrite64,pwritev,sendto,recvfrom"
_LINE: Final = re.compile(r"^(\d+) +([\d.]+) (.*)$")
_WHOLE: Final = re.compile(r"^(\w+)\((?:(\d+)<(.*?)>)?(.*) += (-?\d+)")


class Call(NamedTuple):
    """One system call that has returned."""

    name: str
    #: The descriptor, what it stands for (a path, or socket:[…]), and everything else as strace prints it.
    descriptor: int
    target: str
    rest: str
    result: int
    began: float
    #: When it returned; of a call that nothing came between, the moment it was made.
    ended: float


#: See everything that matters to a sync, with what is written and when.
_WATCHING: Final = ("-y", "-ttt", "-s", str(_SHOWN_BYTES), "-e", f"trace={_CALLS}")


def refusing(call: str, error: str, n: int) -> tuple[str, ...]:
    """Have the kernel refuse the n-th call of a kind of each thread."""
    return ("-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={n}")


@contextmanager
def traced(pid: int, out: Path, words: Sequence[str] = _WATCHING) -> Iterator[None]:
    """Trace a process and its threads into a file while the block runs."""
    strace = shutil.which("strace")
    assert strace, "strace is missing; install it (apt-get install strace) to run this test"
    watcher = subprocess.Popen(
        [strace, "-f", *words, "-o", str(out), "-p", str(pid)], stderr=subprocess.PIPE, text=True
    )
    assert watcher.stderr is not None
    try:
        said = watcher.stderr.readline()
        assert "attached" in said, f"strace may not trace here: {said}"
        yield
    finally:
        watcher.send_signal(signal.SIGINT)
        watcher.wait(10)
        watcher.stderr.close()


def calls(out: Path) -> list[Call]:
    """The calls that returned, in the order of their returns."""
    begun: dict[str, tuple[float, str]] = {}
    found = []
    for line in out.read_text(errors="replace").splitlines():
        thread, at, said = _LINE.match(line).groups()
        if said.endswith("<unfinished ...>"):
            begun[thread] = float(at), said.removesuffix("<unfinished ...>").rstrip()
            continue
        began = ended = float(at)
        if said.startswith("<... "):
            began, head = begun.pop(thread)
            said = head + said.partition(" resumed>")[2]
        whole = _WHOLE.match(said)
        if whole:
            name, descriptor, target, rest, result = whole.groups()
            found.append(
                Call(name, int(descriptor or -1), target or "", rest, int(result), began, ended)
            )
    return found


def is_synced_by_itself(pid: int, descriptor: int) -> bool:
    """Whether a write to this descriptor returns only when it is on the disk (O_DSYNC)."""
    info = Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text()
    flags = int(re.search(r"flags:\s+(\d+)", info)[1], 8)
    return bool(flags & os.O_DSYNC)
