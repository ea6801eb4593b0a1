"""Installations: whether a device's first open is an install, a reinstall or nothing new, and who brought it.

The decision is a function of the installation's dossier, so it comes out the same in whatever order the messages came.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from attribune.attribute.decide import Case, Decision, decide
from attribune.attribute.gather import Search, gather
from attribune.attribute.hosting import is_hosting
from attribune.attribute.keys import PERSON_IDS, id_key, network
from attribune.attribute.rows import PersonSeen
from attribune.attribute.standin import is_stand_in, stood_in
from attribune.attribute.state import DeviceState, OpenNote, installation, lasting
from attribune.attribute.turn import Turn
from attribune.attribute.window import longest_ms
from attribune.model.ids import ConversionId, DeviceId, PolicyVersion, Position, conversion_id
from attribune.model.outcome import ConversionKind, Credit, Source
from attribune.model.policy import MatchMethod, Policy, ReinstallSince, ReturnRule


class Verdict(Struct, frozen=True, kw_only=True):
    """What an installation is decided to be."""

    conversion: ConversionId
    kind: ConversionKind
    source: Source
    credit: Credit | None
    decision: Decision
    at_ms: int
    as_of: Position
    policy: PolicyVersion
    #: The open whose words stand in the outcome.
    open: OpenNote
    before: ConversionId | None = None
    #: When the person's last install that counted as one was.
    installed_at_ms: int = 0


class Past(Struct, frozen=True, kw_only=True):
    """What is known of the person's earlier installations."""

    #: The newest installation that was alive recently enough.
    device: DeviceState | None = None
    #: Without one: the imported device of an existing user, who is never a new install.
    imported: DeviceState | None = None
    #: As of when it was asked, and under which rules.
    at_ms: int
    policy: Policy


def first_open(state: DeviceState) -> OpenNote:
    """The open that the installation began with: the earliest that its dossier holds."""
    return min(state.dossier.opens, key=lambda note: (note.at_ms, note.record))


def as_of(state: DeviceState) -> Position:
    """Touches before this place could have led to the installation: where its first message of an open stands."""
    return min(note.position for note in state.dossier.opens)


def past(turn: Turn, state: DeviceState, at_ms: int, policy: Policy) -> Past:
    """The person's earlier installation, when an identifier tells of one that was alive recently enough.

    Registered test devices have no past, so each of their installations is an install.
    """
    product, own = state.product, state.device
    ids = [(kind, value) for kind, value in state.dossier.ids if kind in PERSON_IDS]
    names = [own, *(value for _, value in ids)]
    if any(turn.directory.is_test(product, name, turn.position) for name in names):
        return Past(at_ms=at_ms, policy=policy)
    seen: dict[DeviceId, PersonSeen] = {}
    for kind, value in ids:
        for device, person in turn.desk.people(id_key(product, kind, value)):
            if device != own and person.first_ms < at_ms:
                seen[device] = max(seen.get(device, person), person, key=lambda p: p.last_ms)
    if earlier := stood_in(turn, state):
        return Past(device=earlier, at_ms=at_ms, policy=policy)
    alive, imported = [], []
    for device, person in sorted(seen.items()):
        earlier = turn.desk.device(product, device)
        if earlier is None or not earlier.has_opened:
            continue  # its events wait for an open themselves; nothing was installed
        if person.is_known:
            imported.append((person.last_ms, earlier))
        elif at_ms - _since(earlier, person, policy) < policy.reinstall_ms:
            alive.append((person.last_ms, earlier))
    newest = max(alive, key=_last)[1] if alive else None
    known = max(imported, key=_last)[1] if imported and not alive else None
    return Past(device=newest, imported=known, at_ms=at_ms, policy=policy)


def _since(earlier: DeviceState, person: PersonSeen, policy: Policy) -> int:
    """From when the time is counted in which a new installation is a reinstall."""
    by_install = policy.reinstall_since is ReinstallSince.INSTALL and earlier.installed_at_ms
    return earlier.installed_at_ms if by_install else person.last_ms


def _last(seen: tuple[int, DeviceState]) -> tuple[int, DeviceId]:
    return (seen[0], seen[1].device)


