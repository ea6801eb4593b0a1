"""What needs the journal from its beginning, and is refused with the way out when that was pruned."""

# ruff: noqa: PLC0415 - an import inside a function is there so that only who needs an engine pays for it

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from attribune.model.errors import JournalPruned
from attribune.roles.disk import backup_note
from attribune.wire.parts import Parts


def refuse_pruned(parts: Parts, doing: str) -> None:
    """Refuse a deed that begins with the first entry when that is no longer kept. Raises JournalPruned."""
    if parts.journal.start():
        oldest = parts.journal.segments()[0]
        raise JournalPruned(_why(parts.folder, doing, oldest.first - 1, oldest.begun_at_ms))


def refuse_pruned_folder(folder: Path, doing: str) -> None:
    """The same for a folder whose journal nobody in this process has open."""
    from attribune.engines import lmdb_copy

    journal = folder / "journal"
    names = lmdb_copy.names(journal) if journal.is_dir() else []
    if names and int(names[0]) > 1:
        oldest = lmdb_copy.stand(journal / names[0], is_shared=True)
        if oldest is not None:
            raise JournalPruned(_why(folder, doing, oldest.state.base, oldest.state.begun_at_ms))


def _why(folder: Path, doing: str, start: int, begun_at_ms: int) -> str:
    day = datetime.fromtimestamp(begun_at_ms / 1000, UTC).date()
    backup = backup_note(folder)
    where = f"beside {backup.path}" if backup else "beside the earlier ones"
    return (
        f"{doing} needs every entry, and those up to {start} were pruned (kept is what came from {day} on); "
        f"take a backup {where}, which holds all of them, restore it into a new folder and do it there"
    )
