"""``attribune run``: one role, as the supervisor starts it or by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from attribune.cli.options import Data


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command("run", epilog="Example: attribune run attributor --data D")(run_role)


def run_role(
    data: Data,
    role: Annotated[
        str, typer.Argument(help="collector-1, attributor, postbacker, web or scrubber.")
    ],
) -> None:
    """Run one role until it is told to stop, or the scrubber until it is done; `attribune serve` runs them all."""
    from attribune import wire  # noqa: PLC0415  # only running needs it

    wire.run_role(data, role)
