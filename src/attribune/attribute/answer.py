"""What an SDK that asks is told of its device: the public wire's object, as JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from attribune.attribute.state import DeviceState, in_force
from attribune.attribute.turn import Turn
from attribune.model.outcome import Credit
from attribune.model.unmeasured import FORGOTTEN, NOT_MEASURED


def answer(state: DeviceState, turn: Turn) -> bytes | None:
    """The body of ``GET /v1/attribution``; None for a device of which nothing is decided yet.

    Of who refused to be measured, or was forgotten, nothing is said, whatever was decided before.
    """
    if state.forgotten_at_ms:
        return FORGOTTEN
    if not state.measurement:
        return NOT_MEASURED
    if not state.has_opened:
        return None
    standing, _ = in_force(state, turn.now_ms)
    credit = standing.credit if standing else None
    found = turn.touch(credit.touch) if credit else None
    extra = found[1].extra if found else {}
    body: dict[str, Any] = {
        "status": "decided",
        "attribution": _attribution(credit, extra),
        "deep_link": credit.deep_link if credit else None,
    }
    link = turn.directory.link(credit.link, found[0]) if found and credit and credit.link else None
    if link and link.deep_link_data:
        body["deep_link_data"] = {
            name: msgspec.Raw(value.encode()) for name, value in link.deep_link_data.items()
        }
    return msgspec.json.encode(body)


def _attribution(credit: Credit | None, extra: dict[str, str]) -> dict[str, Any]:
    return {
        "partner": credit.partner if credit else None,
        "campaign": credit.campaign if credit else None,
        "adgroup": credit.adgroup if credit else None,
        "creative": credit.creative if credit else None,
        "site_id": credit.site_id if credit else None,
        "link": credit.link if credit else None,
        "touch": credit.kind.value if credit else None,
        "method": credit.method.value if credit else None,
        "is_organic": credit is None,
        "click_at": credit.touch_at_ms if credit else None,
        "extra": extra,
    }
