"""The shape of a story: what became of one conversion, or of a record or touch that led to none, as JSON tells it.

Times come twice: as text (RFC 3339, UTC) for people and, ending in ``_ms``, as milliseconds for programs.
"""

from __future__ import annotations

from msgspec import Struct, field

from attribune.model.money import Money
from attribune.report.booked import ToldLine, ToldRateMissing
from attribune.report.deliveries import ToldDelivery


class Winner(Struct, frozen=True, kw_only=True):
    """The touch that is credited."""

    touch_id: str
    partner: str
    kind: str
    method: str
    at: str
    at_ms: int
    #: At the conversion.
    age_ms: int
    link: str | None = None
    campaign: str | None = None
    campaign_id: str | None = None
    adgroup: str | None = None
    creative: str | None = None
    site_id: str | None = None
    sub_site_id: str | None = None
    partner_click_id: str | None = None
    #: Of a guess, 0 to 1.
    confidence: float | None = None
    #: Why its signature did not count, when one came.
    signature_fault: str | None = None


class Competitor(Struct, frozen=True, kw_only=True):
    """A touch that was considered; the one that won has no reason."""

    touch_id: str
    partner: str
    kind: str
    method: str
    at: str
    at_ms: int
    age_ms: int
    lost_because: str | None
    link: str | None = None
    campaign: str | None = None
    #: Why its signature did not count, when one came.
    signature_fault: str | None = None


class ToldEvent(Struct, frozen=True, kw_only=True):
    """An event credited through the conversion, as its newest revision says."""

    id: str
    name: str
    at: str
    at_ms: int
    source: str
    partner: str | None
    #: ``primary``, or ``secondary`` when a re-engagement is in force and this is the install's story.
    credit: str
    revision: int
    revenue: dict[str, str] | None = None
    transaction_id: str | None = None
    #: The user whose binding held it, so that the source is the customer's and not its device's.
    customer: str | None = None


class ToldOpen(Struct, frozen=True, kw_only=True):
    """A start of the app that was no conversion."""

    id: str
    at: str
    at_ms: int
    source: str
    partner: str | None
    revision: int


class ToldTouch(Struct, frozen=True, kw_only=True):
    """A touch that somebody asked for and that led to no conversion."""

    touch_id: str
    partner: str | None
    kind: str
    at: str
    at_ms: int
    link: str | None = None
    campaign: str | None = None
    partner_click_id: str | None = None
    #: Why its signature did not count, when one came.
    signature_fault: str | None = None


class ToldCorrection(Struct, frozen=True, kw_only=True, rename={"before": "from", "now": "to"}):
    """A later revision: what caused it, and who was credited before and is now."""

    revision: int
    at: str
    at_ms: int
    cause: str | None
    reason: str | None
    by: str | None
    #: The journal's place of what caused it.
    cause_position: int | None
    before: dict[str, str] | None
    now: dict[str, str] | None


class ToldRefusal(Struct, frozen=True, kw_only=True):
    """A record that was not used, and why."""

    record: str | None
    record_type: str | None
    reason: str
    at: str
    at_ms: int
    #: ``door`` or ``journal``: before or after it was accepted.
    where: str
    claimant: str | None = None
    instead_of: str | None = None
    message: str | None = None


class ToldNote(Struct, frozen=True, kw_only=True):
    """Consent, evidence, a claim, an imported device: taken note of."""

    record: str
    record_type: str
    at: str
    at_ms: int
    #: Of a consent: whether partners may be told from here on, and single ones whom it lets be told or not.
    shares: bool | None = None
    partners: dict[str, bool] | None = None


class ToldForeign(Struct, frozen=True, kw_only=True):
    """What another measurement partner decided."""

    record: str
    vendor: str
    #: ``install``, ``event`` …
    kind: str
    #: The event's name.
    name: str | None
    #: ``attributed``, ``organic``, ``restricted``, ``unknown``.
    source: str
    #: Our partner, and by what it was known: ``touch``, ``click_id``, ``map``, ``name``.
    partner: str | None
    credited_by: str | None
    #: As the vendor names it.
    network: str | None
    campaign: str | None
    method: str | None
    revenue: str | None
    currency: str | None
    transaction_id: str | None
    rejected_because: str | None
    at: str
    at_ms: int


class ToldHeld(Struct, frozen=True, kw_only=True):
    """An event that waits for its device's open, or for its order."""

    id: str
    name: str
    at: str
    at_ms: int


class Story(Struct, kw_only=True):
    """One conversion with all that belongs to it; ``conversion`` is None where there is none."""

    conversion: str | None = None
    kind: str | None = None
    at: str | None = None
    at_ms: int | None = None
    #: One sentence.
    summary: str = ""
    source: str | None = None
    winner: Winner | None = None
    method: str | None = None
    policy: str | None = None
    revision: int | None = None
    candidates: list[Competitor] = field(default_factory=list)
    #: Losers that were not kept one by one, counted by reason.
    not_listed: dict[str, int] = field(default_factory=dict)
    events: list[ToldEvent] = field(default_factory=list)
    #: Events beyond the limit, which are not shown.
    events_not_listed: int = 0
    opens: list[ToldOpen] = field(default_factory=list)
    corrections: list[ToldCorrection] = field(default_factory=list)
    #: Touches that came after the decision they could have won.
    late_touches: list[Competitor] = field(default_factory=list)
    refused: list[ToldRefusal] = field(default_factory=list)
    notes: list[ToldNote] = field(default_factory=list)
    #: What other measurement partners decided of the same device.
    foreign: list[ToldForeign] = field(default_factory=list)
    held: list[ToldHeld] = field(default_factory=list)
    touches: list[ToldTouch] = field(default_factory=list)
    #: What partners were told of it, and what they answered, in the order in which it was planned.
    deliveries: list[ToldDelivery] = field(default_factory=list)
    #: What it earned whom, in the order of booking.
    booked: list[ToldLine] = field(default_factory=list)
    #: What of it waits for the rate of its day, and is not booked until then.
    rates_missing: list[ToldRateMissing] = field(default_factory=list)
    product: str | None = None
    app: str | None = None
    platform: str | None = None
    device: str | None = None
    record: str | None = None
    country: str | None = None
    os_version: str | None = None
    app_version: str | None = None
    #: The conversion whose source stood before, or was carried over.
    before: str | None = None
    #: The data that addresses and user agents were read with.
    enrichment: str | None = None
    #: The journal's place that the decision was made as of.
    as_of: int | None = None


class ToldPruned(Struct, frozen=True, kw_only=True):
    """What a handle leads to and cannot be told any more, since the journal no longer keeps it."""

    #: The newest place that is not kept.
    through: int
    #: How many rows of the facts of each kind stood there; reports still count them.
    kinds: dict[str, int]


class ToldForgotten(Struct, frozen=True, kw_only=True):
    """That a person was forgotten in a product, and when. Nothing else is known of them."""

    product: str
    at: str
    at_ms: int


class Explained(Struct, frozen=True, kw_only=True):
    """All stories that a handle leads to, oldest first."""

    handle: str
    stories: list[Story]
    #: There is more than the limits allow to show.
    is_truncated: bool = False
    #: None when all of it is kept.
    pruned: ToldPruned | None = None
    #: The products that were asked to forget whom the handle names; then that is all there is to tell.
    forgotten: tuple[ToldForgotten, ...] = ()


def amount(money: Money | None) -> dict[str, str] | None:
    """Money as JSON tells it."""
    return {"amount": str(money), "currency": money.currency} if money else None
