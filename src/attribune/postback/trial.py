"""Trying a partner out: one of its cases is sent for real, once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

from attribune.model.errors import Invalid
from attribune.postback import folders
from attribune.postback.deliver import Answer, Deliverer, judge
from attribune.postback.folders import Case, PartnerFolder
from attribune.postback.render import Request, Skipped

#: As much of an answer as a person reads.
_SHOWN_CHARACTERS: Final = 2000


def sent(
    folder: PartnerFolder,
    case: Case,
    settings: Mapping[str, str],
    events: Mapping[str, str],
    allowed: AbstractSet[str],
) -> dict[str, Any]:
    """Send a case; the request with secrets hidden, the answer, and what came of it. Raises Invalid when nothing would be sent."""
    request = folders.made(folder, case, {**case.settings, **settings}, events)
    if isinstance(request, Skipped):
        raise Invalid(f"nothing is sent in the case {case.name!r}: {request.reason}", param="case")
    answer = asyncio.run(_send(request, allowed))
    said = {
        "status": answer.status,
        "body": answer.body.decode(errors="replace")[:_SHOWN_CHARACTERS],
        "error": answer.error,
        "took_ms": answer.took_ms,
    }
    shown = folders.shown(folder, case, settings, events)
    return {**shown, "answer": said, "came": judge(answer, folder.data.success).value}


async def _send(request: Request, allowed: AbstractSet[str]) -> Answer:
    async with Deliverer(allowed) as deliverer:
        return await deliverer.send(request)
