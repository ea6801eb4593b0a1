"""A journal whose oldest segments go: what is kept reads as before, what is not is told, whoever reads or dies meanwhile."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prune.prune_process import STEPS

from attribune.engines import lmdb_carried, lmdb_copy
from attribune.engines.lmdb_journal import LmdbJournal
from attribune.engines.memory import MemoryClock, MemoryJournal
from attribune.model.errors import JournalDamaged, JournalPruned
from attribune.model.ids import START, Position
from attribune.model.position import Entry, Topic

ALL = tuple(Topic)
TINY = 96 << 10
PROCESS = Path(__file__).with_name("prune_process.py")
JOURNAL_PROCESS = Path(__file__).parent.parent / "engines" / "journal_process.py"
KILLED = -9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def journal(folder: Path) -> Iterator[LmdbJournal]:
    opened = open_(folder)
    yield opened
    opened.close()


def open_(folder: Path) -> LmdbJournal:
    return LmdbJournal(folder, segment_bytes_max=TINY, segment_ms=1 << 40, clock=MemoryClock())


def filled(journal: LmdbJournal, seed: int, segments: int = 6) -> list[Entry]:
    """Entries of every topic, over several segments; all of them as they stand."""
    chance = random.Random(seed)
    while len(journal.segments()) < segments:
        topics = [chance.choice(ALL) for _ in range(chance.randint(1, 9))]
        journal.append([(topic, chance.randbytes(chance.randint(0, 3000))) for topic in topics])
    return journal.read(ALL, START, 1_000_000)


def prune(folder: Path, count: int, step: str = "") -> int:
    """Prune in a process of its own, as it is done; its exit code."""
    words = [sys.executable, str(PROCESS), str(folder), str(count), *filter(None, [step])]
    return subprocess.run(words, check=False, timeout=60).returncode


def assert_reads_as(journal: LmdbJournal, before: list[Entry], start: int, seed: int) -> None:
    """What is kept reads identical to before, from any place and by any limit; the rest is told."""
    chance = random.Random(seed)
    kept = [e for e in before if e.position > start or e.topic is Topic.CONTROL]
    control = [e for e in before if e.topic is Topic.CONTROL]
    assert journal.start() == start
    assert journal.end() == before[-1].position
    assert journal.read([Topic.CONTROL], START, 1_000_000) == control
    assert journal.read(ALL, Position(start), 1_000_000) == [e for e in kept if e.position > start]
    for _ in range(60):
        after, limit = Position(chance.randint(0, journal.end())), chance.randint(0, 40)
        wanted = chance.sample(ALL, chance.randint(1, len(ALL)))
        expected = [e for e in kept if e.topic in wanted and e.position > after][:limit]
        if after < start and wanted != [Topic.CONTROL]:
            with pytest.raises(JournalPruned, match=f"up to entry {start} "):
                journal.read(wanted, after, limit)
        else:
            assert journal.read(wanted, after, limit) == expected
        assert (
            journal.read([Topic.CONTROL], after, limit)
            == ([e for e in control if e.position > after][:limit])
        )
        place = Position(chance.randint(0, journal.end() + 1))
        for topic in ALL:
            there = [e for e in kept if (e.topic, e.position) == (topic, place)]
            assert journal.get(topic, place) == (there[0] if there else None)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_kept_reads_identical_to_before(journal, folder, seed):
    before = filled(journal, seed)
    ends = [segment.last for segment in journal.segments()]
    first, second = sorted(random.Random(seed).sample(range(1, len(ends)), 2))
    assert prune(folder, first) == 0
    assert_reads_as(journal, before, ends[first - 1], seed)  # by one that had it open
    assert prune(folder, second - first) == 0  # what was carried once is added to
    assert_reads_as(journal, before, ends[second - 1], seed)
    journal.close()
    again = open_(folder)
    assert_reads_as(again, before, ends[second - 1], seed)
    place = again.append([(Topic.CONTROL, b"more")])[0]
    assert place == before[-1].position + 1
    assert again.read([Topic.CONTROL], START, 1_000_000)[-1].position == place
    again.close()


def test_the_twin_in_memory_answers_the_same(journal, folder):
    before = filled(journal, 7)
    twin = MemoryJournal()
    twin.append([(entry.topic, entry.payload) for entry in before])
    start = journal.segments()[2].last
    assert prune(folder, 3) == 0
    twin.prune(start)
    assert twin.start() == journal.start() == start
    for after in (START, Position(start - 1), start, Position(start + 1)):
        assert twin.read([Topic.CONTROL], after, 9) == journal.read([Topic.CONTROL], after, 9)
        if after >= start:
            assert twin.read(ALL, after, 50) == journal.read(ALL, after, 50)
            continue
        for one in (twin, journal):
            with pytest.raises(JournalPruned):
                one.read(ALL, after, 1)
    for entry in before:
        assert twin.get(entry.topic, entry.position) == journal.get(entry.topic, entry.position)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("at", [1, 3])
def test_a_prune_that_is_killed_at_any_step_is_gone_on_with(journal, folder, step, at):
    before = filled(journal, 11)
    ends = [segment.last for segment in journal.segments()]
    if at > 1:
        assert prune(folder, at - 1) == 0
    assert prune(folder, 2, step) == KILLED
    start = journal.start()
    assert start in (0, *ends)
    assert_reads_as(journal, before, start, 1)
    journal.close()
    again = open_(folder)
    assert_reads_as(again, before, start, 2)
    again.close()
    assert prune(folder, 1) == 0
    again = open_(folder)
    assert again.start() > start
    assert_reads_as(again, before, again.start(), 3)
    again.close()
    assert not list(folder.glob("*.pruned")), "what the killed one left is cleared away"


def test_who_reads_in_a_segment_that_goes_reads_on_and_skips_nothing(journal, folder):
    """One that has the segment open goes on in it; one that comes to a gone one is told, and not given what follows."""
    before = filled(journal, 5)
    ends = [segment.last for segment in journal.segments()]
    journal.close()
    opened = open_(folder)
    read = opened.read(ALL, START, 3)  # the first segment is open here, the second was never
    assert prune(folder, 2) == 0
    read += opened.read(ALL, read[-1].position, ends[0] - 3)
    assert read == before[: ends[0]]
    with pytest.raises(JournalPruned):
        opened.read(ALL, read[-1].position, 10)
    assert opened.read([Topic.CONTROL], START, 1_000_000) == (
        [e for e in before if e.topic is Topic.CONTROL]
    )
    opened.close()


def test_what_was_pruned_is_let_go_of_by_who_had_it_open(journal, folder):
    """A file that is removed and still open takes its room until it is closed."""
    filled(journal, 5)
    prune(folder, 2)
    assert open_of(folder), "the first segments were open here"
    journal.start()
    assert not open_of(folder)


def open_of(folder: Path) -> list[str]:
    maps = Path("/proc/self/maps").read_text().splitlines()
    return [line for line in maps if str(folder) in line and "(deleted)" in line]


def test_under_load_no_tail_skips_and_nobody_notices(folder):
    """One process appends, one tails, one reads control from the beginning, and segments go all the while."""
    run = [sys.executable, str(JOURNAL_PROCESS)]
    appender = subprocess.Popen(
        [*run, "append", str(folder), str(TINY), "w", "1500"], stdout=subprocess.PIPE, text=True
    )
    while len(lmdb_copy.names(folder) if folder.exists() else ()) < 3:
        assert appender.poll() is None
    journal = open_(folder)
    pruned, control = 0, 0
    try:
        place = Position(journal.start())
        while appender.poll() is None or place < journal.end():
            for entry in journal.read(ALL, place, 500):
                assert entry.position == place + 1
                place = entry.position
            found = [e.position for e in journal.read([Topic.CONTROL], START, 1_000_000)]
            assert found == sorted(set(found))
            assert len(found) >= control, "what was changed is never missing, at no moment"
            control = len(found)
            # Only what the tail has passed, as the command sees to it.
            passed = [one.name for one in journal.segments() if one.is_sealed and one.last <= place]
            if len(passed) > 1:
                assert prune(folder, len(passed) - 1) == 0
                pruned += len(passed) - 1
    finally:
        appender.communicate(timeout=60)
        journal.close()
    assert appender.returncode == 0
    assert pruned > 10
    assert len(lmdb_copy.names(folder)) < 12


def test_a_segment_is_not_pruned_after_one_that_was_not_carried(journal, folder):
    filled(journal, 3)
    name = journal.segments()[1].name
    journal.close()
    with pytest.raises(JournalDamaged, match="was carried on"):
        lmdb_carried.carry(folder, name)
    assert name in lmdb_copy.names(folder)


def test_a_damaged_entry_of_control_is_not_carried(journal, folder):
    before = filled(journal, 3)
    control = next(e for e in before if e.topic is Topic.CONTROL and len(e.payload) > 200)
    journal.close()
    file = folder / "0000000001/data.mdb"
    raw = file.read_bytes()
    flipped = bytes([control.payload[0] ^ 1]) + control.payload[1:]
    file.write_bytes(raw.replace(control.payload, flipped))  # also where an older page holds it
    with pytest.raises(JournalDamaged, match=f"entry {control.position} of control"):
        lmdb_carried.carry(folder, "0000000001")
    assert lmdb_copy.names(folder)[0] == "0000000001"
