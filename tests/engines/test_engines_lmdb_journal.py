"""What only the journal on disk can show: several processes, rotation, crashes, damage, a full disk."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import lmdb
import pytest

from attribune.engines import lmdb_segment
from attribune.engines.lmdb_journal import OPEN_MAX, LmdbJournal
from attribune.engines.lmdb_segment import Segment, State
from attribune.engines.memory import MemoryClock
from attribune.model.errors import (
    FolderTooNew,
    JournalDamaged,
    JournalFull,
    JournalPruned,
    JournalUnavailable,
)
from attribune.model.ids import START, Position
from attribune.model.position import Topic

ALL = tuple(Topic)
DAY_MS = 86_400_000
TINY = 96 << 10
PROCESS = Path(__file__).with_name("journal_process.py")

OpenJournal = Callable[..., LmdbJournal]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def open_(folder: Path, clock: MemoryClock) -> Iterator[OpenJournal]:
    opened: list[LmdbJournal] = []

    def open_journal(segment_bytes_max: int = TINY, segment_ms: int = DAY_MS) -> LmdbJournal:
        opened.append(
            LmdbJournal(
                folder, segment_bytes_max=segment_bytes_max, segment_ms=segment_ms, clock=clock
            )
        )
        return opened[-1]

    yield open_journal
    for journal in opened:
        journal.close()


def start(verb: str, folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    words = [sys.executable, str(PROCESS), verb, str(folder), str(TINY), name, str(count)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def payloads(journal: LmdbJournal) -> list[str]:
    entries = journal.read(ALL, START, 1_000_000)
    assert [e.position for e in entries] == [*range(1, journal.end() + 1)]
    return [e.payload.decode().rstrip(".") for e in entries]


def assert_whole_batches(seen: list[str]) -> dict[str, list[int]]:
    """Every batch stands whole and together; gives the batch numbers by process, in order."""
    numbers: dict[str, list[int]] = {}
    for (name, number), batch in groupby(seen, key=lambda text: tuple(text.split()[:2])):
        parts = [text.split()[2] for text in batch]
        assert parts == [f"{i}/{len(parts)}" for i in range(len(parts))], f"{name} {number}"
        numbers.setdefault(name, []).append(int(number))
    return numbers


def entries_of(name: str, batches: int) -> int:
    """How many entries a process of this name appends: its chance comes from its name."""
    chance, total = random.Random(name), 0
    for _ in range(batches):
        size = chance.randint(1, 20)
        total += size
        for _ in range(size):
            chance.choice(ALL), chance.randint(0, 900)
    return total


def test_processes_append_while_another_tails(folder, open_):
    batches = 120
    total = entries_of("one", batches) + entries_of("two", batches)
    tail = start("tail", folder, "tail", total)
    writers = [start("append", folder, name, batches) for name in ("one", "two")]
    for process in writers:
        process.communicate(timeout=60)
        assert process.returncode == 0
    said, _ = tail.communicate(timeout=60)
    assert tail.returncode == 0
    journal = open_()
    assert journal.end() == total
    assert len(journal.segments()) > 3
    assert json.loads(said) == payloads(journal)
    expected = [*range(batches)]
    assert assert_whole_batches(payloads(journal)) == {"one": expected, "two": expected}


def test_what_a_killed_writer_was_told_is_there(folder, open_):
    acknowledged: dict[str, tuple[int, int]] = {}
    bystander = start("append", folder, "bystander", 150)
    for name in ("first", "second", "third"):
        victim = start("append", folder, name, 0)
        for line in victim.stdout:
            number, place = map(int, line.split())
            if number >= 25:
                break
        victim.kill()
        for line in victim.communicate(timeout=30)[0].splitlines(keepends=True):
            if line.endswith("\n"):
                number, place = map(int, line.split())
        acknowledged[name] = (number, place)
    bystander.communicate(timeout=60)
    assert bystander.returncode == 0, "a killed process must not keep the lock"
    journal = open_()
    seen = payloads(journal)
    numbers = assert_whole_batches(seen)
    for name, (number, place) in acknowledged.items():
        # At most the one batch that it did not live to hear of stands beyond.
        assert numbers[name] == [*range(len(numbers[name]))]
        assert number + 1 <= len(numbers[name]) <= number + 2
        assert seen[place - 1].startswith(f"{name} {number} ")
    assert numbers["bystander"] == [*range(150)]


def test_a_full_segment_is_sealed_and_the_next_goes_on(open_):
    journal = open_()
    for n in range(40):
        journal.append([(Topic.TOUCHES, b"%02d" % n + b"x" * 4000)] * 5)
    rows = journal.segments()
    assert len(rows) > 5
    assert [row.is_sealed for row in rows] == [True] * (len(rows) - 1) + [False]
    assert rows[0].first == 1
    assert all(row.bytes <= TINY + 16 * 4096 for row in rows)
    assert [b.first for b in rows[1:]] == [a.last + 1 for a in rows[:-1]]
    assert len(payloads(journal)) == 200


def test_an_old_segment_is_sealed(open_, clock):
    journal = open_(1 << 30, 60_000)
    clock.advance(600_000)
    journal.append([(Topic.TOUCHES, b"an empty segment does not age")])
    clock.advance(59_999)
    journal.append([(Topic.TOUCHES, b"young")])
    assert len(journal.segments()) == 1
    clock.advance(1)
    journal.append([(Topic.TOUCHES, b"old")])
    assert [row.last for row in journal.segments()] == [2, 3]


def test_many_segments_are_read_with_few_open(open_):
    journal = open_()
    for n in range(60):
        journal.append([(Topic.TOUCHES, b"%d" % n + b"." * 9000)] * 4)
    assert len(journal.segments()) > OPEN_MAX + 4
    for _ in range(2):
        assert [int(p) for p in payloads(journal)] == [n for n in range(60) for _ in range(4)]
        assert journal.get(Topic.TOUCHES, Position(2)).payload.startswith(b"0.")
        assert journal.get(Topic.TOUCHES, Position(239)).payload.startswith(b"59.")
        assert journal.get(Topic.TOUCHES, Position(241)) is None
        assert len(journal._open) <= OPEN_MAX


def test_a_quiet_topic_is_found_behind_many_segments(open_):
    journal = open_()
    journal.append([(Topic.CONTROL, b"first")])
    for _ in range(30):
        journal.append([(Topic.TOUCHES, b"." * 9000)] * 4)
    (last,) = journal.append([(Topic.CONTROL, b"last")])
    for _ in range(2):
        assert [e.position for e in journal.read([Topic.CONTROL], START, 9)] == [1, last]
        assert [e.position for e in journal.read([Topic.CONTROL], Position(1), 9)] == [last]
        assert journal.read([Topic.CONTROL], last, 9) == []


def test_a_segment_that_somebody_removed_is_told_and_the_rest_stays(open_, folder):
    journal = open_()
    for n in range(20):
        journal.append([(Topic.TOUCHES, b"%d" % n + b"." * 9000)] * 4)
    first, second = journal.segments()[:2]
    journal.close()
    shutil.rmtree(folder / first.name)
    journal = open_()
    assert journal.start() == first.last
    assert journal.read(ALL, first.last, 1)[0].position == second.first
    with pytest.raises(JournalPruned, match="entry 8 "):
        journal.read(ALL, START, 1)
    with pytest.raises(JournalDamaged, match="was not carried on"):
        journal.read([Topic.CONTROL], START, 1)
    assert journal.get(Topic.TOUCHES, Position(1)) is None
    assert journal.end() == 80
    assert [*journal.append([(Topic.TOUCHES, b"on")])] == [81]


def test_a_batch_that_does_not_fit_the_rest_goes_to_the_next_segment(open_, monkeypatch):
    monkeypatch.setattr(lmdb_segment, "SLACK_BYTES", 512 << 10)
    journal = open_()
    journal.append([(Topic.TOUCHES, b"x" * 40_000)])
    journal.append([(Topic.TOUCHES, b"x" * 490_000)])
    assert [row.last for row in journal.segments()] == [1, 2]


def test_a_batch_larger_than_a_segment_is_refused_whole(open_, monkeypatch):
    monkeypatch.setattr(lmdb_segment, "SLACK_BYTES", 512 << 10)
    journal = open_()
    with pytest.raises(JournalFull, match="append fewer"):
        journal.append([(Topic.TOUCHES, b"x" * 2000)] * 300)
    assert journal.end() == START
    assert [*journal.append([(Topic.TOUCHES, b"fits")])] == [1]


def test_the_largest_batch_allowed_fits_the_map(open_, monkeypatch):
    """Sizes just over half a page and just over a page take the most room beyond their own bytes."""
    monkeypatch.setattr(lmdb_segment, "SLACK_BYTES", 2 << 20)
    journal = open_()
    for size in (1, 1366, 2030, 2050, 4080, 4090, 8190):
        fitting = (TINY + (2 << 20) - 64 * 4096) // (size + 8192) - 8
        journal.append([(Topic.TOUCHES, b"x" * size)] * fitting)
        journal.append([(Topic.ACTIVITY, b"x" * size)] * fitting)
    assert journal.read(ALL, START, 1_000_000)[-1].position == journal.end()


@pytest.fixture
def no_room() -> Iterator[Callable[[int], None]]:
    """Sets the largest file that this process may write: to LMDB the same as a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda bytes_: resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill(journal: LmdbJournal) -> None:
    for _ in range(100):
        journal.append([(Topic.ACTIVITY, b"x" * 1000)] * 20)


