"""Trying a partner out: one of its cases is sent for real, once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

from msgspec.structs import replace

from attribune.model.errors import Invalid
from attribune.postback import folders
from attribune.postback.deliver import Answer, Deliverer, judge
from attribune.postback.folders import Case, PartnerFolder
from attribune.postback.lane import DELIVERY_HEADER, SIGNATURE_HEADER, signature
from attribune.postback.render import Request, Skipped

#: As much of an answer as a person reads.
_SHOWN_CHARACTERS: Final = 2000
#: The delivery id of what is tried; no real one looks so.
_ID: Final = "test"


def sent(
    folder: PartnerFolder,
    case: Case,
    settings: Mapping[str, str],
    events: Mapping[str, str],
    allowed: AbstractSet[str],
    *,
    now_ms: int,
    signing_secret: str | None,
) -> dict[str, Any]:
    """Send a case; the request with secrets hidden, the answer, and what came of it. Raises Invalid when nothing would be sent.

    The case's own settings are of an example: what is sent for real takes only those that are given. With ``signing_secret`` it is signed
    as a postback with that secret signs, at ``now_ms``.
    """
    request = folders.made(folder, case, settings, events)
    if isinstance(request, Skipped):
        raise Invalid(f"nothing is sent in the case {case.name!r}: {request.reason}", param="case")
    headers = {**request.headers, DELIVERY_HEADER: _ID}
    if signing_secret is not None:
        headers[SIGNATURE_HEADER] = signature(signing_secret, now_ms, request)
    going = Request(request.method, request.url, headers, request.body)
    answer = asyncio.run(_send(going, allowed))
    said = {
        "status": answer.status,
        "body": answer.body.decode(errors="replace")[:_SHOWN_CHARACTERS],
        "error": answer.error,
        "took_ms": answer.took_ms,
    }
    shown = folders.shown(folder, replace(case, settings={}), settings, events)
    return {**shown, "answer": said, "came": judge(answer, folder.data.success).value}


async def _send(going: Request, allowed: AbstractSet[str]) -> Answer:
    async with Deliverer(allowed) as deliverer:
        return await deliverer.send(going)
