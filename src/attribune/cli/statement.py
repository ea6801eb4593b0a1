"""``attribune statement``: a partner's month, closed once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from attribune.cli import show
from attribune.cli.client import Client, connect
from attribune.cli.options import Data, Json
from attribune.cli.row_files import whole
from attribune.ledger import papers
from attribune.ledger.shown import HeldShown, LineShown, StatementShown, held_sentence

commands = typer.Typer(
    name="statement", help="Statements: a partner's month, closed once.", no_args_is_help=True
)

CLOSE_EXAMPLE: Final = "Example: attribune statement close --data D --partner acme --period 2026-01"
Partner = Annotated[str, typer.Option("--partner", help="Id or name of the partner.")]


def _all_lines(house: Client, statement: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every line of a statement, fetched page by page."""
    yield from statement["lines"]
    after = statement["next"]
    while after is not None:
        path = f"/api/statements/{statement['id']}/lines"
        page = house.call("GET", path, query={"after": after})
        yield from page["lines"]
        after = page["next"]


def _as_json(house: Client, answer: dict[str, Any]) -> None:
    """Print an answer with all lines of its statements, page after page, so that a statement may be as long as it likes."""
    all_ = answer["statements"]
    out = sys.stdout.write
    out('{"statement": ')
    _print_one(house, all_[0])
    if len(all_) > 1:
        out(', "statements": [')
        for number, one in enumerate(all_):
            out(", " if number else "")
            _print_one(house, one)
        out("]")
    if "held" in answer:
        out(', "held": ' + json.dumps(answer["held"], ensure_ascii=False))
    out("}\n")


def _print_one(house: Client, statement: dict[str, Any]) -> None:
    head = {name: value for name, value in statement.items() if name not in {"lines", "next"}}
    sys.stdout.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "lines": [')
    for number, line in enumerate(_all_lines(house, statement)):
        sys.stdout.write((", " if number else "") + json.dumps(line, ensure_ascii=False))
    sys.stdout.write("]}")


@commands.command(epilog=CLOSE_EXAMPLE)
def close(
    data: Data,
    partner: Partner,
    period: Annotated[str, typer.Option(help="The month, such as 2026-01.")],
    json_: Json = False,
) -> None:
    """Close a partner's month and issue its statement; a month that is closed already stands as it is."""
    with connect(data) as house:
        answer = house.call("POST", "/api/statements", {"partner": partner, "period": period})
        if json_:
            return _as_json(house, answer)
    _say(answer["statements"])
    for one in answer["held"]:
        sentence = held_sentence(msgspec.convert(one, HeldShown))
        show.line(f"{sentence}; not on it, and on the next one once it is added.")
    return None


@commands.command("list", epilog="Example: attribune statement list --data D --partner acme")
def list_(data: Data, partner: Partner, json_: Json = False) -> None:
    """List a partner's statements."""
    with connect(data) as house:
        answer = house.call("GET", "/api/statements", query={"partner": partner})
    if json_:
        return show.as_json(answer)
    return _say(answer["statements"])


@commands.command(
    "show", epilog="Example: attribune statement show --data D st_0f… --html --out statement.html"
)
def show_(
    data: Data,
    statement: Annotated[str, typer.Argument(help="Id of the statement.", metavar="STATEMENT")],
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Its lines as comma-separated values.")
    ] = False,
    as_html: Annotated[bool, typer.Option("--html", help="A page to print.")] = False,
    out: Annotated[Path | None, typer.Option(help="A file to write; stdout when left out.")] = None,
    json_: Json = False,
) -> None:
    """Show a statement with its lines, as JSON, CSV or a page to print."""
    if as_csv + as_html + json_ > 1:
        raise typer.BadParameter("give one of --json, --csv and --html")
    with connect(data) as house:
        answer = house.call("GET", f"/api/statements/{statement}")
        if json_:
            return _as_json(house, answer)
        if not (as_csv or as_html):
            return _say(answer["statements"])
        found = answer["statement"]
        lines = (msgspec.convert(one, LineShown) for one in _all_lines(house, found))
        head = msgspec.convert({**found, "lines": []}, StatementShown)
        pieces = papers.page(head, lines) if as_html else papers.lines_csv(lines)
        return write(pieces, out)


def write(pieces: Iterator[str], out: Path | None) -> None:
    """Print text piece by piece, or into a file that is there whole or not at all."""
    if out is None:
        for piece in pieces:
            sys.stdout.write(piece)
        return
    with whole(out) as file:
        for piece in pieces:
            file.write(piece.encode())


def _say(rows: list[dict[str, Any]]) -> None:
    columns = ("id", "period", "currency", "opening", "lines_count", "closing")
    show.table(
        columns,
        ([row[column] for column in columns] for row in rows),
        empty="There are no statements yet; see `attribune statement close --help`.",
    )
