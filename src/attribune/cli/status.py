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
from attribune.model.status import BreakerState


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command(epilog="Example: attribune status --data D")(status)


_DAY_S: Final = 86_400
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
        _show_breakers(row["breakers"])
    _show_disk(answer["disk"])
    return _show_forgetting(answer["forgetting"])


def _show_breakers(found: dict[str, str]) -> None:
    """Partners that are not there; of those that are nothing is said."""
    silent = [
        f"{postback} ({state})" for postback, state in found.items() if state != BreakerState.CLOSED
    ]
    if silent:
        show.line(f"partners that do not answer or turn all away, by postback: {', '.join(silent)}")


def _show_disk(disk: dict[str, Any]) -> None:
    show.line()
    rows = [[part, show.size(used)] for part, used in disk["used_bytes"].items()]
    show.table(("part", "on disk"), rows, empty="")
    growth, full_in_s = disk["growth_bytes_per_day"], disk["full_in_s"]
    grows = (
        "it is not known yet what it grows by"
        if growth is None
        else f"{show.size(growth)} more a day"
    )
    full = (
        ""
        if full_in_s is None
        else f"; at that rate the disk is full in {full_in_s / _DAY_S:.1f} days"
    )
    show.line(
        f"{show.size(disk['free_bytes'])} of {show.size(disk['total_bytes'])} are free; {grows}{full}."
    )
    if disk["journal_start"]:
        show.line(
            f"The journal was pruned up to {disk['journal_start']}; what is kept begins "
            f"{show.moment(disk['journal_begun_at_ms'])}."
        )
    backup = disk["backup"]
    said = (
        f"of {show.moment(backup['created_at_ms'])}, in {backup['path']}" if backup else "none yet"
    )
    show.line(f"Newest backup: {said}. A prune could free {show.size(disk['prunable_bytes'])} now.")


def _show_forgetting(found: dict[str, Any]) -> None:
    at_ms = found["scrubbed_at_ms"]
    scrubbed = "never scrubbed yet" if at_ms is None else f"last scrubbed {show.moment(at_ms)}"
    waiting = (
        f"{found['waiting']} wait for that, the oldest since {show.moment(found['waiting_since_ms'])}"
        if found["waiting"]
        else "none waits for that"
    )
    show.line(f"Requests to forget: the journal was {scrubbed}; {waiting}.")


def _asked(data: Path) -> dict[str, Any]:
    """What the API says, or, of a house whose web role is down, what the roles last wrote."""
    from attribune import wire  # noqa: PLC0415  # opens the journal only when nobody answers

    try:
        with connect(data, _ANSWER_WAIT_S, _ANSWER_WAIT_S) as house:
            return house.call("GET", "/api/status")
    except (FolderHeld, Failed) as fault:
        if isinstance(fault, Failed) and fault.error["code"] != "unavailable":
            raise
        return wire.standing(data)
