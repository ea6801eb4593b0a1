"""The whole way of money over loopback: an offer, a purchase, a refund, a statement, a payout, and a rebuild."""

from __future__ import annotations

import csv
import io
import os
import signal
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from house import CommandFailed, RunningHouse, wait_for
from test_story import Game

pytestmark = pytest.mark.server

OFFER = """
id = "acme-purchase"
partner = "acme"
event = "purchase"
currency = "EUR"
minimum_payout = "5.00"
[[deal]]
kind = "revshare"
percent = "30"
"""
HELD = """
id = "installs"
event = "install"
currency = "EUR"
hold_days = 30
[[deal]]
kind = "cpa"
amount = "2.50"
"""
BANKS = """
[debtor]
name = "Studio GmbH"
iban = "DE89 3704 0044 0532 0130 00"
bic = "COBADEFFXXX"
[partners.acme]
name = "Acme & Söhne <Ltd>"
iban = "FR1420041010050500013M02606"
"""


def euro(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def month(house: RunningHouse) -> str:
    """The month of the newest line."""
    lines = house.cli("book", "lines")["lines"]
    at_ms = max(line["due_ms"] for line in lines if line["state"] == "approved")
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m}"


def balance(house: RunningHouse, partner: str = "acme") -> dict[str, int]:
    [row] = house.cli("book", "balance", "--partner", partner)["balances"]
    return {name: value for name, value in row.items() if name != "currency"}


def places(**minor: int) -> dict[str, int]:
    names = ("pending", "approved", "payable", "paid")
    return {f"{name}_minor": minor.get(name, 0) for name in names}


def test_from_an_offer_to_money_in_the_bank(house: RunningHouse, tmp_path: Path) -> None:
    game = Game(house)
    for n, text in enumerate((OFFER, HELD)):
        (tmp_path / f"{n}.toml").write_text(text)
        added = house.cli("offer", "add", "--file", str(tmp_path / f"{n}.toml"))["offer"]
        assert added["version"] == 1
    assert house.cli("offer", "add", "--file", str(tmp_path / "0.toml"))["offer"]["version"] == 1
    assert game.open("d1", game.click("acme")) == "accepted"
    buy = {"id": "p1", "name": "purchase", "revenue": euro("100.00"), "transaction_id": "t1"}
    assert game.tell("event", "d1", **buy) == "accepted"
    house.settle()
    assert balance(house) == places(pending=250, approved=3000)
    refund = {"id": "r1", "name": "refund", "revenue": euro("40.00"), "transaction_id": "t1"}
    assert game.tell("event", "d1", **refund) == "accepted"
    house.settle()
    assert balance(house) == places(pending=250, approved=1800)

    period = month(house)
    closed = house.cli("statement", "close", "--partner", "acme", "--period", period)["statement"]
    assert [line["amount_minor"] for line in closed["lines"]] == [3000, -1200]
    assert (closed["opening_minor"], closed["closing_minor"], closed["currency"]) == (
        0,
        1800,
        "EUR",
    )
    again = house.cli("book", "close", "--partner", "acme", "--period", period)["statement"]
    assert again == closed
    shown = house.cli("book", "statement", closed["id"])["statement"]
    assert shown == closed
    assert balance(house) == places(pending=250, payable=1800)
    with pytest.raises(CommandFailed, match="has not begun"):
        house.cli("statement", "close", "--partner", "acme", "--period", "2999-01")

    payout = house.cli("payout", "create")["payout"]
    assert (payout["total_minor"], payout["state"]) == (1800, "created")
    with pytest.raises(CommandFailed, match="is under way"):
        house.cli("book", "pay", "--currency", "EUR")
    check_files(house, payout["id"], tmp_path)
    for _ in range(2):
        done = house.cli("payout", "confirm", payout["id"], "--reference", "B-1")["payout"]
        assert (done["state"], done["reference"]) == ("confirmed", "B-1")
    assert balance(house) == places(pending=250, paid=1800)
    assert [one["id"] for one in house.cli("payout", "list")["payouts"]] == [payout["id"]]

    reconciled(house, tmp_path)
    taken = house.cli("book", "reverse", "p1", "--reason", "a stolen card")["reversal"]
    assert [line["cause"] for line in taken["lines"]] == ["", "refund", "a stolen card"]
    assert balance(house) == places(pending=250, approved=-1800, paid=1800)
    explained(house)
    waits(house, game)
    assert house.cli("book", "check")["ok"]
    made_again(house)
    audit = house.cli("audit")
    assert audit["ok"]
    assert {"book_balanced", "book_statements"} <= {one["name"] for one in audit["checks"]}


def everything(house: RunningHouse) -> list[Any]:
    lines = house.cli("book", "lines")["lines"]
    return [
        sorted(lines, key=lambda line: line["id"]),
        balance(house),
        house.cli("statement", "list", "--partner", "acme"),
        house.cli("payout", "list"),
    ]


