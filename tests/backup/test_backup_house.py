"""Backup and restore of real houses: under load, twice, and into a folder that then serves."""

from __future__ import annotations

import json
import shutil
import stat
import threading
import time
from pathlib import Path
from typing import Self

import pytest
from house import CommandFailed, RunningHouse, http, wait_for

pytestmark = pytest.mark.server

APP = ("--name", "Game", "--platform", "android", "--store-id", "com.example.game")
SMALL = {"journal_segment_bytes_max": 1 << 20}


class Senders:
    """Threads that tell opens over HTTP as fast as they are answered, and remember what was answered."""

    def __init__(self, house: RunningHouse, key: str, count: int = 3) -> None:
        self.answered: list[str] = []
        self._url = f"{house.collector_url}/v1/batch"
        self._key = key
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(count)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        turn = 0
        while not self._stop.is_set():
            turn += 1
            devices = [f"d{number}-{turn}-{i}" for i in range(20)]
            records = [
                {
                    "type": "open",
                    "id": f"o-{device}",
                    "at": int(time.time() * 1000),
                    "device": {"id": device, "platform": "android"},
                }
                for device in devices
            ]
            answer = http("POST", self._url, {"records": records}, key=self._key)
            assert answer.status == 200, answer
            assert {one["status"] for one in answer.json()["results"]} == {"accepted"}
            self.answered += devices


def audited(folder: Path) -> dict:
    """What the audit of a folder that nobody serves says, once its views are made."""
    return RunningHouse(folder).cli("audit")


def installed(folder: Path) -> int:
    [row] = RunningHouse(folder).cli("report", "--metrics", "installs")["rows"]
    return row["installs"]


def test_a_backup_under_load_holds_all_that_was_answered_before_it(tmp_path: Path) -> None:
    with RunningHouse(tmp_path / "data", **SMALL) as house:
        key = house.cli("app", "add", *APP)["app"]["key"]
        wait_for(lambda: http("GET", f"{house.collector_url}/readyz").status == 200)
        with Senders(house, key) as senders:
            wait_for(lambda: len(list((house.folder / "journal").iterdir())) > 1, 60)
            before = list(senders.answered)
            taken = house.cli("backup", str(tmp_path / "one"))["backup"]
            wait_for(lambda: len(senders.answered) > len(before) + 200, 60)
            later = list(senders.answered)
            again = house.cli("backup", str(tmp_path / "two"))["backup"]
        assert house.cli("status")["status"]["journal_end"] > again["end"] > taken["end"]
    assert taken["segments"] > 1
    assert taken["linked_bytes"] == 0 < again["linked_bytes"]
    assert again["copied_bytes"] < again["bytes"]

    for name, answered in (("one", before), ("two", later)):
        restored = tmp_path / f"restored-{name}"
        RunningHouse(restored).cli("restore", str(tmp_path / name))
        report = audited(restored)
        assert report["ok"], [check for check in report["checks"] if not check["ok"]]
        assert report["lag"] == 0
        assert installed(restored) >= len(answered)
        for device in (answered[0], answered[len(answered) // 2], answered[-1]):
            stories = RunningHouse(restored).cli("explain", device)["stories"]
            assert len(stories) == 1, device


def test_a_restored_folder_serves_with_its_keys_and_goes_on(tmp_path: Path) -> None:
    with RunningHouse(tmp_path / "data") as house:
        app = house.cli("app", "add", *APP)["app"]
    (tmp_path / "data" / "attribune.toml").write_text("batch_records_max = 7\n")
    house.cli("backup", str(tmp_path / "kept"))
    shutil.rmtree(tmp_path / "data")  # the disk is gone
    house.cli("restore", str(tmp_path / "kept"))
    with house.start():
        wait_for(lambda: http("GET", f"{house.collector_url}/readyz").status == 200)
        record = {
            "id": "o1",
            "at": int(time.time() * 1000),
            "device": {"id": "d1", "platform": "android"},
        }
        answer = http("POST", f"{house.collector_url}/v1/open", record, key=app["key"])
        assert answer.json()["results"][0]["status"] == "accepted"
        eight = {"records": [{**record, "type": "open", "id": f"x{i}"} for i in range(8)]}
        answer = http("POST", f"{house.collector_url}/v1/batch", eight, key=app["key"])
        assert answer.status == 413  # by the settings that came back
        house.settle()
        assert house.cli("audit")["ok"]


def test_a_backup_is_for_its_owner_alone(house: RunningHouse, tmp_path: Path) -> None:
    dest = tmp_path / "kept"
    house.cli("backup", str(dest))
    found = [dest, *dest.rglob("*")]
    assert {stat.S_IMODE(p.stat().st_mode) for p in found if p.is_dir()} == {0o700}
    assert {stat.S_IMODE(p.stat().st_mode) for p in found if p.is_file()} == {0o600}
    assert {p.name for p in found} == {
        "kept",
        "journal",
        "0000000001",
        "data.mdb",
        "VERSION",
        "manifest.json",
    }
    restored = tmp_path / "restored"
    RunningHouse(restored).cli("restore", str(dest))
    assert stat.S_IMODE(restored.stat().st_mode) == 0o700
    assert stat.S_IMODE((restored / "journal/0000000001/data.mdb").stat().st_mode) == 0o600


def test_a_served_folder_and_one_with_data_are_not_restored_over(
    house: RunningHouse, tmp_path: Path
) -> None:
    house.cli("backup", str(tmp_path / "kept"))
    end = house.cli("status")["status"]["journal_end"]
    with pytest.raises(CommandFailed, match="holds data already") as failed:
        house.cli("restore", str(tmp_path / "kept"))
    assert failed.value.error["code"] == "invalid"
    assert house.cli("status")["status"]["journal_end"] == end
    house.stop()
    with pytest.raises(CommandFailed, match="holds data already"):
        house.cli("restore", str(tmp_path / "kept"))


def test_the_manifest_says_what_the_backup_holds(house: RunningHouse, tmp_path: Path) -> None:
    house.cli("app", "add", *APP)
    taken = house.cli("backup", str(tmp_path / "kept"))["backup"]
    said = json.loads((tmp_path / "kept/manifest.json").read_bytes())
    assert (said["format"], said["end"]) == (1, taken["end"])
    assert said["topics"] == {"control": taken["end"]}
    [segment] = said["segments"]
    assert segment["topics"]["control"] == {"entries": taken["end"], "last": taken["end"]}
    assert {file["path"] for file in said["files"]} == {"VERSION", "journal/0000000001/data.mdb"}
