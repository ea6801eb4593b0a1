"""`make bench`: each figure beside its yardstick, of the same run, on the same core; the load comes from another core."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from redirect import redirect
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).with_name("results.json")
TOOLS = {"wrk": "wrk", "nginx": "nginx-light", "taskset": "util-linux"}
CONSOLE = Console()


class Result(msgspec.Struct, frozen=True):
    """One figure. The ratio is of the medians; the goal is what the ratio should reach."""

    name: str
    value: float
    unit: str
    yardstick: float
    ratio: float
    goal: float
    met: bool
    #: Latency of ours in milliseconds, worst run.
    p99_ms: float
    runs: int


def main() -> int:
    """Measure everything and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    quick = parser.parse_args().quick
    if not have_tools():
        return 1
    runs, seconds = (3, 4) if quick else (5, 10)
    results = [measured("redirect", redirect, runs, seconds, goal=0.30)]
    show(results)
    machine = {
        "cores": os.cpu_count(),
        "cpu": cpu(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    RESULTS.write_text(
        json.dumps({"results": msgspec.to_builtins(results), "machine": machine}, indent=2) + "\n"
    )
    CONSOLE.print(f"written to {RESULTS.relative_to(Path.cwd())}")
    return 0


def have_tools() -> bool:
    """Whether wrk and nginx are there; as root they are installed, else the names of their packages are said."""
    missing = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", *missing], check=False, stdout=subprocess.DEVNULL
        )
        missing = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
    if missing:
        CONSOLE.print(
            f"[red]bench: missing: {', '.join(missing)}[/]; install with: apt-get install {' '.join(missing)}"
        )
    if (os.cpu_count() or 1) < 2:  # one for the server, one for the load
        CONSOLE.print(
            "[red]bench: two cores are needed, one for the server and one for the load[/]"
        )
        return False
    return not missing


def measured(
    name: str,
    measure: Callable[[Path, int], tuple[dict[str, Any], dict[str, Any]]],
    runs: int,
    seconds: int,
    *,
    goal: float,
) -> Result:
    """Several runs of ours and of the yardstick in turn, so that a noisy minute hits both; the medians count."""
    ours, yard = [], []
    with CONSOLE.status(
        f"{name}: {runs} runs of {seconds} s each, ours and the yardstick in turn …"
    ):
        for _ in range(runs):
            with tempfile.TemporaryDirectory(prefix="attribune-bench-") as folder:
                one, other = measure(Path(folder), seconds)
            ours.append(one)
            yard.append(other)
    value = statistics.median(run["per_s"] for run in ours)
    yardstick = statistics.median(run["per_s"] for run in yard)
    ratio = value / yardstick
    p99 = max(run["p99_ms"] for run in ours)
    return Result(
        name,
        round(value),
        "requests/s",
        round(yardstick),
        round(ratio, 3),
        goal,
        ratio >= goal,
        p99,
        runs,
    )


def show(results: list[Result]) -> None:
    """The table."""
    table = Table(
        "figure",
        "ours",
        "yardstick",
        "ratio",
        "goal",
        "p99",
        title="Attribune beside its yardsticks",
    )
    for r in results:
        mark = "[green]met[/]" if r.met else "[red]missed[/]"
        table.add_row(
            r.name,
            f"{r.value:,.0f} {r.unit}",
            f"{r.yardstick:,.0f}",
            f"{r.ratio:.2f}",
            f"{r.goal:.2f} {mark}",
            f"{r.p99_ms:.1f} ms",
        )
    CONSOLE.print(table)


def cpu() -> str:
    """The processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


if __name__ == "__main__":
    sys.exit(main())
