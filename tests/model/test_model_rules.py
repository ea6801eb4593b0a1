"""What rules and doors say of themselves."""

from __future__ import annotations

import pytest

from attribune.model.control import Door
from attribune.model.ids import AppId, DoorId
from attribune.model.policy import Policy, Windows, longest_ms

DAY_MS = 86_400_000
WIDE = {"wide": Windows(click_deterministic_ms=400 * DAY_MS)}


def test_the_longest_time_of_the_preset_is_a_reinstalls() -> None:
    assert longest_ms(Policy()) == 90 * DAY_MS


@pytest.mark.parametrize(
    ("policy", "days"),
    [
        (Policy(windows=Windows(impression_probabilistic_ms=100 * DAY_MS)), 100),
        (Policy(link_windows=WIDE), 400),
        (Policy(partner_windows=WIDE), 400),
        (Policy(hold_ms=500 * DAY_MS), 500),
    ],
)
def test_the_longest_time_may_be_any_rules(policy: Policy, days: int) -> None:
    assert longest_ms(policy) == days * DAY_MS


def test_a_door_maps_names_by_their_kind() -> None:
    door = Door(
        id=DoorId("d"),
        app=AppId("a"),
        dialect="adjust",
        sha256="0" * 64,
        maps={"event:e1e2e3": "purchase", "partner:net": "Acme"},
    )
    assert door.event("e1e2e3") == "purchase"
    assert door.event("net") == "net"
    assert door.mapped("partner", "net") == "Acme"
    assert door.mapped("partner", "e1e2e3") is None
