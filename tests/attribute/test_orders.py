"""What a server tells by an order's number alone: whose it is, what is remembered for that, and what it costs the others."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from attribute.tale import MISTAKEN, House, Told, bench, ended, read_tale, tell
from attribute.test_recorded import scrubbed
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from attribune.attribute.replay import WhatIf, replay
from attribune.attribute.rows import HELD, ORDER, TRANSACTION
from attribune.attribute.turn import Limits
from attribune.engines.memory import MemoryStore
from attribune.model import outcome as o
from attribune.model.activity import Event, Sender
from attribune.model.codec import decode, encode
from attribune.model.ids import START
from attribune.model.position import Entry, Position, Topic

ORDERS = """
    day 0 08:00  event refund device=none tx=early by-order server
    day 0 09:00  click acme/spring as c gaid=the-gaid
    day 0 09:10  open device=the-device gaid=the-gaid ref=c
    day 0 09:11  event buy device=the-device tx=early pay=3.00:EUR
    day 0 09:12  event buy device=none user=the-user tx=users server
    day 0 09:13  event shipped device=none tx=users by-order server
    day 0 09:14  event login device=the-device gaid=the-gaid user=the-user server
    day 0 09:15  event buy device=none tx=first by-order server
    day 0 09:16  event buy device=the-device tx=first
    day 0 09:17  event shipped device=none tx=first by-order server
    day 0 09:20  event buy device=unopened gaid=the-gaid tx=waits
    day 0 09:21  event refund device=none tx=waits by-order server
    day 0 09:30  event buy device=unopened gaid=the-gaid tx=waits-too
    day 0 09:31  event refund device=the-device tx=undone
    day 0 09:40  event login device=other gaid=the-gaid user=other-user server
    day 0 09:41  event buy device=none user=other-user tx=held server
    day 0 09:50  open device=quiet gaid=the-gaid
    day 0 09:51  event buy device=quiet tx=quiet
    day 0 09:52  consent no device=quiet
    day 0 09:53  event news device=none tx=quiet by-order server
    day 0 10:00  open device=living gaid=g9
    day 0 10:01  event buy device=living tx=living
    day 0 10:02  event refund device=none tx=living by-order server
    day 1 09:00  forget device=the-device user=the-user gaid=the-gaid server
    day 1 09:01  event refund device=none tx=early by-order server
    day 1 09:02  event refund device=none tx=users by-order server
    day 1 09:03  event refund device=none tx=first by-order server
    day 1 09:04  event refund device=none tx=waits by-order server
    day 1 09:05  event refund device=none tx=living by-order server
    day 1 09:06  event buy device=the-device tx=refused
    day 5 09:00  tick
