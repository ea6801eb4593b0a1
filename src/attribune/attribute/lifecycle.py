"""The life cycle of a device: what its opens, its events and its evidence mean, one record at a time."""

from __future__ import annotations

import msgspec

from attribune.attribute import customer, evidence, say
from attribune.attribute.cascade import credit_followers, move_touch, replace_standing, revise
from attribune.attribute.crediting import (
    claimant,
    credit_event,
    credit_open,
    device_of,
    is_customers,
    see,
    see_event,
)
from attribune.attribute.installation import Past, Verdict, judge, past
from attribune.attribute.keys import PERSON_IDS, network
from attribune.attribute.returns import Return, judge_return
from attribune.attribute.rows import PersonSeen
from attribune.attribute.state import (
    DeviceState,
    Dossier,
    Standing,
    installation,
    new_device,
    seen,
)
from attribune.attribute.turn import Turn
from attribune.attribute.waiting import (
    hold,
    is_awaited,
    of_device,
    of_user,
    place,
    release,
    release_order,
)
from attribune.model.activity import (
    Activity,
    Claim,
    Device,
    Event,
    Evidence,
    KnownDevice,
    Open,
    Sender,
)
from attribune.model.codec import encode
from attribune.model.ids import DeviceId, Position, ProductId, TouchId, UserId
from attribune.model.outcome import UNDOING
from attribune.model.refusal import RefusalReason


def open_(turn: Turn, record: Open, about: Position) -> None:
    """The first open of a device is an installation; a later one may be a return, evidence, or just an open."""
    _remember(turn, record, record.device, record.occurred_at_ms)
    state = _state(turn, record, record.device)
    if not state.has_opened:
        _install(turn, state, record, about)
        return
    state = _note_evidence(turn, state, record, record.device, about)
    sign = Return(
        record=record,
        about=about,
        at_ms=record.occurred_at_ms,
        touches=evidence.touches_in(record.referrers, record.link_opened),
    )
    _open_again(turn, state, sign, record)


def _open_again(turn: Turn, state: DeviceState, sign: Return, record: Open) -> None:
    returned = judge_return(turn, state, sign)
    see(turn, returned or state, record.occurred_at_ms)
    if sign.by_open and (returned is None or not _made(returned, state)):
        credit_open(turn, returned or state, record, sign.about)


def _made(new: DeviceState, old: DeviceState) -> bool:
    """Whether a conversion was made, and not only moved to an earlier open."""
    return len(new.standings) > len(old.standings)


def event(turn: Turn, record: Event, about: Position, payload: bytes | None = None) -> None:
    """Credit an event to the source in force when it happened, or let it wait for its device's first open.

    What has waited for its order to be told is judged behind it.
    """
    _event(turn, record, about, payload)
    release_order(turn, record)


def _event(turn: Turn, record: Event, about: Position, payload: bytes | None) -> None:
    device = device_of(turn, record)
    state = turn.desk.device(record.product, device) if device else None
    # An order may be refunded in parts; each is a record of its own.
    is_once = record.transaction_id and record.name not in UNDOING
    if is_once and _is_repeated(turn, state, record, about):
        return
    if record.device:
        _remember(turn, record, record.device, record.occurred_at_ms)
        state = _note_evidence(
            turn, _state(turn, record, record.device), record, record.device, about
        )
    if record.device and record.implies_open and state and not state.has_opened:
        _install(turn, state, _implied(record), about, by_open=False)
        state = turn.desk.device(record.product, record.device.id)
    if state and state.has_opened:
        state = see_event(turn, state, record)
        credit_event(turn, state, record, about)
    elif state and is_customers(turn, state, record, about):
        credit_event(
            turn, state, record, about
        )  # who brought the customer is known: no open is waited for
    else:
        hold(turn, record, about, payload or encode(record))


def evidence_(turn: Turn, record: Evidence | Claim, about: Position) -> None:
    """Take in a referrer, an opened link or a claim told apart from the open it belongs to."""
    say.note(turn, record, about)
    _remember(turn, record, record.device, record.occurred_at_ms)
    state = _state(turn, record, record.device)
    state = _note_evidence(turn, state, record, record.device, about)
    if not state.has_opened:
        return
    sign = _sign(record, about, _session_start(state, record.occurred_at_ms))
    if sign.touches or (sign.claims and sign.claims[0].is_retargeting):
        judge_return(turn, state, sign)


