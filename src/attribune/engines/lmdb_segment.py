"""One segment of the journal: an LMDB environment with a sub-database per topic.

Keys are positions (8 bytes, big-endian, so that LMDB's order is theirs); a value is a CRC-32 and the payload. The
checksum begins with the position, so that an entry found in another's place is noticed too. A sub-database ``meta``
holds the segment's state, written in the same transaction as the entries that it counts.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, cast
from zlib import crc32

import lmdb

from attribune.model.errors import (
    AttribuneError,
    FolderTooNew,
    JournalDamaged,
    JournalFull,
    JournalUnavailable,
)
from attribune.model.ids import Position
from attribune.model.position import Entry, Topic

FORMAT: Final = 1
#: LMDB's own name of a segment's file.
FILE_NAME: Final = "data.mdb"
#: Address space beyond a segment's limit, for the batch that reaches it. Takes no disk until it is used.
SLACK_BYTES: Final = 64 << 20
#: Threads and processes that may read at once.
READERS_MAX: Final = 512
#: LMDB's page; an entry takes at most its length rounded up to pages, and its share of a leaf.
PAGE_BYTES: Final = 4096

_META: Final = b"meta"
_STATE: Final = b"state"
_CRC_BYTES: Final = 4
_WORD: Final = 0xFFFFFFFF
_pack_key = struct.Struct(">Q").pack
_state = struct.Struct(">BBQQQ")
#: What LMDB, or the system beneath it, raises.
DRIVER: Final = (lmdb.Error, OSError)
#: What the disk says when there is no room: full, over the quota, over the file size limit.
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class State(NamedTuple):
    """Where a segment stands."""

    #: The place before its first entry.
    base: Position
    #: Its newest entry; equals ``base`` while it has none.
    last: Position
    #: When its first entry was appended, or when it was made while it has none. Milliseconds, UTC.
    begun_at_ms: int
    #: Nothing is appended any more.
    is_sealed: bool


class Segment:
    """An open segment. Its caller sees to it that no environment is opened twice in a process."""

    def __init__(
        self,
        number: int,
        env: lmdb.Environment,
        databases: dict[Topic, Any],
        meta: Any,
        file: tuple[int, int] | None,
    ) -> None:
        self.number = number
        self._file = file
        self._env = env
        self._databases = databases
        self._meta = meta

    @classmethod
    def open(
        cls, path: Path, number: int, bytes_max: int, begin: State | None = None
    ) -> Segment | None:
        """Open a segment; with ``begin`` make it first if it is not there.

        None when it is not there, or when who made it was stopped before it was whole. Raises JournalUnavailable,
        JournalFull, JournalDamaged, FolderTooNew.
        """
        env = None
        try:
            if begin is None and not (path / FILE_NAME).exists():
                return None
            # Before it is opened: of one that is exchanged meanwhile the new file is open and the old one noted, which is seen.
            file = _identity(path)
            env = lmdb.open(
                str(path),
                map_size=bytes_max + SLACK_BYTES,
                max_dbs=len(Topic) + 1,
                max_readers=READERS_MAX,
                create=begin is not None,
                mode=0o600,
                lib_version=0,
            )
            env.reader_check()
            opened = _databases(env, begin)
            segment = None if opened is None else cls(number, env, *opened, file or _identity(path))
            if segment is not None:
                segment.state()
                env = None  # it is the segment's from here on
        except DRIVER as fault:
            if begin is None and not (path / FILE_NAME).exists():  # pruned a moment ago
                return None
            raise said(fault, f"segment {path}") from fault
        finally:
            if env is not None:
                env.close()
        return segment

    def close(self) -> None:
        """Let go of the files."""
        self._env.close()

    def was_exchanged(self) -> bool:
        """Whether another file has the segment's name by now: it was rewritten. Raises OSError."""
        return _identity(Path(self._env.path())) not in (self._file, None)

    def bytes_used(self) -> int:
        """Bytes of disk that the last commit needs."""
        pages: int = self._env.info()["last_pgno"] + 1
        return pages * PAGE_BYTES

    def state(self) -> State:
        """Where the segment stands now."""
        with self._begin() as txn:
            return self._state(txn)

    def ends(self) -> dict[Topic, Position]:
        """The newest place of each topic that has an entry here."""
        ends = {}
        with self._begin() as txn:
            for topic, database in self._databases.items():
                cursor = txn.cursor(database)
                if cursor.last():
                    ends[topic] = _position(cursor.key())
        return ends

    def append(
        self, entries: Sequence[tuple[Topic, bytes]], now_ms: int, bytes_max: int, age_max_ms: int
    ) -> Sequence[Position] | None:
        """Append all entries or none and wait for the disk; None when the segment is sealed, now or before.

        Raises JournalFull when the entries do not even fit an empty segment, and lmdb.Error.
        """
        room = bytes_max + SLACK_BYTES
        # The most that they can take, so that the map is never full before the segment can be sealed.
        need = sum(len(payload) for _, payload in entries) + 2 * PAGE_BYTES * (len(entries) + 8)
        with self._env.begin(write=True) as txn:
            state = self._state(txn)
            if state.is_sealed:
                return None
            used = self.bytes_used()
            is_empty = state.last == state.base
            is_old = now_ms - state.begun_at_ms >= age_max_ms
            if not is_empty and (used >= bytes_max or used + need > room or is_old):
                self._put_state(txn, state._replace(is_sealed=True))
                return None
            if used + need > room:
                raise JournalFull(
                    f"{len(entries)} entries of together {need} bytes do not fit a segment of {room} bytes; "
                    "append fewer at a time or raise journal_segment_bytes_max"
                )
            last = self._put(txn, entries, state.last)
            begun_at_ms = now_ms if is_empty else state.begun_at_ms
            self._put_state(txn, state._replace(last=last, begun_at_ms=begun_at_ms))
        return cast("Sequence[Position]", range(state.last + 1, last + 1))

    def read(
        self, topics: Sequence[Topic], after: Position, limit: int
    ) -> tuple[list[Entry], State]:
        """Up to ``limit`` entries after a place in order, and the state, all of one moment."""
        with self._begin() as txn:
            state = self._state(txn)
            if state.last <= after:
                return [], state
            start = _pack_key(after + 1)
            sources = [
                self._walk(txn, topic, start) for topic in topics if topic in self._databases
            ]
            source = sources[0] if len(sources) == 1 else merge(*sources)
            return list(islice(source, limit)), state

    def get(self, topic: Topic, position: Position) -> Entry | None:
        """The entry at a place, or None."""
        if topic not in self._databases:
            return None
        with self._begin() as txn:
            value = txn.get(_pack_key(position), db=self._databases[topic])
        return None if value is None else entry_of(position, topic, value)

    def carry(self, entries: Sequence[Entry], last: Position) -> None:
        """Keep entries with the places that they have elsewhere, behind all that stands here, and move the last place."""
        items: dict[Topic, list[tuple[bytes, bytes]]] = {}
        for entry in entries:
            items.setdefault(entry.topic, []).append(_pair(entry.position, entry.payload))
        with self._env.begin(write=True) as txn:
            self._put_items(txn, items)
            self._put_state(txn, self._state(txn)._replace(last=last))

    def _begin(self) -> lmdb.Transaction[bytes]:
        try:
            return self._env.begin()
        except lmdb.ReadersFullError:
            # Slots of killed readers stay taken until somebody looks.
            self._env.reader_check()
            return self._env.begin()

    def _walk(self, txn: lmdb.Transaction[bytes], topic: Topic, start: bytes) -> Iterator[Entry]:
        cursor = txn.cursor(self._databases[topic])
        if cursor.set_range(start):
            least = start
            for key, value in cursor.iternext():
                if key < least:  # a reader would come here again and again
                    raise JournalDamaged(
                        f"the order of {topic} in segment {self._env.path()} is not what was written; "
                        "restore it from a backup"
                    )
                least = key
                yield entry_of(_position(key), topic, value)

    def _put(
        self,
        txn: lmdb.Transaction[bytes],
        entries: Sequence[tuple[Topic, bytes]],
        position: Position,
    ) -> Position:
        items: dict[Topic, list[tuple[bytes, bytes]]] = {}
        place = int(position)
        for topic, payload in entries:
            place += 1
            pair = _pair(place, payload)
            if topic in items:
                items[topic].append(pair)
            else:
                items[topic] = [pair]
        self._put_items(txn, items)
        return Position(place)

    def _put_items(
        self, txn: lmdb.Transaction[bytes], items: Mapping[Topic, list[tuple[bytes, bytes]]]
    ) -> None:
        for topic, pairs in items.items():
            _, added = txn.cursor(self._databases[topic]).putmulti(pairs, append=True)
            assert added == len(pairs), "positions only grow"

    def _state(self, txn: lmdb.Transaction[bytes]) -> State:
        return _decoded(txn.get(_STATE, db=self._meta), self._env.path())

    def _put_state(self, txn: lmdb.Transaction[bytes], state: State) -> None:
        txn.put(_STATE, _encode(state), db=self._meta)


