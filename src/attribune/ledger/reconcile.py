"""Reconciling: a partner's own list of conversions beside the book, and why the two differ where they do.

A row of the list names a conversion by any id that the partner was told, or that it told us. Where one id names several of ours,
such as a click that brought an install and two purchases, the row's event, day and amount settle which is meant, or it is said
that they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from attribune.model.errors import Invalid
from attribune.model.money import DECIMALS, BadAmount, UnknownCurrency, decimal_text, money

#: Conversions that a row which may mean several of them names.
_NAMED_MAX: Final = 5
#: What a row may name its conversion by, the surest first; ``id`` is any of them, or a delivery's.
IDS: Final = ("transaction_id", "conversion_id", "record_id", "touch_id", "click_id", "id")


class Match(StrEnum):
    """What becomes of a row of either list."""

    #: Both know it, with the same amount.
    MATCHED = "matched"
    #: Both know it, and the amounts differ.
    DIFFERENT_AMOUNT = "different_amount"
    #: The partner's row may mean several of ours.
    AMBIGUOUS = "ambiguous"
    #: The partner has it, and the book owes nothing for it.
    MISSING_HERE = "missing_here"
    #: The book has it, and the partner's list does not.
    MISSING_THERE = "missing_there"


#: What becomes of a row that means a conversion which the book owes for.
_BOTH: Final = frozenset((Match.MATCHED, Match.DIFFERENT_AMOUNT))


class Claim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of a partner's list. It has at least one id."""

    #: The order's number.
    transaction_id: str | None = None
    conversion_id: str | None = None
    #: The sender's id of the record.
    record_id: str | None = None
    #: Our id of the touch, and the partner's.
    touch_id: str | None = None
    click_id: str | None = None
    #: Any of these, or the id of a delivery.
    id: str | None = None
    #: The event's name, or the conversion's kind.
    event: str | None = None
    #: Such as ``2026-01-31``.
    day: str | None = None
    #: A decimal in a string; None when the list has no amounts.
    amount: str | None = None
    currency: str | None = None

    @property
    def ids(self) -> dict[str, str]:
        """What it names its conversion by."""
        said = ((name, (getattr(self, name) or "").strip()) for name in IDS)
        return {name: value for name, value in said if value}


#: What the book owes a partner for an outcome, by currency; empty when nothing is booked for it.
Owed = dict[str, int]


class Ours(Struct, frozen=True, kw_only=True):
    """An outcome of ours that a row may mean."""

    #: As lines name it.
    outcome: str
    #: The event's name, or the conversion's kind, and its day.
    event: str
    day: str
    #: What it is known by, each by the name of a claim's field; plain: see ``plain``.
    names: Mapping[str, frozenset[str]]
    owed: Owed


class Reconciled(Struct, frozen=True, kw_only=True):
    """A row of either list, and what became of it."""

    #: The first id of the partner's row, or ours.
    id: str
    transaction_id: str | None
    event: str | None
    day: str | None
    match: Match
    theirs: str | None
    ours: str | None
    currency: str | None
    #: Why they differ, as far as our outcomes tell.
    reason: str | None
    #: The outcomes that the row means, or may mean.
    outcomes: tuple[str, ...]


def plain(id_: str) -> str:
    """An id as it is compared: partners change case and add blanks."""
    return id_.strip().casefold()


def check(claim: Claim, where: str) -> None:
    """Refuse a row without an id, and an amount that is none. Raises Invalid."""
    if not claim.ids:
        raise Invalid(f"{where} names no id: {', '.join(IDS)}", param="claims")
    if claim.day is not None and not _is_day(claim.day):
        raise Invalid(f"{where} has a day that is none such as 2026-01-31", param="day")
    if claim.amount is None:
        return
    try:
        money(claim.amount, claim.currency or "EUR")
    except (BadAmount, UnknownCurrency) as fault:
        raise Invalid(
            f'{where} has an amount that is no decimal such as "12.50", or an unknown currency',
            param="amount",
        ) from fault


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def meant(claim: Claim, ours: Sequence[Ours]) -> list[Ours]:
    """The outcomes that a row's ids name: all of them together, else the surest that names any; of its event, where one is.

    Whoever they are credited to: a purchase that another has now is what the row means, and not the install beside it.
    """
    found: list[Ours] = []
    for name, id_ in claim.ids.items():
        named = _named(name, plain(id_), ours)
        both = [one for one in found if one in named] if found else named
        found = both or found
    event = plain(claim.event or "")
    return [one for one in found if plain(one.event) == event] or found


def _named(name: str, id_: str, ours: Sequence[Ours]) -> list[Ours]:
    """Outcomes with an id; under another name too, since platforms call a click's id a transaction's."""
    own = [one for one in ours if id_ in one.names.get(name, ())]
    return own or [one for one in ours if any(id_ in words for words in one.names.values())]


