"""``attribune postback`` before anything is told: what a template says, and one request sent by hand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attribune.cli import show
from attribune.cli.client import connect
from attribune.cli.exit_codes import FAILED
from attribune.cli.options import Json, MaybeData
from attribune.cli.pairs import pairs
from attribune.model.delivery import Trigger
from attribune.model.errors import Invalid

if TYPE_CHECKING:
    from attribune.postback.folders import PartnerFolder

Partner = Annotated[
    str,
    typer.Argument(help="A shipped partner, or a folder with a partner.toml.", metavar="PARTNER"),
]

Given = Annotated[list[str] | None, typer.Option("--set", help="A setting, as name=value.")]
Events = Annotated[
    list[str] | None, typer.Option("--event", help="An event's name, as ours=theirs.")
]


Hosts = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        help="A host that need not be of the public internet, such as your own.",
    ),
]


def register(commands: typer.Typer) -> None:
    """Add the commands."""
    commands.command(epilog="Example: attribune postback templates")(templates)
    commands.command(
        epilog="Example: attribune postback preview generic-get --set url='https://partner.example/pb?cid={partner_click_id}'"
    )(preview)
    commands.command(epilog="Example: attribune postback check partners/mine")(check)
    commands.command(
        "test",
        epilog="Example: attribune postback test generic-get --set url='http://127.0.0.1:9000/pb?cid={partner_click_id}' --allow-host 127.0.0.1",
    )(try_out)


def templates(json_: Json = False) -> None:
    """List the partners whose language is known, and what each needs to be set."""
    from attribune.postback import folders  # noqa: PLC0415 - other commands need no templates

    found = [folders.find(name) for name in folders.names()]
    if json_:
        return show.as_json({"templates": [_told(folder) for folder in found]})
    rows = (
        [folder.name, folder.data.title, ", ".join(_triggers(folder)), ", ".join(_needed(folder))]
        for folder in found
    )
    return show.table(("name", "partner", "told of", "settings"), rows, empty="")


def preview(
    partner: Partner,
    given: Given = None,
    events: Events = None,
    handle: Annotated[
        str | None,
        typer.Option("--of", help="What really happened to a device, touch, event … in --data."),
    ] = None,
    data: MaybeData = None,
    json_: Json = False,
) -> None:
    """Show what a partner would be told with these settings: of a handle, or in its own cases. Sends nothing."""
    from attribune.postback import folders  # noqa: PLC0415 - as above

    folder = folders.find(partner)
    settings, names = pairs(given, "set"), pairs(events, "event")
    if handle is None:
        shown = [folders.shown(folder, case, settings, names) for case in folder.cases]
    else:
        shown = _of(handle, data, folder, folders.hidden(folder, settings), names)
    if json_:
        return show.as_json({"previews": shown})
    for one in shown:
        _say_preview(one)
    if not shown:
        show.line(f"Nobody is credited with anything that {handle} leads to.")
    return None


def _of(
    handle: str,
    data: Path | None,
    folder: PartnerFolder,
    settings: dict[str, str],
    events: dict[str, str],
) -> list[dict[str, Any]]:
    if data is None:
        raise Invalid("give --data DIR: --of asks what happened there", param="data")
    words = {"handle": handle, "partner": folder.text, "settings": settings, "events": events}
    with connect(data) as house:
        previews: list[dict[str, Any]] = house.call("POST", "/api/postbacks/preview", words)[
            "previews"
        ]
    return previews


def check(partner: Partner, json_: Json = False) -> None:
    """Check a partner's folder, and that each of its cases comes out as cases.toml says."""
    from attribune.postback import folders  # noqa: PLC0415 - as above

    folder = folders.find(partner)
    found = [
        {"case": case.name, "ok": why is None, "why": why}
        for case in folder.cases
        for why in [folders.fails(folder, case)]
    ]
    is_ok = all(one["ok"] for one in found)
    if json_:
        show.as_json({"partner": folder.name, "ok": is_ok, "cases": found})
    else:
        _say_cases(folder, found)
    if not is_ok:
        raise typer.Exit(FAILED)


def _say_preview(one: dict[str, Any]) -> None:
    about = one.get("case") or f"{one['outcome_id']} revision {one['revision']}, {one['partner']}"
    show.line(f"{about} ({one['trigger']})")
    request = one["request"]
    if request is None:
        show.line(f"  nothing is sent: {one['skipped']}")
        return
    show.line(f"  {request['method']} {request['url']}")
    for name, value in request["headers"].items():
        show.line(f"  {name}: {value}")
    if request["body"]:
        show.line(f"  {request['body']}")


def try_out(
    partner: Partner,
    given: Given = None,
    events: Events = None,
    case: Annotated[
        str | None,
        typer.Option(help="Which of the partner's cases; the first that sends when left out."),
    ] = None,
    allow_host: Hosts = None,
    sign_with: Annotated[
        str | None,
        typer.Option(help="Sign it with this secret, as a postback that has it does."),
    ] = None,
    json_: Json = False,
) -> None:
    """Send one of a partner's cases for real, with these settings, and say what it answered. The partner may book it."""
    from attribune.engines.system import SystemClock  # noqa: PLC0415 - only this command sends
    from attribune.postback import folders, trial  # noqa: PLC0415 - the same

    folder = folders.find(partner)
    chosen = folders.case(folder, case)
    hosts = frozenset(allow_host or ())
    words = pairs(given, "set"), pairs(events, "event")
    now_ms = SystemClock().now_ms()
    tried = trial.sent(folder, chosen, *words, hosts, now_ms=now_ms, signing_secret=sign_with)
    if json_:
        show.as_json({"test": tried})
    else:
        _say_preview(tried)
        answer = tried["answer"]
        show.line(
            f"  {tried['came']} after {answer['took_ms']} ms: {answer['error'] or answer['status']}"
        )
        if answer["body"]:
            show.line(f"  {show.plain(answer['body'])}")
    if tried["came"] not in {"delivered", "repeated"}:
        raise typer.Exit(FAILED)


def _say_cases(folder: PartnerFolder, found: Iterable[dict[str, Any]]) -> None:
    rows = [["ok" if one["ok"] else "wrong", one["case"], one["why"] or ""] for one in found]
    empty = f"{folder.name} has no cases; write {folder.path / 'cases.toml'}"
    show.table(("", "case", "what is wrong"), rows, empty=empty)


def _told(folder: PartnerFolder) -> dict[str, Any]:
    settings = {
        name: {
            "help": one.help,
            "shape": one.shape,
            "required": one.required,
            "default": one.default,
        }
        for name, one in folder.data.settings.items()
    }
    return {
        "name": folder.name,
        "title": folder.data.title,
        "source": folder.data.source,
        "dialect": folder.data.dialect,
        "triggers": _triggers(folder),
        "settings": settings,
        "without_sharing": folder.data.without_sharing,
    }


def _triggers(folder: PartnerFolder) -> list[str]:
    """What a postback may be added for; a part of a reversal goes with the reversal."""
    told = (trigger for request in folder.data.requests for trigger in request.triggers)
    return [trigger for trigger in told if trigger is not Trigger.PARTIAL_REVERSAL]


def _needed(folder: PartnerFolder) -> list[str]:
    return [
        name if one.required and one.default is None else f"({name})"
        for name, one in folder.data.settings.items()
    ]
