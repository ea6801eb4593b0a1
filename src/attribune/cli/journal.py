"""``attribune journal``: the truth as it was written."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, Final

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.options import Data, Json
from attribune.model.position import Topic

commands = typer.Typer(name="journal", help="The journal.", no_args_is_help=True)

_FOLLOW_S: Final = 0.5
_RECORD_CHARACTERS: Final = 300


@commands.callback()
def _nouns() -> None:
    """The journal: everything that came in, was changed or decided, in one order."""


@commands.command(epilog="Example: attribune journal tail --data D --topic outcomes --last 5")
def tail(
    data: Data,
    last: Annotated[
        int, typer.Option(help="How many of the newest entries.", min=1, max=1000)
    ] = 20,
    after: Annotated[
        int | None, typer.Option(help="Entries after this place instead.", min=0)
    ] = None,
    topic: Annotated[Topic | None, typer.Option(help="Only of this topic.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until interrupted.")] = False,
    json_: Json = False,
) -> None:
    """Show entries of the journal, without secrets."""
    with connect(data) as house:
        query: dict[str, Any] = {"last": last, "after": after, "topic": topic}
        answer = house.call("GET", "/api/journal", query=query)
        if json_ and not follow:
            return show.as_json(answer)
        while True:
            for entry in answer["entries"]:
                _show(entry, is_json=json_)
            if not follow:
                return None
            time.sleep(_FOLLOW_S)
            query = {"after": answer["next"], "topic": topic}
            answer = house.call("GET", "/api/journal", query=query)


@commands.command(epilog="Example: attribune journal retell --data D --dry-run")
def retell(
    data: Data,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be told again.")
    ] = False,
    json_: Json = False,
) -> None:
    """Have records judged anew that a mistake of Attribune's own kept from being judged.

    `attribune audit` says when there are any. Install a version without the mistake first.
    """
    with connect(data) as house, show.progress(is_quiet=json_) as bar:
        bar.add_task("reading the journal", total=None)
        if dry_run:
            answer = house.call("GET", "/api/journal/set-aside")
        else:
            answer = house.call("POST", "/api/journal/retell")
    if json_:
        return show.as_json(answer)
    rows = [
        (one["record"], one["record_type"], one["position"])
        for one in answer["set_aside" if dry_run else "retold"]
    ]
    show.table(("record", "type", "entry"), rows, empty="Every record was judged.")
    if rows and not dry_run:
        left = len(answer["set_aside"])
        show.line(f"{len(rows)} told again; {left} are set aside now.")
    return None


def _show(entry: dict[str, Any], *, is_json: bool) -> None:
    if is_json:
        return show.as_json(entry)
    record = json.dumps(entry["record"], ensure_ascii=False)[:_RECORD_CHARACTERS]
    return show.line(f"{entry['position']:>10}  {entry['topic']:<9} {record}")
