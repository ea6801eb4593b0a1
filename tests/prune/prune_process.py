"""A process that prunes the oldest segments of a journal, and may be killed on the way.

prune_process.py FOLDER COUNT [STEP]      STEP: carried, half carried, renamed, half removed
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from attribune.engines import lmdb_carried, lmdb_copy
from attribune.engines.lmdb_segment import Segment

STEPS = ("carried", "half carried", "renamed", "half removed")


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_after_a_commit() -> None:
    """Entries are carried one a commit, and the second is not begun."""
    lmdb_carried._ENTRIES_MAX = 1
    carry, commits = Segment.carry, []

    def once(self: Segment, *what: Any) -> None:
        if commits:
            die()
        carry(self, *what)
        commits.append(1)

    Segment.carry = once


def die_after_a_file() -> None:
    unlink = os.unlink

    def once(*what: Any, **how: Any) -> None:
        unlink(*what, **how)
        die()

    os.unlink = shutil.os.unlink = once


def prune(journal: Path, count: int, step: str = "") -> None:
    """As ``attribune journal prune`` does it once it has decided."""
    for name in lmdb_copy.names(journal)[:count]:
        if step == "half carried":
            die_after_a_commit()
        lmdb_carried.carry(journal, name)
        if step == "carried":
            die()
        lmdb_carried.retire(journal, name)
        if step == "renamed":
            die()
    if step == "half removed":
        die_after_a_file()
    lmdb_carried.sweep(journal)


if __name__ == "__main__":
    folder, count, *step = sys.argv[1:]
    prune(Path(folder), int(count), *step)
