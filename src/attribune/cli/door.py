"""``attribune door``: inlets for other client libraries."""

from __future__ import annotations

from typing import Annotated

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.options import App, Data, Json, MaybeApp

commands = typer.Typer(name="door", help="Inlets for other client libraries.", no_args_is_help=True)


@commands.command(
    epilog="Example: attribune door add --data D --app game-web --dialect segment --key wk_test"
)
def add(
    data: Data,
    app: App,
    dialect: Annotated[str, typer.Option(help="Language that the client speaks: segment.")],
    key: Annotated[
        str | None, typer.Option(help="The client's own key; made when left out.")
    ] = None,
    implies_open: Annotated[
        bool,
        typer.Option("--implies-open", help="Events of a device not seen before imply an open."),
    ] = False,
    trusted: Annotated[
        bool,
        typer.Option("--trusted", help="Believe the addresses and users that the sender states."),
    ] = False,
    json_: Json = False,
) -> None:
    """Make a door; its url is the base that the client is given."""
    body = {
        "app": app,
        "dialect": dialect,
        "key": key,
        "implies_open": implies_open,
        "is_trusted": trusted,
    }
    with connect(data) as house:
        answer = house.call("POST", "/api/doors", body)
    show.as_json(answer) if json_ else show.fields(answer["door"])


@commands.command("list", epilog="Example: attribune door list --data D")
def list_(data: Data, app: MaybeApp = None, json_: Json = False) -> None:
    """List doors."""
    with connect(data) as house:
        answer = house.pages("/api/doors", "doors", {"app": app})
    if json_:
        return show.as_json(answer)
    columns = ("id", "app", "dialect", "is_disabled", "url")
    rows = ([row[column] for column in columns] for row in answer["doors"])
    return show.table(
        columns, rows, empty="There are no doors yet; see `attribune door add --help`."
    )


@commands.command(epilog="Example: attribune door disable --data D game-web-4kd82m")
def disable(
    data: Data,
    door: Annotated[str, typer.Argument(help="Id of the door.")],
    json_: Json = False,
) -> None:
    """Close a door."""
    with connect(data) as house:
        answer = house.call("POST", f"/api/doors/{door}/disable")
    show.as_json(answer) if json_ else show.fields(answer["door"])
