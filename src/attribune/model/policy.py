"""A policy: the rules of a product, as one plain value. What reads it is the room ``attribute``."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct, field

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS


class MatchMethod(StrEnum):
    """How a touch and a conversion were joined."""

    #: Our touch id through the Play referrer, an opened link or a universal link.
    REFERRER = "REFERRER"
    #: A network's or AdServices' own word.
    CLAIM = "CLAIM"
    #: The same advertising, vendor or app-set id on both sides, plain or hashed.
    DEVICE_ID = "DEVICE_ID"
    #: Address and features; a guess with a stated confidence.
    PROBABILISTIC = "PROBABILISTIC"
    #: A person said so.
    CORRECTION = "CORRECTION"


class Tier(StrEnum):
    """The steps of the waterfall; a policy puts them in order."""

    #: A click joined by referrer, claim or identifier.
    CLICK_DETERMINISTIC = "click_deterministic"
    #: A click joined by guess.
    CLICK_PROBABILISTIC = "click_probabilistic"
    #: An impression joined by referrer, claim or identifier.
    IMPRESSION_DETERMINISTIC = "impression_deterministic"
    #: An impression joined by guess.
    IMPRESSION_PROBABILISTIC = "impression_probabilistic"


class Windows(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How old a touch may be at the conversion, half-open. Milliseconds; 0 is off; None keeps what stands above."""

    #: A click joined by referrer, claim or identifier.
    click_deterministic_ms: int | None = None
    #: A click joined by guess.
    click_probabilistic_ms: int | None = None
    #: An impression joined by referrer, claim or identifier.
    impression_deterministic_ms: int | None = None
    #: An impression joined by guess.
    impression_probabilistic_ms: int | None = None


class ReturnRule(StrEnum):
    """What makes a known device's return through a retargeting touch a conversion."""

    #: A reinstall becomes a reattribution, an open by an installed device a re-engagement (AppsFlyer's split).
    SPLIT = "split"
    #: Any inactive device that returns through a touch of another link is reattributed (Adjust).
    INACTIVE = "inactive"


class ReinstallSince(StrEnum):
    """From when the time is counted in which a new installation of a known person is a reinstall."""

    #: From the last sign of life of the person's earlier installation.
    LAST_SEEN = "last_seen"
    #: From the person's last install that counted as one (AppsFlyer's reattribution window).
    INSTALL = "install"


class CustomerBinding(StrEnum):
    """Whose an event is of a user whom a server has bound to devices."""

    #: Each event is its own device's.
    OFF = "off"
    #: The source in force when the user was first bound.
    FIRST = "first"
    #: The source of the newest device that the user was bound to and that somebody brought.
    LAST = "last"


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules a product's conversions are decided under. Times in milliseconds; see docs/concepts/attribution.md."""

    #: The preset it started from, or a name of the operator's own.
    name: str = "attribune"
    #: How old a touch may be at the conversion, by tier.
    windows: Windows = Windows(
        click_deterministic_ms=7 * DAY_MS,
        click_probabilistic_ms=6 * HOUR_MS,
        impression_deterministic_ms=24 * HOUR_MS,
        impression_probabilistic_ms=0,
    )
    #: The tiers, best first; a tier that is left out is off.
    order: tuple[Tier, ...] = (
        Tier.CLICK_DETERMINISTIC,
        Tier.CLICK_PROBABILISTIC,
        Tier.IMPRESSION_DETERMINISTIC,
        Tier.IMPRESSION_PROBABILISTIC,
    )
    #: Platforms on which nothing is matched by guess.
    probabilistic_off: tuple[str, ...] = ("ios",)
    #: An address with more different devices than this in its window is shared, and guesses nothing.
    shared_address_devices_max: int = 10
    #: Networks of hosting providers, data centres and VPNs, in CIDR form.
    hosting_networks: tuple[str, ...] = ()
    #: Touches and opens from those networks are matched by guess all the same.
    probabilistic_on_hosting: bool = False
    #: A touch that has won a conversion wins no other.
    one_touch_one_conversion: bool = True
    #: A touch by referrer beats one by identifier that happened in the same millisecond.
    referrer_breaks_ties: bool = False
    #: A new device id with another id of an installation this recent is a reinstall.
    reinstall_ms: int = 90 * DAY_MS
    #: From when that time is counted.
    reinstall_since: ReinstallSince = ReinstallSince.LAST_SEEN
    #: A reinstall without a retargeting touch keeps the source that brought the device.
    reinstall_keeps_source: bool = True
    #: What makes a known device's return a conversion.
    returns: ReturnRule = ReturnRule.SPLIT
    #: Window of a retargeting touch for a reinstall.
    reattribution_ms: int = 7 * DAY_MS
    #: Window of a retargeting touch for the return of an installed device.
    reengagement_lookback_ms: int = 7 * DAY_MS
    #: How long the device must have been silent at the touch.
    inactivity_ms: int = 7 * DAY_MS
    #: How long events are credited to a re-engagement as primary.
    reengagement_credit_ms: int = 30 * DAY_MS
    #: Evidence of the same installation that comes this late counts as if it had come with the open.
    evidence_ms: int = 24 * HOUR_MS
    #: Events before any open wait this long for it.
    hold_ms: int = 24 * HOUR_MS
    #: A touch appended after the decision changes it only within this time.
    reconsider_ms: int = 0
    #: A touch of the journal's own clock that lies this little after the conversion's stated time has age 0.
    clock_skew_ms: int = 5 * MINUTE_MS
    #: Whose events are of a user whom a server has bound: each device's, or the customer's first or last source's.
    customer_binding: CustomerBinding = CustomerBinding.OFF
    #: How long a customer's binding holds; 0 is for life.
    customer_window_ms: int = 0
    #: How many eligible losers are kept in order.
    assists_max: int = 20
    #: Windows of single links, over all others.
    link_windows: dict[str, Windows] = field(default_factory=dict)
    #: Windows of single partners, over the policy's own.
    partner_windows: dict[str, Windows] = field(default_factory=dict)


def longest_ms(policy: Policy) -> int:
    """The longest time that any rule of a policy looks back or waits. Milliseconds."""
    every = (
        policy,
        policy.windows,
        *policy.link_windows.values(),
        *policy.partner_windows.values(),
    )
    times = (
        getattr(one, name)
        for one in every
        for name in one.__struct_fields__
        if name.endswith("_ms")
    )
    return max(at or 0 for at in times)
