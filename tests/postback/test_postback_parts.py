"""A part of a purchase that is refunded is told as a part, never as the whole; parts that make the whole are one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from posthouse import NOW_MS, PostHouse, Receiver, all_delivered, credit, event, postback
from test_postback_elsewhere import said as foreign
from test_postback_outgoing import going, urls

from attribune.model.activity import ForeignKind
from attribune.model.control import Postback
from attribune.model.delivery import Attempt, DeliveryState, Settled, Trigger
from attribune.model.errors import Invalid
from attribune.model.ids import DeviceId, PartnerId, Position, PostbackId
from attribune.model.money import Money
from attribune.model.offer import Counts
from attribune.model.outcome import Cause, CreditedEvent
from attribune.model.position import Topic
from attribune.postback.configure import choose
from attribune.postback.fold import delivery_id
from attribune.postback.folders import find_shipped
from attribune.postback.parts import UNKNOWN, Taken, taken
from attribune.postback.plan import Deed

URL = "https://acme.example/pb?t={trigger}&u={revenue_undone}&l={revenue_left}&lm={revenue_left_minor}&cur={currency}&r={revenue}"
ONE = "https://acme.example/pb?t={trigger}"
IMPACT = {"account_sid": "IR", "auth_token": "tok", "campaign_id": "1", "app_id": "2"}


def eur(minor: int) -> Money:
    return Money(amount_minor=minor, currency="EUR")


def bought(record: str = "e1", **words: Any) -> CreditedEvent:
    return event(record, **({"transaction_id": "t", "revenue": eur(1250)} | words))


def refund(record: str, minor: int | None, currency: str = "EUR", **words: Any) -> CreditedEvent:
    revenue = None if minor is None else Money(amount_minor=minor, currency=currency)
    return event(record, **({"name": "refund", "transaction_id": "t", "revenue": revenue} | words))


def house(*postbacks: Postback) -> PostHouse:
    return PostHouse(*(postbacks or (postback(URL),)))


def tell(one: PostHouse) -> None:
    """Every row that is planned is told."""
    one.fold()
    for row in one.log():
        planned = row.row.planned
        if row.row.state is DeliveryState.WAITING:
            delivered = Attempt(
                delivery=planned.id,
                postback=planned.postback,
                number=1,
                at_ms=NOW_MS,
                took_ms=1,
                status=200,
                state=DeliveryState.DELIVERED,
            )
            one.append(Topic.DELIVERIES, delivered)
    one.fold()


def said(*refunds: CreditedEvent, in_one_page: bool = False, **words: Any) -> list[str]:
    """What a partner is told of refunds, one after the other, by the purchase's words."""
    one = house()
    one.decide(bought(**words))
    tell(one)
    if in_one_page:
        one.decide(*refunds)
        found = []
        for _ in refunds:
            found += urls(one)
            tell_one(one)
        return [_short(url) for url in found]
    found = []
    for back in refunds:
        one.decide(back)
        found += urls(one)
        tell(one)
    return [_short(url) for url in found]


def tell_one(one: PostHouse) -> None:
    row = next(row.row for row in one.log() if row.row.state is DeliveryState.WAITING)
    one.append(
        Topic.DELIVERIES,
        Attempt(
            delivery=row.planned.id,
            postback=row.planned.postback,
            number=1,
            at_ms=NOW_MS,
            took_ms=1,
            status=200,
            state=DeliveryState.DELIVERED,
        ),
    )
    one.fold()


def _short(url: str) -> str:
    return url.removeprefix("https://acme.example/pb?t=")


@pytest.mark.parametrize("in_one_page", [True, False])
def test_parts_add_up_and_the_last_is_the_whole(in_one_page: bool) -> None:
    refunds = refund("r1", 250), refund("r2", -400, name="chargeback"), refund("r3", 9999)
    assert said(*refunds, in_one_page=in_one_page) == [
        "partial_reversal&u=2.50&l=10.00&lm=1000&cur=EUR&r=2.50",
        "partial_reversal&u=4.00&l=6.00&lm=600&cur=EUR&r=-4.00",
        "reversal&u=6.00&l=0.00&lm=0&cur=EUR&r=99.99",
    ]