"""


def how(text: str) -> list[str]:
    told = read_tale(text)
    return ended(told, tell(told, allows_mistakes=True), with_candidates=False)


def judged_again(house: House) -> House:
    again = House(journal=house.journal, store=MemoryStore())
    role = again.attributor()
    while role.step():
        pass
    assert role.state()["differences"] == 0
    return again


def test_orders_name_nobody_who_was_forgotten_and_lead_to_nobody() -> None:
    told = read_tale(ORDERS)
    house = tell(told)
    rows = {key: value for key, value in house.store._values.items() if key.table == ORDER}
    assert rows
    for word in (b"the-device", b"the-user", b"the-gaid", b"living", b"unopened"):
        assert all(word not in key.row + value for key, value in rows.items()), "hashes alone"
    forgot = next(x.position for x in house.outcomes() if isinstance(x, o.Noted) and x.forgets)
    late = [x for x in house.outcomes() if x.about == x.position > forgot]
    assert [type_of(x) for x in late] == [*["Held"] * 4, "CreditedEvent", "forgotten"]
    assert [x.device for x in late] == [*[None] * 4, "living", None]


def test_the_same_journal_finds_the_same_orders_again() -> None:
    first = tell(read_tale(ORDERS))
    again = judged_again(first)
    assert again.store._values == first.store._values
    found = replay(bench(first), WhatIf(first.journal.end()))
    assert (found.changed, found.differences) == (0, 0)


def test_a_scrubbed_journal_finds_the_same_orders_again() -> None:
    first = tell(read_tale(ORDERS))
    house = scrubbed(first)
    again = judged_again(house)
    assert house.journal.end() == first.journal.end(), "nothing is said twice"
    # What comes in afterwards is judged the same, too.
    theirs = ("early", "users", "first", "waits", "waits-too", "quiet")
    orders = (*theirs, "undone", "held", "refused", "living")
    late = read_tale(
        "\n".join(
            f"day 6 09:0{n} event {name} id={name}{n} device=none tx={order} by-order server"
            for name in ("refund", "news")
            for n, order in enumerate(orders)
        )
    ).entries[3:]
    for one in (first, again):
        one.append(late)
        role = one.attributor()
        while role.step():
            pass
    ends = [[type_of(x) for x in one.outcomes()][-20:] for one in (first, again)]
    assert ends[0] == ends[1]
    assert ends[0][:10] == [*["Held"] * 9, "CreditedEvent"]
    assert ends[0][10:] == [*["forgotten"] * 6, *["Held"] * 3, "CreditedEvent"]


_ORDERS = [
    "open device=d1",
    "open device=d2",
    "event buy{n} device=d1 tx=T1",
    "event buy{n} device=d2 tx=T1",
    "event buy{n} device=d1 tx=T2",
    "event login device=d1 user=u1 server",
    "event login device=d2 user=u1 server",
    "event refund device=d1 tx=T3",
    "event refund device=none tx=T1 by-order server",
    "event refund device=none tx=T2 by-order server",
    "event refund device=none tx=T3 by-order server",
    "event news{n} device=none tx=T1 by-order server",
    "event buy{n} device=none tx=T2 by-order server",
    "event buy{n} device=none tx=T3 by-order server",
    "forget device=d1 server",
    "tick",
]
_BY_USER = [
    "event buy{n} device=none user=u1 tx=T1 server",
    "event buy{n} device=none user=u1 tx=T3 server",
]
_CONSENTS = [f"consent {choice} device={name}" for choice in ("no", "yes") for name in ("d1", "d2")]


def tellings(words: list[str], *pauses: int) -> st.SearchStrategy[list[tuple[str, int]]]:
    """What is told, each with the minutes before it."""
    one = st.tuples(st.sampled_from(words), st.sampled_from(pauses))
    return st.lists(one, min_size=3, max_size=14)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tellings(_ORDERS + _BY_USER, 1, 20) | tellings(_ORDERS + _CONSENTS, 1, 20, 420, 1560))
def test_whatever_is_told_of_orders_a_scrubbed_journal_says_the_same(
    told: list[tuple[str, int]],
) -> None:
    minutes, lines = 0, []
    late = [(f"event refund id=l{n} device=none tx=T{n} by-order server", 1) for n in (1, 2, 3)]
    for n, (what, pause) in enumerate([*told, ("forget device=d1 server", 1), *late]):
        minutes += pause
        day, rest = divmod(minutes, 1440)
        lines.append(f"day {day} {rest // 60:02}:{rest % 60:02} {what.format(n=n)}")
    note("\n".join(lines))
    house = scrubbed(tell(read_tale("\n".join(lines))))
    end = house.journal.end()
    judged_again(house)
    assert house.journal.end() == end, "nothing is said twice"


def type_of(outcome: o.Outcome) -> str:
    return str(outcome.reason) if isinstance(outcome, o.RefusedRecord) else type(outcome).__name__


def test_what_waits_for_an_order_says_so_under_its_number() -> None:
    house = tell(read_tale("day 0 09:00 event refund device=none tx=T1 by-order server"))
    (held,) = house.outcomes()
    assert isinstance(held, o.Held)
    assert (held.device, held.handles) == (None, ("T1",))


def test_what_is_credited_by_its_order_names_the_device_that_placed_it() -> None:
    house = tell(
        read_tale(
            """
            day 0 09:00 open
            day 0 09:10 event buy tx=T1 user=u1 server
            day 0 09:20 event refund device=none tx=T1 by-order server
            """
        )
    )
    refund = list(house.outcomes())[-1]
    assert isinstance(refund, o.CreditedEvent)
    assert (refund.device, refund.user_id, refund.transaction_id) == ("d1", None, "T1")
    assert refund.handles == ("T1",)
    assert not refund.by_app


def test_nothing_waits_for_an_order_where_the_policy_lets_nothing_wait() -> None:
    assert how(
        """
        day 0 08:00  policy attribune hold_ms=0ms
        day 0 09:00  event  refund device=none tx=T1 by-order server
        day 0 09:10  event  buy tx=T1
        """
    ) == ["=> refund unknown", "=> buy unknown"]


def test_no_more_wait_for_an_order_than_the_limit() -> None:
    told = read_tale(
        """
        day 0 09:00  event  refund device=none tx=T1 by-order server
        day 0 09:01  event  refund device=none tx=T1 by-order server
        day 0 09:02  event  refund device=none tx=T2 by-order server
        """
    )
    house = House()
    house.append(told.entries)
    role = house.attributor(limits=Limits(held_events_max=1))
    while role.step():
        pass
    assert [type_of(one) for one in house.outcomes()] == ["Held", "too_many_held", "Held"]


def test_the_customer_of_an_order_is_who_its_device_is_bound_to() -> None:
    assert how(
        """
        day 0 08:00  policy attribune customer_binding=first
        day 0 09:00  click  acme/spring
        day 0 09:10  open   user=u1 server
        day 0 09:20  event  buy device=d2 gaid=g2 user=u1 tx=T1 server
        day 0 09:30  event  refund device=none tx=T1 by-order server
        """
    )[1:] == ["=> buy acme/spring click DEVICE_ID", "=> refund acme/spring click DEVICE_ID"]


def test_an_order_by_the_click_alone_is_its_stand_ins() -> None:
    assert how(
        """
        day 0 09:00  click  acme/spring as c gaid=none
        day 0 09:05  event  buy by=c device=none tx=T1 server
        day 0 09:10  event  refund device=none tx=T1 by-order server
        """
    ) == [
        "=> install acme/spring click REFERRER",
        "=> buy acme/spring click REFERRER",
        "=> refund acme/spring click REFERRER",
    ]


def test_a_mistake_in_what_placed_an_order_costs_what_is_told_by_its_number_nothing() -> None:
    assert how(
        f"""
        day 0 09:00  event  buy id=b tx=T1 ip={MISTAKEN}
        day 0 09:01  event  refund device=none tx=T1 by-order server
        day 0 09:10  open
        day 0 09:20  event  buy id=b tx=T1
        """
    ) == [
        "=> event refused not_judged",
        "=> refund organic",
        "=> install organic",
        "=> buy organic",
    ]


def test_a_purchase_by_its_order_waits_for_the_open_of_who_tells_it_too() -> None:
    assert how(
        """
        day 0 08:59  click  acme/spring gaid=g7
        day 0 09:00  event  buy device=none tx=T1 pay=5.00:EUR by-order server
        day 0 09:10  event  buy device=d7 tx=T1
        day 0 09:11  event  refund device=none tx=T1 by-order server
        day 0 09:20  open   device=d7 gaid=g7
        """
    ) == [
        "=> buy 5.00 EUR acme/spring click DEVICE_ID",
        "=> event refused repeated_transaction",
        "=> refund acme/spring click DEVICE_ID",
        "=> install acme/spring click DEVICE_ID",
    ]


def test_a_purchase_by_its_order_is_the_users_who_tells_it_too() -> None:
    assert how(
        """
        day 0 09:00  event  buy device=none tx=T1 by-order server
        day 0 09:10  event  buy device=none user=u1 tx=T1 server
        day 0 09:20  open   user=u1 server
        """
    ) == ["=> buy organic", "=> event refused repeated_transaction", "=> install organic"]


def test_what_undoes_an_order_places_none_when_its_user_is_bound_either() -> None:
    assert how(
        """
        day 0 09:00  event  refund device=none user=u1 tx=T1 server
        day 0 09:10  open   user=u1 server
        day 0 09:20  event  refund device=none tx=T1 by-order server
        day 3 09:20  tick
        """
    ) == ["=> refund organic", "=> install organic", "=> refund unknown"]


# --- who may, and what was before


def test_an_event_of_nobody_with_a_number_is_what_it_was() -> None:
    """Only the door says that an event is told by its order: neither an app's, nor one that an earlier version journaled."""
    assert how(
        """
        day 0 09:00  open
        day 0 09:10  event  buy tx=T1
        day 0 09:20  event  refund device=none tx=T1
        day 0 09:21  event  shipped device=none tx=T1 server
        """
    )[-2:] == ["=> refund unknown", "=> shipped unknown"]


