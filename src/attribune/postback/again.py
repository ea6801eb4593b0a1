"""What may be sent again: not what the partner has been told otherwise of since. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from attribune.model.delivery import TAKING_BACK, DeliveryState, OutboxRow, Related, Trigger
from attribune.model.ids import DeliveryId, is_forgotten

TAKEN_BACK: Final = "taken back since"
CORRECTED: Final = "corrected since"
FORGOTTEN: Final = "the person was forgotten"
#: After which nothing is left of what was told: what the earlier revision said is no longer so.
UNDOING: Final = (Trigger.REVERSAL, Trigger.REJECTED_INSTALL)


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
    after it; a refund of a part is one, since it may say how much is left.
    """
    rows = list(about)
    if row.planned.device is not None and is_forgotten(row.planned.device):
        return FORGOTTEN
    if _is_taken_back(row, rows):
        return TAKEN_BACK
    is_behind = any(
        other.id not in going and other.state in {DeliveryState.DELIVERED, DeliveryState.GAVE_UP}
        for other in around(row, rows)[1]
    )
    return CORRECTED if is_behind else None


def told_since(row: OutboxRow, later: Iterable[Related]) -> str | None:
    """What the partner has been told of the same since, by rows that were planned later; only of what is sent again, since else the earlier goes first."""
    told = [other for other in later if other.state is DeliveryState.DELIVERED]
    if not told:
        return None
    is_back = row.planned.trigger not in TAKING_BACK and any(map(_undoes, told))
    return TAKEN_BACK if is_back else CORRECTED


def _is_taken_back(row: OutboxRow, rows: list[Related]) -> bool:
    """By whichever of a click's addresses: one row may take back what several were told."""
    if row.planned.trigger in TAKING_BACK:
        return False
    ids = [other.id for other in rows]
    behind = ids.index(row.planned.id) + 1 if row.planned.id in ids else len(ids)
    return any(map(_undoes, rows[behind:]))


def _undoes(other: Related) -> bool:
    return other.trigger in UNDOING