def judge(
    turn: Turn, state: DeviceState, *, until: int | None = None, known: Past | None = None
) -> Verdict:
    """Decide what an installation is and who brought it, from its dossier alone.

    Touches that stand before the installation's first open compete; ``until`` lets later ones in (late touches that the
    policy reconsiders). ``known`` is the past of this very state where it was asked for just now.
    """
    note = first_open(state)
    place = as_of(state)
    version, policy = turn.directory.policy(state.product, place)
    if known and known.at_ms == note.at_ms and known.policy is policy:
        earlier = known
    else:
        earlier = past(turn, state, note.at_ms, policy)
    standing = installation(state)
    own = standing.conversion if standing else conversion_id(state.product, note.record)
    search = Search(
        product=state.product,
        platform=state.platform,
        policy=policy,
        as_of=Position(until or place),
        at_ms=note.at_ms,
        touches=state.dossier.touches,
        ids=state.dossier.ids,
        claims=state.dossier.claims,
        open=note,
        own=frozenset({own}),
    )
    decision = _decide(turn, state, earlier, search)
    kind, source, credit, before = _kind(earlier, decision, policy, note.at_ms)
    return Verdict(
        conversion=own,
        kind=kind,
        source=source,
        credit=credit,
        decision=decision,
        at_ms=note.at_ms,
        as_of=place,
        policy=version,
        open=note,
        before=before,
        installed_at_ms=(earlier.device.installed_at_ms if earlier.device else 0) or note.at_ms,
    )


def _decide(turn: Turn, state: DeviceState, earlier: Past, search: Search) -> Decision:
    note, policy = first_open(state), search.policy
    found = gather(turn, search)
    has_guess = any(one.method is MatchMethod.PROBABILISTIC for one in found)
    case = Case(
        at_ms=note.at_ms,
        platform=state.platform.value,
        policy=policy,
        features=note.features,
        # Only guesses are worth less for it.
        devices_at_address=_devices_at(turn, state, note, policy) if has_guess else 1,
        is_hosting=is_hosting(policy, note.address),
    )
    is_return = earlier.imported is not None or earlier.device is not None
    return decide(_as_return(case, earlier) if is_return else case, found)


def _as_return(case: Case, earlier: Past) -> Case:
    """A reinstall: only what may bring a known person back competes."""
    by_inactivity = case.policy.returns is ReturnRule.INACTIVE
    standing = lasting(earlier.device, case.at_ms) if earlier.device else None
    return msgspec.structs.replace(
        case,
        return_lookback_ms=case.policy.reattribution_ms,
        any_touch_returns=by_inactivity,
        not_of_link=standing.credit.link
        if by_inactivity and standing and standing.credit
        else None,
        sessions=earlier.device.sessions if by_inactivity and earlier.device else (),
    )


def _kind(
    earlier: Past, decision: Decision, policy: Policy, at_ms: int
) -> tuple[ConversionKind, Source, Credit | None, ConversionId | None]:
    if earlier.device is None and earlier.imported is None:
        source = Source.ATTRIBUTED if decision.credit else Source.ORGANIC
        return ConversionKind.INSTALL, source, decision.credit, None
    before = lasting(earlier.device, at_ms) if earlier.device else None
    before_id = before.conversion if before else None
    if decision.credit:
        return ConversionKind.REATTRIBUTION, Source.ATTRIBUTED, decision.credit, before_id
    if before is None:
        return ConversionKind.REINSTALL, Source.UNKNOWN, None, None
    if policy.reinstall_keeps_source or (earlier.device and is_stand_in(earlier.device.device)):
        return ConversionKind.REINSTALL, before.source, before.credit, before_id
    return ConversionKind.REINSTALL, Source.ORGANIC, None, before_id


def _devices_at(turn: Turn, state: DeviceState, note: OpenNote, policy: Policy) -> int:
    """How many devices opened from the open's address while a guess could reach back, this one included."""
    net = network(note.address)
    assert net is not None, "a guess was found by it"
    since = note.at_ms - longest_ms(policy)
    return max(1, turn.desk.devices_at(state.product, net, since, note.at_ms))
