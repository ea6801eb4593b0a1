"""Pruning a journal's segments as files, from outside and while others append: what is kept of them, and how they go.

What people change (topic ``control``) is needed for ever: it is what everything else is read under. So before a segment goes,
its entries of that topic are carried on, with their places and checksums, into an environment of their own beside the
segments. Then its folder is renamed, which is when it is pruned, and only then removed: who looks for a segment finds all
of it or none. Each step can be the last one of a process that is killed; the next prune goes on from what is on disk.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import lmdb

from attribune.engines.lmdb_segment import FILE_NAME, Segment, State, said
from attribune.model.errors import JournalDamaged
from attribune.model.ids import START
from attribune.model.position import Topic

FOLDER: Final = "carried"
#: What a pruned segment's folder is called until it is removed: nobody takes it for a segment.
SUFFIX: Final = ".pruned"
#: Address space for what is carried, the same in every process. Takes no disk.
_BYTES_MAX: Final = 16 << 30
#: Entries carried in one commit.
_ENTRIES_MAX: Final = 10_000


def opened(journal: Path) -> Segment | None:
    """What was carried on, for who reads it; None when nothing was. Raises JournalUnavailable, JournalDamaged, FolderTooNew."""
    return Segment.open(journal / FOLDER, 0, _BYTES_MAX)


def carry(journal: Path, name: str) -> None:
    """Carry the ``control`` of the oldest segment that was not carried yet; again is no matter.

    No ``LmdbJournal`` of the folder may be open in this process. Raises JournalDamaged when an entry is not what was
    written or a segment before it is missing, JournalFull, JournalUnavailable, OSError.
    """
    size = (journal / name / FILE_NAME).stat().st_size
    source = Segment.open(journal / name, int(name), size)
    if source is None:
        raise JournalDamaged(f"segment {journal / name} is not whole; restore it from a backup")
    try:
        carried = _made(journal, source.state())
        try:
            _carry(source, carried, f"segment {journal / name}")
        finally:
            carried.close()
    except lmdb.Error as fault:
        raise said(fault, f"what is carried on in {journal}") from fault
    finally:
        source.close()


def _carry(source: Segment, carried: Segment, what: str) -> None:
    state, place = source.state(), carried.state().last
    assert state.is_sealed, "only what nobody appends to is pruned"
    if place < state.base:
        raise JournalDamaged(
            f"{what} begins after entry {state.base}, and only what was changed up to {place} was carried on; "
            "restore the segment before it from a backup"
        )
    while place < state.last:
        entries, _ = source.read((Topic.CONTROL,), place, _ENTRIES_MAX)
        place = entries[-1].position if len(entries) == _ENTRIES_MAX else state.last
        carried.carry(entries, place)


def _made(journal: Path, first: State) -> Segment:
    path = journal / FOLDER
    path.mkdir(exist_ok=True)
    begin = State(START, START, first.begun_at_ms, is_sealed=True)
    carried = Segment.open(path, 0, _BYTES_MAX, begin)
    assert carried is not None, "made a moment ago"
    sync(path)
    sync(journal)
    return carried


def retire(journal: Path, name: str) -> None:
    """Make a segment one that was pruned. Raises OSError."""
    (journal / name).rename(journal / (name + SUFFIX))
    sync(journal)


def sweep(journal: Path) -> int:
    """Remove what was pruned, now or by one that was killed; how many bytes of files that were. Raises OSError."""
    freed = 0
    for folder in sorted(journal.glob("*" + SUFFIX)):
        freed += sum(file.stat().st_size for file in folder.iterdir())
        shutil.rmtree(folder)
    sync(journal)
    return freed


def sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
