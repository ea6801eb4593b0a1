"""The rules as stories: each file of tests/journeys is one promise."""

from __future__ import annotations

from pathlib import Path

import pytest
from tale import ended, tale, tell

JOURNEYS = sorted((Path(__file__).parent.parent / "journeys").glob("*.txt"))


@pytest.mark.parametrize("path", JOURNEYS, ids=lambda p: p.stem)
def test_journey(path: Path) -> None:
    told = tale(path)
    assert told.expected, "a journey says how it ends"
    with_candidates = any(line.startswith("- ") for line in told.expected)
    assert ended(told, tell(told), with_candidates=with_candidates) == told.expected
