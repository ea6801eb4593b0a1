"""What becomes of commissions: refunds, corrections, qualification, caps, shares up the tree, statements, payouts."""

from __future__ import annotations

import msgspec
import pytest
from ledger.books import GAME, Books, ms

from attribune.model.book import LineKind, outcome_key
from attribune.model.control import Change
from attribune.model.ids import DeviceId
from attribune.model.offer import StatementClosed
from attribune.model.outcome import Noted

CPA = """
id = "cpa"
event = "{event}"
currency = "EUR"
{more}
[[deal]]
kind = "cpa"
amount = "10.00"
{deal}
"""
SHARE = """
id = "share"
event = "purchase"
currency = "EUR"
{more}
[[deal]]
kind = "revshare"
percent = "30"
{deal}
"""


def cpa(event: str = "install", more: str = "", deal: str = "") -> str:
    return CPA.format(event=event, more=more, deal=deal)


def share(more: str = "", deal: str = "") -> str:
    return SHARE.format(more=more, deal=deal)


def bought(id_: str, amount: str = "100", **more: object) -> dict[str, object]:
    return {"id_": id_, "name": "purchase", "revenue": amount, "transaction_id": f"t-{id_}"} | more


# Refunds.


def test_a_refund_of_a_part_reverses_the_same_part_of_a_share() -> None:
    books = Books()
    books.offer(share())
    books.event(**bought("p"))
    books.event("r", "refund", "40", at="2026-01-12", transaction_id="t-p")
    assert [line.amount_minor for line in books.lines()] == [3000, -1200]
    assert books.lines()[1].cause == "refund"
    books.event("c", "chargeback", at="2026-01-13", transaction_id="t-p")
    assert books.earned() == 0
    assert books.lines()[2].cause == "chargeback"
    assert books.problems() == []


@pytest.mark.parametrize(
    ("rule", "left"), [("", 1000), ('partial_refund = "reverse"', 600)], ids=["keep", "reverse"]
)
def test_a_refund_of_a_part_leaves_a_fixed_amount_unless_the_deal_says_so(
    rule: str, left: int
) -> None:
    books = Books()
    books.offer(cpa("purchase", deal=rule))
    books.event(**bought("p"))
    books.event("r", "refund", "40", transaction_id="t-p")
    assert books.earned() == left
    books.event("r2", "refund", "60", transaction_id="t-p")
    assert books.earned() == 0
    assert books.problems() == []


def test_a_refund_may_be_told_before_what_it_undoes_and_twice() -> None:
    books = Books()
    books.offer(share())
    books.event("r", "refund", "40", transaction_id="t-p")
    books.event("r", "refund", "40", transaction_id="t-p")
    books.event(**bought("p"))
    books.event(**bought("p"))
    assert books.earned() == 1800
    assert books.problems() == []


def test_a_refund_by_an_app_takes_back_only_what_its_own_device_did() -> None:
    books = Books()
    books.offer(share())
    by_app = {"transaction_id": "t-p", "by_app": True}
    books.event("before", "refund", device=DeviceId("stranger"), **by_app)
    books.event(**bought("p"))
    books.event("after", "refund", device=DeviceId("stranger"), **by_app)
    assert books.earned() == 3000
    books.event("own", "refund", "40", **by_app)
    assert books.earned() == 1800
    books.event("server", "refund", "10", device=None, transaction_id="t-p")
    assert books.earned() == 1500
    assert books.problems() == []


def test_strangers_refunds_use_up_no_room_for_real_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attribune.ledger.taking_back.UNDOINGS_MAX", 2)
    books = Books()
    books.offer(share())
    books.event(**bought("p"))
    for n in range(3):
        strange = DeviceId(f"stranger-{n}")
        books.event(f"r{n}", "refund", device=strange, transaction_id="t-p", by_app=True)
    books.event("real", "refund", transaction_id="t-p")
    assert books.earned() == 0
    assert books.problems() == []


def test_a_refund_in_another_currency_waits_for_its_rate() -> None:
    books = Books()
    books.offer(share())
    books.event(**bought("p"))
    books.event("r", "refund", "50", currency="USD", transaction_id="t-p")
    assert books.earned() == 3000
    books.rate("2026-01-10", "USD", "EUR", "0.8")
    assert books.earned() == 1800
    assert books.problems() == []


