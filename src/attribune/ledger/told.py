"""What the book takes of an outcome: who is credited for what, and what it was worth."""

from __future__ import annotations

from datetime import date
from typing import Final

from msgspec import Struct

from attribune.ledger.when import day_of
from attribune.model.activity import ForeignKind, ForeignSource, Vendor
from attribune.model.book import outcome_key
from attribune.model.fact import FOREIGN_KINDS, Fact, FactKind
from attribune.model.ids import device_digest, digest
from attribune.model.offer import Counts
from attribune.model.outcome import UNDOING, Attribution, CreditedEvent, ForeignCredited

_DAY_MS: Final = 86_400_000
#: How long after an install a vendor may still reject it. AppsFlyer's month stays open until the 7th of the next.
REJECTED_WITHIN_MS: Final = 38 * _DAY_MS
#: Adjust rejects before it attributes, and tells a rejected reattribution alike, which comes a week after an install at the earliest.
_SOONER_MS: Final = {Vendor.ADJUST: 7 * _DAY_MS}


class Told(Struct, frozen=True, gc=False, array_like=True):
    """An outcome as the book reads it."""

    key: str
    revision: int
    #: The event's name, or the conversion's kind.
    name: str
    is_event: bool
    partner: str | None
    product: str
    app: str
    platform: str
    country: str | None
    at_ms: int
    #: In the product's time zone.
    day: date
    timezone: str
    #: When a correction was made: the journal's time.
    judged_at_ms: int
    revenue_minor: int
    revenue_currency: str
    quantity: str | None
    transaction_id: str | None
    #: Who did it: a device, or a user without one; a hash of either.
    player: str
    cause: str
    #: It takes back only what the same player did.
    is_own_only: bool = False
    #: Whose decision it is: ours, or a vendor's.
    counts: str = Counts.OWN
    #: Of a vendor's install, and of its rejection: hashes of each id that the vendor knows the person by.
    persons: tuple[str, ...] = ()
    #: Of a rejection: the earliest install that it may be of. Milliseconds, UTC.
    rejects_since_ms: int | None = None
    #: Of both: when the touch was that the vendor credits or rejects, where it says so. Milliseconds, UTC.
    touch_at_ms: int | None = None


def key_of(outcome: Attribution | CreditedEvent | ForeignCredited) -> str:
    """What the book knows an outcome by."""
    if isinstance(outcome, Attribution):
        return outcome_key(outcome.product, "conversion", outcome.conversion)
    if isinstance(outcome, CreditedEvent):
        return outcome_key(outcome.product, "event", outcome.record)
    return outcome_key(outcome.product, "foreign", outcome.record)


def key_of_fact(fact: Fact) -> str:
    """What the book knows the outcome by that a fact was made of."""
    if fact.kind in FOREIGN_KINDS:
        return outcome_key(fact.product, "foreign", fact.record or "")
    if fact.kind is FactKind.EVENT:
        return outcome_key(fact.product, "event", fact.record or "")
    return outcome_key(fact.product, "conversion", fact.conversion or "")


def told(outcome: Attribution | CreditedEvent, timezone: str) -> Told:
    """Read an outcome; only the primary credit earns."""
    revenue = quantity = transaction_id = None
    if is_event := isinstance(outcome, CreditedEvent):
        name, revenue, quantity = outcome.name, outcome.revenue, outcome.quantity
        transaction_id, is_own_only = outcome.transaction_id, outcome.by_app
    else:
        name, is_own_only = outcome.kind, False
    credit, cause = outcome.credit, outcome.cause
    # By place: one is made of every outcome, and names would take longer than all else here.
    return Told(
        key_of(outcome),
        outcome.revision,
        name,
        is_event,
        None if credit is None else credit.partner,
        outcome.product,
        outcome.app,
        outcome.platform,
        outcome.country,
        outcome.at_ms,
        day_of(timezone, outcome.at_ms),
        timezone,
        outcome.judged_at_ms,
        0 if revenue is None else revenue.amount_minor,
        "" if revenue is None else revenue.currency,
        quantity,
        transaction_id,
        _player(outcome),
        "correction" if cause is None else cause.reason or cause.kind,
        is_own_only,
    )


def told_elsewhere(outcome: ForeignCredited, timezone: str) -> Told:
    """Read what another measurement partner decided. What it rejects takes back what it told of the same person, and no more."""
    is_rejected = outcome.kind is ForeignKind.REJECTED
    is_taken_back = is_rejected and outcome.transaction_id is not None
    is_of_install = is_rejected and _is_of_install(outcome)
    is_event = outcome.kind is ForeignKind.EVENT or is_taken_back
    name = UNDOING[0] if is_taken_back else outcome.name if is_event else outcome.kind.value
    who = outcome.vendor_device_id or outcome.device or outcome.user_id or outcome.transaction_id
    revenue = None if is_taken_back else outcome.revenue
    is_named = is_of_install or outcome.kind is ForeignKind.INSTALL
    return Told(
        key=key_of(outcome),
        revision=1,
        name=name or "",
        is_event=is_event,
        partner=outcome.partner if outcome.is_primary else None,
        product=outcome.product,
        app=outcome.app,
        platform=outcome.platform,
        country=outcome.country,
        at_ms=outcome.at_ms,
        day=day_of(timezone, outcome.at_ms),
        timezone=timezone,
        judged_at_ms=outcome.judged_at_ms,
        revenue_minor=revenue.amount_minor if revenue else 0,
        revenue_currency=revenue.currency if revenue else "",
        quantity=None,
        transaction_id=outcome.transaction_id,
        player=digest(outcome.vendor, outcome.product, who or outcome.record).hex(),
        cause=outcome.rejected_because or "rejected" if is_rejected else "",
        # An install and its rejection meet under the vendor's own person alone, so it does not matter which comes first.
        is_own_only=not is_of_install,
        counts=outcome.vendor,
        persons=_persons(outcome) if is_named else (),
        rejects_since_ms=_since_ms(outcome) if is_of_install else None,
        touch_at_ms=outcome.touch_at_ms if is_named else None,
    )


def _is_of_install(outcome: ForeignCredited) -> bool:
    """Whether a rejection is of an install of one of our partners, or of nobody's in particular.

    One of a network that is no partner of ours is none: the vendor may have told the same install of another who stood behind it.
    """
    is_strangers = outcome.partner is None and outcome.source is ForeignSource.ATTRIBUTED
    of_order = outcome.transaction_id is not None or outcome.name is not None
    return outcome.is_primary and not is_strangers and not of_order


def _since_ms(outcome: ForeignCredited) -> int:
    return outcome.at_ms - _SOONER_MS.get(outcome.vendor, REJECTED_WITHIN_MS)


def _persons(outcome: ForeignCredited) -> tuple[str, ...]:
    """Hashes, so that the book names nobody. A rejection may name the person by fewer ids than the install did."""
    ids = (
        ("own", outcome.vendor_device_id),
        ("device", outcome.device),
        ("user", outcome.user_id),
    )
    return tuple(
        digest("foreign person", outcome.vendor, outcome.product, kind, id_).hex()
        for kind, id_ in ids
        if id_ is not None
    )


def _player(outcome: Attribution | CreditedEvent) -> str:
    """A hash, so that the book names nobody, and the same one when the person is forgotten."""
    if outcome.device is not None:
        return device_digest(outcome.product, outcome.device).hex()
    return digest("user", outcome.product, str(outcome.user_id)).hex()


def is_undoing(told: Told) -> bool:
    """Whether an outcome takes another back."""
    if told.is_event:
        return told.name in UNDOING and told.transaction_id is not None
    return told.rejects_since_ms is not None
