"""Shadow: who agrees, who does not, and why."""

from __future__ import annotations

from typing import Any

import pytest

from attribune.model.activity import ForeignKind, ForeignSource, Platform, Vendor
from attribune.model.errors import Invalid
from attribune.model.ids import (
    AppId,
    ConversionId,
    DeviceId,
    PartnerId,
    PolicyVersion,
    Position,
    ProductId,
    RecordId,
    TouchId,
)
from attribune.model.outcome import (
    Attribution,
    Candidate,
    ConversionKind,
    Credit,
    ForeignCredited,
    LossReason,
    Source,
)
from attribune.model.policy import MatchMethod
from attribune.model.touch import TouchKind
from attribune.report import shadow
from attribune.report.shadow import HOUR_MS, Difference, Shadow, Wanted, compare

NOON = 1_772_366_400_000
GAME, APP = ProductId("game"), AppId("game-android")
WANTED = Wanted(
    product=GAME, app=APP, vendor=Vendor.ADJUST, from_ms=NOON - 86_400_000, to_ms=NOON + 86_400_000
)
DECIDED: dict[str, Any] = {
    "product": GAME,
    "app": APP,
    "platform": Platform.ANDROID,
    "position": Position(1),
    "about": Position(1),
    "judged_at_ms": NOON,
}


def candidate(partner: str, lost: LossReason | None = None, touch: str = "t") -> Candidate:
    return Candidate(
        touch=TouchId(f"{touch}-{partner}"),
        partner=PartnerId(partner),
        kind=TouchKind.CLICK,
        method=MatchMethod.DEVICE_ID,
        touch_at_ms=NOON - 1000,
        age_ms=1000,
        lost_because=lost,
    )


def mine(partner: str | None, *lost: Candidate, id_: str = "1", **more: Any) -> Attribution:
    credit = None
    if partner:
        credit = Credit(
            touch=TouchId(f"t-{partner}"),
            partner=PartnerId(partner),
            kind=TouchKind.CLICK,
            method=MatchMethod.DEVICE_ID,
            touch_at_ms=NOON - 1000,
            partner_click_id=f"click-{id_}",
        )
    words = {
        "record": RecordId(f"o{id_}"),
        "device": DeviceId(f"d{id_}"),
        "at_ms": NOON,
        "conversion": ConversionId(f"cv{id_}"),
        "kind": ConversionKind.INSTALL,
        "source": Source.ATTRIBUTED if partner else Source.ORGANIC,
        "credit": credit,
        "candidates": (*((candidate(partner),) if partner else ()), *lost),
        "policy": PolicyVersion("attribune@0"),
        "as_of": Position(1),
        "handles": (f"gaid-{id_}", *(one.touch for one in lost)),
    }
    return Attribution(**(DECIDED | words | more))


def theirs(partner: str | None, id_: str = "1", **more: Any) -> ForeignCredited:
    words = {
        "record": RecordId(f"fc{id_}"),
        "vendor": Vendor.ADJUST,
        "kind": ForeignKind.INSTALL,
        "source": ForeignSource.ATTRIBUTED if partner else ForeignSource.ORGANIC,
        "at_ms": NOON + 500,
        "partner": PartnerId(partner) if partner else None,
        "vendor_device_id": f"adid-{id_}",
        "handles": (f"GAID-{id_}", f"adid-{id_}"),
    }
    return ForeignCredited(**(DECIDED | words | more))


def counts(found: Shadow) -> tuple[int, int, int, int]:
    return found.agree, found.disagree, found.only_here, found.only_there


def reason(*outcomes: Any) -> Difference:
    found = compare(outcomes, WANTED)
    assert counts(found) == (0, 1, 0, 0)
    [one] = found.disagreements
    assert found.by_reason == {one.reason.value: 1}
    return one.reason


def test_the_same_partner_is_agreement_and_so_is_nobody() -> None:
    found = compare([mine("acme"), theirs("acme"), mine(None, id_="2"), theirs(None, "2")], WANTED)
    assert counts(found) == (2, 0, 0, 0)
    assert found.by_reason == {}