def test_refunds_and_events_of_one_number_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attribune.ledger.taking_back.EARNERS_MAX", 1)
    monkeypatch.setattr("attribune.ledger.taking_back.UNDOINGS_MAX", 2)
    books = Books()
    books.offer(share())
    books.event(**bought("p", transaction_id="t"))
    books.event(**bought("q", transaction_id="t"))
    for n in range(3):
        books.event(f"r{n}", "refund", "10", transaction_id="t")
    # Two refunds of the first; the second bears the number too late to be undone by it.
    assert books.earned() == 2400 + 3000
    assert books.problems() == []


def test_a_formula_that_counts_refunds_is_not_undone_by_them_as_well() -> None:
    books = Books()
    books.offer(
        share(
            deal='formula = [{ event = "purchase", factor = "1" }, { event = "refund", factor = "-1" }]'
        )
    )
    books.event(**bought("p"))
    books.event("r", "refund", "40", transaction_id="t-p")
    assert books.earned() == 1800
    assert books.kinds() == [LineKind.EARN, LineKind.EARN]


def test_a_refund_after_the_statement_goes_to_the_next() -> None:
    books = Books()
    books.offer(cpa("purchase"))
    books.event(**bought("p", at="2026-01-10"))
    (january,) = books.close("2026-01", "2026-02-01")
    books.pay("po1", "EUR", ("acme", january.id, 1000), at="2026-02-02")
    books.settle("po1", is_paid=True, at="2026-02-03")
    assert books.places() == (0, 0, 0, 1000)
    books.event("r", "refund", at="2026-02-04", transaction_id="t-p")
    assert books.places() == (0, -1000, 0, 1000)
    (february,) = books.close("2026-02", "2026-03-01")
    assert (february.opening_minor, february.lines_minor) == (1000, -1000)
    assert (february.payments_minor, february.closing_minor) == (1000, -1000)
    assert books.places() == (0, 0, -1000, 1000)
    assert books.statements()[0] == january
    assert books.problems() == []


# Corrections.


def test_a_correction_takes_from_one_partner_and_gives_to_the_other() -> None:
    books = Books()
    books.offer(cpa())
    install = books.of_install("i")
    books.tell(install)
    books.corrected(install, "zeta", 2)
    assert (books.earned("acme"), books.earned("zeta")) == (0, 1000)
    assert books.lines("acme")[1].cause == "a person said so"
    books.corrected(install, None, 3)
    books.corrected(install, "acme", 4)
    assert (books.earned("acme"), books.earned("zeta")) == (1000, 0)
    books.tell(install)
    assert books.earned("acme") == 1000
    assert books.problems() == []


def test_a_revision_that_changes_nothing_that_counts_books_nothing() -> None:
    books = Books()
    books.offer(cpa())
    install = books.of_install("i")
    books.tell(install)
    books.corrected(install, "acme", 2)
    assert books.kinds() == [LineKind.EARN]


def test_undoing_one_conversion_of_a_retroactive_ladder_brings_the_period_to_what_stands() -> None:
    books = Books()
    books.offer(
        """
        id = "tiers"
        event = "install"
        currency = "EUR"
        [[deal]]
        kind = "cpa"
        ladder = "retroactive"
        tiers = [{ amount = "10.00" }, { over = "2", amount = "20.00" }]
        """
    )
    told = [books.of_install(f"i{n}") for n in range(3)]
    books.tell(*told)
    assert books.earned() == 6000
    books.corrected(told[0], None)
    assert books.earned() == 2000
    undone, retier = books.lines()[3:]
    assert (undone.kind, undone.amount_minor) == (LineKind.REVERSAL, -1000)
    assert (retier.kind, retier.amount_minor) == (LineKind.RETIER, -3000)
    assert books.problems() == []


def test_a_person_takes_a_commission_back_and_says_why() -> None:
    books = Books()
    books.offer(cpa(more="hold_days = 30"))
    books.install("i")
    books.reverse(outcome_key(GAME, "conversion", "i"), "bought installs")
    books.reverse(outcome_key(GAME, "conversion", "i"), "bought installs")
    books.reverse("oc_nothing", "no such thing")
    assert [line.cause for line in books.lines()] == ["", "bought installs"]
    assert books.places() == (0, 0, 0, 0)
    assert books.problems() == []


def test_an_earlier_revision_that_is_told_after_a_later_one_earns_nothing() -> None:
    books = Books()
    books.offer(cpa())
    install = books.of_install("i")
    books.corrected(install, None, 2)
    books.tell(install)
    assert books.lines() == []


