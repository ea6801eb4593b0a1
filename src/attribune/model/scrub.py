"""Records without their personal fields: identifiers, users, addresses, user agents, parameters and what was sent of them.

What is left adds up to the same: types, times, record, touch, conversion and transaction ids, words of campaigns, amounts, decisions. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from msgspec.structs import replace

from attribune.model.activity import (
    Activity,
    Claim,
    Consent,
    Device,
    Event,
    Evidence,
    ForeignConversion,
    Open,
)
from attribune.model.delivery import EMPTIED, Attempt
from attribune.model.fact import Fact, Forgotten
from attribune.model.ids import DeviceId, ProductId, forgotten
from attribune.model.outcome import (
    Attribution,
    Credit,
    CreditedEvent,
    CreditedOpen,
    ForeignCredited,
    Forgets,
    Held,
    LateTouch,
    Noted,
    Outcome,
    RefusedRecord,
)
from attribune.model.refusal import Refusal
from attribune.model.touch import LinkHit, Touch

AnyOutcome = TypeVar("AnyOutcome", bound=Outcome)


def without_person(outcome: AnyOutcome, stays: DeviceId | None) -> AnyOutcome:
    """An outcome about a person's device, which is named by a hash from now on."""
    if isinstance(outcome, RefusedRecord):
        return replace(outcome, device=stays)
    if isinstance(outcome, LateTouch):
        return replace(outcome, device=stays)
    if isinstance(outcome, Noted):
        return replace(outcome, device=stays, forgets=_forgets(outcome))
    if isinstance(outcome, Held):
        return replace(outcome, device=stays, handles=())
    if isinstance(outcome, ForeignCredited):
        return replace(
            outcome,
            device=stays,
            vendor_device_id=None,
            user_id=None,
            partner_click_id=None,
            handles=(),
        )
    assert isinstance(outcome, Attribution | CreditedOpen | CreditedEvent), "no other outcomes"
    left = replace(
        outcome,
        device=stays,
        user_id=None,
        handles=(),
        credit=_credit(outcome.credit),
        previous=_credit(outcome.previous),
    )
    if isinstance(left, CreditedEvent):
        left = replace(
            left,
            customer=None,
            secondary=_credit(left.secondary),
            previous_secondary=_credit(left.previous_secondary),
        )
    return left


def activity(record: Activity) -> Activity:
    """A person's record: its type, times, name and amount."""
    device = record.device
    left = replace(
        record,
        device=device and _device(record.product, device),
        user_id=None,
        ip=None,
        user_agent=None,
        extra={},
        is_scrubbed=True,
    )
    match left:
        case Open() | Evidence():
            return replace(left, referrers=(), link_opened=None)
        case Event():
            return replace(left, params={})
        case Consent():
            return replace(left, tcf=None, partners={})
        case Claim():
            return replace(left, partner_click_id=None)
        case ForeignConversion():
            return replace(left, ids={}, vendor_device_id=None, partner_click_id=None)
        case _:
            return left


def touch(record: Touch) -> Touch:
    """A person's touch: whose it was, its words and its cost."""
    return replace(
        record,
        partner_click_id=None,
        ids={},
        ip=None,
        user_agent=None,
        language=None,
        os_version=None,
        model=None,
        extra={},
        not_kept=(),
        deep_link=None,
        is_scrubbed=True,
    )


def hit(record: LinkHit) -> LinkHit:
    """A hit whose link nobody knows, so that its query cannot be read."""
    return replace(
        record,
        query="",
        ip=None,
        user_agent=None,
        language=None,
        model=None,
        os_version=None,
        is_scrubbed=True,
    )


def refusal(record: Refusal) -> Refusal:
    """What was refused at the door: why, when, by whose key."""
    return replace(record, query="", headers={}, body=b"", ip=None, user_agent=None)


def attempt(record: Attempt) -> Attempt:
    """A telling: when, and what it came to."""
    request = record.request
    return replace(
        record,
        answer="",
        poll_url=None,
        error=None,
        request=request and EMPTIED,
    )


def fact(row: Fact, people: Iterable[Forgotten]) -> Fact:
    """A fact row; of a forgotten person it leads nowhere any more."""
    for person in people:
        if row.product != person.product:
            continue
        if row.device is not None and row.device in person.devices:
            row = replace(row, device=forgotten(person.product, DeviceId(row.device)), handles=())
        elif row.device is None and row.touch in person.touches:
            row = replace(row, handles=())
    return row


def _device(product: ProductId, device: Device) -> Device:
    return Device(id=forgotten(product, device.id), platform=device.platform)


def _credit(credit: Credit | None) -> Credit | None:
    return credit and replace(credit, partner_click_id=None, deep_link=None)


def _forgets(outcome: Noted) -> Forgets | None:
    said = outcome.forgets
    if said is None:
        return None
    devices = tuple(forgotten(outcome.product, device) for device in said.devices)
    words = {str(forgotten(outcome.product, DeviceId(word.lower()))) for word in said.words}
    return Forgets(devices=devices, touches=said.touches, words=tuple(sorted(words)))
