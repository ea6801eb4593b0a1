"""What a user agent says."""

from __future__ import annotations

from typing import NamedTuple


class UserAgent(NamedTuple):
    """What a user agent says of itself; None is unknown."""

    os: str | None
    os_version: str | None
    model: str | None