def check_files(house: RunningHouse, payout: str, folder: Path) -> None:
    """The payout as CSV and as a file for the bank, where no name breaks out of its place."""
    banks, out = folder / "banks.toml", folder / "payout.xml"
    banks.write_text(BANKS)
    words = ("payout", "file", payout, "--data", str(house.folder))
    said = house._run_here((*words, "--banks", str(banks), "--out", str(out)))
    assert said == (0, "", "")
    root = ET.fromstring(out.read_bytes())
    name = {"p": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"}
    assert root.findtext(".//p:CtrlSum", namespaces=name) == "18.00"
    assert root.findtext(".//p:Cdtr/p:Nm", namespaces=name) == "Acme   Sohne  Ltd"
    _, text, _ = house._run_here(words)
    [row] = csv.DictReader(io.StringIO(text))
    assert (row["partner"], row["amount"], row["currency"]) == ("acme", "18.00", "EUR")


def reconciled(house: RunningHouse, folder: Path) -> None:
    """A list names conversions by orders and by clicks, and each difference has its reason."""
    listed = folder / "list.csv"
    listed.write_text(
        "transaction_id,click_id,event,amount,currency\n"
        "t1,,,17.00,EUR\nt2,,,5.00,EUR\n,C-Acme,install,2.50,EUR\n"
    )
    found = house.cli("reconcile", str(listed), "--partner", "acme")["reconciled"]
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    refund = f"a refund of 40.00 EUR on {day} took back 12.00 EUR"
    pays = "offer acme-purchase version 1 pays 30.00 EUR"
    assert [(row["id"], row["match"], row["reason"]) for row in found["rows"]] == [
        ("t1", "different_amount", f"{pays}; {refund}"),
        ("t2", "missing_here", "we never heard of it"),
        ("C-Acme", "matched", None),
    ]
    listed.write_text("id\nt2\n")
    found = house.cli("reconcile", str(listed), "--partner", "acme")["reconciled"]
    missing = {row["event"]: row for row in found["rows"] if row["match"] == "missing_there"}
    assert missing["install"]["id"].startswith("cv_")
    assert missing["install"]["reason"].startswith("pending until 20")
    assert missing["purchase"]["reason"].startswith("on statement st_")
    assert missing["purchase"]["reason"].endswith("; no postback told the partner of it")
    assert missing["purchase"]["transaction_id"] == "t1"
    assert found["counts"]["missing_there"] == 2


def explained(house: RunningHouse) -> None:
    """The story says what was booked, and under which offer."""
    [story] = house.cli("explain", "t1")["stories"]
    booked = [(one["event"], one["amount"], one["cause"]) for one in story["booked"]]
    assert booked == [
        ("install", "2.50", ""),
        ("purchase", "30.00", ""),
        ("purchase", "-12.00", "refund"),
        ("purchase", "-18.00", "a stolen card"),
    ]
    code, text, _ = house._run_here(("explain", "t1", "--data", str(house.folder)))
    assert code == 0
    assert "acme earns 30.00 EUR under acme-purchase version 1, on statement st_" in text
    assert text.index("event refund 40.00 EUR") < text.index("acme loses 12.00 EUR")


def waits(house: RunningHouse, game: Game) -> None:
    """What waits for a rate says so in its story, in the balance and where the month is closed again."""
    dollars = {"amount": "10.00", "currency": "USD"}
    game.tell("event", "d1", id="p9", name="purchase", revenue=dollars, transaction_id="t9")
    house.settle()
    [story] = house.cli("explain", "t9")["stories"]
    [missing] = story["rates_missing"]
    pair = (missing["base"], missing["quote"], missing["partner"], missing["event"])
    assert pair == ("USD", "EUR", "acme", "purchase")
    sentence = f"the rate of USD in EUR on {missing['day']}"
    words = ("--partner", "acme", "--data", str(house.folder))
    close = ("statement", "close", *words, "--period", missing["day"][:7])
    for command in (("explain", "t9", *words[2:]), ("book", "balance", *words), close):
        code, text, _ = house._run_here(command)
        assert code == 0
        assert sentence in text
    assert house.cli(*close[:4], "--period", close[-1])["held"][0]["count"] == 1


def made_again(house: RunningHouse) -> None:
    """Rebuilt while it is served, killed, and rebuilt while nobody serves: the same book."""
    before = everything(house)
    house.cli("rebuild", "book")
    assert everything(house) == before
    os.kill(house.pids()["bookkeeper"], signal.SIGKILL)
    wait_for(lambda: house.cli("status")["status"]["is_ready"], 30)
    assert everything(house) == before
    house.stop()
    house.cli("rebuild", "book")
    assert everything(house) == before
