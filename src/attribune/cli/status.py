"""``attribune status``: where the house stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.failure import Failed
from attribune.cli.options import Data, Json
from attribune.model.errors import FolderHeld


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command(epilog="Example: attribune status --data D")(status)


#: How long a house may take to answer before its status is read from what its roles wrote. Seconds.
_ANSWER_WAIT_S: Final = 2.0


def status(data: Data, json_: Json = False) -> None:
    """Show roles, positions, lags, restarts, last errors and rates."""
    answer = _asked(data)
    if json_:
        return show.as_json(answer)
    found = answer["status"]
    serving = f"serves at {found['collector_url']}" if found["is_serving"] else "is not served"
    show.line(f"{found['data']} {serving}; the journal ends at {found['journal_end']}")
    columns = ("role", "state", "pid", "position", "lag", "restarts", "last_exit", "last_error")
    rows = ([row[column] for column in columns] for row in found["roles"])
    show.table(columns, rows, empty="There are no roles.")
    for row in found["roles"]:
        if row["counters"]:
            counted = "  ".join(
                f"{name} {value} ({row['rates'][name]}/s)"
                for name, value in row["counters"].items()
            )
            show.line(f"{row['role']}: {counted}")
    return None


def _asked(data: Path) -> dict[str, Any]:
    """What the API says, or, of a house whose web role is down, what the roles last wrote."""
    from attribune import wire  # noqa: PLC0415  # opens the journal only when nobody answers

    try:
        with connect(data, _ANSWER_WAIT_S, _ANSWER_WAIT_S) as house:
            return house.call("GET", "/api/status")
    except (FolderHeld, Failed) as fault:
        if isinstance(fault, Failed) and fault.error["code"] != "unavailable":
            raise
        return {"status": wire.standing(data)}
