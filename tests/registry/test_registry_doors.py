"""Doors: found by their key, with rules of their own, and somebody for whom their links are made."""

from __future__ import annotations

from hashlib import sha256

import pytest
from registry.desk import BASE, CHANCE, Desk

from attribune.collect.rehearsal import Rehearsal
from attribune.engines.memory import MemoryVault
from attribune.model.errors import Conflict, Invalid
from attribune.registry import doors
from attribune.registry.requests import AddDoor


def add_door(desk: Desk, **words):
    want = AddDoor(**{"app": "game-android", "dialect": "segment", **words})
    return desk.keep(doors.add_door(desk.registry, want, Rehearsal(), MemoryVault(), CHANCE, BASE))


def test_a_door_has_the_address_that_a_client_is_given(desk: Desk) -> None:
    door = add_door(desk, key="wk_test")
    assert door.url == f"{BASE}/in/segment/{door.id}"
    assert desk.registry.door(door.id).sha256 == sha256(b"wk_test").hexdigest()
    assert door.hint == ""  # four characters of a short key would tell half of it


def test_the_same_door_again_is_the_one_that_stands(desk: Desk) -> None:
    door = add_door(desk, key="wk_test")
    assert add_door(desk, key="wk_test").id == door.id
    with pytest.raises(Conflict):
        add_door(desk, key="wk_test", is_trusted=True)
    desk.keep(doors.disable_door(desk.registry, door.id, BASE))
    assert add_door(desk, key="wk_test", is_trusted=True).id != door.id


def test_a_door_may_be_told_from_when_installations_are_new(desk: Desk) -> None:
    door = add_door(desk, maps={"installed:before": "2026-12-01", "event:e1": "purchase"})
    assert desk.registry.door(door.id).mapped("installed", "before") == "2026-12-01"


@pytest.mark.parametrize(
    ("words", "param"),
    [
        ({"dialect": "klingon"}, "dialect"),
        ({"key": "abc"}, "key"),
        ({"key": "a:bcd"}, "key"),
        ({"maps": {"event": "x"}}, "maps"),
        ({"maps": {"installed:after": "2026-12-01"}}, "maps"),
        ({"maps": {"installed:before": "yesterday"}}, "maps"),
        ({"maps": {"installed:before": "20261201"}}, "maps"),
        ({"maps": {"consent:C0002": "marketing"}}, "maps"),
    ],
)
def test_a_door_that_cannot_be_is_refused(desk: Desk, words: dict, param: str) -> None:
    with pytest.raises(Invalid) as refused:
        add_door(desk, **words)
    assert refused.value.param == param
