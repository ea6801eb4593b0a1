"""Names and ids of registered things: readable, safe in URLs, unique."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from typing import Final

from attribune.model.errors import Invalid
from attribune.ports import Chance

#: Digits and small letters without i, l, o and u, which are misread or misspell: 32 signs, 5 bits each.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_SLUG_CHARACTERS_MAX: Final = 32
TEXT_CHARACTERS_MAX: Final = 256


def slug(name: str) -> str:
    """The name in small ASCII letters, digits and single hyphens; empty when nothing of it is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:_SLUG_CHARACTERS_MAX].strip("-")


def letters(chance: Chance, count: int) -> str:
    """So many unguessable signs of 5 bits each."""
    return "".join(_ALPHABET[byte & 31] for byte in chance.token(count))


def readable_id(name: str, taken: Container[str], chance: Chance) -> str:
    """An id that reads like the name; when that is taken, with a few random signs behind it."""
    base = slug(name)
    if base and base not in taken:
        return base
    return free_id(base, taken, chance)


def free_id(base: str, taken: Container[str], chance: Chance, count: int = 6) -> str:
    """An id that nobody has: a readable beginning, which may be empty, and random signs."""
    while True:
        tail = letters(chance, count)
        found = f"{base}-{tail}" if base else tail
        if found not in taken:
            return found


def text(value: str, param: str, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    """A line of text without control signs or space around it. Raises Invalid."""
    found = value.strip()
    if not found:
        raise Invalid(f"{param} must not be empty", param=param)
    if len(found) > characters_max:
        raise Invalid(f"{param} may have at most {characters_max} characters", param=param)
    if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in found):
        raise Invalid(f"{param} must be one line of text without control signs", param=param)
    return found


def optional(value: str | None, param: str) -> str | None:
    """The same for a text that may be left out; an empty one is left out."""
    return text(value, param) if value and value.strip() else None
