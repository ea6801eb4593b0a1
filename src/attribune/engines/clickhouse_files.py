"""A look at the files of the facts by who opens no engine: chDB writes into its folder as soon as it is opened."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from attribune.model.errors import StoreUnavailable

#: A part of a MergeTree table: partition, first and last block, how often it was merged, mutated.
_PART: Final = re.compile(r"[0-9a-zA-Z-]+_\d+_\d+_\d+(_\d+)?$")
#: What every part has, and is never empty.
_IN_EVERY_PART: Final = ("checksums.txt", "columns.txt", "count.txt")
_HEAD_BYTES: Final = 64


class Files(NamedTuple):
    """What lies there."""

    tables: int
    parts: int
    rows: int


def look(path: Path) -> Files:
    """How many tables, parts and rows lie in a folder of facts. Raises StoreUnavailable when one is not what chDB wrote.

    What is in the columns is not read: only who opens the engine knows whether that is whole.
    """
    tables = [file for file in path.rglob("*.sql") if file.is_file()]
    for file in tables:
        with file.open("rb") as open_:
            head = open_.read(_HEAD_BYTES)
        if not head.startswith(b"ATTACH"):
            raise _damaged(file, "describes no table")
    parts = [place for place in path.glob("store/*/*/*") if _PART.match(place.name)]
    return Files(len(tables), len(parts), sum(map(_rows, parts)))


def _rows(part: Path) -> int:
    for name in _IN_EVERY_PART:
        if not (part / name).exists() or not (part / name).stat().st_size:
            raise _damaged(part, f"has no {name}")
    count = (part / "count.txt").read_text().strip()
    if not count.isdigit():
        raise _damaged(part, "does not say how many rows it has")
    return int(count)


def _damaged(place: Path, what: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"the facts are damaged: {place} {what}; stop the house and make them again with `attribune rebuild facts`"
    )
