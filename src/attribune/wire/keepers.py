"""Who keeps the views: the roles of a house that serves, or a command that holds the folder alone."""

# ruff: noqa: PLC0415 - an import inside a function is there so that only who needs an engine pays for it

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attribune.model.ids import Position
from attribune.model.status import Disk, Forgetting, Progress, RoleState, RoleStatus, Status
from attribune.roles import folder as folder_
from attribune.roles.base import Role, settle
from attribune.roles.scrubs import ScrubWatch
from attribune.roles.supervisor import RESTART_FOLDER
from attribune.wire import beginnings, checking, disks
from attribune.wire.parts import OUTBOX_FILE, Parts
from attribune.wire.roles import attributor, bookkeeper, postbacker, recorder, registrar

if TYPE_CHECKING:
    from attribune.attribute.replay import Replayed
    from attribune.model.ids import ProductId
    from attribune.model.policy import Policy
    from attribune.report.audit import AuditReport
    from attribune.roles.attributor import AttributorRole
    from attribune.roles.bookkeeper import BookkeeperRole
    from attribune.roles.postbacker import PostbackerRole
    from attribune.roles.recorder import RecorderRole
    from attribune.roles.registrar import RegistrarRole

#: What the attributor makes of the journal: its store, and the answers it keeps for those who ask.
STORES: Final = ("store", "answers")
#: What each view lies in; the journal can make all of it again.
_FILES: Final = {
    "registry": ("registry.db*",),
    "stores": STORES,
    "facts": ("facts",),
    "book": ("book.db*",),
    "outbox": (f"{OUTBOX_FILE}*",),
}
#: Views that a role in a process of its own keeps, and what is removed of each while that role is down.
_OF_CHILDREN: Final = {
    "stores": ("attributor", STORES),
    "outbox": ("postbacker", (OUTBOX_FILE, f"{OUTBOX_FILE}-wal", f"{OUTBOX_FILE}-shm")),
}
#: How long an answer waits for the views to reach the journal's end.
_SETTLE_WAIT_S: Final = 5.0
_SETTLE_POLL_S: Final = 0.01
#: Entries that may wait for the other views while only decisions are asked for.
_LAG_MAX: Final = 10_000


def _keys_used_at_ms(parts: Parts) -> dict[str, int]:
    from attribune.roles import standing

    return standing.keys_used_at_ms(parts.folder, standing.role_names(parts.settings.collectors))


def status(parts: Parts, *, is_serving: bool) -> Status:
    """Where the house of a folder stands, by what its roles last wrote."""
    from attribune.roles import standing

    return standing.status(
        parts.folder,
        standing.role_names(parts.settings.collectors),
        parts.settings.heartbeat_ms,
        parts.clock.now_ms(),
        parts.journal.end(),
        is_serving=is_serving,
    )


