"""Doors: made, listed, closed, tried, and what came through them lately."""

from __future__ import annotations

from typing import Any

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct, field, to_builtins

from attribune.api.access import OPT
from attribune.api.here import Here
from attribune.api.routes.page import ROWS_MAX, After, Limit, page
from attribune.model.control import Scope
from attribune.registry import doors, find, shown
from attribune.registry.requests import AddDoor
from attribune.report.door_log import Heard, heard


class DoorAnswer(Struct, frozen=True):
    """One door."""

    door: shown.DoorShown
    #: What to know of it, in sentences.
    notes: tuple[str, ...]


class DoorsAnswer(Struct, frozen=True):
    """Some doors, and where the next page begins."""

    doors: tuple[shown.DoorShown, ...]
    next: str | None
    #: What to know of single ones, in sentences.
    notes: tuple[str, ...]


class TryLetter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request as a client would send it to a door; a sample of the dialect when ``path`` is left out."""

    method: str = "POST"
    #: Behind the door, such as ``/v1/batch``.
    path: str | None = None
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


class Tried(Struct, frozen=True):
    """What each record of a letter would be at a door, or why it would be refused. Nothing is kept."""

    door: str
    dialect: str
    url: str
    is_understood: bool
    results: list[dict[str, Any]]


class TriedAnswer(Struct, frozen=True):
    """One trial."""

    test: Tried


class LogAnswer(Struct, frozen=True):
    """What came through doors lately, newest first."""

    rows: tuple[Heard, ...]


@post("/api/doors", sync_to_thread=True)
def add_door(house: Here, data: JSONBody[AddDoor]) -> DoorAnswer:
    """Make an inlet that speaks a client library's own language for one app."""
    door = house.change(
        lambda reg, _: doors.add_door(
            reg, data, house.dialects, house.vault, house.chance, house.base_url
        )
    )
    return DoorAnswer(door, doors.notes_of((door,), house.dialects))


@get("/api/doors", sync_to_thread=True)
def list_doors(
    house: Here, app: FromQuery[str | None] = None, after: After = "", limit: Limit = ROWS_MAX
) -> DoorsAnswer:
    """Doors, of one app or of all."""
    registry = house.up_to_date()
    wanted = find.app(registry, app).id if app is not None else None
    rows = (door for door in registry.doors.newest() if wanted is None or door.app == wanted)
    found, next_ = page(rows, after, limit)
    listed = tuple(shown.door(row, house.base_url) for row in found)
    return DoorsAnswer(listed, next_, doors.notes_of(listed, house.dialects))


@post("/api/doors/{door_id:str}/disable", sync_to_thread=True, status_code=200)
def disable_door(house: Here, door_id: FromPath[str]) -> DoorAnswer:
    """Close a door."""
    door = house.change(lambda reg, _: doors.disable_door(reg, door_id, house.base_url))
    return DoorAnswer(door, doors.notes_of((door,), house.dialects))


@post("/api/doors/{door_id:str}/test", sync_to_thread=True, status_code=200, opt={OPT: Scope.READ})
def test_door(house: Here, door_id: FromPath[str], data: JSONBody[TryLetter]) -> TriedAnswer:
    """Say what a letter would mean at a door, without keeping anything and without asking for its key."""
    registry = house.up_to_date()
    door = find.door(registry, door_id)
    letter = house.dialects.letter(to_builtins(data)) if data.path is not None else None
    now_ms = house.clock.now_ms()
    results = house.dialects.rehearse(door, registry, house.settings, now_ms, letter)
    understood = all(result["verdict"] == "accepted" for result in results)
    url = shown.door(door, house.base_url).url
    return TriedAnswer(Tried(door.id, door.dialect, url, understood, results))


@get("/api/doors/log", sync_to_thread=True)
def door_log(
    house: Here,
    door: FromQuery[str | None] = None,
    limit: Limit = 100,
    is_refused: FromQuery[bool | None] = None,
) -> LogAnswer:
    """What came through one door, or all, lately: records, links that apps made, and refusals, newest first."""
    registry = house.up_to_date()
    wanted = find.door(registry, door) if door is not None else None
    return LogAnswer(tuple(heard(house.journal, registry, wanted, limit, is_refused=is_refused)))


HANDLERS = (add_door, list_doors, disable_door, test_door, door_log)
