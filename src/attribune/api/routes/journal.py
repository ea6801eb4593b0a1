"""The journal, read as it was written."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, get, post
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from attribune.api.access import BY
from attribune.api.here import Here
from attribune.model.codec import decode
from attribune.model.ids import Position
from attribune.model.position import Entry, Topic
from attribune.report.set_aside import SetAside, retelling, untold

ENTRIES_MAX: Final = 1000
#: Fields that are no secrets but help to guess one, or are one.
_HIDDEN: Final = frozenset({"sha256", "signing_secret", "sealed", "sealed_signing_secret"})
_BODY_CHARACTERS_MAX: Final = 2048


class EntryShown(Struct, frozen=True, kw_only=True):
    """One entry: its place, its topic, and the record that stands there."""

    position: int
    topic: str
    record: dict[str, Any]


class JournalAnswer(Struct, frozen=True):
    """Some entries in order, and the place to ask on from."""

    entries: tuple[EntryShown, ...]
    next: int
    end: int


class SetAsideAnswer(Struct, frozen=True):
    """Records that wait for a version that can judge them."""

    set_aside: tuple[SetAside, ...]


class RetoldAnswer(Struct, frozen=True):
    """The records that were told again, by where they stood, and those that are set aside now."""

    retold: tuple[SetAside, ...]
    set_aside: tuple[SetAside, ...]


@get("/api/journal", sync_to_thread=True)
def read_journal(
    house: Here,
    after: Annotated[int | None, QueryParameter(description="Entries after this place.")] = None,
    last: Annotated[int, QueryParameter(ge=1, le=ENTRIES_MAX)] = 20,
    limit: Annotated[int, QueryParameter(ge=1, le=ENTRIES_MAX)] = ENTRIES_MAX,
    topic: FromQuery[Topic | None] = None,
) -> JournalAnswer:
    """Entries after a place, or without one the last few. A place before the oldest that is kept is answered 410."""
    topics = (topic,) if topic is not None else tuple(Topic)
    end = house.journal.end()
    start = after if after is not None else max(house.journal.start(), end - last)
    entries = house.journal.read(topics, Position(start), limit if after is not None else last)
    next_ = entries[-1].position if entries else max(start, end if after is None else start)
    return JournalAnswer(tuple(show(entry) for entry in entries), next_, end)


def show(entry: Entry) -> EntryShown:
    """An entry as people read it, without secrets."""
    record = msgspec.to_builtins(decode(entry), builtin_types=(bytes,))
    return EntryShown(position=entry.position, topic=entry.topic, record=_plain(record))


def _plain(value: Any) -> Any:
    """The same without secrets, and with bytes as far as they are text."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items() if name not in _HIDDEN}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")[:_BODY_CHARACTERS_MAX]
    return value


@get("/api/journal/set-aside", sync_to_thread=True)
def list_set_aside(house: Here) -> SetAsideAnswer:
    """Records that a mistake of Attribune's own kept from being judged, and that were not told again."""
    house.keeper.settle()
    return SetAsideAnswer(tuple(untold(house.journal)))


@post("/api/journal/retell", sync_to_thread=True, status_code=200)
def retell(house: Here, request: Request[Any, Any, Any]) -> RetoldAnswer:
    """Append those records anew, after the mistake was mended, so that they are judged; some ten thousand at a time."""
    house.keeper.settle()
    scope: Any = request.scope
    by = str(scope.get(BY, "operator"))
    with house.alone():  # so that of two who ask at once the second finds nothing
        which = untold(house.journal)
        if which:
            house.journal_together(retelling(house.journal, which, house.clock.now_ms(), by))
    house.keeper.settle()
    return RetoldAnswer(tuple(which), tuple(untold(house.journal)))


HANDLERS = (read_journal, list_set_aside, retell)
