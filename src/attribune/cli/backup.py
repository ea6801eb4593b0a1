"""``attribune backup`` and ``attribune restore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from attribune.cli import show
from attribune.cli.options import Data, Json


def register(commands: typer.Typer) -> None:
    """Add both commands."""
    commands.command(epilog="Example: attribune backup /backups/2026-11-25 --data D")(backup)
    commands.command(epilog="Example: attribune restore /backups/2026-11-25 --data NEW")(restore)


def backup(
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="The new folder of the backup.")],
    data: Data,
    json_: Json = False,
) -> None:
    """Copy the journal and the settings of a data folder, served or not, into a new folder. It holds secrets: keep it safe."""
    from attribune.wire.backups import backup as take  # noqa: PLC0415  # loads the journal's driver

    with show.bytes_bar("backing up", is_quiet=json_) as progress:
        taken = take(data, dest, progress)
    if json_:
        return show.as_json({"backup": msgspec.to_builtins(taken)})
    show.line(
        f"{taken.path}: entries {taken.first} to {taken.end} in {taken.segments} segments; "
        f"{show.size(taken.copied_bytes)} copied, {show.size(taken.linked_bytes)} linked from earlier backups."
    )
    if not taken.is_noted:
        show.line(
            "The data folder could not take note of it, so `attribune status` will not show it."
        )
    return show.line(f"To try it: attribune restore {taken.path} --data NEW")


def restore(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="The folder of a backup.")],
    data: Data,
    json_: Json = False,
) -> None:
    """Make a data folder from a backup. Every file is checked before any is visible; nothing is overwritten."""
    from attribune.wire.backups import restore as give  # noqa: PLC0415  # the same

    with show.bytes_bar("restoring", is_quiet=json_) as progress:
        given = give(source, data, progress)
    if json_:
        return show.as_json({"restore": msgspec.to_builtins(given)})
    show.line(
        f"{given.data}: entries {given.first} to {given.end}, {show.size(given.bytes)}, "
        f"as of {show.moment(given.created_at_ms)}."
    )
    if given.kept_settings:
        show.line("The attribune.toml that stood there was left.")
    show.line(
        f"Next: attribune audit --data {given.data}    makes the views again and checks everything"
    )
    return show.line(f"then: attribune serve --data {given.data}")
