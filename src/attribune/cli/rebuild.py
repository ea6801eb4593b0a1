"""``attribune rebuild``: a view made again from the journal."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final

import typer

from attribune.cli import show
from attribune.cli.client import Client, connect
from attribune.cli.options import Data, Json

_POLL_S: Final = 0.2
#: In the order in which they depend on each other.
VIEWS: Final = ("registry", "stores", "facts", "outbox")


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command(epilog="Example: attribune rebuild facts --data D")(rebuild)


def rebuild(
    data: Data,
    view: Annotated[str, typer.Argument(help="facts, stores, registry, outbox, or all.")],
    json_: Json = False,
) -> None:
    """Make a view again from the journal. Nothing is sent to anybody, and what was decided stays."""
    from attribune import wire  # noqa: PLC0415  # opens no engine

    views = VIEWS if view == "all" else (view,)
    if set(views) <= set(VIEWS):
        # A view that is damaged cannot be opened to be forgotten. Under a house that serves the roles see to it.
        wire.remove_views(data, views)
    with connect(data) as house:
        done = {name: _rebuilt(house, name, is_quiet=json_) for name in views}
    taken = done["stores"]["as_recorded"] if "stores" in done else None
    if json_:
        position = max(one["end"] for one in done.values())
        said = {"views": list(done), "position": position, "as_recorded": taken}
        return show.as_json({"rebuild": said})
    for name, one in done.items():
        show.line(f"{name}: made again up to {one['end']}.")
    if taken:
        show.line(f"{taken} records were scrubbed and stand as they were decided.")
    return None


def _rebuilt(house: Client, view: str, *, is_quiet: bool) -> dict[str, Any]:
    """Wait until a view stands again; how far it stands."""
    with show.progress(is_quiet=is_quiet) as bar:
        found: dict[str, Any] = house.call("POST", f"/api/rebuild/{view}")["rebuild"]
        task = bar.add_task(f"rebuilding {view}", total=found["end"])
        while not found["is_done"]:
            time.sleep(_POLL_S)
            found = house.call("GET", f"/api/rebuild/{view}")["rebuild"]
            bar.update(task, completed=found["position"], total=found["end"])
    return found
