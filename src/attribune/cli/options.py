"""Options that every command has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="ATTRIBUNE_DATA",
        metavar="DIR",
        help="The data folder; made on first use.",
        show_envvar=True,
    ),
]
MaybeData = Annotated[
    Path | None,
    typer.Option("--data", envvar="ATTRIBUNE_DATA", metavar="DIR", help="The data folder."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
App = Annotated[str, typer.Option("--app", help="Id or name of the app.")]
MaybeApp = Annotated[str | None, typer.Option("--app", help="Id or name of the app.")]
MaybeProduct = Annotated[str | None, typer.Option("--product", help="Id or name of the product.")]
