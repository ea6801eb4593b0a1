"""A journal on disk in which people are forgotten, and a process that scrubs it again and again, in forks that are killed."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from attribute.tale import read_tale, tell

from attribune.backup.scrub import Scrubbed, Sources, scrub_journal
from attribune.collect.links import read_touch
from attribune.engines import lmdb_scrubbed
from attribune.engines.lmdb_journal import LmdbJournal
from attribune.engines.lmdb_segment import Segment
from attribune.engines.system import MemoryClock
from attribune.model.codec import decode, encode
from attribune.model.control import Change, Tick
from attribune.model.ids import START
from attribune.model.position import Entry, Topic
from attribune.registry.view import Registry
from attribune.roles import folder as folder_
from attribune.wire.backups import LmdbSegments

TINY = 64 << 10
ALL = tuple(Topic)
#: What nothing of the journal may say of who was forgotten. The third asked in the newest segment.
FIRST, SECOND, THIRD = "the-first-gaid", "the-second-gaid", "the-third-gaid"
NOW_MS = 1_700_000_000_000
_THIRD = 3


def life(number: int) -> str:
    """Opens, events and clicks of three people in turn, and of others."""
    lines = []
    for n in range(number):
        who, gaid = ("first", FIRST) if n % 3 else ("second", SECOND)
        day, hour = divmod(n, 24)
        lines.append(f"day {day} {hour:02}:01  click acme/spring as c{n} gaid={gaid}")
        lines.append(f"day {day} {hour:02}:05  open device={who} gaid={gaid} ref=c{n}")
        lines.append(f"day {day} {hour:02}:08  event buy device=other{n} gaid=else{n} pay=3.00:EUR")
    day = number // 24 + 1
    lines.append(f"day {day} 00:00  open device=third gaid={THIRD}")
    lines.append(f"day {day} 01:00  forget device=first gaid={FIRST} server")
    lines += [f"day {day} 01:{n:02}  open device=between{n} gaid=between{n}" for n in range(1, 40)]
    lines.append(f"day {day} 02:00  forget device=second gaid={SECOND} server")
    return "\n".join(lines)


def entries(number: int = 60) -> list[Entry]:
    """What was journaled and decided."""
    return tell(read_tale(life(number))).journal.read(ALL, START, 1_000_000)


def fill(folder: Path, told: list[Entry], *, more: int = 40) -> None:
    """Append them to a journal of small segments, and so much of nobody's that all of it is closed."""
    journal = opened(folder)
    for entry in told:
        journal.append([(entry.topic, entry.payload)])
    for _ in range(more):
        journal.append([(Topic.CONTROL, tick()) for _ in range(20)])
    journal.close()


def tick() -> bytes:
    return encode(Change(at_ms=NOW_MS, record=Tick(at_ms=NOW_MS)))


def opened(folder: Path) -> LmdbJournal:
    return LmdbJournal(
        folder / "journal", segment_bytes_max=TINY, segment_ms=1 << 40, clock=MemoryClock(NOW_MS)
    )


def standing(folder: Path) -> list[Entry]:
    """All that stands, each entry checked by its checksum."""
    segments = LmdbSegments(folder / "journal")
    found = [entry for name in segments.names() for entry in segments.entries(name)]
    return sorted(found, key=lambda entry: entry.position)


def scrub(
    folder: Path,
    *,
    is_dry_run: bool = False,
    read_to: int = 1 << 60,
    now_ms: int = NOW_MS,
    raw_before_ms: int | None = None,
) -> Scrubbed:
    """As ``attribune journal scrub`` does it once it knows the house."""
    registry = Registry()
    for entry in standing(folder):
        if entry.topic is Topic.CONTROL:
            change = decode(entry)
            assert isinstance(change, Change)
            registry.apply(entry.position, change)
    sources = Sources(
        now_ms=now_ms,
        raw_before_ms=raw_before_ms,
        read_to=read_to,
        read=lambda place, hit: read_touch(hit, registry.link(hit.link, place)),
        forgotten_deliveries=lambda _: (),
    )
    return scrub_journal(folder, LmdbSegments(folder / "journal"), sources, is_dry_run=is_dry_run)


#: Where a scrub may be killed, beside any moment.
STEPS = ("half written", "written", "exchanged", "half removed", "noted")


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(milliseconds: float) -> None:
    """Let this process be killed so long after now."""
    late = threading.Timer(milliseconds / 1000, die)
    late.daemon = True
    late.start()


def die_at(step: str) -> None:
    """Let this process be killed at a step of the third segment that is written anew."""
    done: list[str] = []

    def third(original: Any, *, is_before: bool = False) -> Any:
        def once(*what: Any, **how: Any) -> Any:
            done.append(step)
            if len(done) == _THIRD and is_before:
                die()
            found = original(*what, **how)
            if len(done) == _THIRD:
                die()
            return found

        return once

    if step == "half written":
        lmdb_scrubbed._ENTRIES_MAX = 1
        Segment.carry = third(Segment.carry)  # type: ignore[method-assign]
    elif step == "written":
        lmdb_scrubbed.exchange = third(lmdb_scrubbed.exchange, is_before=True)
    elif step == "exchanged":
        lmdb_scrubbed.exchange = third(lmdb_scrubbed.exchange)
    elif step == "half removed":
        os.unlink = shutil.os.unlink = third(os.unlink)  # type: ignore[attr-defined]
    else:
        folder_.write_whole = third(folder_.write_whole)


def main() -> None:
    """Scrub folders, each in a fork, until nobody asks: a line is a folder and when to die; the answer how it ended."""
    for line in sys.stdin:
        folder, when = line.rstrip("\n").split("\t")
        child = os.fork()
        if child == 0:
            if when in STEPS:
                die_at(when)
            elif when:
                die_after(float(when))
            scrub(Path(folder))
            os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(f"{ended}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
