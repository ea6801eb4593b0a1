"""Forgetting a person: what is remembered of their devices goes at once, and a hash of each id stays, so that it stays forgotten.

What was decided stands: the conversions keep their sums and their credit, and the touches that won them stay used.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from attribune.attribute import say, waiting
from attribune.attribute.features import platform_os
from attribune.attribute.keys import (
    PERSON_IDS,
    address_key,
    device_id_keys,
    id_key,
    network,
    touch_id_keys,
    week,
)
from attribune.attribute.rows import (
    ADDRESS,
    CREDITED,
    CUSTOMER,
    FOLLOWER,
    HOLDER,
    KNOWN_BY,
    PERSON,
    TOUCH_KEY,
    USER,
)
from attribune.attribute.standin import stand_in
from attribune.attribute.state import DeviceState
from attribune.attribute.turn import Turn
from attribune.model.activity import Activity, Event, Forget, Platform, Sender
from attribune.model.codec import encode
from attribune.model.ids import (
    AppId,
    DeviceId,
    Position,
    ProductId,
    TouchId,
    UserId,
    device_digest,
    digest,
    forgotten,
)
from attribune.model.outcome import Forgets, Noted
from attribune.model.policy import DAY_MS
from attribune.model.refusal import RefusalReason
from attribune.model.scrub import without_person
from attribune.model.touch import Touch
from attribune.ports import Row

#: Devices that one request forgets; a person has fewer.
DEVICES_MAX: Final = 100


def forget(turn: Turn, record: Forget, about: Position) -> None:
    """Forget whoever is named. What is forgotten already stays so, and only what is named anew is added."""
    product = record.product
    devices, words = _people(turn, record)
    known = [device for device in devices if not _is_forgotten(turn, product, device)]
    touches = _touches(turn, product, known, words)
    turn.say(
        Noted(
            product=product,
            position=turn.position,
            about=about,
            judged_at_ms=turn.now_ms,
            record=record.id,
            record_type=say.record_type(record),
            device=record.device.id,
            app=record.app,
            at_ms=record.occurred_at_ms,
            forgets=Forgets(
                devices=tuple(known),
                touches=tuple(sorted(touches)),
                words=tuple(sorted({value for _, value in words})),
            ),
        )
    )
    for device in known:
        _forget_device(turn, record, device)
    for touch in touches.values():
        _forget_touch(turn, *touch)
    for device in devices:
        turn.touched.add((product, device))


def nameless(record: Activity) -> Activity:
    """A record without its device, to be refused: nothing that is written of it leads to the person."""
    return replace(record, device=None, user_id=None)


# --- who it is


def _people(turn: Turn, record: Forget) -> tuple[list[DeviceId], list[tuple[str, str]]]:
    """The devices meant, and the words that they are known by.

    An app key is no secret, so it speaks for the device it names and for nobody that identifiers lead to.
    """
    product = record.product
    named = record.device
    if record.sender is Sender.APP:
        own = turn.desk.known_by(product, named.id)
        return _with_stand_ins(turn, product, [named.id]), own
    words: dict[tuple[str, str], None] = dict.fromkeys(named.ids.items())
    if record.user_id:
        words["user", record.user_id] = None
    devices: dict[DeviceId, None] = {named.id: None}
    looked: set[tuple[str, str]] = set()
    asked: set[DeviceId] = set()
    while words.keys() - looked or devices.keys() - asked:
        for device in sorted(devices.keys() - asked):
            asked.add(device)
            words |= dict.fromkeys(turn.desk.known_by(product, device))
        more = words.keys() - looked
        looked |= more
        for device in _of_words(turn, product, sorted(more)):
            if len(devices) < DEVICES_MAX:
                devices[device] = None
    return _with_stand_ins(turn, product, list(devices)), sorted(words)


def _of_words(turn: Turn, product: ProductId, words: Iterable[tuple[str, str]]) -> list[DeviceId]:
    found: list[DeviceId] = []
    for kind, value in words:
        found += [device for device, _ in turn.desk.people(id_key(product, kind, value))]
    return found


def _with_stand_ins(turn: Turn, product: ProductId, devices: list[DeviceId]) -> list[DeviceId]:
    """The devices, and those that stood in for them until they opened."""
    found = dict.fromkeys(devices)
    for device in devices:
        state = turn.desk.device(product, device)
        for touch in state.dossier.touches if state else ():
            name = stand_in(touch)
            if turn.desk.device(product, name) is not None:
                found[name] = None
    return list(found)


def _is_forgotten(turn: Turn, product: ProductId, device: DeviceId) -> bool:
    state = turn.desk.device(product, device)
    return state is not None and state.forgotten_at_ms > 0


def _touches(
    turn: Turn, product: ProductId, devices: list[DeviceId], words: list[tuple[str, str]]
) -> dict[TouchId, tuple[Position, Touch]]:
    """The touches that were surely theirs: of their identifiers and referrers, and those that won."""
    names: dict[TouchId, None] = {}
    ids = [word for word in words if word[0] in PERSON_IDS]
    for device in devices:
        state = turn.desk.device(product, device)
        if state is None:
            continue
        ids += state.dossier.ids
        names |= dict.fromkeys(state.dossier.touches)
        names |= dict.fromkeys(s.credit.touch for s in state.standings if s.credit)
    for key in device_id_keys(product, sorted(set(ids))):
        names |= dict.fromkeys(
            turn.desk.touches_by(key, 0, turn.now_ms, turn.limits.candidates_max)
        )
    found = ((name, turn.touch(name)) for name in names)
    return {
        name: (Position(touch[0]), touch[1])
        for name, touch in found
        if touch and touch[1].product == product
    }


# --- what goes


def _forget_device(turn: Turn, record: Forget, device: DeviceId) -> None:
    product, desk = record.product, turn.desk
    state = desk.device(product, device) or DeviceState(
        product=product, device=device, app=record.app, platform=record.device.platform
    )
    waiting.drop(turn, waiting.of_device(product, device), _refuse_held)
    partition = device_digest(product, device)
    for word in desk.known_by(product, device):
        _forget_word(turn, product, device, *word)
    for kind, value in state.dossier.ids:
        _forget_word(turn, product, device, kind, value)
    desk.erase_all(KNOWN_BY, 0, partition)
    desk.erase_all(FOLLOWER, 0, partition)
    _forget_customer(turn, product, device)
    for bucket in range(week(min(state.earliest_ms, turn.now_ms)), week(turn.now_ms + DAY_MS) + 1):
        desk.erase_all(CREDITED, bucket, partition)
    _forget_addresses(turn, state)
    stays = forgotten(product, device)
    for standing in state.standings:
        owner = desk.conversion(standing.conversion)
        assert owner is not None, "what stands was decided"
        left = without_person(owner.newest, stays)
        desk.put_conversion(stays, standing.conversion, encode(left))
    desk.put_forgotten(_tombstone(turn, product, device, state.app, state.platform))


def put_tombstone(turn: Turn, request: Noted, device: DeviceId) -> None:
    """Remember of a device only that it was forgotten, as a request that stands says."""
    app = request.app or AppId("")
    platform = say.platform_of(turn, app)
    turn.desk.put_forgotten(_tombstone(turn, request.product, device, app, platform))


def _tombstone(
    turn: Turn, product: ProductId, device: DeviceId, app: AppId, platform: Platform
) -> DeviceState:
    return DeviceState(
        product=product,
        device=forgotten(product, device),
        app=app,
        platform=platform,
        measurement=False,
        sharing=False,
        forgotten_at_ms=turn.now_ms,
    )


def _refuse_held(turn: Turn, event: Event, about: Position) -> None:
    """What waits for the device is not credited any more."""
    if event.device is None and event.transaction_id:
        # Once it is scrubbed nothing says whose the order was, so nothing may say so before.
        turn.desk.forget_order(event.product, event.transaction_id, about)
    say.refuse(turn, nameless(event), about, RefusalReason.FORGOTTEN)


def _forget_word(turn: Turn, product: ProductId, device: DeviceId, kind: str, value: str) -> None:
    desk = turn.desk
    desk.erase(Row(PERSON, 0, id_key(product, kind, value), device.encode()))
    if kind != "user":
        return
    user = UserId(value)
    if desk.user_device(product, user) == device:
        desk.erase(Row(USER, 0, digest(product, user)))
    _unbind(turn, product, user, device)


def _forget_customer(turn: Turn, product: ProductId, device: DeviceId) -> None:
    """Let the device be nobody's, and follow nobody."""
    desk = turn.desk
    user = desk.holder(product, device)
    if user is None:
        return
    for binding in desk.bindings(product, user):
        partition = device_digest(product, binding.device)
        desk.erase(Row(FOLLOWER, 0, partition, device.encode()))
    _unbind(turn, product, user, device)
    desk.erase(Row(HOLDER, 0, device_digest(product, device)))


def _unbind(turn: Turn, product: ProductId, user: UserId, device: DeviceId) -> None:
    desk = turn.desk
    stand = desk.bindings(product, user)
    left = tuple(binding for binding in stand if binding.device != device)
    if stand and not left:
        desk.erase(Row(CUSTOMER, 0, digest(product, user)))
    elif left != stand:
        desk.put_bindings(product, user, left)


def _forget_addresses(turn: Turn, state: DeviceState) -> None:
    """Take the device from the addresses of its first opens; those of later ones go with their week."""
    name = digest(state.device, size=8)
    for note in state.dossier.opens:
        if net := network(note.address):
            partition = digest("address", state.product, net)
            turn.desk.erase(Row(ADDRESS, week(note.at_ms), partition, name))


def _forget_touch(turn: Turn, position: Position, touch: Touch) -> None:
    keys = touch_id_keys(touch.product, touch.ids)
    if net := network(touch.ip):
        keys.append(address_key(touch.product, net, platform_os(touch)))
    row = (2**64 - 1 - position).to_bytes(8, "big")
    for key in keys:
        turn.desk.erase(Row(TOUCH_KEY, week(touch.received_at_ms), key, row))
    turn.desk.forget_touch(touch.id)
    turn.readings.pop(position, None)
