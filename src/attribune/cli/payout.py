"""``attribune payout``: paying what statements owe."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from attribune.cli import show, statement
from attribune.cli.client import connect
from attribune.cli.options import Data, Json
from attribune.ledger import pain001, papers
from attribune.ledger.shown import PayoutShown
from attribune.model import toml
from attribune.model.errors import Invalid

commands = typer.Typer(
    name="payout", help="Payouts: paying what statements owe.", no_args_is_help=True
)

Payout = Annotated[str, typer.Argument(help="Id of the payout.", metavar="PAYOUT")]
_BANKS_BYTES_MAX: Final = 4 << 20


@commands.command(epilog="Example: attribune payout create --data D")
def create(
    data: Data,
    currency: Annotated[
        str | None,
        typer.Option(help="ISO 4217, such as EUR; the only one that is to be paid when left out."),
    ] = None,
    partner: Annotated[
        list[str] | None,
        typer.Option(help="Id or name; repeatable. Everybody who is owed when left out."),
    ] = None,
    json_: Json = False,
) -> None:
    """Prepare a payment of what statements owe and whose day has come."""
    body = {"currency": currency, "partners": partner or []}
    with connect(data) as house:
        answer = house.call("POST", "/api/payouts", body)
    if json_:
        return show.as_json(answer)
    _say([answer["payout"]])
    return show.line(
        f"Next: attribune payout file --data {data} {answer['payout']['id']} --banks banks.toml --out payout.xml"
    )


@commands.command(epilog="Example: attribune payout confirm --data D po_0f… --reference 2026-0042")
def confirm(
    data: Data,
    payout: Payout,
    failed: Annotated[
        bool, typer.Option("--failed", help="The bank did not do it; the money is owed as before.")
    ] = False,
    reference: Annotated[str, typer.Option(help="What the bank calls it.")] = "",
    json_: Json = False,
) -> None:
    """Book what the bank did."""
    body = {"is_paid": not failed, "reference": reference}
    with connect(data) as house:
        answer = house.call("POST", f"/api/payouts/{payout}/confirm", body)
    show.as_json(answer) if json_ else _say([answer["payout"]])


@commands.command("list", epilog="Example: attribune payout list --data D")
def list_(data: Data, json_: Json = False) -> None:
    """List payouts, newest first."""
    with connect(data) as house:
        answer = house.pages("/api/payouts", "payouts", {})
    show.as_json(answer) if json_ else _say(answer["payouts"])


@commands.command(
    epilog="Example: attribune payout file --data D po_0f… --banks banks.toml --out payout.xml"
)
def file(
    data: Data,
    payout: Payout,
    banks: Annotated[
        Path | None,
        typer.Option(
            help="Accounts in TOML, for SEPA; see docs/guides/offers.md. CSV when left out."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A file to write; stdout when left out.")] = None,
) -> None:
    """Write a payout as CSV, or as SEPA credit transfers (pain.001) for a bank."""
    accounts = _banks(banks) if banks is not None else None
    with connect(data) as house:
        answer = house.call("GET", f"/api/payouts/{payout}")
    found = msgspec.convert(answer["payout"], PayoutShown)
    if accounts is None:
        return statement.write(papers.payout_csv(found), out)
    text = pain001.document(found, accounts, int(time.time() * 1000))
    return statement.write(iter([text]), out)


def _banks(file_: Path) -> pain001.Banks:
    try:
        with file_.open("rb") as opened:
            return toml.read(opened.read(_BANKS_BYTES_MAX), pain001.Banks)
    except (OSError, toml.BadToml) as fault:
        raise Invalid(f"{file_} cannot be read: {fault}", param="banks") from fault


def _say(rows: list[dict[str, Any]]) -> None:
    columns = ("id", "state", "currency", "total", "partners", "reference")
    show.table(
        columns,
        (
            [
                row["id"],
                row["state"],
                row["currency"],
                row["total"],
                len(row["items"]),
                row["reference"],
            ]
            for row in rows
        ),
        empty="There are no payouts yet; see `attribune payout create --help`.",
    )
