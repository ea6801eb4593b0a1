"""The audit of what partners were told."""

from __future__ import annotations

from typing import Any

import pytest
from postback.posthouse import NOW_MS, PostHouse, install, postback

from attribune.collect.links import read_touch
from attribune.model.codec import Record, decode
from attribune.model.control import Change, Redelivery
from attribune.model.delivery import Attempt, DeliveryState, OutboxPage, Settled
from attribune.model.ids import DeliveryId, Position, PostbackId
from attribune.model.position import Topic
from attribune.postback.fold import Fold
from attribune.postback.looking import Looking
from attribune.registry.view import Registry
from attribune.report.audit_told import PartnersTold, Told


def found(house: PostHouse) -> list[str]:
    """What the check finds of a house as it stands."""
    registry = Registry()
    looking = Looking(house.journal, registry, house.outbox, read_touch)
    fold = Fold(house.journal, registry, house.outbox, looking)

    def plan(position: Position, record: Record) -> list[DeliveryId]:
        if isinstance(record, Change):
            registry.apply(position, record)
        page = OutboxPage()
        fold.add(position, record, page)
        return [one.id for one in page.planned]

    check = PartnersTold(Told(plan, house.outbox.states, house.outbox.position()))
    for entry in house.journal.read(tuple(Topic), Position(0), 10_000):
        record = decode(entry)
        if isinstance(record, check.sees):
            check.see(entry, record)
    return check.finish().sentences()


@pytest.fixture
def house() -> PostHouse:
    one = PostHouse(postback("https://acme.example/"))
    one.decide(*(install(f"d{n}") for n in range(3)))
    one.fold()
    return one


def ids(house: PostHouse) -> list[DeliveryId]:
    return [row.row.planned.id for row in house.log()]


def tried(id_: DeliveryId, number: int, state: DeliveryState) -> Attempt:
    given: dict[str, Any] = {"at_ms": NOW_MS, "took_ms": 1, "status": 200}
    return Attempt(delivery=id_, postback=PostbackId("acme-1"), number=number, state=state, **given)


def test_what_is_as_it_should_be_is_found_so(house: PostHouse) -> None:
    first, second, third = ids(house)
    settled = Settled(
        delivery=second,
        postback=PostbackId("acme-1"),
        at_ms=NOW_MS,
        state=DeliveryState.WITHDRAWN,
        reason="taken back",
    )
    house.append(
        Topic.DELIVERIES,
        tried(first, 1, DeliveryState.WAITING),
        tried(first, 2, DeliveryState.DELIVERED),
        settled,
        tried(third, 1, DeliveryState.DELIVERED),
    )
    house.say(Redelivery(deliveries=(third,), by="operator"))
    house.fold()
    assert found(house) == []


def test_what_the_outbox_has_not_read_yet_is_not_judged(house: PostHouse) -> None:
    house.decide(install("later"))
    house.append(Topic.DELIVERIES, tried(ids(house)[0], 1, DeliveryState.DELIVERED))
    assert found(house) == []


def test_a_delivery_that_is_missing_is_named(house: PostHouse) -> None:
    lost = ids(house)[1]
    del house.outbox._rows[lost]
    assert found(house) == [f"delivery {lost} is not in the outbox; run `attribune rebuild outbox`"]


def test_a_delivery_that_stands_otherwise_is_named(house: PostHouse) -> None:
    first, second, _ = ids(house)
    house.append(
        Topic.DELIVERIES,
        tried(first, 1, DeliveryState.DELIVERED),
        tried(second, 1, DeliveryState.WAITING),
    )
    before = dict(house.outbox._rows)
    house.fold()
    house.outbox._rows.update({first: before[first]})
    assert found(house) == [
        f"delivery {first} is waiting after 0 tries in the outbox, and delivered after 1 in the journal"
    ]


def test_what_no_outcome_gives_is_named(house: PostHouse) -> None:
    (place,) = house.append(Topic.DELIVERIES, tried(DeliveryId("dl_z"), 1, DeliveryState.DELIVERED))
    house.fold()
    assert found(house) == [
        f"entry {place} is about delivery dl_z, which no outcome gives",
        "delivery dl_z is not in the outbox; run `attribune rebuild outbox`",
    ]
