"""Rows of an export as CSV, JSON lines or Parquet, and files that are there whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

from attribune.model.errors import Conflict, Invalid
from attribune.report.export import Column

Rows: TypeAlias = Sequence[Sequence[Any]]
Write: TypeAlias = Callable[[Rows], None]

#: A spreadsheet takes a cell that begins so for a formula, and anybody may write names into a link.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class Format(StrEnum):
    """How rows are written."""

    CSV = "csv"
    PARQUET = "parquet"
    NDJSON = "ndjson"


def harmless(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: text that begins like one gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


@contextmanager
def writer(format_: Format, file: IO[bytes], columns: Sequence[Column]) -> Iterator[Write]:
    """Takes pages of rows of some columns while the block runs."""
    names = [column.name for column in columns]
    if format_ is Format.PARQUET:
        with _parquet(file, columns) as write:
            yield write
    else:
        yield _csv(file, names) if format_ is Format.CSV else _ndjson(file, names)


def _csv(file: IO[bytes], names: Sequence[str]) -> Write:
    def write(rows: Rows) -> None:
        text = io.StringIO()
        csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
        file.write(text.getvalue().encode())

    write([names])
    return write


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else harmless(value)


def _ndjson(file: IO[bytes], names: Sequence[str]) -> Write:
    def write(rows: Rows) -> None:
        for row in rows:
            line = json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False)
            file.write(line.encode() + b"\n")

    return write


@contextmanager
def _parquet(file: IO[bytes], wanted: Sequence[Column]) -> Iterator[Write]:
    import pyarrow as pa  # noqa: PLC0415  # only who writes Parquet pays for it
    from pyarrow import parquet  # noqa: PLC0415  # the same

    types = {
        "text": pa.string(),
        "whole": pa.int64(),
        "yes_no": pa.bool_(),
        "day": pa.date32(),
        "moment": pa.timestamp("ms", tz="UTC"),
    }
    schema = pa.schema([(column.name, types[column.type]) for column in wanted])
    read = [_READ.get(column.type) for column in wanted]
    with parquet.ParquetWriter(file, schema, compression="zstd") as out:

        def write(rows: Rows) -> None:
            if not rows:
                return
            columns = [
                [turn(value) if turn and value is not None else value for value in values]
                for turn, values in zip(read, zip(*rows, strict=True), strict=True)
            ]
            out.write_table(pa.table(columns, schema=schema))

        yield write


_READ: Final[dict[str, Callable[[str], Any]]] = {
    "day": date.fromisoformat,
    "moment": datetime.fromisoformat,
}


@contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """A file beside the wanted one (``.partial``), for its owner alone, that takes its place when the block went well.

    Raises Conflict when such a file stands already, Invalid when it cannot be written.
    """
    beside = path.with_name(f"{path.name}.partial")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Conflict(
            f"{beside} stands already: another export writes it, or one was killed; remove it then",
            param="out",
        ) from None
    except OSError as fault:
        raise Invalid(f"{beside} cannot be written: {fault.strerror}", param="out") from fault
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
