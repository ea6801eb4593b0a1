"""Rewriting a sealed segment of a journal, from outside and while others read it: the same places, other payloads.

The new segment is written whole beside the old one, read again, and then takes its name in one step (``RENAME_EXCHANGE``): who
opens the segment finds the one or the other, and who has it open reads on in the old one until it lets go. Each step can be the last
one of a process that is killed; what it leaves is removed by the next.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import lmdb

from attribune.engines.lmdb_carried import sync
from attribune.engines.lmdb_copy import opened
from attribune.engines.lmdb_segment import FILE_NAME, Segment, State, entry_of, read_state, said
from attribune.model.errors import JournalDamaged, JournalFull, JournalUnavailable
from attribune.model.ids import Position
from attribune.model.position import Entry, Topic

#: What is being written, and after the exchange what is to be removed. Nobody takes it for a segment.
SUFFIX: Final = ".scrubbing"
#: Entries written in one commit.
_ENTRIES_MAX: Final = 10_000
#: How many times a segment must fit what is free before it is written anew.
_ROOM: Final = 2
_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


def entries(
    journal: Path,
    name: str,
    topics: Collection[Topic] = tuple(Topic),
    after: int = 0,
    *,
    is_shared: bool = True,
) -> Iterator[Entry]:
    """The entries of a segment behind a place, topic by topic, each in order; ``is_shared`` as others may have it open.

    Raises JournalDamaged, JournalUnavailable, FolderTooNew.
    """
    with opened(journal / name, is_shared=is_shared) as env:
        _, databases = _state_of(env, journal / name)
        for topic in databases:
            if topic in topics:
                yield from _walk(env, databases[topic], topic, after)


def at(journal: Path, name: str, topic: Topic, places: Iterable[int]) -> Iterator[Entry]:
    """Those of some entries of a topic that stand in a segment. Raises JournalDamaged, JournalUnavailable, FolderTooNew."""
    with opened(journal / name, is_shared=True) as env:
        _, databases = _state_of(env, journal / name)
        if topic not in databases:
            return
        with env.begin() as txn:
            for place in places:
                value = txn.get(place.to_bytes(8, "big"), db=databases[topic])
                if value is not None:
                    yield entry_of(Position(place), topic, value)


def rewrite(journal: Path, name: str, changed: Callable[[Entry], bytes]) -> int:
    """Put ``changed`` payloads in the place of what a sealed segment holds; how many differ.

    Nothing is touched when none does, or when there is no room for the segment twice: what comes in needs some too. Raises
    JournalDamaged, JournalFull, JournalUnavailable, OSError.
    """
    beside = journal / (name + SUFFIX)
    _refuse_full(journal, name)
    shutil.rmtree(beside, ignore_errors=True)
    count = 0
    try:
        with opened(journal / name, is_shared=True) as env:
            count = _written(env, beside, journal / name, changed)
        if count:
            _refuse_difference(journal, name, beside)
            sync(beside)
            sync(journal)
            exchange(beside, journal / name)
            sync(journal)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return count


def _refuse_full(journal: Path, name: str) -> None:
    """Leave the disk to what comes in when it could be short. Raises JournalFull."""
    disk, size = os.statvfs(journal), (journal / name / FILE_NAME).stat().st_size
    free = disk.f_bavail * disk.f_frsize
    if free < _ROOM * size:
        raise JournalFull(
            f"segment {journal / name} has {size} bytes, and {free} are free: to write it anew {_ROOM * size} must be; "
            "free some space on its disk"
        )


def sweep(journal: Path) -> None:
    """Remove what a scrub that was killed has left."""
    for folder in sorted(journal.glob("*" + SUFFIX)):
        shutil.rmtree(folder)


def _written(
    env: lmdb.Environment, beside: Path, old: Path, changed: Callable[[Entry], bytes]
) -> int:
    """Write the segment anew, beside the old one; how many entries differ."""
    state, databases = _state_of(env, old)
    assert state.is_sealed, "only what nobody appends to is rewritten"
    count = 0
    beside.mkdir(mode=0o700)
    begin = state._replace(last=state.base)
    size = max((old / FILE_NAME).stat().st_size, 1 << 20)
    segment = Segment.open(beside, int(old.name), size, begin)
    assert segment is not None, "made a moment ago"
    try:
        for topic in databases:
            batch: list[Entry] = []
            for entry in _walk(env, databases[topic], topic):
                payload = changed(entry)
                count += payload != entry.payload
                batch.append(entry._replace(payload=payload))
                if len(batch) == _ENTRIES_MAX:
                    segment.carry(batch, state.last)
                    batch = []
            segment.carry(batch, state.last)
    except lmdb.Error as fault:
        raise said(fault, f"segment {beside}") from fault
    finally:
        segment.close()
    return count


def _walk(env: lmdb.Environment, database: Any, topic: Topic, after: int = 0) -> Iterator[Entry]:
    with env.begin() as txn:
        cursor = txn.cursor(database)
        if not cursor.set_range((after + 1).to_bytes(8, "big")):
            return
        for key, value in cursor.iternext():
            yield entry_of(Position(int.from_bytes(key, "big")), topic, value)


def _state_of(env: lmdb.Environment, segment: Path) -> tuple[State, dict[Topic, Any]]:
    found = read_state(env)
    if found is None:
        raise JournalDamaged(f"segment {segment} is not whole; restore it from a backup")
    return found


def _refuse_difference(journal: Path, name: str, beside: Path) -> None:
    """Read back what was written: the same topics and places, and every checksum fits."""
    old = ((entry.topic, entry.position) for entry in entries(journal, name))
    new = ((entry.topic, entry.position) for entry in entries(journal, beside.name))
    if any(one != other for one, other in zip(old, new, strict=True)):
        raise JournalDamaged(f"segment {beside} is not what was written; try again on another disk")


def exchange(one: Path, other: Path) -> None:
    """Let two folders change names in one step. Raises JournalUnavailable where the system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE):
        fault = os.strerror(ctypes.get_errno())
        raise JournalUnavailable(
            f"segment {other} cannot be exchanged for its scrubbed copy ({fault}): the file system must know RENAME_EXCHANGE"
        )
