"""Fills a facts folder, or exports from it and says how much memory that took. Each is run alone by a test.

export_memory.py fill FOLDER ROWS | export FOLDER FORMAT
"""

from __future__ import annotations

import resource
import sys
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from api.asking import Api

from attribune.api.calling import InProcess
from attribune.cli import export
from attribune.cli.client import Client
from attribune.cli.main import run
from attribune.engines.clickhouse_facts import ClickhouseFacts
from attribune.model.fact import Fact, FactKind
from attribune.model.ids import Position, ProductId

DAY = date(2026, 3, 1)
INSERT = 20_000


def click(number: int) -> Fact:
    place = Position(number)
    return Fact(
        position=place, ordinal=0, kind=FactKind.CLICK, product=ProductId("game"), at_ms=1_772_366_400_000,
        received_at_ms=1_772_366_400_000, day=DAY, own_day=DAY, about=place, touch=f"touch-{number:020}",
        campaign=f"campaign {number % 50}",
    )  # fmt: skip


def fill(folder: Path, rows: int) -> None:
    facts = ClickhouseFacts(folder / "facts", memory_bytes_max=256 << 20, threads=2)
    for begin in range(1, rows + 1, INSERT):
        facts.insert([click(n) for n in range(begin, min(begin + INSERT, rows + 1))])
    facts.close()


def export_(folder: Path, format_: str) -> None:
    """Say on stderr: exit code, peak memory in bytes, rows."""
    facts = ClickhouseFacts(folder / "facts", memory_bytes_max=256 << 20, threads=2)
    api = Api(folder)
    api.house.facts = lambda: facts

    @contextmanager
    def connect(_: Path):
        yield Client(InProcess(api.app))

    export.connect = connect
    words = ["touches", "--from", "2026-03-01", "--to", "2026-03-01", "--format", format_]
    code = run(["export", *words, "--out", str(folder / "out"), "--data", str(folder), "--json"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    rows = (folder / "out").read_bytes().count(b"\n") - 1
    sys.stderr.write(f"{code} {peak} {rows}\n")
    facts.close()


if __name__ == "__main__":
    verb, where, what = sys.argv[1:]
    if verb == "fill":
        fill(Path(where), int(what))
    else:
        export_(Path(where), what)
