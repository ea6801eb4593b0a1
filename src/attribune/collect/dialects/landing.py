"""A click of ours in an address that an event mentions: the page that it led to says so, whoever measures the page. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from attribune.collect.targets import CLICK_PARAMETER
from attribune.collect.verdict import Judged, Kept
from attribune.model.activity import Event, Evidence
from attribune.model.ids import DeviceId, RecordId, derived
from attribune.model.position import Topic

_MARK: Final = f"{CLICK_PARAMETER}=".encode()
_MARK_TEXT: Final = f"{CLICK_PARAMETER}="
#: How deep an address may stand in an event's values.
_DEPTH_MAX: Final = 4
_LINK_CHARACTERS_MAX: Final = 4096


def with_landings(judged: Iterable[Judged]) -> Iterator[Judged]:
    """The same, with the evidence of a click before the first event of a device that mentions it."""
    told: set[tuple[DeviceId, str | None]] = set()
    for each in judged:
        verdict = each.verdict
        if _MARK in each.raw and isinstance(verdict, Kept) and isinstance(verdict.record, Event):
            found = _evidence(verdict.record)
            if found is not None and (found.device.id, found.link_opened) not in told:
                told.add((found.device.id, found.link_opened))
                yield Judged(Kept(Topic.ACTIVITY, found, is_beside=True), each.raw)
        yield each


def _evidence(event: Event) -> Evidence | None:
    if event.device is None:
        return None
    said = (*event.params.values(), *event.extra.values())
    links = (_link(msgspec.json.decode(value), _DEPTH_MAX) for value in said if _MARK_TEXT in value)
    link = next(filter(None, links), None)
    if link is None:
        return None
    return Evidence(
        id=RecordId(derived("land", event.product, event.id)),
        product=event.product,
        app=event.app,
        sender=event.sender,
        received_at_ms=event.received_at_ms,
        occurred_at_ms=event.occurred_at_ms,
        given_at_ms=event.given_at_ms,
        device=event.device,
        ip=event.ip,
        user_agent=event.user_agent,
        sdk=event.sdk,
        dialect=event.dialect,
        link_opened=link,
    )


def _link(value: object, depth: int) -> str | None:
    """The first address in a value that carries a click of ours."""
    if isinstance(value, str):
        is_one = value.startswith(("http://", "https://")) and _MARK_TEXT in value
        return value if is_one and len(value) <= _LINK_CHARACTERS_MAX else None
    if depth == 0:
        return None
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next(filter(None, (_link(one, depth - 1) for one in inner)), None)
