"""Folders that hold many records already: filled once, kept under bench/.cache, and cloned for each run.

Run by itself it fills: ``store`` the journal and the attributor's store through their own engines, ``facts`` the facts with
rows that ClickHouse makes of numbers. Filling through the front door would take hours; what is written is the same, and the
filler sees to that by letting the real attributor judge the first of the touches.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from fact_rows import fill_facts
from harness import BENCH, CACHE, say
from house import Registered, register
from traffic import gaid, hit

from attribune import settings as settings_
from attribune.attribute.attributor import Attributor
from attribune.attribute.desk import Desk
from attribune.attribute.keys import address_key, id_key
from attribune.collect.links import read_touch
from attribune.engines.memory import MemoryStore
from attribune.model.codec import encode
from attribune.model.ids import LinkId, Position, ProductId
from attribune.model.position import Entry, Topic
from attribune.model.touch import LinkHit
from attribune.wire.checking import registry_at_end
from attribune.wire.parts import Parts

#: The stored touches happened in this span before the newest of them, so that all lie in the window of identifiers.
SPAN_MS = 6 * 86_400_000
#: Small segments, so that a clone need copy only the last.
SEGMENT_BYTES = 64 << 20
_AT_A_TIME = 5_000
_CHECKED = 200


class Filled(msgspec.Struct, frozen=True):
    """What stands in a filled folder."""

    records: int
    known: Registered
    #: When the newest touch came in. Milliseconds, UTC.
    newest_ms: int

    def at_ms(self, n: int) -> int:
        """When touch ``n`` came in."""
        return self.newest_ms - SPAN_MS + n * SPAN_MS // self.records


def filled(records: int) -> Path:
    """A folder that holds so many touches and as many fact rows; made when there is none that fits the code."""
    folder = CACHE / f"{records}-{_fingerprint()}"
    if (folder / "filled.json").exists():
        return folder
    say("filling", f"{records:,} records into {os.path.relpath(folder)}, once …")
    for stale in CACHE.glob(f"{records}-*"):
        shutil.rmtree(stale)
    folder.mkdir(parents=True)
    (folder / "attribune.toml").write_text(f"journal_segment_bytes_max = {SEGMENT_BYTES}\n")
    begun = time.monotonic()
    known = register(folder)
    marker = Filled(records, known, int(time.time() * 1000))
    (folder / "filling.json").write_bytes(msgspec.json.encode(marker))
    command = [sys.executable, BENCH / "filled.py", folder]
    # Each is busy on one core.
    both = [subprocess.Popen([*command, part]) for part in ("store", "facts")]
    codes = [process.wait() for process in both]
    if any(codes):
        raise RuntimeError(f"{folder} could not be filled; what failed says so above")
    (folder / "filling.json").replace(folder / "filled.json")
    say("filling", f"{records:,} records took {time.monotonic() - begun:.0f} s")
    return folder


def _fingerprint() -> str:
    """Of all code that shapes what is filled: when one of them changes, the folder is filled anew."""
    source = BENCH.parent / "src" / "attribune"
    shaping = [BENCH / name for name in ("filled.py", "fact_rows.py", "traffic.py")]
    shaping += [
        source / "attribute" / name for name in ("batch.py", "desk.py", "keys.py", "touches.py")
    ]
    shaping += [source / "model" / name for name in ("codec.py", "fact.py", "touch.py")]
    shaping += sorted((source / "engines").glob("*.py"))
    hashed = hashlib.sha256(b"".join(path.read_bytes() for path in shaping))
    return hashed.hexdigest()[:12]


def seen(folder: Path) -> Filled:
    """What stands in a filled folder, or in a clone of one."""
    name = "filled.json" if (folder / "filled.json").exists() else "filling.json"
    return msgspec.json.decode((folder / name).read_bytes(), type=Filled)


@contextmanager
def cloned(folder: Path) -> Iterator[Path]:
    """A clone to write to, gone afterwards. Files that are never changed once written are linked, the others copied."""
    clone = CACHE / f"clone-{os.getpid()}"
    shutil.rmtree(clone, ignore_errors=True)
    segments = sorted(path.name for path in (folder / "journal").iterdir())

    def copy(source: str, target: str) -> None:
        path = Path(source)
        is_sealed = path.name == "data.mdb" and path.parent.name in segments[:-1]
        is_part = "facts" in path.parts and path.suffix in {".bin", ".mrk", ".cmrk2", ".idx"}
        if path.suffix == ".sst" or is_sealed or is_part:
            os.link(source, target)
        else:
            shutil.copy2(source, target)

    shutil.copytree(folder, clone, copy_function=copy, symlinks=True)
    try:
        yield clone
    finally:
        shutil.rmtree(clone, ignore_errors=True)


def fill_store(folder: Path) -> None:
    """Append the touches and file them as the attributor would."""
    what = seen(folder)
    parts = Parts(folder, settings_.load(folder))
    desk = Desk(parts.store)
    link, product = LinkId(what.known.link), ProductId(what.known.product)
    for begin in range(0, what.records, _AT_A_TIME):
        hits = [
            hit(n, link, what.at_ms(n)) for n in range(begin, min(begin + _AT_A_TIME, what.records))
        ]
        payloads = [encode(each) for each in hits]
        places = parts.journal.append([(Topic.TOUCHES, payload) for payload in payloads])
        for n, (each, payload, place) in enumerate(zip(hits, payloads, places, strict=True), begin):
            _file(desk, product, n, each, payload, place)
        if begin == 0:
            _check(parts, desk, hits[:_CHECKED], payloads, places)
        desk.meta.journal_ms = hits[-1].received_at_ms
        desk.commit(places[-1])
    parts.close()


def _file(
    desk: Desk, product: ProductId, n: int, each: LinkHit, payload: bytes, place: Position
) -> None:
    desk.put_touch(each.id, place, payload)
    keys = (id_key(product, "gaid", gaid(n)), address_key(product, str(each.ip), "android"))
    desk.put_touch_keys(keys, each.id, place, each.received_at_ms)


def _check(
    parts: Parts, desk: Desk, hits: list[LinkHit], payloads: list[bytes], places: list[Position]
) -> None:
    """The real attributor must file the first touches just so."""
    real = Attributor(registry_at_end(parts), MemoryStore(), parts.enricher, read_touch)
    for each, payload, place in zip(hits, payloads, places, strict=False):
        real.judge(Entry(place, Topic.TOUCHES, payload), each)
    ours, theirs = desk._batch._changed, real.desk._batch._changed
    assert len(theirs) == 3 * len(hits), (
        "each touch is filed by id, by advertising id and by address"
    )
    assert all(ours.get(row) == value for row, value in theirs.items()), "filed differently"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("part", choices=["store", "facts"])
    given = parser.parse_args()
    if given.part == "store":
        fill_store(given.folder)
    else:
        fill_facts(given.folder / "facts", seen(given.folder).records, seen(given.folder).known)
