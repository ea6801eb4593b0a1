"""Policies: versions of a product's rules, from a preset, a file, or both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from attribune.model.control import PolicySet
from attribune.model.errors import Invalid
from attribune.model.ids import PolicyVersion, ProductId
from attribune.model.policy import DAY_MS, Policy, Windows
from attribune.registry import find, hosting, shown
from attribune.registry.made import Made
from attribune.registry.naming import slug
from attribune.registry.requests import SetPolicy
from attribune.registry.view import DEFAULT_POLICY, Registry

#: Nothing about a device is asked further back than this.
DURATION_MS_MAX: Final = 400 * DAY_MS
OVERRIDES_MAX: Final = 10_000
_OVERRIDES: Final = ("link_windows", "partner_windows")
_WINDOW_NAMES: Final = frozenset(Windows.__struct_fields__)


def read_policy(given: Mapping[str, Any], base: Policy = DEFAULT_POLICY) -> Policy:
    """A policy from plain values; what is left out stays as in the base. Raises Invalid, naming the field."""
    merged: dict[str, Any] = msgspec.to_builtins(base)
    for name, value in given.items():
        if name not in merged:
            known = ", ".join(Policy.__struct_fields__)
            raise Invalid(f"a policy has no field {name!r}; it has {known}", param=name)
        if name == "windows" and isinstance(value, Mapping):
            _refuse_unknown_windows(value, "windows")
            merged[name] = {**merged[name], **value}
        else:
            merged[name] = value
    for name in _OVERRIDES:
        if not isinstance(merged[name], Mapping):
            raise Invalid(f"{name} is a table of windows by id", param=name)
        for owner, windows in merged[name].items():
            _refuse_unknown_windows(windows, f"{name}.{owner}")
    merged[hosting.NAME] = hosting.checked_networks(merged[hosting.NAME])
    try:
        policy = msgspec.convert(merged, Policy)
    except msgspec.ValidationError as fault:
        raise Invalid(f"the policy cannot be read: {fault}", param="policy") from None
    _check(policy)
    return policy


def _refuse_unknown_windows(windows: Any, param: str) -> None:
    unknown = set(windows) - _WINDOW_NAMES if isinstance(windows, Mapping) else {"it"}
    if unknown:
        known = ", ".join(sorted(_WINDOW_NAMES))
        raise Invalid(
            f"{param} takes {known}; not {', '.join(sorted(map(str, unknown)))}", param=param
        )


def _check(policy: Policy) -> None:
    if not slug(policy.name):
        raise Invalid("a policy needs a name of letters and digits", param="name")
    if len(set(policy.order)) != len(policy.order) or not policy.order:
        raise Invalid("order must name at least one tier, and none twice", param="order")
    for name in Policy.__struct_fields__:
        value = getattr(policy, name)
        if name.endswith("_ms") and not 0 <= value <= DURATION_MS_MAX:
            raise Invalid(f"{name} must be 0 to {DURATION_MS_MAX} (400 days)", param=name)
        if name.endswith("_max") and not 0 <= value <= 1000:
            raise Invalid(f"{name} must be 0 to 1000", param=name)
    for windows in (
        policy.windows,
        *policy.link_windows.values(),
        *policy.partner_windows.values(),
    ):
        for name in Windows.__struct_fields__:
            value = getattr(windows, name)
            if value is not None and not 0 <= value <= DURATION_MS_MAX:
                raise Invalid(f"{name} must be 0 to {DURATION_MS_MAX} (400 days)", param=name)
    if len(policy.link_windows) + len(policy.partner_windows) > OVERRIDES_MAX:
        raise Invalid(f"a policy may have at most {OVERRIDES_MAX} overrides", param="link_windows")


def chosen(want: SetPolicy, presets: Mapping[str, Policy]) -> Policy:
    """The policy that is asked for: a preset, fields of one's own, or such fields over a preset. Raises Invalid."""
    if want.preset is None and want.policy is None:
        raise Invalid("give a preset, a policy, or both", param="preset")
    base = DEFAULT_POLICY
    if want.preset is not None:
        if want.preset not in presets:
            known = ", ".join(sorted(presets))
            raise Invalid(f"there is no preset {want.preset!r}; there are {known}", param="preset")
        base = presets[want.preset]
    return read_policy(want.policy or {}, base)


def set_policy(
    registry: Registry, product_: str, want: SetPolicy, presets: Mapping[str, Policy]
) -> Made[shown.PolicyShown]:
    """Set a product's rules from here on, as a new version; the rules that stand already stay.

    Overrides may name partners and links by what people call them. Raises Invalid, NotFound.
    """
    product = find.product(registry, product_).id
    policy = _with_ids(registry, product, chosen(want, presets))
    standing = registry.policies.at(product)
    if standing is not None and standing.policy == policy:
        return Made((), _shown(standing))
    number = len(registry.policies.get(product, ())) + 1
    version = PolicyVersion(f"{slug(policy.name)}@{number}")
    record = PolicySet(product=product, version=version, policy=policy)
    return Made((record,), _shown(record))


def _with_ids(registry: Registry, product: ProductId, policy: Policy) -> Policy:
    partners = {
        str(find.partner(registry, name).id): windows
        for name, windows in policy.partner_windows.items()
    }
    for name in policy.link_windows:
        if find.link(registry, name).product != product:
            raise Invalid(f"link {name} belongs to another product", param=f"link_windows.{name}")
    return msgspec.structs.replace(policy, partner_windows=partners)


def _shown(record: PolicySet) -> shown.PolicyShown:
    return shown.PolicyShown(product=record.product, version=record.version, policy=record.policy)


def policy_in_force(registry: Registry, product_: str) -> shown.PolicyShown:
    """The rules of a product now."""
    product = find.product(registry, product_).id
    version, policy = registry.policy(product)
    return shown.PolicyShown(product=product, version=version, policy=policy)


def policy_versions(registry: Registry, product_: str) -> list[shown.PolicyShown]:
    """Every version of a product's rules that was ever set, oldest first."""
    product = find.product(registry, product_).id
    return [_shown(record) for _, record in registry.policies.get(product, ())]
