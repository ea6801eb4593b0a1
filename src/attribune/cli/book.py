"""``attribune book``: what partners are owed."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
import typer

from attribune.cli import payout, show, statement
from attribune.cli.client import Client, connect
from attribune.cli.exit_codes import FAILED
from attribune.cli.options import Data, Json
from attribune.ledger.shown import HeldShown, held_sentence

commands = typer.Typer(name="book", help="The book: what partners are owed.", no_args_is_help=True)

Partner = Annotated[str, typer.Option("--partner", help="Id or name of the partner.")]
_PLACES: Final = ("pending", "approved", "payable", "paid")


@commands.command(epilog="Example: attribune book balance --data D --partner acme")
def balance(data: Data, partner: Partner, json_: Json = False) -> None:
    """Show where a partner's money sits: pending, approved, payable, paid."""
    with connect(data) as house:
        answer = house.call("GET", "/api/book/balances", query={"partner": partner})
    if json_:
        return show.as_json(answer)
    rows = (
        [row["currency"], *(row[f"{place}_minor"] for place in _PLACES)]
        for row in answer["balances"]
    )
    columns = ("currency", *(f"{place} (minor)" for place in _PLACES))
    show.table(columns, rows, empty="Nothing is booked for this partner.")
    for one in answer["held"]:
        show.line(f"{held_sentence(msgspec.convert(one, HeldShown))}.")
    return None


@commands.command(epilog="Example: attribune book lines --data D --partner acme")
def lines(
    data: Data,
    partner: Annotated[
        str | None, typer.Option("--partner", help="Id or name of the partner.")
    ] = None,
    outcome: Annotated[str | None, typer.Option(help="Of one outcome, as lines name it.")] = None,
    rows_max: Annotated[int, typer.Option(help="Most rows.", min=1, max=100_000)] = 1000,
    json_: Json = False,
) -> None:
    """Show movements of commissions, each with the offer that decided and those that lost."""
    query = {"partner": partner, "outcome": outcome}
    with connect(data) as house:
        found = _some(house, "/api/book/lines", "lines", query, rows_max)
    if json_:
        return show.as_json({"lines": found})
    return show_lines(found, "Nothing is booked.")


def show_lines(found: list[dict[str, Any]], empty: str) -> None:
    """Print lines as a table."""
    columns = ("at", "event", "kind", "offer", "amount", "currency", "state", "cause", "lost")
    rows = (
        [show.moment(row["moved_at_ms"]), *(row[column] for column in columns[1:])] for row in found
    )
    show.table(columns, rows, empty=empty)


def _some(
    house: Client, path: str, noun: str, query: dict[str, Any], rows_max: int
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    after: int | None = None
    while len(rows) < rows_max:
        limit = min(1000, rows_max - len(rows))
        page = house.call("GET", path, query={**query, "after": after, "limit": limit})
        rows += page[noun]
        after = page["next"]
        if after is None:
            break
    return rows


@commands.command(epilog="Example: attribune book entries --data D --about st_0f…")
def entries(
    data: Data,
    about: Annotated[
        str | None, typer.Option(help="A line, statement or payout; all when left out.")
    ] = None,
    rows_max: Annotated[int, typer.Option(help="Most rows.", min=1, max=100_000)] = 1000,
    json_: Json = False,
) -> None:
    """Show amounts that moved between accounts."""
    with connect(data) as house:
        found = _some(house, "/api/book/entries", "entries", {"about": about}, rows_max)
    if json_:
        return show.as_json({"entries": found})
    columns = ("debit", "credit", "amount", "currency", "cause", "about")
    rows = ([row[column] for column in columns] for row in found)
    return show.table(columns, rows, empty="Nothing is booked.")


@commands.command(
    epilog="Example: attribune book reverse --data D order-77 --reason 'fraud found by hand'"
)
def reverse(
    data: Data,
    id_: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="A conversion, an event's record, or an outcome as lines name it."
        ),
    ],
    reason: Annotated[str, typer.Option(help="Why; kept with the reversal.")],
    json_: Json = False,
) -> None:
    """Take back what an outcome earned; what was paid is taken from the next statement."""
    with connect(data) as house:
        answer = house.call("POST", "/api/book/reversals", {"id": id_, "reason": reason})
    if json_:
        return show.as_json(answer)
    return show_lines(answer["reversal"]["lines"], "Nothing stood.")


@commands.command(epilog="Example: attribune book check --data D")
def check(data: Data, json_: Json = False) -> None:
    """Prove from its entries that the book adds up."""
    with connect(data) as house:
        answer = house.call("GET", "/api/book/check")
    if json_:
        show.as_json(answer)
    else:
        for one in answer["checks"]:
            show.line(f"{'ok  ' if one['ok'] else 'FAIL'} {one['name']}: {one['sentence']}")
            for said in one["found"]:
                show.line(f"     {said}")
    if not answer["ok"]:
        raise typer.Exit(FAILED)


commands.command("close", epilog=statement.CLOSE_EXAMPLE.replace("statement", "book"))(
    statement.close
)
commands.command("statement", epilog="Example: attribune book statement --data D st_0f…")(
    statement.show_
)
commands.command("pay", epilog="Example: attribune book pay --data D")(payout.create)
