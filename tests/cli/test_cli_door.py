"""``attribune door`` on a folder that nobody serves: letters of one's own, and secrets that keep nobody out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attribune.cli.client import Client
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


def door_of(data: str, dialect: str, capfd: pytest.CaptureFixture[str], *more: str) -> tuple[dict[str, Any], str]:  # fmt: skip
    """What is answered to who makes a door with a secret, and what stands on stderr."""
    key = ("--app", "game-android", "--dialect", dialect, "--key", f"key-{dialect}", "--secret", "a-secret")  # fmt: skip
    assert run(["door", "add", "--data", data, *key, *more]) == 0
    said = capfd.readouterr()
    return json.loads(said.out) if "--json" in more else {}, said.err


@pytest.mark.parametrize("dialect", ["segment", "posthog", "branch", "snowplow"])
def test_a_secret_that_nobody_is_held_to_is_named(data: str, dialect: str, capfd) -> None:
    answer, told = door_of(data, dialect, capfd, "--json")
    door = answer["door"]
    (note,) = answer["notes"]
    assert (door["has_secret"], told) == (True, "")
    assert note.startswith(f"nobody is held to the secret of door {door['id']}: ")
    # The same door again, for people.
    assert door_of(data, dialect, capfd) == ({}, f"note: {note}\n")
    assert run(["door", "list", "--data", data, "--json"]) == 0
    listed = json.loads(capfd.readouterr().out)
    assert (len(listed["doors"]), listed["notes"]) == (2, [note])
    assert run(["door", "list", "--data", data]) == 0
    assert capfd.readouterr().err == f"note: {note}\n"
    # Who closed it need not be told any more.
    assert run(["door", "disable", "--data", data, door["id"], "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["notes"] == []
    assert run(["door", "list", "--data", data]) == 0
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("dialect", ["adjust", "singular", "appsflyer-ctv", "adjust-callback"])
def test_of_a_secret_that_holds_nothing_is_said(data: str, dialect: str, capfd) -> None:
    answer, _ = door_of(data, dialect, capfd, "--json")
    assert (answer["door"]["has_secret"], answer["notes"]) == (True, [])


def test_of_a_door_without_a_secret_nothing_is_said(data: str, capfd) -> None:
    assert run(["door", "add", "--data", data, "--app", "game-android", "--dialect", "segment", "--json"]) == 0  # fmt: skip
    assert json.loads(capfd.readouterr().out)["notes"] == []


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"type": "link", "name": "spring", "record": "bl_1"}, "link: bl_1: spring"),
        ({"type": "link", "name": None, "record": "bl_1"}, "link: bl_1"),
        ({"type": "event", "name": "purchase", "record": "r1", "device": "d1"}, "event: purchase"),
    ],
)
def test_a_line_of_the_log_says_which_link_was_made(data: str, row: Any, what: str, capfd, monkeypatch) -> None:  # fmt: skip
    said = {"at_ms": 0, "dialect": "branch", "app": "game", "device": None, "is_refused": False, **row}  # fmt: skip
    monkeypatch.setattr(Client, "call", lambda *_, **__: {"rows": [said]})
    assert run(["door", "log", "--data", data]) == 0
    assert f"game  {what}  " in capfd.readouterr().out
