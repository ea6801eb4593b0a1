"""``attribune audit``: whether it adds up."""

from __future__ import annotations

from typing import Any

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
            show.line(f"{_verdict(check)}  {check['name']}: {check['sentence']}")
            if check["not_made"]:
                show.line(f"       not judged: {check['not_made']}")
            for found in check["found"]:
                show.line(f"       {found}")
        verdict = "Everything adds up" if answer["ok"] else "Something does not add up"
        show.line(f"{verdict}{_since(answer)}; {answer['lag']} entries are not judged yet.")
    if not answer["ok"]:
        raise typer.Exit(DOES_NOT_ADD_UP)


def _verdict(check: dict[str, Any]) -> str:
    if not check["ok"]:
        return "NOT"
    return "-- " if check["not_made"] else "ok "


def _since(answer: dict[str, Any]) -> str:
    if not answer["start"]:
        return ""
    return (
        f" from entry {answer['start'] + 1} on ({show.moment(answer['since_ms'])}); "
        f"what stood before was pruned and is not judged"
    )
