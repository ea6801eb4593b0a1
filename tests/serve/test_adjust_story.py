"""A house behind an app with Adjust's SDK: from a click to the attribution in its answer, and the partner who is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from house import RunningHouse, http, wait_for
from serve.hearing import Partner

from attribune.collect.dialects.adjust_times import write_time

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

PHONE = {
    "user-agent": "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile"
}
SDK = {"client-sdk": "android5.4.6", "content-type": "application/x-www-form-urlencoded", "authorization": 'Signature signature="ab",algorithm="adj1"'}  # fmt: skip
TOKEN = "abc123def456"


class Game(NamedTuple):
    """An app whose SDK speaks to a door of ours, a partner with a link, and what the partner heard."""

    house: RunningHouse
    partner: Partner
    door: str
    links: dict[str, dict[str, Any]]

    def click(self, partner: str, number: str) -> str:
        """What Play hands to the app after a click on a partner's link."""
        url = f"{self.links[partner]['click_url']}?click_id={number}&label=L"
        answer = http("GET", url, headers=PHONE)
        return parse_qs(urlsplit(answer.headers["location"]).query)["referrer"][0]

    def tell(self, path: str, device: str, *, ago_ms: int = 0, **more: str) -> dict[str, Any]:
        """One request of the Android SDK."""
        now_ms = int(time.time() * 1000)
        said = {
            "app_token": TOKEN, "environment": "production", "os_name": "android", "os_version": "14", "device_name": "Pixel 8",
            "android_uuid": device, "gps_adid": f"38400000-8cf0-41bd-b23e-{device[-12:]}", "package_name": "com.example.game", "app_version": "3.1",
            "created_at": write_time(now_ms - ago_ms), "sent_at": write_time(now_ms), "tracking_enabled": "1", **more,
        }  # fmt: skip
        method, body = ("GET", None) if path == "/attribution" else ("POST", urlencode(said).encode())  # fmt: skip
        query = f"?{urlencode(said)}" if body is None else ""
        answer = http(method, f"{self.door}{path}{query}", body, SDK)
        assert answer.status == 200, answer
        return answer.json()

    def ask(self, device: str) -> dict[str, Any]:
        """``GET /attribution`` until it is decided, as the SDK asks."""
        found: list[dict[str, Any]] = []

        def is_decided() -> bool:
            found.append(self.tell("/attribution", device, initiated_by="backend"))
            return "ask_in" not in found[-1]

        wait_for(is_decided)
        return found[-1]


@pytest.fixture(scope="module")
def game(shared_house: RunningHouse) -> Iterator[Game]:
    house, partner = shared_house, Partner()
    try:
        house.cli("app", "add", "--name", "Game", "--platform", "android", "--store-id", "com.example.game")  # fmt: skip
        links = {}
        for name in ("acme", "zeta"):
            house.cli("partner", "add", "--name", name, "--kind", "network")
            words = ("--partner", name, "--campaign", "spring", "--deep-link", "game://level/7")
            links[name] = house.cli("link", "add", "--app", "Game", *words)["link"]
        mapped = ("--map", "event:e1e2e3=purchase")
        made = house.cli("door", "add", "--app", "Game", "--dialect", "adjust", "--key", TOKEN, *mapped)  # fmt: skip
        house.cli(
            *("postback", "add", "--partner", "acme", "--template", "generic-get"),
            *("--trigger", "install", "--trigger", "event", "--allow-host", "127.0.0.1"),
            *("--set", f"url={partner.url}?c={{partner_click_id}}&t={{trigger}}"),
        )
        one = Game(house, partner, made["door"]["url"].rstrip("/"), links)
        wait_for(lambda: http("HEAD", links["zeta"]["click_url"], headers=PHONE).status == 302)
        wait_for(lambda: http("POST", f"{one.door}/session", b"", SDK).status == 401)
        yield one
    finally:
        partner.stop()


GIVEN = {
    "tracker_name": "acme::spring", "network": "acme", "campaign": "spring", "click_label": "L",
}  # fmt: skip
PURCHASE = {"event_token": "e1e2e3", "revenue": "12.50000", "currency": "USD", "order_id": "A-1", "callback_params": '{"plan":"pro"}'}  # fmt: skip


