"""The outbox's twin in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec.structs import replace

from attribune.model.delivery import (
    EMPTIED,
    HOLDING_DECLINES,
    Again,
    Attempt,
    Delivery,
    DeliveryState,
    Logged,
    LogQuestion,
    OutboxPage,
    OutboxRow,
    Related,
)
from attribune.model.ids import (
    START,
    ConversionId,
    DeliveryId,
    DeviceId,
    Position,
    PostbackId,
    ProductId,
    forgotten,
    is_forgotten,
)


class MemoryOutbox:
    """An outbox that lasts as long as its object."""

    def __init__(self) -> None:
        self._rows: dict[DeliveryId, OutboxRow] = {}
        self._attempts: dict[DeliveryId, list[Attempt]] = {}
        self._conversions: dict[ConversionId, int] = {}
        self._transactions: dict[tuple[bytes, str], Position] = {}
        self._not_sharing: set[bytes] = set()
        self._position = START

    def fold(self, page: OutboxPage, position: Position) -> None:
        """Take in what some entries change and move the position; what stands already is left."""
        for planned in page.planned:
            row = OutboxRow(
                planned=planned,
                state=DeliveryState.WAITING,
                due_at_ms=planned.at_ms,
                since_ms=planned.at_ms,
            )
            self._rows.setdefault(planned.id, row)
        for one in page.came:
            self._take(one)
        for product, device in page.forgotten:
            self._forget(product, device)
        for one in page.came:
            if isinstance(one, Attempt):
                self._empty(one.delivery)
        self._conversions |= page.conversions
        self._transactions |= page.transactions
        for digest, shares in page.sharing.items():
            (self._not_sharing.discard if shares else self._not_sharing.add)(digest)
        self._position = max(self._position, position)

    def position(self) -> Position:
        """Up to which entry the outbox is complete."""
        return self._position

    def due(
        self, postback: PostbackId, now_ms: int, limit: int, *, in_order: bool
    ) -> list[OutboxRow]:
        """Up to ``limit`` rows that wait and are due, the longest due first, none before an earlier one that it waits for."""
        subjects: set[tuple[str, int]] = set()
        devices: set[str | None] = set()
        free = []
        for row in self._of(postback):
            one = row.planned
            is_held = (one.subject, one.copy) in subjects or (
                in_order and one.device is not None and one.device in devices
            )
            subjects.add((one.subject, one.copy))
            if row.declines < HOLDING_DECLINES:
                devices.add(one.device)
            if not is_held and row.due_at_ms <= now_ms:
                free.append(row)
        return sorted(free, key=lambda row: row.due_at_ms)[:limit]

    def next_due_ms(self, postback: PostbackId) -> int | None:
        """When the first row that waits is due; None when none waits."""
        return min((row.due_at_ms for row in self._of(postback)), default=None)

    def waiting(self, postback: PostbackId, until_ms: int, limit: int) -> list[OutboxRow]:
        """Up to ``limit`` rows that wait and are tried since a moment or longer, due or not, the oldest first."""
        return [row for row in self._of(postback) if row.since_ms <= until_ms][:limit]

    def about(self, postback: PostbackId, subjects: Collection[str]) -> dict[str, list[Related]]:
        """Every row of a postback about some subjects, in order; nothing of a subject that has but one."""
        found: dict[str, list[Related]] = {}
        for row in self._rows.values():
            one = row.planned
            if one.postback == postback and one.subject in subjects:
                related = Related(
                    one.id, one.outcome_id, one.trigger, one.copy, row.state, row.tries
                )
                found.setdefault(one.subject, []).append(related)
        return {subject: rows for subject, rows in found.items() if len(rows) > 1}

    def conversions(self, wanted: Collection[ConversionId]) -> dict[ConversionId, int]:
        """When conversions happened that are known. Milliseconds, UTC."""
        return {id_: self._conversions[id_] for id_ in wanted if id_ in self._conversions}

    def bearing(self, transaction: bytes, limit: int) -> list[Position]:
        """Where the newest outcomes of up to ``limit`` events that bear a transaction (by digest) stand, in the journal's order."""
        places = (place for (one, _), place in self._transactions.items() if one == transaction)
        return sorted(places)[:limit]

    def not_sharing(self, wanted: Collection[bytes]) -> set[bytes]:
        """Those of some devices (by digest) whose people do not let partners be told."""
        return self._not_sharing & set(wanted)

    def states(self, wanted: Collection[DeliveryId]) -> dict[DeliveryId, tuple[DeliveryState, int]]:
        """The state of some deliveries and how often each was tried, of those that are known."""
        rows = {id_: self._rows[id_] for id_ in wanted if id_ in self._rows}
        return {id_: (row.state, row.tries) for id_, row in rows.items()}

    def log(self, wanted: LogQuestion) -> list[Logged]:
        """Deliveries with their attempts, the newest first."""
        found = [
            Logged(number=number, row=row, attempts=list(self._attempts.get(id_, ())))
            for number, (id_, row) in enumerate(self._rows.items(), 1)
            if _is_wanted(number, row, wanted)
        ]
        return found[::-1][: wanted.rows_max]

    def counts(self) -> dict[PostbackId, dict[DeliveryState, int]]:
        """How many deliveries of each postback are in each state."""
        counts: dict[PostbackId, dict[DeliveryState, int]] = {}
        for row in self._rows.values():
            states = counts.setdefault(row.planned.postback, {})
            states[row.state] = states.get(row.state, 0) + 1
        return counts

    def close(self) -> None:
        """Nothing is held."""

    def _of(self, postback: PostbackId) -> Iterator[OutboxRow]:
        """The rows of a postback that wait, in order."""
        return (
            row
            for row in self._rows.values()
            if row.planned.postback == postback and row.state is DeliveryState.WAITING
        )

    def _forget(self, product: ProductId, device: DeviceId) -> None:
        """Name a device by a hash, and empty what was sent of it."""
        for id_, row in list(self._rows.items()):
            if row.planned.product == product and row.planned.device == device:
                planned = replace(row.planned, device=forgotten(product, device))
                self._rows[id_] = replace(row, planned=planned, due_at_ms=0)
                self._empty(id_)

    def _empty(self, id_: DeliveryId) -> None:
        """Keep of a forgotten person's delivery only when it was told, and what it came to."""
        row = self._rows.get(id_)
        if row is None or row.planned.device is None or not is_forgotten(row.planned.device):
            return
        request = row.request and EMPTIED
        self._rows[id_] = replace(row, poll_url=None, request=request)
        came = self._attempts.get(id_, [])
        self._attempts[id_] = [replace(one, answer="", error=None) for one in came]

    def _take(self, one: Delivery | Again) -> None:
        row = self._rows.get(one.delivery)
        if row is None:
            return
        if isinstance(one, Again):
            self._rows[one.delivery] = replace(
                row,
                state=DeliveryState.WAITING,
                due_at_ms=one.at_ms,
                since_ms=one.at_ms,
                reason=None,
                poll_url=None,
                declines=0,
            )
            return
        if isinstance(one, Attempt):
            # As the log keeps it: without what was sent, and where it is asked again.
            kept = self._attempts.setdefault(one.delivery, [])
            if one.number not in {other.number for other in kept}:
                bare = replace(one, request=None, poll_url=None, next_at_ms=None, declines=0)
                kept.append(bare)
            row = replace(
                row,
                tries=one.number,
                since_ms=row.since_ms if row.tries else one.at_ms,
                due_at_ms=one.next_at_ms or 0,
                poll_url=one.poll_url,
                request=one.request or row.request,
                declines=one.declines,
            )
        else:
            row = replace(row, due_at_ms=0)
        self._rows[one.delivery] = replace(row, state=one.state, reason=one.reason)


def _is_wanted(number: int, row: OutboxRow, wanted: LogQuestion) -> bool:
    one = row.planned
    return (
        (wanted.partner is None or one.partner == wanted.partner)
        and (wanted.postback is None or one.postback == wanted.postback)
        and (wanted.state is None or row.state is wanted.state)
        and (not wanted.outcome_ids or one.outcome_id in wanted.outcome_ids)
        and (not wanted.ids or one.id in wanted.ids)
        and (wanted.before is None or number < wanted.before)
    )
