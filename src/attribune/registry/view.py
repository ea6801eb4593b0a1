"""The registry as a fold over control records, which can be asked as of any place in the journal.

Each role keeps one in memory: it loads the history from the registry store and follows the topic from there. All
versions are kept, since a decision made at a place must see the links and rules of that place (DESIGN: the barrier).
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from attribune.model.control import (
    App,
    Change,
    Door,
    Key,
    Link,
    Partner,
    PolicySet,
    Postback,
    Product,
    TestDevice,
)
from attribune.model.ids import (
    START,
    AppId,
    DoorId,
    KeyId,
    LinkId,
    PartnerId,
    PolicyVersion,
    Position,
    PostbackId,
    ProductId,
)
from attribune.model.offer import OfferSet, RatesSet, Recruited
from attribune.model.policy import Policy
from attribune.ports import NOW

#: What a product without a policy of its own is decided under.
DEFAULT_POLICY: Final = Policy()
DEFAULT_VERSION: Final = PolicyVersion("attribune@0")

T = TypeVar("T")


def _id(record: Any) -> str:
    return str(record.id)


class Versions(dict[str, list[tuple[Position, T]]]):
    """Every version of every object of one kind, oldest first."""

    def add(self, name: str, position: Position, value: T) -> None:
        """Keep a version that holds from a position on."""
        self.setdefault(name, []).append((position, value))

    def at(self, name: str, position: Position = NOW) -> T | None:
        """The version in force at a place: the newest that stands before it."""
        versions = self.get(name)
        if not versions:
            return None
        if versions[-1][0] < position:
            return versions[-1][1]
        index = bisect_right(versions, position - 1, key=lambda v: v[0])
        return versions[index - 1][1] if index else None

    def newest(self) -> Iterator[T]:
        """The newest version of each object."""
        return (versions[-1][1] for versions in self.values())


class Registry:
    """Who and what is registered, as of any place in the journal."""

    def __init__(self) -> None:
        """Begin empty, before every entry."""
        self.position: Position = START
        self.products: Versions[Product] = Versions()
        self.apps: Versions[App] = Versions()
        self.partners: Versions[Partner] = Versions()
        self.links: Versions[Link] = Versions()
        self.keys: Versions[Key] = Versions()
        self.doors: Versions[Door] = Versions()
        self.policies: Versions[PolicySet] = Versions()
        self.test_devices: Versions[TestDevice] = Versions()
        self.offers: Versions[OfferSet] = Versions()
        #: Who brought each partner.
        self.recruits: Versions[Recruited] = Versions()
        #: What was added together, under its place.
        self.rates: Versions[RatesSet] = Versions()
        self.postbacks: Versions[Postback] = Versions()
        self._key_by_hash: dict[str, KeyId] = {}
        #: Every list of hosting networks that any version of any rules has.
        self._networks: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._shelves: dict[type, tuple[Versions[Any], Callable[[Any], str]]] = {
            Product: (self.products, _id),
            App: (self.apps, _id),
            Partner: (self.partners, _id),
            OfferSet: (self.offers, lambda record: record.offer.id),
            Recruited: (self.recruits, lambda record: record.partner),
            RatesSet: (self.rates, lambda _: "rates"),
            Link: (self.links, _id),
            Key: (self.keys, _id),
            Door: (self.doors, _id),
            Postback: (self.postbacks, _id),
            PolicySet: (self.policies, lambda record: record.product),
            TestDevice: (self.test_devices, lambda record: f"{record.product}\x1f{record.id}"),
        }

    def apply(self, position: Position, change: Change) -> None:
        """Take in one change; a change that stands already is left, so that reading twice does no harm."""
        if position <= self.position:
            return
        self.position = position
        record = change.record
        shelf = self._shelves.get(type(record))
        if (
            shelf is None
        ):  # corrections, ticks and what was told again are for others and leave nothing here
            return
        versions, name = shelf
        if isinstance(record, PolicySet):
            record = self._sharing_networks(record)
        versions.add(name(record), position, record)
        if isinstance(record, Key):
            self._key_by_hash[record.sha256] = record.id

    def _sharing_networks(self, record: PolicySet) -> PolicySet:
        """The same rules, with what their list of networks has in common with others kept once: each version has it whole."""
        networks = tuple(map(sys.intern, record.policy.hosting_networks))
        kept = self._networks.setdefault(networks, networks)
        return replace(record, policy=replace(record.policy, hosting_networks=kept))

    def product(self, product: ProductId, at: Position = NOW) -> Product | None:
        """A product as of a place."""
        return self.products.at(product, at)

    def app(self, app: AppId, at: Position = NOW) -> App | None:
        """An app as of a place."""
        return self.apps.at(app, at)

    def partner(self, partner: PartnerId, at: Position = NOW) -> Partner | None:
        """A partner as of a place."""
        return self.partners.at(partner, at)

    def link(self, link: LinkId, at: Position = NOW) -> Link | None:
        """A link as of a place."""
        return self.links.at(link, at)

    def door(self, door: DoorId, at: Position = NOW) -> Door | None:
        """A door as of a place."""
        return self.doors.at(door, at)

    def doors_of(self, dialect: str) -> list[Door]:
        """The newest version of each open door of a dialect."""
        return [
            door for door in self.doors.newest() if door.dialect == dialect and not door.is_disabled
        ]

    def key(self, sha256: str) -> Key | None:
        """The key with this hash, whether it still holds or not."""
        name = self._key_by_hash.get(sha256)
        return self.keys.at(name) if name else None

    def every_policy(self) -> Iterator[Policy]:
        """Every version of every product's rules, and those of a product without any."""
        yield DEFAULT_POLICY
        for versions in self.policies.values():
            yield from (kept.policy for _, kept in versions)

    def policy(self, product: ProductId, at: Position = NOW) -> tuple[PolicyVersion, Policy]:
        """The rules of a product as of a place; our own default when none were set."""
        found = self.policies.at(product, at)
        return (found.version, found.policy) if found else (DEFAULT_VERSION, DEFAULT_POLICY)

    def is_test(self, product: ProductId, id_: str, at: Position = NOW) -> bool:
        """Whether an id is a registered test device of the product."""
        found = self.test_devices.at(f"{product}\x1f{id_}", at)
        return found is not None and found.is_test

    def postback(self, postback: PostbackId, at: Position = NOW) -> Postback | None:
        """A postback as of a place."""
        return self.postbacks.at(postback, at)

    def every_postback(self) -> list[Postback]:
        """The newest version of every postback."""
        return list(self.postbacks.newest())

    def apps_of(self, product: ProductId) -> list[App]:
        """The newest version of each app of a product."""
        return [app for app in self.apps.newest() if app.product == product]

    def all_apps(self) -> list[App]:
        """The newest version of every app."""
        return list(self.apps.newest())
