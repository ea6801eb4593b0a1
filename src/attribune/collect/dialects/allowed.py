"""What a person allows, as it stands beside an event: categories of consent, and the record that tells them. Pure.

Sources: Segment's and RudderStack's public pages on consent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from attribune.collect.fields import Fields
from attribune.collect.verdict import Judged, Kept
from attribune.model.activity import Consent, Event, Open
from attribune.model.control import Door
from attribune.model.ids import RecordId, derived
from attribune.model.position import Topic

#: What the categories mean that Segment's pages name; a door may map others.
CATEGORIES: Final = {
    "analytics": "measurement",
    "advertising": "sharing",
    "datasharing": "sharing",
}
#: What PostHog's and Mixpanel's libraries tell when a person opts in.
OPT_IN: Final = "$opt_in"


def choices_in(context: Fields, door: Door) -> dict[str, bool]:
    """Measurement and sharing, as far as a context's categories say; of several that mean one thing, one no is a no.

    The context stays as it is.
    """
    found: dict[str, bool] = {}
    for name, may in [*_preferences(context), *_lists(context)]:
        meaning = door.mapped("consent", name) or CATEGORIES.get(name.lower())
        if meaning is not None:
            found[meaning] = may and found.get(meaning, True)
    return found


def consent_with(kept: Kept, choices: dict[str, bool]) -> Kept | None:
    """The consent that a record of a device was told with; None where nothing was said."""
    record = kept.record
    if not choices or not isinstance(record, Open | Event) or record.device is None:
        return None
    consent = Consent(
        id=RecordId(derived("cns", record.product, record.id)),
        product=record.product,
        app=record.app,
        sender=record.sender,
        received_at_ms=record.received_at_ms,
        occurred_at_ms=record.occurred_at_ms,
        given_at_ms=record.given_at_ms,
        device=record.device,
        user_id=record.user_id,
        ip=record.ip,
        user_agent=record.user_agent,
        app_version=record.app_version,
        sdk=record.sdk,
        dialect=record.dialect,
        measurement=choices.get("measurement"),
        sharing=choices.get("sharing"),
    )
    return Kept(Topic.ACTIVITY, consent, is_beside=True)


def with_opt_ins(judged: Iterable[Judged]) -> Iterable[Judged]:
    """The same, with a consent before each event by which a library says that the person lets it measure again.

    That they do not is said by silence: the library sends nothing more.
    """
    for each in judged:
        verdict = each.verdict
        if isinstance(verdict, Kept) and getattr(verdict.record, "name", "") == OPT_IN:
            consent = consent_with(verdict, {"measurement": True})
            if consent is not None:
                yield Judged(consent, each.raw)
        yield each


def _preferences(context: Fields) -> Iterable[tuple[str, bool]]:
    """Segment's ``consent.categoryPreferences``."""
    said = _member(_said(context, "consent"), "categoryPreferences")
    found = said.items() if isinstance(said, dict) else ()
    return ((name, may) for name, may in found if isinstance(may, bool))


def _lists(context: Fields) -> Iterable[tuple[str, bool]]:
    """RudderStack's ``consentManagement``: the categories allowed, and those denied."""
    said = _said(context, "consentManagement")
    for name, may in (("allowedConsentIds", True), ("deniedConsentIds", False)):
        found = _member(said, name)
        for one in found if isinstance(found, list) else ():
            if isinstance(one, str):
                yield one, may


def _said(fields: Fields, name: str) -> Any:
    """A field's value; it stays unread."""
    value = fields.peek(name)
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
