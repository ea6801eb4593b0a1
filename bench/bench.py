"""`make bench`: each figure beside its yardstick, of the same run, on the same core; the load comes from another core."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import answer
import batch
import dialects
import msgspec
import opens
import owe
import redirect
import report
import size
import stored
import tell
from harness import BENCH, CONSOLE, FULL, QUICK, Plan, Result, cpu, say
from rich.table import Table

RESULTS = BENCH / "results.json"
TOOLS = {"wrk": "wrk", "nginx": "nginx-light", "taskset": "util-linux"}
#: A load average beyond this, before anything is begun, is other people's work.
BUSY = 0.7
#: In the order they are run. Some measure more than one figure.
BENCHMARKS: dict[str, Callable[[Plan], list[Result]]] = {
    "redirect": redirect.measure,
    "batch": batch.measure,
    "open": opens.measure,
    "dialects": dialects.measure,
    "stored": stored.measure,
    "answer": answer.measure,
    "report_10m": report.measure,
    "tell": tell.measure,
    "owe": owe.measure,
    "size": size.measure,
}


def main() -> int:
    """Measure everything and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="three short runs over a tenth of the data"
    )
    parser.add_argument("--only", default="", help=f"some of {', '.join(BENCHMARKS)}")
    given = parser.parse_args()
    chosen = given.only.split(",") if given.only else list(BENCHMARKS)
    if unknown := sorted(set(chosen) - set(BENCHMARKS)):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    if not have_what_is_needed():
        return 1
    plan = QUICK if given.quick else FULL
    begun = time.monotonic()
    results: list[Result] = []
    busy = os.getloadavg()[0]
    if busy > BUSY:
        CONSOLE.print(
            f"[yellow]bench: the machine is busy (load {busy:.1f}): what follows is mostly noise[/]"
        )
    for name in chosen:
        results += BENCHMARKS[name](plan)
    show(results, plan)
    write(results, plan, time.monotonic() - begun, busy)
    return 0


def have_what_is_needed() -> bool:
    """Whether tools and cores are there; as root what is missing is installed, else its packages are named."""
    missing = _missing()
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        CONSOLE.print(f"installing {', '.join(missing)}")
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        install = ["apt-get", "install", "-y", "-qq", *missing]
        subprocess.run(install, check=False, stdout=subprocess.DEVNULL)
        missing = _missing()
    if missing:
        CONSOLE.print(
            f"[red]bench: missing: {', '.join(missing)}[/]; install with: apt-get install {' '.join(missing)}"
        )
    if len(os.sched_getaffinity(0)) < 2:
        CONSOLE.print(
            "[red]bench: two cores are needed, one for the server and one for the load[/]"
        )
        return False
    return not missing


def _missing() -> list[str]:
    return [package for tool, package in TOOLS.items() if not shutil.which(tool)]


def show(results: list[Result], plan: Plan) -> None:
    """The table."""
    table = Table(
        "figure",
        "ours",
        "yardstick",
        "ratio",
        "goal",
        "",
        title="Attribune beside its yardsticks",
        caption="short runs over little data: not to be quoted" if plan == QUICK else None,
    )
    for r in results:
        table.add_row(
            r.name,
            f"{r.value:,.10g} {r.unit}",
            "-" if r.yardstick is None else f"{r.yardstick:,.10g}",
            "-" if r.ratio is None else f"{r.ratio:.2f}",
            r.goal_in_words,
            "[green]met[/]" if r.met else "[red]missed[/]",
        )
    CONSOLE.print(table)
    for r in results:
        if r.details:
            seen = ", ".join(f"{name} {value:,.5g}" for name, value in r.details.items())
            say(r.name, seen)


def write(results: list[Result], plan: Plan, took_s: float, busy: float) -> None:
    """The same for machines."""
    machine = {
        "cores": os.cpu_count(),
        "cpu": cpu(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    found = {
        "results": msgspec.to_builtins(results),
        "machine": machine,
        "plan": msgspec.to_builtins(plan),
        "is_quick": plan == QUICK,
        "took_s": round(took_s),
        "load_average_before": round(busy, 2),
    }
    RESULTS.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    CONSOLE.print(f"took {took_s:.0f} s; written to {os.path.relpath(RESULTS, Path.cwd())}")


if __name__ == "__main__":
    sys.exit(main())
