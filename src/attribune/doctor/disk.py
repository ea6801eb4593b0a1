"""The disk under the data folder: room, kind of file system, and what it does when it is asked to sync."""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import statistics
import time
from pathlib import Path
from typing import Final, NamedTuple

from attribune.doctor.check import AS_OWNER, Found, Look, Subject, fail, ok, warn
from attribune.doctor.words import size

#: Less room than that, and the journal soon takes nothing more.
FREE_BYTES_LEAST: Final = 1 << 30
#: Merges of the facts need room beside what stands.
FREE_PART_WANTED: Final = 0.10
FILES_PART_WANTED: Final = 0.05
FILES_LEAST: Final = 1000
#: A commit syncs twice before anybody is answered.
SYNC_MS_WANTED: Final = 20.0
SYNC_MS_MOST: Final = 200.0

#: Others read and write what lies there, and LMDB's locks and maps do not reach them.
NETWORK: Final = frozenset(
    [
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "smb2",
        "smb3",
        "smbfs",
    ]
)
#: What lies there is gone with the machine's power, or with the container.
PASSING: Final = frozenset({"tmpfs", "ramfs", "overlay", "aufs", "squashfs", "rootfs"})
#: Options under which a sync may end before the disk has it.
UNSYNCED: Final = frozenset({"nobarrier", "barrier=0"})

_MOUNTS: Final = Path("/proc/self/mountinfo")
_ROUNDS: Final = 25
_ROUNDS_S: Final = 2.0
_BLOCK: Final = 4096


class Space(NamedTuple):
    """What is left for whoever is not the administrator."""

    bytes_free: int
    bytes_total: int
    files_free: int
    #: 0 where the file system makes as many as are asked for.
    files_total: int


def read_space(folder: Path) -> Space:
    """What is left under a folder."""
    found = os.statvfs(folder)
    unit = found.f_frsize
    return Space(found.f_bavail * unit, found.f_blocks * unit, found.f_favail, found.f_files)


def space(subject: Subject) -> Found:
    """Whether there is room."""
    return judge_space(read_space(subject.ground))


def judge_space(found: Space) -> Found:
    """The same for a reading."""
    part = found.bytes_free / max(1, found.bytes_total)
    said = f"{size(found.bytes_free)} of {size(found.bytes_total)} free ({part:.0%})"
    remedy = "make room or a larger disk; what grows is said by `sizes`"
    if found.bytes_free < FREE_BYTES_LEAST:
        return fail(f"{said}; a full disk makes records be answered 503", remedy)
    return warn(said, remedy) if part < FREE_PART_WANTED else ok(said)


def inodes(subject: Subject) -> Found:
    """Whether files can still be made."""
    return judge_inodes(read_space(subject.ground))


def judge_inodes(found: Space) -> Found:
    """The same for a reading."""
    if not found.files_total:
        return ok("the file system makes as many as are asked for")
    part = found.files_free / found.files_total
    said = f"{found.files_free} of {found.files_total} free ({part:.0%})"
    remedy = "remove small files that nobody needs, or make the file system anew with more inodes"
    if found.files_free < FILES_LEAST:
        return fail(said, remedy)
    return warn(said, remedy) if part < FILES_PART_WANTED else ok(said)


# --- the file system


class Mount(NamedTuple):
    """The file system that a folder lies on."""

    kind: str
    point: str
    options: frozenset[str]


def read_mount(folder: Path, mountinfo: str | None = None) -> Mount:
    """The file system that a folder lies on, by the longest mount point above it; of two at one point the later."""
    text = _MOUNTS.read_text() if mountinfo is None else mountinfo
    place = folder.resolve()
    best = Mount("unknown", "/", frozenset())
    for line in text.splitlines():
        before, _, behind = line.partition(" - ")
        words, more = before.split(), behind.split()
        point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), words[4])
        if place.is_relative_to(point) and len(point) >= len(best.point):
            options = frozenset([*words[5].split(","), *more[-1].split(",")])
            best = Mount(more[0], point, options)
    return best


class Trial(NamedTuple):
    """What the file system did with a file that has no name."""

    #: What it cannot do, each in a few words.
    cannot: tuple[str, ...]
    #: How long each sync took.
    sync_ms: tuple[float, ...]


