"""Metrics: what the roles' heartbeats say, in Prometheus' words. Each name once, in one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from attribune.model.status import BreakerState, Disk, Forgetting, RoleState, RoleStatus, Status

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


class MetricRow(Struct, frozen=True):
    """One metric as the reference page shows it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


UP: Final = MetricRow(
    "attribune_role_up", "gauge", ("role",), "1 while the role is running, else 0."
)
RESTARTS: Final = MetricRow(
    "attribune_role_restarts_total", "counter", ("role",), "Times the supervisor started it again."
)
POSITION: Final = MetricRow(
    "attribune_role_position", "gauge", ("role",), "The last journal entry the role has handled."
)
LAG: Final = MetricRow(
    "attribune_role_lag_entries", "gauge", ("role",), "Journal entries it has not handled yet."
)
MEMORY: Final = MetricRow(
    "attribune_role_resident_bytes", "gauge", ("role",), "Memory in use by the role's process."
)
COUNTED: Final = MetricRow(
    "attribune_role_counted_total",
    "counter",
    ("role", "what"),
    "What the role has counted since it started; `what` names it, as in `attribune status`.",
)
BREAKER: Final = MetricRow(
    "attribune_postback_breaker",
    "gauge",
    ("postback",),
    "Whether a postback's partner answers: 0 it does, 1 one request tries whether it does again, 2 it did not, or turned all away, and is left "
    "alone for up to five minutes. Of a thousand postbacks at most, those above 0 first; absent before the first, while the postbacker does not run and with "
    "`tells_partners` 0.",
)
JOURNAL_END: Final = MetricRow(
    "attribune_journal_end", "gauge", (), "The place of the newest journal entry."
)
JOURNAL_START: Final = MetricRow(
    "attribune_journal_start",
    "gauge",
    (),
    "The place before the oldest journal entry that is kept; 0 while nothing was pruned.",
)
FREE: Final = MetricRow(
    "attribune_disk_free_bytes", "gauge", (), "What may still be written to the data folder's disk."
)
TOTAL: Final = MetricRow(
    "attribune_disk_total_bytes", "gauge", (), "The size of the data folder's disk."
)
USED: Final = MetricRow(
    "attribune_disk_used_bytes",
    "gauge",
    ("part",),
    "What a part of the data folder takes: journal, facts, store, answers, registry, other.",
)
GROWTH: Final = MetricRow(
    "attribune_disk_growth_bytes_per_day",
    "gauge",
    (),
    "What the data folder grows by; absent while the journal is younger than an hour.",
)
FULL_IN: Final = MetricRow(
    "attribune_disk_full_in_seconds",
    "gauge",
    (),
    "When the disk is full at that rate; absent while that is not known, or nothing grows.",
)
PRUNABLE: Final = MetricRow(
    "attribune_prunable_bytes",
    "gauge",
    (),
    "What a prune could free now: segments that are old enough and stand in the newest backup.",
)
PRUNED_AT: Final = MetricRow(
    "attribune_prune_last_success_timestamp_seconds",
    "gauge",
    (),
    "When the last prune that succeeded was begun, since 1970; absent before the first.",
)
BACKED_UP_AT: Final = MetricRow(
    "attribune_backup_last_success_timestamp_seconds",
    "gauge",
    (),
    "When the newest backup was begun, since 1970; absent before the first.",
)
WAITING: Final = MetricRow(
    "attribune_forget_waiting",
    "gauge",
    (),
    "Requests to forget a person that wait for the journal to be scrubbed.",
)
WAITING_SINCE: Final = MetricRow(
    "attribune_forget_waiting_since_timestamp_seconds",
    "gauge",
    (),
    "When the oldest of them was made, since 1970; absent while none waits.",
)
SCRUBBED_AT: Final = MetricRow(
    "attribune_scrub_last_success_timestamp_seconds",
    "gauge",
    (),
    "When the last scrub that went to the end was begun, since 1970; absent before the first.",
)
#: Every metric.
METRICS: Final = (
    *(UP, RESTARTS, POSITION, LAG, MEMORY, COUNTED, BREAKER, JOURNAL_END, JOURNAL_START),
    *(FREE, TOTAL, USED, GROWTH, FULL_IN, PRUNABLE, PRUNED_AT, BACKED_UP_AT),
    *(WAITING, WAITING_SINCE, SCRUBBED_AT),
)


