"""``attribune door``: inlets for other client libraries and for other MMPs' postbacks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.options import App, Data, Json, MaybeApp
from attribune.cli.pairs import pairs

commands = typer.Typer(name="door", help="Inlets for other client libraries.", no_args_is_help=True)

MaybeDoor = Annotated[str | None, typer.Argument(help="Id of the door; all of them when left out.")]


@commands.command(
    epilog="Example: attribune door add --data D --app game-android --dialect adjust --key abc123def456 --map event:e1e2e3=purchase"
)
def add(
    data: Data,
    app: App,
    dialect: Annotated[
        str, typer.Option(help="Language that the client speaks: adjust, branch, segment …")
    ],
    key: Annotated[
        str | None, typer.Option(help="The client's own key; made when left out.")
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(
            help="What clients sign with, or servers say (adjust, singular, appsflyer-ctv, other measurement partners). In other dialects it keeps nobody out, and a note says so."
        ),
    ] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help="What a name of the client's means here: event:e1e2e3=purchase, network:NAME=partner, channel:NAME=partner, installed:before=2026-12-01, consent:CATEGORY=sharing.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Host that links made through it may lead to.")
    ] = None,
    allow_network: Annotated[
        list[str] | None, typer.Option(help="Address or network that it hears; all when left out.")
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
        "secret": secret,
        "maps": pairs(map_, "map"),
        "allowed_hosts": allow_host or [],
        "allowed_networks": allow_network or [],
        "implies_open": implies_open,
        "is_trusted": trusted,
    }
    with connect(data) as house:
        answer = house.call("POST", "/api/doors", body)
    if json_:
        return show.as_json(answer)
    show.fields(answer["door"])
    return show.notes(answer["notes"])


@commands.command("list", epilog="Example: attribune door list --data D")
def list_(data: Data, app: MaybeApp = None, json_: Json = False) -> None:
    """List doors."""
    with connect(data) as house:
        answer = house.pages("/api/doors", "doors", {"app": app})
    if json_:
        return show.as_json(answer)
    columns = ("id", "app", "dialect", "is_disabled", "url")
    rows = ([row[column] for column in columns] for row in answer["doors"])
    show.table(columns, rows, empty="There are no doors yet; see `attribune door add --help`.")
    return show.notes(answer["notes"])


@commands.command(epilog="Example: attribune door log --data D game-android-4kd82m --refused")
def log(
    data: Data,
    door: MaybeDoor = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Rows, the newest.")] = 50,
    refused: Annotated[
        bool, typer.Option("--refused", help="Only what was refused, with its reason.")
    ] = False,
    json_: Json = False,
) -> None:
    """Show what came through a door lately, links that apps made there too, and what was refused and why."""
    said = {"door": door, "limit": limit, "is_refused": True if refused else None}
    with connect(data) as house:
        answer = house.call("GET", "/api/doors/log", query=said)
    if json_:
        return show.as_json(answer)
    columns = ("at", "dialect", "app", "what", "device", "verdict")
    return show.table(
        columns,
        (_line(row) for row in answer["rows"]),
        empty="Nothing came through lately; see `attribune door test`.",
    )


def _line(row: dict[str, Any]) -> list[Any]:
    # A link has no device that would say which one it is.
    id_ = row["record"] if row["type"] == "link" and not row["is_refused"] else None
    what = ": ".join(filter(None, (row["type"], id_, row["name"])))
    verdict = f"refused: {row['reason']}; {row['message']}" if row["is_refused"] else "accepted"
    return [
        show.moment(row["at_ms"]),
        row["dialect"],
        row["app"],
        what or row["path"],
        row["device"],
        verdict,
    ]


@commands.command(
    "test",
    epilog="Example: attribune door test --data D game-android-4kd82m --path /v1/batch --body letter.json",
)
def try_(
    data: Data,
    door: MaybeDoor = None,
    path: Annotated[
        str | None,
        typer.Option(help="Path behind the door of a letter of yours; a sample is taken else."),
    ] = None,
    query: Annotated[str, typer.Option(help="Query of the letter, without the mark.")] = "",
    body: Annotated[
        Path | None,
        typer.Option(help="File with the body of the letter.", exists=True, dir_okay=False),
    ] = None,
    method: Annotated[str, typer.Option(help="Method of the letter.")] = "POST",
    json_: Json = False,
) -> None:
    """Say what a client's letter would mean at a door, without keeping anything; of all doors, a sample."""
    letter: dict[str, Any] = {}
    if path is not None:
        text = body.read_bytes().decode("utf-8", "replace") if body else ""
        # An editor ends a file with a line's end, which no client sends.
        letter = {"method": method, "path": path, "query": query, "body": text.rstrip("\r\n")}
    elif body is not None or query:
        say = "say with --path where the letter goes, such as --path /v1/batch"
        raise typer.BadParameter(say, param_hint="--path")
    with connect(data) as house:
        doors = house.pages("/api/doors", "doors", {})["doors"]
        wanted = [row["id"] for row in doors if not row["is_disabled"]] if door is None else [door]
        tests = [house.call("POST", f"/api/doors/{id_}/test", letter)["test"] for id_ in wanted]
    if json_:
        return show.as_json({"tests": tests})
    columns = ("door", "dialect", "understood", "what it would be")
    return show.table(
        columns,
        ([row["door"], row["dialect"], row["is_understood"], _results(row)] for row in tests),
        empty="There are no doors yet; see `attribune door add --help`.",
    )


def _results(tried: dict[str, Any]) -> str:
    return "\n".join(
        " ".join(filter(None, (result["record"].get("type"), result["record"].get("name"))))
        if result["verdict"] == "accepted"
        else f"refused: {result['reason']}; {result['message']}"
        for result in tried["results"]
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
