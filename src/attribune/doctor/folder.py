"""The data folder: whose it is, who may read it, who holds it, what was left behind, how large it is, when it was copied."""

from __future__ import annotations

import os
import pwd
import re
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from attribune.doctor.check import AS_OWNER, UNSEEN, Found, Look, Subject, fail, ok, warn
from attribune.doctor.words import age, size
from attribune.model.errors import Invalid
from attribune.model.status import BackupNote
from attribune.roles import folder as folder_
from attribune.roles.standing import role_names
from attribune.roles.supervisor import RESTART_FOLDER
from attribune.settings import FILE_NAME

#: Files looked at; the facts of years have fewer.
FILES_MAX: Final = 200_000
#: A backup each day and some hours of delay.
BACKUP_AGE_WANTED_MS: Final = 36 * 3_600_000
BACKUP_AGE_MOST_MS: Final = 8 * 86_400_000

#: What holds keys' hashes, signing secrets and people's identifiers.
_SECRET: Final = (
    *("journal", "registry.db", "store", "answers", "facts", "outbox.db", "secrets.key", "run"),
)
#: Sizes are told of each, in this order.
_PARTS: Final = (
    ("journal", ("journal",)),
    ("stores", ("store", "answers")),
    ("facts", ("facts",)),
    ("registry", ("registry.db", "registry.db-wal", "registry.db-shm")),
    ("outbox", ("outbox.db", "outbox.db-wal", "outbox.db-shm")),
    ("run", ("run",)),
)
#: What `write_whole` leaves when it is killed: ``.name.pid``.
_HALF: Final = re.compile(r"\..+\.(\d+)$")
_HEARTBEAT: Final = re.compile(r"collector-\d+\.json$")
#: Files named in one sentence.
_NAMED_MAX: Final = 3


def walk(place: Path) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder, up to a limit; what vanishes meanwhile is left out."""
    waiting, seen = [place], 0
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            seen += 1
            if seen > FILES_MAX:
                return
            yield entry
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def format_(subject: Subject) -> Found:
    """Whether this version reads the folder."""
    try:
        found = folder_.format_of(subject.folder)
    except Invalid as fault:
        return fail(
            fault.message,
            "give the right folder, or read it as its owner; `attribune serve` makes a new one",
        )
    if found > folder_.FORMAT:
        return fail(
            f"format {found}, and this version knows {folder_.FORMAT}",
            "install the version that wrote it, or a later one",
        )
    return ok(f"format {found}")


def owner(subject: Subject) -> Found:
    """Whether everything belongs to one user, and to who calls unless that is root."""
    uid = subject.folder.stat().st_uid
    if os.geteuid() not in {uid, 0}:
        return fail(
            f"the folder belongs to {_name(uid)} and not to {_name(os.geteuid())}",
            f"run commands as {_name(uid)}: sudo -u {_name(uid)} attribune …",
        )
    others = Counter[int]()
    first: dict[int, str] = {}
    for entry in walk(subject.folder):
        status = _status(entry)
        if status is not None and status.st_uid != uid and not _is_settings(entry, status):
            others[status.st_uid] += 1
            first.setdefault(status.st_uid, os.fspath(Path(entry.path).relative_to(subject.folder)))
    if others:
        said = ", ".join(
            f"{count} of {_name(who)} ({first[who]} …)" for who, count in others.items()
        )
        return fail(
            f"the folder belongs to {_name(uid)}, and files in it to others: {said}",
            f"chown -R {_name(uid)}: {subject.folder}    and run commands as {_name(uid)}, not as root",
        )
    return ok(f"all of it belongs to {_name(uid)}")


def _is_settings(entry: os.DirEntry[str], status: os.stat_result) -> bool:
    """Whether it is the settings as an administrator wrote them, for everybody to read."""
    return entry.name == FILE_NAME and bool(status.st_mode & stat.S_IROTH)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def permissions(subject: Subject) -> Found:
    """Whether nobody else gets in: the folder's own mode guards what lies in it."""
    folder = subject.folder
    mode = stat.S_IMODE(folder.stat().st_mode)
    said = f"the folder's mode is {mode:04o}"
    mend = f"chmod 0700 {folder}"
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        return fail(f"{said}: everybody on this machine gets in", mend)
    if mode & stat.S_IXOTH and (open_ := _open_to_all(folder)):
        shown = ", ".join(open_[:_NAMED_MAX]) + (" …" if len(open_) > _NAMED_MAX else "")
        return fail(f"{said}, and everybody may read {shown}", mend)
    if mode & (stat.S_IRWXG | stat.S_IXOTH):
        return warn(f"{said}: more than its owner gets in", mend)
    return ok(f"{said}: only its owner gets in")


