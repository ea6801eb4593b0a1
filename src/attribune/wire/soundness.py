"""Whether journal and views are sound, as far as that can be seen without opening them to write."""

# ruff: noqa: PLC0415 - an import inside a function is there so that only who needs an engine pays for it

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attribune.doctor.check import Found, Look, Subject, fail, ok, warn
from attribune.doctor.words import age
from attribune.model.errors import AttribuneError
from attribune.model.ids import Position

if TYPE_CHECKING:
    from attribune.model.status import Forgetting
    from attribune.roles.scrubs import ForgetRequest

#: Clocks of one machine may differ by less than that between two readings.
_SKEW_MS: Final = 5000
#: A request to forget is to be heeded within 30 days; what waits for longer than the first of these is not scrubbed as it should be.
SCRUB_AGE_WANTED_MS: Final = 25 * 86_400_000
SCRUB_AGE_MOST_MS: Final = 30 * 86_400_000
#: Outcomes looked through for requests, where nobody has for long: some seconds' work.
_LOOKED_MAX: Final = 2_000_000
_RESTORE: Final = "restore the folder from a backup: attribune restore /backups/… --data NEW"


def journal(subject: Subject) -> Found:
    """Whether every segment can be opened, follows the one before it, and holds as many entries as it says."""
    from attribune.engines import lmdb_copy

    place = subject.folder / "journal"
    names = lmdb_copy.names(place) if place.exists() else []
    if not names:
        return ok("nothing was ever appended")
    before = None
    for number, name in enumerate(names):
        try:
            stand = lmdb_copy.stand(place / name, is_shared=subject.holder is not None)
        except AttribuneError as fault:
            return fail(fault.message, _RESTORE)
        if stand is None:
            if number == len(names) - 1:
                break  # being made, or left by who was killed while making it
            return fail(f"segment {name} has no state", _RESTORE)
        state, topics = stand
        entries, wanted = sum(topic.entries for topic in topics.values()), state.last - state.base
        if before is not None and state.base != before:
            return fail(
                f"segment {name} begins after entry {state.base}, the one before it ends at {before}: one is missing",
                _RESTORE,
            )
        if number < len(names) - 1 and not state.is_sealed:
            return fail(f"segment {name} is not closed and not the newest", _RESTORE)
        if state.is_sealed and entries != wanted:
            return fail(
                f"segment {name} holds {entries} entries and should hold {wanted}", _RESTORE
            )
        before = state.last
    return ok(
        f"{len(names)} segments up to entry {before or 0}; `attribune audit` reads every entry"
    )


def moments(subject: Subject) -> Found:
    """Whether the newest entries were received before now: else the clock was set back."""
    from attribune.engines import lmdb_copy
    from attribune.model.codec import decode

    place = subject.folder / "journal"
    newest_ms = 0
    for name in lmdb_copy.names(place)[-2:] if place.exists() else ():
        for entry in lmdb_copy.newest(place / name, is_shared=subject.holder is not None):
            newest_ms = max(newest_ms, _moment(decode(entry)))
    if not newest_ms:
        return ok("no entry says when it came")
    ahead_ms = newest_ms - subject.now_ms
    if ahead_ms > _SKEW_MS:
        return fail(
            f"the newest entry came in {age(ahead_ms)} from now: the clock was ahead, or was set back",
            "put the clock right (timedatectl); what came in meanwhile keeps its moment, and days that closed stay so",
        )
    return ok(f"the newest came in {age(-ahead_ms)} ago")


def _moment(record: Any) -> int:
    """When a record came in; 0 when it does not say. Milliseconds, UTC."""
    for name in ("received_at_ms", "at_ms"):
        if isinstance(found := getattr(record, name, None), int):
            return found
    return 0


def forgotten(subject: Subject) -> Found:
    """Whether the journal is scrubbed in time of people who were forgotten."""
    from attribune.roles import scrubs

    note = scrubs.note_of(subject.folder)
    found: list[ForgetRequest] = []
    is_all = True
    if subject.now_ms - note.at_ms > SCRUB_AGE_WANTED_MS:  # else what came since waits for less
        found, is_all = _requests(subject, note.looked_to)
    return judge_forgotten(scrubs.forgetting(note, found, 0), is_all=is_all, subject=subject)


