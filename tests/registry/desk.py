"""A registry that keeps what the verbs make, for the tests of this folder."""

from __future__ import annotations

from attribune.engines.system import MemoryClock, SystemChance
from attribune.model.activity import Platform
from attribune.model.control import (
    Change,
    PartnerKind,
)
from attribune.model.policy import Policy
from attribune.registry import apps, links, policies, signing
from attribune.registry.requests import (
    AddApp,
    AddLink,
    AddPartner,
    EditLink,
    SetPolicy,
    SignPartner,
)
from attribune.registry.view import Registry

NOW_MS = MemoryClock().now_ms()
BASE = "https://go.example.com"
CHANCE = SystemChance()
PRESETS = {"attribune": Policy(), "strict": Policy(name="strict", inactivity_ms=0)}


class Desk:
    """A registry that keeps what the verbs make."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.records: list = []

    def keep(self, made):
        for record in made.records:
            self.records.append(record)
            self.registry.apply(len(self.records), Change(at_ms=NOW_MS, record=record))
        return made.answer

    def add_app(self, **words):
        words = {
            "name": "Game",
            "platform": Platform.ANDROID,
            "store_id": "com.example.game",
            **words,
        }
        return self.keep(apps.add_app(self.registry, AddApp(**words), CHANCE, NOW_MS))

    def add_partner(self, name="acme", kind=PartnerKind.AFFILIATE):
        return self.keep(apps.add_partner(self.registry, AddPartner(name=name, kind=kind), CHANCE))

    def sign(self, now_ms=NOW_MS, **words):
        want = SignPartner(**words)
        return self.keep(signing.sign(self.registry, "acme", want, CHANCE, now_ms))

    def add_link(self, **words):
        words = {"app": "game-android", "partner": "acme", **words}
        return self.keep(links.add_link(self.registry, AddLink(**words), CHANCE, BASE))

    def edit_link(self, link_id, **words):
        return self.keep(links.edit_link(self.registry, link_id, EditLink(**words), BASE))

    def set_policy(self, **words):
        return self.keep(policies.set_policy(self.registry, "game", SetPolicy(**words), PRESETS))
