"""Papers: what others wrote is never obeyed in them, and a bank's file has the shape that its schema asks for."""

from __future__ import annotations

import csv
import importlib.resources
import io
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import xmlschema
from ledger.books import Books
from ledger.test_ledger_journeys import bought, cpa, share
from msgspec.structs import replace

from attribune.ledger import papers, shown
from attribune.ledger.pain001 import ITEMS_MAX, NAMESPACE, Banks, Party, document, iban
from attribune.ledger.waiting import Waits
from attribune.model.book import Payout, PayoutItem, PayoutState
from attribune.model.errors import Conflict, Invalid
from attribune.model.offer import OfferSet
from attribune.ports import LinesWanted

EVIL = '=cmd|"/c calc"!A1<script>alert(1)</script>'
GERMAN, FRENCH = "DE89370400440532013000", "FR1420041010050500013M02606"


def closed(evil: str = EVIL) -> tuple[shown.StatementShown, list[shown.LineShown]]:
    books = Books()
    books.offer(share())
    books.event(**bought("p", transaction_id=evil))
    books.event("r", "refund", "40", transaction_id=evil)
    books.offer(cpa("visit"))
    books.event("v", "visit")
    (statement,) = books.close("2026-01", "2026-02-01")
    kept = books.book.lines(LinesWanted(statement=statement.id), 0, 10)
    return shown.statement(statement), [shown.line(one) for one in kept]


def test_no_cell_of_a_statement_is_a_formula_and_amounts_stay_numbers() -> None:
    _, lines = closed()
    rows = list(csv.DictReader(io.StringIO("".join(papers.lines_csv(lines)))))
    assert [row["amount"] for row in rows] == ["30.00", "-12.00", "10.00"]
    assert rows[0]["transaction_id"] == f"'{EVIL}"
    assert (rows[0]["revenue"], rows[2]["revenue"]) == ("100.00", "")
    assert [papers.harmless(cell) for cell in ("-1.5", "-x", "+1", "@a", "\tb", 3, "a")] == [
        *("-1.5", "'-x", "'+1", "'@a", "'\tb", 3, "a")
    ]


def test_a_page_escapes_what_others_wrote_and_says_what_adds_up() -> None:
    statement, lines = closed()
    page = "".join(papers.page(statement, lines))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "28.00 EUR" in page
    assert page.startswith("<!doctype html>")
    ET.fromstring(page.replace("<!doctype html>", "").replace('<meta charset="utf-8">', ""))
    assert "http" not in page


def payout(*items: tuple[str, int], currency: str = "EUR") -> shown.PayoutShown:
    return shown.payout(
        Payout(
            id="po_1",
            currency=currency,
            state=PayoutState.CREATED,
            items=tuple(
                PayoutItem(partner=partner, statement=f"st_{partner}", amount_minor=amount)
                for partner, amount in items
            ),
            created_at_ms=0,
        )
    )


def test_a_payout_is_a_list_for_machines_too() -> None:
    text = "".join(papers.payout_csv(payout(("=acme", 1234), ("zeta", 5))))
    assert text.splitlines() == [
        "payout,partner,statement,amount,currency",
        "po_1,'=acme,st_=acme,12.34,EUR",
        "po_1,zeta,st_zeta,0.05,EUR",
    ]


def banks(**more: Any) -> Banks:
    words: dict[str, Any] = {
        "debtor": Party(name="Studio", iban=GERMAN, bic="COBADEFFXXX"),
        "partners": {
            "acme": Party(name=f"Ácme & {EVIL}", iban=FRENCH),
            "zeta": Party(name="Zeta", iban=GERMAN, bic="COBADEFF"),
        },
        "day": "2026-03-20",
    }
    return Banks(**(words | more))


@pytest.fixture(scope="module")
def schema() -> xmlschema.XMLSchema:
    """ISO 20022's own schema, as a library of the trade ships it."""
    found = importlib.resources.files("sepaxml") / "schemas" / "pain.001.001.09.xsd"
    return xmlschema.XMLSchema(found.read_text())


