"""``attribune export``: touches, installs, events or foreign conversions as rows, of any size."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any, Final

import typer

from attribune.cli import row_files, show
from attribune.cli.client import Client, connect
from attribune.cli.failure import Failed
from attribune.cli.options import Data, Json, MaybeApp, MaybeProduct
from attribune.model.errors import Invalid, StoreUnavailable
from attribune.report.export import columns_of

#: How often a page is asked for again while others export.
_BUSY_TRIES: Final = 120
_BUSY_WAIT_S: Final = 0.5
_BUSY: Final = "too_many_exports"


class What(StrEnum):
    """What is exported."""

    TOUCHES = "touches"
    INSTALLS = "installs"
    EVENTS = "events"
    FOREIGN_CONVERSIONS = "foreign_conversions"


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command(
        epilog="Example: attribune export installs --data D --format parquet --from 2026-03-01 --to 2026-03-31 --out installs.parquet"
    )(export)


def export(
    data: Data,
    what: Annotated[
        What,
        typer.Argument(help="touches, installs (all conversions), events or foreign_conversions."),
    ],
    first_day: Annotated[str, typer.Option("--from", help="First day, such as 2026-03-01.")],
    last_day: Annotated[str, typer.Option("--to", help="Last day, included.")],
    format_: Annotated[
        row_files.Format, typer.Option("--format", help="How rows are written.")
    ] = row_files.Format.CSV,
    app: MaybeApp = None,
    product: MaybeProduct = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write; replaced when it is whole. Standard output without."),
    ] = None,
    json_: Json = False,
) -> None:
    """Write every row as it stands now, by the product's days on which it happened."""
    if out is None and (json_ or format_ is row_files.Format.PARQUET):
        raise Invalid("give --out FILE: parquet and --json need a file for the rows", param="out")
    query = {"first_day": first_day, "last_day": last_day, "app": app, "product": product}
    is_quiet = json_ or (out is None and sys.stdout.isatty())
    with connect(data) as house, show.progress(is_quiet=is_quiet) as bar:
        pages = _pages(house, f"/api/export/{what}", query)
        first = next(pages)
        task = bar.add_task(f"exporting {what}", total=first["rows_total"])
        with _target(out) as file:
            written = 0
            with row_files.writer(format_, file, columns_of(what)) as write:
                for page in _first_and(first, pages):
                    write(page["rows"])
                    written += len(page["rows"])
                    bar.update(task, completed=written)
            if written != first["rows_total"]:
                raise StoreUnavailable(
                    f"{written} rows came instead of {first['rows_total']}: the facts were made again meanwhile; export again"
                )
    if out is None:
        return None
    said = {"what": what, "format": format_, "rows": written, "out": str(out)}
    said |= {"until": first["until"], "lag": first["lag"]}
    if json_:
        return show.as_json({"export": said})
    show.line(f"{out}: {written} rows.")
    if first["lag"]:
        show.line(f"{first['lag']} entries are not in them yet.")
    return None


def _pages(house: Client, path: str, query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    after: str | None = None
    while True:
        page = _page(house, path, {**query, "after": after})
        yield page
        after = page["next"]
        if after is None:
            return


def _page(house: Client, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
    for _ in range(_BUSY_TRIES):
        try:
            return house.call("GET", path, query=query)
        except Failed as refused:
            if refused.error.get("code") != _BUSY:
                raise
        time.sleep(_BUSY_WAIT_S)
    return house.call("GET", path, query=query)


def _first_and(first: dict[str, Any], others: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield first
    yield from others


@contextmanager
def _target(out: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that is there only when the block went well."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with row_files.whole(out) as file:
        yield file
