"""A circuit breaker: who fails again and again is asked now and then, and no more. Pure.

Three of a kind hold postbacks back. A partner's, one for each of its servers, opens when it is not there: no answer, or 5xx, whoever asked.
A postback's own opens when its own requests fail so, though the server may answer the partner's others. Another of its own opens when
all that it tells is turned away (a redirect, 401, 403, 404, 405 or 407) by a login, a proxy or another application in the partner's
place, or because its credentials are wrong. No single such answer says which, so it opens once there were many in a row while for a
while none was taken.
"""

from __future__ import annotations

from typing import Final

from attribune.model.status import BreakerState

#: So many failures in a row open it.
FAILURES_MAX: Final = 5
#: How long a postback must have been turned away for its own to open.
DOUBT_MS: Final = 60_000
#: How long it stays open before one request may try, at first and at most; it doubles with each try that fails.
OPEN_MS: Final = 5000
OPEN_MS_MAX: Final = 300_000


class Breaker:
    """Counts failures in a row. Times are milliseconds of any clock that only goes forward."""

    def __init__(self, least_ms: int = 0) -> None:
        """Begin closed; failures must have gone on for ``least_ms`` to open it."""
        self._least_ms = least_ms
        self._failures = 0
        self._failing_since_ms = 0
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
        return min(1, wanted) if now_ms >= self._opens_until_ms and not self._is_probing else 0

    def began(self) -> None:
        """A request goes out; while it is open that is the one that tries."""
        self._is_probing = self.is_open

    def close(self) -> None:
        """A request was answered, or they lead elsewhere from now on."""
        self._failures, self._open_ms = 0, OPEN_MS
        self._opens_until_ms, self._is_probing = None, False

    def failed(self, now_ms: int) -> None:
        """A request failed in the way that this one counts."""
        if not self._failures:
            self._failing_since_ms = now_ms
        self._failures += 1
        is_long = now_ms - self._failing_since_ms >= self._least_ms
        if self._opens_until_ms is None and self._failures >= FAILURES_MAX and is_long:
            self._opens_until_ms = now_ms + self._open_ms
        self.doubted(now_ms)

    def doubted(self, now_ms: int) -> None:
        """A request found out nothing new; if it was the one that tries, the next tries after twice as long."""
        if self._is_probing:
            self._open_ms = min(OPEN_MS_MAX, 2 * self._open_ms)
            self._opens_until_ms, self._is_probing = now_ms + self._open_ms, False

    def unsaid(self) -> None:
        """A request says nothing of what this one counts: if it was the one that tries, another may at once."""
        self._is_probing = False
