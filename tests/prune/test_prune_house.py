"""A house of many days whose journal is pruned, served or not: what goes, what stays, and what can still be done."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from house import CommandFailed, RunningHouse, http

from attribune.roles import folder

pytestmark = pytest.mark.server

CLOCK = Path(__file__).with_name("another_day")
SMALL = {"journal_segment_bytes_max": 1 << 20}
DAY_MS = 86_400_000
LONG_AGO, AGO = -500, -400
BROWSER = {"user-agent": "Mozilla/5.0 (Linux; Android 15; Pixel 8) Chrome/140.0.0.0 Mobile"}
#: Wide enough that a day of traffic fills segments.
STUFFING = {"note": "x" * 4000}


class House:
    """A house that was served on several days, with an app, a partner and its link."""

    def __init__(self, folder: Path) -> None:
        self.running = RunningHouse(folder, **SMALL)
        self.key = self.click_url = ""
        self.sent: dict[int, list[str]] = {}

    @property
    def folder(self) -> Path:
        return self.running.folder

    def cli(self, *words: str) -> dict[str, Any]:
        return self.running.cli(*words)

    def begin(self) -> None:
        self.cli("app", "add", "--name", "Game", "--platform", "android", "--store-id", "com.g")
        self.cli("partner", "add", "--name", "acme")
        link = self.cli("link", "add", "--app", "Game", "--partner", "acme")["link"]
        self.click_url = link["click_url"].rpartition("/")[2]
        self.key = self.cli("key", "add", "--app", "Game", "--kind", "server")["key"]["secret"]

    def tell(self, day: int, devices: int = 120) -> None:
        """A click and an open of every device, and an event of each with stuffing."""
        at = int(time.time() * 1000) + day * DAY_MS
        self.sent[day] = []
        for n in range(devices):
            device = f"d{day}-{n}"
            self._click(f"acme-{device}", day)
            self._batch(
                *(self._record("open", device, at, ids={"gaid": gaid(day, n)}),),
                *(self._record("event", device, at, name="level", extra=STUFFING),) * 3,
            )
            self.sent[day].append(device)
        self.running.settle()

    def event(self, device: str, name: str) -> None:
        self._batch(self._record("event", device, int(time.time() * 1000), name=name))
        self.running.settle()

    def _click(self, click_id: str, day: int) -> None:
        n = click_id.rpartition("-")[2]
        url = f"{self.running.collector_url}/c/{self.click_url}?gaid={gaid(day, int(n))}&click_id={click_id}"
        assert http("GET", url, headers=BROWSER).status == 302

    def _record(self, kind: str, device: str, at: int, **more: Any) -> dict[str, Any]:
        ids = more.pop("ids", {})
        self._count = getattr(self, "_count", 0) + 1
        return {
            "type": kind,
            "id": f"r{self._count}-{at}",
            "at": at,
            "device": {"id": device, "platform": "android", **ids},
            **more,
        }

    def _batch(self, *records: dict[str, Any]) -> None:
        told = [{**record, "id": f"{record['id']}-{n}"} for n, record in enumerate(records)]
        url = f"{self.running.collector_url}/v1/batch"
        answer = http("POST", url, {"records": told}, key=self.key)
        assert answer.status == 200, answer
        assert {one["status"] for one in answer.json()["results"]} == {"accepted"}, answer.body

    def segments(self) -> list[str]:
        folders = (self.folder / "journal").iterdir()
        return sorted(path.name for path in folders if path.name.isdigit())

    def credited(self) -> dict[str, int]:
        rows = self.cli("report", "--metrics", "installs,events", "--by", "partner")["rows"]
        return {row["partner"]: (row["installs"], row["events"]) for row in rows}


def gaid(day: int, n: int) -> str:
    return f"38400000-8cf0-11bd-{-day:04d}-{n:012d}"


@contextmanager
def served(house: House, day: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """The house serves on another day."""
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(CLOCK))
        patch.setenv("DAYS_AWAY", str(day))
        house.running.start()
    with house.running:
        yield house


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Traffic of two days long ago; nobody serves it now."""
    house = House(tmp_path_factory.mktemp("lived") / "data")
    with pytest.MonkeyPatch.context() as patch:
        for day in (LONG_AGO, AGO):
            with served(house, day, patch):
                if day == LONG_AGO:
                    house.begin()
                house.tell(day)
    return house


