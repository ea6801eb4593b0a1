"""The twins in memory: each fits its port as the real engine does, so that every room can be run without a disk."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from heapq import merge
from itertools import islice
from threading import Lock

from attribune.engines.memory_book import MemoryBook
from attribune.engines.memory_facts import MemoryFacts
from attribune.engines.memory_outbox import MemoryOutbox
from attribune.engines.system import MemoryChance, MemoryClock
from attribune.model.errors import JournalPruned, JournalUnavailable, VaultLocked
from attribune.model.ids import START, DeviceId, Position, ProductId, device_digest
from attribune.model.position import Entry, Topic
from attribune.ports import Row

__all__ = [
    "MemoryAnswers",
    "MemoryBook",
    "MemoryChance",
    "MemoryClock",
    "MemoryFacts",
    "MemoryJournal",
    "MemoryOutbox",
    "MemoryRegistryStore",
    "MemoryStore",
    "MemoryVault",
]


class MemoryJournal:
    """A journal that lasts as long as its object. Safe between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: dict[Topic, list[Entry]] = {topic: [] for topic in Topic}
        self._places: dict[Topic, list[Position]] = {topic: [] for topic in Topic}
        self._start = self._end = START
        #: When set, appends raise it: a full disk, on purpose.
        self.fault: JournalUnavailable | None = None

    def append(self, entries: Sequence[tuple[Topic, bytes]]) -> Sequence[Position]:
        """Keep the entries, all or none, next to each other; give their places. Raises what ``fault`` says."""
        with self._lock:
            if self.fault is not None:
                raise self.fault
            places = []
            for topic, payload in entries:
                self._end = Position(self._end + 1)
                self._entries[topic].append(Entry(self._end, topic, bytes(payload)))
                self._places[topic].append(self._end)
                places.append(self._end)
            return places

    def read(self, topics: Iterable[Topic], after: Position, limit: int) -> list[Entry]:
        """Up to ``limit`` entries of the topics that stand after a place, in order. Raises JournalPruned."""
        wanted = tuple(dict.fromkeys(topics))
        with self._lock:
            if after < self._start and wanted != (Topic.CONTROL,):
                raise JournalPruned(f"the journal was pruned up to entry {self._start}")
            tails = []
            for topic in wanted:
                start = bisect_right(self._places[topic], after)
                tails.append(self._entries[topic][start : start + max(limit, 0)])
        return list(islice(merge(*tails), max(limit, 0)))

    def get(self, topic: Topic, position: Position) -> Entry | None:
        """The entry at a place, or None when it was never there or has been pruned."""
        with self._lock:
            index = bisect_left(self._places[topic], position)
            if index < len(self._places[topic]) and self._places[topic][index] == position:
                return self._entries[topic][index]
            return None

    def start(self) -> Position:
        """The place before the oldest entry that is kept; START while none was pruned."""
        return self._start

    def prune(self, upto: Position) -> None:
        """Forget every entry up to a place but those of ``control``."""
        with self._lock:
            self._start = max(self._start, upto)
            for topic in set(Topic) - {Topic.CONTROL}:
                gone = bisect_right(self._places[topic], upto)
                del self._entries[topic][:gone], self._places[topic][:gone]

    def end(self) -> Position:
        """The place of the newest entry; START when there is none."""
        return self._end

    def close(self) -> None:
        """Nothing to let go of; what was kept stays, so that a twin can be *opened* again by sharing it."""