class OfflineKeeper:
    """Keeps the views of a folder that this process holds alone: by stepping the roles itself."""

    def __init__(self, parts: Parts) -> None:
        """Make no role yet."""
        self._parts = parts

    def settle(self) -> None:
        """Bring every view up to the journal's end."""
        settle(self._registrar, self._attributor, self._recorder, self._bookkeeper)

    def settle_decisions(self) -> None:
        """Decide up to the journal's end; bring the other views there when they lag far behind."""
        settle(self._registrar, self._attributor)
        if self._parts.journal.end() - self._recorder.position() > _LAG_MAX:
            self.settle()

    def settle_outbox(self) -> None:
        """Bring the outbox up to the journal's end."""
        self.settle()
        settle(self._postbacker)

    def lag(self) -> int:
        """None: whoever asks for numbers settles first."""
        return 0

    def status(self) -> Status:
        """Where the roles stood when they last ran."""
        return status(self._parts, is_serving=False)

    def disk(self) -> Disk:
        """How the disk stands."""
        return disks.disk(self._parts)

    def forgetting(self) -> Forgetting:
        """What of people who were forgotten still stands in the journal."""
        return ScrubWatch(self._parts.folder, self._parts.journal).forgetting()

    def keys_used_at_ms(self) -> dict[str, int]:
        """When each key was last used."""
        return _keys_used_at_ms(self._parts)

    def rebuild(self, view: str) -> None:
        """Make a view again, at once and to the end. Raises JournalPruned."""
        _refuse_pruned(self._parts, view)
        if view == "facts":
            self._recorder.forget()
        elif view in {"registry", "book"}:
            keeps = self._registrar if view == "registry" else self._bookkeeper
            keeps.forget(lambda: remove(self._parts.folder, view))
        else:
            role, engines = _OFFLINE[view]
            self.__dict__.pop(role, None)
            for name in engines:
                self._parts.forget(name)
            remove(self._parts.folder, view)
        self.settle_outbox()

    def progress(self, view: str) -> Progress:
        """It is done."""
        end = self._parts.journal.end()
        taken = self._attributor.state()["counters"]["as_recorded"] if view == "stores" else None
        return Progress(view=view, is_done=True, position=end, end=end, as_recorded=taken)

    def replay(self, policy: Policy | None, product: ProductId | None) -> Replayed:
        """What would be decided under other rules. Raises JournalPruned."""
        self.settle()
        return checking.replay(self._parts, self._attributor.position, policy, product)

    def audit(self) -> AuditReport:
        """Whether everything adds up."""
        self.settle_outbox()
        judge, keeps = self._attributor, self._recorder
        differences = int(judge.state()["differences"])
        return checking.audit(
            self._parts,
            checking.registry_at_end(self._parts),
            judge.position,
            keeps.position(),
            differences,
        )

    def close(self) -> None:
        """Let go of the registry's store and the book; the other engines belong to the parts."""
        for name in ("_registrar", "_bookkeeper"):
            if name in self.__dict__:
                getattr(self, name).close()

    @cached_property
    def _registrar(self) -> RegistrarRole:
        return registrar(self._parts)

    @cached_property
    def _attributor(self) -> AttributorRole:
        return attributor(self._parts)

    @cached_property
    def _recorder(self) -> RecorderRole:
        return recorder(self._parts)

    @cached_property
    def _bookkeeper(self) -> BookkeeperRole:
        return bookkeeper(self._parts)

    @cached_property
    def _postbacker(self) -> PostbackerRole:
        return postbacker(self._parts)


#: Views that are made again by a new role: its name here, and the engines that it has open.
_OFFLINE: Final = {
    "stores": ("_attributor", STORES),
    "outbox": ("_postbacker", ("outbox", "outbox_reader")),
}


def _refuse_pruned(parts: Parts, view: str) -> None:
    """What people changed is kept for ever; of all else the beginning may be gone."""
    if view != "registry":
        beginnings.refuse_pruned(parts, f"a rebuild of {view}")


def remove(folder: Path, view: str) -> None:
    """Remove the files of a view that nobody has open."""
    for pattern in _FILES[view]:
        for path in folder.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


