"""``attribune doctor``: what must be done on this machine, before it hurts."""

from __future__ import annotations

from collections import Counter

import msgspec
import typer

from attribune.cli import show
from attribune.cli.exit_codes import UNWELL
from attribune.cli.options import Data, Json


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command(epilog="Example: attribune doctor --data D")(doctor)


def doctor(data: Data, json_: Json = False) -> None:
    """Look at machine, disk, folder, settings and the house that serves; ends with 11 when something must be done.

    Nothing is changed, whether a house serves the folder or not. Run it as the user that serves.
    """
    from attribune.doctor.check import Verdict  # noqa: PLC0415  # loads the rooms that it looks at
    from attribune.wire.doctoring import checkup  # noqa: PLC0415  # the same

    found = checkup(data)
    if json_:
        show.as_json({"doctor": msgspec.to_builtins(found)})
    else:
        columns = ("check", "verdict", "seen", "do")
        rows = ((c.id, c.verdict.upper(), c.seen, c.remedy) for c in found.checks)
        show.table(columns, rows, empty="There is nothing to look at.")
        counted = Counter(c.verdict for c in found.checks)
        show.line()
        show.line(
            f"{counted[Verdict.FAIL]} must be done, {counted[Verdict.WARN]} should be looked at, {counted[Verdict.OK]} are well."
        )
    if found.verdict is Verdict.FAIL:
        raise typer.Exit(UNWELL)