def test_a_refund_takes_back_no_more_than_is_left() -> None:
    assert said(refund("r1", 1000), refund("r2", 500))[-1] == (
        "reversal&u=2.50&l=0.00&lm=0&cur=EUR&r=5.00"
    )


def test_a_refund_without_an_amount_takes_back_what_is_left() -> None:
    assert said(refund("r1", None)) == ["reversal&u=12.50&l=0.00&lm=0&cur=EUR"]
    assert said(refund("r1", 250), refund("r2", 0)) == [
        "partial_reversal&u=2.50&l=10.00&lm=1000&cur=EUR&r=2.50",
        "reversal&u=10.00&l=0.00&lm=0&cur=EUR&r=0.00",
    ]


def test_what_had_no_revenue_is_taken_back_whole() -> None:
    assert said(refund("r1", 250), revenue=None) == ["reversal&cur=EUR&r=2.50"]


def test_what_was_taken_back_whole_is_not_taken_back_again() -> None:
    assert said(refund("r1", 1250), refund("r2", 100)) == [
        "reversal&u=12.50&l=0.00&lm=0&cur=EUR&r=12.50",
        "all of it was taken back before",
    ]


def test_a_correction_of_what_was_refunded_whole_takes_nothing_back_again() -> None:
    moved = {"previous": credit(), "credit": None, "revision": 2}
    for minor, last in (
        (1250, "all of it was taken back before"),
        (250, "reversal&u=10.00&l=0.00"),
    ):
        one = house()
        one.decide(bought())
        tell(one)
        one.decide(refund("r1", minor))
        tell(one)
        one.decide(bought(**moved, cause=Cause(kind="person", position=Position(9))))
        (found,) = urls(one)
        assert _short(found).startswith(last)


def test_the_whole_is_told_to_who_heard_of_the_part_alone() -> None:
    one = house()
    one.decide(bought())
    tell(one)
    one.decide(refund("r1", 250))
    tell(one)
    one.decide(refund("r2", 1000))
    one.fold()
    id_ = one.log()[-1].row.planned.id
    words = {"postback": PostbackId("acme-1"), "at_ms": NOW_MS, "reason": "silent"}
    one.append(Topic.DELIVERIES, Settled(delivery=id_, state=DeliveryState.GAVE_UP, **words))
    one.decide(refund("r3", 100))
    (found,) = urls(one)
    assert _short(found) == "reversal&u=0.00&l=0.00&lm=0&cur=EUR&r=1.00"


def test_of_a_refund_in_another_currency_it_is_not_known_how_much_is_left() -> None:
    (reason,) = said(refund("r1", 250, "USD"))
    assert "is not known, since a refund is in another currency" in reason
    first, last = said(refund("r1", 250, "USD"), refund("r2", 1250))
    assert "not known" in first
    assert last == "reversal&l=0.00&lm=0&cur=EUR&r=12.50"


def test_own_systems_hear_of_a_part_whose_size_is_not_known() -> None:
    words = {"id": PostbackId("own-1"), "partner": None, "template": "webhook"}
    one = house(postback(**words, settings={"url": "https://own.example/"}))
    one.decide(bought())
    tell(one)
    one.decide(refund("r1", 250, "USD"))
    (found,) = going(one)
    body = msgspec.json.decode(found.request.body)  # type: ignore[union-attr]  # it goes out
    words_ = {name: body.get(name) for name in ("trigger", "revenue", "currency", "revenue_left")}
    assert words_ == {"trigger": "partial_reversal", "revenue": "2.50", "currency": "USD", "revenue_left": None}  # fmt: skip


def test_each_purchase_of_a_number_loses_its_own_part() -> None:
    one = house()
    one.decide(bought(), bought("e2", name="tip", revenue=eur(200)))
    tell(one)
    one.decide(refund("r1", 250))
    assert sorted(_short(url) for url in urls(one)) == [
        "partial_reversal&u=2.50&l=10.00&lm=1000&cur=EUR&r=2.50",
        "reversal&u=2.00&l=0.00&lm=0&cur=EUR&r=2.50",
    ]


