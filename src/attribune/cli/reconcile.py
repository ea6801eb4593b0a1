"""``attribune reconcile``: a partner's own list beside the book."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from attribune.cli import show
from attribune.cli.client import Client, connect
from attribune.cli.options import Data, Json
from attribune.ledger.partner_list import FILE_BYTES_MAX, read
from attribune.ledger.reconcile import Match, Reconciled, once
from attribune.ledger.when import month_number
from attribune.model.book import LineKind
from attribune.model.errors import Invalid

#: Rows sent at a time.
_CHUNK: Final = 2000


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command(
        epilog="Example: attribune reconcile --data D --partner acme conversions.csv --period 2026-01"
    )(reconcile)


def reconcile(
    data: Data,
    partner: Annotated[str, typer.Option("--partner", help="Id or name of the partner.")],
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV with an id (transaction_id, click_id, conversion_id, touch_id, record_id or id), and event, day, amount and currency if it has them."
        ),
    ],
    period: Annotated[
        str | None,
        typer.Option(
            help="The month that the list is of; what we have of others is not missed there."
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Compare a partner's own list with the book: matched, missing here or there, other amounts, and why."""
    if period is not None:
        month_number(period)
    try:
        with file.open("rb") as opened:
            claims = read(opened.read(FILE_BYTES_MAX + 1))
    except OSError as fault:
        raise Invalid(f"{file} cannot be read: {fault}", param="file") from fault
    with connect(data) as house, show.progress(is_quiet=json_) as bar:
        task = bar.add_task("comparing", total=len(claims))
        rows: list[dict[str, Any]] = []
        for begin in range(0, len(claims), _CHUNK):
            some = [msgspec.to_builtins(one) for one in claims[begin : begin + _CHUNK]]
            body = {"partner": partner, "claims": some}
            rows += house.call("POST", "/api/reconcile", body)["rows"]
            bar.advance(task, len(some))
        rows = msgspec.to_builtins(once(msgspec.convert(rows, list[Reconciled])))
        claimed = {outcome for row in rows for outcome in row["outcomes"]}
        missing = _missing_there(house, partner, period, claimed)
        task = bar.add_task("looking for what they miss", total=len(missing))
        for begin in range(0, len(missing), _CHUNK):
            outcomes = missing[begin : begin + _CHUNK]
            body = {"partner": partner, "outcomes": outcomes}
            rows += house.call("POST", "/api/reconcile/unclaimed", body)["rows"]
            bar.advance(task, len(outcomes))
    counts = Counter(row["match"] for row in rows)
    counted = {match.value: counts[match.value] for match in Match}
    if json_:
        return show.as_json({"reconciled": {"partner": partner, "counts": counted, "rows": rows}})
    show.fields(counted)
    columns = ("id", "event", "day", "match", "theirs", "ours", "currency", "reason")
    differing = [row for row in rows if row["match"] != Match.MATCHED.value]
    return show.table(
        columns, ([row[c] for c in columns] for row in differing), empty="Everything matches."
    )


def _missing_there(house: Client, partner: str, period: str | None, claimed: set[str]) -> list[str]:
    """The outcomes that we owe something for and the list does not have, in the order of time."""
    owed: dict[tuple[str, str], int] = {}
    at_ms: dict[str, int] = {}
    after: int | None = None
    while True:
        page = house.call("GET", "/api/book/lines", query={"partner": partner, "after": after})
        for line in page["lines"]:
            # What is up the tree is another partner's conversion, and what is rated anew is others'.
            is_own = not line["level"] and line["kind"] != LineKind.RETIER.value
            if is_own and line["outcome"] not in claimed and _is_of(line, period):
                name = (line["outcome"], line["currency"])
                owed[name] = owed.get(name, 0) + line["amount_minor"]
                at_ms[line["outcome"]] = line["at_ms"]
        after = page["next"]
        if after is None:
            break
    return sorted({o for (o, _), amount in owed.items() if amount}, key=lambda o: (at_ms[o], o))


def _is_of(line: dict[str, Any], period: str | None) -> bool:
    """Whether the conversion of a line was in the month, in UTC."""
    return period is None or str(show.moment(line["at_ms"])).startswith(period)
