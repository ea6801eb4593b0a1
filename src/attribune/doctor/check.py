"""What a checkup says: a check has an id, a verdict, what was seen, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from msgspec import Struct

from attribune.roles.folder import Holder
from attribune.roles.heartbeat import sentence
from attribune.settings import Settings


class Verdict(StrEnum):
    """How a check ended."""

    #: Nothing needs to be done.
    OK = "ok"
    #: It works, and somebody should look at it.
    WARN = "warn"
    #: Something must be done.
    FAIL = "fail"


class Check(Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    id: str
    verdict: Verdict
    #: What was seen, in a sentence without secrets.
    seen: str
    #: What to do, mostly the next command; empty when nothing needs to be done.
    remedy: str = ""


class Checkup(Struct, frozen=True, kw_only=True):
    """Everything that was looked at."""

    data: str
    version: str
    #: The worst of all.
    verdict: Verdict
    checks: tuple[Check, ...]


class Subject(NamedTuple):
    """Whom the checks are about."""

    folder: Path
    now_ms: int
    #: Who holds the folder; None when nobody does.
    holder: Holder | None
    #: Those in force: of the house that serves, else as the folder and the environment say.
    settings: Settings
    #: Why they cannot be read, when they cannot; ``settings`` are the defaults then.
    unreadable: str | None = None
    #: What the house that serves, or last served, says of itself.
    said: Mapping[str, Any] = {}

    @property
    def ground(self) -> Path:
        """What the folder lies on, or would: itself, or the nearest folder above it that is there."""
        return next(place for place in (self.folder, *self.folder.parents) if place.is_dir())

    @property
    def is_served(self) -> bool:
        """Whether a house serves the folder now."""
        return self.holder is not None and self.holder.doing == SERVING

    @property
    def server_pid(self) -> int | None:
        """The process whose limits count; None when nobody serves."""
        return self.holder.pid if self.holder and self.is_served else None


class Found(NamedTuple):
    """What one check found."""

    verdict: Verdict
    seen: str
    remedy: str = ""


Look: TypeAlias = Callable[[Subject], Found]

#: Who holds a folder whose lock may not be read.
UNSEEN: Final = Holder("unknown: its lock may not be read", 0, "", "")
AS_OWNER: Final = "run it as the user that owns the folder"
#: How `serve` signs the folder's lock.
SERVING: Final = "attribune serve"


def ok(seen: str) -> Found:
    """Nothing needs to be done."""
    return Found(Verdict.OK, seen)


def warn(seen: str, remedy: str) -> Found:
    """Somebody should look at it."""
    return Found(Verdict.WARN, seen, remedy)


def fail(seen: str, remedy: str) -> Found:
    """Something must be done."""
    return Found(Verdict.FAIL, seen, remedy)


def look(checks: Mapping[str, Look], subject: Subject) -> Iterator[Check]:
    """Look at everything. A check that fails itself says so and hides no other."""
    for id_, one in checks.items():
        try:
            found = one(subject)
        except PermissionError as fault:
            found = fail(f"cannot be looked at: {sentence(fault)}", AS_OWNER)
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is said
            found = fail(f"cannot be looked at: {sentence(fault)}", "see what the message names")
        yield Check(id=id_, verdict=found.verdict, seen=found.seen, remedy=found.remedy)


def worst(checks: tuple[Check, ...]) -> Verdict:
    """The worst verdict of all."""
    order = list(Verdict)
    return max((check.verdict for check in checks), key=order.index, default=Verdict.OK)
