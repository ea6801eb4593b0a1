"""Options of the form ``--name a=b``, which may be given again."""

from __future__ import annotations

from attribune.model.errors import Invalid


def pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """The pairs that an option was given. Raises Invalid."""
    found = {}
    for one in given or ():
        name, is_, value = one.partition("=")
        if not name or not is_:
            raise Invalid(f"--{option} takes name=value, not {one!r}", param=option)
        found[name] = value
    return found
