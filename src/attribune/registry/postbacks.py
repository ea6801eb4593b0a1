"""Postbacks: what partners are told of. Pure verbs from a request to the record that journals it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from attribune.model.control import Postback
from attribune.model.delivery import Trigger
from attribune.model.errors import Invalid, NotFound
from attribune.model.ids import AppId, PartnerId, PostbackId
from attribune.ports import Chance, Vault
from attribune.registry import find, shown
from attribune.registry.keys import SECRET_LETTERS
from attribune.registry.made import Made
from attribune.registry.naming import free_id, letters, slug, text
from attribune.registry.requests import AddPostback
from attribune.registry.view import Registry

POSTBACKS_MAX: Final = 10_000
EVENTS_MAX: Final = 200
APPS_MAX: Final = 100
CONCURRENCY_MAX: Final = 64
PER_SECOND_MAX: Final = 10_000


class Checked(NamedTuple):
    """What of a request was checked against the partner's data."""

    data: str
    triggers: tuple[Trigger, ...]
    plain: Mapping[str, str]
    secret: Mapping[str, str]
    allowed_hosts: tuple[str, ...]
    callback_hosts: tuple[str, ...]


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
    secret = f"ps_{letters(chance, SECRET_LETTERS)}" if want.sign else None
    made = replace(
        made,
        id=PostbackId(free_id(base, registry.postbacks, chance)),
        sealed={name: vault.seal(value) for name, value in checked.secret.items()},
        sealed_signing_secret=vault.seal(secret) if secret else None,
    )
    return Made((made,), shown.postback(made, secret or UNSET))


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
        concurrency=_between(want.concurrency, CONCURRENCY_MAX, "concurrency"),
        per_second=None
        if want.per_second is None
        else _between(want.per_second, PER_SECOND_MAX, "per_second"),
    )


def _apps(registry: Registry, wanted: tuple[str, ...]) -> tuple[AppId, ...]:
    if len(wanted) > APPS_MAX:
        raise Invalid(f"at most {APPS_MAX} apps", param="apps")
    return tuple(dict.fromkeys(find.app(registry, one).id for one in wanted))


def _between(value: int, most: int, param: str) -> int:
    if not 1 <= value <= most:
        raise Invalid(f"{param} must be 1 to {most}", param=param)
    return value


def _is_same(other: Postback, made: Postback, secrets: Mapping[str, str], vault: Vault) -> bool:
    """Whether a postback that stands says the same, secrets and all."""
    bare = replace(other, id=made.id, sealed={}, sealed_signing_secret=None, is_paused=False)
    if bare != made or other.sealed.keys() != secrets.keys():
        return False
    return all(vault.unseal(other.sealed[name]) == value for name, value in secrets.items())


def pause(registry: Registry, wanted: str, *, is_paused: bool) -> Made[shown.PostbackShown]:
    """Hold a postback, or let it go on; what is to be told meanwhile is kept. Raises NotFound, Invalid when it was ended."""
    standing = postback(registry, wanted)
    if standing.is_ended:
        raise Invalid(f"postback {standing.id} was ended; add a new one", param="postback")
    if standing.is_paused == is_paused:
        return Made((), shown.postback(standing))
    made = replace(standing, is_paused=is_paused)
    return Made((made,), shown.postback(made))


def end(registry: Registry, wanted: str) -> Made[shown.PostbackShown]:
    """Tell no more; what waits is given up. One that has ended stays so. Raises NotFound."""
    standing = postback(registry, wanted)
    if standing.is_ended:
        return Made((), shown.postback(standing))
    made = replace(standing, is_ended=True, is_paused=False)
    return Made((made,), shown.postback(made))


def postback(registry: Registry, wanted: str) -> Postback:
    """A postback by id. Raises NotFound."""
    found = registry.postbacks.at(wanted)
    if found is None:
        raise NotFound(
            f"there is no postback {wanted!r}; see `attribune postback list`", param="postback"
        )
    return found
