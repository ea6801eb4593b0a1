"""A journal whose newest segment was torn, cut or flipped: what is sound is read, the damage is named, nobody dies of it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from attribune.engines.lmdb_journal import LmdbJournal
from attribune.engines.memory import MemoryClock
from attribune.model.errors import JournalDamaged
from attribune.model.ids import START, Position
from attribune.model.position import Topic
from attribune.report.audit_records import JournalIsWhole

PAGE = 4096
#: LMDB's two headers, written in turn; the later one says which pages are the newest commit.
HEADERS = 2 * PAGE
TOLD = [b"entry %d " % n * 20 for n in range(400)]


def opened(folder: Path) -> LmdbJournal:
    return LmdbJournal(
        folder, segment_bytes_max=1 << 30, segment_ms=86_400_000, clock=MemoryClock()
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal that was told 400 entries, in as many commits."""
    journal = opened(tmp_path / "journal")
    for payload in TOLD:
        journal.append([(Topic.ACTIVITY, payload)])
    journal.close()
    return tmp_path / "journal"


@pytest.fixture
def file(folder: Path) -> Path:
    return folder / "0000000001" / "data.mdb"


def read(folder: Path) -> tuple[list[bytes], str]:
    """The payloads up to the first damage, and what was said of that, by the journal itself or by the audit's check."""
    found: list[bytes] = []
    check = JournalIsWhole(START, Position(len(TOLD)))
    journal = None
    try:
        journal = opened(folder)
        after = START
        while entries := journal.read([Topic.ACTIVITY], after, 1):
            after = entries[0].position
            check.see(entries[0], None)
            found.append(entries[0].payload)
    except JournalDamaged as fault:
        return found, str(fault)
    finally:
        if journal is not None:
            journal.close()
    return found, " ".join(check.finish().sentences())


def test_a_commit_torn_by_a_power_cut_takes_nothing_with_it(folder, file) -> None:
    """Its pages are on the disk in part and with wrong bits, its header is not. What was synced before is all there."""
    before = file.read_bytes()
    journal = opened(folder)
    journal.append([(Topic.ACTIVITY, b"torn" * 500) for _ in range(40)])
    journal.close()
    after = file.read_bytes()
    assert len(after) > len(before)
    chance = random.Random(3)
    for cut in (len(before), len(after), chance.randrange(len(before), len(after))):
        torn = bytearray(before[:HEADERS] + after[HEADERS:cut])
        for at in range(HEADERS, cut - PAGE, PAGE):
            if torn[at : at + PAGE] != before[at : at + PAGE]:
                torn[at + chance.randrange(PAGE)] ^= 1 << chance.randrange(8)
        file.write_bytes(torn)
        assert read(folder) == (TOLD, "")
        journal = opened(folder)
        assert [*journal.append([(Topic.ACTIVITY, b"and on")])] == [len(TOLD) + 1]
        journal.close()
        assert read(folder) == ([*TOLD, b"and on"], "")


def test_a_segment_that_was_cut_short_is_named_and_kills_nobody(folder, file) -> None:
    whole = file.read_bytes()
    said = set()
    for cut in range(PAGE, len(whole), 3 * PAGE):
        file.write_bytes(whole[:cut])
        found, damage = read(folder)
        assert found == TOLD[: len(found)]
        assert damage or len(found) == len(TOLD)
        said.add(damage)
    assert len(said) > 1


def test_a_flipped_bit_is_named_and_never_believed(folder, file) -> None:
    whole = file.read_bytes()
    chance = random.Random(5)
    named = 0
    for _ in range(150):
        at = chance.randrange(len(whole))
        hurt = bytearray(whole)
        hurt[at] ^= 1 << chance.randrange(8)
        file.write_bytes(hurt)
        found, damage = read(folder)
        assert set(found) <= set(TOLD), f"a wrong payload was believed after a flip at {at}"
        assert found == TOLD or damage, f"entries are missing without a word: {at}"
        named += bool(damage)
    assert named > 50


def test_a_damaged_newest_segment_hides_none_before_it(folder, file) -> None:
    """The sealed one before it is read to its end; the damage is named where it begins."""
    journal = LmdbJournal(folder, segment_bytes_max=1 << 30, segment_ms=0, clock=MemoryClock())
    journal.append([(Topic.ACTIVITY, b"the first of the next segment " * 9)])
    journal.close()
    newest = folder / "0000000002" / "data.mdb"
    hurt = bytearray(newest.read_bytes())
    hurt[hurt.rindex(b"the first of the next segment")] ^= 1
    newest.write_bytes(hurt)
    found, damage = read(folder)
    assert found == TOLD
    assert "entry 401 of activity" in damage
