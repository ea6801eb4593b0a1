"""Scrubbing a data folder's journal, whether a house serves it or nobody does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from attribune import settings as settings_
from attribune.backup.scrub import Scrubbed, Sources, scrub_journal
from attribune.collect.links import read_touch
from attribune.engines import lmdb_answers, rocksdb_store
from attribune.engines.system import SystemClock
from attribune.model.codec import encode
from attribune.model.control import Change, Tick
from attribune.model.delivery import LogQuestion
from attribune.model.errors import FolderHeld
from attribune.model.ids import DeliveryId, Position, is_forgotten
from attribune.model.policy import DAY_MS
from attribune.model.position import Topic
from attribune.model.touch import LinkHit, Touch
from attribune.ports import Outbox
from attribune.registry.view import Registry
from attribune.roles import folder as folder_
from attribune.roles.scrubs import ScrubWatch
from attribune.settings import Settings
from attribune.wire import checking, pruning
from attribune.wire.backups import LmdbSegments
from attribune.wire.keepers import OfflineKeeper
from attribune.wire.parts import Parts


def scrub(data: Path, *, is_dry_run: bool) -> Scrubbed:
    """Scrub the journal of a data folder, served or not.

    Raises what ``attribune.backup.scrub.scrub_journal`` raises, FolderTooNew, and StoreUnavailable when nobody serves and the
    views cannot be brought up to date.
    """
    folder_.format_of(data)
    folder = folder_.prepare(data)
    settings = settings_.load(folder)
    with _house(folder, settings, is_dry_run=is_dry_run) as (registry, read_to, is_alone):
        outbox = Parts(folder, settings).outbox_reader
        try:
            now_ms = SystemClock().now_ms()
            sources = Sources(
                now_ms=now_ms,
                raw_before_ms=now_ms - settings.raw_days * DAY_MS if settings.raw_days else None,
                read_to=read_to,
                read=_reader(registry),
                forgotten_deliveries=lambda ids: _forgotten(outbox, ids),
            )
            segments = LmdbSegments(folder / "journal")
            done = scrub_journal(folder, segments, sources, is_dry_run=is_dry_run)
        finally:
            outbox.close()
        if is_alone and not is_dry_run:
            rocksdb_store.compact(folder / "store")
            lmdb_answers.compact(folder / "answers")
        return done


@contextmanager
def _house(
    folder: Path, settings: Settings, *, is_dry_run: bool
) -> Iterator[tuple[Registry, int, bool]]:
    """What is registered, up to which place all have read, and whether nobody serves; nobody else begins to serve the folder meanwhile."""
    try:
        with folder_.held(folder, "command `attribune journal scrub`"):
            yield *_alone(folder, settings, is_dry_run=is_dry_run), True
    except FolderHeld:
        yield *_served(folder, settings, is_dry_run=is_dry_run), False


def _alone(folder: Path, settings: Settings, *, is_dry_run: bool) -> tuple[Registry, int]:
    """A house that rests: its views are brought up to the journal's end first."""
    parts = Parts(folder, settings)
    keeper = OfflineKeeper(parts)
    try:
        keeper.settle()
        if not is_dry_run:
            close_old(parts)
        keeper.settle_outbox()
        return checking.registry_at_end(parts), parts.journal.end()
    finally:
        keeper.close()
        parts.close()  # a segment is rewritten by who has no journal open


def _served(folder: Path, settings: Settings, *, is_dry_run: bool) -> tuple[Registry, int]:
    parts = Parts(folder, settings)
    try:
        if not is_dry_run:
            close_old(parts)
        registry = checking.registry_at_end(parts)
    finally:
        parts.close()
    return registry, min(pruning.stand(folder, settings).values())


def close_old(parts: Parts) -> None:
    """Have the newest segment closed when it is old enough and a request waits in it: where nothing comes in, nobody else does."""
    now_ms = parts.clock.now_ms()
    newest = parts.journal.segments()[-1]
    if now_ms - newest.begun_at_ms < parts.settings.journal_segment_ms or newest.is_sealed:
        return
    if ScrubWatch(parts.folder, parts.journal).forgetting().waiting:
        tick = Change(at_ms=now_ms, record=Tick(at_ms=now_ms))
        parts.journal.append([(Topic.CONTROL, encode(tick))])


def _reader(registry: Registry) -> Callable[[Position, LinkHit], Touch | None]:
    def read(place: Position, hit: LinkHit) -> Touch | None:
        link = registry.link(hit.link, place)
        return read_touch(hit, link) if link else None

    return read


def _forgotten(outbox: Outbox, ids: Collection[DeliveryId]) -> set[DeliveryId]:
    rows = outbox.log(LogQuestion(ids=tuple(ids), rows_max=len(ids)))
    devices = ((one.row.planned.id, one.row.planned.device) for one in rows)
    return {id_ for id_, device in devices if device is not None and is_forgotten(device)}
