"""Pruning a data folder's journal, whether a house serves it or nobody does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attribune import settings as settings_
from attribune.backup.prune import House, Pruned, Wish
from attribune.backup.prune import prune as prune_
from attribune.engines import lmdb_copy
from attribune.engines.system import SystemClock
from attribune.model.codec import decode
from attribune.model.errors import FolderHeld, NotPrunable
from attribune.model.ids import Position
from attribune.model.outcome import Outcome
from attribune.model.policy import longest_ms
from attribune.model.position import Topic
from attribune.model.status import RoleState, RoleStatus
from attribune.report.set_aside import untold
from attribune.roles import folder as folder_
from attribune.roles import heartbeat, standing
from attribune.roles.supervisor import RESTART_FOLDER
from attribune.settings import Settings
from attribune.wire import checking, disks
from attribune.wire.backups import LmdbSegments
from attribune.wire.keepers import OfflineKeeper
from attribune.wire.parts import Parts

#: Roles that read what may be pruned. All others read only what people changed, which is kept.
READERS: Final = ("attributor", "recorder", "postbacker", "bookkeeper")
#: How much longer than a heartbeat lasts a role is waited for until it says where it stands.
_SPARE_MS: Final = 2000
_POLL_S: Final = 0.05


def prune(data: Path, wish: Wish, progress: Callable[[int, int], None]) -> Pruned:
    """Prune the journal of a data folder, served or not; ``progress`` hears bytes of the backup checked and in all.

    Raises what ``attribune.backup.prune.prune`` raises, FolderTooNew, and StoreUnavailable when nobody serves and the views
    cannot be brought up to date.
    """
    folder_.format_of(data)
    folder = folder_.prepare(data)
    settings = settings_.load(folder)
    with _house(folder, settings) as house:
        return prune_(folder, LmdbSegments(folder / "journal"), wish, house, progress)


@contextmanager
def _house(folder: Path, settings: Settings) -> Iterator[House]:
    """What is known of the house, and nobody else begins to serve the folder while the block runs."""
    try:
        with folder_.held(folder, "command `attribune journal prune`"):
            yield _alone(folder, settings)
    except FolderHeld:
        yield _served(folder, settings)


def _alone(folder: Path, settings: Settings) -> House:
    """A house that rests: its views are brought up to the journal's end first."""
    parts = Parts(folder, settings)
    keeper = OfflineKeeper(parts)
    try:
        keeper.settle_outbox()
        end = parts.journal.end()
        readers = dict.fromkeys(READERS, int(end))
        return _said(parts, lambda: readers)
    finally:
        keeper.close()
        parts.close()  # a segment is carried on by who has no journal open


def _served(folder: Path, settings: Settings) -> House:
    parts = Parts(folder, settings)
    try:
        return _said(parts, lambda: stand(folder, settings))
    finally:
        parts.close()


def _said(parts: Parts, readers: Callable[[], Mapping[str, int]]) -> House:
    rules = checking.registry_at_end(parts).every_policy()
    keep_ms = max(disks.keep_ms(parts.settings), *map(longest_ms, rules))
    aside = untold(parts.journal)
    return House(
        now_ms=parts.clock.now_ms(),
        keep_ms=keep_ms,
        readers=readers,
        set_aside=aside[0].position if aside else None,
    )


def stand(folder: Path, settings: Settings) -> dict[str, int]:
    """Up to which place the roles of a house that serves have read, as of now. Raises NotPrunable."""
    asked_ms = SystemClock().now_ms()
    give_up = time.monotonic() + (settings.heartbeat_ms * heartbeat.STALE_AFTER + _SPARE_MS) / 1000
    while True:
        if (folder / RESTART_FOLDER / "attributor").exists():
            raise NotPrunable(
                "nothing was pruned or scrubbed: the stores are being made again from the beginning of the journal; wait until "
                "`attribune status` shows no lag"
            )
        roles = _roles(folder, settings)
        silent = [role for role in roles if not _has_said(role, asked_ms)]
        if not silent:
            places = {role.role: role.position or 0 for role in roles}
            return places | {"recorder": _recorded(folder, Position(places["recorder"]))}
        if time.monotonic() > give_up:
            raise NotPrunable(
                f"nothing was pruned or scrubbed: the {silent[0].role} does not say how far it has read (it is {silent[0].state}); "
                "see `attribune status`"
            )
        time.sleep(_POLL_S)


def _roles(folder: Path, settings: Settings) -> list[RoleStatus]:
    now_ms = SystemClock().now_ms()
    said = standing.status(folder, READERS, settings.heartbeat_ms, now_ms, 0, is_serving=True)
    return list(said.roles)


def _has_said(role: RoleStatus, asked_ms: int) -> bool:
    is_new = role.seen_at_ms is not None and role.seen_at_ms >= asked_ms
    return is_new and role.state is RoleState.RUNNING and role.position is not None


def _recorded(folder: Path, place: Position) -> int:
    """What the recorder does not need any more: outcomes that it has not read tell of records before them."""
    entry = lmdb_copy.first_after(folder / "journal", Topic.OUTCOMES, place)
    if entry is None:
        return place
    outcome: Outcome = decode(entry)  # type: ignore[assignment]  # of this topic
    return min(place, outcome.position - 1)
