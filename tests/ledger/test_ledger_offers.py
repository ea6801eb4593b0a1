"""Offers as people write them: what is wrong is found when it is read, and named by its field."""

from __future__ import annotations

from typing import Any

import pytest

from attribune.ledger.offer_checks import DEALS_MAX
from attribune.ledger.offers import OFFER_BYTES_MAX, TIERS_MAX, read, terms
from attribune.ledger.rates import RATES_MAX, Rates, check
from attribune.ledger.tree import DEPTH_MAX, ancestors
from attribune.ledger.tree import check as check_tree
from attribune.ledger.when import day_of, month_number, month_of, window_of
from attribune.model.book import NEVER_MS
from attribune.model.errors import Conflict, Invalid
from attribune.model.offer import Offer, Rate

HEAD = 'id = "x"\nevent = "install"\ncurrency = "EUR"\n'
CPA = '[[deal]]\nkind = "cpa"\namount = "10.00"\n'
SHARE = '[[deal]]\nkind = "revshare"\npercent = "30"\n'
RETRO = 'ladder = "retroactive"\n'


def refused(text: str) -> str | None:
    with pytest.raises(Invalid) as fault:
        terms(read(text.encode()))
    assert fault.value.message
    return fault.value.param


@pytest.mark.parametrize(
    ("text", "param"),
    [
        ("id = ", "offer"),
        (HEAD, "offer"),
        (HEAD + CPA + "surprise = 1", "deal[0].surprise"),
        (HEAD + "surprise = 1\n" + CPA, "surprise"),
        (HEAD.replace('"x"', '"X y"') + CPA, "id"),
        (HEAD.replace('"install"', '""') + CPA, "event"),
        (HEAD.replace("EUR", "XXX") + CPA, "currency"),
        (HEAD + "deal = []", "deal"),
        (HEAD + CPA * (DEALS_MAX + 1), "deal"),
        (HEAD + 'countries = ["de"]\n' + CPA, "countries"),
        (HEAD + "hold_days = -1\n" + CPA, "hold_days"),
        (HEAD + "hold_days = 1\nlock = { after_month_end_days = 1 }\n" + CPA, "lock"),
        (HEAD + "lock = { after_month_end_days = -1 }\n" + CPA, "lock.after_month_end_days"),
        (HEAD + "pay = { after_month_end_days = 9999 }\n" + CPA, "pay.after_month_end_days"),
        (HEAD + 'valid_from = "January"\n' + CPA, "valid_from"),
        (
            HEAD + 'valid_from = "2026-02-01"\nvalid_until = "2026-02-01"\n' + CPA,
            "valid_until",
        ),
        (HEAD + 'minimum_payout = "1.234"\n' + CPA, "minimum_payout"),
        (HEAD + 'minimum_payout = "ten"\n' + CPA, "minimum_payout"),
        (HEAD + 'levels = [{ percent = "101" }]\n' + CPA, "levels.0.percent"),
        (HEAD + "levels = [" + '{ percent = "1" },' * 6 + "]\n" + CPA, "levels"),
        (HEAD + CPA.replace("10.00", "-1"), "deal.0.amount"),
        (HEAD + CPA + 'percent = "1"', "deal.0.percent"),
        (HEAD + CPA.replace("10.00", "10000000.01"), "deal.0.amount"),
        (HEAD + SHARE + 'amount = "1"', "deal.0.amount"),
        (HEAD + '[[deal]]\nkind = "cpa"', "deal.0.amount"),
        (HEAD + '[[deal]]\nkind = "revshare"', "deal.0.percent"),
        (HEAD + SHARE.replace("30", "100.5"), "deal.0.percent"),
        (HEAD + SHARE.replace("30", "0.00001"), "deal.0.percent"),
        (HEAD + SHARE.replace('"30"', '"a third"'), "deal.0.percent"),
        (HEAD + CPA + 'carry = "revenue"', "deal.0.carry"),
        (HEAD + CPA + 'formula = [{ event = "x", factor = "1" }]', "deal.0.formula"),
        (HEAD + SHARE + 'amounts = { DE = "1" }', "deal.0.amount"),
        (HEAD + '[[deal]]\nkind = "unit"\namounts = { DE = "1" }', "deal.0.amounts"),
        (HEAD + CPA + 'amounts = { Germany = "1" }', "deal.0.amounts"),
        (HEAD + CPA + 'measure = "kpi"\n' + RETRO, "deal.0.kpi"),
        (HEAD + CPA + 'kpi = "deposit"', "deal.0.kpi"),
        (HEAD + CPA + 'period = "week"', "deal.0.period"),
        (HEAD + CPA + 'period = "0"', "deal.0.period"),
        (HEAD + CPA + 'period = "total"\ncap = { month = "1" }', "deal.0.cap.month"),
        (HEAD + SHARE + 'carry = "revenue"\ncap = { day = "1" }', "deal.0.cap.day"),
        (HEAD + CPA + 'cap = { total = "x" }', "deal.0.cap.total"),
        (HEAD + CPA + 'measure = "base"\ntiers = [{ amount = "1" }]', "deal.0.measure"),
        (HEAD + CPA + 'tiers = [{ percent = "1" }]', "deal.0.ladder"),
        (HEAD + CPA + "keeps_tier = true", "deal.0.keeps_tier"),
        (HEAD + CPA + RETRO + 'tiers = [{ over = "1", amount = "1" }]', "deal.0.tiers"),
        (
            HEAD + CPA + RETRO + 'tiers = [{ amount = "1" }, { over = "0", amount = "2" }]',
            "deal.0.tiers",
        ),
        (HEAD + CPA + RETRO + "tiers = [{}]", "deal.0.tiers.0.amount"),
        (HEAD + SHARE + 'tiers = [{ amount = "1" }]', "deal.0.tiers.0.percent"),
        (
            HEAD + '[[deal]]\nkind = "cpa"\n' + RETRO + 'tiers = [{ percent = "1" }]',
            "deal.0.tiers.0.percent",
        ),
        (
            HEAD + '[[deal]]\nkind = "cpa"\namounts = { DE = "1" }\ntiers = [{ amount = "1" }]',
            "deal.0.tiers",
        ),
        (
            HEAD + CPA + RETRO + 'tiers = [{ amount = "1" }, { over = "1.5", amount = "2" }]',
            "deal.0.tiers.1.over",
        ),
        (
            HEAD + CPA + "tiers = [" + '{ amount = "1" },' * (TIERS_MAX + 1) + "]",
            "deal.0.tiers",
        ),
        (
            HEAD + SHARE + "formula = [" + '{ event = "e", factor = "1" },' * 33 + "]",
            "deal.0.formula",
        ),
        (
            HEAD
            + SHARE
            + 'formula = [{ event = "e", factor = "1" }, { event = "e", factor = "1" }]',
            "deal.0.formula.1.event",
        ),
        (HEAD + SHARE + 'formula = [{ event = "e", factor = "1001" }]', "deal.0.formula.0.factor"),
        (
            HEAD
            + 'qualify = { event = "d", within_days = 1 }\n'
            + SHARE
            + 'formula = [{ event = "e", factor = "1" }]',
            "deal.0.formula",
        ),
        (HEAD + 'qualify = { event = "d", within_days = 0 }\n' + CPA, "qualify.within_days"),
        (
            HEAD + 'qualify = { event = "d", within_days = 1, count = 0 }\n' + CPA,
            "qualify.count",
        ),
        (
            HEAD + 'qualify = { event = "d", within_days = 1, first = "x" }\n' + CPA,
            "qualify.first",
        ),
    ],
)
def test_what_is_wrong_with_an_offer_is_named_by_its_field(text: str, param: str) -> None:
    assert refused(text) == param


