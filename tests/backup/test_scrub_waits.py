"""Who waits to be scrubbed is counted, said, and warned of, however long nobody has looked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from backup import scrub_house as house
from backup.scrub_house import NOW_MS, scrub

from attribune.cli import status as cli_status
from attribune.doctor.check import Subject, Verdict
from attribune.engines import lmdb_copy
from attribune.engines.lmdb_journal import LmdbJournal
from attribune.model.policy import DAY_MS
from attribune.model.position import Entry
from attribune.roles import scrubs
from attribune.roles.scrubs import ScrubWatch
from attribune.settings import Settings
from attribune.wire import scrubbing, soundness
from attribune.wire.parts import Parts


@pytest.fixture(scope="module")
def told() -> list[Entry]:
    return house.entries(6)


@pytest.fixture
def folder(tmp_path: Path, told: list[Entry]) -> Path:
    folder = tmp_path / "data"
    (folder / "run").mkdir(parents=True)
    house.fill(folder, told)
    return folder


@pytest.fixture
def journal(folder: Path) -> Iterator[LmdbJournal]:
    opened = house.opened(folder)
    yield opened
    opened.close()


def requests(told: list[Entry]) -> list[scrubs.ForgetRequest]:
    return [one for entry in told if (one := scrubs.request_of(entry))]


# --- counted


def test_requests_wait_until_they_are_scrubbed(folder: Path, told: list[Entry]) -> None:
    asked = requests(told)
    assert len(asked) == 2
    journal = house.opened(folder)
    found = ScrubWatch(folder, journal).forgetting()
    journal.close()
    assert (found.waiting, found.waiting_since_ms) == (2, asked[0].at_ms)
    assert (found.scrubbed_at_ms, found.scrubbed_through) == (None, 0)
    done = scrub(folder)
    journal = house.opened(folder)
    found = ScrubWatch(folder, journal).forgetting()
    journal.close()
    assert (found.waiting, found.waiting_since_ms) == (0, None)
    assert (found.scrubbed_at_ms, found.scrubbed_through) == (NOW_MS, done.through)


def test_a_watch_sees_what_comes_after_it_looked_first(
    folder: Path, told: list[Entry], journal: LmdbJournal
) -> None:
    watch = ScrubWatch(folder, journal)
    assert watch.forgetting().waiting == 2
    again = told[requests(told)[0].position - 1]
    journal.append([(again.topic, again.payload)])
    found = watch.forgetting()
    assert (found.waiting, found.looked_to) == (3, journal.end())


def test_a_watch_looks_at_no_more_than_it_may_and_goes_on(
    folder: Path, told: list[Entry], journal: LmdbJournal
) -> None:
    watch = ScrubWatch(folder, journal, entries_max=2)
    counts = [watch.forgetting() for _ in range(len(told))]
    assert counts[0].waiting == 0
    assert counts[0].looked_to < requests(told)[0].position
    assert counts[-1].waiting == 2
    assert counts[-1].looked_to == journal.end()


def test_what_a_scrub_has_noted_is_counted_once(folder: Path) -> None:
    scrub(folder, read_to=1)  # heeds nothing, and notes that both wait
    journal = house.opened(folder)
    watch = ScrubWatch(folder, journal)
    assert [watch.forgetting().waiting for _ in range(2)] == [2, 2]
    journal.close()


def test_what_was_noted_after_a_watch_has_seen_it_is_counted_once(
    folder: Path, told: list[Entry], journal: LmdbJournal
) -> None:
    watch = ScrubWatch(folder, journal)
    assert watch.forgetting().waiting == 2
    first, second = requests(told)
    for through, waiting in ((0, 2), (first.position, 1), (second.position, 0)):
        note = scrubs.ScrubNote(
            at_ms=NOW_MS, through=through, looked_to=journal.end(), requests=(first, second)
        )
        (folder / "run" / "scrub.json").write_bytes(msgspec.json.encode(note))
        assert watch.forgetting().waiting == waiting


# --- said


def test_status_says_who_waits(capsys: pytest.CaptureFixture[str]) -> None:
    known = {"waiting": 0, "waiting_since_ms": None, "scrubbed_at_ms": None}
    cli_status._show_forgetting(known)
    assert "never scrubbed yet; none waits" in capsys.readouterr().out
    cli_status._show_forgetting(
        {"waiting": 2, "waiting_since_ms": 86_400_000, "scrubbed_at_ms": 2 * 86_400_000}
    )
    said = " ".join(capsys.readouterr().out.split())
    assert "last scrubbed 1970-01-03" in said
    assert "2 wait for that, the oldest since 1970-01-02" in said


# --- warned of


def subject(folder: Path, now_ms: int) -> Subject:
    return Subject(folder, now_ms, None, Settings())


@pytest.mark.parametrize(
    ("days", "verdict"), [(24, Verdict.OK), (26, Verdict.WARN), (31, Verdict.FAIL)]
)
def test_the_doctor_warns_before_the_time_is_over(
    folder: Path, told: list[Entry], days: int, verdict: Verdict
) -> None:
    at_ms = requests(told)[0].at_ms
    found = soundness.forgotten(subject(folder, at_ms + days * DAY_MS))
    assert found.verdict is verdict
    assert "2 requests to forget wait" in found.seen
    assert f"{days} days" in found.seen
    assert ("attribune journal scrub --data" in found.remedy) == (verdict is not Verdict.OK)
    scrub(folder, now_ms=at_ms)
    found = soundness.forgotten(subject(folder, at_ms + days * DAY_MS))
    assert (found.verdict, "no request" in found.seen) == (Verdict.OK, True)


def test_the_doctor_does_not_look_through_everything(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soundness, "_LOOKED_MAX", 2)
    found = soundness.forgotten(subject(folder, NOW_MS))
    assert (found.verdict, "never looked through" in found.seen) == (Verdict.WARN, True)


def test_the_doctor_leaves_no_trace(folder: Path) -> None:
    before = sorted(str(path) for path in folder.rglob("*"))
    soundness.forgotten(subject(folder, NOW_MS))
    assert sorted(str(path) for path in folder.rglob("*")) == before


# --- where nothing comes in


def test_a_request_in_an_old_segment_has_it_closed_where_nothing_comes_in(
    tmp_path: Path, told: list[Entry]
) -> None:
    folder = tmp_path / "data"
    (folder / "run").mkdir(parents=True)
    last = requests(told)[1].position
    house.fill(folder, told[:last], more=0)
    before = len(lmdb_copy.names(folder / "journal"))
    for age_ms, segments in ((1 << 50, before), (60_000, before + 1), (60_000, before + 1)):
        parts = Parts(
            folder, Settings(journal_segment_ms=age_ms, journal_segment_bytes_max=1 << 30)
        )
        scrubbing.close_old(parts)
        parts.close()
        assert len(lmdb_copy.names(folder / "journal")) == segments
        if segments > before:
            assert scrub(folder).waiting == 0
