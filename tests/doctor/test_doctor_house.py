"""The doctor at a house that serves, through the command that people use; and what roles wrote, judged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from doctor.patients import OF_THE_MACHINE, copy_of, make_healthy, said
from fire.test_damaged_views import hurt_store
from house import CommandFailed, RunningHouse, http, wait_for

from attribune.doctor import house as checks
from attribune.model.status import RoleState, RoleStatus
from attribune.registry.keys import hashed

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

NOW_MS = 1_790_000_000_000


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("healthy") / "data"
    make_healthy(folder)
    return folder


@pytest.fixture
def house(healthy: Path, tmp_path: Path) -> RunningHouse:
    """One that can be started on a copy of the healthy folder."""
    return RunningHouse(
        copy_of(healthy, tmp_path / "data"), restart_wait_ms=50, restart_wait_max_ms=200
    )


def asked(house: RunningHouse) -> dict[str, dict]:
    """What the command says, by check; its code is that of its verdict."""
    done = doctor(house.folder, "--json")
    found = json.loads(done.stdout)["doctor"]
    assert done.returncode == (11 if found["verdict"] == "fail" else 0)
    return {check["id"]: check for check in found["checks"]}


def doctor(folder: Path, *words: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "attribune", "doctor", "--data", str(folder), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        **more,
    )


def test_a_healthy_house_is_well_and_nothing_is_told_that_is_secret(house: RunningHouse) -> None:
    with house.start():
        key = house.cli("key", "add", "--kind", "api", "--scopes", "read")["key"]["secret"]
        secret = house.cli("partner", "sign", "acme")["partner"]["signing_secret"]
        assert http("GET", f"{house.web_url}/api/status", key=key).status == 200
        found = asked(house)
        ailing = {id_: check for id_, check in found.items() if check["verdict"] != "ok"}
        assert set(ailing) <= OF_THE_MACHINE, ailing
        assert "attribune serve (process" in found["holder"]["seen"]
        assert found["roles"]["seen"] == "all 7 run"
        assert found["doors"]["seen"] == "collector, API and admin socket answer"
        shown = doctor(house.folder)
        assert shown.returncode == 0
        assert "are well." in shown.stdout
        for words in (json.dumps(found), shown.stdout):
            assert key not in words
            assert secret not in words
            assert hashed(key) not in words


def test_what_the_house_was_started_with_counts_and_not_what_the_caller_has(
    house: RunningHouse,
) -> None:
    house._environment["ATTRIBUNE_PROXY_HOPS"] = "0"
    with house.start():
        assert "set proxy_hops" in asked(house)["proxies"]["remedy"]
        file = house.folder / "attribune.toml"
        file.write_text(file.read_text() + "collectors = 2\n")
        later = time.time() + 5
        os.utime(file, (later, later))
        assert "restart the house" in asked(house)["settings"]["remedy"]


def test_open_files_are_those_of_the_house(house: RunningHouse) -> None:
    with house.start():
        limit = ["prlimit", f"--pid={house.process.pid}", "--nofile=700:700"]
        subprocess.run(limit, check=True)
        assert asked(house)["open_files"]["verdict"] == "fail"
        assert "holds 444 connections" in asked(house)["open_files"]["seen"]


def test_a_role_that_cannot_start_is_named_with_its_mending(house: RunningHouse) -> None:
    hurt_store(house.folder)
    process = subprocess.Popen(
        [*house._command("serve", "--port", "0", "--web-port", "0")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **house._environment},
    )
    try:
        wait_for(lambda: "damaged" in asked(house)["roles"]["seen"], 30)
        found = asked(house)["roles"]
        assert found["verdict"] == "fail"
        assert "attributor is" in found["seen"]
        assert "attribune rebuild stores" in found["seen"]
    finally:
        process.terminate()
        process.wait(15)


def test_a_collector_that_hangs_is_named_in_time(house: RunningHouse) -> None:
    with house.start():
        pid = house.pids()["collector-1"]
        os.kill(pid, signal.SIGSTOP)
        try:
            begun = time.monotonic()
            found = asked(house)
            assert time.monotonic() - begun < 30
            assert found["doors"]["verdict"] == "fail"
            assert house.collector_url in found["doors"]["seen"]
            wait_for(lambda: "collector-1 is stale" in asked(house)["roles"]["seen"], 20)
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_house_that_was_killed_leaves_what_is_named_and_is_well_again(
    house: RunningHouse,
) -> None:
    house.start()
    house.stop(signal.SIGKILL)
    found = asked(house)
    assert found["holder"]["seen"] == "nobody"
    assert "run/admin.sock" in found["leftovers"]["seen"]
    with house.start():
        assert asked(house)["leftovers"]["verdict"] == "ok"


def test_the_command_line_answers_as_every_other(house: RunningHouse) -> None:
    assert house.cli("doctor")["doctor"]["data"] == str(house.folder)
    (house.folder / "VERSION").write_text("99")
    with pytest.raises(CommandFailed) as failed:
        house.cli("doctor")
    assert failed.value.code == 11


# --- what roles wrote


def role(name: str, **more: object) -> RoleStatus:
    values = {"state": RoleState.RUNNING, "position": 10, "lag": 0, "started_at_ms": 1, **more}
    return RoleStatus(role=name, **values)


def roles(**more: object) -> dict[str, RoleStatus]:
    return {
        "web": role("web", position=None, lag=None),
        "attributor": role("attributor", **more),
    }


@pytest.mark.parametrize(
    ("more", "verdict", "words"),
    [
        ({}, "ok", "all 2 run"),
        ({"state": RoleState.FAILED, "last_error": "oh"}, "fail", "attributor is failed: oh"),
        ({"state": RoleState.STALE}, "fail", "attributor is stale"),
        ({"state": RoleState.ABSENT}, "fail", "attributor is absent"),
        ({"state": RoleState.STARTING}, "warn", "look again"),
        ({"state": RoleState.STARTING, "restarts": 3, "last_exit": "code 8"}, "fail", "code 8"),
        ({"restarts": 2, "started_at_ms": NOW_MS - 60_000, "last_exit": "x"}, "warn", "2 times"),
        ({"restarts": 2, "started_at_ms": NOW_MS - 7_200_000, "last_exit": "x"}, "ok", ""),
    ],
)
def test_what_roles_do(more: dict[str, object], verdict: str, words: str) -> None:
    found = checks.judge_roles(roles(**more), NOW_MS)
    assert found.verdict == verdict
    assert words in said(found)


@pytest.mark.parametrize(
    ("before", "after", "verdict", "words"),
    [
        ({}, {}, "ok", "none"),
        ({"lag": 9}, {"lag": 9}, "fail", "attributor does not move"),
        ({"lag": 9}, {"lag": 0, "position": 19}, "ok", "none"),
        ({"lag": 9}, {"lag": 20, "position": 11}, "ok", "attributor 20"),
        ({}, {"lag": 20}, "ok", "attributor 20"),
        ({"lag": 90_000}, {"lag": 80_000, "position": 20}, "warn", "they move on"),
    ],
)
def test_how_far_roles_are_behind(before: dict, after: dict, verdict: str, words: str) -> None:
    found = checks.judge_lag(roles(**before), roles(**after))
    assert found.verdict == verdict
    assert words in said(found)


@pytest.mark.parametrize(
    ("more", "verdict", "words"),
    [
        ({}, "ok", "none"),
        ({"last_error": "the disk"}, "warn", "attributor: the disk"),
        ({"counters": {"clicks_not_kept": 7, "clicks": 9}}, "warn", "7 clicks sent on"),
        ({"counters": {"clicks": 9}}, "ok", "none"),
        ({"counters": {"differences": 1}}, "fail", "attribune audit"),
    ],
)
def test_what_roles_complain_of(more: dict[str, object], verdict: str, words: str) -> None:
    found = checks.judge_errors(roles(**more), NOW_MS)
    assert found.verdict == verdict
    assert words in said(found)


def test_names_of_trouble_are_counters_that_collectors_have(house: RunningHouse) -> None:
    with house.start():
        found = house.cli("status")["status"]["roles"]
    counted = {name for one in found for name in one["counters"]}
    assert {*checks._TROUBLE, "differences"} <= counted


def test_a_door_that_is_not_ours_or_is_degraded_is_named() -> None:
    assert "does not answer" in (checks.ask("http://127.0.0.1:1") or "")
    assert checks.ask("") is not None
