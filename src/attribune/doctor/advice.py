"""Settings: values that fight each other, and what would be wrong in front of the public."""

from __future__ import annotations

import ipaddress
import logging
from typing import Final
from urllib.parse import urlsplit

from attribune.doctor.check import Found, Look, Subject, fail, ok, warn
from attribune.roles.folder import SERVE_FILE
from attribune.settings import FILE_NAME, SETTINGS, Settings, strange_names

#: (what should not be larger, what it should not be larger than, what happens).
_ORDERED: Final = (
    ("body_bytes_max", "bodies_bytes_max", "no body of that size is ever taken"),
    ("record_bytes_max", "body_bytes_max", "no record of that size ever arrives"),
    ("commit_entries_max", "commit_queue_max", "no commit ever gets that large"),
    ("restart_wait_ms", "restart_wait_max_ms", "the wait is cut after the first restart"),
    ("app_key_age_max_ms", "server_key_age_max_ms", "an app is believed more than a server"),
)


def readable(subject: Subject) -> Found:
    """Whether the settings can be read, and are those in force."""
    if subject.unreadable:
        return fail(subject.unreadable, f"mend {FILE_NAME}, then restart the house")
    strange = strange_names()
    if strange:
        return warn(
            f"in the environment and no setting: {', '.join(strange)}",
            "see `attribune help settings` for the names",
        )
    file, since = subject.folder / FILE_NAME, subject.folder / SERVE_FILE
    if subject.is_served and file.exists() and file.stat().st_mtime > since.stat().st_mtime:
        return warn(
            f"{FILE_NAME} was changed after the house began to serve",
            "restart the house, so that it is in force",
        )
    default = Settings()
    changed = [
        row.name
        for row in SETTINGS
        if getattr(subject.settings, row.name) != getattr(default, row.name)
    ]
    return ok(f"not as by default: {', '.join(changed) or 'none'}")


def fights(subject: Subject) -> Found:
    """Whether values contradict each other."""
    settings = subject.settings
    found = [
        f"{low} ({getattr(settings, low)}) is more than {high} ({getattr(settings, high)}): {what}"
        for low, high, what in _ORDERED
        if getattr(settings, low) > getattr(settings, high)
    ]
    if settings.log_level.upper() not in logging.getLevelNamesMapping():
        found.append(f"log_level is {settings.log_level!r}, which is none, and taken as info")
    same_port = settings.port and settings.port == settings.web_port
    if same_port and not subject.is_served:
        found.append(f"port and web_port are both {settings.port}: the house cannot start")
    if found:
        return fail("; ".join(found), "change one of each; see `attribune help settings`")
    return ok("none contradict each other")


def public_url(subject: Subject) -> Found:
    """Whether the links that are handed out reach us, and safely."""
    said = subject.settings.public_url
    if not said:
        return warn(
            "not set: links are handed out with the address that the collector listens on",
            "set public_url to how the world reaches the collector, such as https://go.example.com",
        )
    try:
        parts = urlsplit(said)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        parts, port, host = urlsplit(""), None, ""
    if "@" in said:
        return fail("it holds a user or a password, which every link would show", "leave them out")
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        return fail(f"{said!r} is no address of a site", "write it as https://go.example.com")
    if host == "localhost" or _is_near(host):
        return warn(f"{said} reaches nobody outside", "set it to a name that the world can reach")
    if parts.scheme == "http":
        return warn(
            f"{said} is not encrypted: phones warn or refuse, and whoever is on the way reads and changes clicks",
            "put a proxy with TLS in front (deploy/ has examples) and set public_url to https://…",
        )
    return ok(
        said if port is None else f"{said} (a port in a link: some networks let none through)"
    )


def proxies(subject: Subject) -> Found:
    """Whether the addresses of people are read from where a proxy writes them, and only from there."""
    settings = subject.settings
    hops, is_https = settings.proxy_hops, settings.public_url.startswith("https:")
    if is_https and not hops:
        return fail(
            "public_url is https and proxy_hops is 0: Attribune speaks no TLS, so a proxy stands in front, "
            "and every person seems to have its address",
            "set proxy_hops to the number of proxies in front, mostly 1",
        )
    if hops and not _is_near(settings.host):
        return warn(
            f"proxy_hops is {hops} and the collector listens on {settings.host}: whoever reaches it past the proxy "
            "chooses an address in X-Forwarded-For",
            "set host to 127.0.0.1, or let a firewall admit the proxies alone",
        )
    return ok(f"proxy_hops is {hops}")


def web_port(subject: Subject) -> Found:
    """Whether the API is away from the public."""
    host = subject.settings.web_host
    if _is_near(host):
        return ok(f"the API listens on {host}")
    return warn(
        f"the API listens on {host} without TLS: keys pass in clear, and /metrics, /readyz and /healthz need none",
        "set web_host to 127.0.0.1 and reach it through a proxy with TLS or an SSH tunnel",
    )


def _is_near(host: str) -> bool:
    """Whether an address is this machine's own or of a private network."""
    try:
        found = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host == "localhost"
    return (found.is_private or found.is_loopback) and not found.is_unspecified


CHECKS: Final[dict[str, Look]] = {
    "settings": readable,
    "fights": fights,
    "public_url": public_url,
    "proxies": proxies,
    "web_port": web_port,
}
