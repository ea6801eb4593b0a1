"""The rules as stories: each file of tests/journeys is one promise."""

from __future__ import annotations

from pathlib import Path

import pytest
from tale import ended, read_tale, tale, tell

from attribune.attribute import turn

JOURNEYS = sorted((Path(__file__).parent.parent / "journeys").glob("*.txt"))


@pytest.mark.parametrize("path", JOURNEYS, ids=lambda p: p.stem)
def test_journey(path: Path) -> None:
    told = tale(path)
    assert told.expected, "a journey says how it ends"
    with_candidates = any(line.startswith("- ") for line in told.expected)
    assert ended(told, tell(told), with_candidates=with_candidates) == told.expected


def test_no_more_touches_are_kept_as_read_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "READINGS_MAX", 1)
    told = read_tale(
        """
        day 0 09:00  click  acme/spring
        day 0 09:05  click  zeta/brand
        day 0 09:40  open
        """
    )
    house = tell(told)
    assert ended(told, house, with_candidates=True) == [
        "=> install zeta/brand click DEVICE_ID",
        "- t2 DEVICE_ID won",
        "- t1 DEVICE_ID OLDER",
    ]
