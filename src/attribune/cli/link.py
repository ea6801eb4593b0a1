"""``attribune link``: tracking links."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from attribune.cli import show
from attribune.cli.client import Client, connect
from attribune.cli.options import Data, Json, MaybeApp, MaybeProduct
from attribune.model.errors import Invalid

commands = typer.Typer(name="link", help="Tracking links.", no_args_is_help=True)

Word = str | None
Campaign = Annotated[Word, typer.Option(help="Campaign that the link speaks for.")]
CampaignId = Annotated[Word, typer.Option(help="The partner's id of the campaign.")]
Adgroup = Annotated[Word, typer.Option(help="Ad group.")]
AdgroupId = Annotated[Word, typer.Option(help="The partner's id of the ad group.")]
Creative = Annotated[Word, typer.Option(help="Creative.")]
CreativeId = Annotated[Word, typer.Option(help="The partner's id of the creative.")]
SiteId = Annotated[Word, typer.Option(help="Publisher's place inside the partner.")]
SubSiteId = Annotated[Word, typer.Option(help="Place inside the site.")]
Retargeting = Annotated[
    bool | None,
    typer.Option("--retargeting/--no-retargeting", help="It speaks to people who have the app."),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target", metavar="PLATFORM=URL", help="Where people of a platform go. Repeatable."
    ),
]
Hosts = Annotated[
    list[str] | None,
    typer.Option("--allowed-host", help="Host that a redirect parameter may lead to. Repeatable."),
]
Networks = Annotated[
    list[str] | None,
    typer.Option("--allowed-network", help="Network whose hits may steer. Repeatable."),
]
Opens = Annotated[
    list[str] | None, typer.Option("--open", help="Steering field open to everybody. Repeatable.")
]
DeepLink = Annotated[Word, typer.Option(help="Where the app should take the person.")]
LinkId = Annotated[Word, typer.Argument(help="Id of the link.", metavar="[LINK]")]
MaybePartner = Annotated[Word, typer.Option("--partner", help="Id or name of the partner.")]


def _words(
    targets: list[str] | None,
    lists: dict[str, list[str] | None],
    words: dict[str, Any],
) -> dict[str, Any]:
    """The body's fields that were said."""
    said = {name: value for name, value in {**words, **lists}.items() if value is not None}
    if targets is not None:
        pairs = [target.partition("=") for target in targets]
        for platform, sign, url in pairs:
            if not (platform and sign and url):
                raise typer.BadParameter(
                    "give --target as PLATFORM=URL, such as web=https://example.com/"
                )
        said["targets"] = {platform: url for platform, _, url in pairs}
    return said


@commands.command(
    epilog="Example: attribune link add --data D --app game-android --partner acme --campaign spring"
)
def add(
    data: Data,
    partner: Annotated[str, typer.Option(help="Id or name of the partner.")],
    app: MaybeApp = None,
    product: MaybeProduct = None,
    campaign: Campaign = None,
    campaign_id: CampaignId = None,
    adgroup: Adgroup = None,
    adgroup_id: AdgroupId = None,
    creative: Creative = None,
    creative_id: CreativeId = None,
    site_id: SiteId = None,
    sub_site_id: SubSiteId = None,
    retargeting: Retargeting = None,
    target: Targets = None,
    allowed_host: Hosts = None,
    allowed_network: Networks = None,
    open_: Opens = None,
    deep_link: DeepLink = None,
    json_: Json = False,
) -> None:
    """Make a tracking link. It belongs to the app's product and serves all of its stores."""
    body = _words(
        target,
        {"allowed_hosts": allowed_host, "allowed_networks": allowed_network, "opens": open_},
        {
            "app": app,
            "product": product,
            "partner": partner,
            "campaign": campaign,
            "campaign_id": campaign_id,
            "adgroup": adgroup,
            "adgroup_id": adgroup_id,
            "creative": creative,
            "creative_id": creative_id,
            "site_id": site_id,
            "sub_site_id": sub_site_id,
            "is_retargeting": retargeting,
            "deep_link": deep_link,
        },
    )
    with connect(data) as house:
        answer = house.call("POST", "/api/links", body)
    show.as_json(answer) if json_ else show.fields(answer["link"])


