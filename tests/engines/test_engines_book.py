"""What every keeper of the book promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger import test_ledger_properties as properties
from ledger.books import Books
from query_plans import steps_of

from attribune.engines.sql_book import SqlBook
from attribune.model.book import (
    NEVER_MS,
    Entry,
    Line,
    LineKind,
    LineState,
    Place,
    account,
    entry,
)
from attribune.model.errors import FolderTooNew, StoreUnavailable
from attribune.model.ids import START, Position
from attribune.ports import BookWrites, KeptLine, LinesWanted, Moved, Taken

ALL = LinesWanted()
APPROVED = account("acme", Place.APPROVED)
PAYABLE = account("acme", Place.PAYABLE)


def line(id_: str, **more: Any) -> Line:
    words: dict[str, Any] = {
        "id": id_,
        "commission": "cm",
        "kind": LineKind.EARN,
        "state": LineState.PENDING,
        "partner": "acme",
        "offer": "cpa",
        "version": 1,
        "deal": 0,
        "level": 0,
        "below": None,
        "outcome": "oc",
        "event": "install",
        "at_ms": 1,
        "window": "2026-01",
        "amount_minor": 100,
        "currency": "EUR",
        "due_ms": 10,
        "month": 202601,
        "lost": ("all: fewer conditions",),
    }
    return Line(**(words | more))


def moved(id_: str, amount: int, debit: str = "expense", credit: str = APPROVED) -> Entry:
    return entry(id_, 5, debit, credit, amount, "EUR", "about", "earn")


def test_a_new_book_is_empty(open_book):
    book = open_book()
    assert book.position() == START
    assert book.lines(ALL, 0, 10) == []
    assert book.entries(None, 0, 10) == []
    assert book.balances() == []
    assert book.states(1, ["a"]) == {}
    assert book.due(LineState.PENDING, NEVER_MS, 10) == []
    assert book.next_due(LineState.PENDING) is None
    assert book.untaken("acme", 999_912) == {}


def test_what_was_written_stands_when_opened_again(open_book):
    book = open_book()
    lines = [line("a"), line("b", amount_minor=-5)]
    entries = [moved("a", 100), moved("b", -5)]
    book.commit(BookWrites(lines, entries, [(1, "x", b"1"), (2, "x", b"2")]), Position(7))
    book.close()
    again = open_book()
    assert again.position() == 7
    assert again.lines(ALL, 0, 10) == [KeptLine(1, lines[0], None), KeptLine(2, lines[1], None)]
    assert [one for _, one in again.entries(None, 0, 10)] == entries
    assert again.balances() == [("expense", "EUR", -95), (APPROVED, "EUR", 95)]
    assert again.states(1, ["x", "y"]) == {"x": b"1"}
    assert again.states(2, ["x"]) == {"x": b"2"}


def test_what_stands_already_is_left_and_counted_once(open_book):
    book = open_book()
    book.commit(BookWrites([line("a")], [moved("a", 100)]), Position(1))
    book.commit(
        BookWrites([line("a", amount_minor=1), line("b")], [moved("a", 100), moved("b", 7)]),
        Position(2),
    )
    assert [kept.line.amount_minor for kept in book.lines(ALL, 0, 10)] == [100, 100]
    assert book.balances() == [("expense", "EUR", -107), (APPROVED, "EUR", 107)]


def test_a_state_is_put_again_and_taken_away(open_book):
    book = open_book()
    names = [f"n{n}" for n in range(1201)]
    book.commit(BookWrites(states=[(1, name, b"1") for name in names]), Position(1))
    book.commit(BookWrites(states=[(1, "n0", b"2"), (1, "n1", None)]), Position(2))
    found = book.states(1, names)
    assert (found["n0"], "n1" in found, len(found)) == (b"2", False, 1200)


def test_the_position_never_goes_back(open_book):
    book = open_book()
    book.commit(BookWrites(), Position(9))
    book.commit(BookWrites(), Position(3))
    assert book.position() == 9


def test_lines_are_due_in_order_until_they_are_moved(open_book):
    book = open_book()
    lines = [
        line("c", due_ms=10),
        line("b", due_ms=20),
        line("a", due_ms=20),
        line("w", due_ms=5, state=LineState.WAITING),
        line("x", due_ms=1, state=LineState.APPROVED),
    ]
    book.commit(BookWrites(lines), Position(1))
    assert [one.id for one in book.due(LineState.PENDING, 20, 2)] == ["c", "a"]
    assert [one.id for one in book.due(LineState.PENDING, 19, 9)] == ["c"]
    assert book.next_due(LineState.WAITING) == 5
    book.commit(
        BookWrites(
            moved={
                "c": Moved("oc", LineState.APPROVED, 10, 202601),
                "w": Moved("oc", LineState.PENDING, 30, 202602),
            }
        ),
        Position(2),
    )
    assert [one.id for one in book.due(LineState.PENDING, 30, 9)] == ["a", "b", "w"]
    assert book.next_due(LineState.WAITING) is None
    assert book.next_due(LineState.PENDING) == 20
    standing = {kept.line.id: kept.line for kept in book.lines(ALL, 0, 9)}
    assert (standing["w"].due_ms, standing["w"].month) == (30, 202602)
    assert standing["c"].state is LineState.APPROVED


def test_a_statement_takes_what_is_approved_and_due_by_its_month(open_book):
    book = open_book()
    ready = {"state": LineState.APPROVED}
    book.commit(
        BookWrites(
            [
                line("a", **ready),
                line("b", **ready, month=202602),
                line("c", **ready, currency="USD", amount_minor=7),
                line("d"),
                line("e", **ready, partner="zeta"),
            ]
        ),
        Position(1),
    )
    assert book.untaken("acme", 202601) == {"EUR": (1, 100), "USD": (1, 7)}
    book.commit(BookWrites(taken=[Taken("st1", "acme", "EUR", 202601)]), Position(2))
    assert book.untaken("acme", 202602) == {"EUR": (1, 100), "USD": (1, 7)}
    book.commit(BookWrites(taken=[Taken("st2", "acme", "EUR", 202602)]), Position(3))
    by_statement = {
        name: [kept.line.id for kept in book.lines(LinesWanted(statement=name), 0, 9)]
        for name in ("st1", "st2", "st3")
    }
    assert by_statement == {"st1": ["a"], "st2": ["b"], "st3": []}


def test_lines_and_entries_are_asked_for_in_pages(open_book):
    book = open_book()
    book.commit(
        BookWrites(
            [line(f"l{n}", outcome=f"o{n % 2}", partner="pq"[n % 2]) for n in range(5)],
            [moved(f"e{n}", 1) for n in range(3)],
        ),
        Position(1),
    )
    first = book.lines(LinesWanted(partner="p"), 0, 2)
    assert [kept.line.id for kept in first] == ["l0", "l2"]
    rest = book.lines(LinesWanted(partner="p"), first[-1].number, 2)
    assert [kept.line.id for kept in rest] == ["l4"]
    assert [k.line.id for k in book.lines(LinesWanted(outcome="o1"), 0, 9)] == ["l1", "l3"]
    assert book.lines(LinesWanted(partner="p", currency="USD"), 0, 9) == []
    page = book.entries(None, 0, 2)
    assert [one.id for _, one in book.entries(None, page[-1][0], 2)] == ["e2"]
    assert len(book.entries("about", 0, 9)) == 3
    assert book.entries("other", 0, 9) == []


def test_balances_are_asked_for_by_how_accounts_begin(open_book):
    book = open_book()
    entries = [moved("a", 3), moved("b", 2, APPROVED, PAYABLE), moved("c", 1, "z", "partner:b:x")]
    book.commit(BookWrites(entries=entries), Position(1))
    assert book.balances("partner:acme:") == [(APPROVED, "EUR", 1), (PAYABLE, "EUR", 2)]
    assert book.balances("partner:a:") == []


def test_a_reader_waits_for_the_writer_to_begin(tmp_path: Path):
    path = tmp_path / "book.db"
    reader = SqlBook(path, is_reader=True)
    assert reader.lines(ALL, 0, 1) == []
    assert not path.exists()
    writer = SqlBook(path)
    writer.commit(BookWrites([line("a")]), Position(1))
    assert len(reader.lines(ALL, 0, 9)) == 1
    with pytest.raises(StoreUnavailable):
        reader.commit(BookWrites([line("b")]), Position(2))
    reader.close()
    writer.close()


def test_a_commit_is_written_whole_or_not_at_all(tmp_path: Path):
    book = SqlBook(tmp_path / "book.db")
    entries = [moved("a", 1), moved("b", 2**70)]
    with pytest.raises((StoreUnavailable, OverflowError)):
        book.commit(BookWrites([line("a")], entries, [(1, "x", b"1")]), Position(1))
    assert (book.position(), book.lines(ALL, 0, 9), book.states(1, ["x"])) == (START, [], {})
    book.close()


def test_tables_of_a_later_version_are_refused(tmp_path: Path):
    path = tmp_path / "book.db"
    SqlBook(path).close()
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(FolderTooNew, match="later version"):
        SqlBook(path)


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.lists(properties.DEEDS, min_size=10, max_size=40))
def test_twin_and_engine_make_the_same_book(tmp_path_factory, deeds: list[Any]) -> None:
    twin = properties.begun()
    engine = SqlBook(tmp_path_factory.mktemp("book") / "book.db")
    other = Books(engine, timezone="Europe/Berlin")
    for deed in deeds:
        properties.told(twin, deed)
    other.keeper.take(twin.told[1:])
    assert {one.id: one for one in other.lines()} == {one.id: one for one in twin.lines()}
    assert engine.balances() == twin.book.balances()
    assert other.problems() == []
    engine.close()


def test_an_outcomes_lines_are_found_by_it_however_many_its_partner_has(tmp_path: Path):
    book = SqlBook(tmp_path / "book.db")
    wanted = LinesWanted(partner="p", outcome="o1")
    (step, *_) = steps_of(book._engine, lambda: book.lines(wanted, 0, 9))
    assert "lines_outcome (outcome=?" in step
    book.close()
