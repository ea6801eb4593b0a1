"""The postbacker: folds outcomes and answers into the outbox, and tells partners what is due.

Folding alone (``step``) tells nobody anything: a command that holds the folder brings the outbox up to date with it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import uvloop

from attribune.model.codec import decode
from attribune.model.control import Change
from attribune.model.delivery import OutboxPage
from attribune.model.ids import Position
from attribune.pipeline import TELL
from attribune.ports import Chance, Clock, Journal, Outbox, Vault
from attribune.postback.deliver import Deliverer, MakeDeliverer
from attribune.postback.dispatch import Desk, Dispatcher
from attribune.postback.fold import Fold
from attribune.postback.lane import Lane
from attribune.postback.looking import Looking, ReadTouch
from attribune.postback.outgoing import Outgoings
from attribune.registry.view import Registry
from attribune.roles.base import Patience
from attribune.roles.process import seldom_gc
from attribune.roles.registrar import lead
from attribune.settings import Settings

#: The part of ``drain_ms`` that requests under way may take; the rest is for what came of them.
_DRAIN_SHARE: Final = 0.7


class World(NamedTuple):
    """What the postbacker works with."""

    journal: Journal
    #: This role's own; it is led on in order.
    registry: Registry
    outbox: Outbox
    vault: Vault
    read_touch: ReadTouch
    clock: Clock
    chance: Chance
    #: Makes what sends.
    deliverer: MakeDeliverer = Deliverer


class PostbackerRole:
    """Tells partners. The only writer of the outbox and of topic ``deliveries``."""

    name = "postbacker"

    def __init__(self, world: World, settings: Settings) -> None:
        """Go on from where the outbox stands."""
        self._world = world
        self._journal = world.journal
        self._registry = world.registry
        self._outbox = world.outbox
        self._settings = settings
        looking = Looking(world.journal, world.registry, world.outbox, world.read_touch)
        self._fold = Fold(world.journal, world.registry, world.outbox, looking)
        self._outgoings = Outgoings(world.outbox, world.registry, looking)
        self._position: Position | None = None
        self._planned = 0
        self._desk: Desk | None = None
        self._dispatcher: Dispatcher | None = None
        self._patience = Patience()

    def position(self) -> Position:
        """Up to which entry the outbox is complete."""
        return self._outbox.position() if self._position is None else self._position

    def step(self) -> int:
        """Fold the next entries into the outbox; how many those were. Raises JournalDamaged, JournalUnavailable, StoreUnavailable."""
        return 0 if self._next() is None else 1

    def run(self, stop: threading.Event) -> None:
        """Tell partners until told to stop; with ``tells_partners`` 0, only keep what they are to be told."""
        if not self._settings.tells_partners:
            self._keep(stop)
        else:
            self._tell(stop)

    def _keep(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if self._patience.step(self, stop) == 0:
                stop.wait(self._settings.postback_wait_ms / 1000)

    def _tell(self, stop: threading.Event) -> None:
        with seldom_gc(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self.serve(stop.is_set))

    async def serve(self, is_stopping: Callable[[], bool]) -> None:
        """Tell partners in the running loop until told to stop."""
        settings, world = self._settings, self._world
        desk = self._desk = Desk(
            self._journal, self._outbox, self._outgoings, world.clock, self._next
        )
        self._dispatcher = Dispatcher(
            desk,
            self._registry,
            world.vault,
            partial(Lane, clock=world.clock, chance=world.chance, deliverer=world.deliverer),
            wait_s=settings.postback_wait_ms / 1000,
            drain_s=settings.drain_ms / 1000 * _DRAIN_SHARE,
        )
        await self._dispatcher.run(is_stopping)

    def state(self) -> dict[str, Any]:
        """Where the role stands."""
        if self._position is None:
            return {"is_ready": False}
        telling = self._dispatcher
        faults = list(telling.faults.items()) if telling else []
        return {
            "position": self._position,
            "lag": max(0, self._journal.end() - self._position),
            "last_error": f"{faults[0][0]}: {faults[0][1][1]}" if faults else None,
            "counters": {"planned": self._planned, **(self._desk.counters if self._desk else {})},
            "breakers": telling.breakers() if telling else {},
        }

    def _next(self) -> OutboxPage | None:
        """Fold some entries and give what they changed; None when there are none."""
        after = self.position()
        if self._position is None:
            # An outbox that is begun where the beginning was pruned holds what is told from there on.
            after = max(after, self._journal.start())
            lead(self._registry, self._journal, after, self._settings.read_entries_max)
        end = self._journal.end()
        entries = self._journal.read(TELL.reads, after, self._settings.read_entries_max)
        if not entries:
            self._position = max(after, end)
            return None
        page = OutboxPage()
        for entry in entries:
            record = decode(entry)
            if isinstance(record, Change):
                self._registry.apply(entry.position, record)
            self._fold.add(entry.position, record, page)
        self._outbox.fold(page, entries[-1].position)
        self._position = entries[-1].position
        self._planned += len(page.planned)
        return page
