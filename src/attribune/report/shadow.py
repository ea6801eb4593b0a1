"""Shadow: our own installs beside another measurement partner's, matched one by one, with the reason of every difference. Pure.

Two installs are the same when they share an identifier, the touch that won, its click id or the user, and lie within a tolerance
of each other. What we decided says why a touch lost here; what they decided says only who won there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from attribune.model.activity import ForeignKind, ForeignSource, Vendor
from attribune.model.errors import Invalid
from attribune.model.ids import ProductId
from attribune.model.outcome import (
    Attribution,
    ConversionKind,
    ForeignCredited,
    LossReason,
    Outcome,
)

#: Installs of one side that are compared at a time.
INSTALLS_MAX: Final = 1_000_000
#: Disagreements that are listed one by one; all are counted.
LISTED_MAX: Final = 10_000
HOUR_MS: Final = 3_600_000
#: Time zones differ by quarters of an hour; clocks by less than this.
_QUARTER_MS: Final = 15 * 60_000
_CLOCK_MS: Final = 60_000

_OWN_KINDS: Final = frozenset(
    (ConversionKind.INSTALL, ConversionKind.REINSTALL, ConversionKind.REATTRIBUTION)
)
_THEIR_KINDS: Final = frozenset(
    (ForeignKind.INSTALL, ForeignKind.REINSTALL, ForeignKind.REATTRIBUTION, ForeignKind.REJECTED)
)


class Difference(StrEnum):
    """Why our decision about an install and another's differ. A closed set; the docs name each."""

    #: Their winner's touch is older than our window, or its window is off here.
    OUTSIDE_WINDOW = "outside_window"
    #: Their winner's touch competed here, and another ranks higher by our order.
    ORDER = "order"
    #: We have no touch of their winner for this install.
    MISSING_TOUCH = "missing_touch"
    #: They may not say who it was.
    RESTRICTED = "restricted"
    #: The two times of the install are apart by whole hours, which moves the touch out of the window or behind the install.
    TIME_ZONE = "time_zone"
    #: Their winner's touch happened after the install as we know it, or came to us too late.
    TOO_LATE = "too_late"
    #: Their winner's touch has won another conversion here.
    TOUCH_USED = "touch_used"
    #: Their winner's touch would have been a guess here that our rules do not make.
    NOT_GUESSED = "not_guessed"
    #: Only retargeting touches of a silent device compete for a return here.
    NOT_RETARGETING = "not_retargeting"
    #: A person gave it to another here.
    CORRECTED = "corrected"
    #: They credit somebody, and nobody is credited here; why is not known.
    ORGANIC_HERE = "organic_here"
    #: They credit nobody.
    ORGANIC_THERE = "organic_there"
    #: They rejected it as fraud.
    REJECTED_THERE = "rejected_there"
    #: They name a network that is no partner of ours; map it at the door or the import.
    UNKNOWN_NETWORK = "unknown_network"
    #: They do not say where it came from.
    NOT_SAID = "not_said"
    #: Both credit somebody, and not the same; why is not known.
    OTHER_PARTNER = "other_partner"
    #: The same source, but an install on one side and a return on the other.
    OTHER_KIND = "other_kind"


#: What our reason of a loss is in these words.
_LOST: Final = {
    LossReason.OUTSIDE_WINDOW: Difference.OUTSIDE_WINDOW,
    LossReason.WINDOW_OFF: Difference.OUTSIDE_WINDOW,
    LossReason.AFTER_CONVERSION: Difference.TOO_LATE,
    LossReason.LATE: Difference.TOO_LATE,
    LossReason.LOWER_TIER: Difference.ORDER,
    LossReason.OLDER: Difference.ORDER,
    LossReason.TIE: Difference.ORDER,
    LossReason.TOUCH_USED: Difference.TOUCH_USED,
    LossReason.CONTRADICTS: Difference.NOT_GUESSED,
    LossReason.AMBIGUOUS: Difference.NOT_GUESSED,
    LossReason.SHARED_ADDRESS: Difference.NOT_GUESSED,
    LossReason.HOSTING_ADDRESS: Difference.NOT_GUESSED,
    LossReason.PROBABILISTIC_OFF: Difference.NOT_GUESSED,
    LossReason.NOT_RETARGETING: Difference.NOT_RETARGETING,
    LossReason.NOT_INACTIVE: Difference.NOT_RETARGETING,
    LossReason.BEFORE_INSTALL: Difference.NOT_RETARGETING,
    LossReason.CORRECTED: Difference.CORRECTED,
}
#: What a clock in another zone can make of a touch.
_BY_TIME: Final = frozenset((Difference.OUTSIDE_WINDOW, Difference.TOO_LATE))


class Wanted(Struct, frozen=True, kw_only=True):
    """Which installs are compared. Times in milliseconds, UTC; the end is not part of it."""

    product: ProductId
    app: str
    vendor: Vendor
    from_ms: int
    to_ms: int
    tolerance_ms: int = 48 * HOUR_MS
    listed_max: int = 100


