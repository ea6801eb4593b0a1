"""Scrubbing closed segments: what is clean is not read again, and whoever is killed or stopped on the way leaves whole segments."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from backup import scrub_house as house
from backup.scrub_house import ALL, FIRST, SECOND, STEPS, THIRD, scrub, standing

from attribune.backup.scrub import Scrubbed
from attribune.engines import lmdb_copy, lmdb_scrubbed
from attribune.engines.lmdb_copy import SegmentStand
from attribune.model import outcome as o
from attribune.model.codec import decode
from attribune.model.errors import Conflict, JournalFull, JournalUnavailable
from attribune.model.ids import START
from attribune.model.position import Entry, Topic
from attribune.roles import folder as folder_
from attribune.roles import scrubs

KILLED = -9
#: A scrub is killed at so many moments of the time that a whole one takes.
MOMENTS = 14


@pytest.fixture(scope="module")
def told() -> list[Entry]:
    return house.entries()


@pytest.fixture(scope="module")
def unscrubbed(tmp_path_factory: pytest.TempPathFactory, told: list[Entry]) -> Path:
    folder = tmp_path_factory.mktemp("scrub") / "data"
    (folder / "run").mkdir(parents=True)
    house.fill(folder, told)
    return folder


@pytest.fixture
def folder(unscrubbed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(unscrubbed, tmp_path / "data"))


def text_of(folder: Path) -> bytes:
    return b"".join(entry.payload for entry in standing(folder))


def by_segment(folder: Path) -> dict[str, tuple[SegmentStand | None, list[Entry]]]:
    """Where each segment stands, and all that it holds."""
    journal = folder / "journal"
    return {
        name: (
            lmdb_copy.stand(journal / name, is_shared=True),
            list(lmdb_scrubbed.entries(journal, name)),
        )
        for name in lmdb_copy.names(journal)
    }


# --- what is scrubbed, and what is not looked at again


def test_nothing_names_who_was_forgotten_and_all_stands_in_its_place(folder: Path) -> None:
    before = standing(folder)
    stood = {name: stand for name, (stand, _) in by_segment(folder).items()}
    done = scrub(folder)
    after = standing(folder)
    assert {name: stand for name, (stand, _) in by_segment(folder).items()} == stood
    text = text_of(folder)
    assert (FIRST.encode() in text, SECOND.encode() in text) == (False, False)
    assert THIRD.encode() in text
    assert (done.requests, done.waiting) == (2, 0)
    assert [(one.position, one.topic) for one in before] == [
        (one.position, one.topic) for one in after
    ]
    changed = sum(old.payload != new.payload for old, new in zip(before, after, strict=True))
    assert changed == sum(one.entries for one in done.segments) > 0
    assert [decided(one) for one in before] == [decided(one) for one in after]


def decided(entry: Entry) -> object:
    """What of an outcome is nobody's identifier."""
    if entry.topic is not Topic.OUTCOMES:
        return None
    found = decode(entry)
    assert isinstance(found, o.Outcome)
    credit = getattr(found, "credit", None)
    return (
        type(found),
        found.about,
        found.position,
        getattr(found, "conversion", None),
        getattr(found, "revenue", None),
        credit and (credit.touch, credit.partner, credit.campaign),
    )


def test_a_segment_that_is_clean_is_not_looked_through_again(folder: Path) -> None:
    closed = len(lmdb_copy.names(folder / "journal")) - 1
    assert scrub(folder).looked == closed
    again = scrub(folder)
    assert (again.looked, again.segments, again.requests) == (0, (), 0)
    journal = house.opened(folder)  # as a house does that serves it
    journal.read(ALL, START, 1_000_000)
    journal.close()
    assert scrub(folder).looked == 0


def test_a_segment_whose_file_is_another_is_looked_through_again(
    folder: Path, unscrubbed: Path
) -> None:
    scrub(folder)
    place = Path("journal") / "0000000003" / "data.mdb"
    shutil.copyfile(unscrubbed / place, folder / place)  # as a person restores it
    assert FIRST.encode() in text_of(folder)
    again = scrub(folder)
    assert [one.name for one in again.segments] == ["0000000003"]
    assert again.looked == 1
    assert FIRST.encode() not in text_of(folder)


