"""Foreign conversions: what another measurement partner decided, credited to a partner of ours and to nothing else.

It stands beside our own decisions: no device, installation, window or answer knows of it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from msgspec.structs import replace

from attribune.attribute import say
from attribune.attribute.keys import click_key, id_key
from attribune.attribute.turn import Turn
from attribune.model.activity import ForeignConversion, ForeignKind, ForeignSource, Vendor
from attribune.model.ids import DeviceId, PartnerId, Position, RecordId, TouchId, time_of
from attribune.model.outcome import CreditedBy, ForeignCredited
from attribune.model.refusal import RefusalReason
from attribune.model.touch import Touch

#: Under what a foreign conversion's id is remembered. It is remembered for ever, unlike other records' ids: a file of last year
#: may be read again at any time.
_REMEMBERED: Final = "\x00foreign"
#: Touches with one click id that are looked at; impact.com's stand for several clicks of a journey.
_SAME_CLICK_MAX: Final = 16
#: AppsFlyer's mark of an integrated partner behind its name.
_INTEGRATED: Final = "_int"
_NO_SLUG: Final = re.compile(r"[^a-z0-9]+")


class Found(NamedTuple):
    """The partner that is meant, by what, and the touch when it was one."""

    partner: PartnerId
    by: CreditedBy
    touch: Touch | None = None


def judge(turn: Turn, record: ForeignConversion) -> None:
    """Credit a foreign conversion to the partner it means, unless it was told before or its person refused."""
    first = turn.desk.transaction(record.product, _REMEMBERED, record.id)
    if first is not None:
        reason = RefusalReason.REPEATED_RECORD
        say.refuse(turn, record, turn.position, reason, instead_of=record.id)
        return
    turn.desk.put_transaction(record.product, _REMEMBERED, record.id, record.id)
    stands = _same_transaction(turn, record)
    if stands is not None:
        if record.vendor is not Vendor.IMPACT:
            reason = RefusalReason.REPEATED_TRANSACTION
            say.refuse(turn, record, turn.position, reason, instead_of=stands)
            return
        record = replace(record, kind=ForeignKind.UPDATE)  # an action is told again as it changes
    found = credited(turn, record)
    device = _device(turn, record, found.touch.id if found and found.touch else None)
    state = turn.desk.device(record.product, device) if device else None
    if state is not None and not state.measurement:
        say.refuse(turn, record, turn.position, RefusalReason.NO_CONSENT)
        return
    turn.say(_outcome(turn, record, found, device))


def _same_transaction(turn: Turn, record: ForeignConversion) -> RecordId | None:
    """The record that told a vendor's event with this transaction first, when it was another one.

    Under another time or device it has another id, and is the same conversion all the same.
    """
    if record.kind is not ForeignKind.EVENT or not record.transaction_id or not record.name:
        return None
    kind = f"{_REMEMBERED}|{record.vendor}|{record.is_primary}|{record.name}"
    first = turn.desk.transaction(record.product, kind, record.transaction_id)
    if first is None:
        turn.desk.put_transaction(record.product, kind, record.transaction_id, record.id)
    return first


def credited(turn: Turn, record: ForeignConversion) -> Found | None:
    """The partner who brought it by the vendor's word: by our touch, by its click id, by a map, by its name; else nobody.

    What the vendor calls organic is nobody's. What it may not name can still be known by a click id.
    """
    if record.source is ForeignSource.ORGANIC:
        return None
    touch = _by_touch(turn, record)
    if touch is not None:
        return Found(touch.partner, CreditedBy.TOUCH, touch)
    touch = _by_click(turn, record)
    if touch is not None:
        return Found(touch.partner, CreditedBy.CLICK_ID, touch)
    if record.mapped_partner is not None:
        return Found(record.mapped_partner, CreditedBy.MAP)
    partner = partner_named(turn, record.network)
    return Found(partner, CreditedBy.NAME) if partner else None


def _by_touch(turn: Turn, record: ForeignConversion) -> Touch | None:
    """The touch of ours that it carries, under its own name or as the click id that our link handed on."""
    for said in (record.touch_id, record.partner_click_id):
        name = TouchId(said.lower()) if said else None
        if name is None or time_of(name) is None:
            continue
        filed = turn.touch(name)
        if filed is not None and filed[1].product == record.product:
            return filed[1]
    return None


def _by_click(turn: Turn, record: ForeignConversion) -> Touch | None:
    """The newest touch that came with its click id; none where several partners' did and no network tells them apart."""
    if not record.partner_click_id:
        return None
    key = click_key(record.product, record.partner_click_id)
    since_ms = turn.now_ms - turn.limits.touch_memory_ms
    filed = (
        turn.touch(name)
        for name in turn.desk.touches_by(key, since_ms, turn.now_ms, _SAME_CLICK_MAX)
    )
    found = [one[1] for one in filed if one is not None]
    meant = record.mapped_partner or partner_named(turn, record.network)
    fitting = [touch for touch in found if touch.partner == meant] or found
    return fitting[0] if len({touch.partner for touch in fitting}) == 1 else None


