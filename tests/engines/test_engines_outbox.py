"""What every outbox promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from query_plans import steps_of

from attribune.engines import sql_outbox
from attribune.engines.sql_outbox import SqlOutbox
from attribune.model.delivery import (
    HOLDING_DECLINES,
    Again,
    Attempt,
    DeliveryState,
    LogQuestion,
    OutboxPage,
    Planned,
    SentRequest,
    Settled,
    Trigger,
)
from attribune.model.errors import StoreUnavailable
from attribune.model.ids import (
    START,
    ConversionId,
    DeliveryId,
    DeviceId,
    PartnerId,
    Position,
    PostbackId,
    ProductId,
)

MINE = PostbackId("acme-1")
SENT = SentRequest(method="GET", url="https://acme.example/?c=1")


def planned(name: str, **words: Any) -> Planned:
    given = {
        "id": DeliveryId(name),
        "postback": MINE,
        "partner": PartnerId("acme"),
        "product": ProductId("game"),
        "device": DeviceId("d1"),
        "outcome_id": f"o-{name}",
        "revision": 1,
        "trigger": Trigger.INSTALL,
        "subject": f"o-{name}",
        "place": Position(7),
        "at_ms": 1000,
    }
    return Planned(**(given | words))


def attempt(name: str, number: int, state: DeliveryState, **words: Any) -> Attempt:
    given = {"at_ms": 2000, "took_ms": 5, "status": 200}
    return Attempt(
        delivery=DeliveryId(name), postback=MINE, number=number, state=state, **(given | words)
    )


def settled(name: str, state: DeliveryState, reason: str) -> Settled:
    return Settled(delivery=DeliveryId(name), postback=MINE, at_ms=3000, state=state, reason=reason)


def due(outbox: Any, now_ms: int = 10_000, limit: int = 100, **words: Any) -> list[str]:
    rows = outbox.due(MINE, now_ms, limit, **({"in_order": False} | words))
    return [row.planned.id for row in rows]


def test_a_new_outbox_is_empty(open_outbox):
    outbox = open_outbox()
    assert outbox.position() == START
    assert (due(outbox), outbox.counts(), outbox.log(LogQuestion())) == ([], {}, [])
    assert outbox.next_due_ms(MINE) is None


def test_what_is_planned_waits_and_stands_when_opened_again(open_outbox):
    outbox = open_outbox()
    one = planned("a", copy=2, undoes=Position(3), device=None)
    outbox.fold(OutboxPage(planned=[one, planned("b")]), Position(9))
    outbox.close()
    again = open_outbox()
    assert again.position() == 9
    (row, _) = again.due(MINE, 10_000, 9, in_order=False)
    assert (row.planned, row.state, row.tries, row.request) == (one, DeliveryState.WAITING, 0, None)


def test_what_is_planned_twice_is_one_delivery_and_keeps_what_came_of_it(open_outbox):
    outbox = open_outbox()
    page = OutboxPage(planned=[planned("a")], came=[attempt("a", 1, DeliveryState.DELIVERED)])
    outbox.fold(page, Position(2))
    outbox.fold(OutboxPage(planned=[planned("a")]), Position(3))
    assert due(outbox) == []
    assert outbox.counts() == {MINE: {DeliveryState.DELIVERED: 1}}


def test_rows_are_due_in_time_and_the_longest_due_first(open_outbox):
    outbox = open_outbox()
    rows = [planned("late", at_ms=900), planned("soon", at_ms=100), planned("then", at_ms=5000)]
    outbox.fold(OutboxPage(planned=rows), Position(2))
    assert due(outbox, 899) == ["soon"]
    assert due(outbox, 900) == ["soon", "late"]
    assert due(outbox, 9000, limit=2) == ["soon", "late"]
    assert outbox.next_due_ms(MINE) == 100
    assert outbox.next_due_ms(PostbackId("other")) is None


def test_other_postbacks_are_not_mixed_in(open_outbox):
    outbox = open_outbox()
    other = planned("x", postback=PostbackId("other"), subject="o-a")
    outbox.fold(OutboxPage(planned=[other, planned("a")]), Position(2))
    assert due(outbox) == ["a"], "nor does one wait for another"


def test_an_attempt_that_failed_is_due_later_and_what_was_sent_is_kept(open_outbox):
    outbox = open_outbox()
    failed = attempt(
        "a", 1, DeliveryState.WAITING, status=503, next_at_ms=4000, reason="later", request=SENT
    )
    outbox.fold(OutboxPage(planned=[planned("a")], came=[failed]), Position(2))
    assert (due(outbox, 3999), due(outbox, 4000)) == ([], ["a"])
    polled = attempt("a", 2, DeliveryState.WAITING, next_at_ms=5000, poll_url="https://acme/1")
    outbox.fold(OutboxPage(came=[polled]), Position(3))
    (row,) = outbox.due(MINE, 5000, 1, in_order=False)
    assert (row.tries, row.request, row.poll_url, row.reason) == (2, SENT, "https://acme/1", None)
    (logged,) = outbox.log(LogQuestion())
    assert outbox.states([DeliveryId("a"), DeliveryId("z")]) == {"a": (DeliveryState.WAITING, 2)}
    assert [(a.number, a.status, a.reason) for a in logged.attempts] == [
        (1, 503, "later"),
        (2, 200, None),
    ]


def test_what_came_is_taken_in_its_order(open_outbox):
    outbox = open_outbox()
    came = [
        attempt("a", 1, DeliveryState.WAITING, next_at_ms=4000),
        settled("a", DeliveryState.GAVE_UP, "three days"),
        settled("b", DeliveryState.WITHDRAWN, "taken back"),
        attempt("b", 1, DeliveryState.DELIVERED),
    ]
    outbox.fold(OutboxPage(planned=[planned("a"), planned("b")], came=came), Position(2))
    found = {
        one.row.planned.id: (one.row.state, one.row.reason) for one in outbox.log(LogQuestion())
    }
    assert found == {
        "a": (DeliveryState.GAVE_UP, "three days"),
        "b": (DeliveryState.DELIVERED, None),
    }


def test_a_row_waits_for_an_earlier_one_about_the_same_thing(open_outbox):
    outbox = open_outbox()
    first, back = planned("a", at_ms=5000), planned("r", subject="o-a", trigger=Trigger.REVERSAL)
    copy = planned("c", subject="o-a", copy=1)
    outbox.fold(OutboxPage(planned=[first, back, copy, planned("b")]), Position(2))
    assert due(outbox, 2000) == ["c", "b"]
    assert due(outbox, 5000) == ["c", "b", "a"]
    outbox.fold(OutboxPage(came=[attempt("a", 1, DeliveryState.DELIVERED)]), Position(3))
    assert due(outbox, 2000) == ["r", "c", "b"]
    found = outbox.about(MINE, ["o-a", "o-b", "o-z"])
    names = {subject: [row.id for row in rows] for subject, rows in found.items()}
    assert names == {"o-a": ["a", "r", "c"]}, "nothing stands around what is alone"


def test_in_order_a_row_waits_for_an_earlier_one_of_its_device(open_outbox):
    outbox = open_outbox()
    rows = [
        planned("a", at_ms=5000),
        planned("b"),
        planned("n", device=None),
        planned("m", device=None),
        planned("o", device=DeviceId("d2")),
    ]
    outbox.fold(OutboxPage(planned=rows), Position(2))
    assert due(outbox, 2000) == ["b", "n", "m", "o"]
    assert due(outbox, 2000, in_order=True) == ["n", "m", "o"]


def test_in_order_what_was_declined_often_is_overtaken_by_its_device_and_not_by_what_is_about_it(
    open_outbox,
):
    outbox = open_outbox()
    rows = [planned("a"), planned("b"), planned("r", subject="o-a", trigger=Trigger.REVERSAL)]
    outbox.fold(OutboxPage(planned=rows), Position(2))
    no = {"status": 404, "next_at_ms": 99_000}
    times = HOLDING_DECLINES
    for n in range(1, times):
        came = [attempt("a", n, DeliveryState.WAITING, declines=n, **no)]
        outbox.fold(OutboxPage(came=came), Position(2 + n))
    assert due(outbox, in_order=True) == []
    last = attempt("a", times, DeliveryState.WAITING, declines=times, **no)
    outbox.fold(OutboxPage(came=[last]), Position(2 + times))
    assert due(outbox, in_order=True) == ["b"]
    assert due(outbox, 99_000, in_order=True) == ["b", "a"]
    (row,) = outbox.waiting(MINE, 10_000, 1)
    assert (row.declines, row.tries) == (times, times)
    outbox.fold(OutboxPage(came=[Again(DeliveryId("a"), 9000)]), Position(3 + times))
    assert due(outbox, in_order=True) == ["a"], "who sends it again begins anew"


def test_a_row_is_tried_since_its_first_attempt(open_outbox):
    outbox = open_outbox()
    outbox.fold(OutboxPage(planned=[planned("a", at_ms=1000)]), Position(2))
    since = [outbox.waiting(MINE, 99_000, 1)[0].since_ms]
    for n, at_ms in ((1, 5000), (2, 7000)):
        came = [attempt("a", n, DeliveryState.WAITING, at_ms=at_ms, next_at_ms=9000)]
        outbox.fold(OutboxPage(came=came), Position(2 + n))
        since.append(outbox.waiting(MINE, 99_000, 1)[0].since_ms)
    assert since == [1000, 5000, 5000]


def test_a_person_can_have_it_sent_again(open_outbox):
    outbox = open_outbox()
    delivered = attempt("a", 1, DeliveryState.DELIVERED)
    outbox.fold(OutboxPage(planned=[planned("a")], came=[delivered]), Position(2))
    wanted = [Again(DeliveryId("a"), 6000), Again(DeliveryId("?"), 1)]
    outbox.fold(OutboxPage(came=wanted), Position(3))
    assert (due(outbox, 5999), due(outbox, 6000)) == ([], ["a"])
    (row,) = outbox.waiting(MINE, 6000, 9)
    assert row.tries == 1, "its attempts are counted on"
    assert outbox.waiting(MINE, 5999, 9) == [], "and it is tried since then"


def test_what_was_told_after_a_person_wanted_it_again_stands(open_outbox):
    outbox = open_outbox()
    first, second = (attempt("a", n, DeliveryState.DELIVERED) for n in (1, 2))
    came = [first, Again(DeliveryId("a"), 6000), second]
    for page in (OutboxPage(planned=[planned("a")], came=came), OutboxPage(came=came)):
        outbox.fold(
            page, Position(2)
        )  # the second time as after a commit of which nothing was heard
    assert due(outbox, 9000) == []
    (logged,) = outbox.log(LogQuestion())
    assert (logged.row.state, logged.row.tries) == (DeliveryState.DELIVERED, 2)
    assert [one.number for one in logged.attempts] == [1, 2]


def test_the_log_is_asked_by_partner_state_outcome_and_page(open_outbox):
    outbox = open_outbox()
    rows = [planned("a"), planned("b", partner=PartnerId("zeta")), planned("c")]
    came = [attempt("c", 1, DeliveryState.DELIVERED)]
    outbox.fold(OutboxPage(planned=rows, came=came), Position(2))

    def asked(**words: Any) -> list[str]:
        return [one.row.planned.id for one in outbox.log(LogQuestion(**words))]

    assert asked() == ["c", "b", "a"]
    assert asked(partner=PartnerId("acme")) == ["c", "a"]
    assert asked(state=DeliveryState.WAITING, postback=MINE) == ["b", "a"]
    assert asked(outcome_ids=("o-a", "o-b")) == ["b", "a"]
    assert asked(ids=(DeliveryId("c"),)) == ["c"]
    newest, *_ = outbox.log(LogQuestion(rows_max=1))
    assert newest.row.planned.id == "c"
    assert asked(before=newest.number, rows_max=1) == ["b"]


def test_what_the_plan_remembers(open_outbox):
    outbox = open_outbox()
    many = {ConversionId(f"cv{n}"): n for n in range(1200)}
    outbox.fold(
        OutboxPage(
            conversions=many,
            transactions={(b"t1", "e1"): Position(4), (b"t2", "e1"): Position(2)},
            sharing={b"d1": False, b"d2": True, b"d3": False},
        ),
        Position(5),
    )
    outbox.fold(
        OutboxPage(
            conversions={ConversionId("cv7"): 70},
            transactions={(b"t1", "e1"): Position(6), (b"t1", "e2"): Position(5)},
            sharing={b"d3": True},
        ),
        Position(6),
    )
    assert outbox.conversions(list(many)) == many | {"cv7": 70}
    assert [outbox.bearing(one, 9) for one in (b"t1", b"t2", b"t3")] == [[5, 6], [2], []]
    assert outbox.bearing(b"t1", 1) == [5]
    assert outbox.not_sharing([b"d1", b"d2", b"d3", b"d4"]) == {b"d1"}


def test_a_page_and_its_position_are_all_or_nothing(tmp_path: Path, monkeypatch):
    outbox = SqlOutbox(tmp_path / "outbox.db")

    def break_down(*args):
        raise sa.exc.OperationalError("UPDATE", {}, Exception("disk I/O error"))

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "_move", break_down)
        with pytest.raises(StoreUnavailable, match=r"the outbox .* disk I/O error"):
            outbox.fold(OutboxPage(planned=[planned("a")]), Position(2))
    assert (outbox.counts(), outbox.position()) == ({}, START)
    outbox.close()


def test_tables_are_as_the_migrations_make_them(tmp_path: Path):
    outbox = SqlOutbox(tmp_path / "outbox.db")
    migrated = sa.inspect(outbox._engine)
    for table in sql_outbox._tables.sorted_tables:
        made = {column["name"]: column for column in migrated.get_columns(table.name)}
        assert set(made) == {column.name for column in table.columns}
        for column in table.columns:
            assert made[column.name]["nullable"] == column.nullable, (table.name, column.name)
        indexes = {one["name"]: one["column_names"] for one in migrated.get_indexes(table.name)}
        assert indexes == {one.name: [c.name for c in one.columns] for one in table.indexes}
    outbox.close()


@pytest.mark.parametrize("in_order", [False, True])
def test_who_is_due_is_found_without_reading_who_waits(tmp_path: Path, in_order):
    outbox = SqlOutbox(tmp_path / "outbox.db")
    query = f"EXPLAIN QUERY PLAN {sql_outbox.DUE_IN_ORDER if in_order else sql_outbox.DUE}"
    values = {"postback": MINE, "now_ms": 1, "limit": 1, **({"holding": 6} if in_order else {})}
    steps = [row[3] for row in outbox.rows(sa.text(query), values)]
    assert "deliveries_due (postback=? AND state=? AND due_at_ms<?)" in steps[0]
    assert not any("SCAN" in step or "TEMP B-TREE" in step for step in steps), steps
    assert sum("deliveries_subject" in step for step in steps) == 1
    assert sum("deliveries_device" in step for step in steps) == int(in_order)
    outbox.close()


def test_what_is_told_of_an_outcome_is_found_by_two_indexes(tmp_path: Path):
    outbox = SqlOutbox(tmp_path / "outbox.db")
    steps = steps_of(outbox._engine, lambda: outbox.log(LogQuestion(outcome_ids=("a", "b"))))
    assert not any("SCAN" in step for step in steps), steps
    assert any("deliveries_subject (subject=?" in step for step in steps), steps
    assert any("deliveries_outcome (outcome_id=?" in step for step in steps), steps
    outbox.close()


def test_of_who_is_forgotten_no_word_stays_in_the_files(tmp_path: Path):
    """Not in the log either, which is written home seldom; and when somebody read meanwhile, soon after."""
    path = tmp_path / "outbox.db"
    outbox, reader = SqlOutbox(path), SqlOutbox(path, is_reader=True)

    def words() -> int:
        return sum(one.read_bytes().count(b"click-of-d1") for one in tmp_path.iterdir())

    sent = SentRequest(method="GET", url="https://acme.example/?c=click-of-d1")
    came = [attempt("a", 1, DeliveryState.DELIVERED, request=sent, answer="click-of-d1")]
    outbox.fold(OutboxPage(planned=[planned("a")], came=came), Position(2))
    assert words() > 0
    gone = OutboxPage(forgotten=[(ProductId("game"), DeviceId("d1"))])
    with reader._engine.connect() as reading:
        reading.exec_driver_sql("SELECT count(*) FROM deliveries").all()
        outbox.fold(gone, Position(3))
        assert words() > 0, "who reads sees what stood when it began"
    outbox.fold(OutboxPage(), Position(4))
    assert words() == 0
    [told] = outbox.log(LogQuestion())
    assert (told.row.request, told.attempts[0].answer) == (SentRequest(method="", url=""), "")
    reader.close()
    outbox.close()
