"""A partner's list: how it is read, which of ours a row means, and what is said where the two differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from ledger.books import Books, ms

from attribune.ledger.differing import taken_back, where, why_other
from attribune.ledger.known import Undoing
from attribune.ledger.offers import Terms
from attribune.ledger.partner_list import FILE_BYTES_MAX, ROWS_MAX, read
from attribune.ledger.reconcile import (
    Claim,
    Match,
    Ours,
    Reconciled,
    check,
    compare,
    meant,
    once,
    unclaimed,
)
from attribune.model.errors import Invalid
from attribune.ports import LinesWanted

# Reading.


def test_a_partners_list_is_read_by_the_names_of_the_trade() -> None:
    text = "\ufeffOrder ID,Commission,Currency\r\nt1,1.50,eur\r\n'=t2,,\r\n".encode()
    assert read(text) == [
        Claim(transaction_id="t1", amount="1.50", currency="EUR"),
        Claim(transaction_id="=t2"),
    ]


def test_a_list_may_have_any_ids_and_what_settles_which_is_meant() -> None:
    text = b"clickid,conversion_id,goal,date,payout\nc1,,install,2026-01-10 12:00:05,1\n,v1,,10/01/2026,\n"
    assert read(text) == [
        Claim(click_id="c1", event="install", day="2026-01-10", amount="1"),
        Claim(conversion_id="v1"),
    ]
    assert read(b"told_id\nx\n") == [Claim(id="x")]
    assert read(b"record_id,touch_id\nr,t\n") == [Claim(record_id="r", touch_id="t")]


@pytest.mark.parametrize(
    "text",
    [
        b"x" * (FILE_BYTES_MAX + 1),
        b"\xff\xfe",
        b"",
        b"amount\n1\n",
        b'transaction_id\n"open\n',
        b"transaction_id,amount\nt1,ten\n",
        b"transaction_id,amount,currency\nt1,1,XXX\n",
        b"transaction_id,amount\n,1\n",
        b"transaction_id\n" + b"x" * 600 + b"\n",
        b"transaction_id\n" + b"t\n" * (ROWS_MAX + 1),
    ],
    ids=range(10),
)
def test_a_list_that_cannot_be_read_is_refused(text: bytes) -> None:
    with pytest.raises(Invalid):
        read(text)


def test_a_list_with_other_columns_hears_which_it_has() -> None:
    with pytest.raises(Invalid, match="commas between columns; it has transaction_id;amount"):
        read(b"transaction_id;amount\nt1;1,50\n")
    with pytest.raises(Invalid, match="line 2 of the list has no transaction_id or click_id"):
        read(b"click_id,transaction_id,amount\n,,1.50\n")


def test_what_is_listed_twice_is_not_matched_twice() -> None:
    (one, other) = read(b"txid,amount,currency\nt-o,1.50,EUR\nt-o,1.50,eur\nt2,1,EUR\n")
    assert (one.amount, other.amount) == ("3.00", "1")
    assert told(one, ours(EUR=150)).match is Match.DIFFERENT_AMOUNT
    assert len(read(b"txid\nt1\nt1\n")) == 1
    assert len(read(b"click_id,event\nc1,install\nc1,signup\n")) == 2
    with pytest.raises(Invalid, match="t1, added up, has an amount"):
        read(b"txid,amount\n" + b"t1,900000000000\n" * 2)


@pytest.mark.parametrize("claim", [Claim(), Claim(id=" "), Claim(id="x", day="soon")])
def test_a_row_without_an_id_or_with_no_day_is_refused(claim: Claim) -> None:
    with pytest.raises(Invalid):
        check(claim, "line 1")


# Which is meant.


def ours(name: str = "o", event: str = "purchase", day: str = "2026-01-10", **owed: int) -> Ours:
    """An outcome with an order of its own, by a click that others share."""
    names = {"transaction_id": frozenset([f"t-{name}"]), "click_id": frozenset(["c1"])}
    return Ours(outcome=name, event=event, day=day, names=names, owed=owed)


def told(claim: Claim, *all_: Ours) -> Reconciled:
    found = meant(claim, all_)

    def why_other(chosen: Sequence[Ours], currency: str) -> str:
        return f"other {len(chosen)} {currency}"

    return compare(claim, found, why_other=why_other, why_missing=lambda _chosen: "refunded")


@pytest.mark.parametrize(
    ("claim", "owed", "match", "said"),
    [
        ({"amount": "1.50"}, {"EUR": 150}, Match.MATCHED, "1.50"),
        ({}, {"EUR": 150}, Match.MATCHED, "1.50"),
        ({"amount": "1.50", "currency": "EUR"}, {"EUR": 150, "USD": 1}, Match.MATCHED, "1.50"),
        ({"amount": "1.51"}, {"EUR": 150}, Match.DIFFERENT_AMOUNT, "1.50"),
        ({"amount": "1.50", "currency": "USD"}, {"EUR": 150}, Match.DIFFERENT_AMOUNT, "1.50 EUR"),
        ({"amount": "1.50"}, {"EUR": 150, "JPY": 2}, Match.DIFFERENT_AMOUNT, "1.50 EUR, 2 JPY"),
        ({"amount": "1.50"}, {}, Match.MISSING_HERE, None),
        ({"amount": "900000000000"}, {"KWD": 1}, Match.DIFFERENT_AMOUNT, "0.001"),
        ({"amount": "1.50"}, {"EUR": 0}, Match.MISSING_HERE, None),
    ],
)
def test_a_row_is_compared_with_what_the_book_owes(
    claim: dict[str, str], owed: dict[str, int], match: Match, said: str | None
) -> None:
    found = told(Claim(transaction_id="t-o", **claim), ours(**owed))
    assert (found.match, found.ours) == (match, said)
    assert (found.reason == "refunded") is (match is Match.MISSING_HERE)
    assert (found.reason is None) is (match is Match.MATCHED)


def test_a_row_means_what_bears_its_ids() -> None:
    one, two = ours("1"), ours("2")
    assert meant(Claim(transaction_id="T-1 "), [one, two]) == [one]
    assert meant(Claim(click_id="C1"), [one, two]) == [one, two]
    assert meant(Claim(click_id="c1", transaction_id="t-2"), [one, two]) == [two]
    # A click's id that the platform calls a transaction's; and a second id that says nothing, or something else.
    assert meant(Claim(transaction_id="c1"), [one, two]) == [one, two]
    assert meant(Claim(transaction_id="t-1", click_id="c9"), [one, two]) == [one]
    assert meant(Claim(transaction_id="t-1", id="t-2"), [one, two]) == [one]
    assert meant(Claim(conversion_id="v"), [one, two]) == []


INSTALL = ours("1", "install", "2026-01-10", EUR=200)
FIRST = ours("2", "purchase", "2026-01-11", EUR=300)
SECOND = ours("3", "purchase", "2026-01-12", EUR=300)
REFUNDED = ours("4", "purchase", "2026-01-12", EUR=0)
ALL = (INSTALL, FIRST, SECOND, REFUNDED)


@pytest.mark.parametrize(
    ("claim", "outcomes"),
    [
        ({"event": "install"}, ["1"]),
        ({"amount": "2.00"}, ["1"]),
        ({"amount": "2.00", "currency": "EUR"}, ["1"]),
        ({"event": "Purchase", "day": "2026-01-11"}, ["2"]),
        ({"event": "purchase", "day": "2026-01-13"}, ["3"]),
        ({"event": "their word", "day": "2026-01-11", "amount": "3.00"}, ["2"]),
        ({"event": "purchase", "amount": "6.00"}, ["2", "3"]),
        ({"amount": "8.00", "day": "2020-01-01"}, ["1", "2", "3"]),
    ],
)
def test_event_day_and_amount_settle_which_is_meant(
    claim: dict[str, str], outcomes: list[str]
) -> None:
    found = told(Claim(click_id="c1", **claim), *ALL)
    assert (found.match, list(found.outcomes)) == (Match.MATCHED, outcomes)


@pytest.mark.parametrize(
    "claim",
    [{}, {"amount": "3.00"}, {"amount": "7.00", "currency": "USD"}, {"event": "purchase"}],
    ids=str,
)
def test_what_nothing_settles_is_said(claim: dict[str, str]) -> None:
    found = told(Claim(click_id="c1", **claim), *ALL)
    assert found.match is Match.AMBIGUOUS
    assert found.reason is not None
    assert "purchase of 2026-01-11 (3.00 EUR)" in found.reason
    many = [ours(str(n), EUR=n + 1) for n in range(7)]
    assert " and 2 more; a column" in str(told(Claim(click_id="c1"), *many).reason)


def test_a_conversion_is_matched_once_by_whatever_id() -> None:
    claims = (
        Claim(transaction_id="t-1", amount="2.00"),
        Claim(click_id="c1", event="install", amount="9.00"),
        Claim(click_id="c1", event="purchase"),
        Claim(transaction_id="t-4"),
        Claim(transaction_id="t-4"),
        Claim(transaction_id="t-2"),
    )
    rows = once([told(claim, *ALL) for claim in claims])
    assert [row.match.value for row in rows] == [
        *("matched", "ambiguous", "ambiguous", "missing_here", "missing_here", "matched")
    ]
    assert rows[1].reason == "the row t-1 means the same conversion"


def test_a_row_of_an_event_that_another_has_now_means_that_one() -> None:
    assert meant(Claim(click_id="c1", event="install"), [*ALL]) == [INSTALL]
    assert meant(Claim(click_id="c1", event="their word"), [*ALL]) == [*ALL]


def test_what_an_order_bears_adds_up() -> None:
    shipping = Ours(**{name: getattr(FIRST, name) for name in FIRST.__struct_fields__})
    found = told(Claim(transaction_id="t-2", amount="5.00"), FIRST, shipping)
    assert (found.match, found.ours, found.event) == (Match.DIFFERENT_AMOUNT, "6.00", None)


def test_what_the_list_does_not_have_is_missing_there() -> None:
    (one, other) = unclaimed(ours("1", EUR=150, USD=7, GBP=0), "approved")
    assert (one.match, one.ours, one.theirs) == (Match.MISSING_THERE, "1.50", None)
    assert (one.id, one.transaction_id, other.ours) == ("t-1", "t-1", "0.07")
    [nameless] = unclaimed(Ours(outcome="oc", event="e", day="d", names={}, owed={"EUR": 1}), "")
    assert (nameless.id, nameless.transaction_id) == ("oc", None)


# Why they differ.

OFFER = """
id = "{id}"
event = "{id}"
currency = "EUR"
{more}
[[deal]]
{deal}
"""
CAPPED = 'kind = "cpa"\namount = "10.00"\ncap = {{ {} = "15.00" }}'
TIERS = 'kind = "cpa"\ntiers = [{ amount = "5.00" }, { over = "1", amount = "8.00" }]'
SHARE = 'kind = "revshare"\npercent = "33"'


def offered(deal: str, id_: str = "buy", more: str = "") -> Books:
    books = Books()
    books.offer(OFFER.format(id=id_, deal=deal, more=more))
    return books


def why(books: Books, theirs_minor: int, **undoings: Undoing) -> str:
    def terms_of(offer: str, version: int) -> Terms | None:
        return books.agreed.version(offer, version) if offer != "unknown" else None

    return why_other(books.lines("acme"), undoings, theirs_minor, terms_of)


@pytest.mark.parametrize("cap", ["day", "month", "total"])
def test_a_cap_is_named(cap: str) -> None:
    books = offered(CAPPED.format(cap))
    for n in range(2):
        books.event(f"e{n}", "buy")
    assert why(books, 2000) == (
        "offer buy version 1 pays 10.00 EUR; it has a cap, which may hold some of it back; "
        "offer buy version 1 pays 5.00 EUR"
    )


def test_tiers_and_what_is_carried_are_named() -> None:
    books = offered(TIERS)
    books.event("e", "buy")
    assert why(books, 800).endswith(
        "it has tiers, and each conversion is worth what it adds to the period's total"
    )
    books = offered(f'{SHARE}\ncarry = "revenue"')
    books.event("e", "buy", "10")
    assert why(books, 800).endswith("a month below nothing is carried over")


def test_a_rate_and_offers_that_lost_are_named() -> None:
    books = offered(SHARE)
    other = OFFER.format(id="other", deal=SHARE, more="")
    books.offer(other.replace('event = "other"', 'event = "buy"'))
    books.rate("2026-01-10", "USD", "EUR", "0.9")
    books.event("e", "buy", "10", currency="USD")
    assert why(books, 330) == (
        "offer buy version 1 pays 2.97 EUR; its revenue of 10.00 USD was converted at 0.9, the rate of 2026-01-10; "
        "another offer fitted and lost (other: a later id)"
    )


@pytest.mark.parametrize(("theirs_minor", "is_said"), [(34, True), (32, True), (35, False)])
def test_a_minor_unit_may_be_rounding(theirs_minor: int, is_said: bool) -> None:
    books = offered(SHARE)
    books.event("e", "buy", "1.00")
    assert ("rounds" in why(books, theirs_minor)) is is_said


def test_a_fixed_amount_is_not_rounded() -> None:
    books = offered('kind = "cpa"\namount = "10.00"')
    books.event("e", "buy")
    assert why(books, 1001) == "offer buy version 1 pays 10.00 EUR"


def test_a_version_that_nobody_knows_any_more_says_less() -> None:
    books = offered(SHARE, "unknown")
    books.event("e", "unknown", "1.00")
    assert why(books, 34).startswith("offer unknown version 1 pays 0.33 EUR; the book rounds")


def test_what_was_taken_back_says_by_what_and_when() -> None:
    books = offered(SHARE)
    books.event("e", "buy", "100", transaction_id="t")
    books.event("r", "refund", "40", transaction_id="t", at="2026-01-12")
    books.event("c", "chargeback", transaction_id="t", at="2026-01-13")
    keys = [line.id.rpartition(":")[2] for line in books.lines()]
    of = {
        keys[1]: Undoing(keys[1], "refund", 0, 4000, "EUR"),
        keys[2]: Undoing(keys[2], "chargeback", 0, None, ""),
    }
    refund = "a refund of 40.00 EUR on 2026-01-12 took back 13.20 EUR"
    charged = "a chargeback on 2026-01-13 took back 19.80 EUR"
    assert list(taken_back(books.lines(), of)) == [refund, charged]
    assert why(books, 3300, **of) == f"{refund}; {charged}"
    assert why(books, 3000, **of) == f"offer buy version 1 pays 33.00 EUR; {refund}; {charged}"


def test_what_a_person_took_back_says_why() -> None:
    books = offered(SHARE)
    sale = books.of_event("e", "buy", "100")
    free = books.of_event("f", "buy", "0")
    books.tell(sale, free)
    for one in (sale, free):
        books.corrected(one, None)
    assert list(taken_back(books.lines(), {})) == [
        "33.00 EUR was taken back on 2026-01-11: a person said so"
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", "approved"),
        ("hold_days = 5", "pending until 2026-01-15"),
        ('qualify = { event = "play", within_days = 3 }', "waits to qualify until 2026-01-13"),
    ],
)
def test_where_a_commission_stands_is_said(more: str, said: str) -> None:
    books = offered('kind = "cpa"\namount = "1.00"', more=more)
    books.event("e", "buy")
    assert where(kept(books)) == said


def test_what_is_on_a_statement_says_on_which() -> None:
    books = offered(SHARE)
    books.event("e", "buy", "100", transaction_id="t")
    [statement] = books.close("2026-01", "2026-02-01")
    books.event("r", "refund", "40", transaction_id="t", at="2026-02-03")
    assert where(kept(books)) == f"on statement {statement.id}"


def kept(books: Books) -> list[Any]:
    assert books.now_ms >= ms("2026-01-10")
    return books.book.lines(LinesWanted(), 0, 100)
