"""What stands in the registry when a world begins, and how its agents and addresses are read."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from attribune.model.activity import Platform
from attribune.model.control import App, Key, KeyKind, Link, Partner, PartnerKind, Product
from attribune.model.ids import AppId, KeyId, LinkId, PartnerId, ProductId
from attribune.ports import UserAgent

PRODUCT: Final = ProductId("game")
APP_KEY, SERVER_KEY = "ak_game_12345678", "sk_game_12345678"
LINKS: Final = ("spring", "brand", "back")
AGENTS: Final = (
    "Mozilla/5.0 (Linux; Android 10; K) Chrome/140.0.0.0 Mobile",
    "Mozilla/5.0 (Linux; Android 15; Pixel 8) Chrome/140.0.0.0 Mobile",
)


def _key(name: str, secret: str, kind: KeyKind) -> Key:
    hashed = sha256(secret.encode()).hexdigest()
    return Key(id=KeyId(name), kind=kind, sha256=hashed, app=AppId("droid"))


def _link(name: str, partner: str, **more: Any) -> Link:
    return Link(id=LinkId(name), product=PRODUCT, partner=PartnerId(partner), campaign=name, **more)


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
