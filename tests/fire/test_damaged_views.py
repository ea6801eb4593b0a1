"""A view that cannot be opened: people are sent on, records are kept, status says why, and a rebuild mends it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fire.senders import BROWSER, LOST, Addresses, addresses, ask, click_id, is_ready
from house import RunningHouse, wait_for

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

Damage = Callable[[Path], None]


def hurt_store(folder: Path) -> None:
    (folder / "store" / "CURRENT").write_text("garbage\n")


def hurt_registry(folder: Path) -> None:
    (folder / "registry.db").write_bytes(b"garbage" * 1000)


def hurt_answers(folder: Path) -> None:
    (folder / "answers" / "data.mdb").write_bytes(b"garbage" * 3000)


def hurt_facts(folder: Path) -> None:
    for table in (folder / "facts").rglob("*.sql"):
        table.write_text("garbage")


VIEWS = [
    (hurt_store, "stores", "attributor"),
    (hurt_answers, "stores", "attributor"),
    (hurt_registry, "registry", "web"),
    (hurt_facts, "facts", "web"),
]


@pytest.mark.parametrize(("hurt", "view", "role"), VIEWS)
def test_a_damaged_view_is_named_and_made_again(
    tmp_path, hurt: Damage, view: str, role: str
) -> None:
    house = RunningHouse(tmp_path / "data", restart_wait_ms=50, restart_wait_max_ms=200).start()
    at = addresses(house)
    first = clicked(at)
    house.settle()
    house.stop()
    hurt(house.folder)
    with hobbling(house, at):
        wait_for(lambda: failed(house, role), 30, "status did not say why the role cannot start")
        found = failed(house, role)
        assert f"attribune rebuild {view}" in found["last_error"]
        assert found["restarts"] > 0
        assert found["last_exit"] == "ended with code 8"
        if hurt in (hurt_store, hurt_facts):  # collectors need neither
            second = clicked(at)
            assert second
    rebuilt = house.cli("rebuild", view)["rebuild"]
    assert rebuilt["position"] > 0
    with house.start() as again:
        wait_for(lambda: is_ready(again))
        third = clicked(Addresses(urlsplit(again.collector_url).netloc, *at[1:]))
        again.settle()
        clicks = again.cli("report", "--metrics", "clicks")["totals"]["clicks"]
        assert clicks == (3 if hurt in (hurt_store, hurt_facts) else 2)
        assert first != third
        assert again.cli("audit")["ok"]


def test_stores_are_made_again_while_the_house_serves(tmp_path) -> None:
    house = RunningHouse(tmp_path / "data", restart_wait_ms=50, restart_wait_max_ms=200).start()
    at = addresses(house)
    clicked(at)
    house.settle()
    house.stop()
    hurt_store(house.folder)
    with hobbling(house, at):
        wait_for(lambda: failed(house, "attributor"), 30)
        assert command(house, "rebuild", "stores")["rebuild"]["views"] == ["stores"]
        wait_for(lambda: not failed(house, "attributor"), 20)
        assert command(house, "status")["status"]["is_ready"]


def test_a_folder_of_no_known_format_is_refused_with_a_sentence(tmp_path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for text, words in (("0", "from 1 on"), ("99", "install a later version")):
        (folder / "VERSION").write_text(f"{text}\n")
        done = run("serve", "--data", str(folder), "--port", "0", "--web-port", "0")
        assert done.returncode in (4, 7)
        assert words in done.stderr
        assert {path.name for path in folder.iterdir()} <= {"VERSION", "run"}


@contextmanager
def hobbling(house: RunningHouse, at: Addresses) -> Iterator[None]:
    """A house that serves on its old port and never becomes ready."""
    environment = {**os.environ, **house._environment}
    port = at.host.rpartition(":")[2]
    words = ["serve", "--port", port, "--web-port", "0", "--data", str(house.folder), "--json"]
    with house.stderr_file.open("a") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "attribune", *words],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=environment,
        )
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(15) == 0


def failed(house: RunningHouse, role: str) -> dict | None:
    """What status says of a role that could not start; None while it says nothing of the kind."""
    try:
        roles = command(house, "status")["status"]["roles"]
    except AssertionError:
        return None
    found = next(row for row in roles if row["role"] == role)
    return found if found["last_error"] and found["restarts"] else None


def command(house: RunningHouse, *words: str) -> dict:
    done = run(*words, "--data", str(house.folder), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "attribune", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def clicked(at: Addresses) -> str:
    """A click that is kept, as soon as somebody answers; its id."""
    kept: list[str] = []

    def is_kept() -> bool:
        try:
            answer = ask(at.host, "GET", at.click_path, None, BROWSER)
        except LOST:
            return False
        assert answer.status == 302, answer
        kept.append(click_id(answer.headers["location"]) or "")
        return True

    wait_for(is_kept, 20, "nobody answered a click")
    return kept[0]
