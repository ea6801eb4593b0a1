"""A process that appends to a journal or tails it, for the tests that need several at once.

journal_process.py append FOLDER SEGMENT_BYTES NAME BATCHES   (0 batches: until it is killed; says each acknowledged one)
journal_process.py tail FOLDER SEGMENT_BYTES NAME ENTRIES
"""

from __future__ import annotations

import json
import random
import sys
import time

from attribune.engines.lmdb_journal import LmdbJournal
from attribune.engines.system import SystemClock
from attribune.model.ids import START
from attribune.model.position import Topic


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def append(journal: LmdbJournal, name: str, batches: int) -> None:
    chance = random.Random(name)
    number = 0
    while not batches or number < batches:
        size = chance.randint(1, 20)
        places = journal.append(
            [
                (
                    chance.choice(list(Topic)),
                    f"{name} {number} {i}/{size} ".encode() + b"." * chance.randint(0, 900),
                )
                for i in range(size)
            ]
        )
        if not batches:
            say(f"{number} {places[-1]}")
        number += 1


def tail(journal: LmdbJournal, entries: int) -> None:
    """Read one entry after the other as they come; fail when one is skipped."""
    after, seen = START, []
    deadline = time.monotonic() + 40
    while after < entries and time.monotonic() < deadline:
        for entry in journal.read(Topic, after, 37):
            assert entry.position == after + 1, f"{entry.position} came after {after}"
            after = entry.position
            seen.append(entry.payload.decode().rstrip("."))
    say(json.dumps(seen))


def main() -> None:
    verb, folder, segment_bytes, name, count = sys.argv[1:]
    journal = LmdbJournal(
        folder, segment_bytes_max=int(segment_bytes), segment_ms=86_400_000, clock=SystemClock()
    )
    if verb == "append":
        append(journal, name, int(count))
    else:
        tail(journal, int(count))
    journal.close()


if __name__ == "__main__":
    main()
