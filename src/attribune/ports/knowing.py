"""Who and what is known: the registry, agents, addresses."""

from __future__ import annotations

from typing import Protocol

from attribune.model.agent import UserAgent
from attribune.model.control import App, Door, Key, Link, Partner, Postback, Product
from attribune.model.ids import (
    AppId,
    DoorId,
    LinkId,
    PartnerId,
    PolicyVersion,
    Position,
    PostbackId,
    ProductId,
)
from attribune.model.policy import Policy
from attribune.model.unmeasured import NOT_MEASURED as NOT_MEASURED  # noqa: PLC0414 - doors find it here
from attribune.ports.journal import NOW


class Enricher(Protocol):
    """Reads user agents and addresses with data of a stated version."""

    def version(self) -> str:
        """Names the data, so that a decision can say what it was made with."""
        ...

    def user_agent(self, text: str) -> UserAgent:
        """Operating system (``android``, ``ios``, ``windows`` …), its version and the model."""
        ...

    def country(self, address: str) -> str | None:
        """ISO 3166 code of the country an address was given to, or None."""
        ...


class Directory(Protocol):
    """Who and what is registered, as of any place in the journal. The registry is the one that fits."""

    def product(self, product: ProductId, at: Position = NOW) -> Product | None:
        """A product as of a place."""
        ...

    def app(self, app: AppId, at: Position = NOW) -> App | None:
        """An app as of a place."""
        ...

    def partner(self, partner: PartnerId, at: Position = NOW) -> Partner | None:
        """A partner as of a place."""
        ...

    def link(self, link: LinkId, at: Position = NOW) -> Link | None:
        """A link as of a place."""
        ...

    def door(self, door: DoorId, at: Position = NOW) -> Door | None:
        """A door as of a place."""
        ...

    def doors_of(self, dialect: str) -> list[Door]:
        """The newest version of each open door of a dialect."""
        ...

    def key(self, sha256: str) -> Key | None:
        """The key with this hash, whether it still holds or not."""
        ...

    def policy(self, product: ProductId, at: Position = NOW) -> tuple[PolicyVersion, Policy]:
        """The rules of a product as of a place; our own default when none were set."""
        ...

    def is_test(self, product: ProductId, id_: str, at: Position = NOW) -> bool:
        """Whether an id is a registered test device of the product."""
        ...

    def postback(self, postback: PostbackId, at: Position = NOW) -> Postback | None:
        """A postback as of a place."""
        ...

    def every_postback(self) -> list[Postback]:
        """The newest version of every postback."""
        ...

    def apps_of(self, product: ProductId) -> list[App]:
        """The newest version of each app of a product."""
        ...

    def all_apps(self) -> list[App]:
        """The newest version of every app."""
        ...