def test_a_full_disk_is_said_and_survived(open_, no_room):
    journal = open_(1 << 30)
    journal.append([(Topic.TOUCHES, b"before")])
    no_room(256 << 10)
    with pytest.raises(JournalFull, match="free some space"):
        fill(journal)
    end = journal.end()
    assert end % 20 == 1, "all of a batch or none"
    assert len(journal.read(ALL, START, 1000)) == end
    no_room(resource.RLIM_INFINITY)
    assert [*journal.append([(Topic.TOUCHES, b"after")])] == [end + 1]
    assert len(payloads(journal)) == end + 1


def test_a_flipped_byte_is_damage(open_, folder):
    journal = open_(1 << 30)
    journal.append([(Topic.TOUCHES, b"sound"), (Topic.ACTIVITY, b"the payload that is hurt")])
    journal.close()
    file = folder / "0000000001" / "data.mdb"
    raw = bytearray(file.read_bytes())
    raw[raw.index(b"the payload that is hurt") + 4] ^= 1
    file.write_bytes(raw)
    journal = open_(1 << 30)
    assert len(journal.read([Topic.TOUCHES], START, 10)) == 1
    with pytest.raises(JournalDamaged, match="entry 2 of activity"):
        journal.read(ALL, START, 10)
    with pytest.raises(JournalDamaged, match="entry 2 of activity"):
        journal.get(Topic.ACTIVITY, Position(2))


