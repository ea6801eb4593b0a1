"""``attribune shadow``: our own decisions beside another measurement partner's."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.options import App, Data, Json
from attribune.model.activity import Vendor

_COUNTS: Final = ("agree", "disagree", "only_here", "only_there")
#: Disagreements shown where no list is asked for.
_EXAMPLES: Final = 10
_LISTED_MAX: Final = 10_000


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command(
        epilog="Example: attribune shadow --data D --app game-android --against adjust --from 2026-03-01 --list"
    )(shadow)


def shadow(
    data: Data,
    app: App,
    against: Annotated[Vendor, typer.Option(help="Whose decisions ours are compared with.")],
    first_day: Annotated[
        str | None, typer.Option("--from", help="First day, such as 2026-03-01.")
    ] = None,
    last_day: Annotated[str | None, typer.Option("--to", help="Last day, included.")] = None,
    tolerance_h: Annotated[
        int,
        typer.Option("--tolerance", help="Hours that two times of one install may be apart."),
    ] = 48,
    list_: Annotated[bool, typer.Option("--list", help="Every disagreement, both sides.")] = False,
    json_: Json = False,
) -> None:
    """Compare our installs with those that another measurement partner told of, and say why each differs."""
    query = {
        "app": app,
        "against": against.value,
        "first_day": first_day,
        "last_day": last_day,
        "tolerance_h": tolerance_h,
        "limit": _LISTED_MAX if list_ else _EXAMPLES,
    }
    with connect(data) as house:
        found = house.call("GET", "/api/shadow", query=query)["shadow"]
    if json_:
        counts = {name: found[name] for name in (*_COUNTS, "by_reason")}
        return show.as_json(counts | ({"disagreements": found["disagreements"]} if list_ else {}))
    show.fields({name: found[name] for name in _COUNTS})
    reasons = found["by_reason"].items()
    show.table(("reason", "installs"), reasons, empty=_all_is_well(found, against))
    if found["disagreements"]:
        columns = ("reason", "at here", "at there", "here", "there", "network", "conversion")
        show.table(columns, map(_line, found["disagreements"]), empty="")
    more = found["disagree"] - len(found["disagreements"])
    if more > 0:
        show.line(f"and {more} more; --list shows up to {_LISTED_MAX}.")
    if found["lag"]:
        show.line(f"{found['lag']} entries are not judged yet.")
    return None


def _all_is_well(found: dict[str, Any], against: Vendor) -> str:
    """What no reason means: that all agree, or that there is nothing in which they could."""
    if found["agree"]:
        return "Of what both tell, nothing differs."
    return f"There is no install that both we and {against.value} tell of."


def _line(one: dict[str, Any]) -> list[Any]:
    times = [show.moment(one[name]) for name in ("at_here_ms", "at_there_ms")]
    sides = [one[name] or "(nobody)" for name in ("partner_here", "partner_there")]
    return [one["reason"], *times, *sides, one["network"], one["conversion"]]
