"""What operators publish of their deals, with the numbers that they publish."""

from __future__ import annotations

import pytest
from ledger.books import Books, ms

from attribune.ledger.offers import read
from attribune.ledger.when import due_ms, pay_at_ms
from attribune.model.book import LineKind
from attribune.model.offer import AfterMonth

NGR = """
id = "share"
partner = "acme"
event = "ngr"
currency = "EUR"
[[deal]]
kind = "revshare"
percent = "30"
carry = "{carry}"
"""


@pytest.mark.parametrize(
    ("carry", "owed"), [("revenue", 150_000), ("commission", 150_000), ("none", 450_000)]
)
def test_a_month_below_nothing_is_carried_over_or_forgotten(carry: str, owed: int) -> None:
    """30 % of March's -10,000 and April's 15,000: 1,500 with carry-over, 4,500 without."""
    books = Books()
    books.offer(NGR.format(carry=carry))
    books.event("march", "ngr", "-10000", at="2026-03-10")
    books.event("april", "ngr", "15000", at="2026-04-10")
    assert books.earned() == owed
    assert books.problems() == []


def test_what_comes_late_to_a_month_moves_the_one_that_carries_it() -> None:
    """4,000 that are told late of March leave 6,000 to carry, so April's 15,000 pay 30 % of 9,000."""
    books = Books()
    books.offer(NGR.format(carry="revenue"))
    books.event("march", "ngr", "-10000", at="2026-03-10")
    books.event("april", "ngr", "15000", at="2026-04-10")
    books.event("late", "ngr", "4000", at="2026-03-31", judged="2026-04-12")
    assert books.earned() == 270_000
    earned, moved = books.lines()[2:]
    assert (earned.kind, earned.window, earned.amount_minor) == (LineKind.EARN, "2026-03", 0)
    assert (moved.kind, moved.window, moved.amount_minor) == (LineKind.RETIER, "2026-04", 120_000)
    assert books.problems() == []


def test_what_is_carried_differs_when_the_percent_changes_between_months() -> None:
    """Carrying the base takes 30 % of it, carrying the commission what the month before left of it."""
    owed = {}
    for carry in ("revenue", "commission"):
        books = Books()
        books.offer(
            f"""
            id = "share"
            event = "ngr"
            currency = "EUR"
            [[deal]]
            kind = "revshare"
            carry = "{carry}"
            ladder = "retroactive"
            tiers = [{{ percent = "20" }}, {{ over = "12000", percent = "30" }}]
            """
        )
        books.event("march", "ngr", "-10000", at="2026-03-10")
        books.event("april", "ngr", "25000", at="2026-04-10")
        owed[carry] = books.earned()
    assert owed == {"revenue": 450_000, "commission": 550_000}


@pytest.mark.parametrize(("ladder", "owed"), [("marginal", 376_000), ("retroactive", 496_000)])
def test_cpa_tiers_count_what_lies_within_or_all(ladder: str, owed: int) -> None:
    """100 for 1 to 10, 130 for 11 to 30, 160 from 31 on: 31 conversions are 3,760, or 4,960 at the rate reached."""
    books = Books()
    books.offer(
        f"""
        id = "tiers"
        event = "install"
        currency = "USD"
        [[deal]]
        kind = "cpa"
        ladder = "{ladder}"
        tiers = [
            {{ amount = "100.00" }},
            {{ over = "10", amount = "130.00" }},
            {{ over = "30", amount = "160.00" }},
        ]
        """
    )
    for n in range(31):
        books.install(f"i{n}")
    assert books.earned(currency="USD") == owed
    assert books.problems() == []


def test_january_locks_on_28_february_and_is_paid_on_20_march() -> None:
    """Locking 27 days after the end of the month, payment 20 days after the end of the month they lock in."""
    books = Books()
    books.offer(
        """
        id = "locked"
        event = "install"
        currency = "EUR"
        lock = { after_month_end_days = 27 }
        pay = { after_month_end_days = 20 }
        [[deal]]
        kind = "cpa"
        amount = "10.00"
        """
    )
    books.install("early", at="2026-01-01")
    books.install("late", at="2026-01-31 23:59")
    books.tick("2026-02-27 23:59")
    assert books.places() == (2000, 0, 0, 0)
    books.tick("2026-02-28")
    assert books.places() == (0, 2000, 0, 0)
    (january,) = books.close("2026-01", "2026-02-28")
    assert january.closing_minor == 0
    (february,) = books.close("2026-02", "2026-03-01")
    assert (february.closing_minor, february.pay_at_ms) == (2000, ms("2026-03-20"))


@pytest.mark.parametrize(
    ("factors", "percent", "events", "owed"),
    [
        # MGA: GGR x 83.5 % - promo - (deposits + withdrawals) x 10 %.
        (
            {"ggr": "0.835", "promo": "-1", "deposit": "-0.1", "withdrawal": "-0.1"},
            "25",
            {"ggr": "10000", "promo": "700", "deposit": "5000", "withdrawal": "2500"},
            # 8350 - 700 - 750 = 6900
            172_500,
        ),
        # Ontario: GGR x 65 % - promo - (deposits + withdrawals) x 5 %.
        (
            {"ggr": "0.65", "promo": "-1", "deposit": "-0.05", "withdrawal": "-0.05"},
            "25",
            {"ggr": "10000", "promo": "700", "deposit": "5000", "withdrawal": "2500"},
            # 6500 - 700 - 375 = 5425
            135_625,
        ),
        # (27,000 - (1,000 + 500 + 1,200)) x 40 % = 9,720.
        (
            {"ggr": "1", "bonus": "-1", "fee": "-1", "tax": "-1"},
            "40",
            {"ggr": "27000", "bonus": "1000", "fee": "500", "tax": "1200"},
            972_000,
        ),
    ],
    ids=["conquestador MGA", "conquestador Ontario", "aw33bdt"],
)
def test_net_revenue_is_what_the_formula_leaves(
    factors: dict[str, str], percent: str, events: dict[str, str], owed: int
) -> None:
    books = Books()
    terms = ", ".join(
        f'{{ event = "{event}", factor = "{factor}" }}' for event, factor in factors.items()
    )
    books.offer(
        f"""
        id = "ngr"
        event = "ggr"
        currency = "EUR"
        [[deal]]
        kind = "revshare"
        percent = "{percent}"
        formula = [{terms}]
        """
    )
    for n, (event, amount) in enumerate(events.items()):
        books.event(f"e{n}", event, amount)
    assert books.earned() == owed
    assert books.problems() == []


