"""What the API works on, for a house that serves and for a folder that one command holds alone."""

# ruff: noqa: PLC0415 - an import inside a function is there so that only who needs an engine pays for it

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attribune import settings as settings_
from attribune.model.errors import FolderHeld
from attribune.roles import folder as folder_
from attribune.wire.parts import Parts
from attribune.wire.urls import base_url

if TYPE_CHECKING:
    from attribune.api.calling import InProcess
    from attribune.api.house import House, Keeper
    from attribune.roles.base import Role
    from attribune.roles.heartbeat import Pulse
    from attribune.roles.web import WebRole


#: Requests of a stopping API that are under way are cut when this part of ``drain_ms`` is over.
_SERVER_SHARE: Final = 0.7


def house(parts: Parts, keeper: Keeper) -> House:
    """What the API works on."""
    from attribune.api.house import House
    from attribune.collect.rehearsal import Rehearsal

    return House(
        folder=parts.folder,
        settings=parts.settings,
        base_url=base_url(parts),
        clock=parts.clock,
        chance=parts.chance,
        journal=parts.journal,
        registry=parts.registry(),
        keeper=keeper,
        enricher=lambda: parts.enricher,
        facts=lambda: parts.facts,
        book=lambda: parts.book(is_reader=True),
        outbox=lambda: parts.outbox_reader,
        vault=parts.vault,
        dialects=Rehearsal(),
    )


def remove_views(data: Path, views: Iterable[str]) -> bool:
    """Remove views that the journal can make again, unopened, so that damaged ones can be rebuilt too.

    False, and nothing is done, when somebody serves the folder. Raises FolderTooNew, Invalid, and JournalPruned when it cannot.
    """
    from attribune.wire.beginnings import refuse_pruned_folder
    from attribune.wire.keepers import remove

    folder = folder_.prepare(data)
    try:
        with folder_.held(folder, "command `attribune rebuild`"):
            wanted = tuple(views)
            for view in wanted:
                if view != "registry":
                    refuse_pruned_folder(folder, f"a rebuild of {view}")
            for view in wanted:
                remove(folder, view)
    except FolderHeld:
        return False
    return True


def standing(data: Path) -> dict[str, Any]:
    """Where a house stands whose web role does not answer, by what its roles last wrote: what ``/api/status`` would say.

    Raises FolderTooNew, Invalid, JournalDamaged, JournalUnavailable.
    """
    from msgspec import to_builtins

    from attribune.roles.scrubs import ScrubWatch
    from attribune.wire import disks
    from attribune.wire.keepers import status

    folder = folder_.prepare(data)
    parts = Parts(folder, settings_.load(folder))
    try:
        said = {
            "status": status(parts, is_serving=True),
            "disk": disks.disk(parts),
            "forgetting": ScrubWatch(folder, parts.journal).forgetting(),
        }
        return {name: to_builtins(part) for name, part in said.items()}
    finally:
        parts.close()


@contextmanager
def offline(data: Path) -> Iterator[InProcess]:
    """The API of a folder that nobody serves, asked in this process, which holds the folder meanwhile.

    Raises FolderHeld, FolderTooNew, Invalid.
    """
    from attribune.api.app import create
    from attribune.api.calling import InProcess
    from attribune.roles.process import log_to_stderr
    from attribune.wire.keepers import OfflineKeeper

    folder = folder_.prepare(data)
    with folder_.held(folder, f"command `{' '.join(sys.argv[1:3])}`"):
        settings = settings_.load(folder)
        log_to_stderr("command", "error")
        parts = Parts(folder, settings)
        keeper = OfflineKeeper(parts)
        try:
            yield InProcess(create(house(parts, keeper)))
        finally:
            keeper.close()
            parts.close()


def web(parts: Parts) -> tuple[WebRole, Pulse]:
    """The web role, and the pulse of all roles in its process."""
    from attribune.api.access import trusted
    from attribune.api.app import create
    from attribune.roles.heartbeat import Pulse
    from attribune.roles.web import ApiServer, WebRole
    from attribune.wire.keepers import ServingKeeper
    from attribune.wire.roles import bookkeeper, recorder, registrar

    settings = parts.settings
    registrar_, recorder_, bookkeeper_ = registrar(parts), recorder(parts), bookkeeper(parts)
    keeper = ServingKeeper(parts, registrar_, recorder_, bookkeeper_)
    home = house(parts, keeper)
    app = create(home)
    api = ApiServer(
        app,
        trusted(app),
        (settings.web_host, settings.web_port),
        parts.folder / folder_.ADMIN_SOCKET,
        settings.drain_ms / 1000 * _SERVER_SHARE,
        home.keys_used_at_ms,
    )
    roles: list[Role] = [registrar_, recorder_, bookkeeper_]
    pulse = Pulse(parts.folder, [api, *roles], parts.clock, settings.heartbeat_ms)
    role = WebRole(api, roles, pulse)
    keeper.between = role.between
    return role, pulse
