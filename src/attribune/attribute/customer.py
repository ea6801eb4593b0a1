"""Customers: a user whom a server has bound to devices, and the source that brought this person, on whatever device it buys.

Nothing here without the policy's ``customer_binding``. The bindings are remembered; whose source they give is looked up anew each
time, so it is always the source that stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attribune.attribute.rows import Binding
from attribune.attribute.state import Standing, lasting
from attribune.attribute.turn import Turn
from attribune.model.ids import DeviceId, Position, ProductId, UserId
from attribune.model.policy import CustomerBinding, Policy

#: Bindings remembered of a user, the newest; a person has fewer devices.
BINDINGS_MAX: Final = 32


def bind(turn: Turn, product: ProductId, user: UserId, device: DeviceId, at_ms: int) -> None:
    """Take note that a server has bound a user to a device, when the policy asks for it.

    By ``first`` a binding counts while no other is in force; by ``last`` each device's first one does.
    """
    if not is_bound(turn, product, turn.position):
        return
    _, policy = turn.directory.policy(product, turn.position)
    turn.desk.put_holder(product, device, user)
    stand = turn.desk.bindings(product, user)
    devices = [binding.device for binding in _in_force(stand, at_ms, policy)]
    if device in devices or (devices and policy.customer_binding is CustomerBinding.FIRST):
        return
    bindings = sorted((*stand, Binding(device, at_ms)), key=lambda one: (one.at_ms, one.device))
    turn.desk.put_bindings(product, user, tuple(bindings[-BINDINGS_MAX:]))


def is_bound(turn: Turn, product: ProductId, about: Position) -> bool:
    """Whether the rules at a place bind customers at all."""
    _, policy = turn.directory.policy(product, about)
    return policy.customer_binding is not CustomerBinding.OFF


def devices_of(
    turn: Turn, product: ProductId, user: UserId, at_ms: int, about: Position
) -> list[DeviceId]:
    """The devices whose bindings hold a user's events at a time, by the rules as they stood at the event's place."""
    _, policy = turn.directory.policy(product, about)
    stand = turn.desk.bindings(product, user)
    return [binding.device for binding in _in_force(stand, at_ms, policy)]


def brought_by(
    turn: Turn, product: ProductId, user: UserId, at_ms: int, about: Position
) -> Standing | None:
    """The source that brought a customer, or None when none is known yet: then the device's own holds.

    By ``first`` the source in force when the user was first bound, organic too; by ``last`` the newest binding to a device that
    somebody brought.
    """
    _, policy = turn.directory.policy(product, about)
    in_force = list(_in_force(turn.desk.bindings(product, user), at_ms, policy))
    if policy.customer_binding is CustomerBinding.FIRST:
        return _standing(turn, product, in_force[0]) if in_force else None
    found = (_standing(turn, product, binding) for binding in reversed(in_force))
    return next((standing for standing in found if standing and standing.credit), None)


def _standing(turn: Turn, product: ProductId, binding: Binding) -> Standing | None:
    """What stood when a user was bound, re-engagements aside: they are credited for a time, and brought nobody."""
    state = turn.desk.device(product, binding.device)
    return lasting(state, binding.at_ms) if state else None


def _in_force(bindings: tuple[Binding, ...], at_ms: int, policy: Policy) -> Iterator[Binding]:
    """The bindings that hold at a time, oldest first. The window is half-open; 0 is for life."""
    window_ms = policy.customer_window_ms
    for binding in bindings:
        age_ms = at_ms - binding.at_ms
        if age_ms >= 0 and (not window_ms or age_ms < window_ms):
            yield binding