@pytest.mark.parametrize(
    ("base", "ladder", "owed"),
    [
        ("7500", "retroactive", 187_500),
        ("50000", "retroactive", 1_500_000),
        ("60000", "retroactive", 2_100_000),
        # 7,500 at 25 %, 42,500 at 30 %, 10,000 at 35 %
        ("60000", "marginal", 187_500 + 1_275_000 + 350_000),
    ],
)
def test_shares_by_monthly_net_revenue(base: str, ladder: str, owed: int) -> None:
    """WPN: up to 7,500 25 %, up to 50,000 30 %, above 35 %."""
    books = Books()
    books.offer(
        f"""
        id = "wpn"
        event = "ngr"
        currency = "USD"
        [[deal]]
        kind = "revshare"
        ladder = "{ladder}"
        tiers = [
            {{ percent = "25" }},
            {{ over = "7500", percent = "30" }},
            {{ over = "50000", percent = "35" }},
        ]
        """
    )
    books.event("n1", "ngr", base, currency="USD")
    assert books.earned(currency="USD") == owed


EXNESS = """
id = "ladder"
event = "ftd"
currency = "USD"
valid_from = "2026-01-01"
[[deal]]
kind = "cpa"
amount = "100.00"
amounts = { DE = "200.00", IN = "50.00" }
period = "365"
ladder = "retroactive"
keeps_tier = true
tiers = [
    { percent = "50" },
    { over = "10", percent = "60" },
    { over = "25", percent = "75" },
    { over = "50", percent = "100" },
]
"""


def test_a_kpi_ladder_tops_earlier_conversions_up_and_never_drops() -> None:
    """Exness: 50 % of the regional CPA up to 10 first deposits, 60 % from 11, 75 % from 26, all from 51 on."""
    books = Books()
    books.offer(EXNESS)
    told = [books.of_event(f"f{n}", "ftd", country="DE") for n in range(10)]
    books.tell(*told)
    assert books.earned(currency="USD") == 10 * 20_000 // 2
    books.event("f10", "ftd", country="IN", at="2026-11-10")
    assert books.earned(currency="USD") == (10 * 20_000 + 5_000) * 60 // 100
    # The eleventh pays its own 30.00 and lifts the ten before it from 50 % to 60 %.
    assert books.lines()[-1].amount_minor == 3_000 + 10 * 2_000
    books.corrected(told[0], None, at="2026-12-01")
    assert books.earned(currency="USD") == (9 * 20_000 + 5_000) * 60 // 100
    # A year later it begins anew.
    books.event("next", "ftd", country="FR", at="2027-01-02")
    assert books.earned(currency="USD") == (9 * 20_000 + 5_000) * 60 // 100 + 5_000
    assert books.problems() == []


def test_two_currencies_use_the_rate_of_the_conversions_day_and_are_held_without_one() -> None:
    books = Books()
    books.offer(
        """
        id = "share"
        event = "deposit"
        currency = "EUR"
        [[deal]]
        kind = "revshare"
        percent = "10"
        """
    )
    books.rate("2026-01-10", "JPY", "EUR", "0.0061")
    books.event("yen", "deposit", "10000", currency="JPY", at="2026-01-10 09:00")
    books.event("dollars", "deposit", "50", currency="USD", at="2026-01-10 10:00")
    books.event("euro", "deposit", "20", at="2026-01-10 11:00")
    # 10 % of 61.00 and of 20.00; the dollars wait.
    assert books.earned() == 610 + 200
    yen = books.lines()[0]
    assert (yen.revenue_minor, yen.rate, yen.rate_day) == (10_000, "0.0061", "2026-01-10")
    books.rate("2026-01-11", "USD", "EUR", "0.9")
    assert books.earned() == 810
    books.rate("2026-01-10", "USD", "EUR", "0.913")
    assert books.earned() == 810 + 456  # half of 45.65 is rounded to the even
    assert books.lines()[-1].kind is LineKind.EARN
    assert books.problems() == []


def test_dates_follow_the_products_time_zone() -> None:
    """The last hour of January in Berlin is January's, though UTC is behind."""
    offer = read(
        b'id = "x"\nevent = "install"\ncurrency = "EUR"\nlock = { after_month_end_days = 27 }\n'
        b'[[deal]]\nkind = "cpa"\namount = "1"'
    )
    at = ms("2026-01-31 22:59")
    assert due_ms(offer, "Europe/Berlin", at) == ms("2026-02-27 23:00")
    assert due_ms(offer, "Europe/Berlin", at + 60_000) == ms("2026-03-27 23:00")
    assert pay_at_ms("UTC", "2026-12", AfterMonth(after_month_end_days=20), 0) == ms("2027-01-20")
