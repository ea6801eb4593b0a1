"""Doors: inlets that speak other people's client libraries' languages, known by the client's own key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final, Protocol

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from attribune.model.control import App, ControlRecord, Door, PartnerKind
from attribune.model.errors import Conflict, Invalid
from attribune.model.ids import DoorId
from attribune.ports import Chance, Directory, Vault
from attribune.registry import find, shown
from attribune.registry.apps import NAME_CHARACTERS_MAX, add_partner
from attribune.registry.keys import HINT, SECRET_LETTERS, hashed
from attribune.registry.links import LIST_ENTRIES_MAX
from attribune.registry.made import Made
from attribune.registry.naming import free_id, letters, slug
from attribune.registry.requests import AddDoor, AddPartner
from attribune.registry.targets import checked_host, checked_network
from attribune.registry.view import Registry
from attribune.settings import Settings

KEY_CHARACTERS_MAX: Final = 256
_KEY_CHARACTERS_MIN: Final = 4
SECRET_CHARACTERS_MAX: Final = 1024
#: What can be mapped: events, networks of other vendors, channels of links, the day before which installations are not
#: ours to count, and what a person's consent to a category means.
MAP_KINDS: Final = ("event", "network", "channel", "installed", "consent")
#: What consent to a category can mean.
CONSENTS: Final = ("measurement", "sharing")
#: Whose links of a channel are that no other map names.
EVERY_CHANNEL: Final = "channel:*"
MAPS_MAX: Final = 1024
_OWNER: Final = "App links of"
_MAP_CHARACTERS_MAX: Final = 256


class Dialects(Protocol):
    """The languages that doors can speak."""

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        ...

    def signs_with_key(self, dialect: str) -> bool:
        """Whether clients sign with their key, so that it must be known in clear."""
        ...

    def holds_to_secret(self, dialect: str) -> bool:
        """Whether a door's secret keeps anybody out: its clients sign with it, or its servers say it."""
        ...

    def makes_links(self, dialect: str) -> bool:
        """Whether clients make links through a door, which have to be somebody's."""
        ...

    def letter(self, said: dict[str, Any]) -> Any:
        """A letter from its parts as an API call gives them."""
        ...

    def rehearse(
        self, door: Door, directory: Directory, settings: Settings, now_ms: int, letter: Any = None
    ) -> list[dict[str, Any]]:
        """What each record of a letter would be at a door; of a sample when none is given."""
        ...


def add_door(
    registry: Registry,
    want: AddDoor,
    dialects: Dialects,
    vault: Vault,
    chance: Chance,
    base_url: str,
) -> Made[shown.DoorShown]:
    """Make a door; the same key on the same app again is the door that stands. Raises Invalid, Conflict."""
    if want.dialect not in dialects.names:
        known = ", ".join(dialects.names)
        raise Invalid(
            f"{want.dialect!r} is no dialect we speak; these are: {known}", param="dialect"
        )
    app = find.app(registry, want.app)
    given = _client_key(want.key) if want.key is not None else None
    made, maps = _with_owner(registry, app, checked_maps(want.maps), want.dialect, dialects, chance)
    key = given or f"wk_{letters(chance, SECRET_LETTERS)}"
    secret = _secret(want.secret) or (key if dialects.signs_with_key(want.dialect) else None)
    door = Door(
        id=DoorId(free_id(slug(app.id), registry.doors, chance)),
        app=app.id,
        dialect=want.dialect,
        sha256=hashed(key),
        hint=key[-HINT:] if given is None else "",
        maps=maps,
        allowed_hosts=_each(want.allowed_hosts, checked_host, "allowed_hosts"),
        allowed_networks=_each(want.allowed_networks, checked_network, "allowed_networks"),
        implies_open=want.implies_open,
        is_trusted=want.is_trusted,
    )
    standing = _same_door(registry, door, app, secret, vault)
    if standing is not None:
        return Made((), shown.door(standing, base_url))
    if secret is not None:
        door = replace(door, sealed_secret=vault.seal(secret))
    shown_key: str | UnsetType = UNSET if given else key
    return Made((*made, door), shown.door(door, base_url, shown_key))


def notes_of(found: Iterable[shown.DoorShown], dialects: Dialects) -> tuple[str, ...]:
    """What whoever looks at open doors should know: whose secret keeps nobody out."""
    return tuple(
        f"nobody is held to the secret of door {door.id}: clients that speak {door.dialect} sign nothing, so its key alone says who may speak; allowed networks (--allow-network) limit who is heard"
        for door in found
        if door.has_secret and not door.is_disabled and not dialects.holds_to_secret(door.dialect)
    )