def test_an_event_of_nobody_places_no_order() -> None:
    assert (
        how(
            """
        day 0 09:00  open
        day 0 09:10  event  checkout device=none tx=T1 server
        day 0 09:20  event  buy tx=T1
        day 0 09:30  event  refund device=none tx=T1 by-order server
        """
        )[-1]
        == "=> refund organic"
    )


def test_events_of_earlier_versions_are_read() -> None:
    told = read_tale("day 0 09:20 event refund device=none tx=T1 server")
    record = told.entries[-1][1]
    assert isinstance(record, Event)
    assert b"by_order" not in encode(record), "and read by these, too"
    assert decode(Entry(Position(1), Topic.ACTIVITY, encode(record))) == record
    assert record.sender is Sender.SERVER
    by_order = msgspec.structs.replace(record, by_order=True)
    assert decode(Entry(Position(1), Topic.ACTIVITY, encode(by_order))) == by_order


def test_a_stranger_tells_nobody_whose_an_order_is_that_nothing_waits_for() -> None:
    """The first telling stands; of a repeated one only what waits for its order learns whose it is."""
    assert (
        how(
            """
        day 0 09:00  open
        day 0 09:01  open   device=d2 gaid=g2
        day 0 09:10  event  buy device=none tx=T1 server
        day 0 09:20  event  buy device=d2 gaid=g2 tx=T1
        day 0 09:30  event  refund device=none tx=T1 by-order server
        day 3 09:30  tick
        """
        )[-1]
        == "=> refund unknown"
    )


