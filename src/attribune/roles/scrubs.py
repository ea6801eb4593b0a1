"""What waits to be scrubbed from the journal, as far as ``run/scrub.json`` and a look at what came since can tell."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec
from msgspec import Struct, field

from attribune.model.codec import decode
from attribune.model.ids import Position
from attribune.model.outcome import Noted
from attribune.model.position import Entry, Topic
from attribune.model.status import Forgetting
from attribune.ports import Journal
from attribune.roles.folder import SCRUB_FILE

#: Outcomes looked through for one answer: less than a second's work. Who asks again is told more.
ENTRIES_MAX: Final = 400_000
_READ_MAX: Final = 5000


class ForgetRequest(Struct, frozen=True, kw_only=True):
    """A request to forget a person, as it was decided: its place, and when it was. Milliseconds, UTC."""

    position: int
    at_ms: int


class CleanSegment(Struct, frozen=True, kw_only=True):
    """A segment that names nobody whose request stands up to a place, as long as its file is the one that was looked through."""

    #: When that was last written. Nanoseconds.
    written_at_ns: int
    requests_to: int
    #: Nothing raw stands in it of what was refused at the door.
    is_emptied: bool = False


class ScrubNote(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a data folder knows of scrubbing its journal. Names nobody, and may be lost: then all of the journal is looked through again."""

    #: When the last scrub that went to the end was begun; 0 when none did. Milliseconds, UTC.
    at_ms: int = 0
    #: Nothing up to here names anybody whose request to be forgotten stands up to here.
    through: int = 0
    #: Up to here requests were looked for, and these are all.
    looked_to: int = 0
    requests: tuple[ForgetRequest, ...] = ()
    #: Segments that need not be looked through again, by their names.
    clean: dict[str, CleanSegment] = field(default_factory=dict)


def note_of(folder: Path) -> ScrubNote:
    """What was scrubbed last; nothing when nothing was."""
    try:
        return msgspec.json.decode((folder / SCRUB_FILE).read_bytes(), type=ScrubNote)
    except (OSError, msgspec.MsgspecError):
        return ScrubNote()


def request_of(entry: Entry) -> ForgetRequest | None:
    """The request to forget that an outcome tells of; None when it tells of something else."""
    if b"forgets" not in entry.payload:  # no name of that field, so it need not be read
        return None
    record = decode(entry)
    if not isinstance(record, Noted) or record.forgets is None:
        return None
    return ForgetRequest(position=entry.position, at_ms=record.judged_at_ms)


def forgetting(note: ScrubNote, since: Iterable[ForgetRequest], looked_to: int) -> Forgetting:
    """What waits by the note, and by the requests that were found behind what it has looked at."""
    waiting = [one for one in (*note.requests, *since) if one.position > note.through]
    return Forgetting(
        waiting=len(waiting),
        waiting_since_ms=min((one.at_ms for one in waiting), default=None),
        looked_to=max(note.looked_to, looked_to),
        scrubbed_at_ms=note.at_ms or None,
        scrubbed_through=note.through,
    )


class ScrubWatch:
    """Says what waits, and remembers how far it has looked."""

    def __init__(self, folder: Path, journal: Journal, entries_max: int = ENTRIES_MAX) -> None:
        """Look at nothing yet."""
        self._folder = folder
        self._journal = journal
        self._entries_max = entries_max
        self._lock = Lock()
        self._looked_to = 0
        self._found: list[ForgetRequest] = []

    def forgetting(self) -> Forgetting:
        """What waits now, after a further look. Raises JournalUnavailable, JournalDamaged."""
        with self._lock:
            note = note_of(self._folder)
            self._look(max(self._looked_to, note.looked_to, self._journal.start()))
            self._found = [one for one in self._found if one.position > note.looked_to]
            return forgetting(note, self._found, self._looked_to)

    def _look(self, after: int) -> None:
        end, left = self._journal.end(), self._entries_max
        while after < end and left > 0:
            entries = self._journal.read((Topic.OUTCOMES,), Position(after), min(left, _READ_MAX))
            self._found += [one for entry in entries if (one := request_of(entry))]
            after = entries[-1].position if entries else end
            left -= len(entries)
        self._looked_to = after