def test_an_entry_in_anothers_place_is_damage(open_, folder):
    journal = open_(1 << 30)
    journal.append([(Topic.TOUCHES, b"one"), (Topic.TOUCHES, b"two")])
    segment = journal._open[1]
    with segment._env.begin(write=True) as txn:
        database = segment._databases[Topic.TOUCHES]
        value = txn.get((1).to_bytes(8, "big"), db=database)
        txn.put((2).to_bytes(8, "big"), value, db=database)
    with pytest.raises(JournalDamaged, match="entry 2 of touches"):
        journal.read(ALL, START, 10)


def test_a_damaged_state_is_said(open_, folder):
    journal = open_()
    segment = journal._open[1]
    with segment._env.begin(write=True) as txn:
        raw = txn.get(b"state", db=segment._meta)
        txn.put(b"state", raw[:8] + b"\xff" + raw[9:], db=segment._meta)
    journal.close()
    with pytest.raises(JournalDamaged, match="state"):
        open_()


def test_a_later_format_is_refused(open_, folder):
    journal = open_()
    segment = journal._open[1]
    with segment._env.begin(write=True) as txn:
        raw = txn.get(b"state", db=segment._meta)
        txn.put(b"state", b"\x02" + raw[1:], db=segment._meta)
    journal.close()
    with pytest.raises(FolderTooNew, match="install the later one"):
        open_()


def seal(folder: Path) -> None:
    """Seal the first segment as an appender does that dies right after."""
    segment = Segment.open(folder / "0000000001", 1, TINY)
    assert segment is not None
    with segment._env.begin(write=True) as txn:
        segment._put_state(txn, segment._state(txn)._replace(is_sealed=True))
    segment.close()


def die_after_sealing(folder: Path) -> None:
    seal(folder)


def die_after_making_the_folder(folder: Path) -> None:
    seal(folder)
    (folder / "0000000002").mkdir()


def die_after_making_the_environment(folder: Path) -> None:
    die_after_making_the_folder(folder)
    lmdb.open(str(folder / "0000000002"), max_dbs=9, lib_version=0).close()


