"""The forecast of the disk: what it promises of sizes, rates and times."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from attribune.model.status import BackupNote, Disk
from attribune.roles import disk
from attribune.roles.disk import Piece
from attribune.roles.folder import BACKUP_FILE

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MIB = 1 << 20
NOW_MS = 400 * DAY_MS
KEEP_MS = 5 * DAY_MS


def daily(days: int, size: int = MIB) -> list[Piece]:
    """One segment a day, the newest begun a day ago."""
    begun = [NOW_MS - (days - n) * DAY_MS for n in range(days)]
    return [Piece(n + 1, size, at, n + 1 < days) for n, at in enumerate(begun)]


def grown(pieces: list[Piece], views: int = 0, born_at_ms: int | None = None) -> int | None:
    born = pieces[0].begun_at_ms if born_at_ms is None else born_at_ms
    return disk.growth_bytes_per_day(pieces, views, born, NOW_MS)


def test_a_house_that_writes_a_mib_a_day_grows_by_that() -> None:
    assert grown(daily(30)) == MIB
    assert grown(daily(2)) == MIB
    assert grown(daily(1)) == MIB


def test_the_journal_grows_as_it_did_lately_and_not_as_long_ago() -> None:
    """A month of little traffic before a week of much must not make the disk last longer."""
    pieces = [*daily(40, MIB)[:32], *daily(8, 10 * MIB)]
    assert grown(pieces) == 10 * MIB


def test_views_grow_with_the_age_of_the_house_and_not_of_its_oldest_segment() -> None:
    assert grown(daily(10), views=20 * MIB) == MIB + 2 * MIB
    assert grown(daily(10), views=20 * MIB, born_at_ms=NOW_MS - 100 * DAY_MS) == MIB + MIB // 5


@pytest.mark.parametrize("age_ms", [0, HOUR_MS - 1, -5 * DAY_MS])
def test_nothing_is_foretold_of_a_house_younger_than_an_hour(age_ms: int) -> None:
    """A clock that was ahead when the segment was begun (a negative age) tells nothing either."""
    assert grown([Piece(1, MIB, NOW_MS - age_ms, False)]) is None
    assert grown([Piece(1, MIB, NOW_MS - HOUR_MS, False)]) == 24 * MIB


def test_a_segment_is_over_when_the_next_was_begun_and_never_earlier_than_one_before() -> None:
    pieces = [
        Piece(1, 1, 50, True),
        Piece(1, 1, 9, True),
        Piece(1, 1, 60, True),
        Piece(1, 1, 70, False),
    ]
    assert disk.over_at_ms_of(pieces) == [50, 60, 70, None]
    assert disk.over_at_ms_of([]) == []
    assert disk.over_at_ms_of(pieces[:1]) == [None]


def said(folder: Path, pieces: list[Piece]) -> Disk:
    return disk.forecast(folder, pieces, 0, pieces[0].begun_at_ms, KEEP_MS, NOW_MS)


def test_parts_are_told_apart_and_the_disk_is_full_when_growth_has_eaten_it(tmp_path: Path) -> None:
    (tmp_path / "journal/0000000001").mkdir(parents=True)
    (tmp_path / "journal/0000000001/data.mdb").write_bytes(b"x" * 50_000)
    (tmp_path / "facts").mkdir()
    (tmp_path / "facts/part").write_bytes(b"x" * 20_000)
    (tmp_path / "registry.db-wal").write_bytes(b"x" * 9_000)
    (tmp_path / "notes").symlink_to("/usr")
    found = said(tmp_path, daily(8))
    assert 50_000 <= found.used_bytes["journal"] < 60_000
    assert 20_000 <= found.used_bytes["facts"] < 30_000
    assert 9_000 <= found.used_bytes["registry"] < 20_000
    assert found.used_bytes["other"] < 10_000, "what a link leads to is not ours"
    assert found.growth_bytes_per_day is not None
    assert found.full_in_s is not None
    days = found.full_in_s / 86_400
    assert days * found.growth_bytes_per_day == pytest.approx(found.free_bytes, rel=1e-3)
    assert 0 < found.free_bytes < found.total_bytes


def test_what_a_prune_could_free_is_old_enough_and_in_the_newest_backup(tmp_path: Path) -> None:
    pieces = daily(10)
    assert said(tmp_path, pieces).prunable_bytes == 0, "without a backup nothing goes"
    (tmp_path / "run").mkdir()
    note = BackupNote(path="/b", created_at_ms=1, bytes=1, end=99)
    (tmp_path / BACKUP_FILE).write_bytes(msgspec.json.encode(note))
    assert said(tmp_path, pieces).prunable_bytes == 5 * MIB, "the newer five are over since less"
    (tmp_path / BACKUP_FILE).write_bytes(msgspec.json.encode(replace(note, end=3)))
    assert said(tmp_path, pieces).prunable_bytes == 3 * MIB
