"""Gathering: every touch that could have led to a conversion, found by what the device and its store say."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from attribune.attribute.decide import Found
from attribune.attribute.features import Features, of_touch
from attribune.attribute.hosting import is_hosting
from attribune.attribute.keys import UNKNOWN_OS, address_key, device_id_keys, network
from attribune.attribute.state import OpenNote
from attribune.attribute.turn import Turn
from attribune.attribute.window import longest_ms
from attribune.model.activity import Claim, Platform
from attribune.model.ids import ConversionId, Position, ProductId, TouchId, digest, uuid7
from attribune.model.policy import MatchMethod, Policy
from attribune.model.touch import Touch, TouchOrigin

#: The operating system that touches of a platform's devices are filed under.
_OS = {Platform.ANDROID: "android", Platform.IOS: "ios"}


class Search(Struct, frozen=True, kw_only=True):
    """What to look by."""

    product: ProductId
    platform: Platform
    policy: Policy
    #: Only touches that stand before this place.
    as_of: Position
    at_ms: int
    touches: tuple[TouchId, ...] = ()
    ids: tuple[tuple[str, str], ...] = ()
    claims: tuple[Claim, ...] = ()
    #: The open whose address is looked by; None looks by no address.
    open: OpenNote | None = None
    #: Conversions whose touches may win again: the one that is decided anew, and those it replaces.
    own: frozenset[ConversionId] = frozenset()


def gather(turn: Turn, search: Search) -> list[Found]:
    """The touches that could have led to it, each once and by its surest method."""
    found: dict[TouchId, Found] = {}
    for name in search.touches:
        _add(turn, search, found, name, MatchMethod.REFERRER)
    for claim in search.claims:
        touch = claimed(claim)
        found[touch.id] = _found(turn, search, touch, MatchMethod.CLAIM, search.as_of)
    hashed = turn.desk.has_hashed(search.product)
    for name in _by_keys(
        turn, search, device_id_keys(search.product, search.ids, with_hashed=hashed)
    ):
        _add(turn, search, found, name, MatchMethod.DEVICE_ID)
    for name in _by_keys(turn, search, _address_keys(search)):
        _add(turn, search, found, name, MatchMethod.PROBABILISTIC)
    return list(found.values())


def claimed(claim: Claim) -> Touch:
    """The touch that a network claims; its id is derived, so that the same claim is the same touch."""
    return Touch(
        id=uuid7(claim.touch_at_ms, digest("claim", claim.product, claim.id, size=10)),
        kind=claim.kind,
        product=claim.product,
        partner=claim.partner,
        origin=TouchOrigin.CLAIM,
        received_at_ms=claim.received_at_ms,
        occurred_at_ms=claim.touch_at_ms,
        record_id=claim.id,
        partner_click_id=claim.partner_click_id,
        campaign=claim.campaign,
        campaign_id=claim.campaign_id,
        adgroup=claim.adgroup,
        adgroup_id=claim.adgroup_id,
        creative=claim.creative,
        creative_id=claim.creative_id,
        is_retargeting=claim.is_retargeting,
    )


def _add(
    turn: Turn, search: Search, found: dict[TouchId, Found], name: TouchId, method: MatchMethod
) -> None:
    if name in found:
        return
    filed = turn.touch(name)
    if filed is None:
        return
    position, touch = filed
    if position < search.as_of and touch.product == search.product:
        found[name] = _found(turn, search, touch, method, position)


def _found(
    turn: Turn, search: Search, touch: Touch, method: MatchMethod, position: Position
) -> Found:
    guess = method is MatchMethod.PROBABILISTIC
    return Found(
        touch=touch,
        method=method,
        position=position,
        is_used=any(won not in search.own for won in turn.desk.won_by(touch.id)),
        features=of_touch(touch, turn.enricher) if guess else Features(),
        is_hosting=guess and is_hosting(search.policy, touch.ip),
    )


def _by_keys(turn: Turn, search: Search, keys: Iterable[bytes]) -> Iterable[TouchId]:
    longest = max(longest_ms(search.policy), turn.desk.longest_own_ms(search.product))
    for key in keys:
        yield from turn.desk.touches_by(
            key, search.at_ms - longest, turn.now_ms, turn.limits.candidates_max
        )


def _address_keys(search: Search) -> list[bytes]:
    net = network(search.open.address) if search.open else None
    if net is None:
        return []
    os = _OS.get(search.platform, "other")
    return [address_key(search.product, net, os), address_key(search.product, net, UNKNOWN_OS)]