def test_from_a_click_to_the_callback_the_facts_and_the_partner(game: Game) -> None:
    device = "5f2a7c1e-0d3b-4a6f-9c8d-000000000001"
    referrer = game.click("acme", "c-1")
    at = write_time(int(time.time() * 1000))
    # On Android the referrer comes before the session of a device that nobody knows.
    said = {"source": "install_referrer", "referrer_api": "google", "referrer": referrer, "click_time": at, "click_time_server": at}  # fmt: skip
    clicked = game.tell("/sdk_click", device, **said)
    assert clicked["adid"] == device.replace("-", "")
    game.tell("/sdk_click", device, retry_count="1", last_error="107", **said)
    opened = game.tell("/session", device, session_count="1")
    # The link leads into the app, so the SDK is made to fetch that too.
    assert opened["ask_in"] > 0
    told = game.ask(device)
    assert told["attribution"] == {"tracker_token": game.links["acme"]["id"], **GIVEN, "deeplink": "game://level/7"}  # fmt: skip
    assert (told["adid"], told["app_token"]) == (clicked["adid"], TOKEN)
    bought = game.tell("/event", device, **PURCHASE)
    assert bought["message"] == "Event tracked"

    game.house.settle()
    [story] = game.house.cli("explain", device)["stories"]
    assert (story["kind"], story["method"], story["winner"]["partner"]) == ("install", "REFERRER", "acme")  # fmt: skip
    [event] = story["events"]
    assert (event["name"], event["revenue"]) == ("purchase", {"amount": "12.50", "currency": "USD"})
    rows = game.house.cli("report", "--metrics", "installs,revenue", "--by", "partner,campaign")["rows"]  # fmt: skip
    [row] = [one for one in rows if one["partner"] == "acme"]
    assert (row["installs"], row["revenue"], row["campaign"]) == (1, {"USD": "12.50"}, "spring")
    wait_for(lambda: len(game.partner.heard) >= 2)
    assert set(game.partner.heard) == {"/pb?c=c-1&t=install", "/pb?c=c-1&t=event"}
    log = game.house.cli("door", "log")["rows"]
    assert {row["type"] for row in log} >= {"evidence", "open", "event"}


def test_a_referrer_that_comes_late_corrects_what_the_sdk_was_told(game: Game) -> None:
    device = "5f2a7c1e-0d3b-4a6f-9c8d-000000000002"
    referrer = game.click("zeta", "c-2")
    first = game.tell("/session", device, session_count="1")
    assert (first.get("attribution") or game.ask(device)["attribution"])["network"] == "Organic"
    late = game.tell("/sdk_click", device, source="reftag", reftag="x", raw_referrer=referrer)
    assert late["ask_in"] == 2000
    wait_for(lambda: game.tell("/attribution", device)["attribution"]["network"] == "zeta")
    again = game.tell("/session", device, session_count="2")
    assert again["attribution"]["campaign"] == "spring"
    assert "ask_in" not in again


def test_who_asks_to_be_forgotten_is_left_alone(game: Game) -> None:
    device = "5f2a7c1e-0d3b-4a6f-9c8d-000000000003"
    game.tell("/session", device, session_count="1")
    assert game.tell("/gdpr_forget_device", device)["tracking_state"] == "opted_out"
    game.house.settle()
    for path in ("/session", "/event", "/sdk_click", "/attribution"):
        told = game.tell(path, device, event_token="e")
        assert told["tracking_state"] == "opted_out", path
        assert "attribution" not in told
    game.house.settle()
    # What was told after the wish is nobody's.
    assert refusals(game.house)["forgotten"] == 3


def refusals(house: RunningHouse) -> dict[str, int]:
    rows = house.cli("report", "--metrics", "refused", "--by", "reason")["rows"]
    return {row["reason"]: row["refused"] for row in rows}


def test_the_sums_add_up(game: Game) -> None:
    game.house.settle()
    audit = game.house.cli("audit")
    assert audit["ok"], [check for check in audit["checks"] if not check["ok"]]
