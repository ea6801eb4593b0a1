"""Evidence: what a message of a device says of the way its app was installed, whatever message it is."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit

import msgspec

from attribune.attribute.features import features
from attribune.attribute.state import EVIDENCE_MAX, Dossier, OpenNote
from attribune.model.activity import Claim, Device, Event, Evidence, Open, Referrer
from attribune.model.ids import Position, TouchId, time_of

#: Our word for the touch id, in referrers and in links.
TOUCH_WORD = "attribune_click"
#: How many referrers within referrers are opened; a stranger could pack thousands.
NESTED_MAX = 3


def touches_in(referrers: Iterable[Referrer], link_opened: str | None) -> tuple[TouchId, ...]:
    """Our touch ids that referrers and an opened link carry."""
    queries = [referrer.value for referrer in referrers]
    if link_opened:
        try:
            parts = urlsplit(link_opened)
        except ValueError:
            parts = None
        queries += [parts.query, parts.fragment] if parts else []
    return tuple(sorted({name for query in queries for name in _touches(query)}))


def _touches(query: str, nested: int = NESTED_MAX) -> Iterable[TouchId]:
    # Most say nothing of us and nothing that has yet to be decoded; to read one whole takes longer than to see that.
    if TOUCH_WORD not in query and "%" not in query and "referrer" not in query:
        return
    try:
        pairs = parse_qsl(query, max_num_fields=256)
    except ValueError:
        return
    for word, value in pairs:
        if word == TOUCH_WORD and time_of(TouchId(value.lower())) is not None:
            yield TouchId(value.lower())
        elif word == "referrer" and nested:  # a store that hands on the whole link
            yield from _touches(value, nested - 1)


def note_of(record: Open, position: Position) -> OpenNote:
    """What an open says, as far as a decision needs it."""
    device = record.device
    return OpenNote(
        record=record.id,
        at_ms=record.occurred_at_ms,
        position=position,
        address=record.ip,
        features=features(device.locale, device.os_version, device.model),
    )


def add(
    dossier: Dossier,
    record: Open | Event | Evidence | Claim,
    device: Device,
    position: Position,
    now_ms: int,
) -> Dossier:
    """The dossier with one more message in it; beyond its limit the first evidence stands."""
    opens, touches, claims = dossier.opens, set(dossier.touches), dossier.claims
    if isinstance(record, Open):
        note = note_of(record, position)
        if all(
            note.at_ms < other.at_ms for other in opens
        ):  # later opens say nothing of how it began
            opens = (*opens, note)[-EVIDENCE_MAX:]
    if isinstance(record, Open | Evidence):
        touches.update(touches_in(record.referrers, record.link_opened))
    if isinstance(record, Event) and record.touch_id:
        touches.add(record.touch_id)
    if isinstance(record, Claim):
        claims = (*claims, record)[:EVIDENCE_MAX]
    ids = sorted({*dossier.ids, *device.ids.items()})
    return msgspec.structs.replace(
        dossier,
        opens=opens,
        touches=tuple(sorted(touches))[:EVIDENCE_MAX],
        ids=tuple(ids[:EVIDENCE_MAX]),
        claims=claims,
        since_ms=dossier.since_ms or now_ms,
    )
