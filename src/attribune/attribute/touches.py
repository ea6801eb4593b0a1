"""Touches: filed so that they can be found, and shown as late where they could have won a decision already made."""

from __future__ import annotations

import msgspec

from attribune.attribute import say
from attribune.attribute.cascade import revise
from attribune.attribute.decide import Case, Found, decide
from attribune.attribute.features import platform_os
from attribune.attribute.installation import judge
from attribune.attribute.keys import (
    address_key,
    click_key,
    id_key,
    is_hashed,
    network,
    touch_id_keys,
)
from attribune.attribute.state import DeviceState, Standing, installation
from attribune.attribute.turn import Turn
from attribune.model.ids import DeviceId, RecordId
from attribune.model.outcome import Attribution, LateTouch, LossReason
from attribune.model.policy import MatchMethod, Policy
from attribune.model.refusal import RefusalReason
from attribune.model.touch import Touch, TouchRecord


def touch_(turn: Turn, record: TouchRecord, payload: bytes) -> None:
    """File a touch by its id, its device identifiers, its address and the partner's name of it."""
    touch = turn.as_touch(record, turn.position)
    if touch is None:
        say.refuse_touch(turn, record, RefusalReason.UNKNOWN_LINK)
        return
    if touch.record_id and _is_repeated(turn, touch, touch.record_id):
        say.refuse_touch(turn, touch, RefusalReason.REPEATED_RECORD)
        return
    desk, position = turn.desk, turn.position
    desk.put_touch(touch.id, position, payload)
    keys = touch_id_keys(touch.product, touch.ids)
    if net := network(touch.ip):
        keys.append(address_key(touch.product, net, platform_os(touch)))
    if touch.partner_click_id:
        keys.append(click_key(touch.product, touch.partner_click_id))
    desk.put_touch_keys(keys, touch.id, position, touch.received_at_ms)
    if is_hashed(touch.ids) and not desk.has_hashed(touch.product):
        desk.set_has_hashed(touch.product)
    own = max(touch.click_lookback_ms or 0, touch.view_lookback_ms or 0)
    if own and own > desk.longest_own_ms(touch.product):
        desk.set_longest_own_ms(touch.product, own)
    if touch.record_id and touch.ids:
        _show_late(turn, touch)


def _is_repeated(turn: Turn, touch: Touch, record: RecordId) -> bool:
    since = turn.now_ms - turn.limits.record_memory_ms
    if turn.desk.record(touch.product, record, since, turn.now_ms) is not None:
        return True
    turn.desk.put_record(touch.product, record, turn.position, turn.now_ms)
    return False


def _show_late(turn: Turn, touch: Touch) -> None:
    """Show a touch, told after the fact, at each conversion of its device that it could have won.

    Only its plain identifiers lead to devices: who was seen with a hashed one cannot be looked up. Of who may not be measured
    nothing is decided or shown anew.
    """
    devices: set[DeviceId] = set()
    for kind, value in touch.ids.items():
        devices |= {d for d, _ in turn.desk.people(id_key(touch.product, kind, value))}
    for device in sorted(devices):
        state = turn.desk.device(touch.product, device)
        standing = installation(state) if state else None
        if state and standing and state.measurement:
            _late_for(turn, state, standing, touch)


def _late_for(turn: Turn, state: DeviceState, standing: Standing, touch: Touch) -> None:
    owner = turn.desk.conversion(standing.conversion)
    assert owner is not None, "what stands was decided"
    _, policy = turn.directory.policy(state.product, standing.as_of)
    found = Found(touch=touch, method=MatchMethod.DEVICE_ID, position=turn.position)
    alone = Case(at_ms=standing.at_ms, platform=state.platform.value, policy=policy)
    decision = decide(alone, [found])
    if decision.credit is None:
        return
    late = msgspec.structs.replace(decision.candidates[0], lost_because=LossReason.LATE)
    turn.say(
        LateTouch(
            product=state.product,
            position=turn.position,
            about=turn.position,
            judged_at_ms=turn.now_ms,
            conversion=standing.conversion,
            device=state.device,
            candidate=late,
        )
    )
    if turn.now_ms - standing.judged_at_ms < policy.reconsider_ms and not standing.is_pinned:
        _reconsider(turn, state, standing, owner.newest, policy)


def _reconsider(
    turn: Turn, state: DeviceState, standing: Standing, outcome: Attribution, policy: Policy
) -> None:
    """Decide again with the late touch, since the policy still allows it."""
    assert policy.reconsider_ms > 0, "asked for only where the policy reconsiders"
    verdict = judge(turn, state, until=turn.position + 1)
    if verdict.credit == standing.credit and verdict.kind is standing.kind:
        return
    new = msgspec.structs.replace(
        standing,
        kind=verdict.kind,
        source=verdict.source,
        credit=verdict.credit,
        revision=standing.revision + 1,
    )
    revise(
        turn,
        state,
        outcome,
        new,
        say.cause(turn, "late_touch"),
        candidates=verdict.decision.candidates,
        not_listed=verdict.decision.not_listed,
        before=verdict.before,
    )
