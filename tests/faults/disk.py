"""The disk of the machine: the engines in memory, and what a power cut takes of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from faults.plan import WRITES

from attribune.engines.memory import (
    MemoryAnswers,
    MemoryFacts,
    MemoryJournal,
    MemoryRegistryStore,
    MemoryStore,
)
from attribune.engines.memory_book import MemoryBook
from attribune.engines.memory_outbox import MemoryOutbox

#: Of ten power cuts, one takes all that an unsynced engine holds; the others take its last few commits.
_TAKES_ALL = 0.1
_LAST_COMMITS = 6


class Unsynced:
    """An engine that keeps its commits whole and in order, but does not sync them: a power cut takes the last ones."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self.engine = make()
        self._commits: list[tuple[str, tuple[Any, ...]]] = []

    def do(self, verb: str, args: tuple[Any, ...], words: dict[str, Any]) -> Any:
        if verb in WRITES:
            self._commits.append((verb, args))
        return getattr(self.engine, verb)(*args, **words)

    def cut(self, chance: random.Random) -> None:
        lost = chance.randrange(_LAST_COMMITS)
        if chance.random() < _TAKES_ALL:
            lost = len(self._commits)
        if not lost:
            return
        del self._commits[-lost:]
        self.engine = self._make()
        for verb, args in self._commits:
            getattr(self.engine, verb)(*args)


class Synced:
    """An engine whose writes are on the disk when they return."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.engine = make()

    def do(self, verb: str, args: tuple[Any, ...], words: dict[str, Any]) -> Any:
        return getattr(self.engine, verb)(*args, **words)

    def cut(self, chance: random.Random) -> None:
        """Nothing is lost."""


class Disk:
    """All engines of a data folder, synced as the embedded ones are (``docs/internals/engines.md``)."""

    def __init__(self) -> None:
        self._engines: dict[str, Synced | Unsynced] = {
            "journal": Synced(MemoryJournal),
            "facts": Synced(MemoryFacts),
            "store": Unsynced(MemoryStore),
            "answers": Unsynced(MemoryAnswers),
            "registry": Unsynced(MemoryRegistryStore),
            "book": Unsynced(MemoryBook),
            "outbox": Unsynced(MemoryOutbox),
        }

    def __getitem__(self, name: str) -> Any:
        """An engine itself, past all faults."""
        return self._engines[name].engine

    def do(self, name: str, verb: str, args: tuple[Any, ...], words: dict[str, Any]) -> Any:
        """Call an engine."""
        return self._engines[name].do(verb, args, words)

    def cut(self, chance: random.Random) -> None:
        """The power goes: what was not synced may be lost, the last of it first."""
        for engine in self._engines.values():
            engine.cut(chance)
