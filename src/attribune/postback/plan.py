"""The plan: what an outcome gives to tell, whom, and with which values. Pure.

Only primary credit is told of: a secondary one (the install's source during a re-engagement) earns nothing. A correction takes back what the
partner before was told and tells the new one; one that stays with its partner is an update.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from attribune.model.activity import Event, ForeignConversion, Open
from attribune.model.delivery import TAKING_BACK, Trigger
from attribune.model.ids import PartnerId, TouchId
from attribune.model.money import Money
from attribune.model.outcome import (
    UNDOING,
    Attribution,
    ConversionKind,
    Credit,
    CreditedEvent,
    Source,
)
from attribune.model.touch import Touch
from attribune.postback.functions import Value
from attribune.postback.macros import is_member
from attribune.postback.parts import Taken

_TRIGGERS: Final = {
    ConversionKind.INSTALL: Trigger.INSTALL,
    ConversionKind.REINSTALL: Trigger.REINSTALL,
    ConversionKind.REATTRIBUTION: Trigger.REATTRIBUTION,
    ConversionKind.REENGAGEMENT: Trigger.REENGAGEMENT,
}
_INSTALLS: Final = (ConversionKind.INSTALL, ConversionKind.REINSTALL)
#: Identifiers of a device that have a macro of their own.
_IDS: Final = ("gaid", "idfa", "idfv", "android_id", "oaid", "app_set_id")


class Looked(NamedTuple):
    """What an outcome does not carry itself."""

    #: The open, event or foreign conversion that the outcome is about; None when it has been pruned.
    record: Open | Event | ForeignConversion | None = None
    #: The touches that are credited, or were before, by id.
    touches: Mapping[TouchId, Touch] = MappingProxyType({})
    store_id: str | None = None
    #: When the conversion happened that an event belongs to. Milliseconds, UTC.
    conversion_at_ms: int | None = None
    #: Of an event that undoes another (a refund, a chargeback), and only of one: the event that it undoes.
    undone: CreditedEvent | None = None
    #: Of what takes back an event with revenue: how much of it.
    taken: Taken | None = None


class Deed(NamedTuple):
    """Whose an outcome is, and as what it is told. Nobody's is told only to who hears of everything."""

    credit: Credit | None
    trigger: Trigger


class Telling(NamedTuple):
    """One thing to tell one partner."""

    #: Who is credited; None of what is nobody's.
    partner: PartnerId | None
    trigger: Trigger
    #: What it is about: the conversion, or the event's record. With the revision and the trigger the same for ever.
    outcome_id: str
    revision: int
    #: By the macros' names.
    values: dict[str, Value | None]


def tellings(outcome: Attribution | CreditedEvent, looked: Looked) -> list[Telling]:
    """What is to be told of an outcome; nothing when nobody is or was credited."""
    return [telling(outcome, deed, looked) for deed in deeds(outcome, looked.undone, looked.taken)]


def telling(outcome: Attribution | CreditedEvent, deed: Deed, looked: Looked) -> Telling:
    """One of an outcome's deeds, with the words for it."""
    return Telling(
        partner=deed.credit.partner if deed.credit else None,
        trigger=deed.trigger,
        outcome_id=outcome_id(outcome),
        revision=outcome.revision,
        values=_values(outcome, deed, looked),
    )


def outcome_id(outcome: Attribution | CreditedEvent) -> str:
    """What a telling is about: the conversion, or the event's record."""
    return outcome.conversion if isinstance(outcome, Attribution) else outcome.record


def takes_back(outcome: Attribution | CreditedEvent, other: Attribution | CreditedEvent) -> bool:
    """Whether an outcome undoes another of its transaction; one that an app key told undoes only what its own device did."""
    if not isinstance(outcome, CreditedEvent) or outcome.name not in UNDOING:
        return False
    return not outcome.by_app or outcome.device == other.device


def deeds(
    outcome: Attribution | CreditedEvent,
    undone: Attribution | CreditedEvent | None,
    taken: Taken | None = None,
) -> Iterator[Deed]:
    """Who hears of an outcome, and as what.

    ``undone`` is the event that it takes back, if it does and that is known, and ``taken`` how much of it.
    """
    credit, previous = outcome.credit, outcome.previous
    is_same = credit is not None and previous is not None and credit.partner == previous.partner
    if undone is not None:
        # Who loses the event that it undoes hears of that, and needs no more.
        if undone.credit is not None and not is_same:
            yield Deed(undone.credit, _taking_back(taken))
        return
    if previous is not None and not is_same:
        yield Deed(previous, Trigger.REVERSAL)
    if credit is None:
        return
    if is_same and not _is_other_kind(outcome):
        yield Deed(credit, Trigger.ATTRIBUTION_UPDATE)
    else:
        if is_same and previous is not None:
            yield Deed(previous, Trigger.REVERSAL)
        yield Deed(credit, _trigger(outcome))


def deed_for_all(
    outcome: Attribution | CreditedEvent, taken: Taken | None = None, *, is_undoing: bool
) -> Deed:
    """As what an outcome is told to who hears of everything: each revision once, whoever is credited."""
    if is_undoing:
        return Deed(outcome.credit, _taking_back(taken))
    if outcome.revision > 1:
        return Deed(outcome.credit, Trigger.ATTRIBUTION_UPDATE)
    return Deed(outcome.credit, _trigger(outcome))


def _taking_back(taken: Taken | None) -> Trigger:
    return Trigger.PARTIAL_REVERSAL if taken is not None and taken.is_part else Trigger.REVERSAL


def _is_other_kind(outcome: Attribution | CreditedEvent) -> bool:
    """Whether a correction made a conversion one of another kind, such as an install a reinstall."""
    return isinstance(outcome, Attribution) and outcome.previous_kind not in {None, outcome.kind}


