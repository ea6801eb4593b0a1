"""``attribune partner``: who brings traffic."""

from __future__ import annotations

from typing import Annotated

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.options import Data, Json
from attribune.model.control import PartnerKind

commands = typer.Typer(name="partner", help="Partners: who brings traffic.", no_args_is_help=True)


@commands.command(epilog="Example: attribune partner add --data D --name acme --kind affiliate")
def add(
    data: Data,
    name: Annotated[str, typer.Option(help="How people call it; also makes its id.")],
    kind: Annotated[PartnerKind, typer.Option(help="What it is.")] = PartnerKind.NETWORK,
    json_: Json = False,
) -> None:
    """Register a partner."""
    with connect(data) as house:
        answer = house.call("POST", "/api/partners", {"name": name, "kind": kind})
    if json_:
        return show.as_json(answer)
    show.fields(answer["partner"])
    return show.line(
        f"Next: attribune link add --data {data} --app APP --partner {answer['partner']['id']}"
    )


@commands.command("list", epilog="Example: attribune partner list --data D")
def list_(data: Data, json_: Json = False) -> None:
    """List partners."""
    with connect(data) as house:
        answer = house.pages("/api/partners", "partners", {})
    if json_:
        return show.as_json(answer)
    columns = ("id", "name", "kind")
    rows = ([row[column] for column in columns] for row in answer["partners"])
    return show.table(
        columns, rows, empty="There are no partners yet; see `attribune partner add --help`."
    )
