"""Foreign conversions: credited to the partner they mean, once, and never part of our own decisions."""

from __future__ import annotations

from typing import Any

import pytest
from tale import DAY_ZERO_MS, PRODUCT, House, read_tale, tell

from attribune.model import scrub
from attribune.model.activity import (
    Consent,
    Device,
    ForeignConversion,
    ForeignKind,
    ForeignSource,
    Forget,
    Open,
    Platform,
    Sender,
    Vendor,
)
from attribune.model.control import Change, Partner, PartnerKind
from attribune.model.ids import (
    AppId,
    DeviceId,
    PartnerId,
    ProductId,
    RecordId,
    TouchId,
    UserId,
    uuid7,
)
from attribune.model.outcome import CreditedBy, ForeignCredited, RefusedRecord
from attribune.model.policy import DAY_MS
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason
from attribune.model.touch import Touch, TouchKind, TouchOrigin

NOON = DAY_ZERO_MS + DAY_MS // 2
APP_ID = AppId("game-android")


def foreign(id_: str = "fc_1", **more: Any) -> ForeignConversion:
    words: dict[str, Any] = {
        "id": RecordId(id_),
        "product": PRODUCT,
        "app": APP_ID,
        "sender": Sender.OPERATOR,
        "received_at_ms": NOON,
        "occurred_at_ms": NOON,
        "vendor": Vendor.ADJUST,
        "kind": ForeignKind.INSTALL,
        "source": ForeignSource.ATTRIBUTED,
    }
    return ForeignConversion(**(words | more))


def touch(name: str, partner: str, click: str, **more: Any) -> Touch:
    at_ms = NOON - 3_600_000
    words: dict[str, Any] = {
        "id": uuid7(at_ms, name.encode().ljust(10, b"x")),
        "kind": TouchKind.CLICK,
        "product": PRODUCT,
        "partner": PartnerId(partner),
        "origin": TouchOrigin.S2S,
        "received_at_ms": at_ms,
        "occurred_at_ms": at_ms,
        "partner_click_id": click,
    }
    return Touch(**(words | more))


def partner(id_: str, name: str) -> Change:
    record = Partner(id=PartnerId(id_), name=name, kind=PartnerKind.NETWORK)
    return Change(at_ms=DAY_ZERO_MS, record=record)


def judged(*records: Any) -> House:
    """A house with the partners acme and zeta that was told some records."""
    told = read_tale("")
    told.entries += [(Topic.CONTROL, partner("acme", "Acme")), (Topic.CONTROL, partner("zeta", "Zeta"))]  # fmt: skip
    for record in records:
        topic = Topic.TOUCHES if isinstance(record, Touch) else Topic.ACTIVITY
        told.entries.append((topic, record))
    return tell(told)


def only(house: House) -> ForeignCredited:
    [found] = [one for one in house.outcomes() if isinstance(one, ForeignCredited)]
    return found


def refusals(house: House) -> list[RefusalReason]:
    return [one.reason for one in house.outcomes() if isinstance(one, RefusedRecord)]


def device(id_: str = "d1", **ids: str) -> Device:
    return Device(id=DeviceId(id_), platform=Platform.ANDROID, ids=ids)


def told_by(kind: type, **more: Any) -> Any:
    words = {
        "id": RecordId(f"{kind.__name__}-1"),
        "product": PRODUCT,
        "app": APP_ID,
        "sender": Sender.SERVER,
        "received_at_ms": NOON - 1000,
        "occurred_at_ms": NOON - 1000,
    }
    return kind(**(words | more))


def test_our_touch_that_it_carries_says_whose_it_is() -> None:
    click = touch("a", "zeta", "c-1")
    found = only(judged(click, foreign(touch_id=TouchId(click.id.upper()), network="Acme")))
    assert (found.partner, found.credited_by, found.touch) == ("zeta", CreditedBy.TOUCH, click.id)


def test_our_touch_may_be_handed_on_as_the_click_id() -> None:
    click = touch("a", "zeta", "c-1")
    found = only(judged(click, foreign(partner_click_id=click.id)))
    assert (found.partner, found.credited_by) == ("zeta", CreditedBy.TOUCH)


def test_a_touch_of_another_product_is_not_ours_to_name() -> None:
    click = touch("a", "zeta", "c-1", product=ProductId("other"))
    assert only(judged(click, foreign(touch_id=click.id, partner_click_id="c-1"))).partner is None


def test_the_partners_click_id_says_whose_it_is() -> None:
    click = touch("a", "zeta", "c-1")
    found = only(judged(click, foreign(partner_click_id="c-1", network="Acme")))
    assert (found.partner, found.credited_by, found.touch) == (
        "zeta",
        CreditedBy.CLICK_ID,
        click.id,
    )
    assert only(judged(click, foreign(partner_click_id="C-1"))).partner is None


def test_two_partners_with_one_click_id_are_told_apart_by_the_network() -> None:
    clicks = (touch("a", "zeta", "1"), touch("b", "acme", "1"))
    assert only(judged(*clicks, foreign(partner_click_id="1"))).partner is None
    named = only(judged(*clicks, foreign(partner_click_id="1", network="ZETA_int")))
    assert (named.partner, named.credited_by) == ("zeta", CreditedBy.CLICK_ID)
    mapped = foreign(partner_click_id="1", network="x", mapped_partner=PartnerId("acme"))
    assert only(judged(*clicks, mapped)).partner == "acme"


def test_what_is_restricted_can_still_be_known_by_its_click_id() -> None:
    record = foreign(source=ForeignSource.RESTRICTED, partner_click_id="c-1", network="restricted")
    found = only(judged(touch("a", "zeta", "c-1"), record))
    assert (found.partner, found.source) == ("zeta", ForeignSource.RESTRICTED)


