"""``attribune explain``: the story behind a handle."""

from __future__ import annotations

from typing import Annotated

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.options import Data, Json


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command(
        epilog="Example: attribune explain 38400000-8cf0-11bd-b23e-10b96e4ef00d --data D"
    )(explain)


def explain(
    data: Data,
    handle: Annotated[
        str,
        typer.Argument(
            help="A device, touch, open, event, transaction, partner's click id, advertising id, user or conversion."
        ),
    ],
    json_: Json = False,
) -> None:
    """Tell who won a conversion, how, and why every other touch lost."""
    with connect(data) as house:
        answer = house.call("GET", "/api/explain", query={"handle": handle})
    if json_:
        return show.as_json(answer)
    return show.stories(answer)
