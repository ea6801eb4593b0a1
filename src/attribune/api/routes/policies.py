"""Policies of products, and the presets they start from."""

from __future__ import annotations

from litestar import get, put
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from attribune.api.here import Here
from attribune.attribute.presets import PRESETS
from attribune.model.policy import Policy
from attribune.registry import policies, shown
from attribune.registry.requests import SetPolicy


class PolicyAnswer(Struct, frozen=True):
    """The rules of a product."""

    policy: shown.PolicyShown


class PoliciesAnswer(Struct, frozen=True):
    """Every version of a product's rules, oldest first, and the one in force."""

    in_force: str
    policies: tuple[shown.PolicyShown, ...]


class PresetsAnswer(Struct, frozen=True):
    """Rules to start from, by name."""

    presets: dict[str, Policy]


@get("/api/products/{product:str}/policy", sync_to_thread=True)
def show_policy(house: Here, product: FromPath[str]) -> PolicyAnswer:
    """The rules of a product now."""
    return PolicyAnswer(policies.policy_in_force(house.up_to_date(), product))


@put("/api/products/{product:str}/policy", sync_to_thread=True)
def set_policy(house: Here, product: FromPath[str], data: JSONBody[SetPolicy]) -> PolicyAnswer:
    """Set the rules of a product from now on."""
    return PolicyAnswer(
        house.change(lambda reg, _: policies.set_policy(reg, product, data, PRESETS))
    )


@get("/api/products/{product:str}/policies", sync_to_thread=True)
def list_policies(house: Here, product: FromPath[str]) -> PoliciesAnswer:
    """Every version of a product's rules that was ever set."""
    registry = house.up_to_date()
    return PoliciesAnswer(
        policies.policy_in_force(registry, product).version,
        tuple(policies.policy_versions(registry, product)),
    )


@get("/api/presets", sync_to_thread=True)
def list_presets() -> PresetsAnswer:
    """Rules to start from."""
    return PresetsAnswer(dict(PRESETS))


HANDLERS = (show_policy, set_policy, list_policies, list_presets)
