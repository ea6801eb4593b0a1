"""``attribune key``: keys of apps, servers and programs."""

from __future__ import annotations

from typing import Annotated

import typer

from attribune.cli import show
from attribune.cli.client import Client, connect
from attribune.cli.options import Data, Json, MaybeApp
from attribune.model.control import KeyKind
from attribune.model.errors import Invalid

commands = typer.Typer(name="key", help="Keys of apps, servers and programs.", no_args_is_help=True)

KeyId = Annotated[str | None, typer.Argument(help="Id of the key.", metavar="[KEY]")]
MaybeKind = Annotated[KeyKind | None, typer.Option("--kind", help="app, server or api.")]


@commands.command(epilog="Example: attribune key add --data D --app game-android --kind server")
def add(
    data: Data,
    kind: Annotated[KeyKind, typer.Option(help="app, server or api.")],
    app: MaybeApp = None,
    scopes: Annotated[str, typer.Option(help="Of kind api: read, write, or read,write.")] = "",
    json_: Json = False,
) -> None:
    """Make a key; its secret is shown this once."""
    given = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    if kind is KeyKind.API and not given:
        given = ["read"]
    with connect(data) as house:
        answer = house.call("POST", "/api/keys", {"kind": kind, "app": app, "scopes": given})
    show.as_json(answer) if json_ else show.fields(answer["key"])


@commands.command("list", epilog="Example: attribune key list --data D --app game-android")
def list_(data: Data, app: MaybeApp = None, kind: MaybeKind = None, json_: Json = False) -> None:
    """List keys, without their secrets."""
    with connect(data) as house:
        answer = house.pages("/api/keys", "keys", {"app": app, "kind": kind})
    if json_:
        return show.as_json(answer)
    columns = ("id", "kind", "app", "scopes", "state", "hint", "last used")
    rows = (
        [*(row[column] for column in columns[:-1]), show.moment(row["last_used_at_ms"])]
        for row in answer["keys"]
    )
    return show.table(
        columns, rows, empty="There are no such keys; see `attribune key add --help`."
    )


@commands.command(epilog="Example: attribune key rotate --data D key-7dk2m9xq --overlap-ms 3600000")
def rotate(
    data: Data,
    key: KeyId = None,
    app: MaybeApp = None,
    kind: MaybeKind = None,
    overlap_ms: Annotated[
        int, typer.Option(min=0, help="How long the old key still holds. Milliseconds.")
    ] = 86_400_000,
    json_: Json = False,
) -> None:
    """Make a key in another's place; the new secret is shown this once."""
    with connect(data) as house:
        id_ = key or _only(house, app, kind)
        answer = house.call("POST", f"/api/keys/{id_}/rotate", {"overlap_ms": overlap_ms})
    show.as_json(answer) if json_ else show.fields(answer["key"])


@commands.command(epilog="Example: attribune key revoke --data D key-7dk2m9xq")
def revoke(
    data: Data, key: KeyId = None, app: MaybeApp = None, kind: MaybeKind = None, json_: Json = False
) -> None:
    """End a key now."""
    with connect(data) as house:
        id_ = key or _only(house, app, kind)
        answer = house.call("POST", f"/api/keys/{id_}/revoke")
    show.as_json(answer) if json_ else show.fields(answer["key"])


def _only(house: Client, app: str | None, kind: KeyKind | None) -> str:
    """The id of the one active key that fits. Raises Invalid when none or several do."""
    if app is None and kind is None:
        raise typer.BadParameter("name the key by its id, or by --app and --kind")
    found = house.pages("/api/keys", "keys", {"app": app, "kind": kind})["keys"]
    ids = [row["id"] for row in found if row["state"] == "active"]
    if len(ids) == 1:
        return str(ids[0])
    message = (
        f"several keys may be meant, or none: {', '.join(ids) or 'none is active'}; give the id"
    )
    raise Invalid(message, param="key")
