"""Turns at the event loop: long work is done one request after another, a piece at a time, so that short work goes by.

A few kilobytes can ask for much: a packed body for a megabyte, a batch for a thousand verdicts. Were it done at once, a click
would wait for all who sent such a thing before it, however many.
"""

from __future__ import annotations

import asyncio
from typing import Final

#: Work of so many bytes is done at once, a few milliseconds; more of it is long work.
PIECE_BYTES: Final = 65_536
#: What a record costs beside its bytes.
RECORD_COST_BYTES: Final = 1024


class Turn:
    """One request's turn. Whoever spends more than a piece waits until no other long work is under way."""

    __slots__ = ("_is_long", "_long", "_spent")

    def __init__(self, long: asyncio.Lock) -> None:
        """Take the lock that all requests of a collector share."""
        self._long = long
        self._spent = 0
        self._is_long = False

    async def spend(self, cost_bytes: int) -> None:
        """Say what was just done; gives others their turn when it was much."""
        self._spent += cost_bytes
        if self._spent < PIECE_BYTES:
            return
        self._spent = 0
        if self._is_long:
            await asyncio.sleep(0)
        else:
            await self._long.acquire()
            self._is_long = True

    def over(self) -> None:
        """Let the next long work begin: only waiting, or nothing, is left to do."""
        self._spent = 0
        if self._is_long:
            self._is_long = False
            self._long.release()
