"""``attribune device``: test devices, and people to be forgotten."""

from __future__ import annotations

from typing import Annotated

import typer

from attribune.cli import show
from attribune.cli.client import Client, connect
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
        answers = [
            house.call("POST", "/api/devices/test", {"id": id_, "is_test": not remove, **which})
            for which in _products(house, app, product)
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


@commands.command(
    "forget",
    epilog="Example: attribune device forget 38400000-8cf0-11bd-b23e-10b96e4ef00d --data D",
)
def forget(
    data: Data,
    id_: Annotated[str, typer.Argument(metavar="ID", help="A device id or an advertising id.")],
    app: MaybeApp = None,
    product: MaybeProduct = None,
    json_: Json = False,
) -> None:
    """Forget a person: nothing more is measured of their devices, and what leads to them is deleted.

    Sums stay as they are. Without --app and --product it is in every product.
    """
    with connect(data) as house:
        answers = [
            house.call("POST", "/api/devices/forget", {"id": id_, **which})
            for which in _products(house, app, product)
        ]
    products = [answer["forgotten"]["product"] for answer in answers]
    if json_:
        return show.as_json({"forgotten": {"id": id_, "products": products}})
    for name in products:
        show.fields({"forgotten": id_, "product": name})
    return None


def _products(house: Client, app: str | None, product: str | None) -> list[dict[str, str | None]]:
    """The product that is named by itself or by an app; else every product that has apps."""
    if app is not None or product is not None:
        return [{"app": app, "product": product}]
    rows = house.pages("/api/products", "products", {})["products"]
    return [{"product": row["id"]} for row in rows] or [{"app": app, "product": product}]
