"""A mistake of ours costs one record: it is set aside with a reason, and all else comes out as if it had never been told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from structlog.testing import capture_logs
from tale import DAY_ZERO_MS, MISTAKEN, House, PlainEnricher, Told, bench, ended, read_tale, tell
from test_reading_order import outcomes_of, rows_of, tales

from attribune.attribute import attributor as attributor_
from attribune.attribute.batch import Batch
from attribune.attribute.replay import WhatIf, replay
from attribune.attribute.transcript import Stood, Transcript, compare
from attribune.attribute.turn import Said
from attribune.engines.memory import MemoryAnswers, MemoryStore
from attribune.model.codec import decode, encode
from attribune.model.control import Change, Tick
from attribune.model.errors import JournalDamaged, StoreUnavailable
from attribune.model.ids import START, Position
from attribune.model.outcome import CreditedEvent, Outcome, is_set_aside
from attribune.model.position import Topic
from attribune.roles.attributor import AttributorRole


class Mended:
    """Stands in for a version of Attribune without the mistake, while it lasts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __enter__(self) -> None:
        self._monkeypatch.setattr(PlainEnricher, "country", lambda _self, _address: "DE")

    def __exit__(self, *_: object) -> None:
        self._monkeypatch.undo()


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> Mended:
    return Mended(monkeypatch)


def told_with_mistakes(text: str) -> tuple[Told, House]:
    told = read_tale(text)
    return told, tell(told, allows_mistakes=True)


def how(text: str) -> list[str]:
    return ended(*told_with_mistakes(text), with_candidates=False)


def run(role: AttributorRole) -> AttributorRole:
    while role.step():
        pass
    return role


# --- what is set aside


def test_a_record_that_cannot_be_judged_is_refused_and_the_others_are_not() -> None:
    assert how(
        f"""
        day 0 09:00  click  acme/spring
        day 0 09:10  open
        day 0 09:11  event  buy pay=1.50:EUR ip={MISTAKEN}
        day 0 09:12  event  level
        """
    ) == [
        "=> install acme/spring click DEVICE_ID",
        "=> event refused not_judged",
        "=> level acme/spring click DEVICE_ID",
    ]


def test_it_may_be_told_again_under_its_own_id() -> None:
    """Neither its id nor its transaction counts as told."""
    assert how(
        f"""
        day 0 09:10  open
        day 0 09:11  event  buy id=e tx=T1 ip={MISTAKEN}
        day 0 09:12  event  buy id=e tx=T1
        """
    ) == ["=> install organic", "=> event refused not_judged", "=> buy organic"]


def test_an_open_that_cannot_be_judged_leaves_what_waits_for_it_waiting() -> None:
    assert how(
        f"""
        day 0 09:00  event  level
        day 0 09:10  open   ip={MISTAKEN}
        day 0 09:20  open
        """
    ) == ["=> level organic", "=> open refused not_judged", "=> install organic"]


def test_an_event_that_waited_and_cannot_be_credited_holds_up_neither_the_open_nor_the_others() -> (
    None
):
    text = f"""
        day 0 09:00  event  level id=a tx=T1 ip={MISTAKEN}
        day 0 09:01  event  level id=b
        day 0 09:10  open
        """
    assert how(text) == ["=> event refused not_judged", "=> level organic", "=> install organic"]
    again = how(f"{text}\nday 0 09:20 event level id=a tx=T1")
    assert again[-1] == "=> level organic", "and may be told again"


def test_an_event_whose_time_is_up_and_that_cannot_be_credited_holds_up_nothing() -> None:
    assert how(
        f"""
        day 0 09:00  event  level ip={MISTAKEN}
        day 0 09:01  event  level
        day 9 09:00  open   device=d2 gaid=g2
        """
    ) == ["=> event refused not_judged", "=> level unknown", "=> install organic"]


