"""A short soak, and that a soak would notice: memory that grows, a lag that does not end, an event that is gone."""

from __future__ import annotations

import pytest
from fire.soak import Soaked, faults_of, soak, tables
from house import RunningHouse

SECONDS = 20


@pytest.mark.server
@pytest.mark.timeout(180)
def test_a_short_soak_holds(house: RunningHouse) -> None:
    seen = soak(house, SECONDS)
    assert faults_of(seen) == []
    assert {"collector-1", "attributor", "web"} <= set(seen.memory)
    assert all(len(took) > 5 for took in seen.latencies.values())
    assert len(tables(seen)) == 2


def quiet(**changed: object) -> Soaked:
    flat = [100 << 20] * 40
    kept = {
        "memory": {"web": flat},
        "lags": [0, 3, 0],
        "latencies": {"click": [1.0]},
        "sent": 100,
        "lost": 0,
        "refused": 0,
        "events": (50, 50),
        "seconds": 10.0,
    }
    return Soaked(**{**kept, **changed})


def test_a_quiet_soak_has_no_faults() -> None:
    warming = [n << 20 for n in range(90, 100)] + [100 << 20] * 30
    assert faults_of(quiet(memory={"web": warming})) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"memory": {"web": [(100 + 3 * n) << 20 for n in range(40)]}}, "web grew from"),
        ({"lags": [0, 500, 2]}, "500 entries waited"),
        ({"lost": 1}, "1 requests got no answer"),
        ({"refused": 2}, "2 were refused"),
        ({"events": (50, 49)}, "50 events were accepted and 49 are reported"),
    ],
)
def test_a_soak_notices(changed: dict[str, object], words: str) -> None:
    (said,) = faults_of(quiet(**changed))
    assert words in said
