"""Which segments may go: what stands against each, and that a prune that is killed is gone on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from attribune.backup.manifest import BackedFile, BackedSegment, key_of
from attribune.backup.prune import Known, Stand, Wish, plan

DAY_MS = 86_400_000
NOW_MS = 1000 * DAY_MS
MIB = 1 << 20


def segment(n: int, *, is_sealed: bool = True) -> BackedSegment:
    """The n-th of segments of a hundred entries, one a day."""
    return BackedSegment(
        name=f"{n:010d}",
        first=100 * n - 99,
        last=100 * n,
        begun_at_ms=NOW_MS - (11 - n) * DAY_MS,
        is_sealed=is_sealed,
        topics={},
        written_at_ns=n,
    )


def stands() -> list[Stand]:
    """Ten segments of a MiB, the newest not closed: the n-th was over 10 - n days ago."""
    closed = [Stand(segment(n), MIB, NOW_MS - (10 - n) * DAY_MS) for n in range(1, 10)]
    return [*closed, Stand(segment(10, is_sealed=False), MIB, None)]


def known(**other: Any) -> Known:
    files = {
        key_of(segment(n)): BackedFile(path=f"journal/{n}", bytes=MIB, sha256="")
        for n in range(1, 10)
    }
    base = Known(NOW_MS, 0, {"attributor": 1000, "recorder": 1000}, Path("/b"), files)
    return base._replace(**other)


def gone(wish: Wish, **other: Any) -> tuple[int, str | None]:
    going, held_back = plan(stands(), wish, known(**other))
    assert [one.segment.name for one in going] == [f"{n:010d}" for n in range(1, len(going) + 1)]
    return len(going), held_back


def test_what_is_as_old_goes_and_nothing_younger() -> None:
    assert gone(Wish(older_than_ms=7 * DAY_MS)) == (3, None)
    assert gone(Wish(older_than_ms=7 * DAY_MS + 1)) == (2, None)
    assert gone(Wish(older_than_ms=30 * DAY_MS)) == (0, None)


def test_the_oldest_go_until_the_journal_is_no_larger() -> None:
    assert gone(Wish(keep_bytes=7 * MIB)) == (3, None)
    assert gone(Wish(keep_bytes=7 * MIB - 1)) == (4, None)
    assert gone(Wish(keep_bytes=10 * MIB)) == (0, None)
    assert gone(Wish(keep_bytes=8 * MIB, older_than_ms=5 * DAY_MS)) == (5, None), (
        "whichever is more"
    )


def test_what_is_appended_to_stays_whatever_its_size() -> None:
    count, why = gone(Wish(keep_bytes=0))
    assert count == 9
    assert "appended to" in str(why)


@pytest.mark.parametrize(
    ("against", "count", "why"),
    [
        ({"keep_ms": 5 * DAY_MS}, 5, "younger than 5 days"),
        ({"readers": {"attributor": 1000, "recorder": 399}}, 3, "the recorder has read to 399"),
        ({"readers": {"attributor": 0, "recorder": 1000}}, 0, "the attributor has read to 0"),
        ({"set_aside": 301}, 3, "attribune journal retell"),
        ({"set_aside": 300}, 2, "(entry 300)"),
    ],
)
def test_what_something_needs_stays_and_so_does_all_behind_it(
    against: dict[str, Any], count: int, why: str
) -> None:
    found = gone(Wish(keep_bytes=0), **against)
    assert found[0] == count
    assert why in str(found[1])


def test_what_stands_otherwise_in_the_backup_stays() -> None:
    """The same name and places, written since: another house's, or one that was changed."""
    files = dict(known().backed)
    file = files.pop(key_of(segment(3)))
    files[key_of(replace(segment(3), written_at_ns=99))] = file
    count, why = gone(Wish(keep_bytes=0), backed=files)
    assert count == 2
    assert "0000000003 does not stand in /b" in str(why)
