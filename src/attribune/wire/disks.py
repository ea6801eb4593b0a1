"""The disk under a folder's engines."""

from __future__ import annotations

from typing import Final

from attribune.model.status import Disk
from attribune.roles import disk as disk_
from attribune.roles.disk import Piece
from attribune.wire.parts import Parts

#: How old what is said of the disk may be: everything in the folder is looked at for it.
_FRESH_MS: Final = 15_000


def disk(parts: Parts) -> Disk:
    """How the disk stands now. Raises JournalUnavailable, JournalDamaged."""
    segments = parts.journal.segments()
    pieces = [Piece(one.bytes, one.begun_at_ms, one.is_sealed) for one in segments]
    now_ms = parts.clock.now_ms()
    born_at_ms = pieces[0].begun_at_ms if pieces else now_ms
    start = segments[0].first - 1 if segments else 0
    return disk_.forecast(parts.folder, pieces, start, born_at_ms, now_ms)


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
        if self._seen is None or not 0 <= now_ms - self._seen_ms <= _FRESH_MS:
            self._seen, self._seen_ms = disk(self._parts), now_ms
        return self._seen
