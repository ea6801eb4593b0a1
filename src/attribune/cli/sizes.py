"""Sizes as people give them."""

from __future__ import annotations

import re
from typing import Final

from attribune.model.errors import Invalid

_SIZE: Final = re.compile(r"(\d{1,15}(?:\.\d{1,3})?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def size(text: str, param: str) -> int:
    """Bytes of ``500MB``, ``1.5TB`` (a thousand each) or ``200GiB`` (1024 each). Raises Invalid."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise Invalid(f"{text!r} is no size; write it like 500MB, 200GB or 1.5TiB", param=param)
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** _POWERS[unit.lower()])
