"""``attribune replay``: what would have been."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.options import Data, Json, MaybeProduct
from attribune.cli.policy import read_file


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command(epilog="Example: attribune replay --data D --policy appsflyer")(replay)


def replay(
    data: Data,
    policy: Annotated[
        str | None,
        typer.Option(
            help="A preset's name, or a TOML or JSON file; the rules in force then when left out."
        ),
    ] = None,
    product: MaybeProduct = None,
    json_: Json = False,
) -> None:
    """Decide history again, under other rules or the same, and show who gains and who loses. Writes nothing."""
    body: dict[str, Any] = {"product": product}
    if policy is not None:
        path = Path(policy)
        is_file = path.suffix in (".toml", ".json") or path.is_file()
        body |= {"policy": read_file(path)} if is_file else {"preset": policy}
    with connect(data) as house, show.progress(is_quiet=json_) as bar:
        bar.add_task("deciding again", total=None)
        answer = house.call("POST", "/api/replay", body)
    if json_:
        return show.as_json(answer)
    show.line(f"{answer['judged']} conversions judged, {answer['changed']} would change.")
    if answer["as_recorded"]:
        show.line(f"{answer['as_recorded']} records were scrubbed and stand as they were decided.")
    partners = sorted({*answer["gains"], *answer["losses"]})
    rows = ([p, answer["gains"].get(p, 0), answer["losses"].get(p, 0)] for p in partners)
    show.table(("partner", "gains", "losses"), rows, empty="No partner gains or loses.")
    columns = ("conversion", "kind_now", "partner_then", "partner_now", "method_now")
    stories = [[story[column] for column in columns] for story in answer["stories"]]
    if stories:
        show.line()
        show.table(columns, stories, empty="")
    return None
