"""``attribune app``: applications and sites of products."""

from __future__ import annotations

from typing import Annotated

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.options import Data, Json, MaybeProduct
from attribune.model.activity import Platform

commands = typer.Typer(name="app", help="Apps and sites of products.", no_args_is_help=True)


@commands.command(
    epilog="Example: attribune app add --data D --name Game --platform android --store-id com.example.game"
)
def add(
    data: Data,
    name: Annotated[str, typer.Option(help="How people call it.")],
    platform: Annotated[Platform, typer.Option(help="Where it runs.")],
    store_id: Annotated[
        str, typer.Option(help="Package name, App Store number, or the site's address.")
    ],
    product: Annotated[
        str | None,
        typer.Option(help="Product it joins, by id or name; a new one of its own when left out."),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Time zone of a new product's days, such as Europe/Berlin.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="Currency of a new product's money, such as EUR.")
    ] = None,
    origin: Annotated[
        list[str] | None, typer.Option(help="Browser origin that may send its records. Repeatable.")
    ] = None,
    signed: Annotated[
        bool, typer.Option("--signed", help="Require signatures of records with an app key.")
    ] = False,
    apple_team_id: Annotated[
        str | None, typer.Option(help="For apple-app-site-association.")
    ] = None,
    sha256_cert_fingerprint: Annotated[
        list[str] | None, typer.Option(help="For assetlinks.json. Repeatable.")
    ] = None,
    json_: Json = False,
) -> None:
    """Register an app, its product unless it joins one, and its first key."""
    body = {
        "name": name,
        "platform": platform,
        "store_id": store_id,
        "product": product,
        "timezone": timezone,
        "currency": currency,
        "origins": origin or [],
        "is_signed": signed,
        "apple_team_id": apple_team_id,
        "sha256_cert_fingerprints": sha256_cert_fingerprint or [],
    }
    with connect(data) as house:
        answer = house.call("POST", "/api/apps", body)
    if json_:
        return show.as_json(answer)
    show.fields(answer["app"])
    show.line()
    show.line("The key goes into the app and is shown this once.")
    show.line(f"Next: attribune link add --data {data} --app {answer['app']['id']} --partner …")
    return None


@commands.command("list", epilog="Example: attribune app list --data D")
def list_(data: Data, product: MaybeProduct = None, json_: Json = False) -> None:
    """List apps."""
    with connect(data) as house:
        answer = house.pages("/api/apps", "apps", {"product": product})
    if json_:
        return show.as_json(answer)
    columns = ("id", "product", "name", "platform", "store_id")
    rows = ([row[column] for column in columns] for row in answer["apps"])
    return show.table(columns, rows, empty="There are no apps yet; see `attribune app add --help`.")
