"""Where a followed link leads: addresses made ready once per link, so that a click only puts its id in between.

Pure. Only what the link's owner stored, or a host that the owner allowed, is ever led to.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from attribune.collect.absent import is_absent
from attribune.collect.links import parse_query
from attribune.model.activity import Platform
from attribune.model.control import Link

#: The parameter that carries our touch id to the store or the site.
CLICK_PARAMETER: Final = "attribune_click"
#: Names under which a query may ask for another target, by the platform they speak for; the first found is taken.
OVERRIDES: Final[dict[Platform, tuple[str, ...]]] = {
    Platform.ANDROID: ("redirect_android", "af_android_url", "redirect", "af_r"),
    Platform.IOS: ("redirect_ios", "af_ios_url", "redirect", "af_r"),
    Platform.WEB: ("redirect_web", "af_web_dp", "redirect", "af_r"),
    Platform.OTHER: ("redirect", "af_r"),
}
#: What every name above holds, for a glance at a raw query.
OVERRIDE_HINTS: Final = ("redirect", "af_")

#: Which target serves a platform that has none: a site serves everybody, Play's page any browser.
_FALLBACKS: Final = (Platform.OTHER, Platform.WEB, Platform.ANDROID, Platform.IOS)
_PLAY_HOST: Final = "play.google.com"
#: What may stand in a Location as it is; everything else is percent-encoded.
_SAFE: Final = ":/?#[]@!$&'()*+,;=%~"
# No user part, no port but the default one unless allowed by name, no backslash, nothing that is not plain ASCII.
_HTTPS: Final = re.compile(
    r"https://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?)(?:[/?#][!#-;=?-Z\[\]_a-z~%]*)?\Z",
    re.ASCII | re.IGNORECASE,
)


class Way(NamedTuple):
    """A target made ready: as it stands, and with room for a touch id between ``before`` and ``after``."""

    plain: str
    before: str
    after: str


def ways(targets: Mapping[str, str], link: Link, partner_name: str) -> dict[Platform, Way]:
    """A way for each platform: its own target, else the fallback; empty when there is no target at all."""
    fallback = next((targets[platform] for platform in _FALLBACKS if platform in targets), None)
    if fallback is None:
        return {}
    return {p: way(targets.get(p, fallback), link, partner_name) for p in Platform}


def way(url: str, link: Link, partner_name: str, referrer: str = "") -> Way:
    """Make a target ready. On Play the touch id travels in the referrer, elsewhere in the query.

    ``referrer`` is the partner's own, from the query; its words and those of the stored target's referrer are kept inside.
    """
    plain = quote(url, safe=_SAFE)
    base, hash_, fragment = plain.partition("#")
    tail = hash_ + fragment
    if not _is_play(plain):
        joint = "&" if "?" in base else "?"
        return Way(plain, f"{base}{joint}{CLICK_PARAMETER}=", tail)
    path, _, query = base.partition("?")
    parts = [part for part in query.split("&") if part and not part.startswith("referrer=")]
    stored = dict(parse_qsl(query)).get("referrer", "")
    inside = quote(_referrer_words(link, partner_name, (stored, referrer)), safe="")
    parts.append(f"referrer={CLICK_PARAMETER}%3D")
    return Way(plain, f"{path}?{'&'.join(parts)}", inside + tail)


def _is_play(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "market" or (
        parts.hostname == _PLAY_HOST and parts.path.startswith("/store/")
    )


def _referrer_words(link: Link, partner_name: str, others: Collection[str]) -> str:
    """Source and campaign, and behind them what others had put into the referrer; their own source wins over ours."""
    kept = "".join(f"&{words}" for words in others if words)
    words = f"&utm_source={quote(partner_name, safe='')}" if "utm_source=" not in kept else ""
    if link.campaign and "utm_campaign=" not in kept:
        words += f"&utm_campaign={quote(link.campaign, safe='')}"
    return words + kept


def asked_target(query: str, platform: Platform, hosts: Collection[str]) -> str | None:
    """The address that a query asks for instead of the stored target, if its host is allowed."""
    said = dict(reversed(parse_query(query)[0]))
    for name in OVERRIDES[platform]:
        url = said.get(name)
        if url and is_allowed(url, hosts):
            return url
    return None


def is_allowed(url: str, hosts: Collection[str]) -> bool:
    """Whether an address is plain https to exactly one of the hosts."""
    found = _HTTPS.match(url)
    return found is not None and found[1].lower().removesuffix(":443") in hosts


def own_referrer(query: str) -> str:
    """The partner's own ``referrer`` value of a query, as said; empty when there is none."""
    for name, value in parse_query(query)[0]:
        if name == "referrer" and not is_absent(value):
            return value
    return ""


def refuses_redirect(query: str) -> bool:
    """Whether the query asks for a JSON answer instead of a redirect."""
    return ("redirect", "false") in parse_query(query)[0]
