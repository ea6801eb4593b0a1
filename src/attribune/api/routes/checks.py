"""What if, and whether it adds up."""

from __future__ import annotations

from typing import Any

from litestar import get, post
from litestar.params import JSONBody

from attribune.api.access import OPT
from attribune.api.here import Here
from attribune.attribute.presets import PRESETS
from attribune.attribute.replay import Replayed
from attribune.model.control import Scope
from attribune.registry import find, policies
from attribune.registry.requests import Request, SetPolicy
from attribune.report.audit import AuditReport


class AskReplay(Request, frozen=True, kw_only=True):
    """Under which rules; neither preset nor policy means those that were in force then."""

    preset: str | None = None
    policy: dict[str, Any] | None = None
    #: Of which product; all when left out.
    product: str | None = None


@post("/api/replay", sync_to_thread=True, status_code=200, opt={OPT: Scope.READ})
def replay(house: Here, data: JSONBody[AskReplay]) -> Replayed:
    """Decide history again under other rules: who gains and who loses. Writes nothing."""
    policy = None
    if data.preset is not None or data.policy is not None:
        policy = policies.chosen(SetPolicy(preset=data.preset, policy=data.policy), PRESETS)
    registry = house.up_to_date()
    product = find.product(registry, data.product).id if data.product is not None else None
    return house.keeper.replay(policy, product)


@get("/api/audit", sync_to_thread=True)
def audit(house: Here) -> AuditReport:
    """Whether the numbers of the whole folder add up."""
    house.keeper.settle()
    return house.keeper.audit()


HANDLERS: tuple[Any, ...] = (replay, audit)
