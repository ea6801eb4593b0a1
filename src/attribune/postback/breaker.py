"""The circuit breaker of one postback: a partner that fails again and again is asked now and then, and no more. Pure.

It opens for a partner that is not there, and not for one that refuses single requests. Whether a redirect, 401, 403, 404, 405 or 407 is
the one or the other, only all answers together say: it is doubted, and opens once many deliveries in a row were turned away so while
for a while none was taken.
"""

from __future__ import annotations

from typing import Final

from attribune.model.status import BreakerState

#: So many failures in a row open it, and so many doubts.
FAILURES_MAX: Final = 5
#: How long nothing must have been taken before doubts open it.
DOUBT_MS: Final = 60_000
#: How long it stays open before one request may try, at first and at most; it doubles with each try that fails.
OPEN_MS: Final = 5000
OPEN_MS_MAX: Final = 300_000


class Breaker:
    """Counts failures in a row. Times are milliseconds of any clock that only goes forward."""

    def __init__(self) -> None:
        """Begin closed."""
        self.failures = 0
        self._doubts = 0
        self._doubted_since_ms = 0
        self._open_ms = OPEN_MS
        self._opens_until_ms: int | None = None
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        """Whether requests are held back."""
        return self._opens_until_ms is not None

    @property
    def state(self) -> BreakerState:
        """What it does now."""
        if self._opens_until_ms is None:
            return BreakerState.CLOSED
        return BreakerState.PROBING if self._is_probing else BreakerState.OPEN

    def room(self, now_ms: int, wanted: int) -> int:
        """How many requests may begin: all, none, or one that tries."""
        if self._opens_until_ms is None:
            return wanted
        return 1 if now_ms >= self._opens_until_ms and not self._is_probing else 0

    def began(self) -> None:
        """A request goes out; while it is open that is the one that tries."""
        self._is_probing = self.is_open

    def succeeded(self) -> None:
        """The partner answered: closed, whether it took the request or refused it."""
        self.failures, self._doubts, self._open_ms = 0, 0, OPEN_MS
        self._opens_until_ms, self._is_probing = None, False

    def failed(self, now_ms: int) -> None:
        """The partner did not answer, or said that it cannot now."""
        self.failures += 1
        self._open(now_ms, is_due=self.failures >= FAILURES_MAX)

    def doubted(self, now_ms: int) -> None:
        """A delivery was turned away at its first try, perhaps by somebody in the partner's place."""
        if not self._doubts:
            self._doubted_since_ms = now_ms
        self._doubts += 1
        is_long = now_ms - self._doubted_since_ms >= DOUBT_MS
        self._open(now_ms, is_due=self._doubts >= FAILURES_MAX and is_long)

    def unsaid(self) -> None:
        """A delivery was turned away as before, which says nothing new of the partner: another one tries."""
        self._is_probing = False

    def _open(self, now_ms: int, *, is_due: bool) -> None:
        if self._opens_until_ms is None and is_due:
            self._opens_until_ms = now_ms + self._open_ms
        elif self._is_probing:
            self._open_ms = min(OPEN_MS_MAX, 2 * self._open_ms)
            self._opens_until_ms, self._is_probing = now_ms + self._open_ms, False
