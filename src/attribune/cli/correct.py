"""``attribune correct``: a person's word on a conversion."""

from __future__ import annotations

from typing import Annotated

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.options import Data, Json


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command(
        epilog="Example: attribune correct cv_0f… --to organic --reason 'fraud found by hand' --rejected --data D"
    )(correct)


def correct(
    data: Data,
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="A conversion, or a handle that leads to one only.")
    ],
    to: Annotated[str, typer.Option(help="A touch id, or organic.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the correction.")],
    rejected: Annotated[
        bool,
        typer.Option(
            "--rejected",
            help="It was fraud: the partner that had it is told rejected_install if it asked for that.",
        ),
    ] = False,
    json_: Json = False,
) -> None:
    """Give a conversion to another touch, or to nobody; its events follow. Told again, it changes nothing."""
    words = {"id": id_, "to": to, "reason": reason, "is_rejected": rejected}
    with connect(data) as house:
        answer = house.call("POST", "/api/corrections", words)
    if json_:
        return show.as_json(answer)
    return show.fields(answer["correction"])
