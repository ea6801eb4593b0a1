"""A journal that writes when it is told to, for tests of what waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event

from attribune.engines.memory import MemoryJournal
from attribune.model.ids import Position
from attribune.model.position import Topic


class SlowJournal(MemoryJournal):
    """Writes when it is allowed to, and remembers how much at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.allowed = Event()
        self.allowed.set()
        self.begun = Event()
        self.sizes: list[int] = []

    def append(self, entries: Sequence[tuple[Topic, bytes]]) -> Sequence[Position]:
        self.begun.set()
        assert self.allowed.wait(10)
        self.sizes.append(len(entries))
        return super().append(entries)
