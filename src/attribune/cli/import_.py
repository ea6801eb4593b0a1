"""``attribune import``: what was known before Attribune was there."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.options import App, Data, Json
from attribune.cli.pairs import pairs
from attribune.model.activity import Vendor
from attribune.model.errors import Invalid

commands = typer.Typer(name="import", help="What was known before.", no_args_is_help=True)

CHUNK: Final = 500
_ID_COLUMNS: Final = ("gaid", "idfa", "idfv", "oaid", "app_set_id", "android_id", "fire_adid")
_OWN: Final = ("id", "device_id")


@commands.callback()
def _nouns() -> None:
    """Bring in what was known before Attribune was there."""


@commands.command(epilog="Example: attribune import devices known.csv --data D --app game-android")
def devices(
    data: Data,
    file: Annotated[
        Path,
        typer.Argument(
            help="One id a line; or .csv with a head (id, gaid, idfa, idfv, user_id, last_seen_at_ms …); or .jsonl with those.",
            exists=True,
            dir_okay=False,
        ),
    ],
    app: App,
    id_kind: Annotated[
        str, typer.Option("--ids", help=f"What a plain list holds: id, {', '.join(_ID_COLUMNS)}.")
    ] = "id",
    json_: Json = False,
) -> None:
    """Say which devices had an app before: their next open is no install. Doing it again changes nothing."""
    if id_kind not in ("id", *_ID_COLUMNS):
        raise typer.BadParameter(f"--ids takes id, {', '.join(_ID_COLUMNS)}")
    done = 0
    size = file.stat().st_size
    with connect(data) as house, show.progress(is_quiet=json_) as bar, file.open("rb") as source:
        task = bar.add_task("importing", total=size)
        rows = _rows(file, (line.decode("utf-8", "replace") for line in source), id_kind)
        while chunk := list(islice(rows, CHUNK)):
            answer = house.call("POST", "/api/devices/import", {"app": app, "devices": chunk})
            done += answer["imported"]["devices"]
            bar.update(task, completed=min(size, source.tell()))
    if json_:
        return show.as_json({"imported": {"devices": done}})
    return show.line(f"{done} devices are known now; their next open is no install.")


@commands.command(
    epilog="Example: attribune import conversions installs.csv.gz --data D --app game-android --from appsflyer"
)
def conversions(
    data: Data,
    file: Annotated[
        Path,
        typer.Argument(
            help="The vendor's CSV or JSON lines, plain or gzip, as it came.",
            exists=True,
            dir_okay=False,
        ),
    ],
    app: App,
    vendor: Annotated[Vendor, typer.Option("--from", help="Whose file it is.")],
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help="What a name of the vendor's means here: network:NAME=partner, event:NAME=purchase.",
        ),
    ] = None,
    timezone: Annotated[
        str, typer.Option(help="Of times that state no offset; an IANA name.")
    ] = "UTC",
    refused_to: Annotated[
        Path | None,
        typer.Option(help="A file for the refused rows, each with its reason, to be mended."),
    ] = None,
    json_: Json = False,
) -> None:
    """Take in what another measurement partner decided. Doing it again changes nothing: what is known counts as duplicate.

    An import that was cut off is simply run again from the start.
    """
    from attribune.cli import conversion_files  # noqa: PLC0415  # other commands need no reader of vendors' words

    body = {"app": app, "vendor": vendor.value, "maps": pairs(map_, "map"), "timezone": timezone}
    counts = dict.fromkeys(("read", "accepted", "duplicate", "refused"), 0)
    reasons: Counter[str] = Counter()
    size = file.stat().st_size
    with (
        connect(data) as house,
        conversion_files.opened(file) as source,
        conversion_files.refused_file(refused_to, file, source.columns) as mending,
        show.progress(is_quiet=json_, is_bytes=True) as bar,
    ):
        task = bar.add_task("importing", total=size)
        conversion_files.check_columns(source.columns, vendor)
        for rows in conversion_files.chunks(source.rows):
            answer = house.call("POST", "/api/conversions/import", {**body, "rows": rows})
            imported = answer["imported"]
            for name in counts:
                counts[name] += imported[name]
            reasons.update(imported["reasons"])
            for one in imported["rows"]:
                mending.add(rows[one["index"]], one["reason"], one["message"])
            bar.update(task, completed=min(size, source.raw.tell()))
    if json_:
        return show.as_json({**counts, "reasons": dict(reasons)})
    show.fields(counts)
    return show.table(("reason", "rows"), reasons.most_common(), empty="No row was refused.")


def _rows(file: Path, lines: Iterable[str], id_kind: str) -> Iterator[dict[str, Any]]:
    """The devices of a file, one at a time. Raises Invalid, naming the line."""
    if file.suffix == ".csv":
        for number, row in enumerate(csv.DictReader(lines), start=2):
            yield _device(row, number)
    elif file.suffix in (".jsonl", ".ndjson"):
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _device(_parsed(line, number), number)
    else:
        for line in lines:
            if word := line.strip().strip("\ufeff"):
                yield {"id": word} if id_kind == "id" else {"ids": {id_kind: word}}


def _parsed(line: str, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Invalid(f"line {number} is no JSON object", param="file")
    return found


def _device(row: dict[str, Any], number: int) -> dict[str, Any]:
    said = {
        str(k).strip().strip("\ufeff").lower(): v for k, v in row.items() if v not in (None, "")
    }
    unknown = set(said) - {*_OWN, *_ID_COLUMNS, "ids", "user_id", "last_seen_at_ms"}
    if unknown:
        raise Invalid(
            f"line {number} has unknown columns: {', '.join(sorted(unknown))}", param="file"
        )
    ids = {name: str(said[name]) for name in _ID_COLUMNS if name in said}
    device: dict[str, Any] = {"ids": {**(said.get("ids") or {}), **ids}}
    own = next((str(said[name]) for name in _OWN if name in said), None)
    if own:
        device["id"] = own
    if "user_id" in said:
        device["user_id"] = str(said["user_id"])
    if "last_seen_at_ms" in said:
        try:
            device["last_seen_at_ms"] = int(said["last_seen_at_ms"])
        except ValueError:
            raise Invalid(
                f"line {number}: last_seen_at_ms is a whole number", param="file"
            ) from None
    return device
