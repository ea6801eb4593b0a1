"""The whole way over loopback: a click, an install, an event, a person's correction, and sums that add up."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
from house import CommandFailed, RunningHouse, http, wait_for

pytestmark = pytest.mark.server

PHONE = {
    "user-agent": "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/120 Mobile"
}


class Game:
    """An app with two partners, and what its people do."""

    def __init__(self, house: RunningHouse) -> None:
        self.house = house
        self.app = house.cli(
            "app",
            "add",
            "--name",
            "Game",
            "--platform",
            "android",
            "--store-id",
            "com.example.game",
        )["app"]
        self.links = {}
        for partner in ("acme", "zeta"):
            house.cli("partner", "add", "--name", partner, "--kind", "affiliate")
            self.links[partner] = house.cli(
                "link", "add", "--app", self.app["id"], "--partner", partner, "--campaign", "spring"
            )["link"]
        newest = self.links["zeta"]["click_url"]
        wait_for(lambda: http("HEAD", newest, headers=PHONE).status == 302)

    def click(self, partner: str) -> str:
        """The touch id that the store gets in its referrer."""
        answer = http(
            "GET", self.links[partner]["click_url"] + "?click_id=c-" + partner, headers=PHONE
        )
        referrer = parse_qs(urlsplit(answer.headers["location"]).query)["referrer"][0]
        return parse_qs(referrer)["attribune_click"][0]

    def tell(self, kind: str, device: str, **more: object) -> str:
        record = {
            "id": f"{kind}-{device}",
            "at": int(time.time() * 1000),
            "device": {"id": device, "platform": "android"},
            **more,
        }
        answer = http("POST", f"{self.house.collector_url}/v1/{kind}", record, key=self.app["key"])
        return answer.json()["results"][0]["status"] if answer.status == 200 else str(answer.status)

    def open(self, device: str, touch: str) -> str:
        referrer = {"source": "play", "value": f"attribune_click={touch}"}
        return self.tell("open", device, referrers=[referrer])


def installs(house: RunningHouse) -> dict:
    house.settle()
    rows = house.cli("report", "--metrics", "installs,revenue", "--by", "partner")["rows"]
    return {row["partner"]: (row["installs"], row["revenue"]) for row in rows if row["installs"]}


def test_from_a_click_to_a_corrected_install(house: RunningHouse) -> None:
    game = Game(house)
    touch, other = game.click("acme"), game.click("zeta")
    assert game.open("d1", touch) == "accepted"
    assert (
        game.tell("event", "d1", name="buy", revenue={"amount": "12.50", "currency": "USD"})
        == "accepted"
    )
    assert game.tell("open", "d2") == "accepted"
    assert installs(house) == {"acme": (1, {"USD": "12.50"}), None: (1, {})}

    [story] = house.cli("explain", "d1")["stories"]
    assert (story["winner"]["touch_id"], story["method"]) == (touch, "REFERRER")

    corrected = house.cli("correct", "d1", "--to", other, "--reason", "bought by zeta")[
        "correction"
    ]
    assert (corrected["conversion"], corrected["revision"]) == (story["conversion"], 2)
    assert (corrected["partner"], corrected["touch_id"]) == ("zeta", other)
    assert installs(house) == {"zeta": (1, {"USD": "12.50"}), None: (1, {})}
    again = house.cli("correct", story["conversion"], "--to", "organic", "--reason", "by nobody")
    assert (again["correction"]["revision"], again["correction"]["source"]) == (3, "organic")
    [story] = house.cli("explain", "d1")["stories"]
    assert [c["reason"] for c in story["corrections"]] == ["bought by zeta", "by nobody"]

    house.settle()
    audit = house.cli("audit")
    assert audit["ok"], [check for check in audit["checks"] if not check["ok"]]
    replayed = house.cli("replay")
    assert (replayed["changed"], replayed["differences"]) == (0, 0)
    with pytest.raises(CommandFailed, match="touch of the conversion's product"):
        house.cli(
            "correct", "d1", "--to", "01a200ff-afde-7834-9ef0-12ce2e922cb9", "--reason", "why"
        )


def test_a_correction_told_again_is_the_same_deed(house: RunningHouse) -> None:
    """Told twice, told by many at once, and told offline: one revision each time that something changes."""
    game = Game(house)
    touch, other = game.click("acme"), game.click("zeta")
    assert game.open("d1", touch) == "accepted"
    house.settle()
    key = house.cli("key", "add", "--kind", "api", "--scopes", "read,write")["key"]["secret"]

    def correct(to: str, why: str) -> dict:
        body = {"id": "d1", "to": to, "reason": why}
        answer = http("POST", f"{house.web_url}/api/corrections", body, key=key)
        assert answer.status == 201, answer
        return answer.json()["correction"]

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(correct, [other] * 8, [f"number {n}" for n in range(8)]))
    assert len({(one["id"], one["position"], one["revision"], one["reason"]) for one in told}) == 1
    assert (told[0]["revision"], told[0]["partner"]) == (2, "zeta")
    assert correct(other, "once more") == told[0]

    assert correct(touch, "no, acme")["revision"] == 3
    assert correct(other, "zeta after all")["revision"] == 4
    organic = correct("organic", "by nobody")
    assert organic["revision"] == 5
    house.settle()
    house.stop()
    words = ("correct", "d1", "--to", "organic", "--reason", "again")
    assert house.cli(*words)["correction"] == organic
    [story] = house.cli("explain", "d1")["stories"]
    assert [c["revision"] for c in story["corrections"]] == [2, 3, 4, 5]
    assert house.cli("audit")["ok"]
    replayed = house.cli("replay")
    assert (replayed["changed"], replayed["differences"]) == (0, 0)


def test_a_person_may_say_what_was_decided_anyway(house: RunningHouse) -> None:
    """It changes no credit, but stands against later evidence, so it is a revision."""
    game = Game(house)
    assert game.tell("open", "d1") == "accepted"
    house.settle()
    for _ in range(2):
        said = house.cli("correct", "d1", "--to", "organic", "--reason", "I know it")["correction"]
        assert (said["revision"], said["source"]) == (2, "organic")


def test_devices_known_before_are_never_new_installs(house: RunningHouse) -> None:
    game = Game(house)
    file = house.folder.parent / "known.csv"
    file.write_text("id,gaid\nd1,\nd2,\n")
    assert house.cli("import", "devices", str(file), "--app", "Game") == {
        "imported": {"devices": 2}
    }
    assert game.tell("open", "d1") == "accepted"
    assert game.tell("open", "d3") == "accepted"
    assert installs(house) == {None: (1, {})}


def test_no_secret_is_ever_logged_or_left_in_the_folder(tmp_path) -> None:
    with RunningHouse(tmp_path / "data", log_level="debug") as house:
        game = Game(house)
        server = house.cli("key", "add", "--app", "Game", "--kind", "server")["key"]["secret"]
        program = house.cli("key", "add", "--kind", "api", "--scopes", "read")["key"]["secret"]
        door = house.cli(
            "door", "add", "--app", "Game", "--dialect", "segment", "--key", "wk_verysecret"
        )
        http("POST", f"{house.web_url}/api/partners", {"name": "x"}, key=program)
        http("POST", f"{house.collector_url}/v1/open", b"{", key=server)
        http("POST", f"{door['door']['url']}/v1/track", {"writeKey": "wk_verysecret", "event": 5})
        secrets = [server, program, game.app["key"]]
        house.settle()
        house.stop()
    log = house.stderr_file.read_bytes()
    files = [path for path in house.folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    for secret in secrets:
        assert secret.encode() not in log
        assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_the_web_port_wants_a_key_and_the_commands_do_not(house: RunningHouse) -> None:
    assert http("GET", f"{house.web_url}/api/partners").status == 401
    reader = house.cli("key", "add", "--kind", "api", "--scopes", "read")["key"]["secret"]
    assert http("GET", f"{house.web_url}/api/partners", key=reader).status == 200
    refused = http("POST", f"{house.web_url}/api/partners", {"name": "acme"}, key=reader)
    assert (refused.status, refused.json()["error"]["type"]) == (403, "authentication")
    assert b"attribune_role_up" in http("GET", f"{house.web_url}/metrics").body
    assert http("GET", f"{house.collector_url}/metrics").status == 404


def test_commands_wait_for_each_other_when_nobody_serves(tmp_path) -> None:
    commands = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "attribune",
                "partner",
                "add",
                "--name",
                f"p{n}",
                "--data",
                str(tmp_path / "d"),
            ],
            stdout=subprocess.DEVNULL,
        )
        for n in range(3)
    ]
    assert [command.wait(60) for command in commands] == [0, 0, 0]
    partners = RunningHouse(tmp_path / "d").cli("partner", "list")["partners"]
    assert [partner["id"] for partner in partners] == ["p0", "p1", "p2"]
