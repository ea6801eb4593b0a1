"""A soak: a house under a steady rate of clicks, batches and reports, while memory, lag and latency are watched.

``python tests/fire/soak.py --minutes 10`` prints a table and ends with 1 when a role's memory grows, the lag does not end, or
something was lost. ``make soak MINUTES=10`` calls it; the tests run a short one.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final, NamedTuple

HERE: Final = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))

from fire.senders import Person, Sender, Server, addresses  # noqa: E402
from house import RunningHouse, own_bytes  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import Progress  # noqa: E402
from rich.table import Table  # noqa: E402

#: Before that caches fill and libraries load: memory may grow.
WARM_UP: Final = 0.25
#: What memory may grow by between the first and the last part of what follows: a share, and a constant for noise.
GROWTH_MAX: Final = 0.10
NOISE_BYTES: Final = 24 << 20
#: Entries that may wait at any moment, in seconds of the traffic.
LAG_S_MAX: Final = 10
_SAMPLE_S: Final = 0.5


class Soaked(NamedTuple):
    """What was seen."""

    #: Memory of each process over time, bytes; names by role.
    memory: dict[str, list[int]]
    #: Entries that waited, over time.
    lags: list[int]
    #: Milliseconds by kind of request.
    latencies: dict[str, list[float]]
    #: Things sent, requests without an answer, refusals.
    sent: int
    lost: int
    refused: int
    #: Sent and found in the report in the end.
    events: tuple[int, int]
    seconds: float


class Timed:
    """Times each thing that a sender does."""

    def __init__(self, sender: Sender, pause_s: float) -> None:
        self.took_ms: list[float] = []
        self._one = sender.one
        self._pause_s = pause_s
        sender.one = self  # type: ignore[method-assign]

    def __call__(self, name: str) -> None:
        begun = time.perf_counter()
        self._one(name)
        self.took_ms.append((time.perf_counter() - begun) * 1000)
        time.sleep(self._pause_s)


def soak(house: RunningHouse, seconds: float, on_sample: object = None) -> Soaked:
    """Send for so long, and watch."""
    at = addresses(house)
    stop = threading.Event()
    servers = [Server(f"s{n}", at, stop) for n in range(2)]
    people = [Person(f"p{n}", at, stop) for n in range(2)]
    timed = {
        "batch": [Timed(one, 0.01) for one in servers],
        "click": [Timed(one, 0.01) for one in people],
    }
    latencies: dict[str, list[float]] = {"report": []}
    memory: dict[str, list[int]] = {}
    lags: list[int] = []
    begun = time.monotonic()
    for sender in (*servers, *people):
        sender.start()
    try:
        while (passed := time.monotonic() - begun) < seconds:
            for role, pid in house.pids().items():
                memory.setdefault(role, []).append(own_bytes(pid))
            asked = time.perf_counter()
            lags.append(house.cli("report", "--by", "partner")["lag"])
            latencies["report"].append((time.perf_counter() - asked) * 1000)
            if callable(on_sample):
                on_sample(passed)
            time.sleep(_SAMPLE_S)
    finally:
        stop.set()
        for sender in (*servers, *people):
            sender.join(30)
    house.settle(60)
    for kind, ones in timed.items():
        latencies[kind] = [took for one in ones for took in one.took_ms]
    sent = sum(one.count for one in servers)
    return Soaked(
        memory=memory,
        lags=lags,
        latencies=latencies,
        sent=sum(one.count for one in (*servers, *people)),
        lost=sum(one.lost for one in (*servers, *people)),
        refused=sum(len(one.refusals) for one in servers) + sum(one.without_id for one in people),
        events=(sent, house.cli("report", "--metrics", "events")["totals"]["events"]),
        seconds=seconds,
    )


def growth(samples: list[int]) -> tuple[float, float]:
    """The medians of the first and of the last third after the warm-up."""
    after = samples[int(len(samples) * WARM_UP) :]
    third = max(1, len(after) // 3)
    return statistics.median(after[:third]), statistics.median(after[-third:])


def faults_of(seen: Soaked) -> list[str]:
    """What does not hold, in sentences."""
    said = []
    for role, samples in seen.memory.items():
        before, after = growth(samples)
        if after > before * (1 + GROWTH_MAX) + NOISE_BYTES:
            said.append(f"{role} grew from {before / 1e6:.0f} to {after / 1e6:.0f} MB")
    rate = 4 * seen.sent / seen.seconds  # a batch gives three entries, and outcomes come on top
    if max(seen.lags) > LAG_S_MAX * rate:
        said.append(f"{max(seen.lags)} entries waited, more than {LAG_S_MAX} s of the traffic")
    if seen.lost or seen.refused:
        said.append(f"{seen.lost} requests got no answer and {seen.refused} were refused")
    if seen.events[0] != seen.events[1]:
        said.append(f"{seen.events[0]} events were accepted and {seen.events[1]} are reported")
    return said


def tables(seen: Soaked) -> list[Table]:
    """The same for people."""
    memory = Table("role", "after warm-up, MB", "at the end, MB", title="Memory")
    for role, samples in seen.memory.items():
        before, after = growth(samples)
        memory.add_row(role, f"{before / 1e6:.1f}", f"{after / 1e6:.1f}")
    latency = Table("request", "count", "median, ms", "p99, ms", "slowest, ms", title="Latency")
    for kind, took in seen.latencies.items():
        ordered = sorted(took)
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        middle = statistics.median(ordered)
        words = (f"{value:.1f}" for value in (middle, p99, ordered[-1]))
        latency.add_row(kind, str(len(took)), *words)
    return [memory, latency]


def main() -> int:
    """Soak a house of its own; 0 when all holds."""
    parser = argparse.ArgumentParser(description="A house under steady traffic.")
    parser.add_argument("--minutes", type=float, default=10)
    seconds = parser.parse_args().minutes * 60
    console = Console()
    with (
        tempfile.TemporaryDirectory(prefix="attribune-soak-") as folder,
        RunningHouse(Path(folder) / "data") as house,
        Progress(console=console) as bar,
    ):
        task = bar.add_task("soaking", total=seconds)
        seen = soak(house, seconds, lambda passed: bar.update(task, completed=passed))
    for table in tables(seen):
        console.print(table)
    console.print(f"{seen.sent} things sent; at most {max(seen.lags)} entries waited.")
    said = faults_of(seen)
    for sentence in said:
        console.print(f"[red]{sentence}[/red]")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
