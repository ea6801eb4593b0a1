"""The API under everything that its own description allows: whatever comes, no answer is a mistake of ours."""

from __future__ import annotations

import subprocess
import sys

import pytest
from house import RunningHouse, http

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

EXAMPLES = "8"


def test_no_request_that_the_api_describes_makes_it_fail(shared_house: RunningHouse) -> None:
    house = shared_house
    house.cli(
        "app", "add", "--name", "Game", "--platform", "android", "--store-id", "com.example.game"
    )
    house.cli("partner", "add", "--name", "acme")
    house.cli("link", "add", "--app", "Game", "--partner", "acme")
    key = house.cli("key", "add", "--kind", "api", "--scopes", "read,write")["key"]["secret"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            f"{house.web_url}/api/docs/openapi.json",
            *("--header", f"Authorization: Bearer {key}"),
            *("--checks", "not_a_server_error,response_schema_conformance"),
            *("--phases", "coverage,fuzzing"),
            *("--max-examples", EXAMPLES, "--seed", "7", "--no-color"),
            # A rebuild empties views while the others are asked, and a key that ends may be the one that asks.
            *("--exclude-path-regex", "rebuild|rotate|revoke"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=house.folder.parent,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "request_crashed" not in house.stderr_file.read_text()
    assert http("GET", f"{house.web_url}/readyz").status == 200
