"""Where the house stands: status, health, metrics, and views made again."""

from __future__ import annotations

from typing import Any, Final

from litestar import MediaType, Response, get, post
from litestar.params import FromPath
from msgspec import Struct

from attribune.api import metrics
from attribune.api.here import Here
from attribune.api.house import VIEWS
from attribune.model.errors import AttribuneError, Invalid
from attribune.model.status import Disk, Forgetting, Progress, RoleState, Status

_NOT_READY: Final = 503


class StatusAnswer(Struct, frozen=True):
    """Where the house stands, how long its disk lasts, and who waits to be scrubbed from the journal."""

    status: Status
    disk: Disk
    forgetting: Forgetting


class RebuildAnswer(Struct, frozen=True):
    """How far a rebuild has come."""

    rebuild: Progress


@get("/api/status", sync_to_thread=True)
def status(house: Here) -> StatusAnswer:
    """Roles, positions, lags, restarts and last errors; what fills the disk, and when it is full at this rate; requests to forget that wait."""
    keeper = house.keeper
    return StatusAnswer(keeper.status(), keeper.disk(), keeper.forgetting())


@post("/api/rebuild/{view:str}", sync_to_thread=True, status_code=202)
def rebuild(house: Here, view: FromPath[str]) -> RebuildAnswer:
    """Begin to make a view again from the journal. Nothing is sent to anybody."""
    _known(view)
    house.keeper.rebuild(view)
    return RebuildAnswer(house.keeper.progress(view))


@get("/api/rebuild/{view:str}", sync_to_thread=True)
def rebuilding(house: Here, view: FromPath[str]) -> RebuildAnswer:
    """How far that has come."""
    _known(view)
    return RebuildAnswer(house.keeper.progress(view))


def _known(view: str) -> None:
    if view not in VIEWS:
        raise Invalid(f"there is no view {view!r}; there are {', '.join(VIEWS)}", param="view")


@get("/healthz", sync_to_thread=True)
def healthz(house: Here) -> Response[dict[str, Any]]:
    """Whether this process works and reaches the journal."""
    try:
        end = house.journal.end()
    except AttribuneError as fault:
        return Response({"ok": False, "why": fault.message}, status_code=_NOT_READY)
    return Response({"ok": True, "journal_end": end})


@get("/readyz", sync_to_thread=True)
def readyz(house: Here) -> Response[dict[str, Any]]:
    """Whether every role works."""
    found = house.keeper.status()
    waiting = {role.role: role.state for role in found.roles if role.state is not RoleState.RUNNING}
    code = 200 if found.is_ready else _NOT_READY
    return Response({"ok": found.is_ready, "waiting_for": waiting}, status_code=code)


@get("/metrics", media_type=MediaType.TEXT, sync_to_thread=True)
def read_metrics(house: Here) -> Response[bytes]:
    """The counters of every role, the state of the disk and of forgetting, for Prometheus."""
    keeper = house.keeper
    text = metrics.exposition(keeper.status(), keeper.disk(), keeper.forgetting())
    return Response(text, media_type=metrics.CONTENT_TYPE)


HANDLERS = (status, rebuild, rebuilding)
OPEN_HANDLERS = (healthz, readyz, read_metrics)
