"""Files of other measurement partners, read row by row: CSV or JSON lines, plain or gzip, of any size."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, TextIO

from attribune.collect.refuse import Refused
from attribune.collect.vendors import READERS, UNREADABLE
from attribune.collect.vendors.rows import flat, whole
from attribune.model.activity import Vendor
from attribune.model.errors import Invalid

Row = dict[str, str]

#: Rows of one request, and bytes of them; each request costs a wait for the disk and for the attributor.
ROWS_MAX: Final = 2000
_BYTES_MAX: Final = 3 << 20
#: A longer row is none; its beginning is kept with the reason.
_ROW_CHARACTERS_MAX: Final = 256 * 1024
_UNREADABLE_CHARACTERS_MAX: Final = 4096
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK"
_SEPARATOR: Final = re.compile(r"\"?sep=([,;|\t])\"?\s*\Z", re.IGNORECASE)
_SNIFFED: Final = 64 * 1024
_DELIMITERS: Final = (",", "\t", ";", "|")
#: What a file of refused rows has beside the rows.
REASON: Final = "attribune_reason"
MESSAGE: Final = "attribune_message"


class Source(NamedTuple):
    """An open file of rows."""

    #: Of a CSV; empty for JSON lines.
    columns: tuple[str, ...]
    rows: Iterator[Row]
    #: The file as it lies on the disk, to see how far it was read.
    raw: IO[bytes]


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """The rows of a file. Raises Invalid when it cannot be read."""
    try:
        raw = path.open("rb")
    except OSError as fault:
        raise Invalid(f"{path} cannot be read: {fault.strerror}", param="file") from fault
    with raw:
        begins = raw.read(2)
        raw.seek(0)
        if begins == _ZIP:
            message = f"{path} is a zip archive or a workbook; unpack it, or save it as CSV"
            raise Invalid(message, param="file")
        plain: Any = raw
        if begins == _GZIP:
            plain = io.BufferedReader(gzip.GzipFile(fileobj=raw), _SNIFFED * 2)
        with _readable(path):
            encoding = _encoding(path, plain.peek(_SNIFFED)[:_SNIFFED])
            text = io.TextIOWrapper(plain, encoding=encoding, errors="replace", newline="")
            source = _source(text, raw)
        yield source._replace(rows=_guarded(path, source.rows))


def _encoding(path: Path, begins: bytes) -> str:
    """UTF-8, or UTF-16 that says so, as spreadsheets write their text. Raises Invalid when it is neither."""
    if begins.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(begins)
        is_text = b"\0" not in begins
    except UnicodeDecodeError:
        is_text = False
    if not is_text:
        message = f"{path} is neither UTF-8 nor UTF-16 with its mark; save it as CSV in UTF-8"
        raise Invalid(message, param="file")
    return "utf-8-sig"


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raises Invalid when what is read there is torn."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as fault:
        raise Invalid(f"{path} cannot be read: {fault}", param="file") from fault
    except csv.Error as fault:
        raise Invalid(f"{path} is no CSV: {fault}", param="file") from fault


def _guarded(path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    while True:
        with _readable(path):
            row = next(rows, None)
        if row is None:
            return
        yield row


def check_columns(columns: Sequence[str], vendor: Vendor) -> None:
    """Raises Invalid when a header names nothing that a vendor's reader knows: it is another's file, or has no header."""
    reader = READERS[vendor]
    if columns and not {reader.name_of(name) for name in columns} & reader.fields.keys():
        named = ", ".join(name[:32] for name in columns[:4])
        raise Invalid(
            f"no column of the file is one of {vendor}'s (it begins {named}); is --from right, and is the first line the header?",
            param="vendor",
        )


def chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """The rows in lists that fit into a request each."""
    some: list[Row] = []
    size = 0
    for row in rows:
        long = len(json.dumps(row))
        if some and (len(some) >= ROWS_MAX or size + long > _BYTES_MAX):
            yield some
            some, size = [], 0
        some.append(row)
        size += long
    if some:
        yield some


@contextmanager
def refused_file(path: Path | None, file: Path, columns: Sequence[str]) -> Iterator[RefusedFile]:
    """Where the refused rows of a file are written; nowhere without a path. Raises Invalid when it cannot be written."""
    if path is None:
        yield RefusedFile(None, columns)
        return
    if path.exists() and path.samefile(file):
        raise Invalid(
            "refused rows cannot be written over the file that is read", param="refused_to"
        )
    try:
        with path.open("w", encoding="utf-8", newline="") as out:
            yield RefusedFile(out, columns)
    except OSError as fault:
        raise Invalid(f"{path} cannot be written: {fault.strerror}", param="refused_to") from fault


class RefusedFile:
    """The refused rows as they came, each with its reason, to be mended and imported again."""

    def __init__(self, file: TextIO | None, columns: Sequence[str]) -> None:
        """Write CSV when the rows came so, else JSON lines."""
        self._file = file
        self._columns = list(columns)
        self._csv = csv.writer(file) if file and columns else None
        if self._csv:
            self._csv.writerow([*self._columns, REASON, MESSAGE])

    def add(self, row: Row, reason: str, message: str) -> None:
        """One row."""
        if self._csv:
            self._csv.writerow([*(row.get(name, "") for name in self._columns), reason, message])
        elif self._file:
            line = json.dumps({**row, REASON: reason, MESSAGE: message}, ensure_ascii=False)
            self._file.write(line + "\n")


def _source(text: io.TextIOWrapper, raw: IO[bytes]) -> Source:
    first = text.readline(_SNIFFED)
    while first and not first.strip():
        first = text.readline(_SNIFFED)
    lines = _with_first(first, text)
    if _object(first) is not None:
        return Source((), _json_rows(lines), raw)
    if not first:
        return Source((), iter(()), raw)
    csv.field_size_limit(_ROW_CHARACTERS_MAX)
    said = _SEPARATOR.match(first)
    if said:  # what Excel writes, and reads, before the header
        lines = iter(text)
    delimiter = said[1] if said else max(_DELIMITERS, key=first.count)
    reader = csv.reader(lines, delimiter=delimiter)
    columns = tuple(next(reader, ()))
    return Source(columns, _csv_rows(reader, columns), raw)


def _with_first(first: str, rest: io.TextIOWrapper) -> Iterator[str]:
    yield first
    yield from rest


def _csv_rows(reader: Iterator[list[str]], columns: tuple[str, ...]) -> Iterator[Row]:
    """What is beyond the header's columns, or endless, makes a row unreadable: a quote is missing somewhere."""
    for cells in reader:
        if not any(cells):
            continue
        if len(cells) > len(columns) or sum(map(len, cells)) > _ROW_CHARACTERS_MAX:
            yield {UNREADABLE: ",".join(cells)[:_UNREADABLE_CHARACTERS_MAX]}
        else:
            said = zip(columns, cells, strict=False)
            yield {name: cell for name, cell in said if cell and name not in (REASON, MESSAGE)}


def _json_rows(lines: Iterator[str]) -> Iterator[Row]:
    for line in lines:
        if not line.strip():
            continue
        said = _object(line) if len(line) <= _ROW_CHARACTERS_MAX else None
        try:
            row = None if said is None else flat(said)
        except Refused:
            row = None
        if row is None:
            row = {UNREADABLE: line[:_UNREADABLE_CHARACTERS_MAX]}
        yield {
            whole(name): whole(value)
            for name, value in row.items()
            if name not in (REASON, MESSAGE)
        }


def _object(line: str) -> dict[str, Any] | None:
    """The JSON object of a line. The header of an Adjust file begins with a brace too, and is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
