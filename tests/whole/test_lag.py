"""A report that says its lag is 0 holds everything that was accepted before it was asked for."""

from __future__ import annotations

import pytest
from house import RunningHouse, http, wait_for

pytestmark = pytest.mark.server


@pytest.mark.parametrize("collectors", [1, 2])
def test_a_report_without_lag_has_everything(tmp_path, collectors: int) -> None:
    # The recorder finds nothing to do long before the attributor has decided.
    slow = {"heartbeat_ms": 1000, "poll_ms": 300, "record_wait_ms": 10}
    with RunningHouse(tmp_path / "data", collectors=collectors, **slow) as house:
        app = house.cli(
            "app",
            "add",
            "--name",
            "Game",
            "--platform",
            "android",
            "--store-id",
            "com.example.game",
        )["app"]
        for n in range(1, 11):
            opened = {"id": f"o{n}", "device": {"id": f"d{n}", "platform": "android"}}
            assert (
                http("POST", f"{house.collector_url}/v1/open", opened, key=app["key"]).status == 200
            )

            def told(n: int = n) -> bool:
                answer = house.cli("report", "--metrics", "installs")
                if answer["lag"]:
                    return False
                assert answer["totals"]["installs"] == n, "the lag was 0"
                return True

            wait_for(told, 5, f"report {n} was never complete")
