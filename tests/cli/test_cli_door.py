"""``attribune door test`` with a letter of one's own, on a folder that nobody serves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attribune.cli.main import run


@pytest.fixture
def data(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> str:
    folder = str(tmp_path / "data")
    said = ("--name", "Game", "--platform", "android", "--store-id", "com.example.game")
    assert run(["app", "add", "--data", folder, *said]) == 0
    door = ("--app", "game-android", "--dialect", "adjust", "--key", "abc123def456")
    assert run(["door", "add", "--data", folder, *door, "--map", "event:e1e2e3=purchase"]) == 0
    capfd.readouterr()
    return folder


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_letter_from_a_file_that_an_editor_wrote(data: str, tmp_path: Path, capfd, end: str):
    file = tmp_path / "event.txt"
    file.write_bytes(f"gps_adid=a1&event_token=e1e2e3{end}".encode())
    assert run(["door", "test", "--data", data, "--path", "/event", "--body", str(file), "--json"]) == 0  # fmt: skip
    [tried] = json.loads(capfd.readouterr().out)["tests"]
    [result] = tried["results"]
    assert (tried["is_understood"], result["record"]["name"]) == (True, "purchase")


def test_a_body_without_a_path_is_no_letter(data: str, tmp_path: Path, capfd):
    file = tmp_path / "event.txt"
    file.write_text("event_token=e1e2e3")
    for said in (("--body", str(file)), ("--query", "event_token=e1e2e3")):
        assert run(["door", "test", "--data", data, *said]) == 2
        assert "--path" in capfd.readouterr().err