def test_a_strangers_refund_by_an_app_key_lessens_nothing() -> None:
    stranger = refund("x", 1000, by_app=True, device=DeviceId("stranger"))
    assert said(stranger, refund("r1", 250))[-1] == (
        "partial_reversal&u=2.50&l=10.00&lm=1000&cur=EUR&r=2.50"
    )


def test_after_a_part_a_correction_takes_back_what_is_left_and_the_new_one_hears_of_the_part() -> (
    None
):
    zeta = postback(URL, id=PostbackId("zeta-1"), partner=PartnerId("zeta"))
    one = house(postback(URL), zeta)
    why = {"cause": Cause(kind="person", position=Position(9)), "revision": 2}
    one.decide(bought())
    tell(one)
    one.decide(refund("r1", 250))
    tell(one)
    one.decide(refund("r2", 150))
    tell(one)
    moved = {"credit": credit("zeta"), "previous": credit(), **why}
    one.decide(bought(**moved), refund("r1", 250, **moved), refund("r2", 150, **moved))
    one.decide(refund("r3", 100, credit=credit("zeta")))  # later, so not of what the old one loses
    found = urls(one)
    tell(one)
    assert [_short(url) for url in found] == [
        "reversal&u=8.50&l=0.00&lm=0&cur=EUR&r=12.50",
        "event&cur=EUR&r=12.50",
    ]
    rows = [row.row.planned for row in one.log() if row.row.planned.partner == "zeta"]
    assert [row.trigger for row in rows] == [
        Trigger.EVENT,
        Trigger.PARTIAL_REVERSAL,
        Trigger.PARTIAL_REVERSAL,
        Trigger.PARTIAL_REVERSAL,
    ]


def test_reading_again_plans_the_same() -> None:
    one = house()
    one.decide(bought(), refund("r1", 250), refund("r2", 1000))
    one.fold()
    before = [row.row.planned for row in one.log()]
    assert [row.trigger.value for row in before] == ["event", "partial_reversal", "reversal"]
    one.life(outbox=False)
    one.fold()
    assert [row.row.planned for row in one.log()] == before


def test_a_row_of_before_there_were_parts_is_told_as_a_part() -> None:
    one = house()
    one.decide(bought())
    tell(one)
    one.decide(refund("r1", 250))
    one.fold()
    rows = one.outbox._rows  # type: ignore[attr-defined]  # the twin in memory
    (id_, row) = list(rows.items())[-1]
    whole = Deed(credit(), Trigger.REVERSAL)
    assert id_ == delivery_id("r1", 1, whole, postback(URL), 0, bought()), "it is told once"
    old = msgspec.structs.replace(row.planned, trigger=Trigger.REVERSAL)
    rows[id_] = msgspec.structs.replace(row, planned=old)
    (url,) = urls(one)
    assert _short(url).startswith("partial_reversal&u=2.50")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"settings": {"url": ONE}}, "has no {revenue_undone} or {revenue_left} to say so"),
        (
            {"template": "affise", "settings": {"domain": "a.example"}},
            "2.50 of it was taken back and 10.00 is left, and the partner can only be told of the whole",
        ),
        (
            {"template": "tune", "settings": {"network": "a.example", "offer_id": "1"}},
            "the partner is not told of reversal",
        ),
    ],
)
def test_who_cannot_hear_of_a_part_hears_nothing_and_the_log_says_why(
    words: dict[str, Any], why: str
) -> None:
    one = house(postback(**words))
    one.decide(bought())
    tell(one)
    one.decide(refund("r1", 250))
    (reason,) = urls(one)
    assert why in reason
    tell(one)
    one.decide(refund("r2", 1000))
    (last,) = urls(one)
    if words.get("template") == "affise":
        assert last.endswith("&action_id=t&goal=buy&status=3")


