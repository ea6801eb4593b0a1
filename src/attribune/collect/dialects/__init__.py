"""The languages of other people's client libraries, each translated into our records at the door. Pure.

A dialect reads a letter and says what each record in it means, and how its clients want to be answered.
"""

from __future__ import annotations

from typing import Final

from attribune.collect.dialects.adjust import Adjust
from attribune.collect.dialects.letter import Dialect, Heard, Letter, told_of
from attribune.collect.dialects.segment import Segment

_ALL: Final[tuple[Dialect, ...]] = (Segment(), Adjust())
#: Every dialect by the name that stands in the address of its doors.
DIALECTS: Final[dict[str, Dialect]] = {dialect.name: dialect for dialect in _ALL}

__all__ = ["DIALECTS", "Dialect", "Heard", "Letter", "told_of"]
