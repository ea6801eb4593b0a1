"""Taking a backup: the journal's segments, each as of one moment and the oldest first, then the settings, then the manifest.

What is copied is a prefix of the journal: all segments but the newest are sealed, and the newest is copied last. It is
written beside its place under another name and becomes visible whole, by one rename, when everything has reached the disk.
Closed segments that a backup beside it holds already are linked and not copied, after they were checked again; those that
were pruned stand nowhere else. So a backup is always the whole journal.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from msgspec import Struct
from msgspec.json import encode as to_json

from attribune import __version__
from attribune.backup import files, manifest, pruned
from attribune.backup.manifest import BackedFile, BackedSegment, Manifest, key_of
from attribune.backup.pruned import PrunedSegment
from attribune.model.errors import (
    BackupDamaged,
    Conflict,
    FolderTooNew,
    Invalid,
    JournalDamaged,
)
from attribune.model.ids import START
from attribune.model.status import BackupNote
from attribune.roles import folder as folder_
from attribune.settings import FILE_NAME as SETTINGS_FILE

PARTIAL: Final = ".partial"
#: Earlier backups looked at for segments that need not be copied again, the newest first.
_EARLIER_MAX: Final = 32


class Segments(Protocol):
    """The segments of a journal that others append to meanwhile."""

    def names(self) -> list[str]:
        """The names of the segments that have a file, oldest first."""
        ...

    def size(self, name: str) -> int:
        """How large the file is. Bytes."""
        ...

    def stand(self, name: str) -> BackedSegment | None:
        """Where a segment stands; None while it is only being made."""
        ...

    def copy(self, name: str, take: files.Take) -> None:
        """Give the file as of one moment, in pieces."""
        ...

    def copied(self, copy: Path, written_at_ns: int) -> BackedSegment:
        """Where the copy of a segment stands. Raises JournalDamaged when entries are missing."""
        ...


class Taken(Struct, frozen=True, kw_only=True):
    """A backup that was taken."""

    path: str
    created_at_ms: int
    #: The places of its first and its newest entry.
    first: int
    end: int
    topics: dict[str, int]
    segments: int
    #: The size of all files; of these, copied now, and linked from an earlier backup.
    bytes: int
    copied_bytes: int
    linked_bytes: int
    #: Whether the data folder could take note of it, for `status`.
    is_noted: bool


class _Known(NamedTuple):
    """A closed segment in an earlier backup."""

    backup: Path
    file: BackedFile
    segment: BackedSegment


def take(
    folder: Path,
    dest: Path,
    segments: Segments,
    now_ms: int,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Taken:
    """Take a backup of a data folder into a new folder; ``progress`` hears bytes done and in all.

    Raises Invalid for a wrong folder or destination, Conflict when another backup writes there, BackupUnavailable when a
    disk fails or is full; then nothing of it is left.
    """
    folder, dest = folder.resolve(), dest.resolve()
    format_ = folder_.format_of(folder)
    if format_ > folder_.FORMAT:
        raise FolderTooNew(f"{folder} has format {format_}; install a later version to back it up")
    if not (folder / "journal").is_dir():
        raise Invalid(f"{folder} has no journal yet; there is nothing to back up", param="data")
    _refuse_dest(folder, dest)
    with _beside(dest) as partial:
        try:
            with folder_.journal_kept(folder):
                said, linked = _filled(folder, dest, partial, segments, now_ms, progress)
            files.sync_folders(partial)
            partial.rename(dest)
            files.sync_folder(dest.parent)
        except OSError as fault:
            raise files.said(fault, f"the backup {dest} cannot be written") from fault
    return Taken(
        path=str(dest),
        created_at_ms=said.created_at_ms,
        first=said.first,
        end=said.end,
        topics=said.topics,
        segments=len(said.segments),
        bytes=said.bytes,
        copied_bytes=said.bytes - linked,
        linked_bytes=linked,
        is_noted=_noted(folder, dest, said),
    )


def _refuse_dest(folder: Path, dest: Path) -> None:
    if dest == folder or dest.is_relative_to(folder):
        raise Invalid(
            f"{dest} lies in the data folder itself; give a place elsewhere", param="dest"
        )
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise Invalid(f"{dest} is there already and not empty; give a new folder", param="dest")
    if not dest.parent.is_dir():
        raise Invalid(f"{dest.parent} is no folder; make it, or mount it, first", param="dest")


@contextmanager
def _beside(dest: Path) -> Iterator[Path]:
    """An empty folder beside the destination for one writer at a time; removed when it did not become the destination."""
    partial = dest.with_name(dest.name + PARTIAL)
    try:
        partial.mkdir(mode=files.FOLDER_MODE, exist_ok=True)
        handle = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as fault:
        raise files.said(fault, f"the backup {dest} cannot be written") from fault
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"another backup writes {dest} now; wait for it") from None
        _refuse_foreign(partial)
        for left in partial.iterdir():  # by one that was killed
            files.remove(left)
            left.unlink(missing_ok=True)
        try:
            yield partial
        except BaseException:
            files.remove(partial)
            raise
    finally:
        os.close(handle)


def _refuse_foreign(partial: Path) -> None:
    """Only what a backup writes may be cleared away."""
    ours = {"journal", folder_.VERSION_FILE, SETTINGS_FILE, manifest.FILE_NAME}
    if strange := sorted({entry.name for entry in partial.iterdir()} - ours):
        raise Invalid(
            f"{partial} holds {strange[0]}, which no backup wrote; move it away", param="dest"
        )


def _filled(
    folder: Path,
    dest: Path,
    partial: Path,
    segments: Segments,
    now_ms: int,
    progress: Callable[[int, int], None],
) -> tuple[Manifest, int]:
    """Write everything; the manifest, and how many bytes were linked."""
    known = _known(dest)
    names = segments.names()
    gone = [one for one in pruned.read(folder).segments if names and one.segment.name < names[0]]
    total, done = sum(map(segments.size, names)) + sum(one.file.bytes for one in gone), 0

    def step(size: int) -> None:
        nonlocal done
        done += size
        progress(done, max(total, done))

    step(0)
    written: list[BackedFile] = []
    backed: list[BackedSegment] = []
    linked = 0
    for one in gone:
        file, is_linked = _from_backups(one, known, partial, step)
        linked += file.bytes if is_linked else 0
        written.append(file)
        backed.append(one.segment)
    for name in names:
        stand = segments.stand(name)
        if stand is None:
            continue
        earlier = known.get(key_of(stand)) if stand.is_sealed else None
        if earlier and _linked(earlier, partial, step):
            linked += earlier.file.bytes
            written.append(earlier.file)
            backed.append(stand)
            continue
        file, copied = _copied(segments, stand, partial, step)
        written.append(file)
        backed.append(copied)
    _refuse_gaps(folder, backed)
    settings = [path for path in (SETTINGS_FILE,) if (folder / path).exists()]
    for path in (*settings, folder_.VERSION_FILE):
        written.append(files.write(partial, path, files.pour_file(folder / path), step))  # noqa: PERF401  # it writes
    said = _manifest(folder, now_ms, backed, written)
    files.write(
        partial, manifest.FILE_NAME, files.pour_bytes(manifest.encode(said)), lambda _size: None
    )
    return manifest.read(partial), linked


def _copied(
    segments: Segments, stand: BackedSegment, partial: Path, step: files.Step
) -> tuple[BackedFile, BackedSegment]:
    file = files.write(partial, stand.path, lambda take: segments.copy(stand.name, take), step)
    return file, segments.copied((partial / stand.path).parent, stand.written_at_ns)


def _from_backups(
    one: PrunedSegment,
    known: dict[tuple[object, ...], _Known],
    partial: Path,
    step: files.Step,
) -> tuple[BackedFile, bool]:
    """A segment that was pruned, out of an earlier backup, and whether it was linked. Raises BackupDamaged when none has it."""
    beside, noted = known.get(key_of(one.segment)), _Known(Path(one.backup), one.file, one.segment)
    for earlier in (beside, noted):
        if earlier is None or earlier.file.sha256 != one.file.sha256:
            continue
        if _linked(earlier, partial, step):
            return earlier.file, True
        try:
            files.copy(earlier.backup, partial, earlier.file, step)  # on another disk
        except BackupDamaged:
            (partial / earlier.file.path).unlink(missing_ok=True)
        else:
            return earlier.file, False
    raise BackupDamaged(
        f"segment {one.segment.name} was pruned from the journal, and no backup that is known holds it whole: it was in "
        f"{one.backup}; bring that back, or write beside a backup that was taken since"
    )


def _refuse_gaps(folder: Path, backed: list[BackedSegment]) -> None:
    """A backup that begins late, or leaves entries out, would restore to nothing that works."""
    last: int = START
    for segment in backed:
        if segment.first != last + 1:
            raise JournalDamaged(
                f"entries {last + 1} to {segment.first - 1} of the journal of {folder} are missing, and "
                f"{pruned.FILE_NAME} does not say that they were pruned; restore an earlier backup"
            )
        last = segment.last


def _linked(earlier: _Known, partial: Path, step: files.Step) -> bool:
    """Whether a segment of an earlier backup could be taken as it is: it is what was written, and the disk can link."""
    if not files.fits(earlier.backup, earlier.file, step):
        return False
    place = files.place(partial, earlier.file.path)
    try:
        place.hardlink_to(earlier.backup / earlier.file.path)
    except OSError:  # a disk without links: copied instead
        return False
    return True


def _known(dest: Path) -> dict[tuple[object, ...], _Known]:
    """The closed segments of the backups that lie beside the destination."""
    found: list[tuple[Path, Manifest]] = []
    for beside in dest.parent.iterdir():
        if (beside / manifest.FILE_NAME).is_file() and not beside.name.endswith(PARTIAL):
            try:
                found.append((beside, manifest.read(beside)))
            except (BackupDamaged, FolderTooNew):
                continue
    found.sort(key=lambda one: one[1].created_at_ms, reverse=True)
    known: dict[tuple[object, ...], _Known] = {}
    for backup, said in found[:_EARLIER_MAX]:
        by_path = {file.path: file for file in said.files}
        for segment in said.segments:
            if segment.is_sealed:
                known.setdefault(key_of(segment), _Known(backup, by_path[segment.path], segment))
    return known


def _manifest(
    folder: Path, now_ms: int, backed: list[BackedSegment], written: list[BackedFile]
) -> Manifest:
    if not backed:
        raise Invalid(
            f"the journal of {folder} has no segment yet; there is nothing to back up", param="data"
        )
    topics: dict[str, int] = {}
    for segment in backed:
        topics |= {topic: stand.last for topic, stand in segment.topics.items()}
    return Manifest(
        format=manifest.FORMAT,
        version=__version__,
        folder_format=folder_.format_of(folder),
        created_at_ms=now_ms,
        first=backed[0].first,
        end=backed[-1].last,
        topics=topics,
        segments=tuple(backed),
        files=tuple(written),
    )


def _noted(folder: Path, dest: Path, said: Manifest) -> bool:
    note = BackupNote(
        path=str(dest), created_at_ms=said.created_at_ms, bytes=said.bytes, end=said.end
    )
    try:
        folder_.write_whole(folder / folder_.BACKUP_FILE, to_json(note))
    except OSError:
        return False
    return True
