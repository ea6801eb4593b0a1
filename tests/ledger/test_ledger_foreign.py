"""An offer pays for the decisions of one source: ours, or those of one other measurement partner."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger.books import APP, GAME, Books, ms

from attribune.model.activity import ForeignKind, ForeignSource, Platform, Vendor
from attribune.model.book import LineKind
from attribune.model.ids import DeviceId, PartnerId, Position, RecordId, UserId
from attribune.model.money import money
from attribune.model.outcome import ForeignCredited

OFFER = """
id = "{id}"
event = "{event}"
currency = "EUR"
counts = "{counts}"
{more}
[[deal]]
kind = "{kind}"
"""
CPA = OFFER + 'amount = "10.00"\n'
SHARE = OFFER + 'percent = "30"\n'


def cpa(counts: str, event: str = "install", id_: str = "cpa", more: str = "") -> str:
    return CPA.format(id=id_, event=event, counts=counts, kind="cpa", more=more)


def share(counts: str) -> str:
    return SHARE.format(id="share", event="purchase", counts=counts, kind="revshare", more="")


def said(id_: str, revenue: str | None = None, **more: Any) -> ForeignCredited:
    words: dict[str, Any] = {
        "product": GAME,
        "app": APP,
        "platform": Platform.ANDROID,
        "position": Position(1),
        "about": Position(1),
        "judged_at_ms": ms("2026-01-10"),
        "record": RecordId(id_),
        "vendor": Vendor.ADJUST,
        "kind": ForeignKind.INSTALL,
        "source": ForeignSource.ATTRIBUTED,
        "at_ms": ms("2026-01-10"),
        "partner": PartnerId("acme"),
        "vendor_device_id": "ad1",
        "revenue": money(revenue, "EUR") if revenue else None,
    }
    return ForeignCredited(**(words | more))


def bought(id_: str, revenue: str = "100", **more: Any) -> ForeignCredited:
    words = {"kind": ForeignKind.EVENT, "name": "purchase", "transaction_id": f"t-{id_}"}
    return said(id_, revenue, **(words | more))


def rejected(id_: str, of: str, **more: Any) -> ForeignCredited:
    words = {"kind": ForeignKind.REJECTED, "transaction_id": f"t-{of}", "name": "purchase"}
    return said(id_, None, **(words | more))


def test_each_source_is_paid_by_the_offers_that_count_it() -> None:
    books = Books()
    books.offer(cpa("adjust"))
    books.install("1")
    assert books.earned() == 0
    books.tell(said("fc1"))
    assert books.earned() == 1000
    books.tell(said("fc2", vendor=Vendor.APPSFLYER))
    assert books.earned() == 1000
    assert books.problems() == []


def test_our_own_offers_know_nothing_of_them() -> None:
    books = Books()
    books.offer(cpa("own"))
    books.tell(said("fc1"))
    assert books.earned() == 0
    books.install("1")
    assert books.earned() == 1000


def test_an_offer_that_says_nothing_counts_ours() -> None:
    books = Books()
    books.offer(cpa("own").replace('counts = "own"', ""))
    books.tell(said("fc1"))
    books.install("1")
    assert books.earned() == 1000


def test_a_new_version_may_count_another_source() -> None:
    books = Books()
    books.offer(cpa("own", more='valid_from = "2026-01-01"'), at="2026-01-01")
    books.install("1", at="2026-01-10")
    books.tell(said("fc1"))
    books.offer(cpa("adjust", more='valid_from = "2026-02-01"'), at="2026-01-20")
    books.install("2", at="2026-02-10")
    books.tell(said("fc2", at_ms=ms("2026-02-10"), judged_at_ms=ms("2026-02-10")))
    assert books.earned() == 2000
    assert books.problems() == []


def test_a_share_of_what_they_tell() -> None:
    books = Books()
    books.offer(share("adjust"))
    books.tell(bought("1"), bought("2", is_primary=False), bought("3", partner=None))
    assert books.earned() == 3000
    assert books.problems() == []


@pytest.mark.parametrize(
    "who",
    [
        {},
        {"vendor_device_id": None, "device": DeviceId("d1")},
        {"vendor_device_id": None, "user_id": UserId("u1")},
        {"vendor_device_id": None},
    ],
)
def test_a_rejection_takes_back_what_they_told_of_the_same_person(who: dict[str, Any]) -> None:
    books = Books()
    books.offer(share("adjust"))
    books.tell(bought("1", **who), rejected("r", "1", **who))
    assert books.earned() == 0
    assert books.problems() == []


def test_a_rejection_takes_back_nothing_of_ours_or_of_strangers() -> None:
    books = Books()
    books.offer(share("own"))
    books.offer(share("adjust").replace('"share"', '"theirs"'))
    books.event("1", "purchase", "100", transaction_id="t-1")
    books.tell(bought("1"))
    assert books.earned() == 6000
    books.tell(rejected("r", "1", vendor_device_id="other"))
    assert books.earned() == 6000
    books.tell(rejected("r2", "1"))
    assert books.earned() == 3000
    assert books.problems() == []


def test_an_offer_may_pay_for_rejections_as_for_any_other_kind() -> None:
    books = Books()
    books.offer(cpa("adjust", event="rejected"))
    books.tell(rejected("r", "1", transaction_id=None, name=None))
    assert books.earned() == 1000  # an offer may name the kind, as it may name any other


def refused(id_: str, **more: Any) -> ForeignCredited:
    """The vendor's word that an install was fraud."""
    words = {"kind": ForeignKind.REJECTED, "rejected_because": "site_blacklist"}
    return said(id_, None, **(words | more))


