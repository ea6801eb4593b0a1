"""The journal's segments as files, read from outside while others append: for backups.

No ``LmdbJournal`` is opened, so that this works in any process beside any other. A copy is LMDB's own: the segment as of
one moment, whatever is appended meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Final, NamedTuple

import lmdb

from attribune.engines.lmdb_segment import (
    FILE_NAME,
    PAGE_BYTES,
    State,
    entry_of,
    read_state,
    said,
)
from attribune.model.errors import JournalDamaged
from attribune.model.ids import Position
from attribune.model.position import Entry, Topic

#: How much of a segment is in memory at a time.
CHUNK_BYTES: Final = 1 << 20
#: Address space for what is appended between opening a segment and copying it. Takes no disk.
SLACK_BYTES: Final = 1 << 30
_DIGITS: Final = 10


class TopicStand(NamedTuple):
    """What a segment holds of a topic."""

    entries: int
    last: Position


class SegmentStand(NamedTuple):
    """Where a segment stands."""

    state: State
    topics: dict[Topic, TopicStand]


def names(journal: Path) -> list[str]:
    """The names of the segments that have a file with something in it, oldest first. Raises OSError."""
    found = (path.name for path in journal.iterdir() if _has_file(path))
    return sorted(name for name in found if len(name) == _DIGITS and name.isdigit())


def _has_file(segment: Path) -> bool:
    try:
        return (segment / FILE_NAME).stat().st_size > 0
    except OSError:
        return False


def stand(segment: Path, *, is_shared: bool) -> SegmentStand | None:
    """Where a segment stands; None while it is only being made.

    ``is_shared`` is for a segment that others may append to; a copy is opened without a lock beside it. Raises
    JournalDamaged, JournalUnavailable, FolderTooNew.
    """
    with opened(segment, is_shared=is_shared) as env:
        found = read_state(env)
        if found is None:
            return None
        state, databases = found
        topics: dict[Topic, TopicStand] = {}
        with env.begin() as txn:
            for topic, database in databases.items():
                cursor = txn.cursor(database)
                if cursor.last():
                    last = Position(int.from_bytes(cursor.key(), "big"))
                    topics[topic] = TopicStand(txn.stat(database)["entries"], last)
    return SegmentStand(state, topics)


def stand_of_copy(segment: Path) -> SegmentStand:
    """Where the copy of a segment stands. Raises JournalDamaged when it is none, or entries are missing; FolderTooNew."""
    found = stand(segment, is_shared=False)
    if found is None:
        raise JournalDamaged(f"segment {segment} has no state; restore it from another backup")
    state, topics = found
    entries, wanted = sum(topic.entries for topic in topics.values()), state.last - state.base
    if entries != wanted:
        raise JournalDamaged(
            f"segment {segment} holds {entries} entries and should hold {wanted}; restore it from another backup"
        )
    return found


def newest(segment: Path, *, is_shared: bool) -> list[Entry]:
    """The newest entry of each topic in a segment. Raises JournalDamaged, JournalUnavailable, FolderTooNew."""
    with opened(segment, is_shared=is_shared) as env:
        found = read_state(env)
        if found is None:
            return []
        entries = []
        with env.begin() as txn:
            for topic, database in found[1].items():
                cursor = txn.cursor(database)
                if cursor.last():
                    place = Position(int.from_bytes(cursor.key(), "big"))
                    entries.append(entry_of(place, topic, cursor.value()))
    return entries


def first_after(journal: Path, topic: Topic, place: Position) -> Entry | None:
    """The first entry of a topic behind a place, or None. Raises JournalDamaged, JournalUnavailable, FolderTooNew."""
    for name in names(journal):
        with opened(journal / name, is_shared=True) as env:
            state, databases = read_state(env) or (None, {})
            if state is None or state.last <= place or topic not in databases:
                continue
            with env.begin() as txn:
                cursor = txn.cursor(databases[topic])
                if cursor.set_range((place + 1).to_bytes(8, "big")):
                    return entry_of(
                        Position(int.from_bytes(cursor.key(), "big")), topic, cursor.value()
                    )
    return None


def copy(segment: Path, take: Callable[[memoryview], None]) -> None:
    """Give a segment's file as of this moment, in pieces. What ``take`` raises ends the copy and is raised."""
    with opened(segment, is_shared=True) as env:
        read_end, write_end = os.pipe()
        faults: list[Exception] = []
        writer = Thread(target=_pour, args=(env, write_end, faults), daemon=True)
        writer.start()
        try:
            with os.fdopen(read_end, "rb", buffering=0) as pipe:
                buffer = bytearray(CHUNK_BYTES)
                while size := pipe.readinto(buffer):
                    take(memoryview(buffer)[:size])
        finally:  # the pipe is closed by now, so the writer ends
            writer.join()
        if faults:
            raise faults[0]


def _pour(env: lmdb.Environment, descriptor: int, faults: list[Exception]) -> None:
    try:
        env.copyfd(descriptor)
    except lmdb.Error as fault:
        faults.append(fault)
    finally:
        os.close(descriptor)


def _size(segment: Path) -> int:
    try:
        return (segment / FILE_NAME).stat().st_size
    except OSError as fault:
        raise said(fault, f"segment {segment}") from fault


def cut_short(env: lmdb.Environment) -> str | None:
    """In words, how much a file lacks of what its last commit needs; None when nothing. The kernel kills who reads beyond the end."""
    size, needed = (Path(env.path()) / FILE_NAME).stat().st_size, env.info()["last_pgno"] + 1
    if size >= needed * PAGE_BYTES:
        return None
    return f"has {size} bytes and needs {needed * PAGE_BYTES}: it was cut short"


@contextmanager
def opened(segment: Path, *, is_shared: bool) -> Iterator[lmdb.Environment]:
    """A segment's environment for reading alone, while the block runs. Raises JournalDamaged, JournalUnavailable."""
    try:
        env = lmdb.open(
            str(segment),
            readonly=True,
            create=False,
            lock=is_shared,
            map_size=_size(segment) + SLACK_BYTES,
            max_dbs=len(Topic) + 1,
            lib_version=0,
        )
        try:
            if lack := cut_short(env):
                raise JournalDamaged(f"segment {segment} {lack}; restore it from a backup")
            yield env
        finally:
            env.close()
    except lmdb.Error as fault:
        raise said(fault, f"segment {segment}") from fault
