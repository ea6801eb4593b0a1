"""What every benchmark is made of: the plan of a run, a result, processes on a core of their own, and words on the way."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

BENCH = Path(__file__).parent
CACHE = BENCH / ".cache"
#: What is measured runs on the one core, what loads it on the other.
SERVER_CORE, LOAD_CORE = "0", "1"
CONNECTIONS = 64
CONSOLE = Console()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How often, how long and over how much is measured."""

    runs: int
    seconds: int
    #: Records stored for `index`, `decide`; and for the figures named `…_10m`.
    stored: int
    stored_many: int
    #: Touches indexed and opens decided in a timed run; a third as many go before, untimed.
    touches: int
    opens: int
    #: Entries whose bytes on disk are counted.
    weighed: int


FULL = Plan(
    runs=5,
    seconds=8,
    stored=1_000_000,
    stored_many=10_000_000,
    touches=90_000,
    opens=9_000,
    weighed=100_000,
)
#: A tenth of the data, three runs: to see that all works, not to quote.
QUICK = Plan(
    runs=3,
    seconds=2,
    stored=100_000,
    stored_many=300_000,
    touches=12_000,
    opens=3_000,
    weighed=10_000,
)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One figure beside its yardstick."""

    name: str
    #: Median of the runs, in ``unit``.
    value: float
    unit: str
    #: Median of the yardstick's runs; None where there is none.
    yardstick: float | None = None
    #: ``value`` by ``yardstick``.
    ratio: float | None = None
    #: What the ratio should reach (or stay under); of a figure without a yardstick, what the value should stay under.
    goal: float | None = None
    #: All that is asked for, in words.
    goal_in_words: str
    met: bool
    runs: int
    #: What else was seen: latencies in milliseconds, memory in MiB, bytes.
    details: dict[str, float] = {}


def compared(
    name: str, unit: str, ours: Sequence[float], yard: Sequence[float], at_least: float
) -> Result:
    """A result whose ratio should reach a goal."""
    value, yardstick = statistics.median(ours), statistics.median(yard)
    ratio = value / yardstick
    return Result(
        name=name,
        value=round(value),
        unit=unit,
        yardstick=round(yardstick),
        ratio=round(ratio, 3),
        goal=at_least,
        goal_in_words=f"≥ {at_least}",
        met=ratio >= at_least,
        runs=len(ours),
        # A noisy minute shows here: each run of ours beside the yardstick's run next to it.
        details={
            "ratio_lowest": round(min(map(_by, ours, yard)), 3),
            "ratio_highest": round(max(map(_by, ours, yard)), 3),
        },
    )


def _by(ours: float, yard: float) -> float:
    return ours / yard


def say(name: str, words: str) -> None:
    """Tell the person in front of it how far we are."""
    CONSOLE.print(f"[dim]{name}:[/] {words}")


def on_core(core: str, command: Sequence[object]) -> list[str]:
    """A command that stays on one core."""
    return ["taskset", "-c", core, *map(str, command)]


def worker(script: str, *words: object, core: str = SERVER_CORE) -> Any:
    """What a script of this folder says in its last line, as JSON, run in a process and on a core of its own."""
    command = on_core(core, [sys.executable, BENCH / script, *words])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{script} {' '.join(map(str, words))} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        )
    return json.loads(done.stdout.splitlines()[-1])


def cpu() -> str:
    """The processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, os.uname().machine)
