"""The record doors: ``POST /v1/batch`` and one door for each type of record."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from msgspec import structs

from attribune.collect.asking import Waiting
from attribune.collect.keeping import keep_judged
from attribune.collect.means import Means
from attribune.collect.native import page_key, read_batch, read_record
from attribune.collect.origins import is_registered
from attribune.collect.records import Telling
from attribune.collect.refuse import About, Refused
from attribune.collect.request import Answer, Request, json_answer
from attribune.collect.speaker import Speaker, check_signature, page_speaker, speaker_of
from attribune.collect.turns import RECORD_COST_BYTES
from attribune.collect.verdict import Judged, Kept, Verdict, peek
from attribune.model.activity import Open
from attribune.model.touch import Touch

#: Types of records that have a door of their own.
SINGLE: Final = ("click", "impression", "open", "event", "consent", "evidence", "claim")

Result = dict[str, Any]


class RecordDoors:
    """Hears records of apps, sites and servers; a verdict for each."""

    def __init__(self, means: Means, waiting: Waiting) -> None:
        """Take what is needed."""
        self._means = means
        self._waiting = waiting

    async def batch(self, request: Request) -> Answer:
        """Many records in one call. One bad record never spoils its neighbours."""
        telling, body = await self._listen(request, of_pages=True)
        raws, telling, extra = read_batch(body, telling)
        judged: list[Judged] = []
        verdicts: list[Verdict] = []
        results: list[Result] = []
        for index, raw in enumerate(raws):
            verdict = _judge(bytes(raw), telling, f"records[{index}]")
            if extra and isinstance(verdict, Kept):
                verdict, extra = _with_extra(verdict, extra), {}
            judged.append(Judged(verdict, bytes(raw)))
            verdicts.append(verdict)
            results.append(_result(verdict, bytes(raw)))
            await request.turn.spend(RECORD_COST_BYTES + len(raw))
        await keep_judged(self._means, request, judged)
        await self._attributions(verdicts, results)
        return json_answer({"results": results})

    async def single(self, request: Request, kind: str) -> Answer:
        """One record. Refused, it is answered as an error."""
        telling, body = await self._listen(request)
        try:
            kept = read_record(body, telling, kind=kind)
        except Refused:
            id_, _ = peek(body)
            request.about = structs.replace(request.about, record_id=id_, record_type=kind)
            raise
        request.turn.over()
        await self._means.sink.keep(((kept.topic, kept.record),))
        self._means.counters.records += 1
        result = _result(kept, body)
        await self._attributions([kept], [result])
        answer: dict[str, Any] = {"results": [result]}
        if isinstance(kept.record, Touch):
            answer["touch_id"] = kept.record.id
        return json_answer(answer)

    async def _listen(self, request: Request, *, of_pages: bool = False) -> tuple[Telling, bytes]:
        """The body and who says it. Raises Refused."""
        settings = self._means.settings
        sent = await request.body(settings.body_bytes_max, settings.body_wait_ms)
        body = await request.unpacked(sent, settings.body_bytes_max)
        now_ms = request.received_at_ms
        get = request.headers.get
        speaker = self._speaker(request, body if of_pages else b"")
        request.about = About(product=speaker.product.id, app=speaker.app.id)
        self._means.note_key(speaker, now_ms)
        check_signature(
            speaker, get("attribune-signature"), sent, now_ms, settings.signature_age_max_ms
        )
        telling = Telling(
            speaker=speaker,
            directory=self._means.directory,
            settings=settings,
            received_at_ms=now_ms,
            ip=request.ip,
            user_agent=request.user_agent,
        )
        return telling, body

    def _speaker(self, request: Request, page_body: bytes) -> Speaker:
        get, now_ms = request.headers.get, request.received_at_ms
        authorization, origin = get("authorization"), get("origin")
        directory = self._means.directory
        if page_body and authorization is None and origin and is_registered(directory, origin):
            return page_speaker(page_key(page_body), origin, directory, now_ms)
        return speaker_of(authorization, directory, now_ms)

    async def _attributions(self, verdicts: list[Verdict], results: list[Result]) -> None:
        """Put the attribution into the result of each open that asked for it; all of them wait at once."""
        asking = [
            (verdict.record, result)
            for verdict, result in zip(verdicts, results, strict=True)
            if isinstance(verdict, Kept) and verdict.wants_attribution
        ]
        if not asking:
            return
        waits = [
            self._waiting.answer((record.product, record.device.id))
            for record, _ in asking
            if isinstance(record, Open)
        ]
        for (_, result), answer in zip(asking, await asyncio.gather(*waits), strict=True):
            result["attribution"] = answer


def _judge(raw: bytes, telling: Telling, path: str) -> Verdict:
    try:
        return read_record(raw, telling, path)
    except Refused as refused:
        return refused.bare()


def _with_extra(kept: Kept, extra: dict[str, str]) -> Kept:
    """The record with what its batch said besides records, which belongs to none of them."""
    return kept._replace(record=structs.replace(kept.record, extra=kept.record.extra | extra))


def _result(verdict: Verdict, raw: bytes) -> Result:
    if isinstance(verdict, Refused):
        id_, _ = peek(raw)
        return {
            "id": id_,
            "status": "refused",
            "reason": verdict.reason,
            "field": verdict.param,
            "message": verdict.message,
        }
    if isinstance(verdict.record, Touch):
        return {
            "id": verdict.record.record_id,
            "status": "accepted",
            "touch_id": verdict.record.id,
        }
    return {"id": verdict.record.id, "status": "accepted"}
