"""Metrics: what the roles' heartbeats say, in Prometheus' words. Each name once, in one table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from attribune.model.status import RoleState, RoleStatus, Status

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
JOURNAL_END: Final = MetricRow(
    "attribune_journal_end", "gauge", (), "The place of the newest journal entry."
)
#: Every metric.
METRICS: Final = (UP, RESTARTS, POSITION, LAG, MEMORY, COUNTED, JOURNAL_END)


class _Once:
    """A collector of one status."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        """The families, each with a sample per role."""
        roles = self._status.roles
        yield _family(UP, {(r.role,): float(r.state is RoleState.RUNNING) for r in roles})
        yield _family(RESTARTS, {(r.role,): r.restarts for r in roles})
        yield _family(POSITION, {(r.role,): r.position for r in roles if r.position is not None})
        yield _family(LAG, {(r.role,): r.lag for r in roles if r.lag is not None})
        yield _family(MEMORY, {(r.role,): r.rss_bytes for r in roles if r.rss_bytes})
        yield _family(COUNTED, _counted(roles))
        yield _family(JOURNAL_END, {(): self._status.journal_end})


def _counted(roles: Iterable[RoleStatus]) -> dict[tuple[str, ...], float]:
    return {(role.role, what): value for role in roles for what, value in role.counters.items()}


def _family(row: MetricRow, samples: dict[tuple[str, ...], float]) -> Metric:
    kind = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
    family = kind(row.name, row.help, labels=row.labels)
    for labels, value in samples.items():
        family.add_metric(labels, value)
    return family


def exposition(status: Status) -> bytes:
    """A status as Prometheus reads it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(status))
    return generate_latest(registry)
