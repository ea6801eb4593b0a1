"""A person is told, decided and told of, and then forgotten: afterwards nothing in the data folder names them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from house import RunningHouse, http, wait_for
from postback.posthouse import Receiver
from whole.test_main_job import ANDROID, METRICS, Game

pytestmark = pytest.mark.server

SEGMENT_BYTES = 1 << 20
DEVICE, GAID = "forget-me-device-0001", "f0f0f0f0-1111-4222-8333-abcdefabcdef"
USER, CLICK, ADDRESS = "forget-me-user-0001", "forget-me-click-0001", "81.2.69.142"
NOTE, REFUSED = "forget-me-note-0001", "forget-me-parameter-1"
WORDS = (DEVICE, GAID, USER, CLICK, ADDRESS, NOTE, REFUSED)
#: The report that must not change.
BY = ("--metrics", METRICS, "--by", "partner,campaign,event,country")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningHouse]:
    with RunningHouse(tmp_path / "data", journal_segment_bytes_max=SEGMENT_BYTES) as house:
        yield house


def tell(game: Game, link: str) -> None:
    """One person of whom everything is said that can be, and another."""
    query = {"gaid": GAID, "click_id": CLICK, "sub9": NOTE}
    referrer = game.click(link, **query)
    server = game.server_key
    words: dict[str, Any] = {"user_id": USER, "ip": ADDRESS, "user_agent": f"{ANDROID} {NOTE}"}
    opened = game.record("open", DEVICE, gaid=GAID, **words)
    opened["referrers"] = [{"source": "play", "value": referrer}]
    bought = game.record("event", DEVICE, name="buy", params={"note": NOTE}, **words)
    bought |= {"revenue": {"amount": "5.00", "currency": "EUR"}, "transaction_id": "tx-1"}
    game.batch(opened, bought, key=server)
    game.batch(game.record("open", "somebody-else", gaid="a" * 32))
    refused = game.record("event", DEVICE, name="", params={"note": REFUSED})
    http("POST", f"{game.house.collector_url}/v1/event", refused, key=game.key)


def newest_segment_is_sealed(game: Game) -> None:
    """Somebody else says much: what was written before stands in closed segments."""
    stuffing = {"note": "x" * 4000}
    for _ in range(4):
        game.batch(
            *(game.record("event", "somebody-else", name="n", params=stuffing) for _ in range(90))
        )
    game.house.settle()


def named_in(folder: Path, *words: str) -> dict[str, set[str]]:
    """Files of a folder that hold some words in clear."""
    found: dict[str, set[str]] = {}
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            content = file.read_bytes()
            held = {word for word in words if word.encode() in content}
            if held:
                found[str(file.relative_to(folder))] = held
    return found


#: As ClickHouse does by itself in eight minutes. A process opens one folder of facts in its life.
OLD_PARTS_GO = """
import sys, time
from attribune.engines.clickhouse_facts import ClickhouseFacts
facts = ClickhouseFacts(sys.argv[1], memory_bytes_max=1 << 28, threads=1)
facts._writer.command(
    "ALTER TABLE facts MODIFY SETTING old_parts_lifetime = 0, cleanup_delay_period = 1, "
    "cleanup_delay_period_random_add = 0"
)
old = "SELECT count() FROM system.parts WHERE table = 'facts' AND NOT active"
while facts._select(old, {})[0][0]:
    time.sleep(0.1)
facts.close()
"""


def old_parts_are_gone(folder: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", OLD_PARTS_GO, str(folder / "facts")], check=True, timeout=60
    )


def test_nothing_names_who_was_forgotten(  # noqa: PLR0915 - it is one story
    running: RunningHouse, receiver: Receiver
) -> None:
    game = Game(running)
    link = game.link("acme", "spring")
    running.cli(
        *("postback", "add", "--partner", "acme", "--template", "generic-get"),
        *("--trigger", "install", "--trigger", "event", "--allow-host", "127.0.0.1"),
        *(
            "--set",
            f"url={receiver.url}?c={{partner_click_id}}&g={{device_id}}&a={{gaid}}&id={{delivery_id}}",
        ),
    )
    tell(game, link)
    running.settle()
    wait_for(lambda: len(receiver.heard) == 2, 15, "the partner was not told")
    assert {one.query["g"] for one in receiver.heard} == {DEVICE}
    before = running.cli("report", *BY)["rows"]
    sent = running.cli("postback", "log")["rows"]
    assert len(sent) == 2
    assert running.cli("explain", GAID)["stories"]

    assert running.cli("device", "forget", GAID) == {
        "forgotten": {"id": GAID, "products": [game.product]}
    }
    running.settle()
    answer = game.batch(game.record("event", DEVICE, name="buy", params={"note": NOTE}))
    assert answer[0]["status"] == "accepted"
    running.settle()
    for word in (DEVICE, GAID, USER, CLICK):
        explained = running.cli("explain", word)
        assert explained["stories"] == []
        assert [one["product"] for one in explained["forgotten"]] == (
            [game.product] if word != CLICK else []
        )
    asked = http(
        "GET", f"{running.collector_url}/v1/attribution?device_id={DEVICE}", key=game.key
    ).json()
    assert (asked["forgotten"], asked["measurement"]) == (True, False)

    def standing() -> Any:
        return [row for row in running.cli("report", *BY)["rows"] if row["partner"] == "acme"]

    assert standing() == [row for row in before if row["partner"] == "acme"]
    wanted = running.cli("journal", "scrub", "--dry-run")["scrub"]
    newest_segment_is_sealed(game)
    assert wanted["is_dry_run"]
    done = running.cli("journal", "scrub")["scrub"]
    assert (done["requests"] + wanted["requests"] >= 1, done["waiting"]) == (True, 0)
    assert done["segments"]
    again = running.cli("journal", "scrub")["scrub"]
    assert (again["segments"], again["requests"]) == ([], 0)
    running.stop()
    running.start()  # who had an old segment open reads on in it until then
    running.settle()
    replayed = running.cli("replay")
    assert (replayed["changed"], replayed["as_recorded"] > 0) == (0, True)
    audit = running.cli("audit")
    assert audit["ok"], [check for check in audit["checks"] if not check["ok"]]
    assert standing() == [row for row in before if row["partner"] == "acme"]
    rebuilt = running.cli("rebuild", "stores")["rebuild"]
    assert rebuilt["as_recorded"] == replayed["as_recorded"]
    running.settle()
    audit = running.cli("audit")
    assert audit["ok"], [check for check in audit["checks"] if not check["ok"]]
    running.stop()
    assert running.cli("journal", "scrub")["scrub"]["segments"] == []
    assert running.cli("rebuild", "stores")["rebuild"] == rebuilt
    assert running.cli("rebuild", "registry")["rebuild"]["as_recorded"] is None
    old_parts_are_gone(running.folder)
    left = named_in(running.folder, *WORDS)
    assert not left, "\n".join(f"{name}: {sorted(words)}" for name, words in left.items())
