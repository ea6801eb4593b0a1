"""Who recruited whom: a tree without circles, and no higher than a limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attribune.model.errors import Invalid

#: Steps from the lowest partner to the root.
DEPTH_MAX: Final = 10


def ancestors(parents: Mapping[str, str | None], partner: str, limit: int) -> list[str]:
    """The partners above one, the nearest first."""
    found: list[str] = []
    above = parents.get(partner)
    while above is not None and len(found) < limit:
        found.append(above)
        above = parents.get(above)
    return found


def check(parents: Mapping[str, str | None], partner: str, parent: str | None) -> None:
    """Refuse a parent that would close a circle or make the tree too high. Raises Invalid."""
    if parent is None:
        return
    line = [parent, *ancestors(parents, parent, DEPTH_MAX + 1)]
    if partner in line:
        raise Invalid(
            f"{parent} was brought by {partner}, near or far; the tree has no circles",
            param="parent",
        )
    if len(line) + _height(parents, partner) > DEPTH_MAX:
        raise Invalid(f"the tree is at most {DEPTH_MAX} steps high", param="parent")


def _height(parents: Mapping[str, str | None], partner: str) -> int:
    """Steps below a partner."""
    heights = (ancestors(parents, other, DEPTH_MAX + 1) for other in parents)
    return max((line.index(partner) + 1 for line in heights if partner in line), default=0)
