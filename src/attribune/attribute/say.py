"""Putting decisions into outcomes, with the words of the record they are about."""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec.structs import replace

from attribune.attribute import orders
from attribune.attribute.decide import Decision
from attribune.attribute.state import DeviceState, Standing
from attribune.attribute.turn import Turn
from attribune.model.activity import Activity, Consent, Event, Open, Platform, Sender
from attribune.model.control import Correct
from attribune.model.ids import AppId, DeviceId, Position, ProductId, RecordId
from attribune.model.outcome import (
    UNDOING,
    Attribution,
    Cause,
    Credit,
    CreditedEvent,
    CreditedOpen,
    Held,
    Noted,
    RefusedRecord,
    Source,
)
from attribune.model.refusal import RefusalReason
from attribune.model.touch import Touch, TouchRecord

_QUANTITY: Final = re.compile(r"\d{1,12}(?:\.\d{1,6})?\Z", re.ASCII)


def record_type(record: Activity) -> str:
    """The word of the wire for a record's type."""
    return str(type(record).__struct_config__.tag)


def of_device(turn: Turn, record: Activity, about: Position) -> dict[str, Any]:
    """What every outcome about a device's record carries."""
    device = record.device
    return {
        "product": record.product,
        "position": turn.position,
        "about": about,
        "judged_at_ms": turn.now_ms,
        "app": record.app,
        "platform": device.platform if device else platform_of(turn, record.app),
        "device": device.id if device else None,
        "record": record.id,
        "at_ms": record.occurred_at_ms,
        "country": turn.enricher.country(record.ip) if record.ip else None,
        "os_version": device.os_version if device else None,
        "app_version": record.app_version,
        "user_id": record.user_id,
    }


def platform_of(turn: Turn, name: AppId) -> Platform:
    """The platform of an app, for what names no device."""
    app = turn.directory.app(name, turn.position)
    return app.platform if app else Platform.OTHER


def handles(record: Activity, *more: str | None) -> tuple[str, ...]:
    """What a person could ask for this outcome by, beside its own ids."""
    ids = record.device.ids.values() if record.device else ()
    words = {*ids, *more, record.user_id}
    return tuple(sorted(word for word in words if word))


def note(turn: Turn, record: Activity, about: Position) -> None:
    """Say that a record was taken note of."""
    turn.say(_noted(turn, record, about))


def note_consent(
    turn: Turn, record: Consent, about: Position, *, shares: bool, partners: dict[str, bool]
) -> None:
    """Say what a person allows from here on: whether partners may be told, and which choices about single ones are new."""
    turn.say(replace(_noted(turn, record, about), shares=shares, partners=partners))


def _noted(turn: Turn, record: Activity, about: Position) -> Noted:
    return Noted(
        product=record.product,
        position=turn.position,
        about=about,
        judged_at_ms=turn.now_ms,
        record=record.id,
        record_type=record_type(record),
        device=record.device.id if record.device else None,
        app=record.app,
        at_ms=record.occurred_at_ms,
    )


def refuse(
    turn: Turn,
    record: Activity,
    about: Position,
    reason: RefusalReason,
    *,
    instead_of: RecordId | None = None,
    claimant: Credit | None = None,
) -> None:
    """Say that an accepted record is not used, and why."""
    turn.say(
        RefusedRecord(
            product=record.product,
            position=turn.position,
            about=about,
            judged_at_ms=turn.now_ms,
            record=record.id,
            record_type=record_type(record),
            reason=reason,
            instead_of=instead_of,
            claimant=claimant.partner if claimant else None,
            app=record.app,
            device=_refused_device(turn, record, reason),
            at_ms=record.occurred_at_ms,
        )
    )


def _refused_device(turn: Turn, record: Activity, reason: RefusalReason) -> DeviceId | None:
    """The device that a refusal names; of an event by an order the one that placed it, so that it goes with its person."""
    if record.device:
        return record.device.id
    if reason is RefusalReason.FORGOTTEN or not isinstance(record, Event):
        return None
    return orders.placing_device(turn, record)


