"""Where a house stands: its roles, how far they have come, and how far a rebuild is. Seen by people, programs and metrics."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field


class RoleState(StrEnum):
    """What a role is doing."""

    #: It has begun and does not work yet.
    STARTING = "starting"
    #: It works.
    RUNNING = "running"
    #: It ended as it was told to.
    STOPPED = "stopped"
    #: It ended by itself; ``last_error`` says why.
    FAILED = "failed"
    #: It should have said something since: it hangs, or its process is gone.
    STALE = "stale"
    #: It never ran.
    ABSENT = "absent"


class BreakerState(StrEnum):
    """Whether a postback's partner is asked at all."""

    #: It answers, or has not failed often enough yet.
    CLOSED = "closed"
    #: It did not answer, or turned all away; one request is under way that tries whether it does again.
    PROBING = "probing"
    #: It did not answer, or turned all away, and is left alone for a while.
    OPEN = "open"


class RoleStatus(Struct, frozen=True, kw_only=True):
    """Where one role stands."""

    role: str
    state: RoleState
    pid: int | None = None
    #: The last journal entry handled, and how many were not yet; None for a role that reads none.
    position: int | None = None
    lag: int | None = None
    last_error: str | None = None
    #: How often the supervisor started it again, and how its process ended the last time.
    restarts: int = 0
    last_exit: str | None = None
    started_at_ms: int | None = None
    seen_at_ms: int | None = None
    #: Memory in use by its process.
    rss_bytes: int = 0
    #: What it has counted since it started, and that per second.
    counters: dict[str, int] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    #: Of the postbacker, while it tells: by postback whether its partner is asked. The worst first, up to a thousand.
    breakers: dict[str, BreakerState] = field(default_factory=dict)


class Status(Struct, frozen=True, kw_only=True):
    """Where the house stands."""

    data: str
    version: str
    is_serving: bool
    #: Every role runs.
    is_ready: bool
    #: The place of the newest journal entry.
    journal_end: int
    #: The most entries that any role has not handled.
    lag: int
    collector_url: str | None
    web_url: str | None
    roles: tuple[RoleStatus, ...]


class BackupNote(Struct, frozen=True, kw_only=True):
    """What a data folder knows of its newest backup."""

    #: Where it was written.
    path: str
    #: When it was begun. Milliseconds, UTC.
    created_at_ms: int
    #: The size of all of its files.
    bytes: int
    #: The newest entry in it.
    end: int


class PruneNote(Struct, frozen=True, kw_only=True):
    """What a data folder knows of the last prune that succeeded, also when there was nothing to prune."""

    #: When it was begun. Milliseconds, UTC.
    at_ms: int
    #: The newest place that has been pruned, by this or an earlier one; 0 when none ever was.
    through: int
    #: Segments that this one pruned, and the size of their files.
    segments: int
    freed_bytes: int


class Disk(Struct, frozen=True, kw_only=True):
    """How full the disk of a data folder is, what fills it, and when it is full if things go on as they do."""

    #: What may still be written there, and the size of the whole disk.
    free_bytes: int
    total_bytes: int
    #: What the parts of the data folder take: ``journal``, ``facts``, ``store``, ``answers``, ``registry``, ``other``.
    used_bytes: dict[str, int]
    #: What they grow by together; None while the journal is younger than an hour.
    growth_bytes_per_day: int | None
    #: None while that is not known, or nothing grows. Seconds.
    full_in_s: int | None
    #: The place before the oldest entry that is kept, and when that segment was begun. Milliseconds, UTC.
    journal_start: int
    journal_begun_at_ms: int | None
    #: What a prune could free now: segments that are old enough and stand in the newest backup.
    prunable_bytes: int
    #: The newest backup, and the last prune.
    backup: BackupNote | None = None
    prune: PruneNote | None = None


class Forgetting(Struct, frozen=True, kw_only=True):
    """What of people who were forgotten still stands in the journal."""

    #: Requests to forget that wait for the journal to be scrubbed, as far as they were looked for.
    waiting: int
    #: When the oldest of them was made; None when none waits. Milliseconds, UTC.
    waiting_since_ms: int | None
    #: Up to which place requests were looked for.
    looked_to: int
    #: When the last scrub that went to the end was begun; None before the first. Milliseconds, UTC.
    scrubbed_at_ms: int | None
    #: Nothing up to here names anybody whose request stands up to here.
    scrubbed_through: int


class Progress(Struct, frozen=True, kw_only=True):
    """How far a view that is made again has come."""

    view: str
    is_done: bool
    #: The last entry handled, and the journal's newest when it was asked.
    position: int
    end: int
    #: Of the stores: records that were scrubbed, so that what was decided of them was taken as it stands. None of another view.
    as_recorded: int | None = None
