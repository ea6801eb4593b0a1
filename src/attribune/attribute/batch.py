"""The rows that a batch of entries changes: they lie on top of the store's until they are committed with its position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attribune.model.ids import Position
from attribune.ports import Row, Store

#: Most rows read of one partition at a time; nothing that is decided depends on more.
ROWS_MAX: Final = 100_000


class _Unchanged:
    """No value, and no deletion either: this batch has not touched the row."""


_UNCHANGED: Final = _Unchanged()


class Batch:
    """The store as this batch has left it so far."""

    def __init__(self, store: Store) -> None:
        """Begin with nothing changed."""
        self._store = store
        self._changed: dict[Row, bytes | None] = {}
        #: The changed rows by partition, so that reading a partition need not search all changes.
        self._by_partition: dict[tuple[int, int, bytes], dict[bytes, bytes | None]] = {}
        #: What stood before each change, so that the newest of them can be taken back.
        self._before: list[tuple[Row, bytes | _Unchanged | None]] = []

    def get(self, key: Row) -> bytes | None:
        """The value of one row."""
        if key in self._changed:
            return self._changed[key]
        return self._store.get(key)

    def in_buckets(
        self, table: int, buckets: Sequence[int], partition: bytes
    ) -> list[bytes | None]:
        """The values of the row without a name of a partition in several buckets, in their order."""
        values = self._store.in_buckets(table, buckets, partition)
        for n, bucket in enumerate(buckets):
            if changed := self._by_partition.get((table, bucket, partition)):
                values[n] = changed.get(b"", values[n])
        return values

    def rows(
        self, table: int, bucket: int, partition: bytes, limit: int = ROWS_MAX
    ) -> list[tuple[bytes, bytes]]:
        """Up to ``limit`` (row, value) pairs of a partition, in order of row."""
        changed = self._by_partition.get((table, bucket, partition))
        if not changed:
            return self._store.rows(table, bucket, partition, limit)
        rows: dict[bytes, bytes | None] = dict(
            self._store.rows(table, bucket, partition, limit + len(changed))
        )
        rows.update(changed)
        return sorted((row, value) for row, value in rows.items() if value is not None)[:limit]

    def put(self, key: Row, value: bytes | None) -> None:
        """Write a row, or delete it (None)."""
        changed = self._changed
        self._before.append((key, changed.get(key, _UNCHANGED)))
        changed[key] = value
        partition = key[:3]
        part = self._by_partition.get(partition)
        if part is None:
            part = self._by_partition[partition] = {}
        part[key.row] = value

    def settle(self) -> None:
        """Let stand what has changed so far: it will not be taken back, and earlier marks are worth nothing."""
        self._before.clear()

    def mark(self) -> int:
        """How much has changed, to go back to."""
        return len(self._before)

    def undo(self, mark: int) -> None:
        """Take back what changed since a mark."""
        for key, value in reversed(self._before[mark:]):
            part = self._by_partition[key[:3]]
            if isinstance(value, _Unchanged):
                del self._changed[key], part[key.row]
            else:
                self._changed[key] = part[key.row] = value
        del self._before[mark:]

    def commit(self, position: Position) -> None:
        """Write what changed together with the position, and begin anew."""
        self._store.commit(self._changed, position)
        self._changed = {}
        self._by_partition.clear()
        self._before.clear()
