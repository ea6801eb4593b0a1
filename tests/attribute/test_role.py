"""The attributor as a role: ticks, answers, and what it does with a history that is not its own."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace
from tale import DAY_ZERO_MS, PRODUCT, House, PlainEnricher, read_tale, tell

from attribune.attribute.attributor import Attributor
from attribune.attribute.desk import Desk
from attribune.attribute.rows import DEVICE, HELD, TOUCH, USED
from attribune.attribute.turn import Limits
from attribune.collect.links import read_touch
from attribune.engines.memory import MemoryAnswers, MemoryStore
from attribune.engines.system import MemoryClock
from attribune.model.codec import decode, encode
from attribune.model.control import Change, Link
from attribune.model.ids import (
    START,
    ConversionId,
    DeviceId,
    LinkId,
    ProductId,
    TouchId,
    digest,
)
from attribune.model.outcome import Attribution, CreditedEvent
from attribune.model.policy import DAY_MS, HOUR_MS
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason
from attribune.model.unmeasured import NOT_MEASURED
from attribune.ports import Row
from attribune.registry.view import Registry
from attribune.roles.attributor import AttributorRole
from attribune.settings import Settings


def role_at(house: House, now_ms: int) -> AttributorRole:
    registry = Registry()
    work = Attributor(registry, house.store, PlainEnricher(), read_touch)
    clock = MemoryClock(now_ms)
    return AttributorRole(
        house.journal,
        registry,
        work,
        house.answers,
        clock,
        Settings(read_entries_max=10, poll_ms=1, tick_ms=60_000),
    )


def test_time_is_journaled_only_when_something_waits_for_it() -> None:
    """A tick stands in the journal, so whoever reads it later lets the held event go at the same place."""
    house = tell(read_tale("day 0 09:00 event level"))
    role = role_at(house, DAY_ZERO_MS + DAY_MS)
    before = house.journal.end()
    role.tick()
    assert house.journal.end() == before, "not due yet"
    role = role_at(house, DAY_ZERO_MS + 2 * DAY_MS)
    role.tick()
    role.tick()
    assert house.journal.end() == before + 1, "once a minute at most"
    assert role.step() == 1
    assert [getattr(o, "source", "held") for o in house.outcomes()] == ["held", "unknown"]


def test_a_person_may_say_that_an_install_was_fraud_and_its_events_only_follow() -> None:
    house = tell(
        read_tale("""
        day 0 09:00 click acme/spring as c
        day 0 09:10 open device=d1 ref=c
        day 0 09:20 event buy device=d1
        day 0 09:30 correct d1 to organic rejected
        day 0 09:40 correct d1 to c
        """)
    )
    said = map(decode, house.journal.read((Topic.OUTCOMES,), START, 100))
    causes = [
        (type(one).__name__, one.cause.kind, one.cause.is_rejected)
        for one in said
        if isinstance(one, Attribution | CreditedEvent) and one.cause
    ]
    assert causes == [
        ("Attribution", "person", True),
        ("CreditedEvent", "cascade", False),
        ("Attribution", "person", False),
        ("CreditedEvent", "cascade", False),
    ]


def test_sdks_are_told_the_decision_and_its_correction() -> None:
    house = tell(
        read_tale(
            """
            day 0 09:00 click acme/spring as c click_id=abc
            day 0 09:10 open
            """
        )
    )
    told = msgspec.json.decode(house.answers.get(PRODUCT, "d1"))
    assert told["status"] == "decided"
    assert told["attribution"]["partner"] == "acme"
    assert told["attribution"]["is_organic"] is False
    assert told["attribution"]["click_at"] == DAY_ZERO_MS + 9 * 3_600_000


def test_sdks_are_told_what_the_link_says_to_the_app() -> None:
    told = read_tale("day 0 09:00 click acme/spring as c\nday 0 09:10 open")
    links = [
        (place, entry[1])
        for place, entry in enumerate(told.entries)
        if isinstance(entry[1], Change) and isinstance(entry[1].record, Link)
    ]
    for place, change in links:
        link = replace(change.record, deep_link_data={"room": '"7"'})
        told.entries[place] = (Topic.CONTROL, replace(change, record=link))
    assert links
    answer = msgspec.json.decode(tell(told).answers.get(PRODUCT, "d1"))
    assert answer["deep_link_data"] == {"room": "7"}
    assert answer["attribution"]["link"]
    assert answer["attribution"]["touch"] == "click"


def test_who_refuses_to_be_measured_is_answered_and_nothing_is_said_of_them() -> None:
    """Else an SDK that asks would be told *pending* for ever. It is an organic answer, and says why."""
    house = tell(read_tale("day 0 09:00 open device=d2\nday 0 09:01 consent no"))
    told = msgspec.json.decode(house.answers.get(PRODUCT, "d1"))
    organic = msgspec.json.decode(house.answers.get(PRODUCT, "d2"))
    assert told == organic | {"measurement": False}
    assert house.answers.get(PRODUCT, "d1") == NOT_MEASURED
    kinds = [type(outcome).__name__ for outcome in house.outcomes()]
    assert kinds == ["Attribution", "Noted"]


def test_what_was_decided_is_told_again_when_measuring_is_allowed_again() -> None:
    won = "day 0 09:00 click acme/spring\nday 0 09:10 open"
    stood = tell(read_tale(won)).answers.get(PRODUCT, "d1")
    refused = tell(read_tale(f"{won}\nday 0 09:20 consent no\nday 0 09:21 open"))
    assert refused.answers.get(PRODUCT, "d1") == NOT_MEASURED
    allowed = tell(read_tale(f"{won}\nday 0 09:20 consent no\nday 0 09:30 consent yes"))
    assert allowed.answers.get(PRODUCT, "d1") == stood


def test_who_allows_measuring_before_the_first_open_is_pending_again() -> None:
    house = tell(read_tale("day 0 09:00 consent no\nday 0 09:01 consent yes"))
    assert house.answers.get(PRODUCT, "d1") is None


def test_an_answer_to_who_refused_that_was_lost_in_a_crash_is_given_again() -> None:
    house = tell(read_tale("day 0 09:01 consent no"))
    house.answers = MemoryAnswers()
    role_at(house, DAY_ZERO_MS)
    assert house.answers.get(PRODUCT, "d1") == NOT_MEASURED


def test_answers_lost_in_a_crash_are_given_again() -> None:
    house = tell(read_tale("day 0 09:00 click acme/spring\nday 0 09:10 open"))
    stood = house.answers.get(PRODUCT, "d1")
    house.answers = MemoryAnswers()
    role_at(house, DAY_ZERO_MS)
    assert house.answers.get(PRODUCT, "d1") == stood


def test_a_decision_that_differs_from_what_stands_is_counted_and_not_written_again() -> None:
    """What stands in the journal is the truth; that it differs is an audit failure."""
    told = read_tale("day 0 09:00 open")
    house = House()
    house.append(told.entries)
    other = next(tell(read_tale("day 0 09:01 open")).outcomes())
    house.journal.append([(Topic.OUTCOMES, encode(other))])
    role = house.attributor()
    while role.step():
        pass
    assert role.state()["differences"] == 1
    assert len(house.journal.read((Topic.OUTCOMES,), START, 10)) == 1
    assert house.attributor().state()["differences"] == 1, "and remembered"


def test_old_touches_are_forgotten_and_devices_never() -> None:
    """What is older than touches are remembered is gone from matching at once, and from the store with the next week."""
    house = tell(
        read_tale(
            """
            day 0 09:00 click acme/spring as old gaid=none
            day 0 09:00 open device=d1 gaid=g9
            day 200 09:00 open device=d2 gaid=none ref=old
            day 200 09:01 open device=d1 gaid=g9
            """
        )
    )
    kinds = [(type(o).__name__, getattr(o, "source", None)) for o in house.outcomes()]
    assert kinds == [
        ("Attribution", "organic"),
        ("Attribution", "organic"),
        ("CreditedOpen", "organic"),
    ]
    tables = {key.table for key in house.store._values}
    assert TOUCH not in tables
    assert DEVICE in tables


def test_a_hit_on_a_link_that_nobody_made_is_refused_and_wins_nothing() -> None:
    """The door knows its links, and may be a moment ahead of the journal after a restore."""
    told = read_tale("day 0 09:00 click acme/spring as c\nday 0 09:10 open ref=c")
    house = House()
    house.append(
        (topic, msgspec.structs.replace(record, link=LinkId("gone")))
        if topic is Topic.TOUCHES
        else (topic, record)
        for topic, record in told.entries
    )
    role = house.attributor()
    while role.step():
        pass
    refused, installed = house.outcomes()
    assert (refused.record_type, refused.reason) == ("touch", RefusalReason.UNKNOWN_LINK)
    assert (refused.record, refused.at_ms) == (told.touches["c"], DAY_ZERO_MS + 9 * HOUR_MS)
    assert (installed.source, installed.candidates) == ("organic", ())


def test_a_touch_of_another_product_wins_nothing() -> None:
    """Not even by a referrer that names it, which anybody can write."""
    told = read_tale("day 0 09:00 click acme/spring as c\nday 0 09:10 open ref=c")
    house = House()
    house.append(
        (topic, msgspec.structs.replace(record, product=ProductId("puzzle")))
        if topic is Topic.ACTIVITY
        else (topic, record)
        for topic, record in told.entries
    )
    role = house.attributor()
    while role.step():
        pass
    (installed,) = house.outcomes()
    assert (installed.product, installed.source) == ("puzzle", "organic")
    assert installed.candidates == ()


def test_what_a_person_allows_of_sharing_is_kept_until_they_say_otherwise() -> None:
    told = "day 0 09:00 consent sharing\nday 0 09:01 consent yes"
    for tale, sharing in ((told, True), (f"{told}\nday 0 09:02 consent no-sharing", False)):
        state = Desk(tell(read_tale(tale)).store).device(PRODUCT, DeviceId("d1"))
        assert (state.measurement, state.sharing) == (True, sharing)


def judged(tale: str, limits: Limits) -> list[tuple[str, str | None]]:
    """(type, reason) of each outcome of a tale under other limits."""
    house = House()
    house.append(read_tale(tale).entries)
    role = house.attributor(limits=limits)
    while role.step():
        pass
    return [(type(o).__name__, getattr(o, "reason", None)) for o in house.outcomes()]


def test_a_record_id_is_remembered_for_its_time_and_no_longer() -> None:
    tale = "day 0 09:00 open id=o\nday 0 09:59 open id=o\nday 0 10:00 open id=o"
    told = judged(tale, Limits(record_memory_ms=3_600_000))
    assert told == [
        ("Attribution", None),
        ("RefusedRecord", "repeated_record"),
        ("CreditedOpen", None),
    ]


def test_a_device_has_so_many_events_waiting_and_no_more() -> None:
    tale = "\n".join(f"day 0 09:0{n} event e{n}" for n in range(4)) + "\nday 0 09:10 open"
    told = judged(tale, Limits(held_events_max=3))
    assert told[:4] == [("Held", None)] * 3 + [("RefusedRecord", "too_many_held")]
    assert [kind for kind, _ in told[4:]] == ["Attribution", *["CreditedEvent"] * 3]


def test_a_device_has_so_many_events_waiting_also_when_its_user_is_bound_to_it_later() -> None:
    tale = """
        day 0 09:00 event deposit device=none user=u1 server
        day 0 09:01 event level
        day 0 09:02 event login user=u1 server
        day 0 09:03 open
    """
    full = judged(tale, Limits(held_events_max=1))
    assert full[:2] == [("Held", None)] * 2
    assert full[2:4] == [("RefusedRecord", "too_many_held")] * 2, "the deposit, and the login"
    assert [kind for kind, _ in full[4:]] == ["Attribution", "CreditedEvent"]
    roomy = judged(tale, Limits(held_events_max=3))
    assert [kind for kind, _ in roomy] == [*["Held"] * 3, "Attribution", *["CreditedEvent"] * 3]


def test_what_waits_is_written_once_however_often_its_user_is_named() -> None:
    """Else a server that names user and device with each event would have each rewrite all that wait."""
    house, written = House(), []
    house.append(read_tale("day 0 09:00 event login user=u1 server\n" * 5).entries)
    commit = house.store.commit
    house.store.commit = lambda rows, position: (
        written.append([row for row in rows if row.table == HELD]),
        commit(rows, position),
    )
    role = house.attributor(read_entries_max=1)
    while role.step():
        pass
    assert [len(rows) for rows in written if rows] == [1] * 5


def test_so_many_touches_of_a_key_are_considered_the_newest() -> None:
    house = House()
    house.append(
        read_tale(
            "\n".join(f"day 0 09:0{n} click p{n}/c" for n in range(5)) + "\nday 0 09:10 open"
        ).entries
    )
    role = house.attributor(limits=Limits(candidates_max=2))
    while role.step():
        pass
    (outcome,) = house.outcomes()
    assert [c.partner for c in outcome.candidates] == ["p4", "p3"]


def test_what_a_touch_has_won_under_the_first_version_is_still_known_and_freed() -> None:
    """A store of 0.1.0 knows one conversion a touch, in a row without a name."""
    store = MemoryStore()
    touch, conversion = TouchId("t1"), ConversionId("cv_1")
    store.commit({Row(USED, 0, digest(touch)): conversion.encode()}, START)
    desk = Desk(store)
    desk.use_touch(touch, ConversionId("cv_2"))
    assert desk.won_by(touch) == ["cv_1", "cv_2"]
    desk.free_touch(touch, conversion)
    assert desk.won_by(touch) == ["cv_2"]


def test_what_was_credited_is_asked_for_by_its_time() -> None:
    """Though it is filed by weeks: of a device that tells a lot, a cascade looks at no more than it must."""
    house = tell(
        read_tale("day 0 09:00 open\nday 1 09:00 event a\nday 2 09:00 event b\nday 3 09:00 event c")
    )
    day_ms = [DAY_ZERO_MS + n * DAY_MS + 9 * HOUR_MS for n in range(4)]
    credited = Desk(house.store).credited(PRODUCT, DeviceId("d1"), day_ms[2], day_ms[3] - 1)
    assert [outcome.name for outcome in credited] == ["b"]
