"""What is folded from the journal to decide, to answer and to report."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from attribune.model.fact import (
    Fact,
    FactKind,
    Forgotten,
    Question,
    RowPlace,
    Selection,
    Standing,
    Sum,
    Told,
    Trace,
)
from attribune.model.ids import (
    DeviceId,
    Position,
    ProductId,
    RecordId,
)
from attribune.model.unmeasured import NOT_MEASURED as NOT_MEASURED  # noqa: PLC0414 - doors find it here


class Row(NamedTuple):
    """Where a value stands in a wide-row store: rows of a partition lie together, ordered by ``row``.

    ``bucket`` is the week of the value for data that is dropped when old (see ``Store.drop``), 0 for data that stays.
    """

    table: int
    bucket: int
    #: Exactly 16 bytes, so that the engine can hash and bloom it.
    partition: bytes
    row: bytes = b""


class Store(Protocol):
    """What the attributor remembers: wide rows, and the position they stand at, committed together."""

    def position(self) -> Position:
        """Where the last commit stood."""
        ...

    def get(self, key: Row) -> bytes | None:
        """The value of one row."""
        ...

    def in_buckets(
        self, table: int, buckets: Sequence[int], partition: bytes
    ) -> list[bytes | None]:
        """The values of the row without a name of a partition in several buckets, in their order."""
        ...

    def rows(
        self, table: int, bucket: int, partition: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Up to ``limit`` (row, value) pairs of a partition, in order of row."""
        ...

    def commit(self, writes: Mapping[Row, bytes | None], position: Position) -> None:
        """Write and delete (None) rows and move the position, all or nothing."""
        ...

    def drop(self, table: int, before_bucket: int) -> None:
        """Forget every row of a table in buckets 1 to ``before_bucket`` - 1, cheaply."""
        ...

    def close(self) -> None:
        """Let go of files and locks."""
        ...


class Answers(Protocol):
    """What SDKs that ask are told: a device's attribution, kept by the attributor and read by collectors."""

    def get(self, product: ProductId, device: DeviceId) -> bytes | None:
        """The encoded answer, or None when nothing is decided yet."""
        ...

    def put(
        self, answers: Mapping[tuple[ProductId, DeviceId], bytes | None], position: Position
    ) -> None:
        """Keep the newest answers and the position they come from, all or nothing; None takes an answer away."""
        ...

    def position(self) -> Position:
        """Up to which outcome the answers are complete."""
        ...

    def close(self) -> None:
        """Let go of files and locks."""
        ...


class RegistryStore(Protocol):
    """The history of topic ``control``, small and kept whole."""

    def history(self) -> list[tuple[Position, bytes]]:
        """Every change ever made, in order, encoded as journaled."""
        ...

    def add(self, changes: Sequence[tuple[Position, bytes]], position: Position) -> None:
        """Keep more changes and move the position, all or nothing; what stands already is left."""
        ...

    def position(self) -> Position:
        """Up to which entry the history is complete."""
        ...

    def close(self) -> None:
        """Let go of files and locks."""
        ...


class Facts(Protocol):
    """The rows that reports add up."""

    def insert(self, facts: Sequence[Fact]) -> None:
        """Keep rows, all or nothing."""
        ...

    def position(self) -> Position:
        """The highest position of a kept row; START when empty."""
        ...

    def ask(self, question: Question) -> list[Sum]:
        """The sums that a question asks for, biggest first measure first."""
        ...

    def trace(self, handle: int, limit: int) -> list[Trace]:
        """The rows whose ``handles`` hold this one, ordered by (position, ordinal), the first ``limit`` of them."""
        ...

    def trace_all(
        self, handles: Collection[int], kinds: Collection[FactKind], limit: int
    ) -> list[tuple[int, Trace]]:
        """The rows of some kinds whose ``handles`` hold any of these, each with the one that it holds, in the order of ``trace``."""
        ...

    def standing(self, wanted: Selection, after: RowPlace | None, rows_max: int) -> Standing:
        """A page of the rows that stand, ordered by ``RowPlace``, made of at most ``rows_max`` rows behind a place."""
        ...

    def told(self, wanted: Told) -> set[RecordId]:
        """Which records of some have rows."""
        ...

    def count_standing(self, wanted: Selection) -> int:
        """How many rows stand: the sum of their signs."""
        ...

    def count(self) -> int:
        """How many rows are kept."""
        ...

    def forget(self, people: Sequence[Forgotten]) -> None:
        """Take what leads to people out of their rows, which stay for the sums: ``model.scrub.fact``."""
        ...

    def clear(self) -> None:
        """Forget all rows, so that they can be made again."""
        ...

    def close(self) -> None:
        """Let go of files and locks."""
        ...
