"""What may be sent again: not what the partner has been told otherwise of since. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from attribune.model.delivery import DeliveryState, OutboxRow, Related, Trigger
from attribune.model.ids import DeliveryId

TAKEN_BACK: Final = "taken back since"
CORRECTED: Final = "corrected since"


def around(row: OutboxRow, about: Iterable[Related]) -> tuple[list[Related], list[Related]]:
    """Rows of the same subject that were planned before and after one; of a click's addresses, those for the same."""
    earlier: list[Related] = []
    later: list[Related] = []
    side = earlier
    for other in about:
        if other.id == row.planned.id:
            side = later
        elif other.copy == row.planned.copy:
            side.append(other)
    return earlier, later


def why_not(row: OutboxRow, about: Iterable[Related], going: Collection[DeliveryId]) -> str | None:
    """Why a delivery is not sent again, None when it may be; ``going`` are all that shall be.

    What is taken back is never told again, whatever became of what takes it back. What is corrected is, when the correction goes out
    after it.
    """
    newer = list(_newer(row, about))
    if any(_takes_back(row, other) for other in newer):
        return TAKEN_BACK
    is_behind = any(
        other.id not in going and other.state in {DeliveryState.DELIVERED, DeliveryState.GAVE_UP}
        for other in newer
    )
    return CORRECTED if is_behind else None


def told_since(row: OutboxRow, about: Iterable[Related]) -> str | None:
    """What the partner has been told of the same since; only of what is sent again, since else the earlier goes first."""
    told = [other for other in _newer(row, about) if other.state is DeliveryState.DELIVERED]
    if not told:
        return None
    return TAKEN_BACK if any(_takes_back(row, other) for other in told) else CORRECTED


def _newer(row: OutboxRow, about: Iterable[Related]) -> Iterable[Related]:
    """Rows after which this one would say what is no longer so. Two refunds of one purchase are both so."""
    one = row.planned
    for other in around(row, about)[1]:
        are_reversals = one.trigger is other.trigger is Trigger.REVERSAL
        if not are_reversals or one.outcome_id == other.outcome_id:
            yield other


def _takes_back(row: OutboxRow, other: Related) -> bool:
    return other.trigger is Trigger.REVERSAL and row.planned.trigger is not Trigger.REVERSAL
