"""``attribune report``: metrics by dimensions."""

from __future__ import annotations

import csv
import sys
from typing import Annotated, Any

import typer

from attribune.cli import row_files, show
from attribune.cli.client import connect
from attribune.cli.options import Data, Json, MaybeApp, MaybeProduct


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command(
        epilog="Example: attribune report --data D --metrics clicks,installs,revenue --by partner,campaign"
    )(report)


def report(
    data: Data,
    metrics: Annotated[
        str, typer.Option(help="Names, separated by commas; `attribune help metrics` lists them.")
    ] = "clicks,installs,events,revenue",
    by: Annotated[
        str,
        typer.Option(
            help="Dimensions, separated by commas; `attribune help dimensions` lists them."
        ),
    ] = "partner",
    app: MaybeApp = None,
    product: MaybeProduct = None,
    first_day: Annotated[
        str | None, typer.Option("--from", help="First day, such as 2026-03-01.")
    ] = None,
    last_day: Annotated[str | None, typer.Option("--to", help="Last day, included.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="dimension=value; repeatable. Nothing after = is absent."),
    ] = None,
    rows_max: Annotated[int | None, typer.Option(help="Most rows.", min=1)] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    json_: Json = False,
) -> None:
    """Show metrics by dimensions; organic is the row without a partner."""
    query = {
        "metrics": metrics,
        "by": by,
        "app": app,
        "product": product,
        "first_day": first_day,
        "last_day": last_day,
        "where": where,
        "rows_max": rows_max,
    }
    with connect(data) as house:
        answer = house.call("GET", "/api/report", query=query)
    if json_:
        return show.as_json(answer)
    columns = (*answer["by"], *answer["metrics"])
    if as_csv:
        return _as_csv(columns, answer["rows"])
    # Who is nobody's partner in a vendor's words may be restricted, and so not organic.
    nobody = "(none)" if any("foreign" in name for name in answer["metrics"]) else "(organic)"
    rows = [[_named(row, name, answer["by"], nobody) for name in columns] for row in answer["rows"]]
    show.table(columns, rows, empty="Nothing happened yet.")
    if answer["lag"]:
        show.line(f"{answer['lag']} entries are not in these numbers yet.")
    return None


def _named(row: dict[str, Any], name: str, by: list[str], nobody: str) -> Any:
    if name == "partner" and name in by and row[name] is None:
        return nobody
    return row[name]


def _as_csv(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    """A column for each metric, and one for each currency of a money metric."""
    currencies = {
        name: sorted({code for row in rows if isinstance(row[name], dict) for code in row[name]})
        for name in columns
    }
    out = csv.writer(sys.stdout)
    heads = [
        head
        for name in columns
        for head in ([f"{name}_{code}" for code in currencies[name]] or [name])
    ]
    out.writerow(heads)
    for row in rows:
        cells: list[Any] = []
        for name in columns:
            codes = currencies[name]
            cells += [(row[name] or {}).get(code, "") for code in codes] if codes else [row[name]]
        out.writerow(["" if cell in (None, {}) else row_files.harmless(cell) for cell in cells])
