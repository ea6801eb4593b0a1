"""Answers on the terminal: one JSON object, or tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from attribune.doctor import words

if TYPE_CHECKING:
    from rich.progress import Progress


#: Columns of a table that goes into a file or a pipe, where nothing should be folded.
_FILE_WIDTH: Final = 240


def as_json(answer: Mapping[str, Any]) -> None:
    """Print one object on one line, at once: a house goes on after its first."""
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def line(text: str = "") -> None:
    """Print a line for people, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def notes(sentences: Iterable[str]) -> None:
    """Print what to know beside an answer, on stderr, so that the answer stays what a program reads."""
    for sentence in sentences:
        sys.stderr.write(f"note: {plain(sentence)}\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """Print rows under their columns, or a sentence when there are none."""
    from rich.console import Console  # noqa: PLC0415  # costs more than most commands
    from rich.table import Table  # noqa: PLC0415  # the same

    found = [[plain(_cell(value)) for value in row] for row in rows]
    if not found:
        line(empty)
        return
    shown = Table(box=None, pad_edge=False, header_style="bold")
    numeric = [all(_is_number(row[i]) for row in found) for i in range(len(columns))]
    for column, is_numeric in zip(columns, numeric, strict=True):
        shown.add_column(column, justify="right" if is_numeric else "left", overflow="fold")
    for row in found:
        shown.add_row(*row)
    # What stands in a cell is somebody's words, and no markup.
    Console(width=None if sys.stdout.isatty() else _FILE_WIDTH, markup=False).print(shown)


def fields(thing: Mapping[str, Any]) -> None:
    """Print one thing, a field a line, leaving out what is absent."""
    present = {
        name: plain(_cell(value))
        for name, value in thing.items()
        if value not in (None, [], {}, "")
    }
    width = max(map(len, present), default=0)
    for name, value in present.items():
        line(f"{name:<{width}}  {value}")


def plain(text: str) -> str:
    """Somebody else's words on one line, without what a terminal would obey."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def moment(at_ms: int | None) -> str | None:
    """A time as people read it, to the second, UTC."""
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms // 1000, UTC).isoformat().replace("+00:00", "Z")


def size(bytes_: int) -> str:
    """A size as people read it."""
    return words.size(bytes_)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "  ".join(f"{name} {inner}" for name, inner in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return str(value)


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).isdigit() or text == "-"


@contextmanager
def progress(*, is_quiet: bool, is_bytes: bool = False) -> Iterator[Progress]:
    """A progress bar on stderr, counting things or bytes; none where nobody looks."""
    from rich.console import Console  # noqa: PLC0415  # only long work needs it
    from rich.progress import (  # noqa: PLC0415  # the same
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True) if is_bytes else MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    hidden = is_quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        yield bar


@contextmanager
def bytes_bar(doing: str, *, is_quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar that is told bytes done and in all."""
    with progress(is_quiet=is_quiet, is_bytes=True) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def stories(answer: Mapping[str, Any]) -> None:
    """Print stories as the report room tells them to people."""
    import msgspec  # noqa: PLC0415  # only stories need it
    from rich.console import Console  # noqa: PLC0415  # the same

    from attribune.report.stories import Explained  # noqa: PLC0415  # the same
    from attribune.report.told import all_shown  # noqa: PLC0415  # the same

    Console(width=None if sys.stdout.isatty() else _FILE_WIDTH).print(
        all_shown(msgspec.convert(answer, Explained))
    )
