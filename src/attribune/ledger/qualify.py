"""Qualification: what a person must do, and by when, before the conversion that brought them is owed."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from attribune.ledger.known import Candidate, Deed
from attribune.ledger.offers import Condition
from attribune.ledger.when import DAY_MS

#: Deeds that are kept one by one; further ones are added to the newest.
DEEDS_MAX: Final = 500
#: A conversion that is told late has at least so long from then on. Milliseconds.
GRACE_MS: Final = 3_600_000


def key(offer: str, product: str, player: str) -> str:
    """The key of a person under an offer."""
    return f"{offer}|{product}|{player}"


def expires_ms(condition: Condition, at_ms: int, now_ms: int) -> int:
    """When the time to qualify is over."""
    return max(ends_ms(condition, at_ms), now_ms + GRACE_MS)


def ends_ms(condition: Condition, at_ms: int) -> int:
    """The first moment that counts no longer."""
    return at_ms + condition.within_days * DAY_MS


def is_met(condition: Condition, candidate: Candidate) -> bool:
    """Whether a person has done what the offer asks, between the conversion and the end of its time.

    ``first`` asks it of the earliest deed of that time alone.
    """
    begin, end = candidate.anchor_at_ms, ends_ms(condition, candidate.anchor_at_ms)
    deeds = sorted((deed.at_ms, deed.key, deed.amount_minor) for deed in candidate.deeds)
    within = [amount for at_ms, _, amount in deeds if begin <= at_ms < end]
    return (
        len(within) >= condition.deeds
        and within[0] >= condition.first_minor
        and sum(within) >= condition.total_minor
    )


def with_deed(candidate: Candidate, deed: Deed) -> Candidate:
    """The same with a deed more, or with this one as it stands now."""
    others = tuple(one for one in candidate.deeds if one.key != deed.key)
    if len(others) < DEEDS_MAX:
        return replace(candidate, deeds=(*others, deed))
    newest = others[-1]
    grown = Deed(newest.at_ms, newest.key, newest.amount_minor + deed.amount_minor)
    return replace(candidate, deeds=(*others[:-1], grown))


def without_deed(candidate: Candidate, key_: str) -> Candidate:
    """The same without a deed."""
    return replace(candidate, deeds=tuple(one for one in candidate.deeds if one.key != key_))
