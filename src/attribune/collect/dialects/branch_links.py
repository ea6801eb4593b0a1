"""Links that apps make through Branch's API: real links of ours, and their pictures. Pure.

The key that makes them ships inside apps, so everybody can make some: a link leads only to hosts that its door allows, or to the
stores of the product's own apps.
"""

from __future__ import annotations

import io
import re
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
import segno

from attribune.collect.dialects import loose
from attribune.collect.dialects.branch_words import inner
from attribune.collect.fields import Fields, checked_json, wrong_type
from attribune.collect.records import Telling
from attribune.collect.refuse import Refused
from attribune.collect.targets import is_allowed
from attribune.model.activity import Platform
from attribune.model.control import App, Door, Link
from attribune.model.ids import LinkId, PartnerId, derived
from attribune.model.refusal import RefusalReason

#: Largest data of a link.
DATA_BYTES_MAX: Final = 16 * 1024
ALIAS_CHARACTERS_MAX: Final = 128
_TEXT_CHARACTERS_MAX: Final = 256
_URL_CHARACTERS_MAX: Final = 2048
_TARGETS: Final = {
    "$android_url": Platform.ANDROID,
    "$ios_url": Platform.IOS,
    "$desktop_url": Platform.WEB,
    "$fallback_url": Platform.OTHER,
}
_DEEP_LINKS: Final = (
    "$deeplink_path",
    "$android_deeplink_path",
    "$ios_deeplink_path",
    "$canonical_url",
)
#: Schemes that run in a browser or read its files.
_NEVER: Final = re.compile(r"\s*(?:javascript|data|vbscript|file|blob):", re.IGNORECASE)
#: Seconds as JSON writes them, since it stands in the data as it is.
_DURATION: Final = re.compile(r"(?:0|[1-9][0-9]{0,11})\Z", re.ASCII)
_COLOR: Final = re.compile(r"#[0-9a-fA-F]{6}\Z")
_WIDTH: Final = (100, 2000)
_MARGIN_MAX: Final = 20


def link_of(raw: bytes, telling: Telling, door: Door) -> Link:
    """The link that a body asks for; the one that stands when it was made before. Raises Refused."""
    fields = Fields.checked(raw, telling.settings.json_depth_max)
    alias = fields.identifier("alias", ALIAS_CHARACTERS_MAX)
    data, campaign, channel = _data(fields)
    content = msgspec.json.encode((sorted(data.items()), campaign)).decode()
    name = ("alias", alias) if alias else ("content", content)
    id_ = LinkId(derived("bl", door.id, *name))
    standing = telling.directory.link(id_)
    if standing is not None:
        if (standing.deep_link_data, standing.campaign) != (data, campaign):
            message = "this alias is taken by a link that says something else; choose another"
            raise Refused(RefusalReason.BAD_ID, message, "alias", status=409)
        return standing
    apps = telling.directory.apps_of(telling.speaker.product.id)
    return Link(
        id=id_,
        product=telling.speaker.product.id,
        partner=_partner(channel, telling, door),
        campaign=campaign,
        targets=_targets(data, door, apps),
        deep_link=_deep_link(data),
        deep_link_data=data,
    )


def _data(fields: Fields) -> tuple[dict[str, str], str | None, str | None]:
    """What the app will be told as JSON text by name, the campaign and the channel. Raises Refused."""
    data = inner(fields, "data").rest()
    words = {
        name: fields.text(name, _TEXT_CHARACTERS_MAX)
        for name in ("channel", "feature", "campaign", "stage")
    }
    data |= {f"~{name}": loose.json_of(said) for name, said in words.items() if said}
    tags = fields.raw("tags")
    if tags is not None:
        if tags[:1] != b"[":
            raise wrong_type("tags", "a list", tags)
        data["~tags"] = tags.decode()
    if loose.word(fields, "type") == "1":
        data.setdefault("$one_time_use", "true")
    duration = loose.word(fields, "duration")
    if duration is not None and _DURATION.match(duration):
        data.setdefault("$match_duration", duration)
    if sum(len(name) + len(value) for name, value in data.items()) > DATA_BYTES_MAX:
        message = f"the data of a link may have at most {DATA_BYTES_MAX} bytes"
        raise Refused(RefusalReason.TOO_LARGE, message, "data")
    found = {name: " ".join(value.split("\n")) for name, value in data.items()}
    return found, words["campaign"] or _text(data, "~campaign"), words["channel"] or _text(data, "~channel")  # fmt: skip


