"""What the API works on: one data folder, its parts, and the few things that only the wiring can do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol, TypeVar

from attribune.attribute.replay import Replayed
from attribune.ledger.desk import Desk
from attribune.model.codec import Record, decode, encode
from attribune.model.control import Change
from attribune.model.ids import Position, ProductId
from attribune.model.policy import Policy
from attribune.model.position import Topic
from attribune.model.status import Disk, Forgetting, Progress, Status
from attribune.ports import Book, Chance, Clock, Enricher, Facts, Journal, Outbox, Vault
from attribune.registry.doors import Dialects
from attribune.registry.made import Made
from attribune.registry.view import Registry
from attribune.report.audit import AuditReport
from attribune.settings import Settings

A = TypeVar("A")

#: Views that can be made again from the journal.
VIEWS: Final = ("registry", "stores", "facts", "outbox", "book")


class Keeper(Protocol):
    """What only the wiring can do, since it knows the engines and roles."""

    def settle(self) -> None:
        """Bring every view up to the journal's end when this process holds the folder alone; else roles do it."""
        ...

    def settle_decisions(self) -> None:
        """The same for what is decided alone; the other views follow when much waits for them."""
        ...

    def settle_outbox(self) -> None:
        """The same for what partners are to be told; nobody is told for it."""
        ...

    def lag(self) -> int:
        """How many entries of the journal are not in the facts yet."""
        ...

    def status(self) -> Status:
        """Where the house stands."""
        ...

    def disk(self) -> Disk:
        """What fills the disk, and when it is full at this rate; some seconds old at most."""
        ...

    def forgetting(self) -> Forgetting:
        """What of people who were forgotten still stands in the journal."""
        ...

    def keys_used_at_ms(self) -> dict[str, int]:
        """When each key was last used, by key id. Milliseconds, UTC."""
        ...

    def replay(self, policy: Policy | None, product: ProductId | None) -> Replayed:
        """What would be decided under other rules (None: those in force then). Writes nothing."""
        ...

    def audit(self) -> AuditReport:
        """Whether everything adds up, as far as every consumer has come."""
        ...

    def rebuild(self, view: str) -> None:
        """Begin to make a view again from the journal."""
        ...

    def progress(self, view: str) -> Progress:
        """How far that has come."""
        ...


class House:
    """The parts of one data folder as the API sees them. Facts and answers are opened when they are first asked for."""

    def __init__(  # noqa: PLR0913 - it is the list of the parts
        self,
        *,
        folder: Path,
        settings: Settings,
        base_url: str,
        clock: Clock,
        chance: Chance,
        journal: Journal,
        registry: Registry,
        keeper: Keeper,
        enricher: Callable[[], Enricher],
        facts: Callable[[], Facts],
        book: Callable[[], Book],
        outbox: Callable[[], Outbox],
        vault: Vault,
        dialects: Dialects,
    ) -> None:
        """Take the parts.

        ``base_url`` is how the world reaches the collector, without a slash at the end; ``dialects`` are those that doors
        may speak; ``book`` opens the book for reading, and who asks closes it.
        """
        self.folder = folder
        self.settings = settings
        self.base_url = base_url
        self.clock = clock
        self.chance = chance
        self.journal = journal
        self.registry = registry
        self.keeper = keeper
        self.enricher = enricher
        self.facts = facts
        self.book = book
        self.outbox = outbox
        self.vault = vault
        self.dialects = dialects
        #: When API keys were last used with this process.
        self.keys_used_at_ms: dict[str, int] = {}
        #: Pages of exports that may be made at a time.
        self.export_pages = threading.BoundedSemaphore(settings.exports_max)
        self._lock = threading.RLock()

    def up_to_date(self) -> Registry:
        """The registry with every change that stands in the journal."""
        with self._lock:
            while True:
                batch = self.journal.read(
                    (Topic.CONTROL,), self.registry.position, self.settings.read_entries_max
                )
                for entry in batch:
                    change = decode(entry)
                    assert isinstance(change, Change)
                    self.registry.apply(entry.position, change)
                if len(batch) < self.settings.read_entries_max:
                    return self.registry

    def change(self, make: Callable[[Registry, int], Made[A]]) -> A:
        """Let a verb make records from the newest registry, journal them, and give its answer.

        One verb at a time, so that what it found free or taken is so when its records stand. This is the only place where
        people's changes are journaled. Raises what the verb raises, and JournalUnavailable.
        """
        with self._lock:
            now_ms = self.clock.now_ms()
            made = make(self.up_to_date(), now_ms)
            changes = [Change(at_ms=now_ms, record=record) for record in made.records]
            self._append([(Topic.CONTROL, change) for change in changes])
            return made.answer

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        """The book as it stands when everything that was said is booked, for reading."""
        self.keeper.settle()
        book = self.book()
        try:
            yield Desk(book)
        finally:
            book.close()

    def alone(self) -> AbstractContextManager[object]:
        """Nobody else's change is journaled while the block runs; keep it short."""
        return self._lock

    def journal_changes(self, changes: list[Change]) -> list[Position]:
        """Append changes next to each other and take them into the registry; their places. Raises JournalUnavailable."""
        return self.journal_together([(Topic.CONTROL, change) for change in changes])

    def journal_together(self, records: list[tuple[Topic, Record]]) -> list[Position]:
        """The same for records of any topic."""
        with self._lock:
            self.up_to_date()  # a registry takes changes in their order: what it has not seen before these it never would
            return self._append(records)

    def _append(self, records: list[tuple[Topic, Record]]) -> list[Position]:
        """The same for a registry that is up to date. Only with the lock held."""
        if not records:
            return []
        places = list(self.journal.append([(topic, encode(one)) for topic, one in records]))
        for place, (_, record) in zip(places, records, strict=True):
            if isinstance(record, Change):
                self.registry.apply(place, record)
        return places