class Disagreement(Struct, frozen=True, kw_only=True):
    """One install on which the two differ, with both sides."""

    reason: Difference
    #: Our conversion and the id of their record.
    conversion: str
    record: str
    kind_here: str
    kind_there: str
    at_here_ms: int
    at_there_ms: int
    #: None where nobody is credited.
    partner_here: str | None
    partner_there: str | None
    #: As they name it.
    network: str | None
    campaign_here: str | None
    campaign_there: str | None
    device: str | None
    vendor_device_id: str | None


class Shadow(Struct, kw_only=True):
    """How two decide about the same installs."""

    agree: int = 0
    disagree: int = 0
    #: Installs that the other did not tell of.
    only_here: int = 0
    #: Installs that we did not see.
    only_there: int = 0
    by_reason: dict[str, int] = field(default_factory=dict)
    disagreements: list[Disagreement] = field(default_factory=list)


class _Here(Struct, kw_only=True):
    """One of our conversions, as far as it is compared."""

    newest: Attribution
    is_matched: bool = False


def compare(outcomes: Iterable[Outcome], wanted: Wanted) -> Shadow:
    """Match the installs of both sides and count. Raises Invalid when there are too many for one comparison."""
    here, there = _sides(outcomes, wanted)
    found = Shadow()
    counts: Counter[str] = Counter()
    for mine, theirs in _pairs(here, there, wanted):
        if mine is None or theirs is None:
            _count_single(found, mine, theirs, wanted)
            continue
        if not _is_within(mine.newest.at_ms, wanted):
            continue
        reason = difference(mine.newest, theirs)
        if reason is None:
            found.agree += 1
            continue
        found.disagree += 1
        counts[reason.value] += 1
        if len(found.disagreements) < min(wanted.listed_max, LISTED_MAX):
            found.disagreements.append(_told(reason, mine.newest, theirs))
    found.by_reason = dict(counts.most_common())
    return found


def difference(mine: Attribution, theirs: ForeignCredited) -> Difference | None:
    """Why two decisions about an install differ; None when they agree."""
    partner = mine.credit.partner if mine.credit else None
    if theirs.kind is ForeignKind.REJECTED:
        return Difference.REJECTED_THERE
    if theirs.source is ForeignSource.ORGANIC:
        if partner is not None:
            return Difference.ORGANIC_THERE
        return _other_kind(mine, theirs)
    if theirs.partner is not None:
        if theirs.partner == partner:
            return _other_kind(mine, theirs)
        return _why_lost(mine, theirs)
    if theirs.source is ForeignSource.RESTRICTED:
        return Difference.RESTRICTED
    return Difference.UNKNOWN_NETWORK if theirs.network else Difference.NOT_SAID


def _other_kind(mine: Attribution, theirs: ForeignCredited) -> Difference | None:
    is_install = mine.kind is ConversionKind.INSTALL
    return Difference.OTHER_KIND if is_install != (theirs.kind is ForeignKind.INSTALL) else None


def _why_lost(mine: Attribution, theirs: ForeignCredited) -> Difference:
    """What became here of the touch that won there, or of the best one of its partner."""
    by_partner = [one for one in mine.candidates if one.partner == theirs.partner]
    same = [one for one in by_partner if one.touch == theirs.touch]
    lost = next((one.lost_because for one in (*same, *by_partner) if one.lost_because), None)
    if lost is not None:
        reason = _LOST[lost]
        shifted = reason in _BY_TIME and _is_shifted(mine.at_ms, theirs.at_ms)
        return Difference.TIME_ZONE if shifted else reason
    if not mine.not_listed and not by_partner:
        return Difference.MISSING_TOUCH
    return Difference.OTHER_PARTNER if mine.credit else Difference.ORGANIC_HERE


def _is_shifted(here_ms: int, there_ms: int) -> bool:
    """Whether two times of one moment are apart as clocks of two zones are."""
    apart_ms = abs(here_ms - there_ms)
    rest = apart_ms % _QUARTER_MS
    return apart_ms >= HOUR_MS - _CLOCK_MS and min(rest, _QUARTER_MS - rest) <= _CLOCK_MS


# --- the two sides


def _sides(
    outcomes: Iterable[Outcome], wanted: Wanted
) -> tuple[dict[str, _Here], list[ForeignCredited]]:
    """The newest revisions of our conversions, and their installs as they were told last."""
    here: dict[str, _Here] = {}
    there: dict[str, ForeignCredited] = {}
    updates: dict[str, ForeignCredited] = {}
    for outcome in outcomes:
        if isinstance(outcome, Attribution):
            if (outcome.product, outcome.app) == (wanted.product, wanted.app):
                _take(here, outcome, wanted)
        elif isinstance(outcome, ForeignCredited) and _is_theirs(outcome, wanted):
            if outcome.kind is ForeignKind.UPDATE and outcome.vendor_device_id:
                updates[outcome.vendor_device_id] = outcome
            elif outcome.kind in _THEIR_KINDS and not outcome.name:
                there[outcome.record] = outcome
        if max(len(here), len(there)) > INSTALLS_MAX:
            raise Invalid(
                f"more than {INSTALLS_MAX} installs cannot be compared at a time; give fewer days",
                param="from",
            )
    return here, [_updated(one, updates) for one in there.values()]


