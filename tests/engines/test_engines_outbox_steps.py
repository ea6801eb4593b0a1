"""An outbox that an earlier version made goes on, with all that stands in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from attribune.engines import migrations
from attribune.engines.sql_outbox import SqlOutbox
from attribune.model.delivery import (
    Attempt,
    DeliveryState,
    LogQuestion,
    OutboxPage,
    Planned,
    Trigger,
)
from attribune.model.ids import (
    DeliveryId,
    DeviceId,
    PartnerId,
    Position,
    PostbackId,
    ProductId,
)

MINE = PostbackId("acme-1")
STEPS = Path(migrations.__path__[0])


def made(path: Path, version: str, *statements: tuple[str, Sequence[Any]]) -> None:
    """An outbox as a version of the tables made it, and what it wrote there."""
    config = Config()
    config.set_main_option("script_location", str(STEPS))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(STEPS / "outbox"))
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    engine.dispose()
    with closing(sqlite3.connect(path)) as before, before:
        for statement, values in statements:
            before.execute(statement, values)


def delivery(number: int, name: str, **words: Any) -> tuple[str, list[Any]]:
    row = {
        "number": number, "id": name, "postback": MINE, "partner": "acme", "product": "game", "device": "d1",
        "outcome_id": f"o-{name}", "revision": 1, "trigger": "install", "subject": f"o-{name}", "copy": 0, "place": 7,
        "at_ms": 1000, "state": 0, "tries": 0, "due_at_ms": 1000, "since_ms": 1000,
    } | words  # fmt: skip
    names = ", ".join(row)
    return f"INSERT INTO deliveries ({names}) VALUES ({', '.join('?' * len(row))})", [*row.values()]


def tried(name: str, number: int, answer: str, state: int) -> tuple[str, list[Any]]:
    row = [name, number, 2000 + number, 5, 200, None, answer, state, None]
    return "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row


def test_what_is_known_of_transactions_outlives_the_step_that_keeps_more_of_them(tmp_path: Path):
    path = tmp_path / "outbox.db"
    made(path, "0001", ("INSERT INTO transactions VALUES (?, 4)", [b"t1"]))
    outbox = SqlOutbox(path)
    assert outbox.bearing(b"t1", 9) == [4]
    outbox.fold(OutboxPage(transactions={(b"t1", "e1"): Position(6)}), Position(6))
    assert outbox.bearing(b"t1", 9) == [4, 6]
    outbox.close()


def test_what_waited_before_nos_were_counted_was_declined_never(tmp_path: Path):
    path = tmp_path / "outbox.db"
    made(path, "0002", delivery(1, "a"))
    outbox = SqlOutbox(path)
    (row,) = outbox.due(MINE, 10_000, 9, in_order=True)
    assert (row.planned.id, row.declines, row.request) == ("a", 0, None)
    outbox.close()


def test_every_attempt_outlives_the_step_that_keeps_the_last_with_its_delivery(tmp_path: Path):
    path = tmp_path / "outbox.db"
    before = [tried("z", 1, "z1", 0), tried("a", 1, "a1", 0), tried("a", 2, "a2", 0)]
    made(path, "0003", delivery(3, "z", tries=1), delivery(8, "a", tries=2), *before)
    outbox = SqlOutbox(path)

    def seen() -> list[tuple[str, int, int, str, DeliveryState]]:
        return [
            (told.delivery, told.number, told.at_ms, told.answer, told.state)
            for one in outbox.log(LogQuestion())
            for told in one.attempts
        ]

    waiting, delivered = DeliveryState.WAITING, DeliveryState.DELIVERED
    old = [("a", 1, 2001, "a1", waiting), ("a", 2, 2002, "a2", waiting)]
    assert seen() == [*old, ("z", 1, 2001, "z1", waiting)]
    # Two of one delivery in one page, and one more behind what stood before.
    came = [
        Attempt(
            delivery=DeliveryId(name), postback=MINE, number=number, at_ms=3000 + number, took_ms=1, status=200,
            answer=f"{name}{number}", state=delivered,
        )
        for name, number in (("a", 3), ("a", 4), ("z", 2))
    ]  # fmt: skip
    outbox.fold(OutboxPage(came=came), Position(9))
    outbox.fold(OutboxPage(came=came), Position(9))
    new = [("a", 3, 3003, "a3", delivered), ("a", 4, 3004, "a4", delivered)]
    told = [("z", 1, 2001, "z1", waiting), ("z", 2, 3002, "z2", delivered)]
    assert seen() == [*old, *new, *told]
    outbox.close()


def test_who_was_forgotten_before_the_step_stays_forgotten_after_it(tmp_path: Path):
    path = tmp_path / "outbox.db"
    gone = DeviceId(f"forgotten:{'0' * 32}")
    made(path, "0003", delivery(1, "a", device=gone, url="", method="", body=""))
    outbox = SqlOutbox(path)
    late = Attempt(
        delivery=DeliveryId("a"), postback=MINE, number=1, at_ms=1, took_ms=1, status=200, answer="d1 is fine",
        state=DeliveryState.DELIVERED,
    )  # fmt: skip
    outbox.fold(OutboxPage(came=[late]), Position(9))
    [told] = outbox.log(LogQuestion())
    assert [one.answer for one in told.attempts] == [""]
    outbox.close()


def test_a_refund_is_found_by_its_own_outcome_and_is_no_other_s(tmp_path: Path):
    outbox = SqlOutbox(tmp_path / "outbox.db")

    def planned(name: str, outcome: str, subject: str) -> Planned:
        of = PartnerId("acme"), ProductId("game"), outcome, 1, Trigger.EVENT, subject
        return Planned(DeliveryId(name), MINE, *of, Position(7), 1)

    rows = [planned("bought", "e1", "e1"), planned("refunded", "e2", "e1"), planned("x", "e3", "e3")]  # fmt: skip
    outbox.fold(OutboxPage(planned=rows), Position(9))

    def found(*outcomes: str) -> list[str]:
        return [one.row.planned.id for one in outbox.log(LogQuestion(outcome_ids=outcomes))]

    assert found("e1") == ["bought"]
    assert found("e2") == ["refunded"]
    assert found("e1", "e2", "none") == ["refunded", "bought"]
    outbox.close()
