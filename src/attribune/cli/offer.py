"""``attribune offer``: what pays which partner how much."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.options import Data, Json
from attribune.ledger.offers import OFFER_BYTES_MAX
from attribune.model.errors import Invalid

commands = typer.Typer(
    name="offer", help="Offers: what pays which partner how much.", no_args_is_help=True
)

Partner = Annotated[str | None, typer.Option("--partner", help="Id or name of the partner.")]


@commands.command(epilog="Example: attribune offer add --data D --file offer.toml")
def add(
    data: Data,
    file: Annotated[Path, typer.Option(help="The offer in TOML; see docs/guides/offers.md.")],
    json_: Json = False,
) -> None:
    """Add an offer, or a version of it; the same again changes nothing."""
    try:
        with file.open("rb") as opened:
            text = opened.read(OFFER_BYTES_MAX + 1).decode()
    except (OSError, UnicodeDecodeError) as fault:
        raise Invalid(f"{file} cannot be read: {fault}", param="file") from fault
    with connect(data) as house:
        answer = house.call("POST", "/api/offers", {"toml": text})
    if json_:
        return show.as_json(answer)
    offer = answer["offer"]
    return show.line(f"Offer {offer['id']} has version {offer['version']} now.")


@commands.command("list", epilog="Example: attribune offer list --data D --partner acme")
def list_(data: Data, partner: Partner = None, json_: Json = False) -> None:
    """List the newest version of each offer."""
    with connect(data) as house:
        answer = house.pages("/api/offers", "offers", {"partner": partner})
    if json_:
        return show.as_json(answer)
    columns = ("id", "version", "partner", "event", "currency", "valid_from")
    rows = ([row[column] for column in columns] for row in answer["offers"])
    return show.table(
        columns, rows, empty="There are no offers yet; see `attribune offer add --help`."
    )


@commands.command("show", epilog="Example: attribune offer show --data D acme-install")
def show_(
    data: Data,
    offer: Annotated[str, typer.Argument(help="Id of the offer.", metavar="OFFER")],
    json_: Json = False,
) -> None:
    """Show every version of an offer."""
    with connect(data) as house:
        answer = house.call("GET", f"/api/offers/{offer}")
    if json_:
        return show.as_json(answer)
    for version in answer["offers"]:
        show.line(f"{version['id']} version {version['version']}")
        show.fields(version["terms"])
        show.line()
    return None