def try_out(folder: Path) -> Trial:
    """Lock, map and sync a file that has no name, so that nothing is left and nothing is seen. Raises OSError."""
    descriptor = os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    try:
        cannot = [
            name
            for name, one in (("flock", _flock), ("fcntl locks", _lockf), ("shared maps", _map))
            if not _can(one, descriptor)
        ]
        return Trial(tuple(cannot), tuple(_syncs(descriptor)))
    finally:
        os.close(descriptor)


def _can(one: object, descriptor: int) -> bool:
    try:
        one(descriptor)  # type: ignore[operator]
    except OSError:
        return False
    return True


def _flock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lockf(descriptor: int) -> None:
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _map(descriptor: int) -> None:
    """A write through a shared map is read through the file."""
    os.pwrite(descriptor, bytes(_BLOCK), 0)
    with mmap.mmap(descriptor, _BLOCK) as shared:
        shared[:4] = b"seen"
        shared.flush()
    if os.pread(descriptor, 4, 0) != b"seen":
        raise OSError("not seen")


def _syncs(descriptor: int) -> list[float]:
    took = []
    give_up = time.perf_counter() + _ROUNDS_S
    for number in range(_ROUNDS):
        os.pwrite(descriptor, os.urandom(_BLOCK), number * _BLOCK)
        begun = time.perf_counter()
        os.fdatasync(descriptor)
        ended = time.perf_counter()
        took.append((ended - begun) * 1000)
        if ended > give_up:
            break
    return took


def filesystem(subject: Subject) -> Found:
    """Whether the file system keeps what the journal needs."""
    mount = read_mount(subject.ground)
    try:
        cannot = try_out(subject.ground).cannot
    except OSError as fault:
        return _not_tried(mount, fault)
    return judge_filesystem(mount, cannot)


def judge_filesystem(mount: Mount, cannot: tuple[str, ...]) -> Found:
    """The same for a reading."""
    said = f"{mount.kind} at {mount.point}"
    local = "move the folder to a disk of this machine with ext4 or xfs"
    if cannot:
        return fail(f"{said} does not do {', '.join(cannot)}, which the journal needs", local)
    if mount.kind in NETWORK or mount.kind.startswith("fuse."):
        return warn(
            f"{said} reaches other machines: the journal's locks and syncs are promises of theirs",
            local,
        )
    if mount.kind in PASSING:
        return warn(
            f"{said} is gone with the power or with the container",
            "move the folder to a disk, in a container to a volume",
        )
    if found := UNSYNCED & mount.options:
        return warn(
            f"{said} is mounted with {', '.join(sorted(found))}: a sync may end before the disk has it",
            "mount it without",
        )
    return ok(f"{said} locks, maps and syncs")


def _not_tried(mount: Mount, fault: OSError) -> Found:
    said = f"{mount.kind} at {mount.point}: a file could not be tried out ({fault.strerror})"
    if isinstance(fault, PermissionError):
        return fail(said, AS_OWNER)
    if "ro" in mount.options:
        return fail(said, "the disk is mounted read-only, mostly after an error: see `dmesg`")
    return warn(said, "move the folder to a disk of this machine with ext4 or xfs")


def sync(subject: Subject) -> Found:
    """How long it takes until the disk has what was written."""
    try:
        took = try_out(subject.ground).sync_ms
    except OSError as fault:
        return warn(f"not measured ({fault.strerror})", "see the check `filesystem`")
    return judge_sync(took)


def judge_sync(took: tuple[float, ...]) -> Found:
    """The same for a reading."""
    median, most = statistics.median(took), max(took)
    said = f"{median:.2f} ms in the middle, {most:.2f} ms at most, of {len(took)}"
    remedy = "every answer waits for it: use a faster disk, or find who else writes to this one (`iostat -x 1`)"
    if median > SYNC_MS_MOST:
        return fail(said, remedy)
    return warn(said, remedy) if median > SYNC_MS_WANTED else ok(said)


CHECKS: Final[dict[str, Look]] = {
    "disk_space": space,
    "inodes": inodes,
    "filesystem": filesystem,
    "sync": sync,
}