def _take(here: dict[str, _Here], outcome: Attribution, wanted: Wanted) -> None:
    margin = wanted.tolerance_ms
    is_near = wanted.from_ms - margin <= outcome.at_ms < wanted.to_ms + margin
    if outcome.kind in _OWN_KINDS and is_near:
        here[outcome.conversion] = _Here(newest=outcome)
    else:
        here.pop(outcome.conversion, None)


def _is_theirs(outcome: ForeignCredited, wanted: Wanted) -> bool:
    margin = wanted.tolerance_ms
    return (
        outcome.vendor is wanted.vendor
        and (outcome.product, outcome.app) == (wanted.product, wanted.app)
        and wanted.from_ms - margin <= outcome.at_ms
        # An update comes whenever the vendor has learnt more.
        and (outcome.at_ms < wanted.to_ms + margin or outcome.kind is ForeignKind.UPDATE)
    )


def _updated(one: ForeignCredited, updates: dict[str, ForeignCredited]) -> ForeignCredited:
    """An install under the source that the vendor gave it last."""
    newer = updates.get(one.vendor_device_id or "")
    if newer is None or newer.at_ms < one.at_ms or one.kind is ForeignKind.REJECTED:
        return one
    return replace(
        one,
        source=newer.source,
        partner=newer.partner,
        touch=newer.touch,
        network=newer.network,
        campaign=newer.campaign,
    )


def _pairs(
    here: dict[str, _Here], there: list[ForeignCredited], wanted: Wanted
) -> Iterator[tuple[_Here | None, ForeignCredited | None]]:
    """Each of theirs with the nearest of ours that it shares a handle with; then ours that are left."""
    by_handle: defaultdict[str, list[_Here]] = defaultdict(list)
    for mine in here.values():
        for handle in own_handles(mine.newest):
            by_handle[handle].append(mine)
    # A rejected twin of an install comes after the install itself.
    there.sort(key=lambda one: (one.kind is ForeignKind.REJECTED, one.at_ms, one.record))
    for theirs in there:
        near = {
            id(mine): mine
            for handle in their_handles(theirs)
            for mine in by_handle.get(handle, ())
            if abs(mine.newest.at_ms - theirs.at_ms) <= wanted.tolerance_ms
        }
        free = [mine for mine in near.values() if not mine.is_matched]
        if not free:
            yield None, theirs
            continue
        best = min(
            free, key=lambda mine: (abs(mine.newest.at_ms - theirs.at_ms), mine.newest.conversion)
        )
        best.is_matched = True
        yield best, theirs
    for mine in here.values():
        if not mine.is_matched:
            yield mine, None


def own_handles(mine: Attribution) -> set[str]:
    """What an install of ours can be known by elsewhere: its device's ids, its user, and the touch that won; not those that lost."""
    lost = {str(one.touch) for one in mine.candidates if one.lost_because}
    words = {*mine.handles, mine.device, mine.user_id}
    if mine.credit:
        words |= {mine.credit.touch, mine.credit.partner_click_id}
    return {str(word).lower() for word in words if word} - lost


def their_handles(theirs: ForeignCredited) -> set[str]:
    """The same of theirs."""
    words = {*theirs.handles, theirs.device, theirs.user_id}
    return {str(word).lower() for word in words if word}


def _count_single(
    found: Shadow, mine: _Here | None, theirs: ForeignCredited | None, wanted: Wanted
) -> None:
    """An install that one side alone tells of; what came back onto a device is no install to miss."""
    if mine is not None:
        if mine.newest.kind is not ConversionKind.REINSTALL:
            found.only_here += _is_within(mine.newest.at_ms, wanted)
    elif theirs is not None and theirs.kind in (ForeignKind.INSTALL, ForeignKind.REATTRIBUTION):
        found.only_there += _is_within(theirs.at_ms, wanted)


def _is_within(at_ms: int, wanted: Wanted) -> bool:
    return wanted.from_ms <= at_ms < wanted.to_ms


def _told(reason: Difference, mine: Attribution, theirs: ForeignCredited) -> Disagreement:
    credit = mine.credit
    return Disagreement(
        reason=reason,
        conversion=mine.conversion,
        record=theirs.record,
        kind_here=mine.kind.value,
        kind_there=theirs.kind.value,
        at_here_ms=mine.at_ms,
        at_there_ms=theirs.at_ms,
        partner_here=credit.partner if credit else None,
        partner_there=theirs.partner,
        network=theirs.network,
        campaign_here=credit.campaign if credit else None,
        campaign_there=theirs.campaign,
        device=mine.device,
        vendor_device_id=theirs.vendor_device_id,
    )
