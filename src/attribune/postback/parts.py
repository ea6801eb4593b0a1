"""How much of a purchase refunds take back, and how much of it is left. Pure; the book reckons the same way.

A refund without an amount takes back all that is left, one with an amount no more than that. Of one in another currency the plan
knows no rate, so from then on it is not known how much is left.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from attribune.model.ids import digest
from attribune.model.money import Money
from attribune.model.outcome import CreditedEvent

#: Outcomes of refunds of one transaction that are reckoned; what is more is a stranger's play.
UNDOINGS_MAX: Final = 500
#: The amount of a refund that can no longer be read.
UNKNOWN: Final = Money(amount_minor=1, currency="")


class Taken(NamedTuple):
    """What something takes back of an event's revenue, and what is left then; in minor units, None when it is not known."""

    undone_minor: int | None
    left_minor: int | None

    @property
    def is_part(self) -> bool:
        """Whether something is left, or may be."""
        return self.left_minor != 0


def taken(event: CreditedEvent, amounts: Iterable[Money | None]) -> Taken | None:
    """What the last of some refunds takes back; None of an event without revenue, which is taken back as a whole or not."""
    if event.revenue is None or event.revenue.amount_minor <= 0:
        return None
    found = Taken(0, event.revenue.amount_minor)
    for amount in amounts:
        found = _after(found.left_minor, amount, event.revenue)
    return found


def _after(left: int | None, amount: Money | None, whole: Money) -> Taken:
    if left == 0:
        return Taken(0, 0)
    if amount is None or amount.amount_minor == 0:
        return Taken(left, 0)
    if amount.currency != whole.currency:
        return Taken(None, None)
    undone = abs(amount.amount_minor)
    if undone >= whole.amount_minor:
        return Taken(left, 0)
    if left is None:
        return Taken(None, None)
    return Taken(min(undone, left), max(0, left - undone))


def undoings_key(transaction: bytes) -> bytes:
    """What the refunds of a transaction are found by, beside the events that bear it."""
    return digest("undoings", transaction.hex())


def undoing_name(refund: CreditedEvent) -> str:
    """A refund's outcome by a name of its own: where its first revision stands says when it was told."""
    return f"{refund.record}:{refund.revision}"