def test_a_refund_that_waits_for_a_rate_undoes_nothing_twice() -> None:
    books = Books()
    books.offer(share())
    books.offer(share().replace('"share"', '"sale"').replace("purchase", "sale"))
    books.event(**bought("p", transaction_id="t"))
    books.rate("2026-01-10", "USD", "EUR", "0.5")
    books.event("s", "sale", "100", currency="USD", transaction_id="t")
    books.event("r", "refund", "40", transaction_id="t")
    assert [line.amount_minor for line in books.lines()] == [3000, 1500, -1200]
    books.rate("2026-01-10", "EUR", "USD", "2")
    assert [line.amount_minor for line in books.lines()] == [3000, 1500, -1200, -1200]
    assert books.problems() == []


def test_shares_up_the_tree_follow_what_tiers_make_of_others() -> None:
    books = Books()
    books.recruit("acme", "boss")
    books.offer(
        """
        id = "tiers"
        event = "install"
        currency = "EUR"
        levels = [{ percent = "33.33" }]
        [[deal]]
        kind = "cpa"
        ladder = "retroactive"
        tiers = [{ amount = "1.00" }, { over = "2", amount = "1.37" }]
        """
    )
    told = [books.of_install(f"i{n}") for n in range(4)]
    books.tell(*told)
    assert (books.earned(), books.earned("boss")) == (548, 183)
    for one, left, above in zip(told, (411, 200, 100, 0), (137, 67, 33, 0), strict=True):
        books.corrected(one, None)
        assert (books.earned(), books.earned("boss")) == (left, above)
        assert books.problems() == []


# Holds.


def test_a_commission_waits_for_its_hold_and_is_undone_where_it_sits() -> None:
    books = Books()
    books.offer(cpa("purchase", more="hold_days = 30"))
    books.event(**bought("p", at="2026-01-10"))
    books.event(**bought("q", at="2026-01-10"))
    assert books.places() == (2000, 0, 0, 0)
    books.event("r", "refund", at="2026-01-15", transaction_id="t-p")
    assert books.places() == (1000, 0, 0, 0)
    assert books.keeper.next_due() == ms("2026-02-09")
    books.tick("2026-02-09")
    assert books.places() == (0, 1000, 0, 0)
    assert books.keeper.next_due() is None
    assert books.problems() == []


# Caps, units, hybrids.


def test_caps_of_a_day_a_month_and_in_total_hold_and_give_way_when_something_is_undone() -> None:
    books = Books()
    books.offer(cpa(deal='cap = { day = "25.00", month = "40.00", total = "60.00" }'))
    told = [books.of_install(f"a{n}", at="2026-01-10") for n in range(4)]
    books.tell(*told)
    assert books.earned() == 2500
    books.install("b", at="2026-01-11")
    books.install("c", at="2026-01-11")
    assert books.earned() == 4000
    books.corrected(told[0], None, at="2026-01-12")
    assert books.earned() == 4000
    for n in range(3):
        books.install(f"d{n}", at="2026-02-01")
    assert books.earned() == 6000
    for n, one in enumerate(told[1:3]):
        books.corrected(one, None, at=f"2026-02-0{n + 2}")
    # January is worth 10 + 20, so February has 30 left of the total, and its day 25.
    assert books.earned() == 3000 + 2500
    assert books.problems() == []


def test_lots_are_paid_by_quantity() -> None:
    books = Books()
    books.offer(
        """
        id = "lots"
        event = "trade"
        currency = "USD"
        [[deal]]
        kind = "unit"
        amount = "7.00"
        """
    )
    books.event("t1", "trade", quantity="1.25")
    books.event("t2", "trade", quantity="0.333333")
    books.event("t3", "trade")
    # 8.75 and 2.333331
    assert books.earned(currency="USD") == 1108
    assert books.problems() == []


def test_a_number_that_no_book_could_hold_earns_nothing_and_stops_nobody() -> None:
    books = Books(timezone="UTC")
    books.offer(
        'id = "lots"\nevent = "trade"\ncurrency = "EUR"\n[[deal]]\nkind = "unit"\namount = "10000000"'
    )
    books.offer(share())
    books.rate("2026-01-10", "USD", "EUR", "999999999999")
    most = "1000000000000"
    books.event("t", "trade", quantity="999999999999.999999")
    books.event(**bought("p", most, currency="USD"))
    books.event(**bought("q", "1", currency="EUR"))
    books.event("r", "refund", most, currency="USD", transaction_id="t-q")
    books.tell(*(books.of_event(f"b{n}", "purchase", most) for n in range(150)))
    assert books.lines()[0].transaction_id == "t-q"
    # A hundred times a trillion is as much as a period holds.
    assert books.earned() == 30 * 10**12 * 100
    assert books.problems() == []


