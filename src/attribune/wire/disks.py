"""The disk under a folder's engines."""

from __future__ import annotations

from typing import Final

from attribune.backup import pruned
from attribune.model.status import Disk
from attribune.roles import disk as disk_
from attribune.roles.disk import Piece
from attribune.settings import Settings
from attribune.wire.parts import Parts

#: How old what is said of the disk may be: everything in the folder is looked at for it.
_FRESH_MS: Final = 15_000


def keep_ms(settings: Settings) -> int:
    """How long entries are kept in any case: as long as touches and records are remembered. Milliseconds."""
    return max(settings.touch_memory_ms, settings.record_memory_ms)


def disk(parts: Parts) -> Disk:
    """How the disk stands now. Raises JournalUnavailable, JournalDamaged."""
    segments = parts.journal.segments()
    pieces = [Piece(one.last, one.bytes, one.begun_at_ms, one.is_sealed) for one in segments]
    now_ms = parts.clock.now_ms()
    begun = (one.segment.begun_at_ms for one in pruned.read(parts.folder).segments)
    born_at_ms = next(begun, pieces[0].begun_at_ms if pieces else now_ms)
    start = segments[0].first - 1 if segments else 0
    return disk_.forecast(parts.folder, pieces, start, born_at_ms, keep_ms(parts.settings), now_ms)


class DiskWatch:
    """What is said of the disk, looked at again when it is no longer fresh."""

    def __init__(self, parts: Parts) -> None:
        """Look at nothing yet."""
        self._parts = parts
        self._seen: Disk | None = None
        self._seen_ms = 0

    def disk(self) -> Disk:
        """How the disk stands, some seconds ago at most. Raises JournalUnavailable, JournalDamaged."""
        now_ms = self._parts.clock.now_ms()
        if self._seen is None or not self._is_fresh(self._seen, now_ms):
            self._seen, self._seen_ms = disk(self._parts), now_ms
        return self._seen

    def _is_fresh(self, seen: Disk, now_ms: int) -> bool:
        """Whether little time has passed, and no backup was taken and nothing pruned since."""
        folder = self._parts.folder
        notes = disk_.backup_note(folder), disk_.prune_note(folder)
        return 0 <= now_ms - self._seen_ms <= _FRESH_MS and notes == (seen.backup, seen.prune)