def test_a_new_request_has_all_of_it_looked_through(folder: Path, told: list[Entry]) -> None:
    closed = len(lmdb_copy.names(folder / "journal")) - 1
    requests = [one.position for one in told if scrubs.request_of(one)]
    first = scrub(folder, read_to=requests[1] - 1)
    assert (first.requests, first.waiting) == (1, 1)
    assert FIRST.encode() not in text_of(folder)
    assert SECOND.encode() in text_of(folder)
    second = scrub(folder)
    assert second.looked == closed
    assert SECOND.encode() not in text_of(folder)


def test_requests_that_not_everybody_has_read_wait_and_are_said_to(folder: Path) -> None:
    done = scrub(folder, read_to=10)
    assert (done.requests, done.waiting, done.segments) == (0, 2, ())
    assert done.waiting_since_ms is not None
    note = scrubs.note_of(folder)
    assert note.requests[0].at_ms == done.waiting_since_ms
    assert scrub(folder).requests == 2


def test_a_lost_note_costs_a_look_at_everything_and_nothing_else(folder: Path) -> None:
    scrub(folder)
    before = standing(folder)
    (folder / folder_.SCRUB_FILE).write_bytes(b"{half a no")
    again = scrub(folder)
    assert (again.segments, again.requests) == ((), 2)
    assert again.looked > 0
    assert standing(folder) == before


def test_a_dry_run_says_the_same_and_changes_nothing(folder: Path) -> None:
    before = by_segment(folder)
    wanted = scrub(folder, is_dry_run=True)
    assert by_segment(folder) == before
    assert not (folder / folder_.SCRUB_FILE).exists()
    assert scrub(folder).segments == wanted.segments


# --- what stands in its way


def test_one_at_a_time(folder: Path) -> None:
    with folder_.pruning(folder), pytest.raises(Conflict, match="another prune or scrub"):
        scrub(folder)
    before = standing(folder)
    with folder_.journal_kept(folder), pytest.raises(Conflict, match="try again when it is over"):
        scrub(folder)
    assert standing(folder) == before
    assert scrub(folder).segments


def test_who_only_looks_does_not_mind_readers(folder: Path) -> None:
    scrub(folder)
    with folder_.journal_kept(folder):
        assert scrub(folder).segments == ()


def test_a_disk_without_room_for_a_segment_twice_is_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (folder / "journal" / "0000000001" / "data.mdb").stat().st_size
    real = os.statvfs(folder)
    small = os.statvfs_result((real.f_bsize, 1, size, size, 2 * size - 1, *real[5:]))
    before = by_segment(folder)
    with monkeypatch.context() as patch:
        patch.setattr(lmdb_scrubbed.os, "statvfs", lambda _: small)
        with pytest.raises(JournalFull, match=r"0000000001 has .* free some space"):
            scrub(folder)
    assert by_segment(folder) == before
    assert scrub(folder).requests == 2


def test_a_disk_that_is_full_on_the_way_leaves_what_was_and_the_next_scrub_does_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = by_segment(folder)
    calls: list[int] = []

    def full(place: Path) -> None:
        calls.append(1)
        if len(calls) == 5:
            raise OSError(28, "No space left on device")
        real(place)

    real = lmdb_scrubbed.sync
    with monkeypatch.context() as patch:
        patch.setattr(lmdb_scrubbed, "sync", full)
        with pytest.raises(JournalUnavailable, match="No space left"):
            scrub(folder)
    assert not list((folder / "journal").glob("*.scrubbing"))
    after = by_segment(folder)
    assert [name for name in before if before[name] != after[name]] == ["0000000001"]
    assert scrub(folder).looked < len(before) - 1
    assert FIRST.encode() not in text_of(folder)


# --- who has it open