def _sign(record: Evidence | Claim, about: Position, at_ms: int) -> Return:
    if isinstance(record, Claim):
        return Return(record=record, about=about, at_ms=at_ms, claims=(record,), by_open=False)
    touches = evidence.touches_in(record.referrers, record.link_opened)
    return Return(record=record, about=about, at_ms=at_ms, touches=touches, by_open=False)


def known(turn: Turn, record: KnownDevice, about: Position) -> None:
    """Remember a device of an existing user: its next open is not an install.

    Of a device whose installation was measured an import knows nothing better.
    """
    assert record.device is not None, "an import names its device"
    say.note(turn, record, about)
    device = record.device
    state = _state(turn, record, device)
    if installation(state):
        return
    last_ms = record.last_seen_at_ms
    sessions = seen(state.sessions, last_ms) if last_ms else state.sessions
    turn.desk.put_device(msgspec.structs.replace(state, is_known=True, sessions=sessions))
    turn.touched.add((state.product, state.device))  # who asks is told that nobody brought it
    for kind, value in device.ids.items():
        seen_ = PersonSeen(0, last_ms or 0, is_known=True)
        turn.desk.see_person(record.product, (kind, value), device.id, seen_)
    release(turn, of_device(record.product, device.id))


# --- installations


def _install(
    turn: Turn, state: DeviceState, record: Open, about: Position, *, by_open: bool = True
) -> None:
    """Decide what the first open of a device is, and credit what had waited for it."""
    _, policy = turn.directory.policy(state.product, turn.position)
    if turn.now_ms - state.dossier.since_ms >= policy.evidence_ms:
        state = msgspec.structs.replace(state, dossier=Dossier())  # too old to belong to this open
    dossier = evidence.add(state.dossier, record, record.device, about, turn.now_ms)
    state = msgspec.structs.replace(state, dossier=dossier)
    earlier = past(turn, state, record.occurred_at_ms, policy)
    if earlier.imported is not None:
        touches = evidence.touches_in(record.referrers, record.link_opened)
        at_ms = record.occurred_at_ms
        sign = Return(record=record, about=about, at_ms=at_ms, touches=touches, by_open=by_open)
        _adopt(turn, state, earlier.imported, sign, record)
    else:
        _decide_installation(turn, state, earlier, record, about, by_open=by_open)
    release(turn, of_device(state.product, state.device))


def _adopt(
    turn: Turn, state: DeviceState, imported: DeviceState, sign: Return, record: Open
) -> None:
    """An existing user's first open with us: no install, but perhaps a return."""
    state = msgspec.structs.replace(state, is_known=True, sessions=imported.sessions)
    turn.desk.put_device(state)
    turn.touched.add((state.product, state.device))
    _open_again(turn, state, sign, record)


def _decide_installation(
    turn: Turn, state: DeviceState, earlier: Past, record: Open, about: Position, *, by_open: bool
) -> None:
    verdict = judge(turn, state, known=earlier)
    standing = _standing(turn, verdict)
    words = say.of_device(turn, record, about) | {"handles": say.handles(record)}
    outcome = say.attribution(
        turn,
        about,
        state,
        standing,
        verdict.decision,
        words,
        policy=verdict.policy,
        before=verdict.before,
        by_open=by_open,
    )
    said = turn.say(outcome)
    turn.desk.put_conversion(state.device, standing.conversion, said.payload)
    move_touch(turn, None, _won(verdict), standing)
    state = msgspec.structs.replace(
        replace_standing(state, standing), installed_at_ms=verdict.installed_at_ms
    )
    see(turn, state, record.occurred_at_ms)
    turn.touched.add((state.product, state.device))
    credit_followers(turn, state, verdict.at_ms, say.cause(turn, verdict.kind.value))


def _standing(turn: Turn, verdict: Verdict) -> Standing:
    return Standing(
        conversion=verdict.conversion,
        kind=verdict.kind,
        at_ms=verdict.at_ms,
        source=verdict.source,
        credit=verdict.credit,
        judged_at_ms=turn.now_ms,
        as_of=verdict.as_of,
    )


def _won(verdict: Verdict) -> TouchId | None:
    """The touch that won here; a source carried over from before wins nothing anew."""
    return verdict.decision.credit.touch if verdict.decision.credit else None


