"""Windows: how old a touch may be at the conversion, and still win."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from attribune.attribute.same import Same
from attribune.model.policy import MatchMethod, Policy, Tier, Windows
from attribune.model.touch import Touch, TouchKind

_TIERS = {
    (TouchKind.CLICK, True): Tier.CLICK_DETERMINISTIC,
    (TouchKind.CLICK, False): Tier.CLICK_PROBABILISTIC,
    (TouchKind.IMPRESSION, True): Tier.IMPRESSION_DETERMINISTIC,
    (TouchKind.IMPRESSION, False): Tier.IMPRESSION_PROBABILISTIC,
}

_FIELDS = {step: f"{step.value}_ms" for step in Tier}
#: Versions of rules that are in use at a time, and more.
_POLICIES_MAX: Final = 256


def tier(kind: TouchKind, method: MatchMethod) -> Tier:
    """The step of the waterfall that a touch stands on."""
    return _TIERS[kind, method is not MatchMethod.PROBABILISTIC]


def lookback_ms(touch: Touch, step: Tier, policy: Policy) -> int:
    """The window of a touch on a step, in milliseconds; 0 is off.

    The most particular wins: the touch's own (only trusted touches have one, and only deterministic steps heed it), its
    link's, its partner's, the policy's.
    """
    own = touch.click_lookback_ms if touch.kind is TouchKind.CLICK else touch.view_lookback_ms
    if own is not None and step in (Tier.CLICK_DETERMINISTIC, Tier.IMPRESSION_DETERMINISTIC):
        return own
    for windows in (
        policy.link_windows.get(touch.link or ""),
        policy.partner_windows.get(touch.partner),
        policy.windows,
    ):
        value = _of(windows, step) if windows else None
        if value is not None:
            return value
    return 0


def longest_ms(policy: Policy) -> int:
    """The longest window that any touch could have under a policy, but for windows that touches bring themselves."""
    return _longest_ms(Same(policy))


@lru_cache(maxsize=_POLICIES_MAX)
def _longest_ms(key: Same[Policy]) -> int:
    policy = key.value
    every = [policy.windows, *policy.link_windows.values(), *policy.partner_windows.values()]
    spans = [_of(windows, step) or 0 for windows in every for step in Tier]
    return max(*spans, policy.reattribution_ms, policy.reengagement_lookback_ms)


def age_ms(touch_at_ms: int, at_ms: int, *, is_proven: bool, clock_skew_ms: int) -> int:
    """How old a touch was at a conversion; never negative when the touch is proven to have come first.

    A referrer proves it. Otherwise a touch of our own clock that lies within the skew after the conversion's stated time
    is taken for one that came just before, since it was journaled before.
    """
    age = at_ms - touch_at_ms
    if age < 0 and (is_proven or -age <= clock_skew_ms):
        return 0
    return age


def eligible(age: int, lookback: int) -> bool:
    """A touch may win when it came before the conversion and is younger than its window.

    The window is half-open: a touch exactly ``lookback`` old has left it.
    """
    return 0 <= age < lookback


def _of(windows: Windows, step: Tier) -> int | None:
    return getattr(windows, _FIELDS[step])  # type: ignore[no-any-return]
