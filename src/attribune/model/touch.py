"""Touches: contacts with an ad, as journaled and as read."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from attribune.model.ids import LinkId, PartnerId, ProductId, RecordId, TouchId
from attribune.model.money import Money


class TouchKind(StrEnum):
    """Whether the person acted on the ad or was shown it."""

    #: The person acted on the ad.
    CLICK = "click"
    #: The ad was shown to the person.
    IMPRESSION = "impression"


class TouchOrigin(StrEnum):
    """How a touch came to us."""

    #: A person's browser followed the link or loaded the pixel.
    REDIRECT = "redirect"
    #: A server told us with a server key.
    S2S = "s2s"
    #: A network or AdServices says that the touch happened.
    CLAIM = "claim"


class SignatureFault(StrEnum):
    """Why the signature of a followed link does not count; the click does."""

    #: The link's partner has no signing secret.
    NOT_SIGNING = "not_signing"
    #: It is not the last parameter, is said twice, or is not 64 lower-case hex digits.
    MALFORMED = "malformed"
    #: It fits none of the partner's secrets: the query or path was changed, or another secret made it.
    MISMATCH = "mismatch"
    #: What is signed has no ``expires``, has two, or has one that is no time.
    NO_EXPIRY = "no_expiry"
    #: ``expires`` had passed.
    EXPIRED = "expired"
    #: ``expires`` lies further ahead than ``signed_link_ahead_max_ms``.
    TOO_FAR_AHEAD = "too_far_ahead"


class Part(Struct, frozen=True, kw_only=True, array_like=True):
    """Which record of a request of many this was, so that the sums of requests can be checked."""

    #: Made by the collector for each request of more than one record.
    request: str
    #: From 0.
    index: int
    of: int


class LinkHit(Struct, frozen=True, gc=False, kw_only=True, tag="hit", omit_defaults=True):
    """A tracking link followed, or its pixel loaded, as it came in: the door's only touch of the hot way.

    The query is journaled as sent and read behind the journal, by one pure function, under the link as it stood at the
    hit's place in the journal.
    """

    id: TouchId
    kind: TouchKind
    link: LinkId
    #: Our clock; for a hit it is also when the touch happened. Milliseconds, UTC.
    received_at_ms: int
    #: The raw query, without the question mark.
    query: str = ""
    #: The client's address; absent when unknown.
    ip: str | None = None
    user_agent: str | None = None
    #: The first language the browser asked for.
    language: str | None = None
    #: Client hints (``Sec-CH-UA-Model``, ``Sec-CH-UA-Platform-Version``), unquoted.
    model: str | None = None
    os_version: str | None = None
    #: True when an allowed address lets the query steer windows, cost, address and user agent: a server called.
    trusted: bool = False
    #: True when the partner's signature lets the query steer; a person's browser followed it all the same.
    signed: bool = False
    #: Why a signature that came does not count. The signature itself is never kept.
    signature_fault: SignatureFault | None = None
    #: Its personal fields were taken out, and its link was not known any more.
    is_scrubbed: bool = False


class Touch(Struct, frozen=True, gc=False, kw_only=True, tag="touch", omit_defaults=True):
    """One contact with an ad, all its words read."""

    #: Ours; goes out in the store link and comes back in the referrer.
    id: TouchId
    kind: TouchKind
    product: ProductId
    partner: PartnerId
    origin: TouchOrigin
    #: When we saw it, by our clock. Milliseconds, UTC.
    received_at_ms: int
    #: When it happened, by the sender's clock, corrected. Milliseconds, UTC.
    occurred_at_ms: int
    #: None when a claim names no link of ours.
    link: LinkId | None = None
    #: The sender's own id of the record; a touch of a redirect has none.
    record_id: RecordId | None = None
    #: The partner's own name for this touch; goes back in the postback.
    partner_click_id: str | None = None
    campaign: str | None = None
    campaign_id: str | None = None
    adgroup: str | None = None
    adgroup_id: str | None = None
    creative: str | None = None
    creative_id: str | None = None
    site_id: str | None = None
    sub_site_id: str | None = None
    #: Device identifiers as given, by our names (``gaid``, ``idfa``, ``sha1_gaid`` …); never zero ids.
    ids: dict[str, str] = field(default_factory=dict)
    ip: str | None = None
    user_agent: str | None = None
    language: str | None = None
    os_version: str | None = None
    model: str | None = None
    is_retargeting: bool = False
    #: Windows that a trusted touch brings itself; they override the policy's. Milliseconds.
    click_lookback_ms: int | None = None
    view_lookback_ms: int | None = None
    cost: Money | None = None
    cost_model: str | None = None
    #: Everything else, under its own name; echoed in postbacks.
    extra: dict[str, str] = field(default_factory=dict)
    #: Names of parameters too long or too many to keep.
    not_kept: tuple[str, ...] = ()
    #: Where the app should take the person, from the link.
    deep_link: str | None = None
    part: Part | None = None
    #: Why the signature that came with it did not count.
    signature_fault: SignatureFault | None = None
    #: Its personal fields were taken out (see ``model.scrub``): nothing is matched with it any more.
    is_scrubbed: bool = False


TouchRecord = LinkHit | Touch
