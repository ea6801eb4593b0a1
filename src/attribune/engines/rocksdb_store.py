"""The attributor's store on RocksDB.

A key is table (1 byte), bucket (2 bytes, big-endian), partition (16 bytes) and row. The first 19 bytes are RocksDB's
prefix: they are bloomed, so that a partition that is not there costs no disk, and a table's old buckets lie together, so
that one range delete drops them. The position is written in the batch of the rows it belongs to.

Commits are not synced: the journal is the truth, and after a power cut the store stands at an earlier commit, whole, and
the attributor decides again from there (WAL recovery stops at the first incomplete batch).
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DbClosedError,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    RdictIter,
    ReadOptions,
    SliceTransform,
    WriteBatch,
)

from attribune.model.errors import FolderTooNew, StoreUnavailable
from attribune.model.ids import START, Position
from attribune.ports import Row

FORMAT: Final = 1
#: Blocks, indexes and filters read from disk; the largest part of the store's memory.
CACHE_BYTES: Final = 128 << 20
#: One memtable; at most three are held.
WRITE_BUFFER_BYTES: Final = 32 << 20
WRITE_BUFFERS_MAX: Final = 3
OPEN_FILES_MAX: Final = 512

_PREFIX_BYTES: Final = 19
_BLOOM_BITS: Final = 10
#: The cache finds out by itself how large its blocks are.
_ANY_CHARGE: Final = 0
#: The only column family there is.
_COLUMN_FAMILY: Final = "default"
_prefix = struct.Struct(">BH16s")
_position = struct.Struct(">BQ")
#: How RocksDB says that its folder is open, in this process or in another.
_HELD: Final = ("lock hold by current process", "While lock file")
#: How it says that its files are not what it wrote.
_DAMAGED: Final = ("Corruption", "No such file", "not a directory", "Not a directory")
#: Not RocksDB's: what the driver keeps of itself.
_OF_THE_DRIVER: Final = "rocksdict-config.json"
#: Table 255 is the store's own.
_OWN: Final = 255
_POSITION_KEY: Final = _prefix.pack(_OWN, 0, b"position")


def _key(row: Row) -> bytes:
    table, bucket, partition, name = row
    return _key_prefix(table, bucket, partition) + name


def _key_prefix(table: int, bucket: int, partition: bytes) -> bytes:
    assert len(partition) == 16, f"a partition has 16 bytes, not {len(partition)}"
    assert table != _OWN, "table 255 is the store's own"
    return _prefix.pack(table, bucket, partition)


def _options() -> Options:
    blocks = BlockBasedOptions()
    # The other kind of cache is cut into pieces that are smaller than a large file's filter, which they would never keep.
    blocks.set_block_cache(Cache.new_hyper_clock_cache(CACHE_BYTES, _ANY_CHARGE))
    blocks.set_cache_index_and_filter_blocks(True)
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(True)
    blocks.set_bloom_filter(_BLOOM_BITS, block_based=False)
    options = Options(raw_mode=True)
    options.create_if_missing(create_if_missing=True)
    options.set_block_based_table_factory(blocks)
    options.set_prefix_extractor(SliceTransform.create_fixed_prefix(_PREFIX_BYTES))
    options.set_memtable_prefix_bloom_ratio(0.1)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(WRITE_BUFFERS_MAX)
    options.set_max_open_files(OPEN_FILES_MAX)
    options.set_max_background_jobs(2)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
    options.set_keep_log_file_num(4)
    options.set_max_log_file_size(8 << 20)
    return options


def _open(path: Path, access: AccessType) -> Rdict:
    # A column family that is not named is opened with the options that its folder remembers, and those are without
    # cache and bloom filters.
    options = _options()
    return Rdict(
        str(path),
        options=options,
        column_families={_COLUMN_FAMILY: options},
        access_type=access,
    )


class RocksStore:
    """Wide rows and their position in a RocksDB folder. One process at a time.

    Raises StoreUnavailable when another process has the folder or the disk does not work, FolderTooNew.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise StoreUnavailable(f"the store {path} cannot be made: {fault}") from fault
        try:
            self._db = _open(self._path, AccessType.read_write())
        except Exception as fault:
            raise self._said(fault) from fault
        # A walk ends where its prefix does: no row of another partition is ever seen.
        self._in_partition = ReadOptions()
        self._in_partition.set_prefix_same_as_start(True)
        #: What walks over the store as it stands now; to make one costs as much as a walk.
        self._walker: RdictIter | None = None
        try:
            self._at = self._read_position()
        except BaseException:
            self._db.close()
            raise

    def position(self) -> Position:
        """Where the last commit stood."""
        return self._at

    def get(self, key: Row) -> bytes | None:
        """The value of one row."""
        try:
            value: bytes | None = self._db.get(_key(key))
        except Exception as fault:
            raise self._said(fault) from fault
        return value

    def in_buckets(
        self, table: int, buckets: Sequence[int], partition: bytes
    ) -> list[bytes | None]:
        """The values of the row without a name of a partition in several buckets, in their order."""
        keys: list[Any] = [_key_prefix(table, bucket, partition) for bucket in buckets]
        try:
            values = self._db.get(keys)
        except Exception as fault:
            raise self._said(fault) from fault
        return cast("list[bytes | None]", values)

    def rows(
        self, table: int, bucket: int, partition: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Up to ``limit`` (row, value) pairs of a partition, in order of row."""
        prefix = _key_prefix(table, bucket, partition)
        found: list[tuple[bytes, bytes]] = []
        try:
            walk = self._walker
            if walk is None:
                walk = self._walker = self._db.iter(self._in_partition)
            walk.seek(prefix)
            while len(found) < limit and walk.valid():
                found.append((walk.key()[_PREFIX_BYTES:], walk.value()))
                walk.next()
            walk.status()
        except Exception as fault:
            self._walker = None
            raise self._said(fault) from fault
        return found

    def commit(self, writes: Mapping[Row, bytes | None], position: Position) -> None:
        """Write and delete (None) rows and move the position, all or nothing."""
        batch = WriteBatch(raw_mode=True)
        put = batch.put
        for (table, bucket, partition, row), value in writes.items():
            key = _key_prefix(table, bucket, partition) + row
            if value is None:
                batch.delete(key)
            else:
                put(key, value)
        batch.put(_POSITION_KEY, _position.pack(FORMAT, position))
        self._walker = None
        try:
            self._db.write(batch)
        except Exception as fault:
            raise self._said(fault) from fault
        self._at = position

    def drop(self, table: int, before_bucket: int) -> None:
        """Forget every row of a table in buckets 1 to ``before_bucket`` - 1, with one range delete."""
        if before_bucket <= 1:
            return
        none = bytes(16)
        self._walker = None
        try:
            self._db.delete_range(
                _prefix.pack(table, 1, none), _prefix.pack(table, before_bucket, none)
            )
        except Exception as fault:
            raise self._said(fault) from fault

    def close(self) -> None:
        """Let go of files and locks; a second time is no matter. Raises StoreUnavailable when the last rows cannot be tidied."""
        self._walker = None
        try:
            self._db.close()
        except DbClosedError:
            return
        except Exception as fault:
            raise self._said(fault) from fault

    def _read_position(self) -> Position:
        try:
            raw = self._db.get(_POSITION_KEY)
        except Exception as fault:
            raise self._said(fault) from fault
        return _read_position(self._path, raw)

    def _said(self, fault: Exception) -> StoreUnavailable:
        return _said(self._path, fault)


def compact(path: Path) -> None:
    """Leave no row of before in older files; nobody may have the store open. Raises StoreUnavailable.

    RocksDB does this by itself to what is older than 30 days (its ``ttl``).
    """
    try:
        database = _open(path, AccessType.read_write())
        try:
            database.flush()
            database.compact_range(None, None)
        finally:
            database.close()
    except Exception as fault:
        raise _said(path, fault) from fault


def look(path: Path) -> Position:
    """Where a store that nobody has open stands; changes nothing. Raises StoreUnavailable, FolderTooNew.

    The driver writes a file of its own beside RocksDB's whenever it opens them, so it is led to them through links.
    """
    with tempfile.TemporaryDirectory(prefix="attribune-look-") as room:
        try:
            for file in path.iterdir():
                if file.name != _OF_THE_DRIVER:
                    (Path(room) / file.name).symlink_to(file.resolve())
            database = _open(Path(room), AccessType.read_only())
            try:
                raw = database.get(_POSITION_KEY)
            finally:
                database.close()
        except Exception as fault:
            raise _said(path, fault) from fault
        return _read_position(path, raw)


def _read_position(path: Path, raw: bytes | None) -> Position:
    if raw is None:
        return START
    version, position = _position.unpack(raw)
    if version > FORMAT:
        raise FolderTooNew(
            f"the store {path} has format {version}, this version reads {FORMAT}; install the later one"
        )
    return Position(position)


def _said(path: Path, fault: Exception) -> StoreUnavailable:
    if any(words in str(fault) for words in _HELD):
        return StoreUnavailable(
            f"the store {path} is open already, here or in another process ({fault}); stop that one first"
        )
    mend = "; it is damaged: make it again with `attribune rebuild stores`"
    damage = mend if any(words in str(fault) for words in _DAMAGED) else ""
    return StoreUnavailable(f"the store {path} cannot be used now: {fault}{damage}")