def _partner(channel: str | None, telling: Telling, door: Door) -> PartnerId:
    """Whose the link is: what the door says of its channel, or of every channel. Raises Refused."""
    said = door.mapped("channel", channel) if channel else None
    said = said or door.mapped("channel", "*")
    partner = telling.directory.partner(PartnerId(said)) if said else None
    if partner is None:
        message = "no partner is named for links of this channel; add the door with --map 'channel:*=PARTNER'"
        raise Refused(RefusalReason.UNKNOWN_PARTNER, message, "channel")
    return partner.id


def _targets(data: dict[str, str], door: Door, apps: list[App]) -> dict[str, str]:
    found = {}
    for name, platform in _TARGETS.items():
        url = _text(data, name)
        if (
            url
            and len(url) <= _URL_CHARACTERS_MAX
            and (is_allowed(url, door.allowed_hosts) or _is_store_of(url, apps))
        ):
            found[platform.value] = url
    return found


def _is_store_of(url: str, apps: list[App]) -> bool:
    """Whether an address is the store page of one of the product's apps."""
    if not is_allowed(url, ("play.google.com", "apps.apple.com", "itunes.apple.com")):
        return False
    parts = urlsplit(url)
    if parts.netloc.lower().removesuffix(":443") == "play.google.com":
        ids = parse_qs(parts.query).get("id", [])
        is_page = parts.path == "/store/apps/details" and len(ids) == 1
        return is_page and any(
            a.platform is Platform.ANDROID and a.store_id == ids[0] for a in apps
        )
    number = parts.path.rpartition("/")[2].removeprefix("id")
    return any(a.platform is Platform.IOS and a.store_id == number for a in apps)


def _deep_link(data: dict[str, str]) -> str | None:
    for name in _DEEP_LINKS:
        said = _text(data, name)
        if (
            said
            and len(said) <= _URL_CHARACTERS_MAX
            and said.isprintable()
            and " " not in said
            and not _NEVER.match(said)
        ):
            return said
    return None


def _text(data: dict[str, str], name: str) -> str | None:
    said = data.get(name, "")
    return msgspec.json.decode(said) or None if said[:1] == '"' else None


def picture(url: str, body: bytes, depth_max: int) -> tuple[str, bytes]:
    """The QR code of an address as its media type and its bytes, as ``qr_code_settings`` ask. Raises Refused."""
    fields = Fields.of(checked_json(body, depth_max))
    said = inner(fields, "qr_code_settings")
    code = segno.make(url, micro=False)
    margin = _number(said, "margin", 0, _MARGIN_MAX)
    modules = code.symbol_size(border=margin or 4)[0]
    width = _number(said, "width", *_WIDTH)
    wanted: dict[str, Any] = {
        "border": margin or 4,
        "scale": max(1, (width or 300) // modules),
        "dark": _color(said, "code_color") or "#000000",
        "light": _color(said, "background_color") or "#ffffff",
    }
    kind = (loose.word(said, "image_format") or "png").lower()
    out = io.BytesIO()
    if kind == "svg":
        code.save(out, kind="svg", **wanted)
        return "image/svg+xml", out.getvalue()
    code.save(out, kind="png", **wanted)
    return "image/png", out.getvalue()


def _number(fields: Fields, name: str, least: int, most: int) -> int | None:
    said = loose.word(fields, name)
    if said is None:
        return None
    number = int(said) if said.isdecimal() and len(said) < 6 else -1
    if not least <= number <= most:
        path = fields.path(name)
        raise Refused(RefusalReason.MALFORMED, f"{path} must be {least} to {most}", path)
    return number


def _color(fields: Fields, name: str) -> str | None:
    said = loose.word(fields, name)
    if said is not None and not _COLOR.match(said):
        path = fields.path(name)
        raise Refused(RefusalReason.MALFORMED, f"{path} must be such as #FF8800", path)
    return said
