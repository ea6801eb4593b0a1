"""Replay: what would be under other rules, and whether what stands comes out again."""

from __future__ import annotations

import msgspec
import pytest
from tale import DAY_ZERO_MS, PRODUCT, House, Told, bench, read_tale, tell

from attribune.attribute.presets import ATTRIBUNE, PRESETS
from attribune.attribute.replay import Replayed, WhatIf, replay
from attribune.model.codec import encode
from attribune.model.ids import START, Position, ProductId
from attribune.model.outcome import Attribution
from attribune.model.policy import HOUR_MS, MatchMethod, Policy
from attribune.model.position import Topic

RECONSIDERING = msgspec.structs.replace(ATTRIBUNE, reconsider_ms=3 * HOUR_MS)

#: By AppsFlyer's rule the sure impression wins, by ours the click by guess.
SURE_OR_CLICK = """
    day 0 09:00  impression  acme/spring
    day 0 09:05  click       zeta/brand gaid=none ip=81.2.69.142
    day 0 09:10  open        ip=81.2.69.142 gaid=g1
    day 0 09:20  open        device=d2 gaid=g5
    day 0 09:30  event       buy
"""
#: A click that is told too late to win, unless the policy reconsiders.
LATE_CLICK = """
    day 0 10:00  open
    day 0 09:00  click  acme/spring server late=2h
"""


def told_again(house: House, policy: Policy | None = None, **asked: object) -> Replayed:
    return replay(bench(house), WhatIf(house.journal.end(), policy, **asked))


def of_product(product: ProductId, told: Told) -> Told:
    """The same tale, told of another product."""
    told.entries = [
        (topic, msgspec.structs.replace(record, product=product))
        for topic, record in told.entries
        if topic is not Topic.CONTROL
    ]
    return told


def outcomes_of(house: House) -> list[bytes]:
    return [entry.payload for entry in house.journal.read((Topic.OUTCOMES,), START, 10**6)]


# --- under other rules


def test_other_rules_say_who_gains_and_who_loses_and_write_nothing() -> None:
    told = read_tale(SURE_OR_CLICK)
    house = tell(told)
    again = told_again(house, PRESETS["appsflyer"])
    assert (again.judged, again.changed, again.differences) == (2, 1, 0)
    assert (again.gains, again.losses) == ({"acme": 1}, {"zeta": 1})
    assert again.stories[0].method_then == "PROBABILISTIC"
    assert again.stories[0].method_now == "DEVICE_ID"
    assert outcomes_of(house) == outcomes_of(tell(told)), "a replay writes nothing"


def test_who_wins_over_nobody_gains_and_nobody_loses() -> None:
    """Under the other rules there is a decision more than the journal holds: the second, with the late click."""
    again = told_again(tell(read_tale(LATE_CLICK)), RECONSIDERING)
    assert (again.judged, again.changed, again.differences) == (1, 1, 0)
    assert (again.gains, again.losses) == ({"acme": 1}, {})
    (story,) = again.stories
    assert (story.partner_then, story.touch_then, story.method_then) == (None, None, None)
    assert (story.partner_now, story.method_now) == ("acme", "DEVICE_ID")


def test_who_loses_to_nobody_loses_and_nobody_gains() -> None:
    """And the other way round: what stands in the journal is more than the other rules decide."""
    told = read_tale(f"day 0 08:00 policy attribune reconsider_ms=3h\n{LATE_CLICK}")
    again = told_again(tell(told), ATTRIBUNE)
    assert (again.judged, again.changed, again.differences) == (1, 1, 0)
    assert (again.gains, again.losses) == ({}, {"acme": 1})


def test_a_partner_that_wins_by_another_touch_neither_gains_nor_loses() -> None:
    told = read_tale(SURE_OR_CLICK.replace("zeta/brand", "acme/brand"))
    again = told_again(tell(told), PRESETS["appsflyer"])
    assert (again.changed, again.gains, again.losses) == (1, {}, {})
    (story,) = again.stories
    assert (story.touch_then, story.touch_now) == (told.touches["t2"], told.touches["t1"])


def test_a_conversion_that_only_the_other_rules_make_has_no_then() -> None:
    """After two days of silence AppsFlyer's rule makes a re-engagement, ours makes an open."""
    told = read_tale(
        """
        day 0 09:00  open
        day 2 09:00  click  zeta/back retargeting
        day 2 09:05  open
        """
    )
    again = told_again(tell(told), PRESETS["appsflyer"])
    assert (again.judged, again.changed) == (2, 1)
    assert (again.gains, again.losses) == ({"zeta": 1}, {})
    (story,) = again.stories
    assert (story.kind_then, story.kind_now) == (None, "reengagement")
    assert (story.device, story.at_ms) == (
        "d1",
        DAY_ZERO_MS + 2 * 24 * HOUR_MS + 9 * HOUR_MS + 300_000,
    )


