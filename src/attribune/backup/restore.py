"""Giving a backup back: every byte is checked before any of it is visible."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from attribune.backup import files, manifest
from attribune.backup.manifest import BackedSegment, Manifest
from attribune.model.errors import BackupDamaged, FolderTooNew, Invalid
from attribune.roles import folder as folder_
from attribune.settings import FILE_NAME as SETTINGS_FILE

#: Where files are gathered and checked, inside the data folder, so that they are on its disk.
RESTORING: Final = ".restoring"
#: What may be in a folder that is restored into: nothing that was ever served.
_MAY_BE: Final = frozenset({SETTINGS_FILE, "lock", RESTORING})


class Restored(Struct, frozen=True, kw_only=True):
    """A backup that was given back."""

    data: str
    #: When the backup was begun. Milliseconds, UTC.
    created_at_ms: int
    first: int
    end: int
    segments: int
    bytes: int
    #: Settings that stood in the folder already were left.
    kept_settings: bool


def restore(
    source: Path,
    folder: Path,
    stand_of: Callable[[Path, int], BackedSegment],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Restored:
    """Make a data folder from a backup; ``progress`` hears bytes done and in all.

    Raises Invalid when the folder holds data, FolderHeld when somebody uses it, BackupDamaged naming the first file that is
    not what was written, FolderTooNew, BackupUnavailable when a disk fails or is full; then the folder holds no data.
    """
    source, folder = source.resolve(), folder.resolve()
    said = manifest.read(source)
    if said.folder_format > folder_.FORMAT:
        raise FolderTooNew(
            f"{source} holds a data folder of format {said.folder_format}, this version knows {folder_.FORMAT}; "
            "install the later one"
        )
    _refuse_data(folder)
    try:
        folder.mkdir(mode=files.FOLDER_MODE, parents=True, exist_ok=True)
        with folder_.held(folder, "attribune restore"):
            _refuse_data(folder)
            gathering = folder / RESTORING
            files.remove(gathering)  # left by one that was killed
            try:
                _gather(source, gathering, said, stand_of, progress)
                kept_settings = _reveal(gathering, folder)
            finally:
                files.remove(gathering)
    except OSError as fault:
        raise files.said(fault, f"{source} cannot be restored to {folder}") from fault
    return Restored(
        data=str(folder),
        created_at_ms=said.created_at_ms,
        first=said.first,
        end=said.end,
        segments=len(said.segments),
        bytes=said.bytes,
        kept_settings=kept_settings,
    )


def _refuse_data(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise Invalid(f"{folder} is no folder; give an empty or a new one", param="data")
    if found := sorted({entry.name for entry in folder.iterdir()} - _MAY_BE):
        raise Invalid(
            f"{folder} holds data already ({found[0]}); give an empty or a new folder, nothing is overwritten",
            param="data",
        )


def _gather(
    source: Path,
    gathering: Path,
    said: Manifest,
    stand_of: Callable[[Path, int], BackedSegment],
    progress: Callable[[int, int], None],
) -> None:
    """Copy everything, and check it: each file's size and checksum, and that each segment says what the manifest says."""
    done = 0

    def step(size: int) -> None:
        nonlocal done
        done += size
        progress(done, said.bytes)

    gathering.mkdir(mode=files.FOLDER_MODE)
    for file in said.files:
        files.copy(source, gathering, file, step)
    for segment in said.segments:
        if stand_of((gathering / segment.path).parent, segment.written_at_ns) != segment:
            raise BackupDamaged(
                f"{source / segment.path} is another segment than {manifest.FILE_NAME} says; restore from another backup"
            )
    files.sync_folders(gathering)


def _reveal(gathering: Path, folder: Path) -> bool:
    """Move what was gathered into place, the mark of a data folder last; whether settings that stood there were left."""
    kept_settings = (folder / SETTINGS_FILE).exists()
    if kept_settings:
        (gathering / SETTINGS_FILE).unlink(missing_ok=True)
    entries = sorted(gathering.iterdir(), key=lambda entry: entry.name == folder_.VERSION_FILE)
    for entry in entries:
        entry.rename(folder / entry.name)
        files.sync_folder(folder)
    return kept_settings
