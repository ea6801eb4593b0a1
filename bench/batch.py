"""`batch`: native batches of a hundred records, beside a bare loop that decodes and appends the same bytes.

Run by itself it is the bare loop: no socket, no rules, no records of ours.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import lmdb
import msgspec
from harness import Plan, Result, compared, say, worker
from house import collector, register
from load import load, write_requests
from opens import check_accepted
from traffic import BATCH_RECORDS, batches, bodies

RATIO_MIN = 0.5
#: As many batches as one commit of a collector may take (`commit_entries_max`): a bare loop that hardly waits for the disk.
GROUPED = 40


def measure(plan: Plan) -> list[Result]:
    """Records per second of one collector process on one core, ours and the bare loop in turn."""
    ours, yard, grouped, p99 = [], [], [], []
    for run in range(plan.runs):
        with tempfile.TemporaryDirectory(prefix="attribune-bench-") as folder:
            data = Path(folder) / "data"
            requests = batches(register(data).server_key)
            path = write_requests(Path(folder) / "batches", requests)
            with collector(data) as port:
                check_accepted(port, requests[0], BATCH_RECORDS)
                found = load(port, path, plan.seconds)
            ours.append(found.per_s * BATCH_RECORDS)
            p99.append(found.p99_ms)
            yard.append(worker("batch.py", folder, plan.seconds, 1))
            grouped.append(worker("batch.py", folder, plan.seconds, GROUPED))
        say(
            "batch",
            f"run {run + 1}: {ours[-1]:,.0f} records/s, bare loop {yard[-1]:,.0f}/s, grouped {grouped[-1]:,.0f}/s",
        )
    result = compared("batch", "records/s", ours, yard, at_least=RATIO_MIN)
    details = {
        **result.details,
        "p99_ms": statistics.median(p99),
        "bare_loop_grouped": round(statistics.median(grouped)),
    }
    return [msgspec.structs.replace(result, details=details)]


class _Batch(msgspec.Struct):
    records: list[msgspec.Raw]


def bare_loop(folder: Path, seconds: int, commit_batches: int) -> float:
    """Decode batches whole and append their records as they came, each append synced: records per second."""
    env = lmdb.open(
        str(folder / f"bare-{commit_batches}"), map_size=32 << 30, max_dbs=1, meminit=False
    )
    database = env.open_db(b"records")
    sent = bodies()
    slices = msgspec.json.Decoder(_Batch)
    place = count = 0
    begun = time.perf_counter()
    while (took := time.perf_counter() - begun) < seconds:
        pairs = []
        for _ in range(commit_batches):
            body = sent[count % len(sent)]
            count += 1
            msgspec.json.decode(body)
            for raw in slices.decode(body).records:
                place += 1
                pairs.append((place.to_bytes(8, "big"), bytes(raw)))
        with env.begin(write=True) as txn:
            txn.cursor(database).putmulti(pairs, append=True)
    env.close()
    return place / took


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("seconds", type=int)
    parser.add_argument("commit_batches", type=int)
    given = parser.parse_args()
    print(json.dumps(bare_loop(given.folder, given.seconds, given.commit_batches)))
