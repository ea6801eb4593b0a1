"""`index` and `decide`: the attributor over many stored touches, beside the calls to RocksDB that it makes.

The calls of one run are recorded (gets, walks, batches) and replayed against the same store without journal, decoding or
rules. Run by itself it is one such run: ``real``, ``record`` or ``replay``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from filled import Filled, cloned, filled, seen
from harness import Plan, Result, compared, say, worker
from rocksdict import ReadOptions, WriteBatch
from traffic import DIFFERENT, address, agent, gaid, hit, touch_id

from attribune import settings as settings_
from attribune.engines import rocksdb_store
from attribune.engines.rocksdb_store import RocksStore
from attribune.model.activity import Device, Event, Open, Platform, Referrer, ReferrerSource, Sender
from attribune.model.codec import Record, decode, encode
from attribune.model.ids import AppId, DeviceId, LinkId, Position, ProductId, RecordId
from attribune.model.money import Money
from attribune.model.outcome import Attribution, CreditedEvent
from attribune.model.position import Topic
from attribune.ports import Row
from attribune.roles.base import Stepping
from attribune.wire.parts import Parts
from attribune.wire.roles import attributor, recorder

RATIO_MIN, RATIO_MIN_MANY = 0.5, 0.8
#: Judged before the clock starts, in parts of what is timed: caches fill meanwhile.
_WARM_PARTS = 3
#: Entries of one append; a segment must have room for them at their worst.
_APPENDED = 1000
#: What else is measured beside, without a yardstick: how many rows the recorder writes of touches, and how many events the
#: attributor credits to the devices of new opens.
BESIDE = {"index": "rows", "decide": "events"}
#: Four in five opens should find a touch; when fewer do, something else is measured than deciding.
_WON_MIN = 0.7


def measure(plan: Plan) -> list[Result]:
    """Touches indexed and opens decided a second on one core: over few stored touches, the replay, and over many, in turn."""
    results: list[Result] = []
    for kind, count in (("index", plan.touches), ("decide", plan.opens)):
        few, yard, many = [], [], []
        trace = filled(plan.stored) / f"{kind}.trace"
        _run("record", kind, plan.stored, count, trace)
        for run in range(plan.runs):
            few.append(_run("real", kind, plan.stored, count, trace))
            yard.append(_run("replay", kind, plan.stored, count, trace))
            many.append(_run("real", kind, plan.stored_many, count, trace))
            say(
                kind,
                f"run {run + 1}: {few[-1]:,.0f}/s, RocksDB alone {yard[-1]:,.0f}/s; "
                f"over {plan.stored_many:,}: {many[-1]:,.0f}/s",
            )
        unit = "touches/s" if kind == "index" else "opens/s"
        beside = BESIDE[kind]
        along = [_run("real", beside, plan.stored, count, trace) for _ in range(plan.runs)]
        more = {f"{beside}_per_s": round(median(along))}
        say(beside, f"{median(along):,.0f}/s")
        results += [
            _said(compared(kind, unit, few, yard, RATIO_MIN), plan.stored, more),
            _said(compared(f"{kind}_10m", unit, many, few, RATIO_MIN_MANY), plan.stored_many),
        ]
    return results


def _said(result: Result, stored: int, more: Mapping[str, float] | None = None) -> Result:
    details = {"stored": stored, **result.details, **(more or {})}
    return msgspec.structs.replace(result, details=details)


def _run(way: str, kind: str, stored: int, count: int, trace: Path) -> float:
    with cloned(filled(stored)) as folder:
        per_s: float = worker("stored.py", way, kind, folder, count, trace)
    return per_s


class Recording:
    """The store, writing down what is asked of it, as the bytes that RocksDB sees."""

    def __init__(self, store: RocksStore) -> None:
        self._store = store
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get(self, key: Row) -> bytes | None:
        """Read a row."""
        self.calls.append(("get", rocksdb_store._key(key)))
        return self._store.get(key)

    def in_buckets(
        self, table: int, buckets: Sequence[int], partition: bytes
    ) -> list[bytes | None]:
        """Read a row in several buckets."""
        keys = [rocksdb_store._key(Row(table, bucket, partition)) for bucket in buckets]
        self.calls.append(("get", keys))
        return self._store.in_buckets(table, buckets, partition)

    def rows(
        self, table: int, bucket: int, partition: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Walk over a partition."""
        self.calls.append(("walk", rocksdb_store._key(Row(table, bucket, partition)), limit))
        return self._store.rows(table, bucket, partition, limit)

    def commit(self, writes: Mapping[Row, bytes | None], position: Position) -> None:
        """Write a batch."""
        pairs = [(rocksdb_store._key(row), value) for row, value in writes.items()]
        place = rocksdb_store._position.pack(rocksdb_store.FORMAT, position)
        self.calls.append(("write", [*pairs, (rocksdb_store._POSITION_KEY, place)]))
        self._store.commit(writes, position)


def judged(folder: Path, kind: str, count: int, trace: Path | None) -> float:
    """Let the real role work, and say how many a second; with ``trace`` write down what it asks of its store."""
    parts = Parts(folder, settings_.load(folder))
    recording = None
    if trace is not None:
        recording = parts.__dict__["store"] = Recording(parts.store)  # type: ignore[arg-type]  # a store around the store
    warm = count // _WARM_PARTS
    _append(parts, "decide" if kind == "events" else kind, seen(folder), 0, warm)
    role: Stepping = recorder(parts) if kind == "rows" else attributor(parts)
    _step(role, warm)
    marked = len(recording.calls) if recording else 0
    before = parts.journal.end()
    _append(parts, kind, seen(folder), warm, warm + count)
    begun = time.perf_counter()
    _step(role, count)
    took = time.perf_counter() - begun
    if kind == "decide":
        _check_won(parts, before, count)
    if kind == "events":
        _check_credited(parts, before, count)
    if recording and trace:
        trace.write_bytes(msgspec.msgpack.encode([marked, recording.calls]))
    parts.close()
    return count / took