# --- what it costs


class Counting(MemoryStore):
    """Counts what is asked of a store, and what is written, by table."""

    def __init__(self) -> None:
        super().__init__()
        self.looked: Counter[int] = Counter()
        self.put: Counter[int] = Counter()

    def get(self, key: Any) -> Any:
        self.looked[key.table] += 1
        return super().get(key)

    def rows(self, table: int, *more: Any) -> Any:
        self.looked[table] += 1
        return super().rows(table, *more)

    def commit(self, writes: Any, position: Any) -> None:
        self.put.update(key.table for key in writes)
        super().commit(writes, position)


def costs(told: Told) -> Counting:
    house = House(store=Counting())
    house.append(told.entries)
    role = house.attributor()
    while role.step():
        pass
    assert house.journal.read((Topic.OUTCOMES,), START, 1)
    assert isinstance(house.store, Counting)
    return house.store


def test_an_event_with_a_number_costs_one_write_more_and_no_look() -> None:
    bought = "\n".join(f"day 0 09:{n:02} event buy tx=T{n}" for n in range(20, 50))
    store = costs(read_tale(f"day 0 09:00 open\n{bought}"))
    assert (store.put[TRANSACTION], store.looked[TRANSACTION]) == (30, 30)
    assert (store.put[ORDER], store.looked[ORDER], store.looked[HELD]) == (30, 0, 1)


def test_and_one_look_more_once_anything_has_waited_for_an_order() -> None:
    bought = "\n".join(f"day 0 09:{n:02} event buy tx=T{n}" for n in range(20, 50))
    first = "day 0 09:10 event refund device=none tx=none-such by-order server"
    store = costs(read_tale(f"day 0 09:00 open\n{first}\n{bought}"))
    assert (store.put[ORDER], store.looked[ORDER]) == (30, 3), "the refund's own"
    assert store.looked[HELD] == 32
