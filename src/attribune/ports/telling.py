"""What partners are to be told, and the secrets that it takes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from attribune.model.delivery import (
    DeliveryState,
    Logged,
    LogQuestion,
    OutboxPage,
    OutboxRow,
    Related,
)
from attribune.model.ids import (
    ConversionId,
    DeliveryId,
    Position,
    PostbackId,
)
from attribune.model.unmeasured import NOT_MEASURED as NOT_MEASURED  # noqa: PLC0414 - doors find it here


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
        earlier one of its device that was not declined ``HOLDING_DECLINES`` times in a row.
        """
        ...

    def next_due_ms(self, postback: PostbackId) -> int | None:
        """When the first row that waits is due; None when none waits."""
        ...

    def waiting(self, postback: PostbackId, until_ms: int, limit: int) -> list[OutboxRow]:
        """Up to ``limit`` rows that wait and are tried since a moment or longer, due or not, the oldest first."""
        ...

    def about(self, postback: PostbackId, subjects: Collection[str]) -> dict[str, list[Related]]:
        """Every row of a postback about some subjects (see ``Planned.subject``), in order; nothing of a subject that has but one."""
        ...

    def conversions(self, wanted: Collection[ConversionId]) -> dict[ConversionId, int]:
        """When conversions happened that are known. Milliseconds, UTC."""
        ...

    def bearing(self, transaction: bytes, limit: int) -> list[Position]:
        """Where the newest outcomes of up to ``limit`` events that bear a transaction (by digest) stand, in the journal's order."""
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
