"""Deliveries: what became of each thing that a partner was to be told. Journaled, so that nobody is told twice by a rebuild."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct, field

from attribune.model.ids import (
    ConversionId,
    DeliveryId,
    DeviceId,
    PartnerId,
    Position,
    PostbackId,
    ProductId,
)


class Trigger(StrEnum):
    """What a partner can be told of."""

    #: A new installation that it drove.
    INSTALL = "install"
    #: A known person installed again.
    REINSTALL = "reinstall"
    #: A return that gave the device a new source.
    REATTRIBUTION = "reattribution"
    #: A silent device came back through a retargeting touch.
    REENGAGEMENT = "reengagement"
    #: A named event of somebody it drove.
    EVENT = "event"
    #: An installation that it drove and that was refused.
    REJECTED_INSTALL = "rejected_install"
    #: What it was told is no longer so: given to another, refunded, refused.
    REVERSAL = "reversal"
    #: A later revision that stays with it, with other words.
    ATTRIBUTION_UPDATE = "attribution_update"
    #: A part of what it was told is no longer so: some of a purchase was refunded. Who is told of reversals is told of it.
    PARTIAL_REVERSAL = "partial_reversal"


#: What takes back something that was told.
TAKING_BACK: Final = (Trigger.REVERSAL, Trigger.PARTIAL_REVERSAL)


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    #: It is to be sent, for the first time or again.
    WAITING = "waiting"
    #: The partner took it, or had it already.
    DELIVERED = "delivered"
    #: It will not be sent any more; the reason says why.
    GAVE_UP = "gave_up"
    #: It was never sent, since what it says was taken back before.
    WITHDRAWN = "withdrawn"


class SentRequest(Struct, frozen=True, kw_only=True):
    """What was sent, with the names of secrets in their places."""

    method: str
    url: str
    body: str = ""


class Attempt(Struct, frozen=True, kw_only=True, tag="attempt", omit_defaults=True):
    """One request that went out, or tried to, and what came of it."""

    delivery: DeliveryId
    postback: PostbackId
    #: 1 is the first.
    number: int
    at_ms: int
    took_ms: int
    #: None when there was no answer; then ``error`` says why.
    status: int | None = None
    error: str | None = None
    #: The answer's beginning.
    answer: str = ""
    state: DeliveryState
    #: Why the partner was not told, or what it is waited for.
    reason: str | None = None
    #: When it is sent again. Milliseconds, UTC.
    next_at_ms: int | None = None
    #: Where the partner, who took it and will decide later, is asked what it decided.
    poll_url: str | None = None
    #: None of an attempt that sends what the one before it sent.
    request: SentRequest | None = None
    #: How often in a row the partner said no that it may take back (a redirect, 404 …), this time included; 0 of what came otherwise.
    declines: int = 0


class Settled(Struct, frozen=True, kw_only=True, tag="settled", omit_defaults=True):
    """What becomes of a delivery without a request: withdrawn, or given up."""

    delivery: DeliveryId
    postback: PostbackId
    at_ms: int
    state: DeliveryState
    reason: str


Delivery = Attempt | Settled


class Again(NamedTuple):
    """A delivery that a person wants to be sent again, and since when. Milliseconds, UTC."""

    delivery: DeliveryId
    at_ms: int


class Planned(Struct, frozen=True):
    """One thing to tell by one postback, as the plan makes it of an outcome; the outbox keeps the fields in this order."""

    id: DeliveryId
    postback: PostbackId
    partner: PartnerId
    product: ProductId
    outcome_id: str
    revision: int
    trigger: Trigger
    #: What it is about in the partner's eyes: a refund is about the event that it undoes.
    subject: str
    #: Where the outcome stands.
    place: Position
    #: The journal's time at the decision. Milliseconds, UTC.
    at_ms: int
    #: None of an event whose device nobody knows.
    device: DeviceId | None = None
    #: Which callback address of the click, from 0.
    copy: int = 0
    #: Where the event stands that the outcome undoes.
    undoes: Position | None = None


class OutboxRow(Struct, frozen=True):
    """A delivery as it stands in the outbox."""

    planned: Planned
    state: DeliveryState
    #: Attempts so far.
    tries: int = 0
    #: From when on it is sent; of a row that waits. Milliseconds, UTC.
    due_at_ms: int = 0
    #: Since when it is tried: since its first attempt, or since a person wanted it sent again; before, since it was planned. Milliseconds, UTC.
    since_ms: int = 0
    #: Why it is not delivered.
    reason: str | None = None
    poll_url: str | None = None
    #: What was sent last.
    request: SentRequest | None = None
    #: How often in a row the partner said no that it may take back.
    declines: int = 0


#: Where one device's deliveries go out in order, one that was declined so often is overtaken: about half an hour after the first no.
HOLDING_DECLINES: Final = 11

#: What the outbox says of a forgotten person's deliveries in the place of what was sent.
EMPTIED: Final = SentRequest(method="", url="")


class Related(NamedTuple):
    """As much of a row as those about the same thing want to know."""

    id: DeliveryId
    outcome_id: str
    trigger: Trigger
    copy: int
    state: DeliveryState
    tries: int


class OutboxPage(Struct, frozen=True, kw_only=True):
    """What some entries of the journal change in the outbox."""

    planned: list[Planned] = field(default_factory=list)
    #: In the journal's order, in which the last says what stands.
    came: list[Delivery | Again] = field(default_factory=list)
    #: When conversions happened. Milliseconds, UTC.
    conversions: dict[ConversionId, int] = field(default_factory=dict)
    #: (Digest of a product's transaction, record of an event that bears it) → where the event's newest outcome stands.
    transactions: dict[tuple[bytes, str], Position] = field(default_factory=dict)
    #: Digest of a product's device → whether its person lets partners be told.
    sharing: dict[bytes, bool] = field(default_factory=dict)
    #: Products' devices whose people were forgotten: what they were told with is emptied, and nothing more is told of them.
    forgotten: list[tuple[ProductId, DeviceId]] = field(default_factory=list)


class LogQuestion(Struct, frozen=True, kw_only=True):
    """Which deliveries are wanted, the newest first."""

    partner: PartnerId | None = None
    postback: PostbackId | None = None
    state: DeliveryState | None = None
    #: Only of these outcomes (conversions, records of events); none is all.
    outcome_ids: tuple[str, ...] = ()
    ids: tuple[DeliveryId, ...] = ()
    #: Only those behind this one in the order; None is from the newest.
    before: int | None = None
    rows_max: int = 100


class Logged(Struct, frozen=True, kw_only=True):
    """A delivery and every attempt of it, without what each sent."""

    #: Its place in the order; newer is larger.
    number: int
    row: OutboxRow
    attempts: list[Attempt]