def test_a_file_that_is_too_large_is_not_read() -> None:
    with pytest.raises(Invalid, match=str(OFFER_BYTES_MAX)):
        read(b"#" * (OFFER_BYTES_MAX + 1))


def test_an_offer_that_says_little_is_whole() -> None:
    found = terms(read((HEAD + CPA).encode()))
    assert isinstance(found.offer, Offer)
    assert found.names == {"install"}
    assert (found.deals[0].amount_minor, found.minimum_minor, found.condition) == (1000, 0, None)


# Rates.


def rate(**more: Any) -> Rate:
    return Rate(**({"day": "2026-01-31", "base": "USD", "quote": "EUR", "rate": "0.9"} | more))


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ((), "rates"),
        ((rate(),) * (RATES_MAX + 1), "rates"),
        ((rate(day="yesterday"),), "rates.0.day"),
        ((rate(day="20260131"),), "rates.0.day"),
        ((rate(base="usd"),), "rates.0.base"),
        ((rate(quote="XXX"),), "rates.0.quote"),
        ((rate(quote="USD"),), "rates.0.quote"),
        ((rate(rate="0"),), "rates.0.rate"),
        ((rate(), rate(rate="-1")), "rates.1.rate"),
        ((rate(rate="1e5"),), "rates.0.rate"),
    ],
)
def test_a_rate_that_is_none_is_named_by_its_field(given: tuple[Rate, ...], param: str) -> None:
    with pytest.raises(Invalid) as fault:
        check(Rates(), given)
    assert fault.value.param == param