def test_impact_hears_the_new_amount_and_in_the_end_of_the_whole() -> None:
    secret = {name: value for name, value in IMPACT.items() if name == "auth_token"}
    plain = {name: value for name, value in IMPACT.items() if name not in secret}
    one = house(postback(template="impact", settings={**plain, **secret}))
    one.decide(bought())
    tell(one)
    one.decide(refund("r1", 250))
    (part,) = going(one)
    tell(one)
    one.decide(refund("r2", 1000))
    (whole,) = going(one)
    asked = [(one.request.method, one.request.body.decode()) for one in (part, whole)]  # type: ignore[union-attr]
    assert asked == [
        ("PUT", "ActionTrackerId=2&OrderId=t&Reason=ORDER_UPDATE&Amount=10.00"),
        ("DELETE", "ActionTrackerId=2&OrderId=t&DispositionCode=OTHER"),
    ]


def test_it_goes_out_as_it_is_written() -> None:
    receiver = Receiver()
    try:
        text = find_shipped("impact").text.replace(
            "https://api.impact.com", f"http://127.0.0.1:{receiver.port}"
        )
        house_ = house(postback(template="impact", data=text, settings=IMPACT))
        house_.decide(bought(), refund("r1", 250), refund("r2", None))
        house_.begin()
        house_.until(all_delivered(house_, 3))
        house_.end()
    finally:
        receiver.close()
    asked = [(one.method, one.path, one.body) for one in receiver.heard[1:]]
    assert asked == [
        ("PUT", "/Advertisers/IR/Actions", "ActionTrackerId=2&OrderId=t&Reason=ORDER_UPDATE&Amount=10.00"),
        ("DELETE", "/Advertisers/IR/Actions", "ActionTrackerId=2&OrderId=t&DispositionCode=OTHER"),
    ]  # fmt: skip
    assert receiver.heard[1].headers["content-type"] == "application/x-www-form-urlencoded"
    triggers = [trigger for trigger, _, _ in house_.states()]
    assert triggers == ["event", "partial_reversal", "reversal"]


def test_who_tells_of_reversals_tells_of_parts_and_the_other_is_no_choice() -> None:
    text = find_shipped("generic-get").text
    url = {"url": URL}
    assert Trigger.PARTIAL_REVERSAL not in choose(text, url, {}, ()).triggers
    with pytest.raises(Invalid, match="told of reversal is told of partial_reversal too"):
        choose(text, url, {}, [Trigger.PARTIAL_REVERSAL])
    only = text.replace('"reversal", ', "")
    with pytest.raises(Invalid, match="partial_reversal needs reversal too"):
        choose(only, url, {}, ())


def test_an_amount_that_can_no_longer_be_read_leaves_it_open_how_much_is_left() -> None:
    assert taken(bought(), [eur(100), UNKNOWN, eur(100)]) == Taken(None, None)
    assert taken(bought(), [UNKNOWN, None]) == Taken(None, 0)
    assert taken(bought(revenue=eur(0)), [eur(1)]) is None


def test_a_vendors_refund_of_a_part_is_one_and_its_rejection_takes_the_rest() -> None:
    one = house(postback(URL, counts=Counts.ADJUST))
    words = {"kind": ForeignKind.EVENT, "transaction_id": "o-1", "name": "buy"}
    one.decide(foreign("fc_1", **words, revenue=eur(1250)))
    tell(one)
    one.decide(foreign("fc_2", **(words | {"name": "refund"}), revenue=eur(250)))
    other = {"vendor_device_id": "somebody else's"}
    one.decide(foreign("fc_3", **(words | {"name": "refund"} | other), revenue=eur(1000)))
    part = next(url for url in urls(one) if "revers" in url)
    tell(one)
    rejected = {"kind": ForeignKind.REJECTED, "name": None, "partner": None}
    one.decide(foreign("fc_4", **(words | rejected), revenue=eur(250)))
    (whole,) = urls(one)
    assert [_short(part), _short(whole)] == [
        "partial_reversal&u=2.50&l=10.00&lm=1000&cur=EUR&r=2.50",
        "reversal&u=10.00&l=0.00&lm=0&cur=EUR",
    ]