@pytest.fixture
def house(lived: House, tmp_path: Path) -> House:
    """A copy of it, whose facts are made again: their own links lead to the folder that they were made in."""
    shutil.copytree(lived.folder, tmp_path / "data", ignore=shutil.ignore_patterns("facts"))
    copied = House(tmp_path / "data")
    copied.key, copied.click_url, copied.sent = lived.key, lived.click_url, lived.sent
    return copied


def refused(house: House, *words: str) -> CommandFailed:
    with pytest.raises(CommandFailed) as failed:
        house.cli(*words)
    return failed.value


def pruned(house: House, *words: str) -> dict[str, Any]:
    return house.cli("journal", "prune", *words)["prune"]


def assert_adds_up(house: House, start: int) -> None:
    report = house.cli("audit")
    assert report["ok"], [check for check in report["checks"] if not check["ok"]]
    assert report["start"] == start
    assert report["lag"] == 0


def test_a_served_house_is_pruned_and_goes_on_as_if_nothing_were_missing(
    house: House, tmp_path: Path
) -> None:
    before = house.segments()
    with house.running.start():
        house.event("d-new", "hello")
        house.cli("backup", str(tmp_path / "one"))
        told, size = house.credited(), house.cli("status")["disk"]
        assert told["acme"] == (240, 720)
        assert size["prunable_bytes"] > 1 << 20
        going = pruned(house, "--older-than-days", "450", "--dry-run")
        assert going["is_dry_run"]
        assert going["segments"]
        assert set(house.segments()) >= set(before)
        gone = pruned(house, "--older-than-days", "450")
        assert gone == {**going, "is_dry_run": False, "freed_bytes": gone["freed_bytes"]}
        names = [segment["name"] for segment in gone["segments"]]
        assert names == before[: len(names)]
        assert not set(names) & set(house.segments())
        assert set(before[len(names) :]) <= set(house.segments())
        disk = house.cli("status")["disk"]
        assert disk["journal_start"] == gone["through"] == gone["segments"][-1]["last"]
        assert disk["prune"]["freed_bytes"] == gone["freed_bytes"] > 1 << 20
        assert disk["used_bytes"]["journal"] < size["used_bytes"]["journal"]
        assert disk["growth_bytes_per_day"] < 2 * size["growth_bytes_per_day"]
        assert house.credited() == told
        # A device that was installed before what is kept is known, and so is its partner.
        house.event("d-500-7", "deposit")
        assert house.credited()["acme"] == (240, 721)
        assert_adds_up(house, gone["through"])
        again = pruned(house, "--older-than-days", "450")
        assert again["segments"] == []
    # Roles that begin anew find all they need.
    with house.running.start():
        house.event("d-400-7", "deposit")
        assert house.credited()["acme"] == (240, 722)
        assert_adds_up(house, gone["through"])


def test_what_was_pruned_is_said_to_be(house: House, tmp_path: Path) -> None:
    whole = house.cli("explain", "d-500-7")
    assert whole["pruned"] is None
    house.cli("backup", str(tmp_path / "one"))
    through = pruned(house, "--older-than-days", "450")["through"]
    gone = house.cli("explain", "d-500-7")
    assert gone["stories"] == []
    assert gone["pruned"] == {"through": through, "kinds": {"event": 3, "install": 1, "open": 1}}
    assert house.cli("explain", "d-400-7")["pruned"] is None
    for words in (
        ("rebuild", "stores"),
        ("rebuild", "facts"),
        ("replay",),
    ):
        error = refused(house, *words).error
        assert error["code"] == "journal_pruned", words
        assert str(tmp_path / "one") in error["message"]
    assert refused(house, "journal", "tail", "--after", "1").error["code"] == "journal_pruned"
    assert house.cli("journal", "tail", "--after", str(through), "--last", "3")["entries"]
    house.cli("rebuild", "registry")
    assert house.cli("link", "list")["links"], "what people made is kept for ever"
    assert_adds_up(house, through)