class MemoryStore:
    """Wide rows in dictionaries, the rows of a partition sorted."""

    def __init__(self) -> None:
        self._values: dict[Row, bytes] = {}
        self._rows: dict[tuple[int, int, bytes], list[bytes]] = {}
        self._position = START

    def position(self) -> Position:
        """Where the last commit stood."""
        return self._position

    def get(self, key: Row) -> bytes | None:
        """The value of one row."""
        return self._values.get(key)

    def in_buckets(
        self, table: int, buckets: Sequence[int], partition: bytes
    ) -> list[bytes | None]:
        """The values of the row without a name of a partition in several buckets, in their order."""
        return [self._values.get(Row(table, bucket, partition)) for bucket in buckets]

    def rows(
        self, table: int, bucket: int, partition: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Up to ``limit`` (row, value) pairs of a partition, in order of row."""
        names = self._rows.get((table, bucket, partition), [])
        return [
            (name, self._values[Row(table, bucket, partition, name)])
            for name in names[: max(limit, 0)]
        ]

    def commit(self, writes: Mapping[Row, bytes | None], position: Position) -> None:
        """Write and delete (None) rows and move the position, all or nothing."""
        for key in writes:
            check_row(key)
        for key, value in writes.items():
            if value is None:
                self._delete(key)
            else:
                self._put(key, value)
        self._position = position

    def drop(self, table: int, before_bucket: int) -> None:
        """Forget every row of a table in buckets 1 to ``before_bucket`` - 1."""
        for key in [k for k in self._values if k.table == table and 1 <= k.bucket < before_bucket]:
            self._delete(key)

    def close(self) -> None:
        """Nothing to let go of."""

    def _put(self, key: Row, value: bytes) -> None:
        if key not in self._values:
            insort(self._rows.setdefault(key[:3], []), key.row)
        self._values[key] = bytes(value)

    def _delete(self, key: Row) -> None:
        if self._values.pop(key, None) is None:
            return
        rows = self._rows[key[:3]]
        del rows[bisect_left(rows, key.row)]
        if not rows:
            del self._rows[key[:3]]


def check_row(key: Row) -> None:
    """A partition has 16 bytes, a table one and a bucket two; anything else is a programmer's mistake."""
    assert len(key.partition) == 16, f"a partition has 16 bytes, not {len(key.partition)}"
    assert 0 <= key.table < 255, f"a table is a number from 0 to 254, not {key.table}"
    assert 0 <= key.bucket < 65536, f"a bucket is a number from 0 to 65535, not {key.bucket}"


class MemoryAnswers:
    """Answers in a dictionary."""

    def __init__(self) -> None:
        self._answers: dict[bytes, bytes] = {}
        self._position = START

    def get(self, product: ProductId, device: DeviceId) -> bytes | None:
        """The encoded answer, or None when nothing is decided yet."""
        return self._answers.get(device_digest(product, device))

    def put(
        self, answers: Mapping[tuple[ProductId, DeviceId], bytes | None], position: Position
    ) -> None:
        """Keep the newest answers and the position they come from, all or nothing; None takes an answer away."""
        for who, answer in answers.items():
            if answer is None:
                self._answers.pop(device_digest(*who), None)
            else:
                self._answers[device_digest(*who)] = answer
        self._position = position

    def position(self) -> Position:
        """Up to which outcome the answers are complete."""
        return self._position

    def close(self) -> None:
        """Nothing to let go of."""


class MemoryRegistryStore:
    """The history of topic ``control`` in a list."""

    def __init__(self) -> None:
        self._changes: dict[Position, bytes] = {}
        self._position = START

    def history(self) -> list[tuple[Position, bytes]]:
        """Every change ever made, in order, encoded as journaled."""
        return sorted(self._changes.items())

    def add(self, changes: Sequence[tuple[Position, bytes]], position: Position) -> None:
        """Keep more changes and move the position; what stands already is left."""
        for place, payload in changes:
            self._changes.setdefault(place, payload)
        self._position = max(self._position, position)

    def position(self) -> Position:
        """Up to which entry the history is complete."""
        return self._position

    def close(self) -> None:
        """Nothing to let go of."""


class MemoryVault:
    """A vault that hides a secret from nobody but a careless reader; ``key`` stands for the file that may be lost."""

    def __init__(self) -> None:
        self.key = "1"

    def seal(self, secret: str) -> str:
        """The secret behind the key's name, turned around."""
        return f"{self.key}:{secret[::-1]}"

    def unseal(self, sealed: str) -> str:
        """The secret again. Raises VaultLocked."""
        key, _, turned = sealed.partition(":")
        if key != self.key:
            raise VaultLocked
        return turned[::-1]
