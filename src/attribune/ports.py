"""The few verbs that Attribune needs from the world.

Each port has a twin in memory (``engines/memory.py``) and an embedded engine; one contract suite runs on both. Ports of
the hot way take batches and are synchronous: async only at the sockets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from attribune.model.agent import UserAgent as UserAgent  # noqa: PLC0414 - the enricher's word
from attribune.model.book import Entry as BookEntry
from attribune.model.book import Line, LineState
from attribune.model.codec import Record
from attribune.model.control import App, Door, Key, Link, Partner, Postback, Product
from attribune.model.delivery import (
    DeliveryState,
    Logged,
    LogQuestion,
    OutboxPage,
    OutboxRow,
    Related,
)
from attribune.model.fact import (
    Fact,
    Forgotten,
    Question,
    RowPlace,
    Selection,
    Standing,
    Sum,
    Trace,
)
from attribune.model.ids import (
    AppId,
    ConversionId,
    DeliveryId,
    DeviceId,
    DoorId,
    LinkId,
    PartnerId,
    PolicyVersion,
    Position,
    PostbackId,
    ProductId,
)
from attribune.model.policy import Policy
from attribune.model.position import Entry, Topic
from attribune.model.unmeasured import NOT_MEASURED as NOT_MEASURED  # noqa: PLC0414 - doors find it here

#: As of now: after every change that a directory has seen.
NOW: Final = Position(2**63 - 1)


class Clock(Protocol):
    """What time it is."""

    def now_ms(self) -> int:
        """The wall clock in milliseconds since the epoch, UTC."""
        ...


class Chance(Protocol):
    """Where randomness comes from."""

    def token(self, size: int) -> bytes:
        """So many unguessable bytes."""
        ...


class Journal(Protocol):
    """The append-only truth, shared by all processes of a folder.

    Entries of all topics stand in one order. A reader of several topics gets them in that order, so that whatever stands
    before an entry has been read before it: this is the barrier. An engine that keeps topics apart (Kafka) brings them
    into this order itself.

    What is old may be pruned: then all entries up to a place, ``start``, are gone, but those of topic ``control``, which are
    kept for ever.
    """

    def append(self, entries: Sequence[tuple[Topic, bytes]]) -> Sequence[Position]:
        """Make the entries durable, all or none, next to each other and in this order; give their places.

        Returns only after the disk has them. Raises JournalUnavailable, JournalFull.
        """
        ...

    def read(self, topics: Iterable[Topic], after: Position, limit: int) -> list[Entry]:
        """Up to ``limit`` entries of the topics that stand after a place, in order; fewer only when there are no more now.

        Raises JournalDamaged when an entry's checksum does not fit, JournalPruned when the place is before ``start`` and
        more is asked for than ``control``.
        """
        ...

    def get(self, topic: Topic, position: Position) -> Entry | None:
        """The entry at a place, or None when it was never there or has been pruned."""
        ...

    def start(self) -> Position:
        """The place before the oldest entry that is kept; START while none was pruned."""
        ...

    def end(self) -> Position:
        """The place of the newest durable entry; START when there is none."""
        ...

    def close(self) -> None:
        """Let go of files and locks."""
        ...


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


class Taken(NamedTuple):
    """The lines that a statement takes: those of a partner that are approved, on no statement, and due by a month."""

    statement: str
    partner: str
    currency: str
    month: int


class Moved(NamedTuple):
    """Where a line stands from now on: its state, when it is due, and the month of that."""

    outcome: str
    state: LineState
    due_ms: int
    month: int


class BookWrites(NamedTuple):
    """What is written into the book together: lines and entries are added, states are put or (None) taken away."""

    lines: Sequence[Line] = ()
    entries: Sequence[BookEntry] = ()
    states: Mapping[tuple[int, str], bytes | None] = MappingProxyType({})
    #: By line.
    moved: Mapping[str, Moved] = MappingProxyType({})
    taken: Sequence[Taken] = ()


class LinesWanted(NamedTuple):
    """Which lines are asked for; what is None is all."""

    partner: str | None = None
    currency: str | None = None
    #: The statement they stand on.
    statement: str | None = None
    outcome: str | None = None


class KeptLine(NamedTuple):
    """A line as it stands: its number in the order of booking, itself, and the statement it is on."""

    number: int
    line: Line
    statement: str | None


class Book(Protocol):
    """What partners are owed: lines, entries, balances, and what the bookkeeper remembers. One writer; the rest reads."""

    def position(self) -> Position:
        """Up to which entry of the journal it is complete."""
        ...

    def states(self, kind: int, keys: Collection[str]) -> dict[str, bytes]:
        """What is remembered under these keys, as far as it is; few questions for many keys."""
        ...

    def due(self, state: LineState, until_ms: int, limit: int) -> list[Line]:
        """Up to ``limit`` lines in a state that are due by a moment, ordered by (when, id)."""
        ...

    def next_due(self, state: LineState) -> int | None:
        """When the next line in a state is due; None when none is."""
        ...

    def untaken(self, partner: str, month: int) -> dict[str, tuple[int, int]]:
        """By currency: how many approved lines due by a month no statement has taken, and their sum."""
        ...

    def commit(self, writes: BookWrites, position: Position) -> None:
        """Write all of it and move the position, all or nothing.

        Lines and entries that stand already are left, and balances count each entry once.
        """
        ...

    def lines(self, wanted: LinesWanted, after: int, limit: int) -> list[KeptLine]:
        """Up to ``limit`` lines behind a number, in the order of booking."""
        ...

    def entries(self, about: str | None, after: int, limit: int) -> list[tuple[int, BookEntry]]:
        """Up to ``limit`` entries behind a number, in the order of booking: of all, or about one line, statement or payout."""
        ...

    def balances(self, account: str | None = None) -> list[tuple[str, str, int]]:
        """Account, currency and what was credited less what was debited; all accounts, or those that begin with a text."""
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

    def standing(self, wanted: Selection, after: RowPlace | None, rows_max: int) -> Standing:
        """A page of the rows that stand, ordered by ``RowPlace``, made of at most ``rows_max`` rows behind a place."""
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


class Outbox(Protocol):
    """What partners are to be told and what came of it, folded from the journal. One process writes, others read."""

    def fold(self, page: OutboxPage, position: Position) -> None:
        """Take in what some entries change and move the position, all or nothing; what stands already is left."""
        ...

    def position(self) -> Position:
        """Up to which entry the outbox is complete."""
        ...

    def due(
        self, postback: PostbackId, now_ms: int, limit: int, *, in_order: bool
    ) -> list[OutboxRow]:
        """Up to ``limit`` rows that wait and are due, the longest due first.

        A row waits for every earlier one of its postback that waits and is about the same thing; with ``in_order`` for every
        earlier one of its device.
        """
        ...

    def next_due_ms(self, postback: PostbackId) -> int | None:
        """When the first row that waits is due; None when none waits."""
        ...

    def waiting(self, postback: PostbackId, until_ms: int, limit: int) -> list[OutboxRow]:
        """Up to ``limit`` rows that wait and are tried since a moment or longer, due or not, the oldest first."""
        ...

    def about(self, postback: PostbackId, subjects: Collection[str]) -> dict[str, list[Related]]:
        """Every row of a postback about some subjects (see ``Planned.subject``), in order."""
        ...

    def conversions(self, wanted: Collection[ConversionId]) -> dict[ConversionId, int]:
        """When conversions happened that are known. Milliseconds, UTC."""
        ...

    def transactions(self, wanted: Collection[bytes]) -> dict[bytes, Position]:
        """Where the newest outcome of a transaction's event stands, of those that are known."""
        ...

    def not_sharing(self, wanted: Collection[bytes]) -> set[bytes]:
        """Those of some devices (by digest) whose people do not let partners be told."""
        ...

    def states(self, wanted: Collection[DeliveryId]) -> dict[DeliveryId, tuple[DeliveryState, int]]:
        """The state of some deliveries and how often each was tried, of those that are known."""
        ...

    def log(self, wanted: LogQuestion) -> list[Logged]:
        """Deliveries with their attempts, the newest first."""
        ...

    def counts(self) -> dict[PostbackId, dict[DeliveryState, int]]:
        """How many deliveries of each postback are in each state."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class Vault(Protocol):
    """Seals secrets that must be used again, so that whoever reads the journal or a backup does not read them."""

    def seal(self, secret: str) -> str:
        """The secret, encrypted and authenticated, as text."""
        ...

    def unseal(self, sealed: str) -> str:
        """The secret again. Raises VaultLocked when it was sealed with another key."""
        ...


class Enricher(Protocol):
    """Reads user agents and addresses with data of a stated version."""

    def version(self) -> str:
        """Names the data, so that a decision can say what it was made with."""
        ...

    def user_agent(self, text: str) -> UserAgent:
        """Operating system (``android``, ``ios``, ``windows`` …), its version and the model."""
        ...

    def country(self, address: str) -> str | None:
        """ISO 3166 code of the country an address was given to, or None."""
        ...


class Directory(Protocol):
    """Who and what is registered, as of any place in the journal. The registry is the one that fits."""

    def product(self, product: ProductId, at: Position = NOW) -> Product | None:
        """A product as of a place."""
        ...

    def app(self, app: AppId, at: Position = NOW) -> App | None:
        """An app as of a place."""
        ...

    def partner(self, partner: PartnerId, at: Position = NOW) -> Partner | None:
        """A partner as of a place."""
        ...

    def link(self, link: LinkId, at: Position = NOW) -> Link | None:
        """A link as of a place."""
        ...

    def door(self, door: DoorId, at: Position = NOW) -> Door | None:
        """A door as of a place."""
        ...

    def doors_of(self, dialect: str) -> list[Door]:
        """The newest version of each open door of a dialect."""
        ...

    def key(self, sha256: str) -> Key | None:
        """The key with this hash, whether it still holds or not."""
        ...

    def policy(self, product: ProductId, at: Position = NOW) -> tuple[PolicyVersion, Policy]:
        """The rules of a product as of a place; our own default when none were set."""
        ...

    def is_test(self, product: ProductId, id_: str, at: Position = NOW) -> bool:
        """Whether an id is a registered test device of the product."""
        ...

    def postback(self, postback: PostbackId, at: Position = NOW) -> Postback | None:
        """A postback as of a place."""
        ...

    def every_postback(self) -> list[Postback]:
        """The newest version of every postback."""
        ...

    def apps_of(self, product: ProductId) -> list[App]:
        """The newest version of each app of a product."""
        ...

    def all_apps(self) -> list[App]:
        """The newest version of every app."""
        ...


class Sink(Protocol):
    """Where the front door keeps what it was told."""

    async def keep(self, records: Sequence[tuple[Topic, Record]]) -> None:
        """Return when all of the records are durable, next to each other in the journal.

        Raises JournalUnavailable when they are not; then none of them is.
        """
        ...
