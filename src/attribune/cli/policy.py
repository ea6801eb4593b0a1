"""``attribune policy``: the rules that conversions are decided under."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.options import Data, Json
from attribune.model.errors import Invalid

commands = typer.Typer(name="policy", help="Rules of products.", no_args_is_help=True)

#: How many hosting networks people are shown.
NETWORKS_SHOWN: Final = 3

ProductName = Annotated[str, typer.Option("--product", help="Id or name of the product.")]


def read_file(path: Path) -> dict[str, Any]:
    """A policy file, TOML or JSON by its ending. Raises Invalid."""
    try:
        text = path.read_text("utf-8")
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as fault:
        raise Invalid(f"cannot read {path}: {fault.strerror}", param="file") from fault
    except ValueError as fault:
        raise Invalid(f"{path} is neither TOML nor .json: {fault}", param="file") from fault
    if not isinstance(found, dict):
        raise Invalid(f"{path} must hold one table of rules", param="file")
    return found


@commands.command("show", epilog="Example: attribune policy show --data D --product game")
def show_(data: Data, product: ProductName, json_: Json = False) -> None:
    """Show the rules of a product now."""
    with connect(data) as house:
        answer = house.call("GET", f"/api/products/{product}/policy")
    return _show(answer, is_json=json_)


@commands.command(
    "set", epilog="Example: attribune policy set --data D --product game --preset appsflyer"
)
def set_(
    data: Data,
    product: ProductName,
    preset: Annotated[
        str | None, typer.Option(help="Rules to start from: attribune, appsflyer or adjust.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="TOML or JSON with rules; over the preset when both are given."),
    ] = None,
    json_: Json = False,
) -> None:
    """Set the rules of a product from now on; what was decided stays."""
    policy = read_file(file) if file is not None else None
    with connect(data) as house:
        body = {"preset": preset, "policy": policy}
        answer = house.call("PUT", f"/api/products/{product}/policy", body)
    return _show(answer, is_json=json_)


def _show(answer: dict[str, Any], *, is_json: bool) -> None:
    """One version of rules; of a long list of networks people see how long it is and how it begins."""
    if is_json:
        return show.as_json(answer)
    rules = dict(answer["policy"]["policy"])
    networks = rules["hosting_networks"]
    if len(networks) > NETWORKS_SHOWN:
        begin = ", ".join(networks[:NETWORKS_SHOWN])
        rest = len(networks) - NETWORKS_SHOWN
        rules["hosting_networks"] = f"{begin} and {rest} more (--json shows all)"
    show.line(f"version  {answer['policy']['version']}")
    return show.fields(rules)


@commands.command("list", epilog="Example: attribune policy list --data D --product game")
def list_(
    data: Data,
    product: Annotated[
        str | None, typer.Option("--product", help="Id or name; the presets when left out.")
    ] = None,
    json_: Json = False,
) -> None:
    """List the versions of a product's rules, or the presets."""
    with connect(data) as house:
        path = f"/api/products/{product}/policies" if product else "/api/presets"
        answer = house.call("GET", path)
    if json_:
        return show.as_json(answer)
    if product is None:
        return show.table(("preset",), ([name] for name in answer["presets"]), empty="No presets.")
    rows = ([row["version"], row["policy"]["name"]] for row in answer["policies"])
    show.table(("version", "name"), rows, empty="No rules were set; the default holds.")
    return show.line(f"In force: {answer['in_force']}")
