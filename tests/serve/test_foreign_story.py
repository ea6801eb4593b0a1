"""An operator who stays with Adjust for now: its callbacks at a door, its file, both decisions side by side, and who is paid."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from house import RunningHouse, http, wait_for
from serve.hearing import Partner

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

PHONE = {"user-agent": "Mozilla/5.0 (Linux; Android 15; Pixel 8) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile"}  # fmt: skip
OFFER = 'id = "theirs"\nevent = "install"\ncurrency = "EUR"\ncounts = "adjust"\n[[deal]]\nkind = "cpa"\namount = "2.50"\n'


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHouse]:
    with RunningHouse(tmp_path_factory.mktemp("foreign") / "data") as running:
        running.cli("app", "add", "--name", "Game", "--platform", "android", "--store-id", "com.example.game")  # fmt: skip
        for name in ("acme", "zeta"):
            running.cli("partner", "add", "--name", name)
        offer = running.folder.parent / "offer.toml"
        offer.write_text(OFFER)
        running.cli("offer", "add", "--file", str(offer))
        yield running


def click(house: RunningHouse, link: str, number: str) -> str:
    """What Play hands to the app after a click."""
    answer = http("GET", f"{link}?click_id={number}", headers=PHONE)
    return parse_qs(urlsplit(answer.headers["location"]).query)["referrer"][0]


def opened(house: RunningHouse, key: str, device: str, referrer: str | None) -> None:
    record: dict[str, Any] = {
        "type": "open",
        "id": f"open-{device}",
        "at": int(time.time() * 1000),
        "device": {"id": device, "gaid": f"gaid-{device}"},
    }
    if referrer:
        record["referrers"] = [{"source": "play", "value": referrer}]
    answer = http("POST", f"{house.collector_url}/v1/batch", {"records": [record]}, {"authorization": f"Bearer {key}"})  # fmt: skip
    assert answer.status == 200, answer


def test_adjust_decides_and_we_look(house: RunningHouse) -> None:
    key = house.cli("key", "add", "--kind", "app", "--app", "game-android")["key"]["secret"]
    link = house.cli("link", "add", "--app", "game-android", "--partner", "acme")["link"]
    door = house.cli("door", "add", "--app", "game-android", "--dialect", "adjust-callback")["door"]
    opened(house, key, "d1", click(house, link["click_url"], "n-1"))
    opened(house, key, "d2", None)
    opened(house, key, "d3", click(house, link["click_url"], "n-3"))
    opened(house, key, "d4", None)

    def callback(device: str, **more: str) -> dict[str, Any]:
        said = {"activity_kind": "install", "created_at": str(int(time.time())), "adid": f"adid-{device}", "gps_adid": f"gaid-{device}"}  # fmt: skip
        url = f"{door['url']}?{urlencode({'key': door['key'], **said, **more})}"
        answer = http("GET", url)
        assert answer.status == 200, answer
        return answer.json()

    assert callback("d1", click_id="n-1", network_name="Network of Adjust")["accepted"] == 1
    assert callback("d1", click_id="n-1", network_name="Network of Adjust")["accepted"] == 1
    callback("d2", is_organic="1", network_name="Organic")
    callback("d3", network_name="Zeta", is_organic="0")
    callback("d9", is_organic="1", network_name="Organic")
    house.settle()

    shadow = house.cli("shadow", "--app", "game-android", "--against", "adjust", "--list")
    [difference] = shadow.pop("disagreements")
    assert shadow == {
        "agree": 2,
        "disagree": 1,
        "only_here": 1,
        "only_there": 1,
        "by_reason": {"missing_touch": 1},
    }
    assert (difference["partner_here"], difference["partner_there"]) == ("acme", "zeta")

    rows = house.cli("report", "--metrics", "installs,foreign_installs", "--by", "partner")["rows"]
    found = {row["partner"]: (row["installs"], row["foreign_installs"]) for row in rows}
    assert found == {None: (2, 2), "acme": (2, 1), "zeta": (0, 1)}
    story = house.cli("explain", "gaid-d1")["stories"][0]
    assert (story["winner"]["partner"], story["foreign"][0]["credited_by"]) == ("acme", "click_id")
    lines = house.cli("book", "lines")["lines"]
    assert sorted((one["partner"], one["amount_minor"]) for one in lines) == [("acme", 250), ("zeta", 250)]  # fmt: skip
    audit = house.cli("audit")
    assert audit["ok"] is True, [one for one in audit["checks"] if not one["ok"]]


def test_the_partner_hears_of_what_adjust_decided_exactly_once(house: RunningHouse, tmp_path: Path) -> None:  # fmt: skip
    partner = Partner()
    try:
        told = ("--template", "generic-get", "--trigger", "install", "--trigger", "event", "--trigger", "reversal", "--allow-host", "127.0.0.1")  # fmt: skip
        words = (
            f"{partner.url}?c={{partner_click_id}}&t={{trigger}}&e={{event}}&x={{transaction_id}}"
        )
        theirs = house.cli("postback", "add", "--partner", "acme", "--counts", "adjust", *told, "--set", f"url={words}")["postback"]  # fmt: skip
        ours = house.cli("postback", "add", "--partner", "acme", *told, "--set", f"url={words}&own=1")["postback"]  # fmt: skip
        assert (theirs["counts"], ours["counts"]) == ("adjust", "own")
        link = house.cli("link", "add", "--app", "game-android", "--partner", "acme")["link"]
        click(house, link["click_url"], "n-7")
        door = house.cli("door", "add", "--app", "game-android", "--dialect", "adjust-callback")["door"]  # fmt: skip
        now = int(time.time())
        device = {"key": door["key"], "adid": "adid-7", "click_id": "n-7", "network_name": "Network of Adjust"}  # fmt: skip
        install = {"activity_kind": "install", "created_at": str(now - 60)}
        buy = {"activity_kind": "event", "created_at": str(now - 30), "event_name": "buy", "order_id": "o-1"}  # fmt: skip
        for said in (install, buy, install, buy):
            assert http("GET", f"{door['url']}?{urlencode({**device, **said})}").status == 200
        wait_for(lambda: len(partner.heard) == 2)
        file = tmp_path / "adjust.csv"
        file.write_text(f"{{activity_kind}},{{created_at}},{{adid}},{{click_id}}\ninstall,{now - 60},adid-7,n-7\ninstall,{now - 86400 * 30},adid-8,n-7\n")  # fmt: skip
        brought = house.cli("import", "conversions", str(file), "--app", "game-android", "--from", "adjust")  # fmt: skip
        assert (brought["accepted"], brought["duplicate"]) == (1, 1)
        no = {"activity_kind": "event", "created_at": str(now), "event_name": "refund", "order_id": "o-1"}  # fmt: skip
        assert http("GET", f"{door['url']}?{urlencode({**device, **no})}").json()["accepted"] == 1
        wait_for(lambda: len(partner.heard) == 3)
        house.settle()
        house.cli("rebuild", "outbox")
        time.sleep(1)
        assert partner.heard == [
            "/pb?c=n-7&t=install",
            "/pb?c=n-7&t=event&e=buy&x=o-1",
            "/pb?c=n-7&t=reversal&e=buy&x=o-1",
        ]
        log = house.cli("postback", "log", "--partner", "acme")["rows"]
        assert [row["postback"] for row in log] == [theirs["id"]] * 3
        stories = house.cli("explain", "adid-7")["stories"]
        told_of = [one["trigger"] for story in stories for one in story["deliveries"]]
        assert sorted(told_of) == ["event", "install", "reversal"]
        audit = house.cli("audit")
        assert audit["ok"] is True, [one for one in audit["checks"] if not one["ok"]]
    finally:
        partner.stop()


def test_a_file_says_again_what_the_door_heard(house: RunningHouse, tmp_path: Path) -> None:
    file = tmp_path / "adjust.csv"
    file.write_text("{activity_kind},{created_at},{adid},{network_name}\ninstall,1772366400,adid-7,Acme\ninstall,1772366400,adid-7,Acme\n")  # fmt: skip
    words = ("import", "conversions", str(file), "--app", "game-android", "--from", "adjust")
    assert house.cli(*words)["accepted"] == 1
    assert house.cli(*words)["duplicate"] == 2
