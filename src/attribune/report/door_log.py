"""What came through the dialect doors lately, and the links that apps made there, read from the end of the journal."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from msgspec import Struct

from attribune.model.activity import Event, ForeignConversion
from attribune.model.codec import decode
from attribune.model.control import Change, Door, Link
from attribune.model.ids import Position
from attribune.model.position import Topic
from attribune.model.refusal import Refusal
from attribune.ports import Directory, Journal

#: How far back the journal is read for it.
ENTRIES_MAX: Final = 50_000
_CHUNK: Final = 5_000
_IN: Final = "/in/"
_NATIVE: Final = "native"


class Heard(Struct, frozen=True, kw_only=True):
    """A record, a link or a refusal that came through a door. ``at_ms`` is our clock, UTC."""

    at_ms: int
    dialect: str
    app: str | None
    #: ``open``, ``event`` …, ``link``, or the type that a refused record named.
    type: str | None
    #: Of an event, and of what another measurement partner told: its kind, and an event's name. Of a link: its campaign.
    name: str | None
    #: Its id; of a link, the link's.
    record: str | None
    device: str | None
    is_refused: bool
    reason: str | None = None
    message: str | None = None
    #: Of a refusal: where it was sent.
    path: str | None = None


def heard(
    journal: Journal,
    directory: Directory,
    door: Door | None,
    limit: int,
    *,
    is_refused: bool | None = None,
) -> list[Heard]:
    """The newest of them first: of one door's app and dialect, or of all. Looks at the last ``ENTRIES_MAX`` entries only.

    ``directory`` says which dialect and app a door has that a link was made through.
    """
    topics = {
        None: (Topic.ACTIVITY, Topic.CONTROL, Topic.REFUSED),
        True: (Topic.REFUSED,),
        False: (Topic.ACTIVITY, Topic.CONTROL),
    }
    after = Position(max(journal.start(), journal.end() - ENTRIES_MAX))
    found: deque[Heard] = deque(maxlen=limit)
    while entries := journal.read(topics[is_refused], after, _CHUNK):
        after = entries[-1].position
        rows = (_row(decode(entry), directory, door) for entry in entries)
        found.extend(row for row in rows if row is not None)
    return list(reversed(found))


def _row(record: Any, directory: Directory, door: Door | None) -> Heard | None:
    if isinstance(record, Refusal):
        return _refusal(record, door)
    if isinstance(record, Change):
        return _made(record, directory, door)
    if record.dialect == _NATIVE:
        return None
    if door is not None and (record.dialect, record.app) != (door.dialect, door.app):
        return None
    return Heard(
        at_ms=record.received_at_ms,
        dialect=record.dialect,
        app=record.app,
        type=str(type(record).__struct_config__.tag),
        name=_name(record),
        record=record.id,
        device=record.device.id if record.device else None,
        is_refused=False,
    )


def _made(change: Change, directory: Directory, door: Door | None) -> Heard | None:
    """A link that an app made; what else changed did not come through a door."""
    link = change.record
    made_at = directory.door(change.door) if change.door is not None else None
    if (
        made_at is None
        or not isinstance(link, Link)
        or (door is not None and made_at.id != door.id)
    ):
        return None
    return Heard(
        at_ms=change.at_ms,
        dialect=made_at.dialect,
        app=made_at.app,
        type="link",
        name=link.campaign,
        record=link.id,
        device=None,
        is_refused=False,
    )


def _name(record: Any) -> str | None:
    if isinstance(record, ForeignConversion):
        return " ".join(filter(None, (record.kind.value, record.name)))
    return record.name if isinstance(record, Event) else None


def _refusal(refusal: Refusal, door: Door | None) -> Heard | None:
    dialect, at = _meant(refusal)
    if dialect is None:
        return None
    if door is not None and (
        dialect != door.dialect or (at != door.id if at else refusal.app != door.app)
    ):
        return None
    return Heard(
        at_ms=refusal.received_at_ms,
        dialect=dialect,
        app=refusal.app,
        type=refusal.record_type,
        name=None,
        record=refusal.record_id,
        device=None,
        is_refused=True,
        reason=str(refusal.reason),
        message=refusal.message,
        path=refusal.path,
    )


def _meant(refusal: Refusal) -> tuple[str | None, str | None]:
    """The dialect that was spoken, and the door's id where the address says it: at the root it does not."""
    if not refusal.path.startswith(_IN):
        return refusal.dialect, None
    dialect, _, rest = refusal.path.removeprefix(_IN).partition("/")
    return dialect, rest.partition("/")[0]
