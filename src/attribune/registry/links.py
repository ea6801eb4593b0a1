"""Tracking links: pure verbs from a request to the record that journals it."""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import asdict, replace

from attribune.model.control import Link
from attribune.model.errors import Invalid
from attribune.model.ids import LinkId
from attribune.ports import Chance
from attribune.registry import find, shown
from attribune.registry.made import Made
from attribune.registry.naming import free_id, optional, slug
from attribune.registry.requests import AddLink, EditLink, LinkWords
from attribune.registry.targets import (
    URL_CHARACTERS_MAX,
    checked_host,
    checked_network,
    checked_targets,
    resolve,
)
from attribune.registry.view import Registry

#: Fields of a touch that only a trusted sender sets, unless the link opens them to everybody.
STEERING: Final = frozenset(
    {
        "click_lookback",
        "view_lookback",
        "is_retargeting",
        "ip",
        "user_agent",
        "language",
        "os_version",
        "model",
        "cost",
        "cost_model",
        "cost_currency",
    }
)
LIST_ENTRIES_MAX: Final = 64
_WORDS: Final = (
    "campaign",
    "campaign_id",
    "adgroup",
    "adgroup_id",
    "creative",
    "creative_id",
    "site_id",
    "sub_site_id",
)
#: An address for an app, such as ``game://level/3`` or a universal link, so any scheme but those that run in a browser.
_DEEP_LINK_NEVER: Final = ("javascript", "data", "vbscript", "file", "blob")


def add_link(
    registry: Registry, want: AddLink, chance: Chance, base_url: str
) -> Made[shown.LinkShown]:
    """Make a link. Two links may say the same: people keep them apart by id. Raises Invalid, NotFound."""
    product = find.product_of(registry, want.app, want.product)
    words = _words(want)
    base = slug(words.get("campaign") or want.partner)
    link = Link(
        id=LinkId(free_id(base, registry.links, chance)),
        product=product,
        partner=find.partner(registry, want.partner).id,
        **words,
    )
    return Made((link,), show(registry, link, base_url))


def edit_link(
    registry: Registry, link_id: str, want: EditLink, base_url: str
) -> Made[shown.LinkShown]:
    """Change what a link says from here on; what came before is judged as it was."""
    link = find.link(registry, link_id)
    changes = _words(want)
    if want.is_disabled is not UNSET:
        changes["is_disabled"] = want.is_disabled
    edited = replace(link, **changes)
    return Made((edited,) if edited != link else (), show(registry, edited, base_url))


def show(registry: Registry, link: Link, base_url: str) -> shown.LinkShown:
    """A link as shown, with where it leads now."""
    return shown.link(link, resolve(link, registry.apps_of(link.product)), base_url)


def _words(want: LinkWords) -> dict[str, Any]:
    """What is said, checked, by the name of the link's field."""
    said = {name: value for name, value in asdict(want).items() if value is not UNSET}
    found: dict[str, Any] = {name: optional(said[name], name) for name in _WORDS if name in said}
    if "is_retargeting" in said:
        found["is_retargeting"] = said["is_retargeting"]
    if "targets" in said:
        found["targets"] = checked_targets(said["targets"])
    if "deep_link" in said:
        found["deep_link"] = _deep_link(said["deep_link"])
    for name, check in (
        ("allowed_hosts", checked_host),
        ("allowed_networks", checked_network),
        ("opens", _steering),
    ):
        if name in said:
            if len(said[name]) > LIST_ENTRIES_MAX:
                raise Invalid(f"{name} may have at most {LIST_ENTRIES_MAX} entries", param=name)
            found[name] = tuple(dict.fromkeys(check(entry) for entry in said[name]))
    return found


def _steering(name: str) -> str:
    if name not in STEERING:
        known = ", ".join(sorted(STEERING))
        raise Invalid(f"a link can open {known}; not {name!r}", param="opens")
    return name


def _deep_link(value: str) -> str | None:
    if not value:
        return None
    scheme, colon, rest = value.partition(":")
    if len(value) > URL_CHARACTERS_MAX or not value.isprintable() or " " in value:
        raise Invalid("deep_link must be one address without space", param="deep_link")
    if not colon or not rest or not scheme or scheme.lower() in _DEEP_LINK_NEVER:
        raise Invalid("deep_link must be an address such as game://level/3", param="deep_link")
    return value