def _with_owner(
    registry: Registry,
    app: App,
    maps: dict[str, str],
    dialect: str,
    dialects: Dialects,
    chance: Chance,
) -> tuple[tuple[ControlRecord, ...], dict[str, str]]:
    """The maps of a door, with a partner for the links that are made through it; one of the product's own where none is said."""
    if not dialects.makes_links(dialect) or EVERY_CHANNEL in maps:
        return (), maps
    product = registry.product(app.product)
    name = f"{_OWNER} {product.name if product else app.product}"[:NAME_CHARACTERS_MAX]
    owner = add_partner(registry, AddPartner(name=name, kind=PartnerKind.OWNED), chance)
    return owner.records, {**maps, EVERY_CHANNEL: owner.answer.id}


def _same_door(
    registry: Registry, door: Door, app: App, secret: str | None, vault: Vault
) -> Door | None:
    """The open door of the same app, dialect and key. Raises Conflict when it says otherwise."""
    for other in registry.doors_of(door.dialect):
        if (other.app, other.sha256) != (app.id, door.sha256):
            continue
        sealed = other.sealed_secret
        same = replace(door, id=other.id, hint=other.hint, sealed_secret=sealed)
        if same == other and (vault.unseal(sealed) if sealed else None) == secret:
            return other
        raise Conflict(
            f"door {other.id} has that key with other rules; disable it first, or give another key",
            param="key",
        )
    return None


def _client_key(key: str) -> str:
    if not _KEY_CHARACTERS_MIN <= len(key) <= KEY_CHARACTERS_MAX:
        raise Invalid(
            f"key must have {_KEY_CHARACTERS_MIN} to {KEY_CHARACTERS_MAX} characters",
            param="key",
        )
    if not key.isascii() or not key.isprintable() or " " in key or ":" in key:
        raise Invalid("key must be printable ASCII without space and colon", param="key")
    return key


def _secret(secret: str | None) -> str | None:
    if secret is None:
        return None
    if not 0 < len(secret) <= SECRET_CHARACTERS_MAX or not secret.isprintable():
        raise Invalid(
            f"secret must have 1 to {SECRET_CHARACTERS_MAX} printable characters", param="secret"
        )
    return secret


def checked_maps(maps: Mapping[str, str]) -> dict[str, str]:
    """What a client's names mean here, as given. Raises Invalid."""
    if len(maps) > MAPS_MAX:
        raise Invalid(f"a door may have at most {MAPS_MAX} maps", param="maps")
    for name, value in maps.items():
        kind, colon, theirs = name.partition(":")
        if kind not in MAP_KINDS or not colon or not theirs or not value:
            kinds = ", ".join(f"{kind}:" for kind in MAP_KINDS)
            raise Invalid(
                f"maps takes kind:theirs=ours with one of {kinds} such as event:e1e2e3=purchase, not {name!r}",
                param="maps",
            )
        if kind == "installed" and not (theirs == "before" and _is_day(value)):
            raise Invalid(
                "maps takes installed:before=YYYY-MM-DD: the day from which installations are new, in UTC",
                param="maps",
            )
        if kind == "consent" and value not in CONSENTS:
            raise Invalid(
                f"maps takes consent:CATEGORY=measurement or =sharing, not {value!r}", param="maps"
            )
        if len(name) > _MAP_CHARACTERS_MAX or len(value) > _MAP_CHARACTERS_MAX:
            raise Invalid(
                f"a map may have at most {_MAP_CHARACTERS_MAX} characters on each side",
                param="maps",
            )
    return dict(maps)


def _each(said: tuple[str, ...], check: Any, name: str) -> tuple[str, ...]:
    if len(said) > LIST_ENTRIES_MAX:
        raise Invalid(f"{name} may have at most {LIST_ENTRIES_MAX} entries", param=name)
    return tuple(dict.fromkeys(check(entry) for entry in said))


def disable_door(registry: Registry, door_id: str, base_url: str) -> Made[shown.DoorShown]:
    """Close a door; one that is closed stays so."""
    door = find.door(registry, door_id)
    if door.is_disabled:
        return Made((), shown.door(door, base_url))
    closed = replace(door, is_disabled=True)
    return Made((closed,), shown.door(closed, base_url))


def _is_day(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False
