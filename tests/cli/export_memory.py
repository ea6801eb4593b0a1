"""Fills a facts folder, or exports from it and says how much memory that took. Run alone by a test."""

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


def main(folder: Path, rows: int, format_: str) -> None:
    facts = ClickhouseFacts(folder / "facts", memory_bytes_max=256 << 20, threads=2)
    for begin in range(1, rows + 1, INSERT):
        facts.insert([click(n) for n in range(begin, min(begin + INSERT, rows + 1))])
    api = Api(folder)
    api.house.facts = lambda: facts

    @contextmanager
    def connect(_: Path):
        yield Client(InProcess(api.app))

    export.connect = connect
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    words = ["touches", "--from", "2026-03-01", "--to", "2026-03-01", "--format", format_]
    code = run(["export", *words, "--out", str(folder / "out"), "--data", str(folder), "--json"])
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stderr.write(f"{code} {(after - before) << 10}\n")
    facts.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
