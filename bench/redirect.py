"""`redirect`: a click from the socket to the disk and back, beside nginx answering 302 from its memory."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import msgspec
from harness import Plan, Result, compared, say
from house import collector, nginx, register
from load import Load, answer_to, load, write_requests
from traffic import clicks

P99_MS_MAX = 10.0
RATIO_MIN = 0.30


def measure(plan: Plan) -> list[Result]:
    """Clicks per second of one collector process on one core, ours and the yardstick in turn."""
    ours, yard = [], []
    for run in range(plan.runs):
        with tempfile.TemporaryDirectory(prefix="attribune-bench-") as folder:
            ours.append(click_run(Path(folder), plan.seconds))
            yard.append(_nginx_run(Path(folder), plan.seconds))
        say("redirect", f"run {run + 1}: {ours[-1].per_s:,.0f}/s, nginx {yard[-1].per_s:,.0f}/s")
    result = compared(
        "redirect",
        "clicks/s",
        [run.per_s for run in ours],
        [run.per_s for run in yard],
        at_least=RATIO_MIN,
    )
    p99 = statistics.median(run.p99_ms for run in ours)
    return [
        msgspec.structs.replace(
            result,
            met=result.met and p99 <= P99_MS_MAX,
            goal_in_words=f"≥ {RATIO_MIN}, p99 ≤ {P99_MS_MAX:.0f} ms",
            details={
                **result.details,
                "p50_ms": statistics.median(run.p50_ms for run in ours),
                "p99_ms": p99,
                "p99_ms_worst": max(run.p99_ms for run in ours),
            },
        )
    ]


def click_run(folder: Path, seconds: int) -> Load:
    """One run of ours, in a new folder."""
    data = folder / "data"
    requests = clicks(register(data).link)
    path = write_requests(folder / "clicks", requests)
    with collector(data) as port:
        _check(port, requests[0])
        return load(port, path, seconds)


def _nginx_run(folder: Path, seconds: int) -> Load:
    with nginx(folder) as port:
        path = folder / "clicks"
        _check(port, clicks("x")[0])
        return load(port, path, seconds)


def _check(port: int, request: bytes) -> None:
    status, body = answer_to(port, request)
    if status != 302:
        raise RuntimeError(f"a click was answered {status}: {body[:500]!r}")