def test_a_share_up_the_tree_that_no_book_could_hold_is_not_booked() -> None:
    books = Books()
    books.recruit("acme", "boss")
    books.offer(cpa("purchase", more='levels = [{ percent = "1", of = "revenue" }]'))
    books.rate("2026-01-10", "USD", "EUR", "999999999999")
    books.event(**bought("p", "1000000000000", currency="USD"))
    assert (books.earned(), books.earned("boss")) == (1000, 0)
    books.event("r", "refund", "1", currency="USD", transaction_id="t-p")
    assert books.problems() == []


def test_units_climb_ladders_too() -> None:
    books = Books()
    books.offer(
        """
        id = "lots"
        event = "trade"
        currency = "USD"
        [[deal]]
        kind = "unit"
        tiers = [{ amount = "5.00" }, { over = "10", amount = "7.00" }]
        """
    )
    books.event("t1", "trade", quantity="12.5")
    assert books.earned(currency="USD") == 5000 + 1750


def test_a_hybrid_pays_both() -> None:
    books = Books()
    books.offer(
        """
        id = "hybrid"
        event = "deposit"
        currency = "EUR"
        [[deal]]
        kind = "cpa"
        amounts = { DE = "20.00" }
        amount = "10.00"
        [[deal]]
        kind = "revshare"
        percent = "2.5"
        """
    )
    books.event("d", "deposit", "100", country="DE")
    books.event("e", "deposit", "100", country="FR")
    assert [line.amount_minor for line in books.lines()] == [2000, 250, 1000, 250]


def test_quality_decides_the_rate() -> None:
    """5 for an install, 8 for all of them once more than 20 % of them deposit."""
    books = Books()
    books.offer(
        """
        id = "quality"
        event = "install"
        currency = "EUR"
        [[deal]]
        kind = "cpa"
        ladder = "retroactive"
        measure = "kpi_percent"
        kpi = "deposit"
        tiers = [{ amount = "5.00" }, { over = "20", amount = "8.00" }]
        """
    )
    for n in range(9):
        books.install(f"i{n}")
    books.event("d1", "deposit", "10")
    assert books.earned() == 4500
    books.event("d2", "deposit", "10")
    assert books.earned() == 7200
    books.install("i9")
    assert books.earned() == 5000  # two of ten are no more than 20 %
    assert books.problems() == []


def test_volume_of_another_event_decides_the_rate() -> None:
    books = Books()
    books.offer(
        share(
            deal='ladder = "retroactive"\nmeasure = "kpi"\nkpi = "visit"\n'
            'tiers = [{ percent = "10" }, { over = "1", percent = "20" }]'
        ).replace('percent = "30"', "", 1)
    )
    books.event(**bought("p"))
    books.event("v1", "visit")
    assert books.earned() == 1000
    books.event("v2", "visit")
    assert books.earned() == 2000
    assert books.problems() == []


@pytest.mark.parametrize(
    ("tiers", "owed"),
    [
        ('{ amount = "5" }, { over = "10", amount = "7" }', 8400),
        ('{ percent = "50" }, { over = "10", percent = "150" }', 18000),
    ],
)
def test_units_climb_retroactive_ladders(tiers: str, owed: int) -> None:
    books = Books()
    books.offer(
        'id = "lots"\nevent = "trade"\ncurrency = "EUR"\n[[deal]]\nkind = "unit"\namount = "10"\n'
        f'ladder = "retroactive"\npartial_refund = "reverse"\ntiers = [{tiers}]'
    )
    books.event("t1", "trade", "100", quantity="8", transaction_id="t")
    books.event("t2", "trade", quantity="4")
    assert books.earned() == owed
    books.event("r", "refund", "50", transaction_id="t")
    # Half of eight units at the rung that is reached.
    assert books.earned() == owed - owed * 4 // 12
    assert books.problems() == []


# Up the tree.


