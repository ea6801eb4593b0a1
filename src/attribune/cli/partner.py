"""``attribune partner``: who brings traffic."""

from __future__ import annotations

from typing import Annotated

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.options import Data, Json
from attribune.model.control import PartnerKind
from attribune.model.policy import HOUR_MS

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


@commands.command(epilog="Example: attribune partner sign --data D acme --overlap-hours 24")
def sign(
    data: Data,
    partner: Annotated[str, typer.Argument(help="Id or name of the partner.", metavar="PARTNER")],
    overlap_hours: Annotated[
        int | None,
        typer.Option(min=0, help="How long an old secret still holds; 24 when left out. Hours."),
    ] = None,
    off: Annotated[
        bool, typer.Option("--off", help="End signing: no secret holds any more.")
    ] = False,
    json_: Json = False,
) -> None:
    """Make the secret that a partner signs links with, or end signing; a new secret is shown this once."""
    if off and overlap_hours is not None:
        raise typer.BadParameter("--off ends every secret now; leave --overlap-hours out")
    with connect(data) as house:
        if off:
            answer = house.call("POST", f"/api/partners/{partner}/unsign")
        else:
            overlap_ms = None if overlap_hours is None else overlap_hours * HOUR_MS
            answer = house.call("POST", f"/api/partners/{partner}/sign", {"overlap_ms": overlap_ms})
    show.as_json(answer) if json_ else show.fields(answer["partner"])


@commands.command("list", epilog="Example: attribune partner list --data D")
def list_(data: Data, json_: Json = False) -> None:
    """List partners."""
    with connect(data) as house:
        answer = house.pages("/api/partners", "partners", {})
    if json_:
        return show.as_json(answer)
    columns = ("id", "name", "kind", "signing")
    rows = ([row["id"], row["name"], row["kind"], row["is_signing"]] for row in answer["partners"])
    return show.table(
        columns, rows, empty="There are no partners yet; see `attribune partner add --help`."
    )


@commands.command(epilog="Example: attribune partner recruit --data D zeta --parent acme")
def recruit(
    data: Data,
    partner: Annotated[str, typer.Argument(help="Id or name of the partner.", metavar="PARTNER")],
    parent: Annotated[
        str | None, typer.Option(help="Who brought it; nobody any more when left out.")
    ] = None,
    json_: Json = False,
) -> None:
    """Say who brought a partner; offers with levels pay those up the tree from then on."""
    with connect(data) as house:
        answer = house.call("POST", f"/api/partners/{partner}/recruit", {"parent": parent})
    show.as_json(answer) if json_ else show.fields(answer["recruit"])
