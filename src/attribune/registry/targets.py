"""Where a link sends people: what its owner said, and otherwise the store pages of the product's apps.

Stores are derived when they are asked for and not when the link is made, so a link serves an app that came later.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, urlsplit

from attribune.model.activity import Platform
from attribune.model.control import App, Link
from attribune.model.errors import Invalid

PLAY_URL: Final = "https://play.google.com/store/apps/details?id="
APP_STORE_URL: Final = "https://apps.apple.com/app/id"
URL_CHARACTERS_MAX: Final = 2048
#: Who is sent to the fallback when no target of ``other`` is given: a site serves everybody, Play's page any browser.
_FALLBACK_ORDER: Final = (Platform.WEB, Platform.ANDROID, Platform.IOS)
_PACKAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+\Z", re.ASCII)
_APP_STORE = re.compile(r"(?:id)?(\d{1,20})\Z", re.ASCII)
_BUNDLE = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+\Z", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?\Z", re.ASCII)


def resolve(link: Link, apps: Iterable[App]) -> dict[str, str]:
    """The target of each platform: the link's own where it has one, else the store page of the product's app."""
    found: dict[str, str] = {}
    for app in apps:
        page = store_page(app)
        if page:
            found.setdefault(app.platform, page)
    found.update(link.targets)
    for platform in _FALLBACK_ORDER:
        if platform in found:
            found.setdefault(Platform.OTHER, found[platform])
    return found


def store_page(app: App) -> str | None:
    """The public page of an app, or None when its store id does not say (an iOS bundle name, another store)."""
    if app.platform is Platform.ANDROID:
        return PLAY_URL + quote(app.store_id, safe="")
    if app.platform is Platform.IOS:
        return APP_STORE_URL + app.store_id if app.store_id.isdigit() else None
    return app.store_id if app.platform is Platform.WEB else None


def store_id(platform: Platform, value: str) -> str:
    """A store id in its usual form. Raises Invalid, with the form that is wanted."""
    found = value.strip()
    if platform is Platform.ANDROID and not _PACKAGE.match(found):
        raise Invalid("store_id must be a package name such as com.example.game", param="store_id")
    if platform is Platform.IOS:
        number = _APP_STORE.match(found)
        if number:
            return number[1]
        if not _BUNDLE.match(found):
            raise Invalid(
                "store_id must be an App Store number such as 1234567890", param="store_id"
            )
    if platform is Platform.WEB:
        return checked_url(found if "://" in found else f"https://{found}", "store_id")
    if not found or len(found) > URL_CHARACTERS_MAX:
        raise Invalid("store_id must be the app's id in its store", param="store_id")
    return found


def checked_targets(targets: Mapping[str, str]) -> dict[str, str]:
    """Targets by platform, each a place that people may be sent to. Raises Invalid."""
    known = set(Platform)
    for platform in targets:
        if platform not in known:
            raise Invalid(
                f"targets are given for {', '.join(sorted(known))}, not for {platform!r}",
                param="targets",
            )
    return {platform: checked_url(url, f"targets.{platform}") for platform, url in targets.items()}


def checked_url(url: str, param: str) -> str:
    """An absolute https address without credentials; http only where it stays on this machine. Raises Invalid."""
    if len(url) > URL_CHARACTERS_MAX:
        raise Invalid(f"{param} may have at most {URL_CHARACTERS_MAX} characters", param=param)
    if not url.isprintable() or not url.isascii() or " " in url or "\\" in url:
        raise Invalid(f"{param} must be a plain address; encode what is not ASCII", param=param)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Invalid(f"{param} is no address: {url!r}", param=param) from None
    if parts.username is not None or parts.password is not None:
        raise Invalid(f"{param} must not carry credentials", param=param)
    if not host or parts.scheme not in ("https", "http"):
        raise Invalid(f"{param} must be an https address such as https://example.com/", param=param)
    if parts.scheme == "http" and not is_loopback(host):
        raise Invalid(f"{param} must begin with https://", param=param)
    return url


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def checked_host(host: str) -> str:
    """A host name, with a port where one is meant, in small letters. Raises Invalid."""
    found = host.strip().lower()
    if not _HOST.match(found):
        raise Invalid(
            f"allowed_hosts takes names such as shop.example.com, not {host!r}",
            param="allowed_hosts",
        )
    return found


def checked_network(network: str) -> str:
    """An address or network in its usual form. Raises Invalid."""
    try:
        return str(ipaddress.ip_network(network.strip()))
    except ValueError:
        raise Invalid(
            f"allowed_networks takes addresses or networks such as 192.0.2.0/24, not {network!r}",
            param="allowed_networks",
        ) from None