def refuse_touch(turn: Turn, touch: TouchRecord, reason: RefusalReason) -> None:
    """Say that a touch is not used, and why. A hit's product stands on its link, which may be what is at fault."""
    if isinstance(touch, Touch):
        product, at_ms, record = touch.product, touch.occurred_at_ms, touch.record_id or touch.id
    else:
        product, at_ms, record = ProductId(""), touch.received_at_ms, touch.id
    _refuse(turn, product, record, reason, record_type="touch", at_ms=at_ms)


def refuse_correction(turn: Turn, correction: Correct, reason: RefusalReason) -> None:
    """Say that a person's word changes nothing, and why."""
    product = correction.product
    _refuse(turn, product, correction.id, reason, record_type="correct", at_ms=turn.now_ms)


def _refuse(
    turn: Turn, product: ProductId, record: str, reason: RefusalReason, **words: Any
) -> None:
    """A refusal of the turn's own entry, when that is no activity."""
    turn.say(
        RefusedRecord(
            product=product,
            position=turn.position,
            about=turn.position,
            judged_at_ms=turn.now_ms,
            record=RecordId(record),
            reason=reason,
            **words,
        )
    )


def held(turn: Turn, record: Event, about: Position, until_ms: int) -> Held:
    """An event that begins to wait for its device's first open."""
    return Held(
        product=record.product,
        position=turn.position,
        about=about,
        judged_at_ms=turn.now_ms,
        record=record.id,
        app=record.app,
        device=record.device.id if record.device else None,
        at_ms=record.occurred_at_ms,
        until_ms=until_ms,
        handles=handles(record, record.transaction_id),
    )


def credited_open(
    turn: Turn, record: Open, about: Position, standing: Standing | None
) -> CreditedOpen:
    """An open that was no conversion."""
    return CreditedOpen(
        **of_device(turn, record, about),
        handles=handles(record),
        source=standing.source if standing else Source.UNKNOWN,
        conversion=standing.conversion if standing else None,
        credit=standing.credit if standing else None,
    )


def credited_event(
    turn: Turn,
    record: Event,
    about: Position,
    primary: Standing | None,
    secondary: Standing | None,
) -> CreditedEvent:
    """An event with the source that was in force when it happened."""
    return CreditedEvent(
        **of_device(turn, record, about),
        handles=handles(record, record.transaction_id, record.touch_id),
        name=record.name,
        revenue=record.revenue,
        quantity=_quantity(record),
        transaction_id=record.transaction_id,
        source=primary.source if primary else Source.UNKNOWN,
        conversion=primary.conversion if primary else None,
        credit=primary.credit if primary else None,
        secondary=secondary.credit if secondary else None,
        secondary_conversion=secondary.conversion if secondary else None,
        by_app=record.sender is Sender.APP
        and record.transaction_id is not None
        and record.name in UNDOING,
    )


def _quantity(record: Event) -> str | None:
    """How many units an event says it was, when it says so in figures; parameters are kept as JSON text."""
    text = record.params.get("quantity", "").strip('"')
    return text if _QUANTITY.match(text) else None


def attribution(
    turn: Turn,
    about: Position,
    state: DeviceState,
    standing: Standing,
    decision: Decision,
    words: dict[str, Any],
    **more: Any,
) -> Attribution:
    """The decision about a conversion. ``words`` are those of the record that made it (``of_device``)."""
    credit = standing.credit
    candidates = [str(candidate.touch) for candidate in decision.candidates]
    ids = [value for _, value in state.dossier.ids]
    own = [credit.touch, credit.partner_click_id] if credit else []
    known = {*words.pop("handles", ()), *candidates, *ids, *own, words.get("user_id")}
    words |= {"about": about, "at_ms": standing.at_ms}
    return Attribution(
        **words,
        handles=tuple(sorted(word for word in known if word)),
        conversion=standing.conversion,
        revision=standing.revision,
        kind=standing.kind,
        source=standing.source,
        credit=credit,
        candidates=decision.candidates,
        not_listed=decision.not_listed,
        enrichment=turn.enricher.version(),
        as_of=standing.as_of,
        **more,
    )


def cause(turn: Turn, kind: str, reason: str | None = None, by: str | None = None) -> Cause:
    """Why something is revised in this turn."""
    return Cause(kind=kind, position=turn.position, reason=reason, by=by)
