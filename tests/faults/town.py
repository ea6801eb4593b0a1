"""What stands in the registry when a world begins, and how its agents and addresses are read."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from attribune.ledger.offers import read
from attribune.model.activity import Platform
from attribune.model.control import (
    App,
    Key,
    KeyKind,
    Link,
    Partner,
    PartnerKind,
    Postback,
    Product,
)
from attribune.model.delivery import Trigger
from attribune.model.ids import AppId, KeyId, LinkId, PartnerId, PostbackId, ProductId
from attribune.model.offer import OfferSet, Rate, RatesSet
from attribune.ports import UserAgent
from attribune.postback.folders import find_shipped

#: Acme is told of everything it brings, and of what is taken back; one hears of everybody's, in the order of each device.
POSTBACKS: Final = (("acme-1", "acme", False), ("all-1", None, True))
PRODUCT: Final = ProductId("game")
APP_KEY, SERVER_KEY = "ak_game_12345678", "sk_game_12345678"
LINKS: Final = ("spring", "brand", "back")
AGENTS: Final = (
    "Mozilla/5.0 (Linux; Android 10; K) Chrome/140.0.0.0 Mobile",
    "Mozilla/5.0 (Linux; Android 15; Pixel 8) Chrome/140.0.0.0 Mobile",
)
#: Acme is paid for installs, with a hold; Zeta a share of purchases, by tiers and up to a cap, so that what one is worth
#: depends on what came before.
OFFERS: Final = (
    b"""
id = "installs"
partner = "acme"
event = "install"
currency = "EUR"
hold_days = 1
[[deal]]
kind = "cpa"
amount = "1.50"
""",
    b"""
id = "share"
partner = "zeta"
event = "purchase"
currency = "EUR"
[[deal]]
kind = "revshare"
tiers = [{ percent = "10" }, { over = "20", percent = "20" }]
cap = { month = "50" }
""",
)


def _key(name: str, secret: str, kind: KeyKind) -> Key:
    hashed = sha256(secret.encode()).hexdigest()
    return Key(id=KeyId(name), kind=kind, sha256=hashed, app=AppId("droid"))


def _link(name: str, partner: str, **more: Any) -> Link:
    return Link(id=LinkId(name), product=PRODUCT, partner=PartnerId(partner), campaign=name, **more)


def _postback(name: str, partner: str | None, *, in_order: bool) -> Postback:
    url = f"https://{name}.example/pb?id={{delivery_id}}&what={{trigger}}&of={{record_id}}"
    return Postback(
        id=PostbackId(name),
        partner=PartnerId(partner) if partner else None,
        template="generic-get",
        data=find_shipped("generic-get").text,
        triggers=tuple(Trigger),
        settings={"url": url},
        concurrency=3,
        in_order=in_order,
    )


REGISTERED: Final = (
    Product(id=PRODUCT, name="Game", timezone="America/New_York", currency="EUR"),
    App(
        id=AppId("droid"),
        product=PRODUCT,
        name="Game",
        platform=Platform.ANDROID,
        store_id="com.example.game",
    ),
    Partner(id=PartnerId("acme"), name="Acme", kind=PartnerKind.NETWORK),
    Partner(id=PartnerId("zeta"), name="Zeta", kind=PartnerKind.AFFILIATE),
    _link("spring", "acme"),
    _link("brand", "zeta"),
    _link("back", "zeta", is_retargeting=True),
    *(OfferSet(version=1, offer=read(text)) for text in OFFERS),
    RatesSet(rates=(Rate(day="2026-03-02", base="JPY", quote="EUR", rate="0.0060"),)),
    *(_postback(name, partner, in_order=in_order) for name, partner, in_order in POSTBACKS),
    _key("k-app", APP_KEY, KeyKind.APP),
    _key("k-server", SERVER_KEY, KeyKind.SERVER),
)


class PlainEnricher:
    """Reads the agents above; every address is in Germany."""

    def version(self) -> str:
        return "plain"

    def user_agent(self, text: str) -> UserAgent:
        if "Pixel" in text:
            return UserAgent("android", "15", "Pixel 8")
        return UserAgent("android", None, None)

    def country(self, _address: str) -> str | None:
        return "DE"
