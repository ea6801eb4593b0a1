"""The main job, from a click to a credited install, told through the front door of a running house."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlencode

import pytest
from house import RunningHouse, http, wait_for

pytestmark = pytest.mark.server

ANDROID = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36"
)
METRICS = "clicks,impressions,opens,installs,reinstalls,reattributions,reengagements,events,revenue"


class Game:
    """A registered game, and its messages in the words of the wire."""

    def __init__(self, house: RunningHouse) -> None:
        self.house = house
        app = house.cli(
            *(
                "app",
                "add",
                "--name",
                "Game",
                "--platform",
                "android",
                "--store-id",
                "com.example.game",
            ),
            *("--timezone", "Europe/Berlin", "--currency", "EUR"),
        )["app"]
        self.app, self.product, self.key = app["id"], app["product"], app["key"]
        self.server_key = house.cli("key", "add", "--app", self.app, "--kind", "server")["key"][
            "secret"
        ]
        self.count = 0

    def link(self, partner: str, campaign: str, *more: str) -> str:
        self.house.cli("partner", "add", "--name", partner, "--kind", "affiliate")
        link = self.house.cli(
            "link", "add", "--app", self.app, "--partner", partner, "--campaign", campaign, *more
        )
        name = link["link"]["id"]
        assert link["link"]["click_url"].endswith(f"/c/{name}")
        return name

    def get(self, path: str, query: dict[str, str], agent: str = ANDROID) -> Any:
        url = f"{self.house.collector_url}{path}?{urlencode(query)}"
        return http("GET", url, headers={"user-agent": agent})

    def click(self, link: str, **query: str) -> str:
        """Follow a link; gives the referrer that Play would hand on."""
        answer = self.get(f"/c/{link}", query)
        assert answer.status == 302, answer
        return unquote(re.search(r"[?&]referrer=([^&]+)", answer.headers["location"])[1])

    def batch(self, *records: dict[str, Any], key: str | None = None) -> list[dict[str, Any]]:
        answer = http(
            "POST",
            f"{self.house.collector_url}/v1/batch",
            {"records": records},
            key=key or self.key,
        )
        assert answer.status == 200, answer
        return answer.json()["results"]

    def record(self, kind: str, device: str, **more: Any) -> dict[str, Any]:
        self.count += 1
        ids = {k: more.pop(k) for k in ("gaid", "idfa") if k in more}
        at = datetime.now(UTC) - more.pop("ago", timedelta())
        return {
            "type": kind,
            "id": f"r{self.count}",
            "at": at.isoformat(timespec="milliseconds"),
            "device": {"id": device, "platform": "android", **ids},
            **more,
        }

    def rows(self, by: str = "partner,campaign") -> dict[tuple[Any, ...], dict[str, Any]]:
        self.house.settle()
        answer = self.house.cli("report", "--metrics", METRICS, "--by", by)
        return {tuple(row[name] for name in by.split(",")): row for row in answer["rows"]}

    def one_story(self, handle: str) -> dict[str, Any]:
        self.house.settle()
        stories = [s for s in self.house.cli("explain", handle)["stories"] if s["conversion"]]
        assert len(stories) == 1, stories
        return stories[0]


@pytest.fixture
def game(house: RunningHouse) -> Iterator[Game]:
    """A game whose every number must add up when the test ends."""
    told = Game(house)
    yield told
    house.settle()
    audit = house.cli("audit")
    assert audit["ok"], [check for check in audit["checks"] if not check["ok"]]
    assert audit["lag"] == 0
    replay = house.cli("replay")
    assert (replay["changed"], replay["gains"], replay["losses"]) == (0, {}, {})


def test_from_a_click_to_a_credited_install(game: Game) -> None:
    acme, zeta = game.link("acme", "spring"), game.link("zeta", "brand")
    game.get(f"/i/{zeta}", {"gaid": "11111111-2222-4333-8444-555555555555"})
    referrer = game.click(acme, click_id="abc", gaid="11111111-2222-4333-8444-555555555555")
    ids = {"gaid": "11111111-2222-4333-8444-555555555555"}
    results = game.batch(
        game.record(
            "open",
            "d1",
            referrers=[{"source": "play", "value": referrer}],
            want_attribution=True,
            **ids,
        ),
        game.record(
            "event",
            "d1",
            name="buy",
            revenue={"amount": "12.50", "currency": "USD"},
            transaction_id="T1",
        ),
        game.record("event", "d2", name="level"),
        game.record("open", "d2"),
    )
    assert [r["status"] for r in results] == ["accepted"] * 4
    assert (
        results[0]["attribution"]["attribution"]["partner"] == "acme"
        or results[0]["attribution"]["partner"] == "acme"
    )
    rows = game.rows()
    spring = rows["acme", "spring"]
    assert (spring["installs"], spring["events"], spring["revenue"]) == (1, 1, {"USD": "12.50"})
    assert (spring["clicks"], spring["opens"]) == (1, 1)
    assert rows[None, None]["installs"] == 1
    assert rows[None, None]["events"] == 1
    for handle in ("d1", "abc", "T1", ids["gaid"]):
        story = game.one_story(handle)
        assert story["kind"] == "install"
        assert story["winner"]["partner"] == "acme"
        assert story["method"] == "REFERRER"
        losers = {c["partner"]: c["lost_because"] for c in story["candidates"]}
        assert losers == {"acme": None, "zeta": "LOWER_TIER"}
        assert [e["name"] for e in story["events"]] == ["buy"]


def test_an_ended_story_can_be_asked_for_by_the_sdk(game: Game) -> None:
    acme = game.link("acme", "spring")
    referrer = game.click(acme, click_id="abc")
    game.batch(game.record("open", "d1", referrers=[{"source": "play", "value": referrer}]))
    url = f"{game.house.collector_url}/v1/attribution?device_id=d1"
    wait_for(lambda: http("GET", url, key=game.key).status == 200)
    told = http("GET", url, key=game.key).json()
    assert told["status"] == "decided"
    assert (told["attribution"]["partner"], told["attribution"]["is_organic"]) == ("acme", False)
    unknown = http("GET", url.replace("d1", "d9"), key=game.key)
    assert unknown.status == 202
    assert unknown.json()["status"] == "pending"
    assert unknown.json()["retry_after_ms"] > 0


def test_repeats_count_once_and_bad_records_are_kept(game: Game) -> None:
    opened = game.record("open", "d1")
    bought = game.record("event", "d1", name="buy", revenue={"amount": "4.99", "currency": "EUR"})
    bad = game.record("event", "d1", name="buy", revenue={"amount": "4,99", "currency": "EUR"})
    results = game.batch(opened, bought, bad, bought)
    assert [r["status"] for r in results] == ["accepted", "accepted", "refused", "accepted"]
    assert results[2]["field"] == "records[2].revenue.amount"
    game.batch(opened, bought)
    row = game.rows()[None, None]
    assert (row["installs"], row["opens"], row["events"], row["revenue"]) == (
        1,
        1,
        1,
        {"EUR": "4.99"},
    )
    game.house.settle()
    refused = game.house.cli("report", "--metrics", "refused", "--by", "reason")["rows"]
    counts = {row["reason"]: row["refused"] for row in refused}
    assert counts == {"bad_amount": 1, "repeated_record": 3}


def test_reinstalls_and_returns(game: Game) -> None:
    acme = game.link("acme", "spring")
    back = game.link("zeta", "back", "--retargeting")
    gaid = "11111111-2222-4333-8444-555555555555"
    game.batch(game.record("open", "d1", gaid=gaid, ago=timedelta(days=20)))
    game.batch(
        game.record(
            "open", "d2", gaid="22222222-2222-4333-8444-555555555555", ago=timedelta(days=20)
        )
    )
    game.click(acme, gaid=gaid)
    game.click(back, gaid="22222222-2222-4333-8444-555555555555")
    game.batch(
        game.record("open", "d1-again", gaid=gaid),
        game.record("open", "d2", gaid="22222222-2222-4333-8444-555555555555"),
        game.record("event", "d2", name="buy", revenue={"amount": "1.00", "currency": "EUR"}),
    )
    rows = game.rows()
    assert (rows[None, None]["installs"], rows[None, None]["reinstalls"]) == (2, 1)
    assert rows["acme", "spring"]["installs"] == 0
    assert (rows["zeta", "back"]["reengagements"], rows["zeta", "back"]["revenue"]) == (
        1,
        {"EUR": "1.00"},
    )


def test_a_correction_moves_the_install_and_its_events(game: Game) -> None:
    acme, zeta = game.link("acme", "spring"), game.link("zeta", "brand")
    gaid = "11111111-2222-4333-8444-555555555555"
    game.click(acme, gaid=gaid)
    game.click(zeta, gaid=gaid)
    game.batch(
        game.record("open", "d1", gaid=gaid),
        game.record("event", "d1", name="buy", revenue={"amount": "9.99", "currency": "EUR"}),
    )
    story = game.one_story("d1")
    assert story["winner"]["partner"] == "zeta"
    loser = next(c for c in story["candidates"] if c["partner"] == "acme")
    reason = "the creative was acme's"
    game.house.cli("correct", story["conversion"], "--to", loser["touch_id"], "--reason", reason)
    rows = game.rows()
    assert (rows["acme", "spring"]["installs"], rows["acme", "spring"]["revenue"]) == (
        1,
        {"EUR": "9.99"},
    )
    assert (rows["zeta", "brand"]["installs"], rows["zeta", "brand"]["revenue"]) == (0, {})
    story = game.one_story("d1")
    assert story["winner"]["partner"] == "acme"
    assert [c["reason"] for c in story["corrections"]] == [reason]
    game.house.cli("correct", story["conversion"], "--to", "organic", "--reason", "fraud")
    assert game.rows()[None, None]["installs"] == 1


def test_other_rules_are_asked_and_then_set(game: Game) -> None:
    acme = game.link("acme", "spring")
    gaid = "11111111-2222-4333-8444-555555555555"
    click = {
        "id": "c1",
        "link": acme,
        "at": (datetime.now(UTC) - timedelta(days=6)).isoformat(),
        "device": {"gaid": gaid},
    }
    assert (
        http("POST", f"{game.house.collector_url}/v1/click", click, key=game.server_key).status
        == 200
    )
    game.batch(game.record("open", "d1", gaid=gaid))
    assert game.rows()["acme", "spring"]["installs"] == 1
    strict = game.house.folder.parent / "strict.toml"
    strict.write_text(
        'name = "strict"\n[windows]\nclick_deterministic_ms = 86400000\nclick_probabilistic_ms = 0\nimpression_deterministic_ms = 0\nimpression_probabilistic_ms = 0\n'
    )
    replay = game.house.cli("replay", "--policy", str(strict))
    assert (replay["judged"], replay["changed"], replay["losses"], replay["gains"]) == (
        1,
        1,
        {"acme": 1},
        {},
    )
    game.house.cli("policy", "set", "--product", game.product, "--file", str(strict))
    game.batch(game.record("open", "d2", gaid=gaid))
    game.house.settle()
    assert game.one_story("d2")["policy"].startswith("strict@")
    assert game.one_story("d1")["policy"].startswith("attribune@"), "what was decided stands"


def test_views_made_again_say_the_same(game: Game) -> None:
    acme = game.link("acme", "spring")
    for n in range(5):
        referrer = game.click(acme, click_id=f"c{n}")
        game.batch(
            game.record("open", f"d{n}", referrers=[{"source": "play", "value": referrer}]),
            game.record(
                "event", f"d{n}", name="buy", revenue={"amount": "1.00", "currency": "EUR"}
            ),
        )
    before = game.rows()
    story = game.one_story("d3")
    for view in ("facts", "stores", "registry"):
        game.house.cli("rebuild", view)
        assert game.rows() == before, view
        assert game.one_story("d3") == story, view


def test_existing_users_and_test_devices(game: Game) -> None:
    gaid, test = "11111111-2222-4333-8444-555555555555", "33333333-2222-4333-8444-555555555555"
    file = game.house.folder.parent / "devices.csv"
    file.write_text(f"gaid\n{gaid}\n")
    told = game.house.cli("import", "devices", str(file), "--app", game.app)
    assert told["imported"]["devices"] == 1, told
    game.house.cli("device", "test", test, "--product", game.product)
    game.batch(
        game.record("open", "d1", gaid=gaid),
        game.record("open", "d2", gaid=test),
        game.record("open", "d3", gaid=test),
    )
    assert game.rows()[None, None]["installs"] == 2
    assert game.rows()[None, None]["opens"] == 3


def test_a_house_can_be_asked_while_nothing_serves(game: Game) -> None:
    """What was accepted before the stop is decided by whoever asks next."""
    house = game.house
    acme = game.link("acme", "spring")
    referrer = game.click(acme)
    game.batch(game.record("open", "d1", referrers=[{"source": "play", "value": referrer}]))
    assert house.stop() == 0
    rows = house.cli("report", "--metrics", METRICS, "--by", "partner")["rows"]
    assert {row["partner"]: row["installs"] for row in rows} == {"acme": 1}
    assert house.cli("audit")["ok"]
    house.start()


def test_a_referrer_packed_without_end_stops_nobody(game: Game) -> None:
    """A public app key can send this; the next install must be credited all the same."""
    acme = game.link("acme", "spring")
    packed = [{"source": "play", "value": "referrer=" * 6000 + "x"}]
    game.batch(game.record("open", "d1", referrers=packed))
    referrer = game.click(acme)
    game.batch(game.record("open", "d2", referrers=[{"source": "play", "value": referrer}]))
    assert game.rows()["acme", "spring"]["installs"] == 1
    roles = {role["role"]: role for role in game.house.cli("status")["status"]["roles"]}
    assert roles["attributor"]["restarts"] == 0