def test_who_has_an_old_segment_open_lets_go_of_its_file(folder: Path, nursery: Nursery) -> None:
    journal = house.opened(folder)
    try:
        first = journal.read(ALL, START, 5)
        assert any(SECOND.encode() in one.payload for one in first)
        assert nursery.scrub(folder) == 0
        assert journal.read(ALL, START, 5) == first, "it reads on in the old file until it looks"
        assert held_open(folder)
        journal._look_due_s = 0.0
        left = journal.read(ALL, START, 5)
        assert [one.position for one in left] == [one.position for one in first]
        assert not any(SECOND.encode() in one.payload for one in left)
        assert not held_open(folder)
        place = journal.append([(Topic.CONTROL, house.tick())])
        assert journal.end() == place[0]
    finally:
        journal.close()


def held_open(folder: Path) -> list[str]:
    """Files of the journal that are deleted, or have been exchanged, and are open in this process."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    return [line for line in maps if str(folder / "journal") in line and line.endswith("(deleted)")]


# --- who is killed


class Nursery:
    """Scrubs in forks of a process of their own, and lets them be killed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, house.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        )

    def scrub(self, folder: Path, when: str = "") -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{folder}\t{when}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate(timeout=10)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    one = Nursery()
    yield one
    one.close()


@pytest.fixture(scope="module")
def scrubbed(unscrubbed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, scrubbed by who is not killed."""
    folder = Path(shutil.copytree(unscrubbed, tmp_path_factory.mktemp("whole") / "data"))
    scrub(folder)
    return folder


def assert_old_or_new(folder: Path, old: Path, new: Path) -> int:
    """Each segment is as it was or as it is to be, and the journal as long; how many are as they are to be."""
    found, before, after = by_segment(folder), by_segment(old), by_segment(new)
    assert list(found) == list(before)
    for name, segment in found.items():
        assert segment in (before[name], after[name]), name
    journal = house.opened(folder)
    try:
        places = [entry.position for entry in journal.read(ALL, START, 1_000_000)]
    finally:
        journal.close()
    assert places == list(range(1, len(places) + 1))
    return sum(segment == after[name] != before[name] for name, segment in found.items())


def finish(folder: Path, old: Path, new: Path) -> Scrubbed:
    done = scrub(folder)
    assert by_segment(folder) == by_segment(new)
    assert not list((folder / "journal").glob("*.scrubbing"))
    assert scrub(folder).looked == 0
    return done


@pytest.mark.parametrize("step", STEPS)
def test_a_scrub_that_is_killed_at_a_step_leaves_whole_segments(
    folder: Path, unscrubbed: Path, scrubbed: Path, nursery: Nursery, step: str
) -> None:
    assert nursery.scrub(folder, step) == KILLED
    assert assert_old_or_new(folder, unscrubbed, scrubbed) < len(by_segment(scrubbed))
    finish(folder, unscrubbed, scrubbed)


def test_a_scrub_that_is_killed_at_any_moment_leaves_whole_segments(
    unscrubbed: Path, scrubbed: Path, tmp_path: Path, nursery: Nursery
) -> None:
    """One folder is killed again and again, and goes on each time; when it is done, the next is begun."""
    begun = time.monotonic()
    assert nursery.scrub(Path(shutil.copytree(unscrubbed, tmp_path / "whole"))) == 0
    takes_ms = (time.monotonic() - begun) * 1000
    kills, mixed, news = 0, 0, 0
    folder = Path(shutil.copytree(unscrubbed, tmp_path / "0"))
    for moment in range(1, MOMENTS):
        if nursery.scrub(folder, str(takes_ms * moment / MOMENTS)) == KILLED:
            kills += 1
            before, news = news, assert_old_or_new(folder, unscrubbed, scrubbed)
            mixed += 0 < news < len(changed_segments(unscrubbed, scrubbed))
            assert news >= before, "what was done stays done"
        else:
            assert by_segment(folder) == by_segment(scrubbed)
            folder, news = Path(shutil.copytree(unscrubbed, tmp_path / str(moment))), 0
    assert kills >= MOMENTS // 4, "most were over before they were killed"
    assert mixed > 0, "none was killed between two segments"
    assert nursery.scrub(folder) == 0
    finish(folder, unscrubbed, scrubbed)


def changed_segments(old: Path, new: Path) -> list[str]:
    before, after = by_segment(old), by_segment(new)
    return [name for name, segment in after.items() if segment != before[name]]
