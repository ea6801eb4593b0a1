"""Reading order does not matter: batches, lag, crashes and re-deliveries leave the same outcomes, byte for byte."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tale import MISTAKEN, House, Told, bench, read_tale, tell

from attribune.attribute.replay import WhatIf, replay
from attribune.engines.memory import MemoryStore
from attribune.model.ids import START
from attribune.model.position import Topic

_TOUCH = st.sampled_from(
    [
        "click acme/spring",
        "click zeta/back retargeting",
        "click beta/x gaid=g2",
        "click acme/spring gaid=none ip=81.2.69.142",
        "impression zeta/brand",
        "click acme/spring server id=same",
        "click beta/late server late=3h",
    ]
)
_SAID = st.sampled_from(
    [
        "open",
        "open device=d2 gaid=g1",
        "open device=d2 gaid=g2 ip=81.2.69.142",
        "open device=d3 gaid=none ip=81.2.69.142",
        "open id=again",
        "open late=2h",
        f"open device=d2 gaid=g2 ip={MISTAKEN}",
        f"event level user=u1 tx=T1 ip={MISTAKEN}",
        f"event deposit device=none user=u1 tx=T2 server ip={MISTAKEN}",
        "event buy pay=1.50:EUR",
        "event buy tx=T1",
        "event level device=d9 gaid=none",
        "event deposit device=none user=u1 server",
        "event deposit device=none user=u1 tx=T2 server",
        "event level device=none tx=T1 by-order server",
        "event refund device=none tx=T1 by-order server",
        "event refund device=none tx=T2 by-order server",
        "forget gaid=g1",
        "event login user=u1 server",
        "event play device=d4 gaid=g2 implies",
        "evidence gaid=g2",
        "claim meta/ads",
        "claim meta/back retargeting device=d2 gaid=g2",
        "consent no device=d2 gaid=g2",
        "consent yes device=d2 gaid=g2",
        "known device=import:gaid:g2 gaid=g2 seen=20d",
        "policy adjust",
        "policy appsflyer",
        "policy attribune reconsider_ms=3h",
        "policy attribune hosting_networks=81.2.69.0/24",
        "correct d1 to organic",
        "test g2",
        "tick",
    ]
)
_STEP = st.sampled_from(["1m", "20m", "7h", "26h", "9d"])


@st.composite
def tales(draw: st.DrawFn) -> Told:
    lines = []
    minutes = 0
    for _ in range(draw(st.integers(2, 14))):
        minutes += {"1m": 1, "20m": 20, "7h": 420, "26h": 1560, "9d": 12960}[draw(_STEP)]
        what = draw(st.one_of(_TOUCH, _SAID, _SAID))
        day, rest = divmod(minutes, 1440)
        lines.append(f"day {day} {rest // 60:02}:{rest % 60:02} {what}")
    return read_tale("\n".join(lines))


class Crash(Exception):
    """The process dies here."""


class Faulty:
    """A port whose calls die now and then, before or after they took effect."""

    def __init__(self, port: Any, chance: random.Random, calls: tuple[str, ...]) -> None:
        self._port, self._chance, self._calls = port, chance, calls

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        if name not in self._calls:
            return call

        def perhaps(*args: Any) -> Any:
            luck = self._chance.random()
            if luck < 0.15:
                raise Crash
            out = call(*args)
            if luck < 0.3:
                raise Crash
            return out

        return perhaps


def judge_with_crashes(told: Told, chance: random.Random) -> House:
    """The house after an attributor that died again and again, while the entries came in by and by."""
    house = House()
    journal, store, answers = house.journal, house.store, house.answers
    house.journal = Faulty(journal, chance, ("append", "read"))
    house.store = Faulty(store, chance, ("commit",))
    house.answers = Faulty(answers, chance, ("put",))
    waiting = list(told.entries)
    role = None
    while True:
        try:
            role = role or house.attributor(read_entries_max=chance.randint(1, 4))
            worked = role.step()
            assert role.state()["differences"] == 0
        except Crash:
            role = None
            continue
        if waiting and (not worked or chance.random() < 0.5):
            some = chance.randint(1, 3)
            House(journal).append(waiting[:some])
            del waiting[:some]
        elif not waiting and not worked:
            return House(journal, store, answers)


def outcomes_of(house: House) -> list[bytes]:
    return [e.payload for e in house.journal.read((Topic.OUTCOMES,), START, 10**6)]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(told=tales(), seed=st.integers(0, 2**32))
def test_crashes_and_batches_leave_the_same_outcomes(told: Told, seed: int) -> None:
    """A reader that crashes anywhere, reads in any batches and lags at will decides the same, and appends it once."""
    chance = random.Random(seed)
    crashed = judge_with_crashes(told, chance)
    # Outcomes stand between the inputs where they were appended, so the calm house gets its inputs at the same places.
    calm = House()
    entries = [
        e
        for t in (Topic.CONTROL, Topic.TOUCHES, Topic.ACTIVITY, Topic.OUTCOMES)
        for e in crashed.journal.read((t,), START, 10**6)
    ]
    for entry in sorted(entries):
        if entry.topic is Topic.OUTCOMES:
            calm.journal.append([(Topic.DELIVERIES, b"a place taken")])
        else:
            calm.journal.append([(entry.topic, entry.payload)])
    role = calm.attributor(read_entries_max=10**6)
    while role.step():
        pass
    assert outcomes_of(crashed) == outcomes_of(calm)
    assert rows_of(crashed.store) == rows_of(calm.store)


def rows_of(store: MemoryStore) -> dict[Any, bytes]:
    """All that is remembered but for where the newest outcome stands, which differs with the batches."""
    return {key: value for key, value in store._values.items() if key.table != 14}


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(told=tales())
def test_replay_under_the_rules_in_force_changes_nothing(told: Told) -> None:
    """Also after links, policies and corrections were made in between."""
    house = tell(told, allows_mistakes=True)
    upto = house.journal.end()
    again = replay(bench(house), WhatIf(upto))
    assert (again.changed, again.differences, again.gains, again.losses) == (0, 0, {}, {})
    assert again.judged == len(
        {
            getattr(o, "conversion", None)
            for o in house.outcomes()
            if type(o).__name__ == "Attribution"
        }
    )


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_batches_share_what_they_learnt(batch: int) -> None:
    """A click and its open in one batch are as good as in two."""
    told = read_tale("day 0 09:00 click acme/spring\nday 0 09:10 open\nday 0 09:11 event buy")
    house = House()
    house.append(told.entries)
    role = house.attributor(read_entries_max=batch)
    while role.step():
        pass
    assert [getattr(o, "credit", None) and o.credit.partner for o in house.outcomes()] == [
        "acme",
        "acme",
    ]