def die_after_beginning(folder: Path) -> None:
    die_after_making_the_folder(folder)
    begin = State(Position(2), Position(2), 0, is_sealed=False)
    segment = Segment.open(folder / "0000000002", 2, TINY, begin)
    assert segment is not None
    segment.close()


@pytest.mark.parametrize(
    "die",
    [
        die_after_sealing,
        die_after_making_the_folder,
        die_after_making_the_environment,
        die_after_beginning,
    ],
)
def test_a_crash_at_any_step_of_a_rotation_loses_nothing(open_, folder, die):
    journal = open_()
    journal.append([(Topic.TOUCHES, b"one"), (Topic.ACTIVITY, b"two")])
    journal.close()
    die(folder)
    journal = open_()
    assert journal.end() == 2
    assert len(journal.read(ALL, START, 10)) == 2
    assert [*journal.append([(Topic.TOUCHES, b"three")])] == [3]
    assert payloads(journal) == ["one", "two", "three"]
    assert [row.last for row in journal.segments()] == [2, 3], "sealed is sealed"


def test_a_reader_waits_for_a_segment_that_is_being_made(open_, folder):
    journal = open_()
    journal.append([(Topic.TOUCHES, b"one")])
    segment = journal._open[1]
    with segment._env.begin(write=True) as txn:
        segment._put_state(txn, segment._state(txn)._replace(is_sealed=True))
    assert journal.read(ALL, Position(1), 10) == []
    (folder / "0000000002").mkdir()
    assert journal.read(ALL, Position(1), 10) == []
    assert journal.end() == 1
    journal.append([(Topic.TOUCHES, b"two")])
    assert [e.position for e in journal.read(ALL, START, 10)] == [1, 2]


def test_a_topic_younger_than_its_segment_is_empty_in_it(open_, monkeypatch):
    journal = open_()
    journal.append([(Topic.TOUCHES, b"one")])
    del journal._open[1]._databases[Topic.DELIVERIES]
    assert len(journal.read(ALL, START, 10)) == 1
    assert journal.get(Topic.DELIVERIES, Position(1)) is None


def test_a_folder_is_opened_once_in_a_process(open_):
    journal = open_()
    with pytest.raises(JournalUnavailable, match="share that object"):
        open_()
    journal.close()
    assert open_().end() == START


def test_a_closed_journal_says_so(open_):
    journal = open_()
    journal.close()
    for use in (
        lambda: journal.append([(Topic.TOUCHES, b"")]),
        lambda: journal.read(ALL, START, 1),
        lambda: journal.get(Topic.TOUCHES, Position(1)),
        journal.end,
        journal.segments,
    ):
        with pytest.raises(JournalUnavailable, match="closed"):
            use()


def test_a_forked_child_must_not_use_it(open_):
    journal = open_()
    child = os.fork()
    if child == 0:
        try:
            journal.end()
        except JournalUnavailable as fault:
            os._exit(7 if "fork" in fault.message else 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_after_a_panic_of_lmdb_the_segment_is_opened_anew(open_, monkeypatch):
    journal = open_()
    journal.append([(Topic.TOUCHES, b"one")])

    def panic(*args):
        raise lmdb.PanicError("MDB_PANIC")

    with monkeypatch.context() as patch:
        patch.setattr(Segment, "append", panic)
        with pytest.raises(JournalUnavailable, match="PANIC"):
            journal.append([(Topic.TOUCHES, b"lost")])
    assert [*journal.append([(Topic.TOUCHES, b"two")])] == [2]
    assert payloads(journal) == ["one", "two"]


def test_the_slots_of_killed_readers_are_freed(open_, folder, monkeypatch):
    """With no slot left, a reader looks for dead ones before it gives up."""
    monkeypatch.setattr(lmdb_segment, "READERS_MAX", 3)
    journal = open_()
    hold = (
        "import lmdb, sys, time\n"
        f"env = lmdb.open({str(folder / '0000000001')!r}, max_readers=3, lib_version=0)\n"
        "held = [env.begin(), env.begin()]\n"
        "print('held', flush=True)\n"
        "time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    segment = journal._open[1]
    mine = segment._env.begin()
    with pytest.raises(JournalUnavailable):
        journal.read(ALL, START, 1)
    holder.kill()
    holder.communicate(timeout=10)
    time.sleep(0.05)
    assert journal.read(ALL, START, 1) == []
    mine.abort()
