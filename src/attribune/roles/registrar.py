"""The registrar: keeps the history of topic ``control`` in the registry store, from where roles load it when they start."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from attribune.model.codec import decode
from attribune.model.control import Change, Tick
from attribune.model.ids import Position
from attribune.model.position import Entry, Topic
from attribune.ports import Journal, RegistryStore
from attribune.registry.view import Registry
from attribune.roles.base import Patience
from attribune.settings import Settings


def load(registry: Registry, store: RegistryStore) -> Registry:
    """Fill an empty registry from the store; the topic goes on from where the store ends."""
    for position, payload in store.history():
        change = decode(Entry(position, Topic.CONTROL, payload))
        assert isinstance(change, Change)
        registry.apply(position, change)
    return registry


def lead(registry: Registry, journal: Journal, position: Position, limit: int) -> None:
    """Bring a registry to a place; the changes behind it come in order with the rest of what a role reads."""
    while registry.position < position:
        entries = journal.read((Topic.CONTROL,), registry.position, limit)
        entries = [entry for entry in entries if entry.position <= position]
        if not entries:
            return
        for entry in entries:
            change = decode(entry)
            assert isinstance(change, Change)
            registry.apply(entry.position, change)


class RegistrarRole:
    """Tails ``control`` into the registry store. The only writer of it."""

    name = "registrar"

    def __init__(
        self, journal: Journal, open_store: Callable[[], RegistryStore], settings: Settings
    ) -> None:
        """Take the journal, and how the store is opened: again after it was forgotten."""
        self._journal = journal
        self._open_store = open_store
        self._store = open_store()
        self._settings = settings
        self._lock = threading.Lock()
        self._changes = 0
        self._patience = Patience()

    def step(self) -> int:
        """Keep the next changes, and move the position; how many entries that were.

        Ticks are no changes of the registry and are not kept.
        """
        with self._lock:
            after = self._store.position()
            entries = self._journal.read((Topic.CONTROL,), after, self._settings.read_entries_max)
            if entries:
                kept = [(e.position, e.payload) for e in entries if not _is_tick(e)]
                self._store.add(kept, entries[-1].position)
                self._changes += len(kept)
            return len(entries)

    def run(self, stop: threading.Event) -> None:
        """Step until told to stop. What cannot be read or written now, as on a full disk, is tried again for a while."""
        wait_s = self._settings.control_wait_ms / 1000
        while not stop.is_set():
            if self._patience.step(self, stop) == 0:
                stop.wait(wait_s)

    def state(self) -> dict[str, Any]:
        """Where the role stands. Its lag is not known without reading, so it is told as none or some."""
        with self._lock:
            position = self._store.position()
        waiting = self._journal.read((Topic.CONTROL,), position, self._settings.read_entries_max)
        return {
            "position": position,
            "lag": len(waiting),
            "last_error": self._patience.last_error,
            "counters": {"changes": self._changes},
        }

    def forget(self, remove: Callable[[], None]) -> None:
        """Close the store, let it be removed, and begin again with an empty one."""
        with self._lock:
            self._store.close()
            remove()
            self._store = self._open_store()

    def close(self) -> None:
        """Let go of the store."""
        with self._lock:
            self._store.close()


def _is_tick(entry: Entry) -> bool:
    change = decode(entry)
    return isinstance(change, Change) and isinstance(change.record, Tick)
