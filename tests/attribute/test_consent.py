"""What a consent leaves in force, as its outcome says it to whoever tells partners."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tale import DAY_ZERO_MS, PRODUCT, House, read_tale, tell

from attribune.attribute.consent import PARTNERS_MAX
from attribune.attribute.desk import Desk
from attribune.attribute.transcript import Stood, compare
from attribune.attribute.turn import Said
from attribune.model.activity import Consent, Device, Platform, Sender
from attribune.model.codec import encode
from attribune.model.control import Change, Partner, PartnerKind
from attribune.model.ids import AppId, DeviceId, PartnerId, Position, RecordId
from attribune.model.outcome import Noted
from attribune.model.position import Topic


def said(*choices: dict[str, Any]) -> House:
    """A house that was told of one person's choices, in this order; ``at`` is a second of day 0."""
    house = House()
    house.append(read_tale("day 0 00:00 open device=other gaid=other").entries)
    acme = Partner(id=PartnerId("acme-ads"), name="Acme Ads", kind=PartnerKind.NETWORK)
    house.append([(Topic.CONTROL, Change(at_ms=DAY_ZERO_MS, record=acme))])
    for number, choice in enumerate(choices):
        at = choice.pop("at", number)
        record = Consent(
            id=RecordId(f"n{number}"),
            product=PRODUCT,
            app=AppId("game-app"),
            sender=Sender.APP,
            received_at_ms=DAY_ZERO_MS + 1_000_000 + number,
            occurred_at_ms=DAY_ZERO_MS + at * 1000,
            device=Device(id=DeviceId("d1"), platform=Platform.ANDROID),
            **choice,
        )
        house.append([(Topic.ACTIVITY, record)])
    role = house.attributor()
    while role.step():
        pass
    return house


def notes(house: House) -> list[Noted]:
    return [one for one in house.outcomes() if isinstance(one, Noted)]


@pytest.mark.parametrize(
    ("choices", "shares"),
    [
        ([{"measurement": True}], [True]),
        ([{"sharing": False}, {"measurement": True}], [False, False]),
        # Measured again, the person is shared as they said of sharing before, or as if they had never refused.
        ([{"measurement": False}, {"measurement": True}], [False, True]),
        (
            [{"sharing": False}, {"measurement": False}, {"measurement": True}],
            [False, False, False],
        ),
        (
            [{"measurement": False}, {"sharing": True}, {"measurement": True}],
            [False, False, True],
        ),
        # What was said earlier and arrives later.
        ([{"sharing": True, "at": 9}, {"sharing": False, "at": 8}], [True, True]),
        ([{"sharing": False, "at": 9}, {"sharing": True, "at": 8}], [False, False]),
        ([{"measurement": False, "at": 9}, {"measurement": True, "at": 8}], [False, False]),
        # One choice being old does not make the other so; of two of one moment the later to arrive counts.
        ([{"sharing": False, "at": 9}, {"measurement": False, "at": 8}], [False, False]),
        ([{"sharing": False, "at": 9}, {"sharing": True, "at": 9}], [False, True]),
        ([{"tcf": "CPxyz"}], [True]),
    ],
)
def test_whether_partners_may_be_told_is_said_whatever_order_it_came_in(
    choices: list[dict[str, Any]], shares: list[bool]
) -> None:
    assert [note.shares for note in notes(said(*choices))] == shares


def test_choices_about_single_partners_are_known_by_our_ids_and_their_order() -> None:
    house = said(
        {
            "partners": {"Acme Ads": False, "acme-ads": True, "Nobody Knows": False, "快": False},
            "at": 9,
        },
        {"partners": {"acme-ads": True, "nobody-knows": True}, "at": 8},
        {"partners": {"ACME ads": True}, "at": 10},
    )
    assert [note.partners for note in notes(house)] == [
        {"acme-ads": False, "nobody-knows": False, "快": False},
        {},
        {"acme-ads": True},
    ]
    assert all(note.shares for note in notes(house))


def test_no_device_remembers_endless_partners() -> None:
    many = {f"p{number:03}": False for number in range(PARTNERS_MAX + 20)}
    house = said({"partners": many}, {"partners": {"one-more": False}})
    assert notes(house)[0].partners == many, "what is said is heeded"
    state = Desk(house.store).device(PRODUCT, DeviceId("d1"))
    assert state is not None
    assert len(state.partners_said_ms) == PARTNERS_MAX
    assert "one-more" in state.partners_said_ms


def test_a_consent_that_does_not_say_what_it_leaves_in_force_is_judged_as_before() -> None:
    """As version 0.1.0 wrote it."""
    (note, *_) = (one for one in tell(read_tale("day 0 09:00 consent no")).outcomes())
    assert isinstance(note, Noted)

    def differ(now: Noted, then: Noted) -> int:
        stood = Stood(Position(9), encode(then), then)
        return compare([Said(now, encode(now))], [stood], is_last=False).differences

    assert differ(note, replace(note, shares=None)) == 0
    assert differ(note, replace(note, shares=True)) == 1
    assert differ(note, replace(note, shares=None, record=RecordId("other"))) == 1