class ServingKeeper:
    """Keeps the views of a house that serves: roles do the work, here they are only told."""

    def __init__(
        self,
        parts: Parts,
        registrar_: RegistrarRole,
        recorder_: RecorderRole,
        bookkeeper_: BookkeeperRole,
    ) -> None:
        """Know the roles of this process."""
        self._parts = parts
        self._disk = disks.DiskWatch(parts)
        self._scrubs = ScrubWatch(parts.folder, parts.journal)
        self._registrar = registrar_
        self._recorder = recorder_
        self._bookkeeper = bookkeeper_
        #: Where the journal ended, and when it was, as each view's rebuild was begun.
        self._ends: dict[str, int] = {}
        self._begun_ms: dict[str, int] = {}
        #: Set by the wiring: runs a deed while a role of this process rests.
        self.between: Callable[[Role, Callable[[], None]], None] = lambda _, deed: deed()

    def settle(self) -> None:
        """Wait a moment for the roles to reach what stands in the journal now, so that who asks sees what they did.

        What comes in meanwhile is not waited for, so that a busy house answers too. Under a lag that is longer than that
        moment the answer comes as far as the views have come, and says so.
        """
        give_up = time.monotonic() + _SETTLE_WAIT_S
        end = self._parts.journal.end()
        while self._attributor_stands()[0] < end and time.monotonic() < give_up:
            time.sleep(_SETTLE_POLL_S)
        end = self._parts.journal.end()  # what was decided of it stands behind it
        while self._slowest() < end and time.monotonic() < give_up:
            time.sleep(_SETTLE_POLL_S)

    def settle_decisions(self) -> None:
        """Nothing: who needs a decision waits for it in the journal."""

    def settle_outbox(self) -> None:
        """Wait a moment for the postbacker to have taken in what is decided of what stands in the journal now."""
        self.settle()
        give_up = time.monotonic() + _SETTLE_WAIT_S
        end = self._parts.journal.end()
        while (self._role("postbacker").position or 0) < end and time.monotonic() < give_up:
            time.sleep(_SETTLE_POLL_S)

    def lag(self) -> int:
        """Entries that the slowest of attributor, recorder and bookkeeper has not handled, as far as they have said."""
        decided, _ = self._attributor_stands()
        return max(0, self._parts.journal.end() - min(decided, self._slowest()))

    def _slowest(self) -> Position:
        return min(self._recorder.position(), self._bookkeeper.position())

    def status(self) -> Status:
        """Where the roles stand."""
        return status(self._parts, is_serving=True)

    def disk(self) -> Disk:
        """How the disk stood some seconds ago at most."""
        return self._disk.disk()

    def forgetting(self) -> Forgetting:
        """What of people who were forgotten still stands in the journal."""
        return self._scrubs.forgetting()

    def keys_used_at_ms(self) -> dict[str, int]:
        """When each key was last used."""
        return _keys_used_at_ms(self._parts)

    def rebuild(self, view: str) -> None:
        """Begin to make a view again. Raises JournalPruned."""
        # A prune sees a rebuild that was begun before it: the view's role says that it stands at the beginning.
        with folder_.journal_kept(self._parts.folder):
            _refuse_pruned(self._parts, view)
            self._begin(view)

    def _begin(self, view: str) -> None:
        self._ends[view] = self._parts.journal.end()
        self._begun_ms[view] = self._parts.clock.now_ms()
        if view == "facts":
            self.between(self._recorder, self._recorder.forget)
        elif view in {"registry", "book"}:
            keeps = self._registrar if view == "registry" else self._bookkeeper
            keeps.forget(lambda: remove(self._parts.folder, view))
        else:
            role, files = _OF_CHILDREN[view]
            self._parts.forget("outbox_reader")
            folder_.write_whole(
                self._parts.folder / RESTART_FOLDER / role, "\n".join(files).encode()
            )

    def progress(self, view: str) -> Progress:
        """How far the view's role has come towards the end that the journal had when the rebuild began."""
        end = self._ends.get(view, self._parts.journal.end())
        if view in _OF_CHILDREN:
            role, _ = _OF_CHILDREN[view]
            position, is_idle, taken = self._since(role, self._begun_ms.get(view, 0))
        else:
            state = self._role_of(view).state()
            position, is_idle, taken = state.get("position") or 0, state.get("lag") == 0, None
        return Progress(
            view=view,
            is_done=position >= end or is_idle,
            position=min(position, end),
            end=end,
            as_recorded=taken,
        )

    def _role_of(self, view: str) -> Role:
        roles: dict[str, Role] = {"facts": self._recorder, "book": self._bookkeeper}
        return roles.get(view, self._registrar)

    def _role(self, name: str) -> RoleStatus:
        return {role.role: role for role in self.status().roles}[name]

    def _since(self, name: str, begun_ms: int) -> tuple[int, bool, int | None]:
        """How far a role that was started after a moment has come, whether nothing waits for it, and what it took as recorded."""
        found = self._role(name)
        if found.state is not RoleState.RUNNING or (found.started_at_ms or 0) < begun_ms:
            return 0, False, None
        return found.position or 0, found.lag == 0, found.counters.get("as_recorded")

    def replay(self, policy: Policy | None, product: ProductId | None) -> Replayed:
        """What would be decided under other rules, as far as the attributor has come. Raises JournalPruned."""
        position, _ = self._attributor_stands()
        with folder_.journal_kept(self._parts.folder):
            return checking.replay(self._parts, position, policy, product)

    def audit(self) -> AuditReport:
        """Whether everything adds up as far as the roles have come."""
        judged, differences = self._attributor_stands()
        recorded = self._recorder.position()
        registry = checking.registry_at_end(self._parts)
        with folder_.journal_kept(self._parts.folder):
            return checking.audit(self._parts, registry, judged, recorded, differences)

    def _attributor_stands(self) -> tuple[Position, int]:
        """Where the attributor stood when it last said so, and what it decided differently after a crash."""
        found = self._role("attributor")
        return Position(found.position or 0), found.counters.get("differences", 0)