def _step(role: Stepping, count: int) -> None:
    left = count
    while left > 0:
        left -= role.step()


def _append(parts: Parts, kind: str, what: Filled, begin: int, end: int) -> None:
    topic = Topic.ACTIVITY if kind in {"decide", "events"} else Topic.TOUCHES
    records = (_new(kind, n, what, begin) for n in range(begin, end))
    while some := [(topic, encode(record)) for record in islice(records, _APPENDED)]:
        parts.journal.append(some)


def _new(kind: str, n: int, what: Filled, devices: int) -> Record:
    if kind == "decide":
        return new_open(n, what)
    return new_event(n, what, n % devices) if kind == "events" else new_touch(n, what)


def new_touch(n: int, what: Filled) -> Record:
    """A click after all that are stored."""
    return hit(what.records + n, LinkId(what.known.link), what.newest_ms + n)


def new_open(n: int, what: Filled) -> Record:
    """A new installation: by referrer, by advertising id, by address, or organic, in turn."""
    chosen = n * 2654435761 % what.records
    if n % 5 == 3:  # by address alone: only the newest touches are young enough
        chosen = what.records - 1 - chosen % (what.records // 25)
    at_ms = what.newest_ms + 60_000 + n
    value = "utm_source=google-play&utm_medium=organic"
    if n % 5 < 2:
        value = f"attribune_click={touch_id(chosen, what.at_ms(chosen))}&utm_source=acme"
    person = chosen if n % 5 in {2, 3} else what.records * 2 + n
    return Open(
        id=RecordId(f"bench-open-{n}"),
        product=ProductId(what.known.product),
        app=AppId(what.known.app),
        sender=Sender.APP,
        received_at_ms=at_ms,
        occurred_at_ms=at_ms,
        device=Device(
            id=DeviceId(f"bench-new-device-{n}"),
            platform=Platform.ANDROID,
            os_version=str(8 + person % DIFFERENT % 8),
            model=f"Pixel {person % DIFFERENT % 1000}",
            ids={} if n % 5 == 3 else {"gaid": gaid(person)},
        ),
        referrers=(Referrer(source=ReferrerSource.PLAY, value=value),),
        ip=address(person),
        user_agent=agent(person),
        app_version="3.1.0",
    )


def new_event(n: int, what: Filled, device: int = 0) -> Record:
    """A purchase on the installation of a new open."""
    at_ms = what.newest_ms + 120_000 + n
    return Event(
        id=RecordId(f"bench-event-{n}"),
        product=ProductId(what.known.product),
        app=AppId(what.known.app),
        sender=Sender.APP,
        received_at_ms=at_ms,
        occurred_at_ms=at_ms,
        device=Device(id=DeviceId(f"bench-new-device-{device}"), platform=Platform.ANDROID),
        name="purchase",
        revenue=Money(amount_minor=100 + n % 9000, currency="EUR"),
        transaction_id=f"order-{n}",
        params={"item": f'"item-{n % 500}"'},
        ip=address(n),
        user_agent=agent(n),
    )


def _check_won(parts: Parts, after: Position, count: int) -> None:
    found = parts.journal.read((Topic.OUTCOMES,), after, 2 * count)
    decided = [record for record in map(decode, found) if isinstance(record, Attribution)]
    won = sum(record.credit is not None for record in decided)
    if len(decided) != count or won < _WON_MIN * count:
        raise RuntimeError(f"of {count} opens {len(decided)} were decided and {won} found a touch")


def _check_credited(parts: Parts, after: Position, count: int) -> None:
    found = parts.journal.read((Topic.OUTCOMES,), after, 2 * count)
    credited = sum(isinstance(record, CreditedEvent) for record in map(decode, found))
    if credited != count:
        raise RuntimeError(f"of {count} events {credited} were credited")


def replayed(folder: Path, count: int, trace: Path) -> float:
    """Make the recorded calls and nothing else; a second's worth as the real run counts it."""
    marked, calls = msgspec.msgpack.decode(trace.read_bytes())
    store = RocksStore(folder / "store")
    _replay(store, calls[:marked])
    begun = time.perf_counter()
    _replay(store, calls[marked:])
    took = time.perf_counter() - begun
    store.close()
    return count / took


def _replay(store: RocksStore, calls: list[Any]) -> None:
    db = store._db
    inside = ReadOptions()
    inside.set_prefix_same_as_start(True)
    kept = None
    for call in calls:
        if call[0] == "get":
            db.get(call[1])
        elif call[0] == "walk":
            walk, left = kept or db.iter(inside), call[2]
            kept = walk
            walk.seek(call[1])
            while left and walk.valid():
                walk.key(), walk.value()
                walk.next()
                left -= 1
        else:
            batch = WriteBatch(raw_mode=True)
            for key, value in call[1]:
                batch.delete(key) if value is None else batch.put(key, value)
            db.write(batch)
            kept = None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["real", "record", "replay"])
    parser.add_argument("kind", choices=["index", "decide", *BESIDE.values()])
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("trace", type=Path)
    given = parser.parse_args()
    if given.way == "replay":
        print(json.dumps(replayed(given.folder, given.count, given.trace)))
    else:
        recorded = given.trace if given.way == "record" else None
        print(json.dumps(judged(given.folder, given.kind, given.count, recorded)))