def test_those_up_the_tree_have_their_share_and_lose_it_with_the_commission() -> None:
    books = Books()
    books.recruit("acme", "boss")
    books.recruit("boss", "chief")
    books.recruit("chief", "owner")
    books.offer(share(more='levels = [{ percent = "10" }, { percent = "1", of = "revenue" }]'))
    books.event(**bought("p"))
    assert [books.earned(name) for name in ("acme", "boss", "chief", "owner")] == [
        3000,
        300,
        100,
        0,
    ]
    books.event("r", "refund", "50", transaction_id="t-p")
    assert [books.earned(name) for name in ("acme", "boss", "chief")] == [1500, 150, 50]
    books.event("c", "refund", transaction_id="t-p")
    assert [books.earned(name) for name in ("acme", "boss", "chief")] == [0, 0, 0]
    assert books.problems() == []


def test_a_share_of_revenue_up_the_tree_does_not_move_with_tiers() -> None:
    books = Books()
    books.recruit("acme", "boss")
    books.offer(
        cpa("purchase", more='levels = [{ percent = "1", of = "revenue" }]').replace(
            'amount = "10.00"',
            'ladder = "retroactive"\ntiers = [{ amount = "1" }, { over = "1", amount = "3" }]',
        )
    )
    told = [books.of_event(f"p{n}", "purchase", "100") for n in range(2)]
    books.tell(*told)
    assert (books.earned(), books.earned("boss")) == (600, 200)
    books.corrected(told[0], None)
    assert (books.earned(), books.earned("boss")) == (100, 100)
    assert books.problems() == []


# Precedence and versions.


def test_one_order_decides_where_several_offers_fit() -> None:
    books = Books()
    for id_, conditions in (
        ("all", ""),
        ("theirs", 'partner = "acme"'),
        ("theirs-in-germany", 'partner = "acme"\ncountries = ["DE"]'),
        ("app", 'app = "game-android"'),
        ("other", 'partner = "zeta"'),
    ):
        books.offer(cpa(more=conditions).replace('id = "cpa"', f'id = "{id_}"'))
    books.install("i")
    (line,) = books.lines()
    assert line.offer == "theirs-in-germany"
    assert set(line.lost) == {
        "all: fewer conditions",
        "theirs: fewer conditions",
        "app: fewer conditions",
    }
    books.install("f", country="FR")
    assert books.lines()[-1].offer == "theirs"
    assert books.lines()[-1].lost == (
        "app: not for this partner alone",
        "all: fewer conditions",
    )


def test_of_offers_that_are_alike_the_last_added_decides_and_then_the_first_id() -> None:
    books = Books()
    for id_, at in (("b", "2026-01-02"), ("c", "2026-01-03"), ("a", "2026-01-03")):
        books.offer(cpa().replace('id = "cpa"', f'id = "{id_}"'), at=at)
    books.install("i")
    assert (books.lines()[0].offer, books.lines()[0].lost) == ("a", ("c: a later id", "b: older"))


def test_a_version_holds_for_conversions_from_its_day_on() -> None:
    books = Books()
    books.offer(cpa(more='valid_from = "2026-01-05"'), at="2026-01-01")
    books.install("before", at="2026-01-04")
    books.offer(cpa(more='valid_from = "2026-02-01"').replace("10.00", "20.00"), at="2026-01-06")
    books.install("a", at="2026-01-31 23:59")
    books.install("b", at="2026-02-01")
    books.install("late", at="2026-01-20", judged="2026-02-02")
    assert [(x.version, x.amount_minor) for x in books.lines()] == [(1, 1000), (2, 2000), (1, 1000)]


def test_without_a_day_the_first_version_holds_for_what_is_told_and_later_ones_for_what_happens() -> (
    None
):
    books = Books()
    books.offer(cpa(), at="2026-03-01")
    books.install("old", at="2026-01-04", judged="2026-03-01")
    books.offer(cpa().replace("10.00", "20.00"), at="2026-03-02")
    books.install("older", at="2026-03-01 12:00", judged="2026-03-02")
    books.install("new", at="2026-03-02")
    assert [x.amount_minor for x in books.lines()] == [1000, 1000, 2000]


def test_an_offer_ends_before_its_last_day() -> None:
    books = Books()
    books.offer(cpa(more='valid_until = "2026-02-01"'))
    books.install("a", at="2026-01-31 23:59")
    books.install("b", at="2026-02-01")
    assert [line.amount_minor for line in books.lines()] == [1000]


