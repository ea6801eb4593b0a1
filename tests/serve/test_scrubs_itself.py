"""A house that serves scrubs its journal by itself, beside all that comes in, and its roles let go of the old files."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from house import RunningHouse, is_alive, wait_for
from whole.test_main_job import Game

from attribune.model.errors import Conflict
from attribune.roles import folder as folder_
from attribune.roles import scrubs

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

DEVICE, GAID = "scrub-me-device-0001", "f0f0f0f0-1111-4222-8333-abcdefabc001"


def closed_segments_name(folder: Path, word: str) -> bool:
    """Whether a closed segment holds a word."""
    *closed, _ = sorted((folder / "journal").glob("0*/data.mdb"))
    assert closed
    return any(word.encode() in file.read_bytes() for file in closed)


def test_a_house_that_serves_scrubs_by_itself(tmp_path: Path) -> None:
    small = {"journal_segment_bytes_max": 1 << 20, "scrub_ms": 1500}
    with RunningHouse(tmp_path / "data", **small) as house:
        game = Game(house)
        game.batch(game.record("open", DEVICE, gaid=GAID))
        house.settle()
        house.cli("device", "forget", GAID)
        house.settle()
        waiting = house.cli("status")["forgetting"]
        assert (waiting["waiting"], waiting["waiting_since_ms"] is None) == (1, False)
        note = "x" * 4000
        for _ in range(4):
            game.batch(
                *(
                    game.record("event", "somebody-else", name="n", params={"note": note})
                    for _ in range(90)
                )
            )
        house.settle()
        assert len(list((house.folder / "journal").glob("0*"))) > 1
        wait_for(
            lambda: not closed_segments_name(house.folder, GAID), 40, "nobody scrubbed the journal"
        )
        wait_for(lambda: scrubs.note_of(house.folder).through > 0, 20)
        assert (
            game.batch(game.record("event", "somebody-else", name="n"))[0]["status"] == "accepted"
        )
        house.settle()
        status = house.cli("status")
        assert status["forgetting"]["waiting"] == 0
        assert status["forgetting"]["scrubbed_through"] > 0
        roles = status["status"]["roles"]
        assert not [role for role in roles if role["restarts"] or role["last_error"]]
    said = [json.loads(line) for line in house.stderr_file.read_text().splitlines()]
    scrubbed = [line for line in said if line.get("event") == "scrubbed"]
    assert sum(line["segments"] for line in scrubbed) > 0
    assert all(line["role"] == "scrubber" for line in scrubbed)


def _begins(works: ExitStack, folder: Path) -> bool:
    """Work on the journal, unless the house just does."""
    try:
        works.enter_context(folder_.pruning(folder))
    except Conflict:
        return False
    return True


def test_it_waits_while_somebody_else_works_on_the_journal_and_ends_with_the_house(
    tmp_path: Path,
) -> None:
    with RunningHouse(tmp_path / "data", scrub_ms=500) as house:
        with ExitStack() as works:
            wait_for(lambda: _begins(works, house.folder), 30)
            with pytest.raises(Conflict), folder_.pruning(house.folder):
                pass
            # It may have scrubbed before somebody else came.
            before_ms = scrubs.note_of(house.folder).at_ms
            wait_for(lambda: "not_scrubbed" in house.stderr_file.read_text(), 30)
            assert scrubs.note_of(house.folder).at_ms == before_ms
        wait_for(lambda: scrubs.note_of(house.folder).at_ms > before_ms, 30)
        children = json.loads((house.folder / "run" / "supervisor.json").read_bytes())["children"]
        assert "scrubber" in [child["role"] for child in children]
    assert not any(is_alive(child["pid"]) for child in children if child["pid"])
