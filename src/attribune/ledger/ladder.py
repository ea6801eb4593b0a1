"""What stands between one partner and one deal, period by period, and what each change of it is worth.

The invariant that everything rests on: the amounts of all lines of a period add up to ``booked``, and ``booked`` is the rounded total of
what stands. So an outcome books the difference that it makes; undoing it books the difference back.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from attribune.ledger.deals import base, raw, reached, worth
from attribune.ledger.numbers import EXACT, MICRO, rounded
from attribune.ledger.offers import DealTerms
from attribune.model.offer import Carry

Share = tuple[tuple[str, int], ...]


#: The most that a slot of a tally may come to, so that no stranger's number makes a total that a book cannot hold.
SLOT_MAX: Final = 10**16


class Window(Struct, array_like=True):
    """One period: its tally by day (or under no day, when no cap needs them), and what was booked of it."""

    cells: dict[str, dict[str, int]] = field(default_factory=dict)
    #: Minor units.
    booked: int = 0
    #: What rounding has left over: the exact total less what is booked, in parts of ``EXACT``.
    rest: int = 0
    #: The highest rung that was ever reached.
    peak: int = 0


class Ladder(Struct, array_like=True):
    """All periods of one partner under one deal. Not frozen: it is changed on the desk and kept whole."""

    windows: dict[str, Window] = field(default_factory=dict)


class Delta(Struct, frozen=True, gc=False):
    """What a change is worth in one period."""

    window: str
    #: Minor units that are booked.
    amount_minor: int
    #: The same, rounded by itself and not as a step of the running total.
    own_minor: int


def change(deal: DealTerms, ladder: Ladder, window: str, cell: str, share: Share) -> list[Delta]:
    """Add a share to a period and give what that is worth there, first, and in periods that it moves as well.

    Taking away is adding what is less than nothing.
    """
    found = ladder.windows.get(window)
    if found is None:
        found = ladder.windows[window] = Window()
    _add(found.cells.setdefault(cell if deal.cap_day is not None else "", {}), share)
    if deal.keeps_tier:
        tally = _whole(found)
        found.peak = reached(deal, tally, base(deal, tally), found.peak)
    if not deal.is_chained:
        return [_book(window, found, total(deal, found))]
    exact = _chained(deal, ladder)
    deltas = [_book(window, found, exact[window])]
    others = (name for name in exact if name != window)
    deltas += (_book(name, ladder.windows[name], exact[name]) for name in others)
    return [delta for n, delta in enumerate(deltas) if n == 0 or delta.amount_minor]


def has_room(ladder: Ladder, window: str, share: Share) -> bool:
    """Whether a share may be added to a period without taking a slot beyond its most."""
    found = ladder.windows.get(window)
    tally = {} if found is None else _whole(found)
    for slot, number in share:  # noqa: SIM110 - it is asked of every outcome, and a generator takes three times as long
        if not -SLOT_MAX <= tally.get(slot, 0) + number <= SLOT_MAX:
            return False
    return True


def total(deal: DealTerms, window: Window, carried: int = 0) -> int:
    """What a period is worth under its own caps, exact.

    A day is worth what it adds to the days before it, and no more than its cap.
    """
    if deal.cap_day is None:
        return _capped(worth(deal, _whole(window), carried, window.peak), deal.cap_month)
    tally: dict[str, int] = {}
    before = paid = 0
    for _, cell in sorted(window.cells.items()):
        _add(tally, tuple(cell.items()))
        until = worth(deal, tally, carried, window.peak)
        paid += _capped(until - before, deal.cap_day)
        before = until
    return _capped(max(0, paid), deal.cap_month)


def alone(deal: DealTerms, window: Window, share: Share) -> int:
    """What one share pays by itself on the rung that its period has reached, exact."""
    tally = _whole(window)
    rung = reached(deal, tally, base(deal, tally), window.peak)
    if not deal.rungs:
        return worth(deal, dict(share))
    at_rung = deal.rungs[rung]._replace(over=0)
    return worth(deal._replace(rungs=(at_rung,)), dict(share))


def carried_over(deal: DealTerms, ladder: Ladder) -> int:
    """What is missing after the newest period, in the deal's base or its commission; nothing or less. Minor units."""
    carried = 0
    for _, window in sorted(ladder.windows.items()):
        carried = _carried(deal, window, carried)
    return rounded(carried, MICRO if deal.carry is Carry.REVENUE else EXACT)


def _chained(deal: DealTerms, ladder: Ladder) -> dict[str, int]:
    """What each period is worth, oldest first, where one depends on those before."""
    found: dict[str, int] = {}
    carried = paid = 0
    for name, window in sorted(ladder.windows.items()):
        if deal.carry is Carry.COMMISSION:
            exact = max(0, raw(deal, _whole(window), 0, window.peak) + carried)
            exact = _capped(exact, deal.cap_month)
        else:
            exact = total(deal, window, carried)
        carried = _carried(deal, window, carried)
        if deal.cap_total is not None:
            exact = min(exact, deal.cap_total * EXACT - paid)
        paid += exact
        found[name] = exact
    return found


def _carried(deal: DealTerms, window: Window, carried: int) -> int:
    """What a period hands to the next: what is missing at its end."""
    tally = _whole(window)
    if deal.carry is Carry.REVENUE:
        return min(0, base(deal, tally) + carried)
    if deal.carry is Carry.COMMISSION:
        return min(0, raw(deal, tally, 0, window.peak) + carried)
    return 0


def _whole(window: Window) -> dict[str, int]:
    """The tally of all days."""
    if len(window.cells) == 1:
        return next(iter(window.cells.values()))
    tally: dict[str, int] = {}
    for cell in window.cells.values():
        _add(tally, tuple(cell.items()))
    return tally


def _add(tally: dict[str, int], share: Share) -> None:
    for slot, number in share:
        standing = tally.get(slot, 0) + number
        if standing:
            tally[slot] = standing
        else:
            tally.pop(slot, None)


def _capped(exact: int, cap_minor: int | None) -> int:
    return exact if cap_minor is None else min(exact, cap_minor * EXACT)


def _book(name: str, window: Window, exact: int) -> Delta:
    """Bring a period to what it is worth now."""
    booked = rounded(exact)
    own = rounded(exact - window.booked * EXACT - window.rest)
    delta = Delta(name, booked - window.booked, own)
    window.booked, window.rest = booked, exact - booked * EXACT
    return delta