def test_a_map_goes_before_a_name() -> None:
    found = only(judged(foreign(network="Acme", mapped_partner=PartnerId("zeta"))))
    assert (found.partner, found.credited_by) == ("zeta", CreditedBy.MAP)


@pytest.mark.parametrize("network", ["acme", "Acme", "acme_int", "ACME_INT", " acme "])
def test_a_network_that_bears_the_partners_name(network: str) -> None:
    found = only(judged(foreign(network=network)))
    assert (found.partner, found.credited_by) == ("acme", CreditedBy.NAME)


@pytest.mark.parametrize("network", [None, "Other", "???"])
def test_a_network_that_nobody_knows(network: str | None) -> None:
    found = only(judged(foreign(network=network)))
    assert (found.partner, found.credited_by) == (None, None)


def test_what_they_call_organic_is_nobodys() -> None:
    record = foreign(source=ForeignSource.ORGANIC, partner_click_id="c-1", network="Acme")
    assert only(judged(touch("a", "zeta", "c-1"), record)).partner is None


def test_it_counts_once_however_late_it_is_told_again() -> None:
    year = 365 * DAY_MS
    house = judged(foreign(), foreign(received_at_ms=NOON + year))
    assert len([one for one in house.outcomes() if isinstance(one, ForeignCredited)]) == 1
    assert refusals(house) == [RefusalReason.REPEATED_RECORD]


def event(id_: str, **more: Any) -> ForeignConversion:
    words = {"kind": ForeignKind.EVENT, "name": "purchase", "transaction_id": "o-1"}
    return foreign(id_, **(words | more))


def test_an_order_counts_once_though_its_time_differs() -> None:
    house = judged(event("fc_1"), event("fc_2"), event("fc_3", is_primary=False), event("fc_4", vendor=Vendor.SINGULAR), event("fc_5", name="refund"))  # fmt: skip
    assert refusals(house) == [RefusalReason.REPEATED_TRANSACTION]


def test_an_action_of_impact_is_updated() -> None:
    house = judged(event("fc_1", vendor=Vendor.IMPACT), event("fc_2", vendor=Vendor.IMPACT))
    kinds = [one.kind for one in house.outcomes() if isinstance(one, ForeignCredited)]
    assert kinds == [ForeignKind.EVENT, ForeignKind.UPDATE]


@pytest.mark.parametrize(
    "words", [{"ids": {"gaid": "G1"}}, {"user_id": UserId("u-1")}, {"partner_click_id": "c-1"}]
)
def test_nothing_is_measured_of_who_said_no(words: dict[str, Any]) -> None:
    click = touch("a", "acme", "c-1", ids={"gaid": "g1"})
    opened = told_by(Open, device=device(gaid="g1"), user_id=UserId("u-1"))
    seen = judged(click, opened, foreign(**words))
    assert only(seen).device == "d1"
    no = told_by(Consent, device=device(gaid="g1"), measurement=False)
    assert refusals(judged(click, opened, no, foreign(**words))) == [RefusalReason.NO_CONSENT]


def test_a_device_that_opened_later_knows_nothing_of_it() -> None:
    """Our own decisions come out the same with and without it."""
    records = (
        touch("a", "acme", "c-1", ids={"gaid": "g1"}),
        told_by(Open, device=device(gaid="g1"), received_at_ms=NOON + 5, occurred_at_ms=NOON + 5),
    )
    said = foreign(ids={"gaid": "g1"}, network="Zeta")
    without = list(judged(*records).outcomes())
    with_ = [
        one
        for one in judged(records[0], said, records[1]).outcomes()
        if not isinstance(one, ForeignCredited)
    ]
    assert [type(one) for one in with_] == [type(one) for one in without]
    assert with_[0].credit == without[0].credit
    assert with_[0].conversion == without[0].conversion


def test_who_was_forgotten_by_user_is_not_measured_again() -> None:
    opened = told_by(Open, device=device(gaid="g1"), user_id=UserId("u-1"))
    house = judged(opened, told_by(Forget, device=device(gaid="g1")), foreign(ids={"gaid": "g1"}))
    found = [one for one in house.outcomes() if isinstance(one, ForeignCredited)]
    # Nothing leads from the identifier to the device any more; what is told of it is another's word.
    assert [one.device for one in found] == [None]


def test_the_country_is_theirs_or_that_of_the_address() -> None:
    assert only(judged(foreign(country="FR", ip="203.0.113.5"))).country == "FR"
    assert only(judged(foreign(ip="203.0.113.5"))).country == "DE"
    assert only(judged(foreign())).country is None


def test_scrubbing_leaves_what_was_decided() -> None:
    record = foreign(ids={"gaid": "g1"}, vendor_device_id="ad1", user_id=UserId("u-1"), partner_click_id="c-1", network="Acme")  # fmt: skip
    left = scrub.activity(record)
    assert (left.ids, left.vendor_device_id, left.user_id, left.partner_click_id) == ({}, None, None, None)  # fmt: skip
    assert (left.network, left.is_scrubbed) == ("Acme", True)
    said = only(judged(record))
    without = scrub.without_person(said, None)
    assert (without.handles, without.vendor_device_id, without.user_id) == ((), None, None)
    assert (without.partner, without.network, without.record) == ("acme", "Acme", said.record)


def test_handles_lead_to_it() -> None:
    record = foreign(ids={"gaid": "g1"}, vendor_device_id="ad1", user_id=UserId("u-1"), partner_click_id="c-1", transaction_id="o-1")  # fmt: skip
    assert set(only(judged(record)).handles) == {"g1", "ad1", "u-1", "c-1", "o-1"}
