"""Forgetting: what is remembered of a person goes at once, and what was decided stands."""

from __future__ import annotations

import msgspec
import pytest
from attribute.tale import DAY_ZERO_MS, PRODUCT, House, read_tale, tell
from attribute.test_role import role_at

from attribune.attribute import forgetting
from attribune.engines.memory import MemoryAnswers, MemoryStore
from attribune.model import outcome as o
from attribune.model.ids import forgotten
from attribune.model.unmeasured import FORGOTTEN

LIFE = """
    day 0 08:00  policy attribune customer_binding=first
    day 0 09:00  click acme/spring as c gaid=the-gaid ip=8.8.4.4 click_id=the-click
    day 0 09:01  impression zeta/view gaid=the-gaid ip=8.8.4.4
    day 0 09:10  open device=the-device gaid=the-gaid ref=c ip=8.8.4.4 user=the-user server
    day 0 09:11  event buy device=the-device pay=3.00:EUR user=the-user server
    day 0 09:12  event later device=the-device gaid=the-gaid idfv=the-idfv
    day 2 09:12  open device=the-device gaid=another-gaid ip=8.8.4.5
    day 2 09:13  open device=other gaid=g9 ip=8.8.4.4 user=the-user server
    day 2 09:14  event buy device=other user=the-user server pay=1.00:EUR
"""
WORDS = ("the-device", "the-gaid", "the-user", "the-click", "the-idfv", "another-gaid", "8.8.4.5")


def told_of(house: House, *words: str) -> set[str]:
    """Which words stand in what the attributor remembers, in clear."""
    rows = [(row.partition + row.row, value) for row, value in house.store._values.items()]
    kept = b"\n".join(part for pair in rows for part in pair)
    return {word for word in words if word.encode() in kept}


def test_nothing_that_is_remembered_names_who_was_forgotten() -> None:
    before = tell(read_tale(LIFE))
    assert told_of(before, *WORDS) >= {"the-device", "the-gaid", "the-user", "the-click"}
    house = tell(read_tale(f"{LIFE}\nday 3 09:00 forget device=the-device server"))
    assert told_of(house, *WORDS, "other", "g9") == set()


def test_a_user_is_forgotten_with_all_devices_that_they_were_bound_to() -> None:
    house = tell(read_tale(f"{LIFE}\nday 3 09:00 forget device=none-such user=the-user server"))
    assert told_of(house, *WORDS, "other", "g9") == set()


def test_the_outcome_says_who_was_forgotten_by_all_words() -> None:
    house = tell(read_tale(f"{LIFE}\nday 3 09:00 forget device=the-device server"))
    (noted,) = [x for x in house.outcomes() if isinstance(x, o.Noted) and x.forgets]
    assert {"the-device"} <= set(noted.forgets.devices)
    assert {"the-gaid", "another-gaid", "the-idfv"} <= set(noted.forgets.words)
    assert len(noted.forgets.touches) == 2


def test_to_be_forgotten_again_is_noted_and_changes_nothing() -> None:
    house = tell(
        read_tale(
            f"{LIFE}\nday 3 09:00 forget device=the-device\nday 3 09:01 forget device=the-device"
        )
    )
    first, again = [x for x in house.outcomes() if isinstance(x, o.Noted) and x.forgets]
    assert first.forgets.devices
    assert again.forgets == o.Forgets()


def test_sdks_that_ask_are_told_that_the_device_is_forgotten() -> None:
    house = tell(read_tale("day 0 09:00 open\nday 0 09:20 forget gaid=none"))
    assert house.answers.get(PRODUCT, "d1") == FORGOTTEN
    told = msgspec.json.decode(FORGOTTEN)
    assert (told["forgotten"], told["measurement"], told["status"]) == (True, False, "decided")
    assert house.answers.get(PRODUCT, forgotten(PRODUCT, "d1")) == FORGOTTEN


def test_answers_lost_in_a_crash_are_given_again() -> None:
    house = tell(read_tale("day 0 09:00 open gaid=g1\nday 0 09:20 forget device=x gaid=g1 server"))
    house.answers = MemoryAnswers()
    role_at(house, DAY_ZERO_MS)
    assert house.answers.get(PRODUCT, "d1") == FORGOTTEN


def test_a_device_that_nobody_knew_stays_forgotten() -> None:
    house = tell(read_tale("day 0 09:00 forget gaid=none\nday 0 09:20 open"))
    assert [type(x).__name__ for x in house.outcomes()] == ["Noted", "RefusedRecord"]


def test_what_is_refused_afterwards_names_nobody() -> None:
    house = tell(read_tale("day 0 09:00 forget gaid=none\nday 0 09:20 open user=u1 server"))
    refused = list(house.outcomes())[-1]
    assert refused.device is None


def test_a_forgotten_stand_in_is_forgotten_with_its_device() -> None:
    text = """
        day 0 09:00 click acme/spring as c
        day 0 09:05 event buy by=c device=none server
        day 0 09:10 open device=d1 ref=c
        day 0 09:20 forget device=d1 server
        day 0 09:21 event buy by=c device=none server
    """
    house = tell(read_tale(text))
    (noted,) = [x for x in house.outcomes() if isinstance(x, o.Noted) and x.forgets]
    assert len(noted.forgets.devices) == 2


def test_the_same_journal_forgets_the_same_again() -> None:
    told = read_tale(f"{LIFE}\nday 3 09:00 forget device=the-device server\nday 3 10:00 open")
    first = tell(told)
    again = House(journal=first.journal, store=MemoryStore())
    role = again.attributor()
    while role.step():
        pass
    assert role.state()["differences"] == 0
    assert again.store._values == first.store._values


@pytest.mark.parametrize("device", ["forgotten:zz", "forgotten:", "forgotten"])
def test_an_id_that_only_looks_forgotten_is_an_id(device: str) -> None:
    house = tell(read_tale(f"day 0 09:00 open device={device}"))
    assert [type(x).__name__ for x in house.outcomes()] == ["Attribution"]


def test_a_customer_without_a_device_left_is_nobody() -> None:
    text = """
        day 0 08:00 policy attribune customer_binding=last
        day 0 09:00 open device=first-phone user=some-user server
        day 0 09:01 open device=second-phone user=some-user server
        day 0 09:02 forget device=first-phone
    """
    house = tell(read_tale(text))
    assert told_of(house, "first-phone") == set()
    assert told_of(house, "second-phone", "some-user") == {"second-phone", "some-user"}


def test_no_more_devices_are_forgotten_at_once_than_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forgetting, "DEVICES_MAX", 1)
    house = tell(read_tale(f"{LIFE}\nday 3 09:00 forget device=none-such user=the-user server"))
    (noted,) = [x for x in house.outcomes() if isinstance(x, o.Noted) and x.forgets]
    assert noted.forgets.devices == ("none-such",)