def _open_to_all(folder: Path) -> list[str]:
    """What holds secrets and can be read by everybody who gets into the folder."""
    found = []
    for name in _SECRET:
        place = folder / name
        if not place.exists():
            continue
        mode = place.stat().st_mode
        if not stat.S_ISDIR(mode):
            found += [name] if mode & stat.S_IROTH else []
        elif mode & stat.S_IXOTH:
            statuses = ((entry, _status(entry)) for entry in walk(place))
            found += [
                os.fspath(Path(entry.path).relative_to(folder))
                for entry, status in statuses
                if status and stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IROTH
            ]
    return found


def holder(subject: Subject) -> Found:
    """Who holds the folder."""
    found = subject.holder
    if found is None:
        return ok("nobody")
    if found == UNSEEN:
        return fail(found.doing, AS_OWNER)
    if found == folder_.SHARED or not found.pid:
        return ok(found.doing)
    said = f"{found.doing} (process {found.pid} on {found.host}, since {found.since})"
    if found.host != os.uname().nodename:
        return warn(
            f"{said}, on another machine, or in a container",
            "a folder is served by one machine: if that is another one, stop one of both",
        )
    return ok(said)


def leftovers(subject: Subject) -> Found:
    """What somebody who was killed has left and nobody takes away."""
    run = subject.folder / "run"
    found = [os.fspath(path.relative_to(subject.folder)) for path in _left(run, subject)]
    if not found:
        return ok("nothing was left behind")
    shown = ", ".join(found[:_NAMED_MAX]) + (" …" if len(found) > _NAMED_MAX else "")
    places = " ".join(os.fspath(subject.folder / name) for name in found[:_NAMED_MAX])
    return warn(f"left by who was killed: {shown}", f"when nothing runs: rm -r {places}")


def _left(run: Path, subject: Subject) -> Iterator[Path]:
    names = role_names(subject.settings.collectors)
    for path in sorted(run.iterdir()) if run.exists() else ():
        half = _HALF.match(path.name)
        is_half = half is not None and not Path(f"/proc/{half[1]}").exists()
        is_scratch = path.name.startswith("replay-") and subject.holder is None
        is_former = bool(_HEARTBEAT.match(path.name)) and path.stem not in names
        if is_half or is_scratch or (is_former and subject.is_served):
            yield path
    if not subject.is_served:
        restart = subject.folder / RESTART_FOLDER
        yield from sorted(restart.iterdir()) if restart.exists() else ()
        if (socket := subject.folder / folder_.ADMIN_SOCKET).exists():
            yield socket


def sizes(subject: Subject) -> Found:
    """How large each part is on the disk."""
    said = []
    for name, places in _PARTS:
        taken = sum(_taken(subject.folder / place) for place in places)
        said.append(f"{name} {size(taken)}")
    return ok(", ".join(said))


def _taken(place: Path) -> int:
    """What a file or a folder takes of the disk. Bytes."""
    if not place.exists():
        return 0
    own = place.stat().st_blocks
    found = (_status(entry) for entry in walk(place)) if place.is_dir() else ()
    return 512 * (own + sum(status.st_blocks for status in found if status))


def backup(subject: Subject) -> Found:
    """How old the newest backup is."""
    take = f"attribune backup /backups/$(date -u +%F) --data {subject.folder}"
    try:
        raw = (subject.folder / folder_.BACKUP_FILE).read_bytes()
        note = msgspec.json.decode(raw, type=BackupNote)
    except FileNotFoundError:
        return warn("none is known", f"{take}    and each day from then on")
    except msgspec.MsgspecError:
        return warn(f"{folder_.BACKUP_FILE} cannot be read", take)
    since_ms = subject.now_ms - note.created_at_ms
    said = f"{age(since_ms)} old, up to entry {note.end}, {size(note.bytes)} at {note.path}"
    if since_ms < 0:
        return warn(f"{note.path} is from the future", "see the check `clock`")
    if since_ms > BACKUP_AGE_MOST_MS:
        return fail(said, f"{take}    and see why the timer does not")
    return warn(said, take) if since_ms > BACKUP_AGE_WANTED_MS else ok(said)


def _if_there(one: Look) -> Look:
    """A check that has nothing to say where there is no folder; `format` says that there is none."""

    def looked(subject: Subject) -> Found:
        return one(subject) if subject.folder.is_dir() else ok("there is no folder")

    return looked


CHECKS: Final[dict[str, Look]] = {
    "format": format_,
    "owner": _if_there(owner),
    "permissions": _if_there(permissions),
    "holder": _if_there(holder),
    "leftovers": _if_there(leftovers),
    "sizes": _if_there(sizes),
    "backup": _if_there(backup),
}
