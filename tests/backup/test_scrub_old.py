"""What was refused at the door is emptied when it is old, whosever it was; all else stands as it did."""

from __future__ import annotations

from pathlib import Path

import pytest
from attribute.tale import read_tale, tell
from backup import scrub_house as house
from backup.scrub_house import ALL, NOW_MS, scrub, standing

from attribune.engines import lmdb_copy, lmdb_scrubbed
from attribune.model.codec import decode, encode
from attribune.model.ids import START, ProductId, RecordId
from attribune.model.policy import DAY_MS
from attribune.model.position import Entry, Topic
from attribune.model.refusal import Refusal, RefusalReason
from attribune.record.facts import Lookups, facts_of
from attribune.registry.view import Registry
from attribune.settings import Settings
from attribune.wire import scrubbing

RAW = "somebody-elses-raw-word"
LATER = NOW_MS + 1


def refusal(number: int) -> Refusal:
    return Refusal(
        reason=RefusalReason.BAD_ID,
        received_at_ms=NOW_MS + number,
        method="POST",
        path="/v1/event",
        param="id",
        message="An id is too long.",
        query=f"q={RAW}",
        headers={"x": RAW},
        body=RAW.encode(),
        body_bytes=23,
        body_sha256="00" * 32,
        ip="81.2.69.142",
        user_agent=RAW,
        product=ProductId("game"),
        record_id=RecordId(f"r{number}"),
        record_type="event",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Somebody living opens, much is refused in the first segments, nothing in later ones, something in the newest."""
    folder = tmp_path / "data"
    (folder / "run").mkdir(parents=True)
    told = tell(read_tale("day 0 09:00  open device=living gaid=their-gaid"))
    house.fill(folder, told.journal.read(ALL, START, 1000), more=0)
    journal = house.opened(folder)
    while len(journal.segments()) < 4:
        journal.append([(Topic.REFUSED, encode(refusal(n))) for n in range(10)])
    while len(journal.segments()) < 8:
        journal.append([(Topic.CONTROL, house.tick()) for _ in range(20)])
    journal.append([(Topic.REFUSED, encode(refusal(99)))])
    journal.close()
    return folder


def rows(entries: list[Entry]) -> list[object]:
    """The facts that refusals are."""
    lookups = Lookups(
        directory=Registry(),
        read_touch=lambda *_: None,
        touch_at=lambda _: None,
        happened_at_ms=lambda _: None,
        country=lambda _: "GB",
        day_closes_after_hours=48,
    )
    return [facts_of(one.position, decode(one), lookups) for one in entries]


def refused(folder: Path) -> list[Entry]:
    return [one for one in standing(folder) if one.topic is Topic.REFUSED]


def closed_with_refused(folder: Path) -> list[str]:
    journal = folder / "journal"
    *closed, _ = lmdb_copy.names(journal)
    return [name for name in closed if any(lmdb_scrubbed.entries(journal, name, (Topic.REFUSED,)))]


def test_what_was_refused_is_emptied_when_its_segment_is_old(folder: Path) -> None:
    before, newest = standing(folder), refused(folder)[-1]
    done = scrub(folder, raw_before_ms=LATER)
    assert [one.name for one in done.segments] == closed_with_refused(folder)
    assert 2 < len(done.segments) < len(lmdb_copy.names(folder / "journal")) - 2
    after = standing(folder)
    assert [one for one in before if one.topic is not Topic.REFUSED] == [
        one for one in after if one.topic is not Topic.REFUSED
    ]
    *old, last = refused(folder)
    assert last == newest, "its segment is appended to"
    assert len(old) == sum(one.entries for one in done.segments) > 20
    assert not any(RAW.encode() in one.payload or b"81.2.69" in one.payload for one in old)
    left = decode(old[7])
    assert isinstance(left, Refusal)
    assert (left.reason, left.message, left.record_id, left.body_bytes, left.param) == (
        *(RefusalReason.BAD_ID, "An id is too long.", "r7", 23, "id"),
    )


def test_it_changes_no_report(folder: Path) -> None:
    before = refused(folder)
    scrub(folder, raw_before_ms=LATER)
    after = refused(folder)
    assert before != after
    assert rows(before) == rows(after)


def test_what_is_younger_stays(folder: Path) -> None:
    before = standing(folder)
    for raw_before_ms in (NOW_MS, NOW_MS - DAY_MS, None):
        done = scrub(folder, raw_before_ms=raw_before_ms)
        assert (done.segments, done.looked) == ((), 0)
    assert standing(folder) == before


def test_what_was_emptied_is_not_looked_through_again(folder: Path) -> None:
    old = len(closed_with_refused(folder))
    assert scrub(folder, raw_before_ms=LATER).looked == old
    again = scrub(folder, raw_before_ms=LATER)
    assert (again.looked, again.segments) == (0, ())
    (folder / "run" / "scrub.json").unlink()
    again = scrub(folder, raw_before_ms=LATER)
    assert (again.looked, again.segments) == (old, ())


def test_a_segment_may_grow_old_after_it_was_clean(folder: Path) -> None:
    told = tell(read_tale("day 0 09:00  open device=d gaid=g\nday 0 09:01  forget device=d server"))
    journal = house.opened(folder)
    (request,) = [
        one for one in told.journal.read((Topic.OUTCOMES,), START, 100) if b"forgets" in one.payload
    ]
    journal.append([(Topic.OUTCOMES, request.payload)])
    for _ in range(40):
        journal.append([(Topic.CONTROL, house.tick()) for _ in range(20)])
    journal.close()
    closed = len(lmdb_copy.names(folder / "journal")) - 1
    assert scrub(folder).looked == closed
    old = scrub(folder, raw_before_ms=LATER)
    assert old.looked == len(old.segments) == len(closed_with_refused(folder))
    assert scrub(folder, raw_before_ms=LATER).looked == 0


@pytest.mark.parametrize(("days", "is_emptied"), [(0, False), (10, True), (36_500, False)])
def test_the_setting_says_how_old(tmp_path: Path, days: int, *, is_emptied: bool) -> None:
    """The command itself, on a folder that nobody serves. Its entries are of 2023, the clock is the machine's."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "VERSION").write_text("1\n")
    (folder / "attribune.toml").write_text(f"raw_days = {days}\n")
    journal = house.opened(folder)
    journal.append([(Topic.REFUSED, encode(refusal(n))) for n in range(200)])
    while len(journal.segments()) < 2:
        journal.append([(Topic.CONTROL, house.tick()) for _ in range(20)])
    journal.close()
    assert Settings().raw_days == 90
    done = scrubbing.scrub(folder, is_dry_run=False)
    assert [one.entries for one in done.segments] == ([200] if is_emptied else [])