def test_a_conversion_that_the_other_rules_do_not_make_has_no_now() -> None:
    told = read_tale(
        """
        day 0 08:00  policy  appsflyer
        day 0 09:00  open
        day 2 09:00  click  zeta/back retargeting
        day 2 09:05  open
        """
    )
    again = told_again(tell(told), ATTRIBUNE)
    assert (again.gains, again.losses) == ({}, {"zeta": 1})
    (story,) = again.stories
    assert (story.kind_then, story.kind_now) == ("reengagement", None)
    assert story.method_then == MatchMethod.DEVICE_ID


def test_every_change_is_counted_and_only_the_first_are_told() -> None:
    told = read_tale(
        """
        day 0 09:00  open
        day 0 09:01  open  device=d2 gaid=g2
        day 0 08:00  click  acme/spring gaid=g1 server late=2h
        day 0 08:00  click  zeta/brand gaid=g2 server late=2h
        """
    )
    again = told_again(tell(told), RECONSIDERING, stories_max=1)
    assert (again.changed, again.gains, len(again.stories)) == (2, {"acme": 1, "zeta": 1}, 1)
    assert told_again(tell(told), RECONSIDERING).stories[0] == again.stories[0]


def test_what_is_asked_of_one_product_tells_nothing_of_another() -> None:
    """Both products' decisions would change; of each only its own is told, and of all both are."""
    other = ProductId("puzzle")
    house = House()
    house.append(read_tale(LATE_CLICK).entries)
    house.append(of_product(other, read_tale(LATE_CLICK.replace("day 0", "day 1"))).entries)
    role = house.attributor()
    while role.step():
        pass
    for product in (PRODUCT, other):
        again = told_again(house, RECONSIDERING, product=product)
        assert (again.judged, again.changed) == (1, 1)
        assert [story.product for story in again.stories] == [product]
    assert told_again(house, RECONSIDERING).changed == 2


# --- under the rules in force


@pytest.mark.parametrize("batch", [1, 2, 3, 1000])
def test_what_stands_behind_the_place_asked_for_is_left_out(batch: int) -> None:
    """Neither judged nor compared, however the batches fall."""
    house = House()
    house.append(read_tale(SURE_OR_CLICK).entries)
    upto = house.journal.end()
    role = house.attributor()
    while role.step():
        pass
    house.append(
        (topic, record)
        for topic, record in read_tale(
            "day 1 09:00 open device=d8 gaid=g8\nday 1 09:01 event buy"
        ).entries
        if topic is Topic.ACTIVITY
    )
    while role.step():
        pass
    for place in (
        upto,
        Position(upto + 1),
    ):  # where the last input stands, and the outcome behind it
        again = replay(bench(house, batch), WhatIf(place))
        assert (again.judged, again.changed, again.differences) == (2, 0, 0)
    assert replay(bench(house, batch), WhatIf(house.journal.end())).judged == 3


def test_a_decision_that_stands_nowhere_is_a_difference() -> None:
    """Somebody took the end of the outcomes away, and the attributor believes that it has written them."""
    told = read_tale(SURE_OR_CLICK)
    house, cut = tell(told), House()
    cut.append(told.entries)
    for payload in outcomes_of(house)[:-2]:
        cut.journal.append([(Topic.OUTCOMES, payload)])
    again = told_again(cut)
    assert (again.differences, again.changed, again.judged) == (2, 1, 2)


def test_an_outcome_that_nothing_leads_to_is_a_difference() -> None:
    """Somebody added a decision of their own."""
    house = tell(read_tale(SURE_OR_CLICK))
    first = next(o for o in house.outcomes() if isinstance(o, Attribution))
    planted = msgspec.structs.replace(first, revision=2, credit=None)
    house.journal.append([(Topic.OUTCOMES, encode(planted))])
    again = told_again(house)
    assert (again.differences, again.changed) == (1, 1)
    assert (again.gains, again.losses) == ({"zeta": 1}, {})


def test_an_outcome_that_was_altered_is_a_difference_also_when_the_winner_is_the_same() -> None:
    told = read_tale(SURE_OR_CLICK)
    house, altered = tell(told), House()
    altered.append(told.entries)
    for outcome in house.outcomes():
        words = {"device": "d9"} if isinstance(outcome, Attribution) else {}
        altered.journal.append(
            [(Topic.OUTCOMES, encode(msgspec.structs.replace(outcome, **words)))]
        )
    again = told_again(altered)
    assert (again.differences, again.changed) == (2, 0)


def test_nothing_is_judged_up_to_the_beginning() -> None:
    again = replay(bench(tell(read_tale(SURE_OR_CLICK))), WhatIf(Position(START)))
    assert again == Replayed(judged=0, changed=0)
