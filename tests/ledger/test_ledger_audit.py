"""The audit of the book finds what does not add up, and nothing else; and the edges of paying."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from ledger.books import Books
from ledger.test_ledger_journeys import bought, cpa, share
from msgspec.structs import replace

from attribune.engines.memory_book import MemoryBook
from attribune.ledger import audit, payout
from attribune.ledger.audit import FOUND_MAX, TRIES_MAX, checks
from attribune.ledger.desk import KNOWN, STATEMENT, Desk
from attribune.ledger.ladder import Ladder, carried_over, change
from attribune.ledger.offers import read, terms
from attribune.ledger.statements import check
from attribune.model.book import EXPENSE, LineKind, LineState, outcome_key
from attribune.model.errors import Conflict, Invalid, NotFound
from attribune.model.ids import Position
from attribune.model.offer import PayoutSettled


def filled() -> Books:
    books = Books()
    books.offer(share(more='minimum_payout = "20"'))
    books.offer(cpa())
    for n in range(3):
        books.event(**bought(f"p{n}"))
    books.event("r", "refund", transaction_id="t-p0")
    books.close("2026-01", "2026-02-01")
    books.install("i", at="2026-02-10")
    books.close("2026-02", "2026-03-01")
    return books


def failing(books: Books) -> set[str]:
    return {one.name for one in checks(Desk(books.book)) if not one.ok}


def test_a_book_that_adds_up_passes() -> None:
    assert failing(filled()) == set()
    assert failing(Books()) == set()


def lose_an_entry(book: MemoryBook) -> None:
    del book._entries[next(iter(book._entries))]


def turn_an_entry(book: MemoryBook) -> None:
    id_, one = next(iter(book._entries.items()))
    book._entries[id_] = replace(one, amount_minor=-one.amount_minor)


def touch_a_balance(book: MemoryBook) -> None:
    book._balances[EXPENSE, "EUR"] += 1


def lose_a_line(book: MemoryBook) -> None:
    del book._lines[next(iter(book._lines))]


def forget_an_outcome(book: MemoryBook) -> None:
    del book._states[KNOWN, outcome_key("game", "event", "p1")]


def lose_a_reversal(book: MemoryBook) -> None:
    lost = next(one for one in book._lines.values() if one.kind is LineKind.REVERSAL)
    del book._lines[lost.id]


def edit_a_statement(book: MemoryBook) -> None:
    name = next(name for name in book._states if name[0] == STATEMENT)
    one = msgspec.msgpack.decode(book._states[name])
    one["closing_minor"] += 1
    book._states[name] = msgspec.msgpack.encode(one)


def lose_a_statement(book: MemoryBook) -> None:
    del book._states[next(name for name in book._states if name[0] == STATEMENT)]


def unapprove_a_line(book: MemoryBook) -> None:
    id_, one = next(iter(book._lines.items()))
    book._lines[id_] = replace(one, state=LineState.PENDING)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lose_an_entry, {"book_balanced"}),
        (turn_an_entry, {"book_balanced"}),
        (touch_a_balance, {"book_balanced"}),
        (lose_a_line, {"book_lines", "book_statements"}),
        (forget_an_outcome, {"book_outcomes"}),
        (lose_a_reversal, {"book_lines", "book_reversals", "book_statements"}),
        (edit_a_statement, {"book_statements"}),
        (lose_a_statement, {"book_statements"}),
        (unapprove_a_line, {"book_statements"}),
    ],
)
def test_planted_damage_is_found(damage: Callable[[MemoryBook], None], found: set[str]) -> None:
    books = filled()
    assert isinstance(books.book, MemoryBook)
    damage(books.book)
    assert failing(books) == found


def test_a_currency_that_does_not_balance_is_named() -> None:
    class Odd(MemoryBook):
        def entries(self, about: str | None, after: int, limit: int) -> Any:
            found = super().entries(about, after, limit)
            return [(n, replace(e, debit=EXPENSE if n > 1 else e.credit)) for n, e in found]

    books = Books(Odd())
    books.offer(cpa())
    books.install("i")
    assert failing(books) == {"book_balanced"}


def test_many_findings_are_counted_and_a_disturbed_check_says_so() -> None:
    found = audit._checked("x", "y", iter(map(str, range(FOUND_MAX + 5))))
    assert (len(found.found), found.found[-1]) == (FOUND_MAX + 1, "and 5 more")

    class Moving(MemoryBook):
        asked = 0

        def position(self) -> Position:
            self.asked += 1
            return Position(self.asked)

    book = Moving()
    touch: Any = book
    touch._balances[EXPENSE, "EUR"] = 1
    [first, *_] = checks(Desk(book))
    assert (first.ok, first.not_made) == (True, "the book was written meanwhile")
    assert book.asked > TRIES_MAX


# The edges of paying.


def test_who_is_not_paid_has_a_reason() -> None:
    books = Books()
    books.offer(cpa(more='minimum_payout = "15"\npay = { after_month_end_days = 20 }'))

    def item(at_ms: int = 2**60) -> Any:
        return payout.item(Desk(books.book), "acme", "EUR", at_ms)

    assert item() == "no statement is closed"
    books.close("2025-12", "2026-01-01")
    assert item() == "nothing is owed"
    books.install("i", at="2026-01-02")
    books.close("2026-01", "2026-02-01")
    assert item() == "less is owed than the minimum of its offers"
    books.install("j", at="2026-02-02")
    (statement,) = books.close("2026-02", "2026-03-01")
    assert item(statement.pay_at_ms - 1) == "its day to be paid has not come"
    assert item(statement.pay_at_ms).amount_minor == 2000
    assert "nothing" in payout.nothing_to_pay({"acme": "nothing is owed"}).message
    assert "no partner" in payout.nothing_to_pay({}).message


def test_a_payout_that_is_not_what_is_owed_is_not_made() -> None:
    books = filled()
    (_, newest) = books.statements()
    due = ("acme", newest.id, newest.closing_minor)
    books.pay("po", "EUR", due, due, at="2026-03-02")
    books.pay("po", "EUR", ("acme", newest.id, 1), at="2026-03-02")
    assert books.chain().payout is None
    books.settle("po", is_paid=True, at="2026-03-02")
    books.pay("po", "EUR", due, at="2026-03-02")
    books.pay("po", "EUR", due, at="2026-03-02")
    desk = Desk(books.book)
    with pytest.raises(NotFound):
        payout.check_settle(desk, PayoutSettled(id="nothing", is_paid=True))
    books.settle("po", is_paid=True, at="2026-03-03")
    with pytest.raises(Conflict, match="confirmed already"):
        payout.check_settle(Desk(books.book), PayoutSettled(id="po", is_paid=False))


def test_a_partner_is_paid_in_the_currencies_of_its_statements() -> None:
    books = Books()
    assert payout.currencies(Desk(books.book), "acme") == set()
    books.offer(cpa())
    books.install("i")
    books.close("2026-01", "2026-02-01")
    assert payout.currencies(Desk(books.book), "acme") == {"EUR"}
    books.offer(share().replace("EUR", "USD"))
    books.event(**bought("p", at="2026-02-02"), currency="USD")
    books.close("2026-02", "2026-03-01")
    assert payout.currencies(Desk(books.book), "acme") == {"EUR", "USD"}


def test_an_earlier_month_than_the_newest_is_not_closed() -> None:
    books = filled()
    with pytest.raises(Invalid, match="2026-02 is closed already"):
        check(Desk(books.book), books.agreed, "acme", "2026-01", books.now_ms)
    check(Desk(books.book), books.agreed, "acme", "2026-02", books.now_ms)


def test_what_is_carried_over_is_told_in_minor_units() -> None:
    for carry, missing in (("revenue", -10_000), ("commission", -3_000), ("none", 0)):
        text = (
            'id = "x"\nevent = "ngr"\ncurrency = "EUR"\n[[deal]]\nkind = "revshare"\n'
            f'percent = "30"\ncarry = "{carry}"'
        )
        deal = terms(read(text.encode())).deals[0]
        ladder = Ladder()
        change(deal, ladder, "2026-01", "", (("s:ngr", -10_000),))
        assert carried_over(deal, ladder) == missing