def test_what_no_offer_counts_leaves_nothing() -> None:
    books = Books()
    books.offer(cpa("purchase"))
    before = books.book.position()
    words = {"product": GAME, "position": 1, "about": 1, "judged_at_ms": books.now_ms}
    books.tell(
        books.of_install("i"),
        books.of_event("e", "level"),
        Noted(record="n", record_type="consent", **words),  # type: ignore[arg-type]
    )
    books.keeper.take([])
    assert books.lines() == []
    assert books.book.position() == before + 3


# Statements and payouts.


def test_a_month_that_is_closed_again_stands_and_late_lines_go_to_the_next() -> None:
    books = Books()
    books.offer(cpa())
    books.install("i", at="2026-01-10")
    (first,) = books.close("2026-01", "2026-02-01")
    books.install("late", at="2026-01-20", judged="2026-02-02")
    assert books.close("2026-01", "2026-02-03") == [first]
    (second,) = books.close("2026-02", "2026-03-01")
    assert (second.opening_minor, second.lines_minor, second.closing_minor) == (1000, 1000, 2000)
    assert second.previous == first.id
    assert books.close("2026-01", "2026-03-02") == [first]
    assert books.problems() == []


def test_a_statement_takes_nothing_that_is_told_behind_it_in_the_same_batch() -> None:
    books = Books()
    books.offer(cpa())
    books.tell(
        books.of_install("i"),
        Change(at_ms=ms("2026-01-11"), record=StatementClosed(partner="acme", period="2026-01")),
        books.of_install("j"),
    )
    (first,) = books.statements()
    assert (first.lines_count, first.lines_minor) == (1, 1000)
    assert books.problems() == []


def test_a_month_that_has_not_begun_is_not_closed() -> None:
    books = Books()
    books.offer(cpa())
    books.install("i", at="2026-01-10")
    assert books.close("2026-02", "2026-01-31 09:00") == []
    assert [s.period for s in books.close("2026-02", "2026-01-31 10:00")] == ["2026-02"]


def test_a_failed_payout_leaves_the_money_where_it_was() -> None:
    books = Books()
    books.offer(cpa())
    books.install("i")
    (statement,) = books.close("2026-01", "2026-02-01")
    books.pay("po1", "EUR", ("acme", statement.id, 1000), at="2026-02-02")
    books.pay("po2", "EUR", ("acme", statement.id, 1000), at="2026-02-02")
    assert books.chain().payout == "po1"
    books.settle("po1", is_paid=False, at="2026-02-03")
    assert books.places() == (0, 0, 1000, 0)
    books.pay("po3", "EUR", ("acme", statement.id, 1000), at="2026-02-04")
    books.settle("po3", is_paid=True, at="2026-02-05")
    books.settle("po3", is_paid=True, at="2026-02-05")
    books.settle("po3", is_paid=False, at="2026-02-05")
    assert books.places() == (0, 0, 0, 1000)
    (february,) = books.close("2026-02", "2026-03-01")
    assert (february.payments_minor, february.closing_minor) == (1000, 0)


@pytest.mark.parametrize("size", [1, 3, 100])
def test_the_book_does_not_depend_on_how_it_is_read(size: int) -> None:
    """Told one by one, in threes or all at once, the same lines and balances stand."""
    first = Books()
    first.offer(cpa("registration", more='qualify = { event = "deposit", within_days = 3 }'))
    first.offer(share(more="hold_days = 5"))
    for n in range(12):
        first.event(f"reg{n}", "registration", at=f"2026-01-{n + 1:02d}", device=f"d{n}")
        first.event(**bought(f"p{n}", str(n), at=f"2026-01-{n + 1:02d}"))
        if n % 3:
            first.event(f"dep{n}", "deposit", "1", at=f"2026-01-{n + 2:02d}", device=f"d{n}")
        if n % 4 == 0:
            first.event(f"r{n}", "refund", at=f"2026-01-{n + 3:02d}", transaction_id=f"t-p{n}")
    again = Books()
    entries = first.told[1:]
    for begin in range(0, len(entries), size):
        again.keeper.take(entries[begin : begin + size])
    by_id = {line.id: line for line in first.lines()}
    assert {line.id: line for line in again.lines()} == by_id
    assert again.book.balances() == first.book.balances()
    assert msgspec.to_builtins(again.keeper.desk.meta) == msgspec.to_builtins(
        first.keeper.desk.meta
    )