def test_two_prunes_and_a_backup_after_each_restore_to_the_whole_house(
    house: House, tmp_path: Path
) -> None:
    told = house.credited()
    end = house.cli("status")["status"]["journal_end"]
    house.cli("backup", str(tmp_path / "one"))
    first = pruned(house, "--older-than-days", "450")
    two = house.cli("backup", str(tmp_path / "two"))["backup"]
    assert (two["first"], two["end"]) == (1, end)
    assert two["linked_bytes"] > two["copied_bytes"]
    shutil.rmtree(tmp_path / "one")
    with house.running.start():
        second = pruned(house, "--keep-size", "1500kB", "--backup", str(tmp_path / "two"))
    assert second["through"] > first["through"]
    assert second["kept_bytes"] <= 1_500_000
    assert_adds_up(house, second["through"])
    house.cli("backup", str(tmp_path / "three"))
    shutil.rmtree(tmp_path / "two")
    restored = House(tmp_path / "restored")
    restored.cli("restore", str(tmp_path / "three"))
    assert_adds_up(restored, 0)
    assert restored.credited() == told
    assert restored.cli("explain", "d-500-7")["stories"][0]["conversion"]


def test_without_the_backup_that_holds_it_nothing_pretends_to_be_whole(
    house: House, tmp_path: Path
) -> None:
    house.cli("backup", str(tmp_path / "one"))
    gone = pruned(house, "--older-than-days", "450")["segments"]
    (tmp_path / "one").rename(tmp_path / "lost.partial")
    error = refused(house, "backup", str(tmp_path / "two")).error
    assert error["code"] == "backup_damaged"
    assert gone[0]["name"] in error["message"]
    assert str(tmp_path / "one") in error["message"]
    assert not (tmp_path / "two").exists()
    (tmp_path / "lost.partial").rename(tmp_path / "one")
    file = house.folder / "journal/pruned.json"
    kept = file.read_bytes()
    file.unlink()
    error = refused(house, "backup", str(tmp_path / "two")).error
    assert error["code"] == "journal_damaged"
    file.write_bytes(b"{")
    assert "pruned.json" in refused(house, "backup", str(tmp_path / "two")).error["message"]
    file.write_bytes(kept)
    assert house.cli("backup", str(tmp_path / "two"))["backup"]["first"] == 1


def test_nothing_is_pruned_that_should_stay(house: House, tmp_path: Path) -> None:
    before = house.segments()

    def says(*words: str) -> str:
        failed = refused(house, "journal", "prune", *words)
        assert house.segments() == before
        assert failed.code == 4
        return failed.error["message"]

    assert "no backup" in says("--older-than-days", "450")
    assert "say what is to go" in says()
    assert "at least 180" in says("--older-than-days", "179")
    assert "write it like" in says("--keep-size", "much")
    backup = tmp_path / "one"
    house.cli("backup", str(backup))
    manifest = json.loads((backup / "manifest.json").read_text())
    file = backup / manifest["files"][0]["path"]
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    failed = refused(house, "journal", "prune", "--older-than-days", "450")
    assert failed.error["code"] == "backup_damaged"
    assert str(file) in failed.error["message"]
    assert house.segments() == before
    assert (
        "give another"
        in refused(House(tmp_path / "nowhere"), "journal", "prune", "--keep-size", "1GB").error[
            "message"
        ]
    )
    assert not (tmp_path / "nowhere").exists()


def test_a_served_house_is_not_pruned_under_who_reads_it(house: House, tmp_path: Path) -> None:
    with house.running.start():
        house.running.settle()
        house.cli("backup", str(tmp_path / "one"))
        before = house.segments()
        attributor = house.running.pids()["attributor"]
        os.kill(attributor, signal.SIGSTOP)
        silent = refused(house, "journal", "prune", "--older-than-days", "450").error
        os.kill(attributor, signal.SIGCONT)
        assert silent["code"] == "not_prunable"
        assert "the attributor does not say how far it has read" in silent["message"]
        with folder.journal_kept(house.folder):
            busy = refused(house, "journal", "prune", "--older-than-days", "450").error
        assert busy["code"] == "conflict"
        assert "a backup, an audit or a replay reads" in busy["message"]
        with folder.pruning(house.folder):
            busy = refused(house, "journal", "prune", "--older-than-days", "450").error
        assert "another prune" in busy["message"]
        assert house.segments() == before
        house.cli("rebuild", "stores")
        assert pruned(house, "--older-than-days", "450")["segments"]
        house.running.settle()
        assert house.cli("audit")["ok"]


def test_rules_that_look_back_far_keep_the_journal_as_long(house: House, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(f"reinstall_ms = {390 * DAY_MS}\n")
    house.cli("policy", "set", "--product", "Game", "--file", str(rules))
    house.cli("backup", str(tmp_path / "one"))
    failed = refused(house, "journal", "prune", "--older-than-days", "389")
    assert "at least 390" in failed.error["message"]
    assert pruned(house, "--older-than-days", "390", "--dry-run")["segments"]
