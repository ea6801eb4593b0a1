"""The disk of a data folder: what fills it, what it grows by, and when it is full if things go on as they do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from attribune.model.status import BackupNote, Disk, PruneNote
from attribune.roles.folder import BACKUP_FILE, PRUNE_FILE

#: Part of the data folder → what stands in it. The rest is ``other``.
_PARTS: Final = {
    "journal": "journal",
    "facts": "facts",
    "store": "store",
    "answers": "answers",
    "registry.db": "registry",
    "registry.db-wal": "registry",
    "registry.db-shm": "registry",
    "outbox.db": "outbox",
    "outbox.db-wal": "outbox",
    "outbox.db-shm": "outbox",
}
_OTHER: Final = "other"
_BLOCK_BYTES: Final = 512
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
#: The journal's growth is that of this much time, so that it follows the traffic and not every hour of the day.
_LATELY_MS: Final = 7 * _DAY_MS


class Piece(NamedTuple):
    """A segment of the journal, as far as sizes and times go."""

    #: Its newest place.
    last: int
    bytes: int
    begun_at_ms: int
    is_sealed: bool


def forecast(
    folder: Path, pieces: Sequence[Piece], start: int, born_at_ms: int, keep_ms: int, now_ms: int
) -> Disk:
    """How the disk stands; ``pieces`` are the journal's segments, the oldest first, from behind the place ``start``.

    ``born_at_ms`` is when the first segment ever was begun, ``keep_ms`` how long entries are kept in any case. Raises OSError
    when there is no such folder.
    """
    disk, used = os.statvfs(folder), used_bytes(folder)
    free = disk.f_bavail * disk.f_frsize
    views = sum(size for part, size in used.items() if part not in ("journal", _OTHER))
    growth = growth_bytes_per_day(pieces, views, born_at_ms, now_ms)
    backup = backup_note(folder)
    backed = backup.end if backup else 0
    return Disk(
        free_bytes=free,
        total_bytes=disk.f_blocks * disk.f_frsize,
        used_bytes=used,
        growth_bytes_per_day=growth,
        full_in_s=free * _DAY_MS // (growth * 1000) if growth else None,
        journal_start=start,
        journal_begun_at_ms=pieces[0].begun_at_ms if pieces else None,
        prunable_bytes=sum(
            piece.bytes
            for piece, over_at_ms in zip(pieces, over_at_ms_of(pieces), strict=True)
            if over_at_ms is not None and over_at_ms <= now_ms - keep_ms and piece.last <= backed
        ),
        backup=backup,
        prune=prune_note(folder),
    )


def growth_bytes_per_day(
    pieces: Sequence[Piece], views_bytes: int, born_at_ms: int, now_ms: int
) -> int | None:
    """What the journal grew by lately and the views by since the beginning, a day; None when an hour has not gone by yet."""
    if not pieces:
        return None
    over = [at_ms if at_ms is not None else now_ms for at_ms in over_at_ms_of(pieces)]
    lately = [n for n, at_ms in enumerate(over) if at_ms > now_ms - _LATELY_MS]
    first = lately[0] if lately else len(pieces) - 1
    journal_ms, house_ms = now_ms - pieces[first].begun_at_ms, now_ms - born_at_ms
    if min(journal_ms, house_ms) < _HOUR_MS:
        return None
    journal = sum(piece.bytes for piece in pieces[first:])
    return journal * _DAY_MS // journal_ms + views_bytes * _DAY_MS // house_ms


def over_at_ms_of(pieces: Sequence[Piece]) -> list[int | None]:
    """When each segment was surely over: the next one was begun, and no earlier one later than that; None while it is not.

    A clock that once went wrong can only make a segment seem younger.
    """
    latest, over = 0, list[int | None]()
    for piece, following in pairwise(pieces):
        latest = max(latest, piece.begun_at_ms, following.begun_at_ms)
        over.append(latest if piece.is_sealed else None)
    return [*over, None][: len(pieces)]


def used_bytes(folder: Path) -> dict[str, int]:
    """What each part of a data folder takes on the disk."""
    used = dict.fromkeys([*_PARTS.values(), _OTHER], 0)
    with os.scandir(folder) as entries:
        for entry in entries:
            used[_PARTS.get(entry.name, _OTHER)] += _size(entry)
    return used


def _size(entry: os.DirEntry[str]) -> int:
    try:
        if not entry.is_dir(follow_symlinks=False):
            return entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES
        with os.scandir(entry) as entries:
            return sum(map(_size, entries))
    except OSError:  # removed meanwhile
        return 0


def backup_note(folder: Path) -> BackupNote | None:
    """What is known of the newest backup; None when none was taken."""
    try:
        return msgspec.json.decode((folder / BACKUP_FILE).read_bytes(), type=BackupNote)
    except (OSError, msgspec.MsgspecError):
        return None


def prune_note(folder: Path) -> PruneNote | None:
    """What is known of the last prune; None when none was."""
    try:
        return msgspec.json.decode((folder / PRUNE_FILE).read_bytes(), type=PruneNote)
    except (OSError, msgspec.MsgspecError):
        return None