def compare(
    claim: Claim,
    found: Sequence[Ours],
    *,
    why_other: Callable[[Sequence[Ours], str], str],
    why_missing: Callable[[Sequence[Ours]], str],
) -> Reconciled:
    """What becomes of a partner's row that means, or may mean, some outcomes of ours.

    ``why_other`` is asked why the amounts differ in a currency, ``why_missing`` why nothing is owed.
    """
    chosen = _chosen(claim, found)
    owed = _sum(chosen)
    if not any(owed.values()):
        return _reconciled(claim, Match.MISSING_HERE, chosen, None, why_missing(chosen))
    if len(chosen) > 1 and not _is_one(claim, chosen, owed):
        return _reconciled(claim, Match.AMBIGUOUS, chosen, _said(owed), _several(chosen))
    currency = claim.currency if claim.currency in owed else None
    if currency is None and (claim.currency is not None or len(owed) > 1):
        reason = f"booked in another currency: {_said(owed)}"
        return _reconciled(claim, Match.DIFFERENT_AMOUNT, chosen, _said(owed), reason)
    currency = currency or next(iter(owed))
    ours = decimal_text(owed[currency], currency)
    if claim.amount is None or _is_amount(claim.amount, currency, owed[currency]):
        return _reconciled(claim, Match.MATCHED, chosen, ours, None, currency)
    reason = why_other(chosen, currency)
    return _reconciled(claim, Match.DIFFERENT_AMOUNT, chosen, ours, reason, currency)


def unclaimed(ours: Ours, reason: str) -> list[Reconciled]:
    """An outcome that the book owes for and the partner's list does not have; a row for each currency."""
    order = next(iter(ours.names.get("transaction_id", ())), None)
    ids = (next(iter(ours.names.get(name, ())), None) for name in IDS)
    return [
        Reconciled(
            id=next((id_ for id_ in ids if id_), ours.outcome),
            transaction_id=order,
            event=ours.event,
            day=ours.day,
            match=Match.MISSING_THERE,
            theirs=None,
            ours=decimal_text(amount, currency),
            currency=currency,
            reason=reason,
            outcomes=(ours.outcome,),
        )
        for currency, amount in sorted(ours.owed.items())
        if amount
    ]


def once(rows: Sequence[Reconciled]) -> list[Reconciled]:
    """The rows of a whole list, of which a second one for the same conversion is no match, by whatever id it is listed."""
    first: dict[str, str] = {}
    found = []
    for row in rows:
        others = (first[outcome] for outcome in row.outcomes if outcome in first)
        other = next(others, None) if row.match in _BOTH else None
        if other is not None:
            reason = f"the row {other} means the same conversion"
            found.append(replace(row, match=Match.AMBIGUOUS, reason=reason))
            continue
        if row.match in _BOTH:
            first.update(dict.fromkeys(row.outcomes, row.id))
        found.append(row)
    return found


def _chosen(claim: Claim, found: Sequence[Ours]) -> list[Ours]:
    """Those of some outcomes that a row's day and amount leave; each only where it leaves any."""
    left = list(found)
    if claim.day:
        left = _of_day(claim.day, left)
    left = [one for one in left if any(one.owed.values())] or left
    if claim.amount is None or _is_one(claim, left, _sum(left)):
        return left
    return [one for one in left if _pays(claim, one.owed)] or left


def _of_day(day: str, found: list[Ours]) -> list[Ours]:
    """Those of a day, else those next to it: a partner's days may be another time zone's."""
    apart = [(_days_apart(day, one.day), one) for one in found]
    same = [one for days, one in apart if days == 0]
    return same or [one for days, one in apart if days == 1] or found


def _days_apart(one: str, other: str) -> int:
    return abs((date.fromisoformat(one) - date.fromisoformat(other)).days)


def _is_one(claim: Claim, chosen: Sequence[Ours], owed: Owed) -> bool:
    """Whether a row means all of some outcomes together: they bear its order's number, or its amount is theirs."""
    order = plain(claim.transaction_id or "")
    if order and all(order in one.names.get("transaction_id", ()) for one in chosen):
        return True
    return claim.amount is not None and _pays(claim, owed)


def _pays(claim: Claim, owed: Owed) -> bool:
    """Whether a row's amount is what is owed."""
    assert claim.amount is not None, "asked of rows with an amount"
    amount = claim.amount
    currencies = [claim.currency] if claim.currency else list(owed)
    return any(code in owed and _is_amount(amount, code, owed[code]) for code in currencies)


def _sum(chosen: Sequence[Ours]) -> Owed:
    owed: Owed = {}
    for one in chosen:
        for currency, amount in one.owed.items():
            owed[currency] = owed.get(currency, 0) + amount
    return owed


def _said(owed: Owed) -> str:
    return ", ".join(f"{decimal_text(n, code)} {code}" for code, n in sorted(owed.items()))


def _several(chosen: Sequence[Ours]) -> str:
    named = (f"{one.event} of {one.day} ({_said(one.owed)})" for one in chosen[:_NAMED_MAX])
    more = f" and {len(chosen) - _NAMED_MAX} more" if len(chosen) > _NAMED_MAX else ""
    return (
        f"it may be any of {', '.join(named)}{more}; a column event, day or amount would say which"
    )


def _is_amount(amount: str, currency: str, owed_minor: int) -> bool:
    """Whether a decimal is so much. What was no more than a list may say in euro may be so in another currency."""
    assert currency in DECIMALS, "lines are in currencies that we know"
    try:
        return money(amount, currency).amount_minor == owed_minor
    except BadAmount:
        return False


def _reconciled(
    claim: Claim,
    match: Match,
    chosen: Sequence[Ours],
    ours: str | None,
    reason: str | None,
    currency: str | None = None,
) -> Reconciled:
    one = chosen[0] if len(chosen) == 1 else None
    return Reconciled(
        id=next(iter(claim.ids.values())),
        transaction_id=claim.transaction_id,
        event=one.event if one else claim.event,
        day=one.day if one else claim.day,
        match=match,
        theirs=claim.amount,
        ours=ours,
        currency=currency or claim.currency,
        reason=reason,
        outcomes=tuple(one.outcome for one in chosen),
    )
