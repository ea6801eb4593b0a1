"""A running house under attack: bodies that break readers, connections that say nothing."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest
from house import RunningHouse
from house import http as ask

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]


@pytest.mark.parametrize(
    "body", [b'{"name": "\xff"}', b'{"name": ' + b"[" * 100_000, b'{"a":' * 50_000, b"\x00", b""]
)
def test_no_body_breaks_the_api(shared_house: RunningHouse, body: bytes) -> None:
    key = shared_house.cli("key", "add", "--kind", "api", "--scopes", "write")["key"]["secret"]
    answer = ask("POST", f"{shared_house.web_url}/api/partners", body, key=key)
    assert (answer.status, answer.json()["error"]["code"]) == (400, "invalid")
    assert "request_crashed" not in shared_house.stderr_file.read_text()


def test_idle_connections_do_not_shut_the_api(shared_house: RunningHouse) -> None:
    at = urlsplit(shared_house.web_url)
    held = [http.client.HTTPConnection(str(at.hostname), at.port, timeout=5) for _ in range(300)]
    try:
        for connection in held:
            connection.connect()
        assert ask("GET", f"{shared_house.web_url}/healthz").status == 200
    finally:
        for connection in held:
            connection.close()
