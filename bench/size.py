"""`size`: memory of each role over few and over many records, and the disk that a click and an event take.

Run by itself it weighs: it appends entries of one kind, lets every role handle them, and counts blocks on the disk.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from filled import Filled, cloned, filled, seen
from harness import Plan, Result, say, worker
from house import register, serving, wait_until_idle
from load import load, write_requests
from stored import new_event, new_open, new_touch
from traffic import batches, clicks

from attribune import settings as settings_
from attribune.model.codec import encode
from attribune.model.position import Topic
from attribune.wire.keepers import OfflineKeeper
from attribune.wire.parts import Parts

#: Memory over many records by memory over few: flat, but for what a cache has yet to fill.
RATIO_MAX = 1.25
_LOAD_S = 2
_IDLE_S = 180
_MIB = 1 << 20
#: What is weighed: an open is of a new device that came by itself, an event of one that is known.
MADE = {"click": new_touch, "open": new_open, "event": new_event}


def measure(plan: Plan) -> list[Result]:
    """MiB of all roles of a serving house, after the same traffic, over few and over many records."""
    few, many = (_memory(plan.stored), _memory(plan.stored_many))
    ours, yard = sum(many.values()), sum(few.values())
    details: dict[str, float] = {"stored_few": plan.stored, "stored_many": plan.stored_many}
    for role in many:
        details[f"mib_{role}_few"], details[f"mib_{role}_many"] = few[role], many[role]
    for kind in MADE:
        with tempfile.TemporaryDirectory(prefix="attribune-bench-") as folder:
            taken = worker("size.py", Path(folder) / "data", kind, plan.weighed)
        details |= {f"bytes_{kind}_{part}": size for part, size in taken.items()}
        say("size", f"{sum(taken.values()):,.0f} bytes of disk a{'n' * (kind != 'click')} {kind}")
    return [
        Result(
            name="size",
            value=round(ours, 1),
            unit="MiB",
            yardstick=round(yard, 1),
            ratio=round(ours / yard, 3),
            goal=RATIO_MAX,
            goal_in_words=f"flat: ≤ {RATIO_MAX}",
            met=ours / yard <= RATIO_MAX,
            runs=1,
            details=details,
        )
    ]


def _memory(stored: int) -> dict[str, float]:
    """Anonymous memory of each role, MiB: what is mapped of files the kernel can take back at any time."""
    with cloned(filled(stored)) as folder:
        known = seen(folder).known
        here = folder.with_suffix(".clicks"), folder.with_suffix(".batches")
        try:
            write_requests(here[0], clicks(known.link))
            write_requests(here[1], batches(known.server_key))
            with serving(folder) as (port, supervisor):
                load(port, here[0], _LOAD_S)
                load(port, here[1], _LOAD_S)
                wait_until_idle(folder, _IDLE_S)
                roles = _anonymous_mib(supervisor)
        finally:
            for path in here:
                path.unlink(missing_ok=True)
    said = ", ".join(f"{role} {size:.0f} MiB" for role, size in roles.items())
    say("size", f"over {stored:,} records: {said}")
    return roles


def _anonymous_mib(supervisor: int) -> dict[str, float]:
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    found = {"supervisor": _anonymous(supervisor)}
    for child in map(int, children):
        words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        found[words[words.index(b"run") + 1].decode()] = _anonymous(child)
    return {role: round(size / _MIB, 1) for role, size in found.items()}


def _anonymous(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))


def weighed(folder: Path, kind: str, count: int) -> dict[str, float]:
    """Bytes on the disk that an entry takes in each view and in the journal, all roles having handled it."""
    known = register(folder)
    what = Filled(1000, known, int(time.time() * 1000))
    if kind == "event":  # the events of a device that is known; its open is weighed by nobody
        _append(folder, [(Topic.ACTIVITY, new_open(0, what))])
    before = _blocks(folder)
    topic = Topic.TOUCHES if kind == "click" else Topic.ACTIVITY
    _append(folder, [(topic, MADE[kind](n, what)) for n in range(1, count + 1)])
    return {
        part: round((size - before.get(part, 0)) / count, 1)
        for part, size in _blocks(folder).items()
    }


def _append(folder: Path, records: list[tuple[Topic, object]]) -> None:
    parts = Parts(folder, settings_.load(folder))
    keeper = OfflineKeeper(parts)
    try:
        for begin in range(0, len(records), 2000):
            some = records[begin : begin + 2000]
            parts.journal.append([(topic, encode(record)) for topic, record in some])
        keeper.settle()
    finally:
        keeper.close()
        parts.close()


def _blocks(folder: Path) -> dict[str, int]:
    names = ("journal", "store", "facts", "answers")
    return {
        name: sum(
            path.stat().st_blocks * 512 for path in (folder / name).rglob("*") if path.is_file()
        )
        for name in names
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("kind", choices=list(MADE))
    parser.add_argument("count", type=int)
    given = parser.parse_args()
    print(json.dumps(weighed(given.folder, given.kind, given.count)))
