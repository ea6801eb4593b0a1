"""What waits to be scrubbed from the journal, as far as ``run/scrub.json`` and a look at what came since can tell."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct, field

from attribune.model.codec import decode
from attribune.model.outcome import Noted
from attribune.model.position import Entry
from attribune.roles.folder import SCRUB_FILE


class ForgetRequest(Struct, frozen=True, kw_only=True):
    """A request to forget a person, as it was decided: its place, and when it was. Milliseconds, UTC."""

    position: int
    at_ms: int


class CleanSegment(Struct, frozen=True, kw_only=True):
    """A segment that names nobody whose request stands up to a place, as long as its file is the one that was looked through."""

    #: When that was last written. Nanoseconds.
    written_at_ns: int
    requests_to: int


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
