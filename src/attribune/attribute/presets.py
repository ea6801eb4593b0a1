"""Rule books as plain values: our own, and those of other MMPs, so that a move changes no number by surprise.

What the vendors publish is in their help centres (attribution windows, waterfall, reattribution; read in 2025 and 2026);
what they do not publish is ours and listed in docs/concepts/attribution.md.
"""

from __future__ import annotations

from typing import Final

from attribune.model.policy import (
    DAY_MS,
    HOUR_MS,
    Policy,
    ReinstallSince,
    ReturnRule,
    Tier,
    Windows,
)

ATTRIBUNE: Final = Policy()

#: Click before impression, but a guess only when nothing deterministic is there; reattribution for 90 days after the
#: install; a reinstall without a retargeting touch goes on as organic; no minimum inactivity.
APPSFLYER: Final = Policy(
    name="appsflyer",
    windows=Windows(
        click_deterministic_ms=7 * DAY_MS,
        click_probabilistic_ms=24 * HOUR_MS,
        impression_deterministic_ms=24 * HOUR_MS,
        impression_probabilistic_ms=0,
    ),
    order=(
        Tier.CLICK_DETERMINISTIC,
        Tier.IMPRESSION_DETERMINISTIC,
        Tier.CLICK_PROBABILISTIC,
        Tier.IMPRESSION_PROBABILISTIC,
    ),
    probabilistic_off=(),
    probabilistic_on_hosting=True,
    reinstall_ms=90 * DAY_MS,
    reinstall_since=ReinstallSince.INSTALL,
    reinstall_keeps_source=False,
    returns=ReturnRule.SPLIT,
    inactivity_ms=0,
    assists_max=3,
)

#: The published waterfall: click by id or referrer, click by guess, impression by id, impression by guess; a device
#: inactive for seven days that returns through another link is reattributed, whether it reinstalled or not.
ADJUST: Final = Policy(
    name="adjust",
    windows=Windows(
        click_deterministic_ms=7 * DAY_MS,
        click_probabilistic_ms=6 * HOUR_MS,
        impression_deterministic_ms=24 * HOUR_MS,
        impression_probabilistic_ms=6 * HOUR_MS,
    ),
    order=(
        Tier.CLICK_DETERMINISTIC,
        Tier.CLICK_PROBABILISTIC,
        Tier.IMPRESSION_DETERMINISTIC,
        Tier.IMPRESSION_PROBABILISTIC,
    ),
    probabilistic_off=(),
    probabilistic_on_hosting=True,
    referrer_breaks_ties=True,
    returns=ReturnRule.INACTIVE,
    reattribution_ms=7 * DAY_MS,
    inactivity_ms=7 * DAY_MS,
)

PRESETS: Final[dict[str, Policy]] = {p.name: p for p in (ATTRIBUNE, APPSFLYER, ADJUST)}
