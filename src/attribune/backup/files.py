"""Files of a backup written, linked and checked: in pieces, synced, for their owner alone."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeAlias

from attribune.backup.manifest import BackedFile
from attribune.model.errors import BackupDamaged, BackupUnavailable

#: Hears how many bytes more are done.
Step: TypeAlias = Callable[[int], None]
#: Takes the next piece of a file.
Take: TypeAlias = Callable[[memoryview], None]

CHUNK_BYTES: Final = 1 << 20
#: Synced this often, so that a house on the same disk never waits for all of a segment at once.
_SYNC_BYTES: Final = 32 << 20
_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write(root: Path, path: str, pour: Callable[[Take], None], step: Step) -> BackedFile:
    """Write a new file below a folder from what ``pour`` gives; what was written. Raises OSError."""
    file = place(root, path)
    digest, size, synced = sha256(), 0, 0
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _MODE)

    def take(piece: memoryview) -> None:
        nonlocal size, synced
        digest.update(piece)
        rest = piece
        while rest:
            rest = rest[os.write(handle, rest) :]
        size += len(piece)
        if size - synced >= _SYNC_BYTES:
            os.fdatasync(handle)
            synced = size
        step(len(piece))

    try:
        pour(take)
        os.fsync(handle)
    finally:
        os.close(handle)
    return BackedFile(path=path, bytes=size, sha256=digest.hexdigest())


def place(root: Path, path: str) -> Path:
    """Where a file is to stand below a folder; the folders on the way are made."""
    folder = root
    for name in Path(path).parent.parts:
        folder /= name
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    return root / path


def pour_file(source: Path) -> Callable[[Take], None]:
    """What gives the content of a file. Raises OSError; a link is no file."""

    def pour(take: Take) -> None:
        handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb", buffering=0) as opened:
            buffer = bytearray(CHUNK_BYTES)
            while size := opened.readinto(buffer):
                take(memoryview(buffer)[:size])

    return pour


def pour_bytes(content: bytes) -> Callable[[Take], None]:
    """What gives some bytes."""
    return lambda take: take(memoryview(content))


def fits(root: Path, file: BackedFile, step: Step) -> bool:
    """Whether a file below a folder is what was written."""
    digest, size = sha256(), 0

    def take(piece: memoryview) -> None:
        nonlocal size
        digest.update(piece)
        size += len(piece)
        step(len(piece))

    try:
        pour_file(root / file.path)(take)
    except OSError:
        return False
    return size == file.bytes and digest.hexdigest() == file.sha256


def copy(source: Path, root: Path, file: BackedFile, step: Step) -> None:
    """Copy a file of a backup below another folder. Raises BackupDamaged when it is not what was written, OSError."""
    try:
        size = (source / file.path).stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        raise BackupDamaged(
            f"{source / file.path} is missing; restore from another backup"
        ) from None
    if (
        size != file.bytes
        or write(root, file.path, pour_file(source / file.path), step).sha256 != file.sha256
    ):
        raise BackupDamaged(
            f"{source / file.path} is not what was written: its size or checksum does not fit; restore from another backup"
        )


def sync_folders(root: Path) -> None:
    """Make the names of everything below a folder, and of the folder itself, as durable as the files."""
    for folder, _, _ in os.walk(root):
        sync_folder(Path(folder))
    sync_folder(root.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(folder: Path) -> None:
    """Remove a folder that was begun, as far as that goes."""
    with suppress(OSError):
        shutil.rmtree(folder)


def said(fault: OSError, doing: str) -> BackupUnavailable:
    """A fault of the system as an error of ours."""
    why = fault.strerror or str(fault)
    end = "; free some space there" if fault.errno in _FULL else ""
    return BackupUnavailable(f"{doing}: {why}{end}. Nothing of it was left")