def _encode(state: State) -> bytes:
    body = _state.pack(FORMAT, state.is_sealed, state.base, state.last, state.begun_at_ms)
    return body + crc32(body).to_bytes(_CRC_BYTES, "big")


def _decoded(raw: bytes | None, segment: str) -> State:
    if raw is None or len(raw) != _state.size + _CRC_BYTES:
        raise JournalDamaged(f"segment {segment} has no state; restore it from a backup")
    body, check = raw[: _state.size], raw[_state.size :]
    version, sealed, base, last, begun_at_ms = _state.unpack(body)
    if version > FORMAT:
        raise FolderTooNew(
            f"segment {segment} has format {version}, this version reads {FORMAT}; install the later one"
        )
    if crc32(body) != int.from_bytes(check, "big"):
        raise JournalDamaged(f"the state of segment {segment} is not what was written")
    return State(Position(base), Position(last), begun_at_ms, bool(sealed))


def read_state(env: lmdb.Environment) -> tuple[State, dict[Topic, Any]] | None:
    """State and sub-databases of a segment in an environment that only reads; None while it is only being made.

    Raises JournalDamaged, FolderTooNew, lmdb.Error.
    """
    try:
        meta = env.open_db(_META, create=False)
    except lmdb.NotFoundError:
        return None
    found = {}
    for topic in Topic:
        with suppress(lmdb.NotFoundError):  # the topic is younger than the segment
            found[topic] = env.open_db(topic.encode(), create=False)
    with env.begin() as txn:
        return _decoded(txn.get(_STATE, db=meta), env.path()), found


