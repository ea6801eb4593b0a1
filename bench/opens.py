"""`open`: one open a request, from the socket to the disk and back, beside a click."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import msgspec
from harness import Plan, Result, compared, say
from house import collector, register
from load import Load, answer_to, load, write_requests
from redirect import click_run
from traffic import opens

RATIO_MIN = 0.7


def measure(plan: Plan) -> list[Result]:
    """Opens per second of one collector process on one core; the click's figure is taken anew, in turn."""
    ours, yard = [], []
    for run in range(plan.runs):
        with tempfile.TemporaryDirectory(prefix="attribune-bench-") as folder:
            ours.append(_open_run(Path(folder), plan.seconds))
        with tempfile.TemporaryDirectory(prefix="attribune-bench-") as folder:
            yard.append(click_run(Path(folder), plan.seconds))
        say("open", f"run {run + 1}: {ours[-1].per_s:,.0f}/s, clicks {yard[-1].per_s:,.0f}/s")
    result = compared(
        "open",
        "opens/s",
        [run.per_s for run in ours],
        [run.per_s for run in yard],
        at_least=RATIO_MIN,
    )
    p99 = statistics.median(run.p99_ms for run in ours)
    return [msgspec.structs.replace(result, details={**result.details, "p99_ms": p99})]


def _open_run(folder: Path, seconds: int) -> Load:
    data = folder / "data"
    requests = opens(register(data).app_key)
    path = write_requests(folder / "opens", requests)
    with collector(data) as port:
        check_accepted(port, requests[0], 1)
        return load(port, path, seconds)


def check_accepted(port: int, request: bytes, records: int) -> None:
    """See that the records of a request are accepted, before any is measured."""
    status, body = answer_to(port, request)
    results = msgspec.json.decode(body).get("results", []) if status == 200 else []
    if len(results) != records or any(result["status"] != "accepted" for result in results):
        raise RuntimeError(f"records were answered {status}: {body[:500]!r}")
