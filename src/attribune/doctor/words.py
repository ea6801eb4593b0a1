"""Sizes and ages as people read them."""

from __future__ import annotations

from typing import Final

_KIB: Final = 1024
_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS


def size(bytes_: float) -> str:
    """A number of bytes."""
    value = float(bytes_)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < _KIB:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= _KIB
    return f"{value:.1f} TiB"


def age(ms: int) -> str:
    """A length of time, roughly."""
    for unit, length in (("days", _DAY_MS), ("hours", _HOUR_MS), ("minutes", _MINUTE_MS)):
        if ms >= 2 * length:
            return f"{ms // length} {unit}"
    return f"{max(0, ms) // 1000} s"
