"""Postbacks: what partners are told of. Pure verbs from a request to the record that journals it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeVar

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from attribune.model.control import Postback
from attribune.model.delivery import Trigger
from attribune.model.errors import Invalid, NotFound, VaultLocked
from attribune.model.ids import AppId, PartnerId, PostbackId
from attribune.ports import Chance, Vault
from attribune.registry import find, shown
from attribune.registry.keys import SECRET_LETTERS
from attribune.registry.made import Made
from attribune.registry.naming import free_id, letters, slug, text
from attribune.registry.requests import AddPostback, EditPostback
from attribune.registry.view import Registry

POSTBACKS_MAX: Final = 10_000
EVENTS_MAX: Final = 200
APPS_MAX: Final = 100
CONCURRENCY_MAX: Final = 64
PER_SECOND_MAX: Final = 10_000

T = TypeVar("T")


class Said(NamedTuple):
    """What a postback is to say, its secrets open, before it was checked."""

    data: str
    triggers: tuple[Trigger, ...]
    settings: Mapping[str, str]
    events: Mapping[str, str]
    allowed_hosts: tuple[str, ...]
    callback_hosts: tuple[str, ...]


class Checked(NamedTuple):
    """What of a request was checked against the partner's data."""

    data: str
    triggers: tuple[Trigger, ...]
    plain: Mapping[str, str]
    secret: Mapping[str, str]
    allowed_hosts: tuple[str, ...]
    callback_hosts: tuple[str, ...]
    #: It is for the operator's own systems.
    own_systems: bool = False


def add(
    registry: Registry, want: AddPostback, checked: Checked, vault: Vault, chance: Chance
) -> Made[shown.PostbackShown]:
    """Begin to tell; the same again is the postback that stands. Raises Invalid, NotFound, StoreUnavailable."""
    if (want.partner is None) != want.all_partners:
        raise Invalid("give a partner, or all_partners", param="partner")
    if len(registry.postbacks) >= POSTBACKS_MAX:
        raise Invalid(f"there are {POSTBACKS_MAX} postbacks; no more can be added", param="partner")
    partner = find.partner(registry, want.partner).id if want.partner is not None else None
    made = _made(registry, want, checked, partner)
    for other in registry.postbacks.newest():
        if _is_same(other, made, checked.secret, vault) and not want.sign:
            return Made((), shown.postback(other))
    base = slug("-".join(filter(None, (partner or "all", want.template))))
    is_signing = checked.own_systems if want.sign is None else want.sign
    secret = f"ps_{letters(chance, SECRET_LETTERS)}" if is_signing else None
    made = replace(
        made,
        id=PostbackId(free_id(base, registry.postbacks, chance)),
        sealed={name: vault.seal(value) for name, value in checked.secret.items()},
        sealed_signing_secret=vault.seal(secret) if secret else None,
    )
    return Made((made,), shown.postback(made, secret or UNSET))


def edited(standing: Postback, want: EditPostback, vault: Vault) -> Said:
    """What a postback says once it is changed, to be checked as a new one is. Raises VaultLocked when a secret that stays cannot be read."""
    kept = {name: value for name, value in standing.settings.items() if name not in want.settings}
    secrets = {
        name: vault.unseal(sealed)
        for name, sealed in standing.sealed.items()
        if name not in want.settings
    }
    given = {name: value for name, value in want.settings.items() if value is not None}
    wider = (*want.more_triggers, *((Trigger.EVENT,) if want.more_events else ()))
    return Said(
        data=standing.data,
        triggers=(*standing.triggers, *wider),
        settings={**kept, **secrets, **given},
        events=standing.events,
        allowed_hosts=_else(want.allowed_hosts, standing.allowed_hosts),
        callback_hosts=_else(want.callback_hosts, standing.callback_hosts),
    )


def edit(
    standing: Postback, want: EditPostback, checked: Checked, vault: Vault
) -> Made[shown.PostbackShown]:
    """Change a postback in its place: it keeps its id, so what it told is told. The same again changes nothing. Raises Invalid."""
    concurrency = _else(want.concurrency, standing.concurrency) or None
    per_second = _else(want.per_second, standing.per_second) or None
    made = replace(
        standing,
        triggers=checked.triggers,
        only_events=_only_events(standing, want),
        settings=dict(checked.plain),
        sealed={
            name: _sealed(standing.sealed.get(name), value, vault)
            for name, value in checked.secret.items()
        },
        allowed_hosts=checked.allowed_hosts,
        callback_hosts=checked.callback_hosts,
        in_order=_else(want.in_order, standing.in_order),
        concurrency=_at_most(concurrency, CONCURRENCY_MAX, "concurrency"),
        per_second=_at_most(per_second, PER_SECOND_MAX, "per_second"),
    )
    return Made((made,) if made != standing else (), shown.postback(made))