def _databases(env: lmdb.Environment, begin: State | None) -> tuple[dict[Topic, Any], Any] | None:
    """Topic → sub-database, and ``meta``; None while the segment is not whole.

    With ``begin`` what is missing is made; who comes second changes nothing. One write transaction in both cases: the
    handles of one that only reads end with it.
    """
    found = {}
    with env.begin(write=True) as txn:
        _reach(env)
        for topic in Topic:
            try:
                key = topic.encode()
                found[topic] = env.open_db(key, txn=txn, create=begin is not None)
            except lmdb.NotFoundError:  # the topic is younger than the segment
                continue
        try:
            meta = env.open_db(_META, txn=txn, create=begin is not None)
        except lmdb.NotFoundError:
            return None
        if begin is not None and txn.get(_STATE, db=meta) is None:
            txn.put(_STATE, _encode(begin), db=meta)
    return found, meta


def _reach(env: lmdb.Environment) -> None:
    """Lengthen a file that was cut short of what its last commit needs. Only under the writer lock: nobody else appends.

    LMDB reads through a map, and the kernel kills who reads beyond the end of the file (SIGBUS). A page of zeros is none of
    LMDB's, so it names the damage instead, and everything before it can be read.
    """
    file = Path(env.path()) / "data.mdb"
    size, needed = file.stat().st_size, (env.info()["last_pgno"] + 1) * PAGE_BYTES
    if size >= needed:
        return
    try:
        os.truncate(file, needed)
    except OSError as fault:
        raise JournalDamaged(
            f"segment {env.path()} has {size} bytes and needs {needed} ({fault}); restore it from a backup"
        ) from fault


def _identity(segment: Path) -> tuple[int, int] | None:
    """Which file a segment is; None while it has none."""
    try:
        status = (segment / FILE_NAME).stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _position(key: bytes) -> Position:
    return int.from_bytes(key, "big")  # type: ignore[return-value]  # a call for each entry that is read


def _pair(place: int, payload: bytes) -> tuple[bytes, bytes]:
    check = crc32(payload, place & _WORD)
    return _pack_key(place), check.to_bytes(_CRC_BYTES, "big") + payload


def entry_of(position: Position, topic: Topic, value: bytes) -> Entry:
    """The entry that a value stands for. Raises JournalDamaged when its checksum does not fit."""
    payload = value[_CRC_BYTES:]
    if crc32(payload, position & _WORD) != int.from_bytes(value[:_CRC_BYTES], "big"):
        raise JournalDamaged(
            f"entry {position} of {topic} is not what was written: its checksum does not fit; "
            "restore its segment from a backup"
        )
    return Entry(position, topic, payload)


def _number(fault: lmdb.Error | OSError) -> int | None:
    return fault.errno if isinstance(fault, OSError) else getattr(fault, "code", None)


def said(fault: lmdb.Error | OSError, what: str) -> AttribuneError:
    """An error of LMDB or of the system as one of ours."""
    if isinstance(fault, (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.InvalidError)):
        return JournalDamaged(f"{what} is damaged ({fault}); restore it from a backup")
    if isinstance(fault, lmdb.MapFullError) or _number(fault) in _FULL:
        return JournalFull(f"{what} has no room ({fault}); free some space on its disk")
    if isinstance(fault, lmdb.MapResizedError):
        return JournalUnavailable(
            f"{what} was made larger by a process with another journal_segment_bytes_max; restart this one"
        )
    return JournalUnavailable(f"{what} cannot be used now: {fault}")
