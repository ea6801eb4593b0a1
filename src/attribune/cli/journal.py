"""``attribune journal``: the truth as it was written."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.options import Data, Json
from attribune.cli.sizes import size
from attribune.model.position import Topic

if TYPE_CHECKING:
    from attribune.backup.prune import Pruned

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


@commands.command(
    epilog="Example: attribune journal prune --data D --older-than-days 400 --dry-run"
)
def prune(
    data: Data,
    older_than_days: Annotated[
        int | None,
        typer.Option(
            help="Prune segments whose newest entry is older than this.", min=1, max=36500
        ),
    ] = None,
    keep_size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Prune the oldest while the journal is larger: 200GB."),
    ] = None,
    backup: Annotated[
        Path | None, typer.Option(help="The backup that holds them; the newest without.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    json_: Json = False,
) -> None:
    """Remove the oldest segments of the journal, served or not, once a backup holds them and nothing needs them.

    What people changed stays for ever. Touches and records are never younger than they are remembered when they go.
    """
    from attribune.backup.prune import Wish  # noqa: PLC0415  # loads the journal's driver
    from attribune.model.policy import DAY_MS  # noqa: PLC0415  # the same
    from attribune.wire.pruning import prune as prune_  # noqa: PLC0415  # the same

    wish = Wish(
        older_than_ms=None if older_than_days is None else older_than_days * DAY_MS,
        keep_bytes=None if keep_size is None else size(keep_size, "keep_size"),
        backup=backup,
        is_dry_run=dry_run,
    )
    with show.bytes_bar("reading the backup", is_quiet=json_) as progress:
        done = prune_(data, wish, progress)
    if json_:
        return show.as_json({"prune": msgspec.to_builtins(done)})
    return _show_pruned(done)


@commands.command(epilog="Example: attribune journal scrub --data D --dry-run")
def scrub(
    data: Data,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be rewritten.")
    ] = False,
    json_: Json = False,
) -> None:
    """Rewrite the journal's closed segments without what names people who were forgotten, served or not.

    What was refused at the door and is older than `raw_days` loses its content.

    Places, decisions and sums stay. A house that serves does it by itself, every `scrub_ms`. Older backups hold what they held: let them go in time.
    """
    from attribune.wire.scrubbing import scrub as scrub_  # noqa: PLC0415  # loads the journal's driver

    with show.progress(is_quiet=json_) as bar:
        bar.add_task("reading the journal", total=None)
        done = scrub_(data, is_dry_run=dry_run)
    if json_:
        return show.as_json({"scrub": msgspec.to_builtins(done)})
    rows = [(one.name, one.first, one.last, one.entries) for one in done.segments]
    columns = ("segment", "first entry", "last", "entries scrubbed")
    show.table(columns, rows, empty="No closed segment names anybody who was forgotten.")
    if done.waiting:
        show.line(
            f"{done.waiting} more requests to forget stand in the newest segment, or are not read by all yet: scrub again later."
        )
    return None


def _show_pruned(done: Pruned) -> None:
    rows = [
        (
            one.name,
            one.first,
            one.last,
            show.moment(one.begun_at_ms),
            show.moment(one.over_at_ms),
            show.size(one.bytes),
        )
        for one in done.segments
    ]
    columns = ("segment", "first entry", "last", "begun", "over", "size")
    show.table(columns, rows, empty="Nothing is as old, and the journal is no larger.")
    if rows:
        deed = "would be freed" if done.is_dry_run else "freed"
        show.line(
            f"{show.size(done.freed_bytes)} {deed}; {show.size(done.kept_bytes)} of the journal are kept."
        )
        show.line(f"All of it stands in {done.backup}: keep that, or a later one beside it.")
    if done.held_back:
        show.line(f"The rest stays: {done.held_back}.")


def _show(entry: dict[str, Any], *, is_json: bool) -> None:
    if is_json:
        return show.as_json(entry)
    record = json.dumps(entry["record"], ensure_ascii=False)[:_RECORD_CHARACTERS]
    return show.line(f"{entry['position']:>10}  {entry['topic']:<9} {record}")