def _else(said: T | UnsetType, stands: T) -> T:
    return stands if said is UNSET else said


def _only_events(standing: Postback, want: EditPostback) -> tuple[str, ...]:
    """The only events that are told of, none being all; an edit makes them more and never fewer."""
    is_every = Trigger.EVENT in standing.triggers and not standing.only_events
    if is_every or (Trigger.EVENT in want.more_triggers and not want.more_events):
        return ()
    found = tuple(dict.fromkeys((*standing.only_events, *want.more_events)))
    if len(found) > EVENTS_MAX:
        raise Invalid(f"at most {EVENTS_MAX} events", param="more_events")
    return found


def _sealed(before: str | None, value: str, vault: Vault) -> str:
    """A secret sealed; as it is sealed already where it is the same."""
    try:
        if before is not None and vault.unseal(before) == value:
            return before
    except VaultLocked:  # its key was lost; now it is said anew
        pass
    return vault.seal(value)


def _made(
    registry: Registry, want: AddPostback, checked: Checked, partner: PartnerId | None
) -> Postback:
    if len(want.only_events) > EVENTS_MAX or len(want.events) > EVENTS_MAX:
        raise Invalid(f"at most {EVENTS_MAX} events", param="events")
    return Postback(
        id=PostbackId(""),
        partner=partner,
        template=text(want.template, "template", 64),
        data=checked.data,
        triggers=checked.triggers,
        settings=dict(checked.plain),
        events=want.events,
        only_events=want.only_events,
        apps=_apps(registry, want.apps),
        counts=want.counts,
        allowed_hosts=checked.allowed_hosts,
        callback_hosts=checked.callback_hosts,
        in_order=want.in_order,
        concurrency=_at_most(want.concurrency or None, CONCURRENCY_MAX, "concurrency"),
        per_second=_at_most(want.per_second or None, PER_SECOND_MAX, "per_second"),
    )


def _apps(registry: Registry, wanted: tuple[str, ...]) -> tuple[AppId, ...]:
    if len(wanted) > APPS_MAX:
        raise Invalid(f"at most {APPS_MAX} apps", param="apps")
    return tuple(dict.fromkeys(find.app(registry, one).id for one in wanted))


def _at_most(value: int | None, most: int, param: str) -> int | None:
    if value is not None and not 1 <= value <= most:
        raise Invalid(f"{param} must be 1 to {most}, or 0 to say none", param=param)
    return value


def _is_same(other: Postback, made: Postback, secrets: Mapping[str, str], vault: Vault) -> bool:
    """Whether a postback that stands says the same, secrets and all."""
    said = replace(other, id=made.id, sealed={}, sealed_signing_secret=None)
    bare = replace(said, is_paused=False, resumed_at_ms=0)
    if bare != made or other.sealed.keys() != secrets.keys():
        return False
    return all(vault.unseal(other.sealed[name]) == value for name, value in secrets.items())


def pause(
    registry: Registry, wanted: str, now_ms: int, *, is_paused: bool
) -> Made[shown.PostbackShown]:
    """Hold a postback, or let it go on; what is to be told meanwhile is kept. Raises NotFound, Invalid when it was ended."""
    standing = running(registry, wanted)
    if standing.is_paused == is_paused:
        return Made((), shown.postback(standing))
    resumed_at_ms = standing.resumed_at_ms if is_paused else now_ms
    made = replace(standing, is_paused=is_paused, resumed_at_ms=resumed_at_ms)
    return Made((made,), shown.postback(made))


def end(registry: Registry, wanted: str) -> Made[shown.PostbackShown]:
    """Tell no more; what waits is given up. One that has ended stays so. Raises NotFound."""
    standing = postback(registry, wanted)
    if standing.is_ended:
        return Made((), shown.postback(standing))
    made = replace(standing, is_ended=True, is_paused=False)
    return Made((made,), shown.postback(made))


def running(registry: Registry, wanted: str) -> Postback:
    """A postback that has not ended. Raises NotFound, Invalid."""
    standing = postback(registry, wanted)
    if standing.is_ended:
        raise Invalid(f"postback {standing.id} was ended; add a new one", param="postback")
    return standing


def postback(registry: Registry, wanted: str) -> Postback:
    """A postback by id. Raises NotFound."""
    found = registry.postbacks.at(wanted)
    if found is None:
        raise NotFound(
            f"there is no postback {wanted!r}; see `attribune postback list`", param="postback"
        )
    return found