@pytest.mark.parametrize(
    ("lost", "why"),
    [
        (LossReason.OUTSIDE_WINDOW, Difference.OUTSIDE_WINDOW),
        (LossReason.WINDOW_OFF, Difference.OUTSIDE_WINDOW),
        (LossReason.LOWER_TIER, Difference.ORDER),
        (LossReason.OLDER, Difference.ORDER),
        (LossReason.AFTER_CONVERSION, Difference.TOO_LATE),
        (LossReason.TOUCH_USED, Difference.TOUCH_USED),
        (LossReason.AMBIGUOUS, Difference.NOT_GUESSED),
        (LossReason.NOT_INACTIVE, Difference.NOT_RETARGETING),
        (LossReason.CORRECTED, Difference.CORRECTED),
    ],
)
def test_why_their_winner_lost_here(lost: LossReason, why: Difference) -> None:
    assert reason(mine("acme", candidate("zeta", lost)), theirs("zeta")) is why
    assert reason(mine(None, candidate("zeta", lost)), theirs("zeta")) is why


def test_every_loss_has_a_reason_here() -> None:
    assert set(shadow._LOST) == set(LossReason)


def test_the_touch_that_they_name_says_why() -> None:
    lost = (
        candidate("zeta", LossReason.OUTSIDE_WINDOW, "a"),
        candidate("zeta", LossReason.OLDER, "b"),
    )
    named = theirs("zeta", touch=TouchId("b-zeta"))
    assert reason(mine("acme", *lost), named) is Difference.ORDER
    assert reason(mine("acme", *lost), theirs("zeta")) is Difference.OUTSIDE_WINDOW


def test_no_touch_of_theirs_here() -> None:
    assert reason(mine("acme"), theirs("zeta")) is Difference.MISSING_TOUCH
    assert reason(mine(None), theirs("zeta")) is Difference.MISSING_TOUCH


def test_what_was_not_listed_may_have_been_theirs() -> None:
    more = {"not_listed": {"OLDER": 3}}
    assert reason(mine("acme", **more), theirs("zeta")) is Difference.OTHER_PARTNER
    assert reason(mine(None, **more), theirs("zeta")) is Difference.ORGANIC_HERE


@pytest.mark.parametrize("hours", [1, 5.5, -3, 5.75])
def test_clocks_of_two_zones(hours: float) -> None:
    lost = candidate("zeta", LossReason.OUTSIDE_WINDOW)
    at_ms = NOON + int(hours * HOUR_MS)
    assert reason(mine("acme", lost), theirs("zeta", at_ms=at_ms)) is Difference.TIME_ZONE
    odd = at_ms + 5 * 60_000
    assert reason(mine("acme", lost), theirs("zeta", at_ms=odd)) is Difference.OUTSIDE_WINDOW
    order = candidate("zeta", LossReason.OLDER)
    assert reason(mine("acme", order), theirs("zeta", at_ms=at_ms)) is Difference.ORDER


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"source": ForeignSource.RESTRICTED, "network": "restricted"}, Difference.RESTRICTED),
        ({"source": ForeignSource.ORGANIC}, Difference.ORGANIC_THERE),
        ({"source": ForeignSource.ATTRIBUTED, "network": "N"}, Difference.UNKNOWN_NETWORK),
        ({"source": ForeignSource.UNKNOWN}, Difference.NOT_SAID),
        ({"kind": ForeignKind.REJECTED}, Difference.REJECTED_THERE),
    ],
)
def test_what_they_say(words: dict[str, Any], why: Difference) -> None:
    assert reason(mine("acme"), theirs(None, **words)) is why


def test_restricted_beside_nobody_is_no_agreement() -> None:
    words = {"source": ForeignSource.RESTRICTED}
    assert reason(mine(None), theirs(None, **words)) is Difference.RESTRICTED
    known = theirs("acme", **words)
    assert counts(compare([mine("acme"), known], WANTED)) == (1, 0, 0, 0)


def test_an_install_here_and_a_return_there() -> None:
    again = theirs("acme", kind=ForeignKind.REATTRIBUTION)
    assert reason(mine("acme"), again) is Difference.OTHER_KIND
    here = mine("acme", kind=ConversionKind.REATTRIBUTION)
    assert counts(compare([here, again], WANTED)) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    "handles", [("gaid-1",), ("D1",), ("t-acme",), ("click-1",), ("x", "gaid-1")]
)
def test_what_installs_are_matched_by(handles: tuple[str, ...]) -> None:
    assert counts(compare([mine("acme"), theirs("acme", handles=handles)], WANTED)) == (1, 0, 0, 0)


