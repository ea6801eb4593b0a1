"""What was pruned from a journal, and which backup holds it: ``journal/pruned.json``, written before anything goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from attribune.backup import files
from attribune.backup.manifest import BackedFile, BackedSegment
from attribune.model.errors import FolderTooNew, JournalDamaged

FORMAT: Final = 1
FILE_NAME: Final = "journal/pruned.json"


class PrunedSegment(Struct, frozen=True, kw_only=True):
    """A segment that was pruned, or was about to be when the prune was killed."""

    segment: BackedSegment
    #: The size of its file.
    bytes: int
    #: When it was surely over, and when it was pruned. Milliseconds, UTC.
    over_at_ms: int
    pruned_at_ms: int
    #: The backup that held it, and its file there.
    backup: str
    file: BackedFile


class PrunedList(Struct, frozen=True, kw_only=True):
    """Everything that was ever pruned from a journal, the oldest first."""

    format: int = FORMAT
    segments: tuple[PrunedSegment, ...] = ()

    def with_more(self, more: list[PrunedSegment]) -> PrunedList:
        """The same and more; a segment that a killed prune had listed already is said anew."""
        names = {one.segment.name for one in more}
        kept = [one for one in self.segments if one.segment.name not in names]
        return PrunedList(segments=(*kept, *more))


def read(folder: Path) -> PrunedList:
    """What was pruned from a data folder's journal; nothing when nothing was. Raises JournalDamaged, FolderTooNew."""
    file = folder / FILE_NAME
    try:
        found = msgspec.json.decode(file.read_bytes(), type=PrunedList)
    except FileNotFoundError:
        return PrunedList()
    except (OSError, msgspec.MsgspecError) as fault:
        raise JournalDamaged(
            f"{file} is not what was written ({fault}), so nobody knows which segments were pruned; restore a backup"
        ) from fault
    if found.format > FORMAT:
        raise FolderTooNew(f"{file} has format {found.format}; install the later version")
    return found


def write(folder: Path, said: PrunedList) -> None:
    """Keep it, and return when it is durable. Raises OSError."""
    file = folder / FILE_NAME
    beside = file.with_name(f".{file.name}")
    with beside.open("wb") as opened:
        opened.write(msgspec.json.format(msgspec.json.encode(said), indent=1) + b"\n")
        opened.flush()
        os.fsync(opened.fileno())
    beside.replace(file)
    files.sync_folder(file.parent)
