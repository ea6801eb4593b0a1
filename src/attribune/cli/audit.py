"""``attribune audit``: whether it adds up."""

from __future__ import annotations

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.exit_codes import DOES_NOT_ADD_UP
from attribune.cli.options import Data, Json


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command(epilog="Example: attribune audit --data D")(audit)


def audit(data: Data, json_: Json = False) -> None:
    """Check that every number adds up, over the whole folder; ends with 10 when one does not."""
    with connect(data) as house, show.progress(is_quiet=json_) as bar:
        bar.add_task("auditing", total=None)
        answer = house.call("GET", "/api/audit")
    if json_:
        show.as_json(answer)
    else:
        for check in answer["checks"]:
            show.line(f"{'ok ' if check['ok'] else 'NOT'}  {check['name']}: {check['sentence']}")
            for found in check["found"]:
                show.line(f"       {found}")
        verdict = "Everything adds up" if answer["ok"] else "Something does not add up"
        show.line(f"{verdict}; {answer['lag']} entries are not judged yet.")
    if not answer["ok"]:
        raise typer.Exit(DOES_NOT_ADD_UP)