def test_a_touch_that_lost_matches_nothing() -> None:
    """It may have been seen at many devices."""
    here = mine("acme", candidate("zeta", LossReason.OLDER))
    assert counts(compare([here, theirs("zeta", handles=("t-zeta",))], WANTED)) == (0, 0, 1, 1)


def test_what_one_side_alone_tells_of() -> None:
    found = compare([mine("acme"), theirs("acme", "2"), theirs("acme", "3", name="x")], WANTED)
    assert counts(found) == (0, 0, 1, 1)
    again = [mine("acme", kind=ConversionKind.REINSTALL), theirs("a", "2", kind=ForeignKind.REINSTALL), theirs("a", "3", kind=ForeignKind.REJECTED)]  # fmt: skip
    assert counts(compare(again, WANTED)) == (0, 0, 0, 0)


def test_the_nearest_in_time_is_the_same() -> None:
    far = mine("zeta", id_="1", at_ms=NOON - 10 * HOUR_MS)
    near = mine("acme", id_="1", conversion=ConversionId("cv9"))
    found = compare([far, near, theirs("acme")], WANTED)
    assert counts(found) == (1, 0, 1, 0)


def test_beyond_the_tolerance_they_are_two() -> None:
    late = theirs("acme", at_ms=NOON + 49 * HOUR_MS)
    wide = Wanted(product=GAME, app=APP, vendor=Vendor.ADJUST, from_ms=0, to_ms=2**60)
    assert counts(compare([mine("acme"), late], wide)) == (0, 0, 1, 1)


def test_only_the_days_asked_for_count() -> None:
    early = NOON - 10 * 86_400_000
    outcomes = [mine("acme", at_ms=early), theirs("acme", at_ms=early)]
    assert counts(compare(outcomes, WANTED)) == (0, 0, 0, 0)
    edge = [mine("acme", at_ms=WANTED.to_ms), theirs("acme", at_ms=WANTED.to_ms - 1)]
    assert counts(compare(edge, WANTED)) == (0, 0, 0, 0)


def test_others_are_left_out() -> None:
    outcomes = [
        mine("acme", app=AppId("x")),
        mine("acme", id_="2", kind=ConversionKind.REENGAGEMENT),
        theirs("acme", vendor=Vendor.BRANCH),
        theirs("acme", app=AppId("x")),
    ]
    assert counts(compare(outcomes, WANTED)) == (0, 0, 0, 0)


def test_the_newest_revision_counts() -> None:
    assert counts(compare([mine("zeta"), theirs("acme"), mine("acme", revision=2)], WANTED)) == (1, 0, 0, 0)  # fmt: skip
    gone = mine("acme", revision=2, kind=ConversionKind.REENGAGEMENT)
    assert counts(compare([mine("acme"), gone], WANTED)) == (0, 0, 0, 0)


def test_what_they_learnt_later_counts() -> None:
    update = theirs("acme", kind=ForeignKind.UPDATE, at_ms=NOON + 30 * 86_400_000)
    assert counts(compare([mine("acme"), theirs("zeta"), update], WANTED)) == (1, 0, 0, 0)
    early = theirs("acme", kind=ForeignKind.UPDATE, at_ms=NOON)
    assert counts(compare([mine("acme"), theirs("zeta"), early], WANTED)) == (0, 1, 0, 0)


def test_an_install_goes_before_its_rejection() -> None:
    rejected = theirs("acme", kind=ForeignKind.REJECTED, at_ms=NOON, record=RecordId("r"))
    assert counts(compare([mine("acme"), rejected, theirs("acme")], WANTED)) == (1, 0, 0, 0)


def test_long_lists_are_cut_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [one for n in range(5) for one in (mine("acme", id_=str(n)), theirs("zeta", str(n)))]
    few = Wanted(product=GAME, app=APP, vendor=Vendor.ADJUST, from_ms=0, to_ms=2**60, listed_max=2)
    found = compare(outcomes, few)
    assert (found.disagree, len(found.disagreements)) == (5, 2)
    monkeypatch.setattr(shadow, "INSTALLS_MAX", 3)
    with pytest.raises(Invalid):
        compare(outcomes, few)
