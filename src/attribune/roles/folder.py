"""The data folder: made on first use, marked with its format, held by one process at a time."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from attribune.model.errors import Conflict, FolderHeld, FolderTooNew, Invalid

#: The format of the folder as a whole. A later one is refused, an earlier one is brought up by the version that raised it.
FORMAT: Final = 1
#: The earliest that this version can bring up.
_OLDEST: Final = 1
ADMIN_SOCKET: Final = "run/admin.sock"
#: What `serve` says of itself: addresses and ports.
SERVE_FILE: Final = "run/serve.json"
#: What is known of the newest backup.
BACKUP_FILE: Final = "run/backup.json"
#: What is known of the last prune.
PRUNE_FILE: Final = "run/prune.json"
#: What is known of scrubbing the journal.
SCRUB_FILE: Final = "run/scrub.json"
#: The mark of a data folder: its format.
VERSION_FILE: Final = "VERSION"
_LOCK: Final = "lock"
_LOCK_WAIT_S: Final = 1.0
_LOCK_POLL_S: Final = 0.02


def prepare(folder: Path) -> Path:
    """The folder, made for its owner alone when it is new.

    Raises FolderTooNew when a later version of Attribune wrote it, Invalid when it holds something else or cannot be made.
    """
    version = folder / VERSION_FILE
    try:
        if not version.exists():
            if folder.is_dir() and any(folder.iterdir()) and not _is_ours(folder):
                raise Invalid(
                    f"{folder} is no data folder of Attribune and is not empty; give an empty or a new one",
                    param="data",
                )
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(version, f"{FORMAT}\n")
        (folder / "run").mkdir(mode=0o700, exist_ok=True)
        format_ = _format(version)
    except OSError as fault:
        raise Invalid(
            f"the data folder {folder} cannot be used: {fault.strerror}", param="data"
        ) from fault
    if format_ > FORMAT:
        raise FolderTooNew(
            f"{folder} has format {format_} and this version knows {FORMAT}; install a later version"
        )
    return folder


def format_of(folder: Path) -> int:
    """The format of a data folder that stands. Raises Invalid when there is none."""
    try:
        return _format(folder / VERSION_FILE)
    except OSError as fault:
        raise Invalid(
            f"{folder} is no data folder of Attribune ({VERSION_FILE}: {fault.strerror}); give another --data",
            param="data",
        ) from fault


def _format(version: Path) -> int:
    text = version.read_text().strip()
    if not text.isdigit() or int(text) < _OLDEST:
        raise Invalid(
            f"{version} should hold the number of a format from {_OLDEST} on, not {text[:40]!r}; "
            "restore the folder from a backup, or give another --data",
            param="data",
        )
    return int(text)


def _is_ours(folder: Path) -> bool:
    """Whether only things that may be there before the first use are there: settings, and a folder begun but not marked."""
    return {entry.name for entry in folder.iterdir()} <= {"attribune.toml", "run", _LOCK}


@contextmanager
def held(folder: Path, doing: str, *, shared: bool = False) -> Iterator[int]:
    """Hold the folder's lock while the block runs; gives the lock's descriptor, for children to inherit.

    A lock that is about to be let go (a house that was killed a moment ago) is waited for, up to a second.
    Raises FolderHeld, naming who holds it.
    """
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(folder, descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        if not shared:
            _sign(descriptor, doing)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def journal_kept(folder: Path) -> Iterator[None]:
    """While the block runs, no segment of the journal is pruned or rewritten. Any number of readers may ask for it at once."""
    descriptor = os.open(folder / "journal", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def journal_alone(folder: Path) -> Iterator[None]:
    """While the block runs, nobody relies on old segments of the journal: they may be pruned or rewritten. Raises Conflict."""
    descriptor = os.open(folder / "journal", os.O_RDONLY | os.O_DIRECTORY)
    try:
        _take(
            descriptor,
            f"a backup, an audit or a replay reads the journal of {folder} now; try again when it is over",
        )
        yield
    finally:
        os.close(descriptor)


@contextmanager
def pruning(folder: Path) -> Iterator[None]:
    """One prune or scrub of a folder at a time. Raises Conflict for the second."""
    lock = folder / "run" / "prune.lock"
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, f"another prune or scrub works on {folder} now; wait for it")
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, why_not: str) -> None:
    give_up = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise Conflict(why_not) from None
            time.sleep(_LOCK_POLL_S)
        else:
            return


def _lock(folder: Path, descriptor: int, how: int) -> None:
    give_up = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise FolderHeld(_who(folder, descriptor)) from None
            time.sleep(_LOCK_POLL_S)
        else:
            return


def _sign(descriptor: int, doing: str) -> None:
    said = {"pid": os.getpid(), "host": socket.gethostname(), "doing": doing}
    said["since"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(said).encode(), 0)


def _who(folder: Path, descriptor: int) -> str:
    found = _signed(descriptor)
    who = (
        f"{found.doing} (process {found.pid} on {found.host}, since {found.since})"
        if found
        else "another process"
    )
    return f"{folder} is held by {who}; stop that first, or give another --data"


class Holder(NamedTuple):
    """Who holds a folder, as it signed the lock."""

    doing: str
    #: 0 when it is not known.
    pid: int
    host: str
    #: In ISO 8601, UTC.
    since: str


#: Roles started by hand share the lock and do not sign it.
SHARED: Final = Holder("roles started by hand", 0, "", "")
_UNKNOWN: Final = Holder("another process", 0, "", "")


def holder(folder: Path) -> Holder | None:
    """Who holds a folder now; None when nobody does. Waits for nobody, and makes and keeps nothing. Raises OSError."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if not _is_free(descriptor, fcntl.LOCK_SH):
            return _signed(descriptor) or _UNKNOWN
        return None if _is_free(descriptor, fcntl.LOCK_EX) else SHARED
    finally:
        os.close(descriptor)


def _is_free(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _signed(descriptor: int) -> Holder | None:
    try:
        said = json.loads(os.pread(descriptor, 4096, 0))
        return Holder(said["doing"], int(said["pid"]), said["host"], said["since"])
    except (ValueError, KeyError, TypeError):
        return None


def serving(folder: Path) -> dict[str, Any] | None:
    """What the house that serves, or last served, this folder says of itself; None when none ever did."""
    try:
        said = json.loads((folder / SERVE_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) else None


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file so that a reader sees the old or the new content and never a part."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(content)
    beside.replace(path)


def _write(path: Path, text: str) -> None:
    write_whole(path, text.encode())
