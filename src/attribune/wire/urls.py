"""How the house is reached, from the world and on this machine."""

from __future__ import annotations

from attribune.roles import folder
from attribune.wire.parts import Parts


def base_url(parts: Parts) -> str:
    """How the world reaches the collector: as set, else as the house last served, else its address."""
    if parts.settings.public_url:
        return parts.settings.public_url.rstrip("/")
    said = folder.serving(parts.folder) or {}
    return str(said.get("public_url") or url(parts.settings.host, parts.settings.port))


def url(host: str, port: int) -> str:
    """How somebody on this machine reaches a listening address."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - shown, not bound
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
