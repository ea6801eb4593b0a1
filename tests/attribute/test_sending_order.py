"""Sending order matters only where it must: a device's messages in any order end in the same credit."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from tale import read_tale, tell

from attribune.model.outcome import Attribution, CreditedEvent, CreditedOpen

INSTALL = (
    "day 0 08:00 click acme/spring as c gaid=none\nday 0 08:30 click zeta/brand as z gaid=g1\n",
    (
        "open gaid=none",
        "open gaid=none",
        "evidence ref=c gaid=none",
        "event buy gaid=g1",
        "event level gaid=none",
    ),
)
CLAIMED = (
    "day 0 08:00 impression acme/spring gaid=g1\n",
    (
        "open gaid=none",
        "claim meta/ads gaid=none ago=2h",
        "event buy gaid=g1",
        "event level gaid=none",
    ),
)
REINSTALL = (
    "day 0 08:00 click acme/spring gaid=g1\nday 0 08:10 open device=old gaid=g1\nday 9 08:00 click zeta/back retargeting as r gaid=g7\n",
    (
        "open device=d1 gaid=none",
        "evidence device=d1 ref=r gaid=none",
        "event buy device=d1 gaid=g1",
    ),
)
RETURN = (
    "day 0 08:00 click acme/spring\nday 0 08:10 open\nday 9 08:00 click zeta/back retargeting as r gaid=none\n",
    ("open gaid=none", "evidence ref=r gaid=none", "event buy gaid=none", "open gaid=none"),
)
BOUND = (
    "day 0 08:00 click acme/spring gaid=g1\n",
    (
        "event deposit device=none user=u1 server",
        "event login gaid=g1 user=u1 server",
        "open gaid=g1",
        "event bonus device=none user=u1 server",
    ),
)
ORDERED = (
    "day 0 08:00 click acme/spring gaid=g1\n",
    (
        "event refund device=none tx=T1 by-order server",
        "event buy gaid=g1 tx=T1",
        "open gaid=g1",
        "event shipped device=none tx=T1 by-order server",
    ),
)


def credits_of(story: str, messages: tuple[str, ...], order: tuple[int, ...], day: int) -> Any:
    """Who is credited in the end with what, by message, when the messages arrive in an order.

    Each message happened at its own minute, and arrives ten minutes and more later in the order given.
    """
    lines = []
    for arrival, i in enumerate(order):
        verb, _, rest = messages[i].partition(" ")
        late = 10 + arrival * 2 - i
        name = f"id=m{i}"
        words = (
            f"{rest.split(' ')[0]} {name} {' '.join(rest.split(' ')[1:])}"
            if verb in ("event", "claim")
            else f"{name} {rest}"
        )
        lines.append(f"day {day} 09:{i:02} {verb} {words} late={late}m")
    house = tell(read_tale(story + "\n".join(lines)))
    newest: dict[Any, Any] = {}
    for o in house.outcomes():
        if isinstance(o, Attribution):
            newest[o.conversion] = o
        elif isinstance(o, CreditedEvent):
            newest[o.record] = o
    conversions = sorted(
        (o.kind, o.device, o.at_ms, _who(o)) for o in newest.values() if isinstance(o, Attribution)
    )
    events = sorted(
        (o.record, _who(o), o.secondary.partner if o.secondary else None)
        for o in newest.values()
        if isinstance(o, CreditedEvent)
    )
    return conversions, events


def _who(outcome: Attribution | CreditedEvent | CreditedOpen) -> str:
    credit = outcome.credit
    return f"{credit.partner}/{credit.campaign} {credit.method}" if credit else str(outcome.source)


@pytest.mark.parametrize(
    ("case", "day"),
    [(INSTALL, 0), (CLAIMED, 0), (REINSTALL, 9), (RETURN, 9), (BOUND, 0), (ORDERED, 0)],
    ids=["install", "claimed", "reinstall", "return", "bound", "ordered"],
)
def test_messages_in_any_order_end_in_the_same_credit(
    case: tuple[str, tuple[str, ...]], day: int
) -> None:
    story, messages = case
    orders = list(permutations(range(len(messages))))
    first = credits_of(story, messages, orders[0], day)
    for order in orders[1:]:
        assert credits_of(story, messages, order, day) == first, f"arrived as {order}"
