"""What may be sent again, and what the partner was told otherwise of since."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from posthouse import NOW_MS

from attribune.model.delivery import DeliveryState, OutboxRow, Planned, Related, Trigger
from attribune.model.ids import (
    DeliveryId,
    DeviceId,
    PartnerId,
    Position,
    PostbackId,
    ProductId,
)
from attribune.postback.again import around, why_not
from attribune.postback.again import told_since as told_since_by

DELIVERED, GAVE_UP = DeliveryState.DELIVERED, DeliveryState.GAVE_UP
WAITING, WITHDRAWN = DeliveryState.WAITING, DeliveryState.WITHDRAWN


def row(trigger: Trigger, copy: int = 0) -> OutboxRow:
    planned = Planned(
        id=DeliveryId("it"), postback=PostbackId("acme-1"), partner=PartnerId("acme"), product=ProductId("game"),
        outcome_id="e1", revision=1, trigger=trigger, subject="e1", copy=copy, place=Position(1), at_ms=NOW_MS,
    )  # fmt: skip
    return OutboxRow(planned=planned, state=GAVE_UP, tries=1)


def other(trigger: Trigger, state: DeliveryState, copy: int = 0, name: str = "other") -> Related:
    return Related(DeliveryId(name), "r1", trigger, copy, state, 1)


def told_since(one: OutboxRow, about: Sequence[Related]) -> str | None:
    return told_since_by(one, around(one, about)[1])


IT = Related(DeliveryId("it"), "e1", Trigger.EVENT, 0, GAVE_UP, 1)


@pytest.mark.parametrize("state", list(DeliveryState))
@pytest.mark.parametrize("by", [Trigger.REVERSAL, Trigger.REJECTED_INSTALL])
def test_what_is_taken_back_is_never_told_again(by: Trigger, state: DeliveryState) -> None:
    about = [IT, other(by, state)]
    assert why_not(row(Trigger.EVENT), about, ["it", "other"]) == "taken back since"
    assert why_not(row(Trigger.EVENT, copy=1), about, ["it"]) == "taken back since", (
        "of any address"
    )
    assert why_not(row(Trigger.EVENT), about[::-1], ["it"]) is None, (
        "what came before takes it not back"
    )


@pytest.mark.parametrize("by", [Trigger.ATTRIBUTION_UPDATE, Trigger.PARTIAL_REVERSAL])
def test_what_is_corrected_is_told_before_its_correction_or_not_at_all(by: Trigger) -> None:
    def said(state: DeliveryState, *going: str) -> str | None:
        return why_not(row(Trigger.EVENT), [IT, other(by, state)], list(map(DeliveryId, going)))

    assert said(DELIVERED, "it") == said(GAVE_UP, "it") == "corrected since"
    assert said(DELIVERED, "it", "other") is said(GAVE_UP, "it", "other") is None
    assert said(WAITING, "it") is said(WITHDRAWN, "it") is None, "it goes out after, or never"
    assert why_not(row(Trigger.EVENT), [IT, other(by, DELIVERED, copy=1)], ["it"]) is None


def test_of_who_was_forgotten_nothing_is_told_again() -> None:
    one = row(Trigger.EVENT)
    gone = DeviceId(f"forgotten:{'0' * 32}")
    forgotten = replace(one, planned=replace(one.planned, device=gone))
    assert why_not(forgotten, (), ["it"]) == "the person was forgotten"
    named = replace(one, planned=replace(one.planned, device=DeviceId("d1")))
    assert why_not(named, (), ["it"]) is None


def test_of_refunds_the_later_stands() -> None:
    part = row(Trigger.PARTIAL_REVERSAL)
    for by in (Trigger.PARTIAL_REVERSAL, Trigger.REVERSAL):
        assert why_not(part, [IT, other(by, DELIVERED)], ["it"]) == "corrected since"
        assert told_since(part, [IT, other(by, DELIVERED)]) == "corrected since"


def test_what_stands_alone_may_always_be_sent_again() -> None:
    assert why_not(row(Trigger.EVENT), (), ["it"]) is None
    assert told_since(row(Trigger.EVENT), ()) is None


def test_before_it_goes_out_only_what_was_told_counts() -> None:
    for state in (WAITING, GAVE_UP, WITHDRAWN):
        assert told_since(row(Trigger.EVENT), [IT, other(Trigger.REVERSAL, state)]) is None
    back = [IT, other(Trigger.REVERSAL, DELIVERED)]
    assert told_since(row(Trigger.EVENT), back) == "taken back since"
    assert told_since(row(Trigger.EVENT), back[::-1]) is None
