"""``attribune product``: what people install; made together with its first app."""

from __future__ import annotations

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.options import Data, Json

commands = typer.Typer(name="product", help="Products.", no_args_is_help=True)


@commands.callback()
def _nouns() -> None:
    """Products: what people install and what is advertised."""


@commands.command("list", epilog="Example: attribune product list --data D")
def list_(data: Data, json_: Json = False) -> None:
    """List products."""
    with connect(data) as house:
        answer = house.pages("/api/products", "products", {})
    if json_:
        return show.as_json(answer)
    columns = ("id", "name", "timezone", "currency")
    rows = ([row[column] for column in columns] for row in answer["products"])
    return show.table(
        columns, rows, empty="There are no products yet; `attribune app add` makes one."
    )