@pytest.mark.parametrize("verb", ["click", "click server", "correct"])
def test_touches_and_corrections_are_set_aside_too(
    monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    last = {
        "click": "click beta/x id=late",
        "click server": "click beta/x id=late server",
        "correct": "correct d1 to organic",
    }[verb]
    told = read_tale(
        f"day 0 09:00 click acme/spring id=first server\nday 0 09:10 open\nday 0 09:20 {last}"
    )
    for name, is_it in (("touch_", "click" in verb), ("correct", verb == "correct")):
        judge = getattr(attributor_, name)
        monkeypatch.setattr(attributor_, name, unless(judge, is_it))
    house = tell(told, allows_mistakes=True)
    refused = [outcome for outcome in house.outcomes() if is_set_aside(outcome)]
    of_type = "correct" if verb == "correct" else "touch"
    assert [(one.record_type, bool(one.record)) for one in refused] == [(of_type, True)]
    assert [o.credit.partner for o in house.outcomes() if hasattr(o, "credit")] == ["acme"]


def unless(judge: Any, is_it: bool) -> Any:
    def judged(turn: Any, record: Any, *more: Any) -> None:
        if is_it and turn.now_ms >= DAY_ZERO_MS + 9 * 3_600_000 + 1_200_000:
            raise ZeroDivisionError
        judge(turn, record, *more)

    return judged


# --- nothing else is different


class Bomb:
    """A mistake in judging the entry at one place: from the n-th change on, none can be remembered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: int, changes: int) -> None:
        judge, put = attributor_.Attributor._judge, Batch.put
        self._is_lit = False
        self.went_off = False

        def judged(attributor: Any, turn: Any, entry: Any, record: Any) -> None:
            self._is_lit, self._left = entry.position == place, changes
            try:
                judge(attributor, turn, entry, record)
            finally:
                self._is_lit = False

        def put_or_not(batch: Batch, *words: Any) -> None:
            if self._is_lit:
                self._left -= 1
                if self._left < 0:
                    self.went_off = True
                    raise IndexError("planted")
            put(batch, *words)

        monkeypatch.setattr(attributor_.Attributor, "_judge", judged)
        monkeypatch.setattr(Batch, "put", put_or_not)


def came_out(told: Told, batch: int) -> House:
    house = House()
    house.append(told.entries)
    with capture_logs():
        run(house.attributor(read_entries_max=batch))
    return house


def without(told: Told, index: int) -> Told:
    """The same tale with a tick in a record's place, at its time."""
    topic, record = told.entries[index]
    at_ms = record.at_ms if topic is Topic.CONTROL else record.received_at_ms
    entries = list(told.entries)
    entries[index] = (Topic.CONTROL, Change(at_ms=at_ms, record=Tick(at_ms=at_ms)))
    return Told(entries=entries)


def check_that_it_leaves_no_trace(told: Told, index: int, changes: int, batch: int) -> bool:
    """Whether the mistake was met at all; what it leaves is compared with a tale without the record."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        bomb = Bomb(monkeypatch, index + 1, changes)
        broken = came_out(told, batch)
    if not bomb.went_off:
        return False
    kept = [
        payload
        for payload, outcome in zip(outcomes_of(broken), broken.outcomes(), strict=True)
        if not (is_set_aside(outcome) and outcome.about == index + 1)
    ]
    calm = came_out(without(told, index), batch)
    assert kept == outcomes_of(calm)
    assert rows_of(broken.store) == rows_of(calm.store)
    return True


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    told=tales(),
    at=st.floats(0, 1, exclude_max=True),
    changes=st.integers(0, 12),
    batch=st.sampled_from([1, 3, 1000]),
)
def test_all_else_comes_out_as_if_it_had_never_been_told(
    told: Told, at: float, changes: int, batch: int
) -> None:
    check_that_it_leaves_no_trace(told, int(at * len(told.entries)), changes, batch)


BUSY = """
    day 0 08:00  event  level user=u1
    day 0 08:30  event  deposit device=none user=u1 server
    day 0 08:40  event  refund device=none tx=T1 by-order server
    day 0 08:50  event  shipped device=none tx=T1 by-order server
    day 0 09:00  click  acme/spring
    day 0 09:01  impression zeta/brand
    day 0 09:10  open   ip=81.2.69.142
    day 0 09:20  event  login user=u1 server tx=T1
    day 0 09:30  evidence
    day 0 09:40  consent yes
    day 1 09:00  click  zeta/back retargeting
    day 20 09:00 open
    day 20 10:00 correct d1 to organic
    day 20 11:00 known  device=d7 gaid=g7 seen=20d
    day 20 12:00 event  refund device=none tx=T1 by-order server
    day 20 13:00 event  shipped gaid=g1 tx=T1
    """


@pytest.mark.parametrize("batch", [1, 1000])
def test_wherever_a_mistake_is_made_in_a_busy_life_it_leaves_no_trace(batch: int) -> None:
    told = read_tale(BUSY)
    met = [
        check_that_it_leaves_no_trace(told, index, changes, batch)
        for index in range(len(told.entries))
        for changes in range(16)
    ]
    assert sum(met) > 50


# --- what is no mistake of ours


@pytest.mark.parametrize(
    "fault",
    [StoreUnavailable("no"), JournalDamaged("no"), OSError(5, "input/output"), MemoryError()],
)
def test_a_disk_that_does_not_work_is_no_mistake_in_judging(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """Nothing is decided then, and all is when it works again."""
    told = read_tale("day 0 09:00 click acme/spring\nday 0 09:10 open")
    house = House()
    house.append(told.entries)
    role = house.attributor()

    def fail(_row: Any) -> None:
        raise fault

    with monkeypatch.context() as broken:
        broken.setattr(house.store, "get", fail)
        with pytest.raises(type(fault)):
            run(role)
    assert list(house.outcomes()) == []
    run(house.attributor())
    assert ended(told, house, with_candidates=False) == ["=> install acme/spring click DEVICE_ID"]


# --- what stands aside stays so


MISTAKEN_TALE = f"""
    day 0 08:00  event  level id=held ip={MISTAKEN}
    day 0 09:00  open   ip={MISTAKEN}
    day 0 09:10  open
    day 0 09:20  event  buy tx=T1 ip={MISTAKEN}
    day 0 09:30  event  buy tx=T1
    """


def test_a_view_made_again_by_a_version_without_the_mistake_is_the_same(mended: Mended) -> None:
    _, house = told_with_mistakes(MISTAKEN_TALE)
    stood = outcomes_of(house)
    again = House(journal=house.journal, store=MemoryStore(), answers=MemoryAnswers())
    with mended:
        state = run(again.attributor()).state()
    assert (state["differences"], state["counters"]["outcomes"]) == (0, 0)
    assert state["counters"]["set_aside"] == 3
    assert outcomes_of(again) == stood
    assert rows_of(again.store) == rows_of(house.store)


def test_a_replay_by_a_version_without_the_mistake_changes_nothing(mended: Mended) -> None:
    _, house = told_with_mistakes(MISTAKEN_TALE)
    with mended:
        found = replay(bench(house), WhatIf(house.journal.end()))
    assert (found.changed, found.differences) == (0, 0)


def test_a_crash_before_the_commit_and_a_new_version_after_it_change_nothing(
    mended: Mended, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = read_tale(MISTAKEN_TALE)
    house = House()
    house.append(told.entries)
    commit = house.store.commit

    def die(*_: Any) -> None:
        raise StoreUnavailable("the process dies here")

    monkeypatch.setattr(house.store, "commit", die)
    with pytest.raises(StoreUnavailable):
        run(house.attributor())
    monkeypatch.setattr(house.store, "commit", commit)
    stood = outcomes_of(house)
    assert stood
    with mended:
        state = run(house.attributor()).state()
    assert state["differences"] == 0
    assert outcomes_of(house) == stood


def test_the_mistake_is_logged_and_counted_once(mended: Mended) -> None:
    house = House()
    house.append(read_tale(MISTAKEN_TALE).entries)
    with capture_logs() as logs:
        role = run(house.attributor())
    said = [line for line in logs if "is set aside" in line["what"]]
    assert len(said) == 3
    assert all(isinstance(line["exc_info"], KeyError) for line in said)
    assert role.state()["counters"]["set_aside"] == 3
    with capture_logs() as logs:
        assert run(house.attributor()).state()["counters"]["set_aside"] == 3
    assert logs == []


def test_a_disk_that_does_not_work_when_answers_are_made_is_no_mistake_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = House()
    house.append(read_tale("day 0 09:00 open").entries)

    def fail(*_: Any) -> None:
        raise StoreUnavailable("no")

    with monkeypatch.context() as broken:
        broken.setattr(attributor_, "answer", fail)
        with pytest.raises(StoreUnavailable):
            run(house.attributor())
    run(house.attributor())
    assert house.answers.get("game", "d1")
    assert len(list(house.outcomes())) == 1


def test_a_flood_of_mistakes_does_not_flood_the_log() -> None:
    house = House()
    lines = "\n".join(f"day 0 09:{n:02} open ip={MISTAKEN}" for n in range(40))
    house.append(read_tale(lines).entries)
    with capture_logs() as logs:
        run(house.attributor())
    assert len(logs) == 11
    assert logs[-1]["count"] == 30


def test_an_answer_that_cannot_be_made_costs_one_device_and_not_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make = attributor_.answer

    def answer(state: Any, turn: Any) -> bytes | None:
        if state.device == "d2":
            raise KeyError("planted")
        return make(state, turn)

    monkeypatch.setattr(attributor_, "answer", answer)
    with capture_logs() as logs:
        house = tell(read_tale("day 0 09:00 open device=d2\nday 0 09:01 open"))
    assert [line["what"] for line in logs] == ["device d2 keeps its older answer"]
    assert house.answers.get("game", "d1")
    assert house.answers.get("game", "d2") is None


# --- a journal of version 0.1.0


def older(entries: Any) -> Iterator[tuple[Topic, bytes]]:
    """A journal whose outcomes do not say yet that an event waits."""
    for entry in sorted(entries):
        outcome = decode(entry) if entry.topic is Topic.OUTCOMES else None
        if type(outcome).__name__ == "Held":
            yield Topic.DELIVERIES, b"a place taken"
        else:
            yield entry.topic, entry.payload


def test_a_journal_that_does_not_say_what_waits_is_judged_as_before() -> None:
    text = """
        day 0 09:00  event  level
        day 0 09:01  event  level device=d2 gaid=g2
        day 0 09:10  open
        day 9 09:10  open
        """
    stood = tell(read_tale(text))
    house = House()
    topics = (Topic.CONTROL, Topic.TOUCHES, Topic.ACTIVITY, Topic.OUTCOMES)
    entries = [entry for topic in topics for entry in stood.journal.read((topic,), 0, 10**6)]
    for topic, payload in older(entries):
        house.journal.append([(topic, payload)])
    state = run(house.attributor()).state()
    assert (state["differences"], state["counters"]["outcomes"]) == (0, 0)
    assert rows_of(house.store) == rows_of(stood.store)
    assert replay(bench(house), WhatIf(house.journal.end())).differences == 0


def test_an_event_that_does_not_say_how_many_units_it_was_is_judged_as_before() -> None:
    house = tell(read_tale("day 0 09:00 open\nday 0 09:01 event level"))
    then = next(one for one in house.outcomes() if isinstance(one, CreditedEvent))

    def differ(now: Outcome, then: Outcome) -> int:
        said, stood = Said(now, encode(now)), Stood(Position(9), encode(then), then)
        return compare([said], [stood], is_last=False).differences

    two = replace(then, quantity="2")
    assert differ(two, then) == 0
    assert differ(two, replace(then, quantity="3")) == 1
    assert differ(then, two) == 1, "what was said must be said again"
    assert differ(replace(two, name="other"), then) == 1
    assert differ(two, next(house.outcomes())) == 1


def test_an_outcome_of_no_entry_is_a_difference_in_a_replay() -> None:
    house = tell(read_tale("day 0 09:00 open"))
    (outcome,) = house.outcomes()
    foreign = replace(outcome, position=house.journal.end(), conversion="cv_of_nothing")
    house.journal.append([(Topic.OUTCOMES, encode(foreign))])
    found = replay(bench(house), WhatIf(house.journal.end()))
    assert (found.differences, found.changed, found.judged) == (1, 1, 2)


def test_what_is_appended_after_it_was_opened_is_in_no_transcript() -> None:
    """Else an attributor would meet what it writes itself."""
    house = tell(read_tale("day 0 09:00 open"))
    end = house.journal.end()
    transcript = Transcript(house.journal, START, end, 100)
    house.journal.append([(Topic.OUTCOMES, payload) for payload in outcomes_of(house)])
    outcome = next(house.outcomes())
    assert [stood.position for stood in transcript.of(outcome.position)] == [end]
    assert transcript.is_at_end()


def test_an_outcome_that_is_missing_between_others_is_a_difference_and_is_not_written_late() -> (
    None
):
    told = read_tale("day 0 09:00 open\nday 0 09:01 open device=d2 gaid=g2")
    whole = tell(told)
    house = House()
    house.append(told.entries)
    last = outcomes_of(whole)[-1]
    house.journal.append([(Topic.OUTCOMES, last)])
    state = run(house.attributor()).state()
    assert state["differences"] == 1
    assert outcomes_of(house) == [last]
