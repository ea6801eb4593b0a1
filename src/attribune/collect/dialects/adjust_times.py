"""How Adjust's clients write a time, and how we answer one. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from attribune.collect.fields import EARLIEST_MS

#: ``2026-11-21T23:43:40.607Z+0200``: the Z is only a letter, the offset is the true one.
_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z?(?:([+-])(\d\d):?([0-5]\d))?\Z", re.ASCII
)
_SECONDS: Final = re.compile(r"(\d{9,10})(?:\.(\d{1,9}))?\Z", re.ASCII)
_MILLISECONDS: Final = re.compile(r"\d{12,13}\Z", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


def read_time(text: str) -> int | None:
    """A time in Adjust's own form, in ISO 8601, or in seconds or milliseconds since the epoch; None when it is none.

    Milliseconds, UTC. Times before 2000 are none: clients send 1970 for a time that they do not know.
    """
    at_ms = _of_form(text)
    if at_ms is None and (found := _SECONDS.match(text)):
        at_ms = int(found[1]) * 1000 + _thousandths(found[2])
    if at_ms is None and _MILLISECONDS.match(text):
        at_ms = int(text)
    return at_ms if at_ms is not None and at_ms >= EARLIEST_MS else None


def _of_form(text: str) -> int | None:
    found = _TIME.match(text)
    if found is None:
        return None
    try:
        local = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    except ValueError:
        return None
    at_ms = (local - _EPOCH) // _MS + _thousandths(found[2])
    if found[3]:
        ahead_ms = (int(found[4]) * 60 + int(found[5])) * 60_000
        at_ms -= ahead_ms if found[3] == "+" else -ahead_ms
    return at_ms


def _thousandths(fraction: str | None) -> int:
    return int(fraction[:3].ljust(3, "0")) if fraction else 0


def write_time(at_ms: int) -> str:
    """A time as Adjust's server answers it."""
    at = _EPOCH + at_ms * _MS
    return f"{at.isoformat(timespec='milliseconds')[:-6]}Z+0000"
