"""Keeps the records of a request, accepted and refused ones together."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from attribune.collect.means import Means
from attribune.collect.refuse import Head, Refused
from attribune.collect.request import Request
from attribune.collect.turns import RECORD_COST_BYTES
from attribune.collect.verdict import Judged, Making, peek
from attribune.model.codec import Record
from attribune.model.position import Topic
from attribune.model.refusal import Refusal
from attribune.model.touch import Part


async def keep_judged(means: Means, request: Request, judged: Sequence[Judged]) -> None:
    """Append the records of a request, accepted and refused, next to each other and in the order sent.

    Each carries its place among the others, so that the sums of requests can be checked. Raises JournalUnavailable; then
    none of them is kept.
    """
    if not judged:
        return
    # What a letter makes, such as a link, is told to nobody's account, and is no part of what is counted.
    of = sum(not isinstance(verdict, Making) for verdict, _ in judged)
    name = means.chance.token(12).hex() if of > 1 else None
    entries: list[tuple[Topic, Record]] = []
    accepted = cut = 0
    head = request.head()
    index = -1
    for verdict, raw in judged:
        if isinstance(verdict, Making):
            entries.append((Topic.CONTROL, verdict.change))
            continue
        index += 1
        part = Part(request=name, index=index, of=of) if name else None
        if isinstance(verdict, Refused):
            refusal = _refusal(means, request, head, Judged(verdict, raw), part)
            entries.append((Topic.REFUSED, refusal))
            cut += refusal.is_cut
            await request.turn.spend(RECORD_COST_BYTES + len(raw))
            # The first refusal of a request carries its headers for all, lest a thousand records multiply them.
            head = structs.replace(head, headers=(), query="")
            continue
        accepted += 1
        record = structs.replace(verdict.record, part=part) if part else verdict.record
        entries.append((verdict.topic, record))
    request.turn.over()
    await means.sink.keep(entries)
    means.counters.records += accepted
    means.counters.refused += of - accepted
    means.counters.refused_cut += cut


def _refusal(
    means: Means, request: Request, head: Head, judged: Judged, part: Part | None
) -> Refusal:
    refused, raw = judged
    assert isinstance(refused, Refused), "what was accepted is a record"
    id_, kind = peek(raw)
    about = structs.replace(request.about, record_id=id_, record_type=kind, part=part)
    return means.keeper.refusal(head, refused, raw, about)
