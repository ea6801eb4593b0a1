"""What waits for a rate: never booked with another day's rate, and booked as soon as its own is added."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attribune.ledger.agreed import Agreed
from attribune.ledger.desk import HELD, HELD_FOR, Desk
from attribune.ledger.told import Told

#: How many are fetched at a time when a rate comes.
_CHUNK: Final = 500


class Held:
    """Outcomes by the day and the pair of currencies that they wait for."""

    def __init__(self, desk: Desk, agreed: Agreed) -> None:
        """Take the desk and what was agreed."""
        self._desk = desk
        self._agreed = agreed

    def hold(self, day: str, base: str, quote: str, told: Told) -> None:
        """Let an outcome wait."""
        pair = f"{day}|{base}|{quote}"
        counts = self._counts()
        number = counts.get(pair, 0)
        self._desk.put(HELD, f"{pair}|{number}", told)
        counts[pair] = number + 1
        self._desk.put(HELD_FOR, "", counts)

    def release(self) -> Iterator[Told]:
        """The outcomes whose rates are there by now, in the order in which they came."""
        for pair, count in list(self._counts().items()):
            if self._agreed.rates.of(*pair.split("|")) is None:
                continue
            counts = self._counts()
            del counts[pair]
            self._desk.put(HELD_FOR, "", counts)
            for begin in range(0, count, _CHUNK):
                yield from self._chunk(pair, begin, min(count, begin + _CHUNK))

    def _chunk(self, pair: str, begin: int, end: int) -> Iterator[Told]:
        names = [f"{pair}|{number}" for number in range(begin, end)]
        self._desk.load(HELD, names)
        for name in names:
            told = self._desk.get(HELD, name, Told)
            assert told is not None, "as many were held as were counted"
            self._desk.put(HELD, name, None)
            yield told

    def _counts(self) -> dict[str, int]:
        return self._desk.get(HELD_FOR, "", dict) or {}