@commands.command(epilog="Example: attribune link edit --data D spring-4kd82m --campaign summer")
def edit(
    data: Data,
    link: LinkId = None,
    app: MaybeApp = None,
    partner: MaybePartner = None,
    campaign: Annotated[Word, typer.Option(help="New campaign.")] = None,
    campaign_id: CampaignId = None,
    adgroup: Adgroup = None,
    adgroup_id: AdgroupId = None,
    creative: Creative = None,
    creative_id: CreativeId = None,
    site_id: SiteId = None,
    sub_site_id: SubSiteId = None,
    retargeting: Retargeting = None,
    target: Targets = None,
    allowed_host: Hosts = None,
    allowed_network: Networks = None,
    open_: Opens = None,
    deep_link: DeepLink = None,
    enable: Annotated[bool, typer.Option("--enable", help="Let it lead people again.")] = False,
    json_: Json = False,
) -> None:
    """Change what a link says from now on; an empty text takes a word away."""
    body = _words(
        target,
        {"allowed_hosts": allowed_host, "allowed_networks": allowed_network, "opens": open_},
        {
            "campaign": campaign,
            "campaign_id": campaign_id,
            "adgroup": adgroup,
            "adgroup_id": adgroup_id,
            "creative": creative,
            "creative_id": creative_id,
            "site_id": site_id,
            "sub_site_id": sub_site_id,
            "is_retargeting": retargeting,
            "deep_link": deep_link,
            "is_disabled": False if enable else None,
        },
    )
    with connect(data) as house:
        id_ = link or _only(house, {"app": app, "partner": partner})
        answer = house.call("PATCH", f"/api/links/{id_}", body)
    show.as_json(answer) if json_ else show.fields(answer["link"])


@commands.command(epilog="Example: attribune link disable --data D spring-4kd82m")
def disable(
    data: Data,
    link: LinkId = None,
    app: MaybeApp = None,
    partner: MaybePartner = None,
    campaign: Campaign = None,
    json_: Json = False,
) -> None:
    """Stop counting a link's hits; people are still sent on. `link edit --enable` undoes it."""
    with connect(data) as house:
        id_ = link or _only(house, {"app": app, "partner": partner, "campaign": campaign})
        answer = house.call("PATCH", f"/api/links/{id_}", {"is_disabled": True})
    show.as_json(answer) if json_ else show.fields(answer["link"])


@commands.command("list", epilog="Example: attribune link list --data D --partner acme")
def list_(
    data: Data,
    app: MaybeApp = None,
    product: MaybeProduct = None,
    partner: MaybePartner = None,
    campaign: Campaign = None,
    json_: Json = False,
) -> None:
    """List links."""
    query = {"app": app, "product": product, "partner": partner, "campaign": campaign}
    with connect(data) as house:
        answer = house.pages("/api/links", "links", query)
    if json_:
        return show.as_json(answer)
    columns = ("id", "product", "partner", "campaign", "is_retargeting", "is_disabled", "click_url")
    rows = ([row[column] for column in columns] for row in answer["links"])
    return show.table(
        columns, rows, empty="There are no such links; see `attribune link add --help`."
    )


def _only(house: Client, query: dict[str, Any]) -> str:
    """The id of the one link that fits. Raises Invalid when none or several do."""
    if not any(query.values()):
        raise typer.BadParameter("name the link by its id, or by --app, --partner and --campaign")
    found = house.pages("/api/links", "links", query)["links"]
    if len(found) == 1:
        return str(found[0]["id"])
    ids = ", ".join(row["id"] for row in found) or "none"
    message = f"several links may be meant, or none: {ids}; give the id"
    raise Invalid(message, param="link")
