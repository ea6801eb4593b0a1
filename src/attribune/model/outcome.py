"""Outcomes: what the attributor writes. Each names the place it was decided from, so that none is ever written twice."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct, field

from attribune.model.activity import ForeignKind, ForeignSource, Platform, Vendor
from attribune.model.ids import (
    AppId,
    ConversionId,
    DeviceId,
    LinkId,
    PartnerId,
    PolicyVersion,
    Position,
    ProductId,
    RecordId,
    TouchId,
    UserId,
)
from attribune.model.money import Money
from attribune.model.policy import MatchMethod
from attribune.model.refusal import RefusalReason
from attribune.model.touch import SignatureFault, TouchKind

#: Events that undo the one whose ``transaction_id`` they carry.
UNDOING: Final = ("refund", "chargeback")


class ConversionKind(StrEnum):
    """The moments of a device that can earn credit."""

    #: The first open of a device id, without an earlier installation of the same person in time.
    INSTALL = "install"
    #: The first open after an uninstall by a known device, without a retargeting touch.
    REINSTALL = "reinstall"
    #: A known person's return that gives the device a new source.
    REATTRIBUTION = "reattribution"
    #: The return of a silent device that has the app; credited for a time, and the install keeps its source.
    REENGAGEMENT = "reengagement"


class Source(StrEnum):
    """Where a conversion or an event came from."""

    #: A touch won.
    ATTRIBUTED = "attributed"
    #: No touch won.
    ORGANIC = "organic"
    #: Its device never opened the app in time, or had it before Attribune was there.
    UNKNOWN = "unknown"
    #: Somebody brought it whom another measurement partner may not name; no decision of ours says so. Never organic.
    RESTRICTED = "restricted"


class LossReason(StrEnum):
    """Why a candidate did not win. A closed set; the docs name each."""

    #: Older than its window at the conversion.
    OUTSIDE_WINDOW = "OUTSIDE_WINDOW"
    #: Its window is switched off in the policy, or its tier left out of the order.
    WINDOW_OFF = "WINDOW_OFF"
    #: It happened after the conversion.
    AFTER_CONVERSION = "AFTER_CONVERSION"
    #: Another candidate ranks higher: a better tier.
    LOWER_TIER = "LOWER_TIER"
    #: Another candidate of its tier is newer.
    OLDER = "OLDER"
    #: It happened in the same millisecond as the winner; the higher touch id won.
    TIE = "TIE"
    #: It has already won another conversion.
    TOUCH_USED = "TOUCH_USED"
    #: Language, OS version or model contradict.
    CONTRADICTS = "CONTRADICTS"
    #: Candidates of the same address could be different people.
    AMBIGUOUS = "AMBIGUOUS"
    #: Too many devices opened from its address. Private, loopback and reserved addresses find no touch at all.
    SHARED_ADDRESS = "SHARED_ADDRESS"
    #: Its address or the open's lies in one of the policy's hosting networks.
    HOSTING_ADDRESS = "HOSTING_ADDRESS"
    #: Guesses are switched off on this platform.
    PROBABILISTIC_OFF = "PROBABILISTIC_OFF"
    #: It was appended after the decision.
    LATE = "LATE"
    #: Only retargeting touches compete for a return, and it is none.
    NOT_RETARGETING = "NOT_RETARGETING"
    #: The device was not silent for long enough at the touch.
    NOT_INACTIVE = "NOT_INACTIVE"
    #: It came before the device had the app, so it cannot have brought it back.
    BEFORE_INSTALL = "BEFORE_INSTALL"
    #: A person gave the conversion to another.
    CORRECTED = "CORRECTED"


class Credit(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Who is credited: the winning touch's words, so that nothing downstream needs to look them up."""

    touch: TouchId
    partner: PartnerId
    kind: TouchKind
    method: MatchMethod
    touch_at_ms: int
    link: LinkId | None = None
    campaign: str | None = None
    campaign_id: str | None = None
    adgroup: str | None = None
    adgroup_id: str | None = None
    creative: str | None = None
    creative_id: str | None = None
    site_id: str | None = None
    sub_site_id: str | None = None
    partner_click_id: str | None = None
    #: Of a guess: how likely it is right, from the number of devices that could have been meant. 0 to 1.
    confidence: float | None = None
    deep_link: str | None = None
    signature_fault: SignatureFault | None = None


