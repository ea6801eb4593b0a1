"""Which pages of browsers may read what the collector answers: those of the origins that are registered with an app."""

from __future__ import annotations

from attribune.ports import Directory


def allowed(directory: Directory, origin: str | None) -> list[tuple[str, str]]:
    """The headers by which a browser lets a page read the answer; none for a page of an origin that nobody registered."""
    if origin is None or not is_registered(directory, origin):
        return []
    return anybody(origin)


def anybody(origin: str) -> list[tuple[str, str]]:
    """The same headers for any page. The origin is said back, since a star would not do where credentials are sent."""
    return [
        ("access-control-allow-origin", origin),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "retry-after"),
        ("vary", "origin"),
    ]


def is_registered(directory: Directory, origin: str) -> bool:
    """Whether an origin is registered with any app."""
    return any(origin in app.origins for app in directory.all_apps())