BOTH_ORDERS = pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["after", "before"])


@BOTH_ORDERS
@pytest.mark.parametrize(
    ("install", "rejection"),
    [
        ({}, {}),
        ({}, {"partner": None, "source": ForeignSource.UNKNOWN}),
        ({}, {"at_ms": ms("2026-01-13"), "judged_at_ms": ms("2026-01-13")}),
        ({}, {"at_ms": ms("2026-01-09 12:00")}),
        ({"device": DeviceId("d1")}, {"vendor_device_id": None, "device": DeviceId("d1")}),
        ({"user_id": UserId("u1")}, {"vendor_device_id": None, "user_id": UserId("u1")}),
        ({"transaction_id": "t1"}, {}),
        ({"touch_at_ms": 5_000}, {"touch_at_ms": 5_999}),
        ({"touch_at_ms": 5_000}, {}),
        ({}, {"touch_at_ms": 5_000}),
    ],
)
def test_a_rejected_install_is_taken_back_once_with_its_cause(
    order: tuple[int, int], install: dict[str, Any], rejection: dict[str, Any]
) -> None:
    books = Books()
    books.offer(cpa("adjust"))
    tales = (said("fc1", **install), refused("r", **rejection))
    for number in (*order, *order):
        books.tell(tales[number])
    books.tell(refused("r2", **rejection))
    assert books.earned() == 0
    causes = [line.cause for line in books.lines() if line.kind is LineKind.REVERSAL]
    assert causes == ["site_blacklist"]
    assert books.problems() == []


@BOTH_ORDERS
@pytest.mark.parametrize(
    "rejection",
    [
        {"vendor_device_id": "other"},
        {"vendor": Vendor.APPSFLYER},
        {"product": "other"},
        {"partner": PartnerId("zeta")},
        {"partner": None},
        {"is_primary": False},
        {"name": "purchase"},
        {"vendor_device_id": None},
        {"at_ms": ms("2026-01-18")},
        {"at_ms": ms("2026-01-08")},
        {"touch_at_ms": 7_001},
    ],
    ids=str,
)
def test_a_rejection_of_something_else_takes_no_install_back(
    order: tuple[int, int], rejection: dict[str, Any]
) -> None:
    books = Books()
    books.offer(cpa("adjust"))
    tales = (said("fc1", touch_at_ms=6_000), refused("r", **rejection))
    books.tell(*(tales[number] for number in order))
    assert books.earned() == 1000


def test_a_vendor_that_rejects_later_has_until_the_month_is_over() -> None:
    books = Books()
    books.offer(cpa("appsflyer"))
    for day, id_ in (("2026-02-17", "r1"), ("2026-02-18", "r2")):
        theirs = {"vendor": Vendor.APPSFLYER, "vendor_device_id": id_}
        install = said(f"fc-{id_}", **theirs)
        books.tell(install, refused(id_, at_ms=ms(day), **theirs))
    assert books.earned() == 1000


def test_a_rejected_order_names_its_cause_too() -> None:
    books = Books()
    books.offer(share("adjust"))
    books.tell(bought("1"), rejected("r", "1", rejected_because="fraud"))
    assert [line.cause for line in books.lines()] == ["", "fraud"]
    books.tell(bought("2"), bought("r3", None, name="refund", transaction_id="t-2"))
    assert [line.cause for line in books.lines()][2:] == ["", "refund"]


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(9)), st.integers(1, 9))
def test_whatever_order_installs_and_rejections_come_in_the_same_stands(
    order: list[int], batch: int
) -> None:
    """Three people; of each an install, and of two of them rejections, one told by fewer ids."""
    tales = [
        said("fc1"),
        said("fc2", vendor_device_id="ad2", device=DeviceId("d2")),
        said("fc3", vendor_device_id="ad3", partner=PartnerId("zeta")),
        refused("r1"),
        refused("r1-again", at_ms=ms("2026-01-12")),
        refused("r2", vendor_device_id=None, device=DeviceId("d2")),
        refused("r3"),
        refused("r4", vendor_device_id="ad3"),
        said("fc1"),
    ]
    told = [tales[number] for number in order]
    books = Books()
    books.offer(cpa("adjust"))
    for begin in range(0, len(told), batch):
        books.tell(*told[begin : begin + batch])
    assert (books.earned("acme"), books.earned("zeta")) == (0, 1000)
    assert len([one for one in books.lines() if one.kind is LineKind.REVERSAL]) == 2
    assert books.problems() == []


def test_what_is_told_again_is_booked_once() -> None:
    books = Books()
    books.offer(cpa("adjust"))
    books.tell(said("fc1"), said("fc1"))
    assert books.earned() == 1000