@pytest.mark.parametrize("bic", ["COBADEFFXXX", None])
def test_a_banks_file_is_valid_by_its_schema(schema, bic: str | None) -> None:
    debtor = Party(name="Studio", iban=GERMAN, bic=bic)
    text = document(payout(("acme", 1234), ("zeta", 5)), banks(debtor=debtor), 1_773_000_000_000)
    schema.validate(text)
    root = ET.fromstring(text)
    name = {"p": NAMESPACE}
    assert [e.text for e in root.iterfind(".//p:CtrlSum", name)] == ["12.39", "12.39"]
    assert [e.text for e in root.iterfind(".//p:InstdAmt", name)] == ["12.34", "0.05"]
    assert root.findtext(".//p:ReqdExctnDt/p:Dt", namespaces=name) == "2026-03-20"
    assert root.findtext(".//p:GrpHdr/p:CreDtTm", namespaces=name) == "2026-03-08T20:00:00"
    [acme, _] = root.iterfind(".//p:Cdtr/p:Nm", name)
    assert acme.text == "Acme    cmd  /c calc  A1 script alert(1) /script"


def test_the_schema_would_see_a_file_that_is_none(schema) -> None:
    text = document(payout(("acme", 1)), banks(), 1)
    for what, instead in (
        ("<PmtMtd>TRF</PmtMtd>", ""),
        ("0.01", "-0.01"),
        ("SEPA", "SEPA-TOO-LONG"),
    ):
        assert what in text
        assert not schema.is_valid(text.replace(what, instead))


def test_a_banks_file_without_a_day_is_for_today(schema) -> None:
    text = document(payout(("acme", 1)), banks(day=None), 1_773_000_000_000)
    schema.validate(text)
    assert "<Dt>2026-03-08</Dt>" in text


@pytest.mark.parametrize(
    ("paid", "given", "param"),
    [
        (payout(("acme", 1), currency="USD"), banks(), "payout"),
        (payout(), banks(), "payout"),
        (payout(*[("acme", 1)] * (ITEMS_MAX + 1)), banks(), "payout"),
        (payout(("acme", 0)), banks(), "payout"),
        (payout(("nobody", 1)), banks(), "partners.nobody"),
        (payout(("acme", 1)), banks(day="20 March"), "day"),
        (
            payout(("acme", 1)),
            banks(debtor=Party(name="x", iban="DE00370400440532013000")),
            "debtor.iban",
        ),
        (
            payout(("acme", 1)),
            banks(debtor=Party(name="x", iban=GERMAN, bic="x")),
            "debtor.bic",
        ),
        (payout(("acme", 1)), banks(debtor=Party(name="漢字", iban=GERMAN)), "debtor.name"),
        (
            payout(("acme", 1)),
            banks(partners={"acme": Party(name="x", iban="DE89")}),
            "partners.acme.iban",
        ),
    ],
)
def test_what_no_bank_would_take_is_refused_by_its_field(
    paid: shown.PayoutShown, given: Banks, param: str
) -> None:
    with pytest.raises(Invalid) as fault:
        document(paid, given, 1)
    assert fault.value.param == param


@pytest.mark.parametrize("state", [PayoutState.CONFIRMED, PayoutState.FAILED])
def test_no_bank_is_given_a_payout_that_it_is_done_with(state: PayoutState) -> None:
    with pytest.raises(Conflict, match=state.value):
        document(replace(payout(("acme", 1)), state=state), banks(), 1)


def test_an_iban_may_be_written_with_blanks() -> None:
    assert iban("de89 3704 0044 0532 0130 00", "x") == GERMAN


def test_an_offer_and_what_is_held_are_shown() -> None:
    books = Books()
    books.offer(cpa())
    record = OfferSet(version=1, offer=books.agreed.newest()[0].offer)
    assert (shown.offer(record).id, shown.offer(record).version) == ("cpa", 1)
    for count, is_least, sentence in (
        (1, False, "1 conversion waits for the rate of USD in EUR on 2026-01-01"),
        (3, True, "At least 3 conversions wait for the rate of USD in EUR on 2026-01-01"),
    ):
        [held] = shown.held([Waits("2026-01-01", "USD", "EUR", count, is_least)])
        assert shown.held_sentence(held) == sentence
    books.install("i")
    [(_, one)] = books.book.entries(None, 0, 9)
    assert shown.entry(one).amount == "10.00"
    assert replace(one) == one