class _Once:
    """A collector of one status, the disk and forgetting."""

    def __init__(self, status: Status, disk: Disk, forgetting: Forgetting) -> None:
        self._status = status
        self._disk = disk
        self._forgetting = forgetting

    def collect(self) -> Iterable[Metric]:
        """The families, each with a sample per role."""
        roles = self._status.roles
        yield _family(UP, {(r.role,): float(r.state is RoleState.RUNNING) for r in roles})
        yield _family(RESTARTS, {(r.role,): r.restarts for r in roles})
        yield _family(POSITION, {(r.role,): r.position for r in roles if r.position is not None})
        yield _family(LAG, {(r.role,): r.lag for r in roles if r.lag is not None})
        yield _family(MEMORY, {(r.role,): r.rss_bytes for r in roles if r.rss_bytes})
        yield _family(COUNTED, _counted(roles))
        yield _family(BREAKER, _breakers(roles))
        yield _family(JOURNAL_END, {(): self._status.journal_end})
        yield from _of_disk(self._disk)
        yield from _of_forgetting(self._forgetting)


def _of_disk(disk: Disk) -> Iterable[Metric]:
    yield _family(USED, {(part,): used for part, used in disk.used_bytes.items()})
    single = {
        JOURNAL_START: disk.journal_start,
        FREE: disk.free_bytes,
        TOTAL: disk.total_bytes,
        GROWTH: disk.growth_bytes_per_day,
        FULL_IN: disk.full_in_s,
        PRUNABLE: disk.prunable_bytes,
        PRUNED_AT: disk.prune.at_ms / 1000 if disk.prune else None,
        BACKED_UP_AT: disk.backup.created_at_ms / 1000 if disk.backup else None,
    }
    yield from _singles(single)


def _of_forgetting(found: Forgetting) -> Iterable[Metric]:
    since_ms, at_ms = found.waiting_since_ms, found.scrubbed_at_ms
    yield from _singles(
        {
            WAITING: found.waiting,
            WAITING_SINCE: None if since_ms is None else since_ms / 1000,
            SCRUBBED_AT: None if at_ms is None else at_ms / 1000,
        }
    )


def _singles(values: Mapping[MetricRow, float | None]) -> Iterable[Metric]:
    """The families that have one sample, or none."""
    for row, value in values.items():
        yield _family(row, {} if value is None else {(): value})


def _counted(roles: Iterable[RoleStatus]) -> dict[tuple[str, ...], float]:
    return {(role.role, what): value for role in roles for what, value in role.counters.items()}


#: What each state is in a gauge: the more the worse.
_BREAKER_VALUES: Final = {
    BreakerState.CLOSED: 0,
    BreakerState.PROBING: 1,
    BreakerState.OPEN: 2,
}


def _breakers(roles: Iterable[RoleStatus]) -> dict[tuple[str, ...], float]:
    return {
        (postback,): _BREAKER_VALUES[state]
        for role in roles
        for postback, state in role.breakers.items()
    }


def _family(row: MetricRow, samples: dict[tuple[str, ...], float]) -> Metric:
    kind = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
    family = kind(row.name, row.help, labels=row.labels)
    for labels, value in samples.items():
        family.add_metric(labels, value)
    return family


def exposition(status: Status, disk: Disk, forgetting: Forgetting) -> bytes:
    """A status, the disk and forgetting as Prometheus reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(status, disk, forgetting))
    return generate_latest(registry)
