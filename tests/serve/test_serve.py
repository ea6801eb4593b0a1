"""Serving: one command, several processes, and what must hold when some of them die."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time

import pytest
from house import CommandFailed, RunningHouse, http, is_alive, wait_for

pytestmark = pytest.mark.server

BROWSER = {
    "user-agent": "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/120 Mobile"
}


def add_link(house: RunningHouse, name: str = "Game") -> dict:
    app = house.cli(
        "app", "add", "--name", name, "--platform", "android", "--store-id", "com.example.game"
    )["app"]
    house.cli("partner", "add", "--name", "acme", "--kind", "affiliate")
    link = house.cli("link", "add", "--app", app["id"], "--partner", "acme", "--campaign", name)
    return link["link"]


def test_what_is_added_while_serving_is_in_force_within_a_second(
    shared_house: RunningHouse,
) -> None:
    house = shared_house
    link = add_link(house, "Added")
    assert link["click_url"].startswith(house.collector_url)
    begun = time.monotonic()
    wait_for(lambda: http("GET", link["click_url"], headers=BROWSER).status == 302, 5)
    assert time.monotonic() - begun < 1.0


def test_a_click_becomes_a_row_of_the_report(shared_house: RunningHouse) -> None:
    house = shared_house
    link = add_link(house, "Clicked")
    wait_for(lambda: http("GET", link["click_url"], headers=BROWSER).status == 302, 5)
    house.settle()
    report = (
        "report",
        "--metrics",
        "clicks",
        "--by",
        "partner,campaign",
        "--where",
        "campaign=Clicked",
    )
    assert house.cli(*report)["rows"] == [{"partner": "acme", "campaign": "Clicked", "clicks": 1}]


def test_a_link_serves_an_app_that_came_after_it(shared_house: RunningHouse) -> None:
    house = shared_house
    link = add_link(house, "Later")
    house.cli(
        "app",
        "add",
        "--name",
        "Later",
        "--platform",
        "ios",
        "--store-id",
        "1234567890",
        "--product",
        "Later",
    )
    iphone = {
        "user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148 Safari/604.1"
    }
    wait_for(
        lambda: (
            "apps.apple.com/app/id1234567890"
            in http("GET", link["click_url"], headers=iphone).headers.get("location", "")
        ),
        5,
    )


def test_a_killed_role_comes_back_and_status_says_why(house: RunningHouse) -> None:
    before = house.pids()
    for role in ("collector-1", "attributor", "web"):
        os.kill(before[role], signal.SIGKILL)
    wait_for(
        lambda: (
            http("GET", f"{house.collector_url}/healthz").status == 200 if _up(house) else False
        ),
        15,
    )
    wait_for(lambda: all(r["state"] == "running" for r in roles(house)), 15)
    for role in roles(house):
        if role["role"] in ("collector-1", "attributor", "web"):
            assert role["pid"] != before[role["role"]]
            assert (role["restarts"], role["last_exit"]) == (1, "killed by SIGKILL")


def _up(house: RunningHouse) -> bool:
    try:
        http("GET", f"{house.collector_url}/healthz")
    except OSError:
        return False
    return True


def roles(house: RunningHouse) -> list[dict]:
    try:
        return house.cli("status")["status"]["roles"]
    except CommandFailed:
        return [{"role": "web", "state": "absent"}]


def test_a_second_serve_says_who_holds_the_folder(shared_house: RunningHouse) -> None:
    house = shared_house
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "attribune",
            "serve",
            "--data",
            str(house.folder),
            "--port",
            "0",
            "--web-port",
            "0",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 6
    assert str(house.process.pid) in done.stderr
    assert "attribune serve" in done.stderr
    assert http("GET", f"{house.web_url}/readyz").status == 200


def test_a_second_house_on_the_same_port_is_told_so(shared_house: RunningHouse, tmp_path) -> None:
    port = shared_house.collector_url.rpartition(":")[2]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "attribune",
            "serve",
            "--data",
            str(tmp_path / "other"),
            "--port",
            port,
            "--web-port",
            "0",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 4
    assert f"port {port}" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_within_ten_seconds_when_told_to(tmp_path, number) -> None:
    house = RunningHouse(tmp_path / "data", collectors=2).start()
    pids = set(house.pids().values())
    begun = time.monotonic()
    assert house.stop(number) == 0
    assert time.monotonic() - begun < 10
    assert not [pid for pid in pids if is_alive(pid)]
    assert not (house.folder / "run" / "admin.sock").exists()


def test_no_orphan_outlives_a_killed_supervisor(tmp_path) -> None:
    house = RunningHouse(tmp_path / "data", collectors=2).start()
    pids = set(house.pids().values())
    assert len(pids) == 5
    house.stop(signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, pids)), 3, "a role outlived its supervisor")
    with house.start():  # and nothing keeps the folder or a port
        assert http("GET", f"{house.web_url}/readyz").status == 200


def test_the_admin_socket_is_its_owners_alone(shared_house: RunningHouse) -> None:
    house = shared_house
    assert stat.S_IMODE((house.folder / "run" / "admin.sock").stat().st_mode) == 0o600
    assert stat.S_IMODE(house.folder.stat().st_mode) == 0o700


def test_a_folder_too_deep_for_a_socket_path_is_served(tmp_path) -> None:
    deep = tmp_path / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)
    with RunningHouse(deep / "data") as house:
        assert house.cli("status")["status"]["is_serving"]
        assert house.stop() == 0


def test_commands_answer_the_same_with_and_without_a_house(tmp_path) -> None:
    house = RunningHouse(tmp_path / "data")
    added = house.cli("partner", "add", "--name", "acme", "--kind", "affiliate")
    listed = house.cli("partner", "list")
    with house.start():
        assert house.cli("partner", "add", "--name", "acme", "--kind", "affiliate") == added
        assert house.cli("partner", "list") == listed
        online = house.cli("report", "--by", "partner")
    assert house.cli("report", "--by", "partner") == online


def test_stores_are_made_again_while_serving(house: RunningHouse) -> None:
    link = add_link(house)
    wait_for(lambda: http("GET", link["click_url"], headers=BROWSER).status == 302, 5)
    house.settle()
    before = house.cli("report", "--metrics", "clicks", "--by", "partner")
    attributor = house.pids()["attributor"]
    for view in ("stores", "facts", "registry"):
        assert house.cli("rebuild", view)["rebuild"]["views"] == [view]
    house.settle()
    assert house.cli("report", "--metrics", "clicks", "--by", "partner") == before
    assert house.pids()["attributor"] != attributor
    assert house.cli("partner", "list")["partners"][0]["id"] == "acme"


def test_status_answers_when_the_web_role_hangs(tmp_path) -> None:
    with RunningHouse(tmp_path / "data") as house:
        web = house.pids()["web"]
        os.kill(web, signal.SIGSTOP)
        try:
            begun = time.monotonic()
            wait_for(lambda: state_of(house, "web") == "stale", 10)
            assert time.monotonic() - begun < 20
            assert state_of(house, "collector-1") == "running"
        finally:
            os.kill(web, signal.SIGCONT)
        wait_for(lambda: state_of(house, "web") == "running", 10)


def state_of(house: RunningHouse, role: str) -> str:
    code, said, _ = house._run_apart(("status", "--data", str(house.folder), "--json"))
    assert code == 0
    return next(r["state"] for r in json.loads(said)["status"]["roles"] if r["role"] == role)
