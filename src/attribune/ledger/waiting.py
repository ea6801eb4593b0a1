"""What waits for a rate, for those who ask: whose it is, and for which day and pair. Only reads.

The book counts what is held by day and pair alone, so a partner's is counted when it is asked for, in older books too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

import msgspec
from msgspec import Struct

from attribune.ledger.desk import HELD, HELD_FOR, KNOWN, Desk
from attribune.ledger.known import Known
from attribune.ledger.reading import is_same
from attribune.ledger.told import Told, is_undoing
from attribune.ledger.when import day_of
from attribune.model.book import RateMissing

#: What is looked at of one day and pair; where more waits, counts say that they are the least.
LOOKED_MAX: Final = 20_000
_CHUNK: Final = 500
_told: Final = msgspec.msgpack.Decoder(Told).decode
_known: Final = msgspec.msgpack.Decoder(Known).decode


class Waits(Struct, frozen=True):
    """How many of a partner's wait for a day's rate."""

    day: str
    base: str
    quote: str
    count: int
    #: More wait than were looked at.
    is_least: bool


def of_partner(desk: Desk, partner: str, until: str | None = None) -> list[Waits]:
    """What of a partner's waits, by day and pair; up to the end of a month such as ``2026-01`` when one is given."""
    found = []
    for pair, held in sorted(_counts(desk).items()):
        day, base, quote = pair.split("|")
        if until is None or day[: len(until)] <= until:
            theirs = {told.key for told in _waiting(desk, pair, held) if told.partner == partner}
            if theirs:
                found.append(Waits(day, base, quote, len(theirs), held > LOOKED_MAX))
    return found


def of_outcomes(desk: Desk, keys: Collection[str]) -> list[RateMissing]:
    """The rates that some outcomes, as lines name them, wait for."""
    counts = _counts(desk)
    if not counts:
        return []
    payloads = desk.book.states(KNOWN, keys)
    days = {_day(_known(payload)) for payload in payloads.values()}
    found: dict[RateMissing, None] = {}
    for pair, held in sorted(counts.items()):
        day, base, quote = pair.split("|")
        if f"{day}|{base}" not in days:
            continue
        for told in _waiting(desk, pair, held):
            if told.key in payloads:
                one = (told.key, told.name, told.partner, told.at_ms, day, base, quote)
                found[RateMissing(*one)] = None
    return list(found)


def _day(known: Known) -> str:
    """The beginning of every pair that it may wait for."""
    return f"{day_of(known.timezone, known.at_ms).isoformat()}|{known.revenue_currency}"


def _counts(desk: Desk) -> dict[str, int]:
    return desk.get(HELD_FOR, "", dict) or {}


def _waiting(desk: Desk, pair: str, held: int) -> Iterator[Told]:
    """What waits for a rate; what was corrected meanwhile waits no more."""
    end = min(held, LOOKED_MAX)
    for begin in range(0, end, _CHUNK):
        names = [f"{pair}|{number}" for number in range(begin, min(end, begin + _CHUNK))]
        tales = [_told(payload) for payload in desk.book.states(HELD, names).values()]
        known = desk.book.states(KNOWN, {told.key for told in tales})
        yield from (told for told in tales if _still_waits(told, _known(known[told.key])))


def _still_waits(told: Told, known: Known) -> bool:
    """A refund waits beside what it undoes; anything else as long as it is held, and nobody else's."""
    return is_undoing(told) or (known.is_held and is_same(told, known))