def _note_evidence(
    turn: Turn,
    state: DeviceState,
    record: Open | Event | Evidence | Claim,
    device: Device,
    about: Position,
) -> DeviceState:
    """Add a message to the installation's dossier while its window is open, and decide again if it changes anything."""
    standing = installation(state)
    _, policy = turn.directory.policy(state.product, turn.position)
    since_ms = standing.judged_at_ms if standing else state.dossier.since_ms
    if since_ms and turn.now_ms - since_ms >= policy.evidence_ms:
        if standing or state.is_known:
            return state
        state = msgspec.structs.replace(state, dossier=Dossier())
    dossier = evidence.add(state.dossier, record, device, about, turn.now_ms)
    if dossier == state.dossier:
        return state
    state = msgspec.structs.replace(state, dossier=dossier)
    turn.desk.put_device(state)
    if standing is None or standing.is_pinned or not dossier.opens:
        return state
    return _decide_again(turn, state, standing)


def _decide_again(turn: Turn, state: DeviceState, standing: Standing) -> DeviceState:
    verdict = judge(turn, state)
    new = msgspec.structs.replace(
        standing,
        kind=verdict.kind,
        at_ms=verdict.at_ms,
        source=verdict.source,
        credit=verdict.credit,
    )
    state = msgspec.structs.replace(state, installed_at_ms=verdict.installed_at_ms)
    turn.desk.put_device(state)
    if new == standing:
        return state
    owner = turn.desk.conversion(standing.conversion)
    assert owner is not None, "what stands was decided"
    new = msgspec.structs.replace(new, revision=standing.revision + 1)
    return revise(
        turn,
        state,
        owner.newest,
        new,
        say.cause(turn, "evidence"),
        candidates=verdict.decision.candidates,
        not_listed=verdict.decision.not_listed,
        before=verdict.before,
    )


# --- opens and events


def _is_repeated(turn: Turn, state: DeviceState | None, record: Event, about: Position) -> bool:
    """Refuse a conversion that was told before, and count the claimant; the first telling stands."""
    assert record.transaction_id is not None, "asked for transactions only"
    first = turn.desk.transaction(record.product, record.name, record.transaction_id)
    if first is None:
        turn.desk.put_transaction(record.product, record.name, record.transaction_id, record.id)
        place(turn, record, about)
        return False
    if is_awaited(turn, record):
        # The first telling named nobody, and this one says whose the order is.
        if record.device and state is None:
            turn.desk.put_device(new_device(record, record.device))
        place(turn, record, about)
    claims = claimant(turn, state, record, about) if state else None
    say.refuse(
        turn,
        record,
        about,
        RefusalReason.REPEATED_TRANSACTION,
        instead_of=first,
        claimant=claims.credit if claims else None,
    )
    return True


def _implied(record: Event) -> Open:
    """The open that an event stands for, at a door that says so."""
    assert record.device is not None, "only a device opens"
    return Open(
        id=record.id,
        product=record.product,
        app=record.app,
        sender=record.sender,
        received_at_ms=record.received_at_ms,
        occurred_at_ms=record.occurred_at_ms,
        device=record.device,
        user_id=record.user_id,
        ip=record.ip,
        user_agent=record.user_agent,
        app_version=record.app_version,
        dialect=record.dialect,
    )


# --- what is remembered


def _state(turn: Turn, record: Activity, device: Device) -> DeviceState:
    return turn.desk.device(record.product, device.id) or new_device(record, device)


def _remember(turn: Turn, record: Activity, device: Device, at_ms: int) -> None:
    """Remember which identifiers, address and user a device was seen with."""
    for kind, value in device.ids.items():
        if kind in PERSON_IDS:
            seen_ = PersonSeen(at_ms, at_ms)
            turn.desk.see_person(record.product, (kind, value), device.id, seen_)
    if record.sender is Sender.SERVER and record.user_id:
        _bind(turn, record.product, record.user_id, device.id)
        customer.bind(turn, record.product, record.user_id, device.id, at_ms)
    net = network(record.ip)
    if net:
        turn.desk.see_address(record.product, net, device.id, at_ms)


def _bind(turn: Turn, product: ProductId, user: UserId, device: DeviceId) -> None:
    """Bind a user to a device; what waited for the user, or for the device of before, is of this device now."""
    before = turn.desk.user_device(product, user)
    if before == device:
        return
    turn.desk.bind_user(product, user, device)
    turn.desk.see_person(product, ("user", user), device, PersonSeen(0, 0))
    release(turn, of_device(product, before) if before else of_user(product, user))


def _session_start(state: DeviceState, at_ms: int) -> int:
    """When the session began that a time lies in: what evidence tells of began with it."""
    return next(first for first, last in seen(state.sessions, at_ms) if first <= at_ms <= last)