def judge_forgotten(found: Forgetting, *, is_all: bool, subject: Subject) -> Found:
    """The same for what waits; ``is_all`` when it was looked for up to the journal's end."""
    scrub = f"attribune journal scrub --data {subject.folder}"
    if found.waiting_since_ms is None:
        if not is_all:
            return warn("too much was never looked through for requests to forget", scrub)
        return ok("no request to forget waits for the journal to be scrubbed")
    waits_ms = subject.now_ms - found.waiting_since_ms
    said = f"{found.waiting} requests to forget wait for the journal to be scrubbed, the oldest for {age(waits_ms)}"
    if waits_ms > SCRUB_AGE_MOST_MS:
        return fail(f"{said}; people are promised 30 days", scrub)
    if waits_ms > SCRUB_AGE_WANTED_MS:
        return warn(f"{said}; people are promised 30 days", scrub)
    return ok(said)


def _requests(subject: Subject, after: int) -> tuple[list[ForgetRequest], bool]:
    """Requests to forget behind a place, and whether all of the journal was looked through for them."""
    from attribune.engines import lmdb_copy, lmdb_scrubbed
    from attribune.model.position import Topic
    from attribune.roles import scrubs

    place, found, left = subject.folder / "journal", list[scrubs.ForgetRequest](), _LOOKED_MAX
    is_shared = subject.holder is not None
    for name in lmdb_copy.names(place) if place.exists() else ():
        stand = lmdb_copy.stand(place / name, is_shared=is_shared)
        if stand is None or stand.state.last <= after:
            continue
        entries = lmdb_scrubbed.entries(place, name, (Topic.OUTCOMES,), after, is_shared=is_shared)
        for entry in entries:
            left -= 1
            if left < 0:
                return found, False
            if one := scrubs.request_of(entry):
                found.append(one)
    return found, True


# --- the views


def _view(name: str, places: tuple[str, ...], looked: Callable[[Path], Position | str]) -> Look:
    """A check of a view that nobody has open; a house that serves says itself when it cannot open one."""

    def one(subject: Subject) -> Found:
        if subject.holder is not None:
            return ok("open; the check `roles` says whether it can be used")
        said = []
        for place in places:
            path = subject.folder / place
            if not path.exists():
                said.append(f"{place} is not there yet, and made from the journal")
                continue
            try:
                stands = looked(path)
            except AttribuneError as fault:
                return fail(fault.message, f"attribune rebuild {name} --data {subject.folder}")
            if isinstance(stands, int) and stands > (end := _end(subject)):
                return fail(
                    f"{place} stands at entry {stands} and the journal ends at {end}: the journal is older than it",
                    f"attribune rebuild {name} --data {subject.folder}",
                )
            said.append(f"{place} at entry {stands}" if isinstance(stands, int) else stands)
        return ok("; ".join(said))

    return one


def _end(subject: Subject) -> Position:
    """Where the journal ends."""
    from attribune.engines import lmdb_copy

    place = subject.folder / "journal"
    for name in reversed(lmdb_copy.names(place) if place.exists() else []):
        if stand := lmdb_copy.stand(place / name, is_shared=False):
            return stand.state.last
    return Position(0)


def _registry(path: Path) -> Position:
    from attribune.engines.sqlite_look import look

    return look(path)


def _stores(path: Path) -> Position:
    from attribune.engines import lmdb_answers, rocksdb_store

    return rocksdb_store.look(path) if path.name == "store" else lmdb_answers.look(path)


def _facts(path: Path) -> str:
    from attribune.engines.clickhouse_files import look

    found = look(path)
    return f"{found.rows} rows in {found.parts} parts; `attribune audit` reads them"


JOURNAL: Final[dict[str, Look]] = {
    "journal": journal,
    "moments": moments,
    "forgotten": forgotten,
}
REGISTRY: Final[dict[str, Look]] = {"registry": _view("registry", ("registry.db",), _registry)}
STORES: Final[dict[str, Look]] = {"stores": _view("stores", ("store", "answers"), _stores)}
FACTS: Final[dict[str, Look]] = {"facts": _view("facts", ("facts",), _facts)}
