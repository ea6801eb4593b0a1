"""Which fact rows an entry of the journal gives. Pure: the same entry gives the same rows, today and at a rebuild.

* a touch gives a click or an impression; when it is refused behind the journal, that row is taken out again;
* an open and an event give one row each, and an event during a re-engagement a second, secondary one;
* a conversion gives its row, and another for the open that made it;
* a correction gives the row it takes away, with ``sign`` -1, and the row that stands now, with +1;
* what another measurement partner told gives a row of its own kind, which no sum of our own counts;
* a refusal gives a row with its reason; what was only taken note of a row that no metric counts.

The time zone of a row's days is the product's as of the record it is about, so all revisions of an outcome have the same
days of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from attribune.model.activity import ForeignKind
from attribune.model.calendar import Calendar
from attribune.model.calendar import calendar as calendar_of
from attribune.model.codec import Record
from attribune.model.control import Link
from attribune.model.fact import Fact, FactKind
from attribune.model.ids import AppId, Position, ProductId
from attribune.model.money import Money
from attribune.model.outcome import (
    Attribution,
    ConversionKind,
    Credit,
    CreditedEvent,
    CreditedOpen,
    ForeignCredited,
    Held,
    LateTouch,
    Noted,
    RefusedRecord,
    Source,
)
from attribune.model.refusal import Refusal
from attribune.model.touch import LinkHit, Touch, TouchKind
from attribune.ports import Directory
from attribune.record import days, handles

#: Reads a hit under its link, or whatever else the door's room says a hit means.
ReadTouch: TypeAlias = Callable[[LinkHit, Link], Touch]

_TOUCH_KINDS: Final = {
    TouchKind.CLICK: FactKind.CLICK,
    TouchKind.IMPRESSION: FactKind.IMPRESSION,
}
_CONVERSION_KINDS: Final = {kind: FactKind(kind.value) for kind in ConversionKind}


_FOREIGN_KINDS: Final = {
    ForeignKind.INSTALL: FactKind.FOREIGN_INSTALL,
    ForeignKind.EVENT: FactKind.FOREIGN_EVENT,
}


class Lookups(NamedTuple):
    """What the rows need to know beside the entry itself."""

    #: Who is registered, as of any place that is asked about.
    directory: Directory
    read_touch: ReadTouch
    #: The touch journaled at a place; None when it has been pruned.
    touch_at: Callable[[Position], LinkHit | Touch | None]
    #: When the activity journaled at a place happened, in milliseconds, UTC; None when it has been pruned.
    happened_at_ms: Callable[[Position], int | None]
    #: ISO 3166 code of an address's country.
    country: Callable[[str], str | None]
    day_closes_after_hours: int


def facts_of(position: Position, record: Record, lookups: Lookups) -> list[Fact]:
    """The rows that an entry gives, numbered by ``ordinal``; none for what is not counted (control, activity)."""
    write = _WRITERS.get(type(record))
    if write is None:
        return []
    rows: list[dict[str, Any]] = write(position, record, lookups)
    return [Fact(position=position, ordinal=n, **row) for n, row in enumerate(rows)]


def closes_at_ms(fact: Fact, lookups: Lookups) -> int:
    """When the day that a row is booked on closes. Milliseconds, UTC."""
    calendar = _calendar(fact.product, fact.about, lookups)
    return days.closes_at_ms(calendar, fact.day, lookups.day_closes_after_hours)


# --- rows are words of ``Fact`` by name until they are numbered


def _touch(position: Position, record: LinkHit | Touch, lookups: Lookups) -> list[dict[str, Any]]:
    return [_touch_row(position, record, record.received_at_ms, lookups)]


def _touch_row(
    about: Position, record: LinkHit | Touch, judged_at_ms: int, lookups: Lookups
) -> dict[str, Any]:
    if isinstance(record, LinkHit):
        link = lookups.directory.link(record.link, at=about)
        if link is None:
            return _unread_hit(about, record, judged_at_ms, lookups)
        touch = lookups.read_touch(record, link)
    else:
        touch = record
    row: dict[str, Any] = {
        "kind": _TOUCH_KINDS[touch.kind],
        "touch_kind": touch.kind.value,
        "partner": touch.partner,
        "link": touch.link,
        "campaign": touch.campaign,
        "campaign_id": touch.campaign_id,
        "adgroup": touch.adgroup,
        "creative": touch.creative,
        "site_id": touch.site_id,
        "sub_site_id": touch.sub_site_id,
        "os_version": touch.os_version,
        "country": lookups.country(touch.ip) if touch.ip else None,
        "touch": touch.id,
        "record": touch.record_id,
        "handles": handles.of_touch(touch),
    }
    if touch.cost is not None:
        row["cost_minor"] = touch.cost.amount_minor
        row["cost_currency"] = touch.cost.currency
    return row | _places(about, touch.product, touch.occurred_at_ms, judged_at_ms, lookups)


def _unread_hit(
    about: Position, hit: LinkHit, judged_at_ms: int, lookups: Lookups
) -> dict[str, Any]:
    """A hit whose link nobody knows any more (a journal pruned of its beginning): counted, for nobody."""
    row = {
        "kind": _TOUCH_KINDS[hit.kind],
        "touch_kind": hit.kind.value,
        "link": hit.link,
        "touch": hit.id,
        "handles": (handles.handle_hash(hit.id),),
    }
    return row | _places(about, "", hit.received_at_ms, judged_at_ms, lookups)


def _attribution(
    _position: Position, outcome: Attribution, lookups: Lookups
) -> list[dict[str, Any]]:
    now = _conversion_rows(outcome, outcome.kind, outcome.at_ms, lookups)
    now = [row | _credited(outcome.source, outcome.credit) for row in now]
    if outcome.revision == 1:
        return now
    kind, at_ms = outcome.previous_kind or outcome.kind, outcome.previous_at_ms
    then = _conversion_rows(outcome, kind, outcome.at_ms if at_ms is None else at_ms, lookups)
    return [_taken_away(row | _credited_before(outcome)) for row in then] + now


def _conversion_rows(
    outcome: Attribution, kind: ConversionKind, at_ms: int, lookups: Lookups
) -> list[dict[str, Any]]:
    """The conversion, and the open that made it when one did."""
    row = _device_row(outcome) | {
        "kind": _CONVERSION_KINDS[kind],
        "conversion": outcome.conversion,
        "handles": handles.of_attribution(outcome),
    }
    row |= _places(outcome.about, outcome.product, at_ms, outcome.judged_at_ms, lookups)
    if not outcome.by_open:
        return [row]
    opened = row | {"kind": FactKind.OPEN}
    if outcome.revision > 1:  # the conversion may have moved to an earlier open; this one has not
        own_ms = lookups.happened_at_ms(outcome.about)
        at_ms = at_ms if own_ms is None else own_ms
        opened |= _places(outcome.about, outcome.product, at_ms, outcome.judged_at_ms, lookups)
    return [row, opened]


def _open(_position: Position, outcome: CreditedOpen, lookups: Lookups) -> list[dict[str, Any]]:
    row = (
        _device_row(outcome)
        | {
            "kind": FactKind.OPEN,
            "conversion": outcome.conversion,
            "handles": handles.of_open(outcome),
        }
        | _outcome_places(outcome, lookups)
    )
    now = row | _credited(outcome.source, outcome.credit)
    if outcome.revision == 1:
        return [now]
    return [_taken_away(row | _credited_before(outcome)), now]


def _event(_position: Position, outcome: CreditedEvent, lookups: Lookups) -> list[dict[str, Any]]:
    row = (
        _device_row(outcome)
        | {
            "kind": FactKind.EVENT,
            "event": outcome.name,
            "conversion": outcome.conversion,
            "handles": handles.of_event(outcome),
        }
        | _revenue(outcome.revenue)
        | _outcome_places(outcome, lookups)
    )
    rows = []
    if outcome.revision > 1:
        rows.append(_taken_away(row | _credited_before(outcome)))
        if outcome.previous_secondary:
            rows.append(_taken_away(row | _secondary(outcome.previous_secondary)))
    rows.append(row | _credited(outcome.source, outcome.credit))
    if outcome.secondary:
        rows.append(row | _secondary(outcome.secondary))
    return rows


def _foreign(
    _position: Position, outcome: ForeignCredited, lookups: Lookups
) -> list[dict[str, Any]]:
    row = {
        "kind": _FOREIGN_KINDS.get(outcome.kind, FactKind.FOREIGN_OTHER),
        "vendor": outcome.vendor.value,
        "app": outcome.app,
        "platform": outcome.platform.value,
        "source": outcome.source.value,
        "partner": outcome.partner,
        "campaign": outcome.campaign,
        "campaign_id": outcome.campaign_id,
        "adgroup": outcome.adgroup,
        "creative": outcome.creative,
        "site_id": outcome.site_id,
        "sub_site_id": outcome.sub_site_id,
        "touch_kind": outcome.touch_kind.value if outcome.touch_kind else None,
        "method": outcome.method.value if outcome.method else None,
        "country": outcome.country,
        "os_version": outcome.os_version,
        "app_version": outcome.app_version,
        "event": outcome.name or outcome.kind.value,
        "is_primary": outcome.is_primary,
        "reason": outcome.rejected_because,
        "device": outcome.device,
        "touch": outcome.touch,
        "record": outcome.record,
        "handles": handles.of_foreign(outcome),
    }
    row |= _revenue(outcome.revenue)
    judged = outcome.judged_at_ms
    return [row | _places(outcome.about, outcome.product, outcome.at_ms, judged, lookups)]


def _refused(_position: Position, outcome: RefusedRecord, lookups: Lookups) -> list[dict[str, Any]]:
    refused = {
        "kind": FactKind.REFUSED,
        "reason": str(outcome.reason),
        "partner": outcome.claimant,
        "app": outcome.app or "",
        "platform": _platform(outcome.app, outcome.about, lookups),
        "device": outcome.device,
        "record": outcome.record,
        "handles": handles.of_refused(outcome),
    }
    at_ms = outcome.at_ms or outcome.judged_at_ms
    refused |= _places(outcome.about, outcome.product, at_ms, outcome.judged_at_ms, lookups)
    if outcome.record_type != "touch":
        return [refused]
    touch = lookups.touch_at(outcome.about)
    if touch is None:  # pruned, and its own row is not made again either
        return [refused]
    counted = _touch_row(outcome.about, touch, outcome.judged_at_ms, lookups)
    words = ("partner", "link", "campaign", "campaign_id", "touch")
    return [_taken_away(counted), refused | {word: counted.get(word) for word in words}]


def _noted(_position: Position, outcome: Noted, lookups: Lookups) -> list[dict[str, Any]]:
    at_ms = outcome.at_ms or outcome.judged_at_ms
    row = {
        "kind": FactKind.NOTE,
        "app": outcome.app or "",
        "platform": _platform(outcome.app, outcome.about, lookups),
        "device": None if outcome.forgets else outcome.device,
        "record": outcome.record,
        "handles": handles.of_noted(outcome),
    }
    return [row | _places(outcome.about, outcome.product, at_ms, outcome.judged_at_ms, lookups)]


def _held(_position: Position, outcome: Held, lookups: Lookups) -> list[dict[str, Any]]:
    row = {
        "kind": FactKind.NOTE,
        "app": outcome.app,
        "platform": _platform(outcome.app, outcome.about, lookups),
        "device": outcome.device,
        "record": outcome.record,
        "handles": handles.of_held(outcome),
    }
    judged = outcome.judged_at_ms
    return [row | _places(outcome.about, outcome.product, outcome.at_ms, judged, lookups)]


def _late_touch(_position: Position, outcome: LateTouch, lookups: Lookups) -> list[dict[str, Any]]:
    candidate = outcome.candidate
    row = {
        "kind": FactKind.NOTE,
        "partner": candidate.partner,
        "link": candidate.link,
        "campaign": candidate.campaign,
        "touch_kind": candidate.kind.value,
        "method": candidate.method.value,
        "device": outcome.device,
        "touch": candidate.touch,
        "conversion": outcome.conversion,
        "handles": handles.of_late_touch(outcome),
    }
    judged = outcome.judged_at_ms
    return [row | _places(outcome.about, outcome.product, candidate.touch_at_ms, judged, lookups)]


def _refusal(position: Position, refusal: Refusal, lookups: Lookups) -> list[dict[str, Any]]:
    link = lookups.directory.link(refusal.link, at=position) if refusal.link else None
    row = {
        "kind": FactKind.REFUSED,
        "reason": str(refusal.reason),
        "app": refusal.app or "",
        "platform": _platform(refusal.app, position, lookups),
        "link": refusal.link,
        "record": refusal.record_id,
        "handles": handles.of_refusal(refusal),
    }
    if link:
        row |= {
            "partner": link.partner,
            "campaign": link.campaign,
            "campaign_id": link.campaign_id,
        }
    product = refusal.product or (link.product if link else "")
    at_ms = refusal.received_at_ms
    return [row | _places(position, product, at_ms, at_ms, lookups)]


_WRITERS: Final[dict[type, Callable[..., list[dict[str, Any]]]]] = {
    LinkHit: _touch,
    Touch: _touch,
    Attribution: _attribution,
    CreditedOpen: _open,
    CreditedEvent: _event,
    ForeignCredited: _foreign,
    RefusedRecord: _refused,
    Noted: _noted,
    Held: _held,
    LateTouch: _late_touch,
    Refusal: _refusal,
}


# --- the parts that rows share


def _places(
    about: Position, product: ProductId | str, at_ms: int, judged_at_ms: int, lookups: Lookups
) -> dict[str, Any]:
    """Where a row stands in the journal and in time."""
    calendar = _calendar(product, about, lookups)
    closes_after = lookups.day_closes_after_hours
    return {
        "product": product,
        "about": about,
        "at_ms": at_ms,
        "received_at_ms": judged_at_ms,
        "own_day": calendar.day_of(at_ms),
        "day": days.booked_day(calendar, at_ms, judged_at_ms, closes_after),
    }


def _calendar(product: ProductId | str, about: Position, lookups: Lookups) -> Calendar:
    """The days of a product as of a place; those of UTC when nobody knows it."""
    found = lookups.directory.product(ProductId(product), at=about) if product else None
    return calendar_of(found.timezone if found else "UTC")


def _outcome_places(outcome: CreditedOpen | CreditedEvent, lookups: Lookups) -> dict[str, Any]:
    return _places(outcome.about, outcome.product, outcome.at_ms, outcome.judged_at_ms, lookups)


def _device_row(outcome: Attribution | CreditedOpen | CreditedEvent) -> dict[str, Any]:
    return {
        "app": outcome.app,
        "platform": outcome.platform.value,
        "country": outcome.country,
        "os_version": outcome.os_version,
        "app_version": outcome.app_version,
        "device": outcome.device,
        "record": outcome.record,
        "revision": outcome.revision,
    }


def _credited(source: Source, credit: Credit | None) -> dict[str, Any]:
    if credit is None:
        return {"source": source.value}
    return {
        "source": source.value,
        "partner": credit.partner,
        "link": credit.link,
        "campaign": credit.campaign,
        "campaign_id": credit.campaign_id,
        "adgroup": credit.adgroup,
        "creative": credit.creative,
        "site_id": credit.site_id,
        "sub_site_id": credit.sub_site_id,
        "touch_kind": credit.kind.value,
        "method": credit.method.value,
        "touch": credit.touch,
    }


def _credited_before(outcome: Attribution | CreditedOpen | CreditedEvent) -> dict[str, Any]:
    known = Source.ATTRIBUTED if outcome.previous else Source.ORGANIC
    return _credited(outcome.previous_source or known, outcome.previous)


def _secondary(credit: Credit) -> dict[str, Any]:
    return _credited(Source.ATTRIBUTED, credit) | {"is_primary": False}


def _taken_away(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"sign": -1}


def _revenue(revenue: Money | None) -> dict[str, Any]:
    if revenue is None:
        return {}
    return {"amount_minor": revenue.amount_minor, "currency": revenue.currency}


def _platform(app: AppId | None, at: Position, lookups: Lookups) -> str:
    found = lookups.directory.app(app, at=at) if app else None
    return found.platform.value if found else ""
