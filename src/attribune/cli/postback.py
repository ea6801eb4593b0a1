"""``attribune postback``: what partners are told, and what they would be."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from attribune.cli import postback_try, show
from attribune.cli.client import connect
from attribune.cli.options import Data, Json
from attribune.cli.pairs import pairs
from attribune.cli.postback_try import Events, Given, Hosts
from attribune.model.delivery import DeliveryState, Trigger
from attribune.model.errors import Invalid
from attribune.model.offer import Counts

commands = typer.Typer(
    name="postback", help="Postbacks: what partners are told, and how.", no_args_is_help=True
)

postback_try.register(commands)


PostbackId = Annotated[str, typer.Argument(help="Id of the postback.", metavar="POSTBACK")]
Concurrency = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Requests under way at a time at the partner, by all its postbacks together: the lowest that one says, or 8; 0 says none.",
    ),
]
PerSecond = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Most requests a second to the partner, by all its postbacks together: the lowest that one says; 0 says none.",
    ),
]


@commands.command(
    epilog="Example: attribune postback add --data D --partner acme --template generic-get --trigger install "
    "--set url='https://partner.example/pb?cid={partner_click_id}&id={delivery_id}'"
)
def add(
    data: Data,
    template: Annotated[
        str, typer.Option(help="A shipped partner, or a folder with a partner.toml.")
    ],
    partner: Annotated[
        str | None, typer.Option(help="Id or name of the partner who is told of its own.")
    ] = None,
    all_partners: Annotated[
        bool,
        typer.Option(
            "--all-partners", help="Tell of everything, whoever is credited: for your own systems."
        ),
    ] = False,
    trigger: Annotated[
        list[str] | None,
        typer.Option(
            help="What is told of: install, event, reversal …, or event:NAME for one event; may be given again. "
            "All that the template can when left out."
        ),
    ] = None,
    given: Given = None,
    events: Events = None,
    app: Annotated[
        list[str] | None, typer.Option(help="Only outcomes of this app; may be given again.")
    ] = None,
    counts: Annotated[
        Counts,
        typer.Option(help="Whose decisions are told of: own, or those that a vendor told us."),
    ] = Counts.OWN,
    allow_host: Hosts = None,
    callback_host: Annotated[
        list[str] | None,
        typer.Option(help="A host that addresses on the partner's clicks may lead to."),
    ] = None,
    sign: Annotated[
        bool | None,
        typer.Option(
            "--sign/--no-sign",
            help="Sign requests; the secret is shown this once. Those to your own systems (webhook) are signed when left out.",
        ),
    ] = None,
    in_order: Annotated[
        bool, typer.Option("--in-order", help="One device's postbacks go out one after the other.")
    ] = False,
    concurrency: Concurrency = None,
    per_second: PerSecond = None,
    json_: Json = False,
) -> None:
    """Begin to tell a partner, by a template, of what it brings from now on."""
    from attribune.postback import folders  # noqa: PLC0415 - other commands need no templates

    folder = folders.find(template)
    triggers, only_events = _triggers(trigger or [])
    is_own = folder.path.parent != folders.SHIPPED
    words = {
        "partner": partner,
        "all_partners": all_partners,
        "template": folder.name,
        "data": folder.text if is_own else None,
        "triggers": triggers,
        "settings": pairs(given, "set"),
        "events": pairs(events, "event"),
        "only_events": only_events,
        "apps": app or [],
        "counts": counts,
        "allowed_hosts": allow_host or [],
        "callback_hosts": callback_host or [],
        "sign": sign,
        "in_order": in_order,
        "concurrency": concurrency,
        "per_second": per_second,
    }
    with connect(data) as house:
        answer = house.call("POST", "/api/postbacks", words)
    if json_:
        return show.as_json(answer)
    show.fields(answer["postback"])
    of_partner = f" --partner {partner}" if partner else ""
    return show.line(f"Next: attribune postback log --data {data}{of_partner}")


@commands.command(
    epilog="Example: attribune postback edit --data D acme-tune-7dk2m9 --set network=example.go2cloud.org --per-second 20"
)
def edit(
    data: Data,
    postback: PostbackId,
    given: Given = None,
    unset: Annotated[
        list[str] | None,
        typer.Option(help="A setting that is taken away; may be given again."),
    ] = None,
    trigger: Annotated[
        list[str] | None,
        typer.Option(
            help="Tell of this too, from now on: install, event, reversal …, or event:NAME; may be given again."
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            help="The hosts that need not be of the public internet, these and no others; none with ''."
        ),
    ] = None,
    callback_host: Annotated[
        list[str] | None,
        typer.Option(
            help="The hosts that addresses on the partner's clicks may lead to, these and no others."
        ),
    ] = None,
    in_order: Annotated[
        bool | None,
        typer.Option(
            "--in-order/--any-order", help="One device's postbacks go out one after the other."
        ),
    ] = None,
    concurrency: Concurrency = None,
    per_second: PerSecond = None,
    json_: Json = False,
) -> None:
    """Change where and how a partner is told; what waits goes out by that, and what was told stays told."""
    settings: dict[str, str | None] = {**pairs(given, "set")}
    for name in unset or []:
        if name in settings:
            raise Invalid(f"give --set {name} or --unset {name}, and not both", param="unset")
        settings[name] = None
    triggers, events = _triggers(trigger or [])
    words = {
        "settings": settings,
        "more_triggers": triggers,
        "more_events": events,
        "allowed_hosts": _hosts(allow_host),
        "callback_hosts": _hosts(callback_host),
        "in_order": in_order,
        "concurrency": concurrency,
        "per_second": per_second,
    }
    with connect(data) as house:
        answer = house.call("PATCH", f"/api/postbacks/{postback}", words)
    show.as_json(answer) if json_ else show.fields(answer["postback"])


def _hosts(given: list[str] | None) -> list[str] | None:
    """The hosts that are named; None when nothing was said of them."""
    return None if given is None else [host for host in given if host]


@commands.command("list", epilog="Example: attribune postback list --data D --partner acme")
def list_(
    data: Data,
    partner: Annotated[str | None, typer.Option(help="Id or name of a partner.")] = None,
    json_: Json = False,
) -> None:
    """List postbacks, and how what they tell stands."""
    with connect(data) as house:
        answer = house.pages("/api/postbacks", "postbacks", {"partner": partner})
    if json_:
        return show.as_json(answer)
    columns = (
        "id",
        "partner",
        "template",
        "told of",
        "counts",
        "state",
        "breaker",
        "waiting",
        "delivered",
        "gave up",
    )
    rows = (
        [
            *(row["id"], row["partner"] or "all", row["template"], ", ".join(row["triggers"])),
            row["counts"],
            row["state"],
            row["breaker"] or "",
            *(row["deliveries"][name] for name in ("waiting", "delivered", "gave_up")),
        ]
        for row in answer["postbacks"]
    )
    return show.table(
        columns, rows, empty="Nobody is told yet; see `attribune postback add --help`."
    )


@commands.command(epilog="Example: attribune postback pause --data D acme-impact-7dk2m9")
def pause(
    data: Data,
    postback: PostbackId,
    off: Annotated[bool, typer.Option("--off", help="Let it go on.")] = False,
    json_: Json = False,
) -> None:
    """Hold a postback, or let it go on; what is to be told meanwhile is kept."""
    with connect(data) as house:
        verb = "resume" if off else "pause"
        answer = house.call("POST", f"/api/postbacks/{postback}/{verb}")
    show.as_json(answer) if json_ else show.fields(answer["postback"])


@commands.command(epilog="Example: attribune postback end --data D acme-impact-7dk2m9")
def end(data: Data, postback: PostbackId, json_: Json = False) -> None:
    """Tell no more by a postback; what waits is given up."""
    with connect(data) as house:
        answer = house.call("POST", f"/api/postbacks/{postback}/end")
    show.as_json(answer) if json_ else show.fields(answer["postback"])


@commands.command(epilog="Example: attribune postback log --data D --partner acme --state waiting")
def log(
    data: Data,
    partner: Annotated[str | None, typer.Option(help="Id or name of a partner.")] = None,
    postback: Annotated[str | None, typer.Option(help="Id of a postback.")] = None,
    state: Annotated[DeliveryState | None, typer.Option(help="Only what stands so.")] = None,
    outcome: Annotated[
        str | None, typer.Option(help="Only of this conversion, or of the event with this id.")
    ] = None,
    before: Annotated[
        int | None,
        typer.Option(help="Only what is older: the `next` that the page before ended with."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most rows, up to 1000.")] = 100,
    json_: Json = False,
) -> None:
    """Show what partners were told, the newest first: each request, each answer, and why one was not told."""
    words = {
        "partner": partner,
        "postback": postback,
        "state": state,
        "outcome": outcome,
        "before": before,
        "limit": limit,
    }
    with connect(data) as house:
        answer = house.call("GET", "/api/deliveries", query=words)
    if json_:
        return show.as_json(answer)
    columns = ("delivery", "partner", "trigger", "outcome", "state", "tries", "last answer", "why")
    rows = ([show.plain(str(cell)) for cell in _logged(row)] for row in answer["rows"])
    show.table(columns, rows, empty="Nothing was told yet.")
    if answer["next"] is not None:
        show.line(f"Older ones: the same with --before {answer['next']}")
    return None


@commands.command(
    epilog="Example: attribune postback redeliver --data D dl_2c1f0e5b7a9d4c33b1a0e6f2"
)
def redeliver(
    data: Data,
    deliveries: Annotated[
        list[str] | None, typer.Argument(help="Ids of deliveries.", metavar="[DELIVERY]...")
    ] = None,
    postback: Annotated[
        str | None, typer.Option(help="All that this postback gave up, some thousand at a time.")
    ] = None,
    json_: Json = False,
) -> None:
    """Send deliveries again, whatever came of them, under the same delivery ids; not what was taken back or corrected since."""
    if bool(deliveries) == bool(postback):
        raise typer.BadParameter("name deliveries, or give --postback")
    words = {"deliveries": deliveries or [], "postback": postback}
    with connect(data) as house:
        answer = house.call("POST", "/api/deliveries/again", words)
    if json_:
        return show.as_json(answer)
    for why, count in answer["skipped"].items():
        show.line(f"{count} skipped: {why}.")
    return show.line(f"{len(answer['deliveries'])} will be sent again.")


def _triggers(given: list[str]) -> tuple[list[Trigger], list[str]]:
    """What is told of, and the only events. Raises Invalid."""
    triggers: list[Trigger] = []
    events: list[str] = []
    for one in given:
        kind, _, event = one.partition(":")
        if kind not in set(Trigger) or (event and kind != Trigger.EVENT):
            known = ", ".join(Trigger)
            raise Invalid(
                f"{one!r} is none of {known}; one event is told of by event:NAME", param="trigger"
            )
        triggers.append(Trigger(kind))
        events += [event] if event else []
    if events and "event" in given:
        raise Invalid("give event, or event:NAME, and not both", param="trigger")
    return list(dict.fromkeys(triggers)), events


def _logged(row: dict[str, Any]) -> list[Any]:
    tried = row["attempts"]
    last = (tried[-1]["status"] or tried[-1]["error"]) if tried else ""
    return [
        *(row["delivery_id"], row["partner"], row["trigger"], row["outcome_id"], row["state"]),
        *(len(tried), last, row["reason"] or ""),
    ]
