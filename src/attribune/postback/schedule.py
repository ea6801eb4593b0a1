"""When a delivery that was not taken is tried again. Pure."""

from __future__ import annotations

from typing import Final

from attribune.model.policy import DAY_MS, HOUR_MS

#: The longest wait before the second attempt; each further one may be twice as long, up to an hour.
FIRST_WAIT_MS: Final = 2000
WAIT_MS_MAX: Final = HOUR_MS
#: A delivery that has failed or was declined for this long is given up.
GIVE_UP_MS: Final = 3 * DAY_MS
#: How often a partner that decides later is asked, and for how long.
POLL_MS: Final = 5000


def wait_ms(failures: int, chance: int, asked_ms: int = 0) -> int:
    """How long to wait after so many failures: by chance (0 to 65,535) between half of the longest wait and all of it.

    ``asked_ms`` is how long the partner asks to be left alone; it is heeded up to an hour.
    """
    longest = min(WAIT_MS_MAX, FIRST_WAIT_MS << min(failures - 1, 20))
    wait = longest // 2 + longest * chance // (2 * 65_535)
    return max(wait, min(asked_ms, WAIT_MS_MAX))


def poll_wait_ms(polls: int) -> int:
    """How long to wait before a partner that decides later is asked again."""
    return min(WAIT_MS_MAX, POLL_MS << min(polls, 20))
