"""Finding registered things by what people call them: an id, or a name when only one has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from attribune.model.control import App, Door, Key, Link, Partner, Product
from attribune.model.errors import Invalid, NotFound
from attribune.model.ids import ProductId
from attribune.registry.view import Registry


class _Named(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def _one(wanted: str, all_: Iterable[N], noun: str, see: str) -> N:
    """The thing of that id, else the only one of that name. Raises NotFound, Invalid when several have the name."""
    rows = list(all_)
    for row in rows:
        if row.id == wanted:
            return row
    named = [row for row in rows if row.name.casefold() == wanted.strip().casefold()]
    if not named:
        raise NotFound(f"there is no {noun} {wanted!r}; see `{see}`", param=noun)
    if len(named) > 1:
        ids = ", ".join(sorted(row.id for row in named))
        raise Invalid(f"several have the name {wanted!r}; give one of the ids {ids}", param=noun)
    return named[0]


def product(registry: Registry, wanted: str) -> Product:
    """A product by id or name."""
    return _one(wanted, registry.products.newest(), "product", "attribune product list")


def app(registry: Registry, wanted: str) -> App:
    """An app by id or name."""
    return _one(wanted, registry.apps.newest(), "app", "attribune app list")


def partner(registry: Registry, wanted: str) -> Partner:
    """A partner by id or name."""
    return _one(wanted, registry.partners.newest(), "partner", "attribune partner list")


def link(registry: Registry, wanted: str) -> Link:
    """A link by id, as registered: without the derived targets."""
    found = registry.links.at(wanted)
    if found is None:
        raise NotFound(f"there is no link {wanted!r}; see `attribune link list`", param="link")
    return found


def key(registry: Registry, wanted: str) -> Key:
    """A key by id."""
    found = registry.keys.at(wanted)
    if found is None:
        raise NotFound(f"there is no key {wanted!r}; see `attribune key list`", param="key")
    return found


def door(registry: Registry, wanted: str) -> Door:
    """A door by id."""
    found = registry.doors.at(wanted)
    if found is None:
        raise NotFound(f"there is no door {wanted!r}; see `attribune door list`", param="door")
    return found


def product_of(registry: Registry, app_: str | None, product_: str | None) -> ProductId:
    """The product that is meant by one of its apps or by itself. Raises Invalid unless exactly one is given."""
    if (app_ is None) == (product_ is None):
        raise Invalid("give either an app or a product", param="app")
    return app(registry, app_).product if app_ is not None else product(registry, product_ or "").id