def test_a_days_rate_never_changes() -> None:
    rates = Rates()
    assert check(rates, (rate(), rate())) == (rate(),)
    assert rates.add(rate())
    assert not rates.add(rate(rate="0.8"))
    assert check(rates, (rate(rate="0.90"),)) == ()
    for given in ((rate(rate="0.8"),), (rate(day="2026-02-01"), rate(day="2026-02-01", rate="1"))):
        with pytest.raises(Conflict):
            check(rates, given)
    assert [row[0] for row in rates.all()] == ["2026-01-31"]


# The tree.


def test_the_tree_has_no_circles_and_no_more_steps_than_its_limit() -> None:
    parents: dict[str, str | None] = {}
    for n in range(DEPTH_MAX):
        check_tree(parents, f"p{n}", f"p{n + 1}")
        parents[f"p{n}"] = f"p{n + 1}"
    check_tree(parents, "p0", None)
    assert ancestors(parents, "p0", 2) == ["p1", "p2"]
    for partner, parent in (("p3", "p0"), ("p1", "p1"), ("p10", "p11"), ("new", "p0")):
        with pytest.raises(Invalid) as fault:
            check_tree(parents, partner, parent)
        assert fault.value.param == "parent"


# Days.


@pytest.mark.parametrize(
    "period", ["2026", "2026-13", "26-01", "2026-1", "1800-01", "\uff12026-01"]
)
def test_a_period_is_a_month(period: str) -> None:
    with pytest.raises(Invalid):
        month_number(period)


def test_periods_have_names_in_their_order() -> None:
    deal = terms(read((HEAD + CPA + 'period = "30"').encode())).deals[0]
    day = day_of("UTC", 0)
    assert window_of(deal, None, day) == "000000"
    assert window_of(deal._replace(period="total"), None, day) == "total"
    assert window_of(deal, day, day.replace(month=2)) == "000001"
    assert month_of("UTC", NEVER_MS) == 999_912


@pytest.mark.parametrize(
    "bomb",
    [
        "x=" + "[" * 2000 + "]" * 2000,
        "x = [\n" + "[\n" * 5000 + "]\n" * 5001,
        ".".join("a" * 30_000) + "=1",
    ],
    ids=["deep in a line", "deep", "a key of many parts"],
)
def test_a_file_that_would_cost_more_than_its_size_is_refused(bomb: str) -> None:
    assert refused(HEAD + bomb + "\n" + CPA) == "offer"


def test_an_offer_may_begin_with_a_byte_order_mark() -> None:
    assert read(("\ufeff" + HEAD + CPA).encode()).id == "x"


@pytest.mark.parametrize("day", ["20260101", "2026-W01-1"])
def test_days_are_written_in_one_way(day: str) -> None:
    assert refused(f'{HEAD}valid_from = "{day}"\n{CPA}') == "valid_from"