def partner_named(turn: Turn, network: str | None) -> PartnerId | None:
    """The partner whose id or name a network bears, as far as the id reads like the name."""
    if not network:
        return None
    plain = network.strip().lower()
    for word in (network, plain, plain.removesuffix(_INTEGRATED)):
        for name in (word, readable(word)):
            found = turn.directory.partner(PartnerId(name), turn.position) if name else None
            if found is not None:
                return found.id
    return None


def readable(name: str) -> str:
    """A partner's name as its id reads."""
    return _NO_SLUG.sub("-", name.lower()).strip("-")


def _device(turn: Turn, record: ForeignConversion, touch: TouchId | None) -> DeviceId | None:
    """The device of ours that it is about, when an id, the touch or the user leads to one we have seen."""
    for kind in sorted(record.ids):
        people = turn.desk.people(id_key(record.product, kind, record.ids[kind]))
        if people:
            return max(people, key=lambda one: (one[1].last_ms, one[0]))[0]
    won = turn.desk.won_by(touch) if touch else ()
    owners = (turn.desk.conversion(conversion) for conversion in won)
    brought = next((owner.device for owner in owners if owner), None)
    if brought is not None:
        return brought
    return turn.desk.user_device(record.product, record.user_id) if record.user_id else None


def _outcome(
    turn: Turn, record: ForeignConversion, found: Found | None, device: DeviceId | None
) -> ForeignCredited:
    touch = found.touch.id if found and found.touch else None
    words = {*record.ids.values(), record.vendor_device_id, record.partner_click_id}
    words |= {record.touch_id, record.user_id, record.transaction_id, touch}
    about: Position = turn.position
    return ForeignCredited(
        product=record.product,
        position=turn.position,
        about=about,
        judged_at_ms=turn.now_ms,
        app=record.app,
        platform=say.platform_of(turn, record.app),
        record=record.id,
        vendor=record.vendor,
        kind=record.kind,
        source=record.source,
        at_ms=record.occurred_at_ms,
        partner=found.partner if found else None,
        credited_by=found.by if found else None,
        touch=touch,
        device=device,
        vendor_device_id=record.vendor_device_id,
        user_id=record.user_id,
        name=record.name,
        revenue=record.revenue,
        transaction_id=record.transaction_id,
        network=record.network,
        campaign=record.campaign,
        campaign_id=record.campaign_id,
        adgroup=record.adgroup,
        creative=record.creative,
        site_id=record.site_id,
        sub_site_id=record.sub_site_id,
        touch_kind=record.touch_kind,
        touch_at_ms=record.touch_at_ms,
        installed_at_ms=record.installed_at_ms,
        method_said=record.method_said,
        method=record.method,
        partner_click_id=record.partner_click_id,
        country=record.country or (turn.enricher.country(record.ip) if record.ip else None),
        os_version=record.os_version,
        app_version=record.app_version,
        rejected_because=record.rejected_because,
        is_primary=record.is_primary,
        handles=tuple(sorted(word for word in words if word)),
    )
