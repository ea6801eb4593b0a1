"""What another measurement partner decided, as an outcome that partners are told of like one of ours. Pure."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from attribune.model.activity import ForeignKind, ForeignSource
from attribune.model.ids import ConversionId, PolicyVersion, TouchId, digest
from attribune.model.offer import Counts
from attribune.model.outcome import (
    UNDOING,
    Attribution,
    Cause,
    ConversionKind,
    Credit,
    CreditedBy,
    CreditedEvent,
    ForeignCredited,
    Source,
)
from attribune.model.policy import MatchMethod
from attribune.model.touch import Touch, TouchKind

_DAY_MS: Final = 86_400_000
#: What happened longer before it was judged is history that somebody brings in, and no news to a partner: seven days.
NEWS_MS: Final = 7 * _DAY_MS
#: An install may be rejected until the 7th of the next month, which is so many days at most (AppsFlyer's Protect360).
REJECTED_NEWS_MS: Final = 38 * _DAY_MS
_KINDS: Final = {
    ForeignKind.INSTALL: ConversionKind.INSTALL,
    ForeignKind.REINSTALL: ConversionKind.REINSTALL,
    ForeignKind.REATTRIBUTION: ConversionKind.REATTRIBUTION,
    ForeignKind.REENGAGEMENT: ConversionKind.REENGAGEMENT,
}
#: What is said of what no partner of ours brought.
_NOBODYS: Final = {
    ForeignSource.ORGANIC: Source.ORGANIC,
    ForeignSource.RESTRICTED: Source.RESTRICTED,
}
_BY_AN_ID: Final = frozenset((CreditedBy.TOUCH, CreditedBy.CLICK_ID))


def counts_of(outcome: ForeignCredited) -> Counts:
    """Whose decision it is."""
    return Counts(outcome.vendor.value)


def is_news(outcome: Attribution | CreditedEvent) -> bool:
    """Whether it was told soon enough after it happened for partners to hear of it."""
    is_rejected = outcome.cause is not None and outcome.cause.is_rejected
    return outcome.judged_at_ms - outcome.at_ms <= (REJECTED_NEWS_MS if is_rejected else NEWS_MS)


def transaction_key(outcome: ForeignCredited) -> bytes | None:
    """What its event is found by: the vendor's order of one person. A rejection takes back what was told of both."""
    if outcome.transaction_id is None:
        return None
    who = outcome.vendor_device_id or outcome.device or outcome.user_id or ""
    words = (outcome.vendor, outcome.product, who, outcome.transaction_id)
    return digest("foreign transaction", *words)


def as_own(outcome: ForeignCredited, touch: Touch | None) -> Attribution | CreditedEvent | None:
    """It as an outcome of ours; None of what partners are not told of (starts, uninstalls, later words, secondary credit).

    ``touch`` is the one of ours that it is credited by: the partner is told by its own words on it. A rejection of an order
    undoes it whole, as a refund without an amount does; one of no order and no event is a refused install.
    """
    if not outcome.is_primary:
        return None
    is_rejected = outcome.kind is ForeignKind.REJECTED
    is_install = is_rejected and outcome.transaction_id is None and outcome.name is None
    kind = ConversionKind.INSTALL if is_install else _KINDS.get(outcome.kind)
    if kind is not None:
        return Attribution(
            **_shared(outcome, touch),
            conversion=ConversionId(outcome.record),
            kind=kind,
            policy=PolicyVersion(""),
            as_of=outcome.about,
            cause=_rejection(outcome) if is_install else None,
        )
    if is_rejected and outcome.transaction_id is None:
        return None
    if outcome.kind is not ForeignKind.EVENT and not is_rejected:
        return None
    return CreditedEvent(
        **_shared(outcome, touch),
        name=UNDOING[0] if is_rejected else outcome.name or "",
        revenue=None if is_rejected else outcome.revenue,
        transaction_id=outcome.transaction_id,
    )


def _rejection(outcome: ForeignCredited) -> Cause:
    reason = outcome.rejected_because
    return Cause(kind="rejected", position=outcome.about, reason=reason, is_rejected=True)


def of_undone(
    outcome: Attribution | CreditedEvent, undone: Attribution | CreditedEvent
) -> Attribution | CreditedEvent:
    """What undoes another of a vendor's is told to whom that was told: a rejection need not name anybody."""
    return replace(outcome, credit=undone.credit, source=undone.source)


def _shared(outcome: ForeignCredited, touch: Touch | None) -> dict[str, Any]:
    credit = _credit(outcome, touch)
    nobodys = _NOBODYS.get(outcome.source, Source.UNKNOWN)
    return {
        "product": outcome.product,
        "position": outcome.position,
        "about": outcome.about,
        "judged_at_ms": outcome.judged_at_ms,
        "app": outcome.app,
        "platform": outcome.platform,
        "device": outcome.device,
        "record": outcome.record,
        "at_ms": outcome.at_ms,
        "country": outcome.country,
        "os_version": outcome.os_version,
        "app_version": outcome.app_version,
        "user_id": outcome.user_id,
        "source": Source.ATTRIBUTED if credit else nobodys,
        "credit": credit,
    }


def _credit(outcome: ForeignCredited, touch: Touch | None) -> Credit | None:
    """Who is credited: in the words of our touch, else in the vendor's."""
    if outcome.partner is None:
        return None
    by_an_id = MatchMethod.REFERRER if outcome.credited_by in _BY_AN_ID else MatchMethod.CLAIM
    method = outcome.method or by_an_id
    if touch is None:
        is_theirs = outcome.credited_by is not CreditedBy.TOUCH
        return Credit(
            touch=outcome.touch or TouchId(""),
            partner=outcome.partner,
            kind=outcome.touch_kind or TouchKind.CLICK,
            method=method,
            touch_at_ms=outcome.touch_at_ms or outcome.at_ms,
            campaign=outcome.campaign,
            campaign_id=outcome.campaign_id,
            adgroup=outcome.adgroup,
            creative=outcome.creative,
            site_id=outcome.site_id,
            sub_site_id=outcome.sub_site_id,
            partner_click_id=outcome.partner_click_id if is_theirs else None,
        )
    return Credit(
        touch=touch.id,
        partner=outcome.partner,
        kind=touch.kind,
        method=method,
        touch_at_ms=touch.occurred_at_ms,
        link=touch.link,
        campaign=touch.campaign,
        campaign_id=touch.campaign_id,
        adgroup=touch.adgroup,
        adgroup_id=touch.adgroup_id,
        creative=touch.creative,
        creative_id=touch.creative_id,
        site_id=touch.site_id,
        sub_site_id=touch.sub_site_id,
        partner_click_id=touch.partner_click_id,
    )
