"""Every offer in the guide is told what its page tells, and owes what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ledger.books import Books, ms

from attribune.ledger import offers, pain001
from attribune.model.book import Place
from attribune.model.errors import Invalid
from attribune.model.money import money

PAGE = (Path(__file__).parent.parent.parent / "docs/guides/offers.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
FILES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def name_of(example: tuple[str, str]) -> str:
    return re.findall(r'id = "(.*?)"', example[0])[0]


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_an_offer_of_the_guide_owes_what_the_page_says(example: tuple[str, str]) -> None:
    books = Books()
    offer, tale = example
    books.offer(offer)
    promises = 0
    for number, line in enumerate(tale.splitlines()):
        words = line.split()
        if words[0] == "=>":
            kept(books, *words[1:])
            promises += 1
        elif words[0] == "recruit":
            books.recruit(words[1], words[2])
        elif words[0] == "rate":
            books.rate(*words[1:])
        else:
            happens(books, number, words)
    assert promises
    assert books.problems() == []


def kept(books: Books, partner: str, amount: str, currency: str, place: str = "") -> None:
    owed = books.balance(Place(place), partner, currency) if place else None
    found = books.earned(partner, currency) if owed is None else owed
    assert found == money(amount, currency).amount_minor


def happens(books: Books, number: int, words: list[str]) -> None:
    day, who, *rest = words
    assert _DAY.fullmatch(day)
    if who == "pass":
        books.tick(day)
    elif who == "close":
        books.close(rest[1], day, rest[0])
    else:
        tell(books, f"e{number}", day, who, rest)


def tell(books: Books, id_: str, day: str, partner: str, words: list[str]) -> None:
    name, *rest = words
    more: dict[str, Any] = {"at": day, "partner": partner}
    times = 1
    amount = None
    for word in rest:
        key, is_said, value = word.partition("=")
        if word.startswith("*"):
            times = int(word[1:])
        elif is_said:
            more["transaction_id" if key == "transaction" else key] = value
        elif word.isupper():
            more["currency"] = word
        else:
            amount = word
    for n in range(times):
        if name == "install":
            books.install(f"{id_}-{n}", **more)
        else:
            books.event(f"{id_}-{n}", name, amount, **more)


def test_every_file_of_the_guide_is_run_or_read() -> None:
    assert len(EXAMPLES) >= 15
    others = [text for text in FILES if text not in {offer for offer, _ in EXAMPLES}]
    [banks] = others
    found = msgspec.toml.decode(banks, type=pain001.Banks)
    assert pain001.iban(found.partners["acme"].iban, "acme")
    assert pain001.iban(found.debtor.iban, "debtor")


def test_what_the_guide_says_of_other_terms_holds() -> None:
    [tiers] = [e for e in EXAMPLES if name_of(e) == "tiers"]
    books = Books()
    books.offer(tiers[0].replace("marginal", "retroactive"))
    for n in range(31):
        books.install(f"i{n}")
    kept(books, "acme", "4960.00", "USD")
    [carried] = [e for e in EXAMPLES if name_of(e) == "carried"]
    books = Books()
    books.offer(carried[0].replace('"revenue"', '"none"'))
    books.event("march", "ngr", "-10000", at="2026-03-10")
    books.event("april", "ngr", "15000", at="2026-04-10")
    kept(books, "acme", "4500.00", "EUR")
    [locked] = [e for e in EXAMPLES if name_of(e) == "locked"]
    books = Books()
    books.offer(locked[0])
    books.install("i", at="2026-01-10")
    [statement] = books.close("2026-02", "2026-03-01")
    assert statement.pay_at_ms == ms("2026-03-20")


def test_a_misspelt_field_of_the_guides_files_is_refused() -> None:
    for offer, _ in EXAMPLES:
        with pytest.raises(Invalid):
            offers.read(offer.replace("currency", "curency").encode())
