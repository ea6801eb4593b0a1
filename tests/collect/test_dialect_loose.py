"""What loosely typed clients write, read by the few readers that all dialects share."""

from __future__ import annotations

import pytest

from attribune.collect.dialects import loose
from attribune.collect.verdict import Refused


@pytest.mark.parametrize(
    ("raw", "ms"),
    [
        (b"1700000000000", 1_700_000_000_000),
        (b'"2024-01-01T00:00:00Z"', 1_704_067_200_000),
        (b'"2024-01-01T01:00:00+01:00"', 1_704_067_200_000),
        (b'"2024-01-01T00:00:00"', 1_704_067_200_000),
    ],
)
def test_a_time_is_read(raw: bytes, ms: int) -> None:
    assert loose.at_ms(raw, "at") == ms


@pytest.mark.parametrize(
    "raw", [b"null", b"", b'""', b'"null"', b"true", b"[1]", b"soon", b"1e400", b"NaN", b"-1", b'"']
)
def test_what_is_no_time_is_refused_and_no_fault(raw: bytes) -> None:
    """Branch's clients write some times as text, whose quotes are taken off: then anything may stand there."""
    with pytest.raises(Refused):
        loose.at_ms(raw, "at")
