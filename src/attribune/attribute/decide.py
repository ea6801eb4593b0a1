"""The decision: which of the touches found for a conversion wins, and why each other lost.

Arguments only. The steps, in order: a touch that cannot compete gets its reason; of guesses, all fall when they could be
of different people; the rest are ranked, the first wins, the others learn what beat them.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from attribune.attribute.features import Features, contradict
from attribune.attribute.window import age_ms, eligible, lookback_ms, tier
from attribune.model.ids import LinkId, Position, TouchId
from attribune.model.outcome import Candidate, Credit, LossReason
from attribune.model.policy import MatchMethod, Policy, Tier
from attribune.model.touch import Touch, TouchKind, TouchOrigin


class Found(Struct, frozen=True, gc=False, kw_only=True):
    """A touch found for a conversion."""

    touch: Touch
    method: MatchMethod
    position: Position
    #: Has already won another conversion.
    is_used: bool = False
    features: Features = Features()
    #: Its address lies in the policy's hosting networks; looked at for guesses only.
    is_hosting: bool = False


class Case(Struct, frozen=True, kw_only=True):
    """What is to be decided."""

    #: When the conversion happened. Milliseconds, UTC.
    at_ms: int
    platform: str
    policy: Policy
    features: Features = Features()
    #: Only retargeting touches compete, within this window, and never by guess. None for an install.
    return_lookback_ms: int | None = None
    #: Any touch may bring a device back, but not one of this link (rule INACTIVE).
    not_of_link: LinkId | None = None
    any_touch_returns: bool = False
    #: Since when the device has the app; earlier touches cannot have brought it back.
    installed_at_ms: int = 0
    #: How many devices opened from the address in its window, this one included.
    devices_at_address: int = 1
    #: The open's address lies in the policy's hosting networks.
    is_hosting: bool = False
    #: When the device was last active before a time, for returns. (from, to) of its sessions, in order.
    sessions: tuple[tuple[int, int], ...] = ()


class Decision(Struct, frozen=True, kw_only=True):
    """The winner, or none, and every candidate with its reason."""

    credit: Credit | None
    candidates: tuple[Candidate, ...]
    not_listed: dict[str, int] = field(default_factory=dict)


class _Judged(Struct):
    found: Found
    tier: Tier
    age: int
    lost: LossReason | None


def decide(case: Case, found: Sequence[Found]) -> Decision:
    """Judge every touch found, pick the winner and give each loser its reason."""
    judged = [_judge(case, f) for f in found]
    _refuse_ambiguous(judged)
    ranked = sorted(
        (j for j in judged if j.lost is None), key=lambda j: _rank(case.policy, j), reverse=True
    )
    rest = sorted((j for j in judged if j.lost is not None), key=_newest, reverse=True)
    for loser in ranked[1:]:
        loser.lost = _beaten_by(loser, ranked[0])
    credit = _credit(case, ranked[0]) if ranked else None
    listed, not_listed = _listed(ranked, rest, case.policy.assists_max)
    return Decision(credit=credit, candidates=listed, not_listed=not_listed)


def _judge(case: Case, found: Found) -> _Judged:
    touch = found.touch
    step = tier(touch.kind, found.method)
    # Only our own clock can be compared with the journal's order; a server may tell of touches that came later.
    skew = case.policy.clock_skew_ms if touch.origin is TouchOrigin.REDIRECT else 0
    proven = found.method is MatchMethod.REFERRER
    age = age_ms(touch.occurred_at_ms, case.at_ms, is_proven=proven, clock_skew_ms=skew)
    return _Judged(found, step, age, _why_not(case, found, step, age))


def _why_not(case: Case, found: Found, step: Tier, age: int) -> LossReason | None:
    """The first reason why a touch cannot compete, or None."""
    guess = found.method is MatchMethod.PROBABILISTIC
    lookback = lookback_ms(found.touch, step, case.policy)
    if case.return_lookback_ms is not None:
        lookback = (
            min(lookback, case.return_lookback_ms) if _is_view(found) else case.return_lookback_ms
        )
        if reason := _why_no_return(case, found, guess=guess):
            return reason
    if guess and case.platform in case.policy.probabilistic_off:
        return LossReason.PROBABILISTIC_OFF
    if lookback <= 0 or step not in case.policy.order:  # a tier that the order leaves out is off
        return LossReason.WINDOW_OFF
    if age < 0:
        return LossReason.AFTER_CONVERSION
    if not eligible(age, lookback):
        return LossReason.OUTSIDE_WINDOW
    if found.is_used and case.policy.one_touch_one_conversion:
        return LossReason.TOUCH_USED
    if guess:
        return _why_no_guess(case, found)
    return None


def _why_no_guess(case: Case, found: Found) -> LossReason | None:
    if (case.is_hosting or found.is_hosting) and not case.policy.probabilistic_on_hosting:
        return LossReason.HOSTING_ADDRESS
    if case.devices_at_address > case.policy.shared_address_devices_max:
        return LossReason.SHARED_ADDRESS
    return LossReason.CONTRADICTS if contradict(found.features, case.features) else None


def _why_no_return(case: Case, found: Found, *, guess: bool) -> LossReason | None:
    """Why a touch cannot bring a known device back."""
    touch = found.touch
    if guess:
        return LossReason.PROBABILISTIC_OFF
    same_link = case.not_of_link is not None and touch.link == case.not_of_link
    if same_link or not (touch.is_retargeting or case.any_touch_returns):
        return LossReason.NOT_RETARGETING
    if touch.occurred_at_ms < case.installed_at_ms:
        return LossReason.BEFORE_INSTALL
    if silent_ms(case.sessions, touch.occurred_at_ms) < case.policy.inactivity_ms:
        return LossReason.NOT_INACTIVE
    return None


def silent_ms(sessions: Sequence[tuple[int, int]], at_ms: int) -> int:
    """How long a device had been silent at a time; endless when it was never seen before."""
    before = [min(last, at_ms) for first, last in sessions if first < at_ms]
    return at_ms - max(before) if before else 2**62


def _refuse_ambiguous(judged: Sequence[_Judged]) -> None:
    """Guesses that could be of different people are no match: their ids or their features differ."""
    guesses = [j for j in judged if j.lost is None and j.found.method is MatchMethod.PROBABILISTIC]
    if any(_differ(a.found, b.found) for i, a in enumerate(guesses) for b in guesses[:i]):
        for guess in guesses:
            guess.lost = LossReason.AMBIGUOUS


def _differ(one: Found, other: Found) -> bool:
    a, b = one.touch.ids, other.touch.ids
    if any(a[kind] != b[kind] for kind in a.keys() & b.keys()):
        return True
    return contradict(one.features, other.features)


def _rank(policy: Policy, judged: _Judged) -> tuple[int, int, bool, TouchId]:
    """Higher wins: the better step, then the newer touch, then (where so ruled) a referrer, then the higher touch id."""
    touch, method = judged.found.touch, judged.found.method
    sure = policy.referrer_breaks_ties and method is MatchMethod.REFERRER
    return (-policy.order.index(judged.tier), touch.occurred_at_ms, sure, touch.id)


def _newest(judged: _Judged) -> tuple[int, TouchId]:
    return (judged.found.touch.occurred_at_ms, judged.found.touch.id)


def _beaten_by(loser: _Judged, winner: _Judged) -> LossReason:
    if loser.tier is not winner.tier:
        return LossReason.LOWER_TIER
    same_time = loser.found.touch.occurred_at_ms == winner.found.touch.occurred_at_ms
    return LossReason.TIE if same_time else LossReason.OLDER


def _is_view(found: Found) -> bool:
    return found.touch.kind is TouchKind.IMPRESSION


def _listed(
    ranked: Sequence[_Judged], rest: Sequence[_Judged], assists_max: int
) -> tuple[tuple[Candidate, ...], dict[str, int]]:
    """The winner and the best losers one by one, eligible ones first; the others counted by reason."""
    order = [*ranked, *rest]
    keep = assists_max + 1 if ranked else assists_max
    counts: dict[str, int] = {}
    for j in order[keep:]:
        reason = j.lost.value if j.lost else ""
        counts[reason] = counts.get(reason, 0) + 1
    return tuple(map(_candidate, order[:keep])), dict(sorted(counts.items()))


def _candidate(judged: _Judged) -> Candidate:
    touch = judged.found.touch
    return Candidate(
        touch=touch.id,
        partner=touch.partner,
        kind=touch.kind,
        method=judged.found.method,
        touch_at_ms=touch.occurred_at_ms,
        age_ms=judged.age,
        link=touch.link,
        campaign=touch.campaign,
        lost_because=judged.lost,
        signature_fault=touch.signature_fault,
    )


def _credit(case: Case, winner: _Judged) -> Credit:
    guess = winner.found.method is MatchMethod.PROBABILISTIC
    # The more devices share the address, the less a guess is worth.
    confidence = round(1 / case.devices_at_address, 4) if guess else None
    return credit_of(winner.found.touch, winner.found.method, confidence)


def credit_of(touch: Touch, method: MatchMethod, confidence: float | None = None) -> Credit:
    """The words of a touch that wins."""
    return Credit(
        touch=touch.id,
        partner=touch.partner,
        kind=touch.kind,
        method=method,
        touch_at_ms=touch.occurred_at_ms,
        link=touch.link,
        campaign=touch.campaign,
        campaign_id=touch.campaign_id,
        adgroup=touch.adgroup,
        adgroup_id=touch.adgroup_id,
        creative=touch.creative,
        creative_id=touch.creative_id,
        site_id=touch.site_id,
        sub_site_id=touch.sub_site_id,
        partner_click_id=touch.partner_click_id,
        confidence=confidence,
        deep_link=touch.deep_link,
        signature_fault=touch.signature_fault,
    )
