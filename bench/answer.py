"""`answer`: opens that want their attribution, five hundred a second, asked of a whole house.

Run by itself it is the phones: opens go out on a schedule, whether earlier ones have been answered or not, and latency is
counted from when an open was due.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from harness import CONNECTIONS, LOAD_CORE, Plan, Result, say, worker
from house import register, serving, wait_until_idle
from load import load, write_requests
from traffic import address, agent, clicks, opened

PER_S = 500
P50_MS_MAX, P99_MS_MAX = 15.0, 100.0
#: Of those that asked, how many must be told a decision; else the latency would be that of saying *pending*.
DECIDED_MIN = 0.99
_WARM_S = 2
_CATCH_UP_S = 120


def measure(plan: Plan) -> list[Result]:
    """Milliseconds from the open to its decision, every role of the house on one core."""
    runs: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="attribune-bench-") as folder:
        data = Path(folder) / "data"
        known = register(data)
        path = write_requests(Path(folder) / "clicks", clicks(known.link))
        with serving(data) as (port, _):
            load(port, path, _WARM_S)
            _phones(port, known.app_key, "warm", _WARM_S)
            wait_until_idle(data, _CATCH_UP_S)
            for run in range(plan.runs):
                runs.append(_phones(port, known.app_key, f"run{run}", plan.seconds))
                told = runs[-1]
                say(
                    "answer",
                    f"run {run + 1}: p50 {told['p50_ms']:.1f} ms, p99 {told['p99_ms']:.1f} ms, "
                    f"{told['decided']:.1%} decided",
                )
    p50 = statistics.median(run["p50_ms"] for run in runs)
    p99 = statistics.median(run["p99_ms"] for run in runs)
    decided = min(run["decided"] for run in runs)
    return [
        Result(
            name="answer",
            value=round(p50, 2),
            unit="ms (p50)",
            goal=P50_MS_MAX,
            goal_in_words=f"p50 ≤ {P50_MS_MAX:.0f}, p99 ≤ {P99_MS_MAX:.0f} ms at {PER_S}/s",
            met=p50 <= P50_MS_MAX and p99 <= P99_MS_MAX and decided >= DECIDED_MIN,
            runs=len(runs),
            details={
                "p99_ms": p99,
                "p99_ms_worst": max(run["p99_ms"] for run in runs),
                "decided_lowest": decided,
                "attributed": statistics.median(run["attributed"] for run in runs),
            },
        )
    ]


def _phones(port: int, key: str, name: str, seconds: int) -> dict[str, float]:
    found: dict[str, float] = worker("answer.py", port, key, name, seconds, core=LOAD_CORE)
    return found


async def phones(port: int, key: str, name: str, seconds: int) -> dict[str, float]:
    """Send opens on schedule and say how long each waited."""
    waits_ms: list[float] = []
    statuses: list[dict[str, Any]] = []
    connector = aiohttp.TCPConnector(limit=4 * CONNECTIONS)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector) as session:

        async def open_(n: int, due: float) -> None:
            body = msgspec.json.encode({**opened(name, n), "want_attribution": True})
            headers = {
                "Authorization": f"Bearer {key}",
                "User-Agent": agent(n),
                "X-Forwarded-For": address(n),
            }
            async with session.post("/v1/open", data=body, headers=headers) as answer:
                told = await answer.json()
                answer.raise_for_status()
            waits_ms.append((time.perf_counter() - due) * 1000)
            statuses.append(told["results"][0]["attribution"])

        begun = time.perf_counter() + 0.1
        async with asyncio.TaskGroup() as group:
            for n in range(seconds * PER_S):
                due = begun + n / PER_S
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(open_(n, due))
    waits_ms.sort()
    decided = [status for status in statuses if status["status"] == "decided"]
    won = [status for status in decided if not status["attribution"]["is_organic"]]
    return {
        "p50_ms": waits_ms[len(waits_ms) // 2],
        "p99_ms": waits_ms[len(waits_ms) * 99 // 100],
        "decided": len(decided) / len(statuses),
        "attributed": len(won) / len(statuses),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("key")
    parser.add_argument("name")
    parser.add_argument("seconds", type=int)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(phones(given.port, given.key, given.name, given.seconds))))
