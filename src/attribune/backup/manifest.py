"""What a backup says of itself: ``manifest.json``, written last, so that a folder with a whole one is a whole backup."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from attribune.model.errors import BackupDamaged, FolderTooNew

FORMAT: Final = 1
FILE_NAME: Final = "manifest.json"
#: Largest manifest read: room for some 100,000 segments.
BYTES_MAX: Final = 64 << 20
#: Names of files that a backup may hold; whatever else a manifest names is refused.
_ALLOWED: Final = re.compile(r"VERSION|attribune\.toml|journal/[0-9]{10}/data\.mdb")


class BackedFile(Struct, frozen=True, kw_only=True):
    """One file, by its path inside the backup and inside a data folder."""

    path: str
    bytes: int
    sha256: str


class BackedTopic(Struct, frozen=True, kw_only=True):
    """What a segment holds of a topic."""

    entries: int
    #: The place of the newest of them.
    last: int


class BackedSegment(Struct, frozen=True, kw_only=True):
    """One segment of the journal, as of the moment it was copied."""

    name: str
    #: Its first and last place; ``last`` is one before ``first`` while it is empty.
    first: int
    last: int
    begun_at_ms: int
    is_sealed: bool
    topics: dict[str, BackedTopic]
    #: When the file it was copied from was last written. Nanoseconds; with the rest it tells whether the copy is still that.
    written_at_ns: int

    @property
    def path(self) -> str:
        """Its file, inside the backup and inside a data folder."""
        return f"journal/{self.name}/data.mdb"


def key_of(segment: BackedSegment) -> tuple[object, ...]:
    """The same of a closed segment and its copy, as long as nobody rewrites it."""
    return (
        segment.name,
        segment.first,
        segment.last,
        segment.begun_at_ms,
        segment.written_at_ns,
    )


class Manifest(Struct, frozen=True, kw_only=True):
    """Everything that a backup holds."""

    format: int
    #: The version that took it.
    version: str
    #: The format of the data folder.
    folder_format: int
    #: When it was begun: every record answered before is in it. Milliseconds, UTC.
    created_at_ms: int
    #: The places of its first and its newest entry.
    first: int
    end: int
    #: The newest place of each topic.
    topics: dict[str, int]
    segments: tuple[BackedSegment, ...]
    files: tuple[BackedFile, ...]
    #: SHA-256 of this record with an empty checksum.
    checksum: str = ""

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for file in self.files)


def encode(manifest: Manifest) -> bytes:
    """The manifest as written, with its checksum."""
    whole = msgspec.structs.replace(manifest, checksum=checksum(manifest))
    return msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"


def checksum(manifest: Manifest) -> str:
    """Tells a manifest from any other."""
    bare = msgspec.structs.replace(manifest, checksum="")
    return sha256(msgspec.json.encode(bare)).hexdigest()


def read(backup: Path) -> Manifest:
    """The manifest of a backup. Raises BackupDamaged naming what is wrong with it, FolderTooNew."""
    file = backup / FILE_NAME
    try:
        with file.open("rb") as opened:
            raw = opened.read(BYTES_MAX + 1)
    except OSError as fault:
        raise BackupDamaged(
            f"{backup} is no whole backup: {FILE_NAME} cannot be read ({fault.strerror}); take another one"
        ) from fault
    try:
        if msgspec.json.decode(raw, type=_Format).format > FORMAT:
            raise FolderTooNew(
                f"{file} has a later format than this version reads ({FORMAT}); install the later version"
            )
        found = msgspec.json.decode(raw, type=Manifest)
    except msgspec.MsgspecError as fault:
        raise BackupDamaged(
            f"{file} is not what was written ({fault}); take another backup"
        ) from fault
    if found.checksum != checksum(found):
        raise BackupDamaged(
            f"{file} is not what was written: its checksum does not fit; take another backup"
        )
    _see(file, found)
    return found


class _Format(Struct):
    format: int


def _see(file: Path, found: Manifest) -> None:
    """Refuse a manifest that names strange files or lacks a part of the journal."""
    paths = [one.path for one in found.files]
    strange = [path for path in paths if not _ALLOWED.fullmatch(path)]
    if strange or len(set(paths)) < len(paths):
        raise BackupDamaged(f"{file} names files that no backup holds: {strange or 'some twice'}")
    place = found.first
    for segment in found.segments:
        if segment.first != place or segment.path not in paths:
            raise BackupDamaged(
                f"{file}: segment {segment.name} does not begin at {place}, where the one before it ends"
            )
        place = segment.last + 1
    if place != found.end + 1:
        raise BackupDamaged(f"{file}: the segments end at {place - 1} and not at {found.end}")
