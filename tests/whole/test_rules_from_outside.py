"""Rules that only show through the front door of a running house."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from house import RunningHouse, http

from attribune.cli.main import run

pytestmark = pytest.mark.server

ANDROID = "Mozilla/5.0 (Linux; Android 10; K) Chrome/140.0.0.0 Mobile"
GAID = "11111111-2222-4333-8444-555555555555"


class Outside:
    """A registered game, seen by a server that speaks for it."""

    def __init__(self, house: RunningHouse) -> None:
        self.house = house
        app = house.cli(
            *("app", "add", "--name", "Game", "--platform", "android"),
            *("--store-id", "com.example.game"),
        )["app"]
        self.app, self.product = app["id"], app["product"]
        key = house.cli("key", "add", "--app", self.app, "--kind", "server")["key"]
        self.key = key["secret"]
        house.cli("partner", "add", "--name", "acme", "--kind", "network")
        link = house.cli("link", "add", "--app", self.app, "--partner", "acme")
        self.link = link["link"]["id"]

    def send(self, *records: dict[str, Any]) -> None:
        url = f"{self.house.collector_url}/v1/batch"
        answer = http("POST", url, {"records": records}, key=self.key)
        assert [r["status"] for r in answer.json()["results"]] == ["accepted"] * len(records)


@pytest.fixture
def outside(house: RunningHouse) -> Outside:
    return Outside(house)


def test_an_order_without_a_tier_switches_it_off_and_stops_nobody(outside: Outside) -> None:
    house = outside.house
    file = house.folder.parent / "clicks-only.toml"
    file.write_text('order = ["click_deterministic"]\n')
    house.cli("policy", "set", "--product", outside.product, "--file", str(file))
    now_ms = int(time.time() * 1000)
    outside.send(
        {
            "type": "impression",
            "id": "i1",
            "link": outside.link,
            "at": now_ms,
            "device": {"gaid": GAID},
        },
        {"type": "open", "id": "o1", "at": now_ms, "device": {"id": "d1", "gaid": GAID}},
    )
    house.settle()
    (story,) = house.cli("explain", "d1")["stories"]
    assert (story["kind"], story["winner"]) == ("install", None)
    assert [c["lost_because"] for c in story["candidates"]] == ["WINDOW_OFF"]
    assert house.cli("replay")["changed"] == 0
    assert house.cli("audit")["ok"]


def test_an_event_that_waits_for_its_open_is_found_by_every_name_it_has(outside: Outside) -> None:
    house = outside.house
    event = {"type": "event", "name": "deposit", "revenue": {"amount": "1.00", "currency": "EUR"}}
    outside.send(
        {**event, "id": "e1", "transaction_id": "T1", "device": {"id": "d1", "gaid": GAID}},
        {**event, "id": "e2", "user_id": "u1"},
    )
    house.settle()
    for handle, device in {"d1": "d1", "e1": "d1", "t1": "d1", GAID: "d1", "u1": None}.items():
        (story,) = house.cli("explain", handle)["stories"]
        assert (story["conversion"], story["device"]) == (None, device), handle
        assert [held["name"] for held in story["held"]] == ["deposit"], handle
    outside.send({"type": "open", "id": "o1", "device": {"id": "d1"}})
    house.settle()
    (story,) = house.cli("explain", "d1")["stories"]
    assert (story["held"], [e["name"] for e in story["events"]]) == ([], ["deposit"])
    assert house.cli("audit")["ok"]
    assert house.stop() == 0
    (story,) = house.cli("explain", "u1")["stories"]
    assert [held["id"] for held in story["held"]] == ["e2"]


def test_a_guess_from_a_listed_network_is_refused_and_explained(
    outside: Outside, capsys: pytest.CaptureFixture[str]
) -> None:
    house = outside.house
    file = house.folder.parent / "rules.json"
    networks = [f"81.2.{n}.0/24" for n in range(60, 70)]
    file.write_text(json.dumps({"name": "ours", "hosting_networks": networks}))
    house.cli("policy", "set", "--product", outside.product, "--file", str(file))
    click = {"type": "click", "link": outside.link, "ip": "81.2.69.142", "user_agent": ANDROID}
    outside.send(
        {**click, "id": "c1"},
        {"type": "open", "id": "o1", "device": {"id": "d1"}, "ip": click["ip"]},
    )
    house.settle()
    (story,) = house.cli("explain", "d1")["stories"]
    assert (story["kind"], story["winner"]) == ("install", None)
    assert [(c["method"], c["lost_because"]) for c in story["candidates"]] == [
        ("PROBABILISTIC", "HOSTING_ADDRESS")
    ]
    capsys.readouterr()
    assert run(["explain", "d1", "--data", str(house.folder)]) == 0
    assert "HOSTING_ADDRESS" in capsys.readouterr().out
    assert run(["policy", "show", "--product", "game", "--data", str(house.folder)]) == 0
    rules = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert rules["hosting_networks"].strip() == (
        "81.2.60.0/24, 81.2.61.0/24, 81.2.62.0/24 and 7 more (--json shows all)"
    )
    assert rules["probabilistic_on_hosting"].strip() == "no"
    assert house.cli("replay")["changed"] == 0
    file.write_text(json.dumps({"hosting_networks": networks[:-1]}))
    asked = house.cli("replay", "--policy", str(file))
    assert (asked["changed"], asked["gains"]) == (1, {"acme": 1})
    assert house.cli("audit")["ok"]
