"""``attribune device``: test devices."""

from __future__ import annotations

from typing import Annotated

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.options import Data, Json, MaybeApp, MaybeProduct

commands = typer.Typer(name="device", help="Devices.", no_args_is_help=True)


@commands.command(
    "test", epilog="Example: attribune device test 38400000-8cf0-11bd-b23e-10b96e4ef00d --data D"
)
def mark(
    data: Data,
    id_: Annotated[str, typer.Argument(metavar="ID", help="A device id or an advertising id.")],
    app: MaybeApp = None,
    product: MaybeProduct = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take it back.")] = False,
    json_: Json = False,
) -> None:
    """Register a test device: its every new installation counts as an install.

    Without --app and --product it is one of every product.
    """
    with connect(data) as house:
        if app is None and product is None:
            products = [
                row["id"] for row in house.pages("/api/products", "products", {})["products"]
            ]
        else:
            products = []
        answers = [
            house.call("POST", "/api/devices/test", {"id": id_, "is_test": not remove, **which})
            for which in (
                [{"product": one} for one in products] or [{"app": app, "product": product}]
            )
        ]
    if json_:
        return show.as_json(
            {
                "device": {
                    **answers[0]["device"],
                    "products": [a["device"]["product"] for a in answers],
                }
            }
        )
    for answer in answers:
        show.fields(answer["device"])
    return None


@commands.command("list", epilog="Example: attribune device list --data D")
def list_(data: Data, json_: Json = False) -> None:
    """List test devices."""
    with connect(data) as house:
        answer = house.call("GET", "/api/devices/test")
    if json_:
        return show.as_json(answer)
    rows = ([row["id"], row["product"]] for row in answer["devices"])
    return show.table(("id", "product"), rows, empty="There are no test devices.")