class Candidate(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A touch that was considered, and why it lost; the winner has no reason."""

    touch: TouchId
    partner: PartnerId
    kind: TouchKind
    method: MatchMethod
    touch_at_ms: int
    #: At the conversion.
    age_ms: int
    link: LinkId | None = None
    campaign: str | None = None
    lost_because: LossReason | None = None
    signature_fault: SignatureFault | None = None


class Cause(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a later revision was made."""

    #: ``evidence``, ``late_touch``, ``person``, ``cascade``.
    kind: str
    #: The journal position of the record that caused it.
    position: Position
    reason: str | None = None
    by: str | None = None
    #: It was found to be fraud: who had it is told that it was refused.
    is_rejected: bool = False


class _Decided(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What every outcome carries."""

    product: ProductId
    #: The place of the entry that made the attributor write this.
    position: Position
    #: The place of the record that this places; equals ``position`` unless it waited or is corrected.
    about: Position
    #: The journal's time at the decision: the latest receipt seen so far. Milliseconds, UTC.
    judged_at_ms: int


class _OfDevice(_Decided, frozen=True, kw_only=True, omit_defaults=True):
    app: AppId
    platform: Platform
    #: None for an event that only names a user nobody has bound to a device.
    device: DeviceId | None = None
    record: RecordId
    #: When it happened. Milliseconds, UTC.
    at_ms: int
    country: str | None = None
    os_version: str | None = None
    app_version: str | None = None
    user_id: UserId | None = None
    #: Other handles that lead here (advertising ids, the user), for explain.
    handles: tuple[str, ...] = ()


class Attribution(_OfDevice, frozen=True, kw_only=True, tag="attribution", omit_defaults=True):
    """The decision about one conversion: the winner, or none, and why each other lost."""

    conversion: ConversionId
    revision: int = 1
    kind: ConversionKind
    source: Source
    credit: Credit | None = None
    #: Up to ``assists_max`` eligible losers in order, then ineligible ones; the winner first.
    candidates: tuple[Candidate, ...] = ()
    #: Losers that were not kept one by one, counted by reason.
    not_listed: dict[str, int] = field(default_factory=dict)
    policy: PolicyVersion
    #: Version of the data that user agents and addresses were read with.
    enrichment: str = ""
    #: The open's own place; touches before it could win.
    as_of: Position
    #: Of a later revision.
    cause: Cause | None = None
    #: What the revision before said.
    previous: Credit | None = None
    previous_source: Source | None = None
    previous_kind: ConversionKind | None = None
    #: Where the revision before stood in time, when an earlier open moved it. Milliseconds, UTC.
    previous_at_ms: int | None = None
    #: False when no open made it (later evidence of a return, an event that implies an open): the record is placed by
    #: an outcome of its own, and no open is counted.
    by_open: bool = True
    #: The conversion whose source stood before (of a return), or was carried over (of a reinstall).
    before: ConversionId | None = None


class CreditedOpen(_OfDevice, frozen=True, kw_only=True, tag="open", omit_defaults=True):
    """An open that was no conversion, credited to the source in force."""

    source: Source
    conversion: ConversionId | None = None
    credit: Credit | None = None
    revision: int = 1
    cause: Cause | None = None
    previous: Credit | None = None
    previous_source: Source | None = None


class CreditedEvent(_OfDevice, frozen=True, kw_only=True, tag="event", omit_defaults=True):
    """An event, credited to the conversion in force: sums and commissions use the primary credit only."""

    revision: int = 1
    name: str
    revenue: Money | None = None
    #: How many units, by the event's parameter ``quantity``; a decimal in a string.
    quantity: str | None = None
    transaction_id: str | None = None
    source: Source
    conversion: ConversionId | None = None
    credit: Credit | None = None
    #: During a re-engagement: the install's source.
    secondary: Credit | None = None
    secondary_conversion: ConversionId | None = None
    cause: Cause | None = None
    previous: Credit | None = None
    previous_source: Source | None = None
    previous_secondary: Credit | None = None
    #: Of a refund or chargeback that an app key told: it takes back only what the same device did, since such a key is no secret.
    by_app: bool = False
    #: The user whose customer's binding held it: then the conversion may be another device's, and there is no secondary.
    customer: UserId | None = None


class CreditedBy(StrEnum):
    """What led from a foreign conversion to a partner of ours."""

    #: It carried our own touch id.
    TOUCH = "touch"
    #: It carried the partner's click id of a touch of ours.
    CLICK_ID = "click_id"
    #: A map of the door or the import names the partner for the network.
    MAP = "map"
    #: The network bears the id or the name of the partner.
    NAME = "name"


class ForeignCredited(_Decided, frozen=True, kw_only=True, tag="foreign", omit_defaults=True):
    """What another measurement partner decided, and which partner of ours that is. It changes nothing of our own deciding."""

    app: AppId
    platform: Platform
    record: RecordId
    vendor: Vendor
    kind: ForeignKind
    #: As the vendor says.
    source: ForeignSource
    #: When it happened. Milliseconds, UTC.
    at_ms: int
    #: The partner of ours who brought it by the vendor's word; None when it is none that we know.
    partner: PartnerId | None = None
    credited_by: CreditedBy | None = None
    #: The touch of ours that it names.
    touch: TouchId | None = None
    #: Our device, when its ids or its touch led to one.
    device: DeviceId | None = None
    vendor_device_id: str | None = None
    user_id: UserId | None = None
    name: str | None = None
    revenue: Money | None = None
    transaction_id: str | None = None
    network: str | None = None
    campaign: str | None = None
    campaign_id: str | None = None
    adgroup: str | None = None
    creative: str | None = None
    site_id: str | None = None
    sub_site_id: str | None = None
    touch_kind: TouchKind | None = None
    touch_at_ms: int | None = None
    installed_at_ms: int | None = None
    method_said: str | None = None
    method: MatchMethod | None = None
    partner_click_id: str | None = None
    country: str | None = None
    os_version: str | None = None
    app_version: str | None = None
    rejected_because: str | None = None
    is_primary: bool = True
    #: Other handles that lead here, for explain.
    handles: tuple[str, ...] = ()


class RefusedRecord(_Decided, frozen=True, kw_only=True, tag="refused", omit_defaults=True):
    """A record that was accepted and then not used, with its reason."""

    record: RecordId
    #: ``touch``, ``open``, ``event`` …
    record_type: str
    reason: RefusalReason
    #: Of a repeated transaction: the partner who would have been credited.
    claimant: PartnerId | None = None
    #: The record that stands.
    instead_of: RecordId | None = None
    app: AppId | None = None
    device: DeviceId | None = None
    at_ms: int = 0


class Forgets(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who is forgotten by a request, as far as they were known. Scrubbing leaves hashes of it."""

    devices: tuple[DeviceId, ...] = ()
    #: Touches that were surely theirs.
    touches: tuple[TouchId, ...] = ()
    #: Identifiers and users that they were known by.
    words: tuple[str, ...] = ()


class Noted(_Decided, frozen=True, kw_only=True, tag="noted", omit_defaults=True):
    """Consent, evidence, a claim, an imported device or a request to be forgotten: what it changed is written apart."""

    record: RecordId
    record_type: str
    device: DeviceId | None = None
    app: AppId | None = None
    at_ms: int = 0
    #: Of a request to be forgotten.
    forgets: Forgets | None = None
    #: Of a consent: whether partners may be told of the person from here on, whatever this record said of it. Version 0.1.0 did not say.
    shares: bool | None = None
    #: Of a consent: single partners whom it lets be told or not.
    partners: dict[str, bool] = field(default_factory=dict)


class Held(_Decided, frozen=True, kw_only=True, tag="held", omit_defaults=True):
    """An event that waits for its device's first open, or for its order. What becomes of it is written apart, with the same ``about``."""

    record: RecordId
    app: AppId
    device: DeviceId | None = None
    at_ms: int
    #: By when it is let go with an unknown source. Milliseconds, UTC.
    until_ms: int
    #: What leads here beside its own ids, for explain.
    handles: tuple[str, ...] = ()


class LateTouch(_Decided, frozen=True, kw_only=True, tag="late_touch", omit_defaults=True):
    """A touch appended after a decision that it could have won; kept and shown, and it changes nothing."""

    conversion: ConversionId
    device: DeviceId
    candidate: Candidate


def is_set_aside(outcome: Outcome) -> bool:
    """Whether an outcome says that a mistake of ours kept a record from being judged."""
    return isinstance(outcome, RefusedRecord) and outcome.reason is RefusalReason.NOT_JUDGED


Outcome = (
    Attribution
    | CreditedOpen
    | CreditedEvent
    | ForeignCredited
    | RefusedRecord
    | Noted
    | Held
    | LateTouch
)
