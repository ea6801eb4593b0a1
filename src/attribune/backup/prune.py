"""Pruning: the oldest segments of the journal go, when nothing that stands needs them and a backup holds them.

Which ones is decided from what is known of them (``plan``). The backup's files are read again, byte for byte, before
anything goes. What people changed (topic ``control``) is carried on; everything else of a pruned segment is only in the backup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from msgspec import Struct
from msgspec.json import encode as to_json

from attribune.backup import files, manifest, pruned
from attribune.backup.manifest import BackedFile, BackedSegment, key_of
from attribune.backup.pruned import PrunedSegment
from attribune.model.errors import BackupDamaged, Invalid, JournalUnavailable, NotPrunable
from attribune.model.policy import DAY_MS
from attribune.model.status import PruneNote
from attribune.roles import disk
from attribune.roles import folder as folder_
from attribune.roles.disk import Piece


class Segments(Protocol):
    """The segments of a journal, and how they go."""

    def names(self) -> list[str]:
        """The names of the segments that have a file, oldest first."""
        ...

    def size(self, name: str) -> int:
        """How large the file is. Bytes."""
        ...

    def stand(self, name: str) -> BackedSegment | None:
        """Where a segment stands; None while it is only being made."""
        ...

    def carry(self, name: str) -> None:
        """Carry on what people changed. Raises JournalDamaged, JournalFull."""
        ...

    def retire(self, name: str) -> None:
        """Make it one that was pruned, at once and for good."""
        ...

    def sweep(self) -> int:
        """Remove the files of all that was pruned; how many bytes that were."""
        ...


class Wish(Struct, frozen=True, kw_only=True):
    """What is to go: what is older than a time, and the oldest as long as the journal is larger than a size."""

    older_than_ms: int | None = None
    keep_bytes: int | None = None
    #: The backup that must hold it; None is the newest that was taken.
    backup: Path | None = None
    is_dry_run: bool = False


class House(Struct, frozen=True, kw_only=True):
    """What is known of the house that keeps the journal."""

    now_ms: int
    #: Whatever is younger stays: touches are remembered, windows are open.
    keep_ms: int
    #: Up to which place each reader has read, as of now; waits for them to say so. Raises NotPrunable.
    readers: Callable[[], Mapping[str, int]]
    #: The place of the oldest record that was set aside and is to be told again; None when there is none.
    set_aside: int | None = None


class GoneSegment(Struct, frozen=True, kw_only=True):
    """A segment that was pruned, or would be."""

    name: str
    first: int
    last: int
    bytes: int
    #: When it was begun, and when it was surely over. Milliseconds, UTC.
    begun_at_ms: int
    over_at_ms: int


class Pruned(Struct, frozen=True, kw_only=True):
    """What a prune did, or would do."""

    is_dry_run: bool
    segments: tuple[GoneSegment, ...]
    #: Bytes of files removed, also what one that was killed had left; of a dry run, what would be.
    freed_bytes: int
    #: The newest place that is gone, 0 when none is; what is kept takes so many bytes.
    through: int
    kept_bytes: int
    #: Why the next segment stays although it was asked for; None when no more was asked for.
    held_back: str | None
    #: The backup that holds all of it.
    backup: str


class Stand(NamedTuple):
    """A segment, and when it was surely over; None while it is appended to."""

    segment: BackedSegment
    bytes: int
    over_at_ms: int | None


class Known(NamedTuple):
    """What stands against pruning."""

    now_ms: int
    keep_ms: int
    readers: Mapping[str, int]
    #: The backup, and the files of closed segments that it holds.
    backup: Path
    backed: Mapping[tuple[object, ...], BackedFile]
    set_aside: int | None = None


def plan(stands: Sequence[Stand], wish: Wish, known: Known) -> tuple[list[Stand], str | None]:
    """The segments that go, the oldest first, and why the next one that was asked for stays; None when none was."""
    going: list[Stand] = []
    left = sum(stand.bytes for stand in stands)
    for stand in stands:
        if not _is_wanted(stand, wish, left, known.now_ms):
            break
        if reason := _held_back(stand, known):
            return going, reason
        going.append(stand)
        left -= stand.bytes
    return going, None


def _is_wanted(stand: Stand, wish: Wish, left: int, now_ms: int) -> bool:
    if wish.keep_bytes is not None and left > wish.keep_bytes:
        return True
    if wish.older_than_ms is None or stand.over_at_ms is None:
        return False
    return now_ms - stand.over_at_ms >= wish.older_than_ms


def _held_back(stand: Stand, known: Known) -> str | None:
    segment = stand.segment
    if not segment.is_sealed or stand.over_at_ms is None:
        return f"segment {segment.name} is the one that is appended to"
    if known.now_ms - stand.over_at_ms < known.keep_ms:
        return (
            f"segment {segment.name} holds entries that are younger than {known.keep_ms / DAY_MS:.4g} days, for which touches "
            "and records are remembered (touch_memory_ms, record_memory_ms, the windows of policies)"
        )
    for reader, place in known.readers.items():
        if place < segment.last:
            return (
                f"segment {segment.name} ends at {segment.last} and the {reader} has read to {place}; "
                "wait until `attribune status` shows no lag"
            )
    if known.set_aside is not None and known.set_aside <= segment.last:
        return (
            f"segment {segment.name} holds a record that was set aside (entry {known.set_aside}); "
            "run `attribune journal retell` first"
        )
    if key_of(segment) not in known.backed:
        return f"segment {segment.name} does not stand in {known.backup}; take a backup first"
    return None


def prune(
    folder: Path,
    segments: Segments,
    wish: Wish,
    house: House,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Pruned:
    """Prune what is asked for as far as nothing stands against it; ``progress`` hears bytes of the backup checked and in all.

    Raises NotPrunable when something was asked for and none of it may go, Conflict when another prune, a backup or an audit
    works on the journal, BackupDamaged naming the file of the backup that is not what was written, Invalid, JournalFull.
    """
    _refuse_wish(wish, house.keep_ms)
    with folder_.pruning(folder):
        left = 0 if wish.is_dry_run else segments.sweep()  # by one that was killed
        backup, backed = _backed(folder, wish)
        known = Known(house.now_ms, house.keep_ms, house.readers(), backup, backed, house.set_aside)
        going, held_back = plan(_stands(segments), wish, known)
        if held_back and not going:
            raise NotPrunable(f"nothing was pruned: {held_back}")
        _check(backup, [backed[key_of(one.segment)] for one in going], progress)
        if wish.is_dry_run:
            freed = sum(one.bytes for one in going)
        else:
            _go(folder, segments, going, house, known)
            freed = left + segments.sweep()
            _note(folder, house.now_ms, going, freed)
        return _said(segments, wish, going, freed, held_back, backup)


def _refuse_wish(wish: Wish, keep_ms: int) -> None:
    if wish.older_than_ms is None and wish.keep_bytes is None:
        raise Invalid(
            "say what is to go: --older-than-days, --keep-size, or both", param="older_than_days"
        )
    if wish.older_than_ms is not None and wish.older_than_ms < keep_ms:
        raise Invalid(
            f"--older-than-days must be at least {-(-keep_ms // DAY_MS)}: for so long touches and records are remembered and "
            "windows are open (touch_memory_ms, record_memory_ms, the policies)",
            param="older_than_days",
        )


def _stands(segments: Segments) -> list[Stand]:
    found = [(segments.stand(name), segments.size(name)) for name in segments.names()]
    whole = [(segment, size) for segment, size in found if segment is not None]
    pieces = [Piece(one.last, size, one.begun_at_ms, one.is_sealed) for one, size in whole]
    over = disk.over_at_ms_of(pieces)
    return [Stand(one, size, at_ms) for (one, size), at_ms in zip(whole, over, strict=True)]


def _backed(folder: Path, wish: Wish) -> tuple[Path, dict[tuple[object, ...], BackedFile]]:
    """The backup, and the files of its closed segments. Raises NotPrunable when there is none, BackupDamaged."""
    note = disk.backup_note(folder)
    backup = wish.backup.resolve() if wish.backup else Path(note.path) if note else None
    if backup is None:
        raise NotPrunable(
            "nothing was pruned: no backup of this folder is known; take one with `attribune backup`, or name it with --backup"
        )
    said = manifest.read(backup)
    by_path = {file.path: file for file in said.files}
    return backup, {key_of(one): by_path[one.path] for one in said.segments if one.is_sealed}


def _check(
    backup: Path, wanted: Sequence[BackedFile], progress: Callable[[int, int], None]
) -> None:
    """Read every byte of what the backup holds instead."""
    total, done = sum(file.bytes for file in wanted), 0

    def step(size: int) -> None:
        nonlocal done
        done += size
        progress(done, total)

    step(0)
    for file in wanted:
        if not files.fits(backup, file, step):
            raise BackupDamaged(
                f"nothing was pruned: {backup / file.path} is not what was written; take another backup"
            )


def _go(
    folder: Path, segments: Segments, going: Sequence[Stand], house: House, known: Known
) -> None:
    """Carry on what is needed for ever, write down what goes, and let it go, the oldest first."""
    if not going:
        return
    try:
        with folder_.journal_alone(folder):
            # A rebuild that was begun meanwhile stands at the beginning; one that comes now waits, and is refused.
            again = known._replace(readers=house.readers())
            for one in going:
                if reason := _held_back(one, again):
                    raise NotPrunable(f"nothing was pruned: {reason}")
            for one in going:
                segments.carry(one.segment.name)
            pruned.write(folder, pruned.read(folder).with_more(_written(going, house, known)))
            for one in going:
                segments.retire(one.segment.name)
    except OSError as fault:
        raise JournalUnavailable(f"the journal of {folder} cannot be pruned: {fault}") from fault


def _written(going: Sequence[Stand], house: House, known: Known) -> list[PrunedSegment]:
    return [
        PrunedSegment(
            segment=segment,
            bytes=size,
            over_at_ms=over_at_ms or 0,
            pruned_at_ms=house.now_ms,
            backup=str(known.backup),
            file=known.backed[key_of(segment)],
        )
        for segment, size, over_at_ms in going
    ]


def _note(folder: Path, now_ms: int, going: Sequence[Stand], freed: int) -> None:
    through = max((one.segment.last for one in pruned.read(folder).segments), default=0)
    note = PruneNote(at_ms=now_ms, through=through, segments=len(going), freed_bytes=freed)
    folder_.write_whole(folder / folder_.PRUNE_FILE, to_json(note))


def _said(
    segments: Segments,
    wish: Wish,
    going: Sequence[Stand],
    freed: int,
    held_back: str | None,
    backup: Path,
) -> Pruned:
    gone = {one.segment.name for one in going}
    stands = [one for one in _stands(segments) if one.segment.name not in gone]
    return Pruned(
        is_dry_run=wish.is_dry_run,
        segments=tuple(
            GoneSegment(
                name=one.name,
                first=one.first,
                last=one.last,
                bytes=size,
                begun_at_ms=one.begun_at_ms,
                over_at_ms=over_at_ms or 0,
            )
            for one, size, over_at_ms in going
        ),
        freed_bytes=freed,
        through=stands[0].segment.first - 1 if stands else 0,
        kept_bytes=sum(one.bytes for one in stands),
        held_back=held_back,
        backup=str(backup),
    )
