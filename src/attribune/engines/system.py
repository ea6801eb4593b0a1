"""Clock and chance of the machine, and their twins."""

from __future__ import annotations

import os
import time
from threading import Lock
from typing import Final

#: Bytes asked of the kernel at a time; a token of ten bytes then costs no system call of its own.
_POOL_BYTES: Final = 4096


class SystemClock:
    """The machine's wall clock."""

    def now_ms(self) -> int:
        """The wall clock in milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000


class SystemChance:
    """The kernel's randomness, fetched in pools. Safe between threads and after a fork."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._forget()
        # A forked child must not give out what its parent will.
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._pool = b""
        self._used = 0

    def token(self, size: int) -> bytes:
        """So many unguessable bytes, none of which was ever given out before."""
        if size > _POOL_BYTES:
            return os.urandom(size)
        with self._lock:
            end = self._used + size
            if end > len(self._pool):
                self._pool, self._used, end = os.urandom(_POOL_BYTES), 0, size
            token = self._pool[self._used : end]
            self._used = end
            return token


class MemoryClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, at_ms: int = 1_772_366_400_000) -> None:
        self.at_ms = at_ms

    def now_ms(self) -> int:
        """The time it was told. Milliseconds, UTC."""
        return self.at_ms

    def advance(self, ms: int) -> None:
        """Move on by so many milliseconds."""
        self.at_ms += ms


class MemoryChance:
    """Chance that repeats itself from a seed: a counter, never twice the same within one object."""

    def __init__(self, seed: int = 0) -> None:
        self._next = seed

    def token(self, size: int) -> bytes:
        """So many bytes, the next number of the count."""
        self._next += 1
        number: int = self._next % 256**size
        return number.to_bytes(size, "big")