def first_trigger(outcome: Attribution | CreditedEvent) -> Trigger:
    """As what an outcome is told the first time; of a later revision, as what the one before it was."""
    if isinstance(outcome, Attribution):
        return _TRIGGERS[outcome.previous_kind or outcome.kind]
    return Trigger.EVENT


def _trigger(outcome: Attribution | CreditedEvent) -> Trigger:
    if not isinstance(outcome, Attribution):
        return Trigger.EVENT
    if outcome.revision == 1 and _is_rejected(outcome):
        return Trigger.REJECTED_INSTALL  # a vendor's: none of ours is refused at first
    return _TRIGGERS[outcome.kind]


def _is_rejected(outcome: Attribution) -> bool:
    return outcome.cause is not None and outcome.cause.is_rejected


def as_rejected(deed: Deed, outcome: Attribution | CreditedEvent) -> Deed | None:
    """A reversal as who wants to hear of refused installs hears of it; None when it is none of a refused install."""
    if not isinstance(outcome, Attribution) or deed.trigger is not Trigger.REVERSAL:
        return None
    is_install = (outcome.previous_kind or outcome.kind) in _INSTALLS
    return (
        deed._replace(trigger=Trigger.REJECTED_INSTALL)
        if is_install and _is_rejected(outcome)
        else None
    )


def _values(
    outcome: Attribution | CreditedEvent, deed: Deed, looked: Looked
) -> dict[str, Value | None]:
    credit = deed.credit
    values: dict[str, Value | None] = {
        "trigger": deed.trigger,
        "revision": outcome.revision,
        "source": Source.ATTRIBUTED if credit else outcome.source,
        "product": outcome.product,
        "app": outcome.app,
        "store_id": looked.store_id,
        "platform": outcome.platform,
        "record_id": outcome.record,
        "conversion_id": outcome.conversion,
        "country": outcome.country,
        "os_version": outcome.os_version,
        "app_version": outcome.app_version,
        "device_id": outcome.device,
        "user_id": outcome.user_id,
        "at": outcome.at_ms,
        "reason": outcome.cause.reason or outcome.cause.kind if outcome.cause else None,
    }
    values |= _of_kind(outcome, looked)
    if looked.taken is not None and deed.trigger in TAKING_BACK:
        assert isinstance(outcome, CreditedEvent), "only events have revenue"
        values |= _of_taken(looked.taken, looked.undone or outcome, outcome.revenue)
    if looked.record is not None:
        values |= _of_record(looked.record)
    if credit is None:
        return values
    values |= _of_credit(credit)
    touch = looked.touches.get(credit.touch)
    if touch is not None:
        values |= _named("extra", touch.extra)
    return values


def _of_kind(outcome: Attribution | CreditedEvent, looked: Looked) -> dict[str, Value | None]:
    if isinstance(outcome, Attribution):
        return {"kind": outcome.kind, "conversion_at": outcome.at_ms}
    money = outcome.revenue
    undone = looked.undone
    values: dict[str, Value | None] = {
        "kind": "event",
        "event": outcome.name,
        "transaction_id": outcome.transaction_id,
        "revenue": str(money) if money else None,
        "revenue_minor": money.amount_minor if money else None,
        "currency": money.currency if money else None,
        "conversion_at": looked.conversion_at_ms,
    }
    if undone is not None:
        # The partner is told by the words that it knows it by.
        values |= {"event": undone.name, "record_id": undone.record, "reason": outcome.name}
    return values


def _of_taken(taken: Taken, event: CreditedEvent, said: Money | None) -> dict[str, Value | None]:
    """How much of an event is taken back and left, in its currency."""
    assert event.revenue is not None, "a part is one of something"
    currency = event.revenue.currency
    values: dict[str, Value | None] = {"currency": said.currency if said else currency}
    amounts = {"revenue_undone": taken.undone_minor, "revenue_left": taken.left_minor}
    for name, minor in amounts.items():
        if minor is not None:
            values[name] = str(Money(amount_minor=minor, currency=currency))
            values[f"{name}_minor"] = minor
    return values


def _of_credit(credit: Credit) -> dict[str, Value | None]:
    return {
        "partner": credit.partner,
        "touch_id": credit.touch,
        "touch_kind": credit.kind,
        "touch_at": credit.touch_at_ms,
        "method": credit.method,
        "link": credit.link,
        "campaign": credit.campaign,
        "campaign_id": credit.campaign_id,
        "adgroup": credit.adgroup,
        "adgroup_id": credit.adgroup_id,
        "creative": credit.creative,
        "creative_id": credit.creative_id,
        "site_id": credit.site_id,
        "sub_site_id": credit.sub_site_id,
        "partner_click_id": credit.partner_click_id,
    }


def _of_record(record: Open | Event | ForeignConversion) -> dict[str, Value | None]:
    values: dict[str, Value | None] = {"ip": record.ip, "user_agent": record.user_agent}
    device = record.device
    if device is not None:
        values |= {"model": device.model, "language": device.locale}
        values |= {name: device.ids.get(name) for name in _IDS}
    if isinstance(record, ForeignConversion):
        values |= {name: record.ids.get(name) for name in _IDS}
    if isinstance(record, Event):
        values |= _named("param", {name: _plain(text) for name, text in record.params.items()})
    return values


def _named(family: str, words: dict[str, str]) -> dict[str, Value | None]:
    """Values of a family; a name that no template could write is left out."""
    return {f"{family}.{name}": text for name, text in words.items() if is_member(name)}


def _plain(text: str) -> str:
    """A parameter, which is kept as JSON text, as a partner wants to read it."""
    value = msgspec.json.decode(text)
    return value if isinstance(value, str) else text
