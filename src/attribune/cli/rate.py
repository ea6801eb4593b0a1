"""``attribune rate``: what currencies were worth on a day."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.options import Data, Json
from attribune.ledger.rates import RATES_MAX
from attribune.model.errors import Invalid

commands = typer.Typer(
    name="rate", help="Rates: what currencies were worth on a day.", no_args_is_help=True
)

_COLUMNS: Final = ("day", "base", "quote", "rate")


@commands.command(
    epilog="Example: attribune rate add --data D --day 2026-01-31 --base USD --quote EUR --rate 0.9137"
)
def add(
    data: Data,
    day: Annotated[str | None, typer.Option(help="Such as 2026-01-31.")] = None,
    base: Annotated[str | None, typer.Option(help="Currency of the revenue.")] = None,
    quote: Annotated[str | None, typer.Option(help="Currency of the offer.")] = None,
    rate: Annotated[str | None, typer.Option(help="So much of quote for one of base.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="Many in CSV with columns day, base, quote, rate.")
    ] = None,
    json_: Json = False,
) -> None:
    """Add the rate of a day, or many from a file; what waited for them is booked."""
    one = (day, base, quote, rate)
    if (file is None) is not all(one) or (file is not None and any(one)):
        raise typer.BadParameter("give --day, --base, --quote and --rate, or --file")
    rows = _rows(file) if file is not None else [dict(zip(_COLUMNS, one, strict=True))]
    added: list[Any] = []
    with connect(data) as house:
        for begin in range(0, len(rows), RATES_MAX):
            answer = house.call("POST", "/api/rates", {"rates": rows[begin : begin + RATES_MAX]})
            added += answer["rates"]
    if json_:
        return show.as_json({"rates": added})
    return show.line(f"Rates: {len(added)} added, {len(rows) - len(added)} stood already.")


def _rows(file: Path) -> list[dict[str, Any]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            reader = csv.DictReader(opened, strict=True)
            if not set(_COLUMNS) <= set(reader.fieldnames or ()):
                raise Invalid(f"{file} has columns {', '.join(_COLUMNS)}", param="file")
            return [{name: row[name] for name in _COLUMNS} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise Invalid(f"{file} cannot be read: {fault}", param="file") from fault


@commands.command("list", epilog="Example: attribune rate list --data D")
def list_(data: Data, json_: Json = False) -> None:
    """List rates, newest day first."""
    with connect(data) as house:
        answer = house.pages("/api/rates", "rates", {})
    if json_:
        return show.as_json(answer)
    rows = ([row[column] for column in _COLUMNS] for row in answer["rates"])
    return show.table(
        _COLUMNS, rows, empty="There are no rates yet; see `attribune rate add --help`."
    )
