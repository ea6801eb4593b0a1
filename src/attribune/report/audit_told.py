"""Whether partners were told what they were to be told, or the log says why not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from attribune.model.codec import Record
from attribune.model.control import Change, Redelivery
from attribune.model.delivery import Attempt, DeliveryState, Settled
from attribune.model.ids import DeliveryId, Position
from attribune.model.position import Entry
from attribune.report.audit import DELIVERY_TYPES, OUTCOME_TYPES, Found

#: Deliveries asked for at a time.
_CHUNK: Final = 1000

#: What an outbox says of a delivery: its state, and how often it was tried.
Standing = tuple[DeliveryState, int]


class Told(NamedTuple):
    """What the check asks of the postbacks."""

    #: The deliveries that an entry gives; entries are given in order.
    plan: Callable[[Position, Record], Collection[DeliveryId]]
    #: How deliveries stand in the outbox, of those that it has.
    states: Callable[[Collection[DeliveryId]], Mapping[DeliveryId, Standing]]
    #: Up to which entry the outbox is complete.
    position: Position


class PartnersTold:
    """Every outcome's deliveries, each with what came of it."""

    name = "partners_told"
    sentence = "Every outcome that a partner is to be told of, corrections too, is in the outbox as the journal says that it stands."
    sees = (*OUTCOME_TYPES, *DELIVERY_TYPES, Change)

    def __init__(self, told: Told) -> None:
        """Remember what the journal says of each delivery."""
        self._told = told
        self._stood: dict[DeliveryId, Standing] = {}
        self._found = Found()

    def see(self, entry: Entry, record: Record) -> None:
        """Take in what is planned, what came of it, and what a person wants again."""
        if entry.position > self._told.position:
            return
        if isinstance(record, Attempt):
            self._came(entry, record.delivery, record.state, record.number)
        elif isinstance(record, Settled):
            _, tries = self._stood.get(record.delivery, (DeliveryState.WAITING, 0))
            self._came(entry, record.delivery, record.state, tries)
        elif isinstance(record, Change) and isinstance(record.record, Redelivery):
            for id_ in record.record.deliveries:
                if id_ in self._stood:
                    self._stood[id_] = DeliveryState.WAITING, self._stood[id_][1]
        for id_ in self._told.plan(entry.position, record):
            self._stood.setdefault(id_, (DeliveryState.WAITING, 0))

    def finish(self) -> Found:
        """Deliveries that the outbox does not have, or has otherwise."""
        ids = list(self._stood)
        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            states = self._told.states(chunk)
            for id_ in chunk:
                self._compare(id_, self._stood[id_], states.get(id_))
        return self._found

    def _came(self, entry: Entry, id_: DeliveryId, state: DeliveryState, tries: int) -> None:
        if id_ not in self._stood and not self._is_older(id_):
            self._found.say(
                f"entry {entry.position} is about delivery {id_}, which no outcome gives"
            )
        self._stood[id_] = state, tries

    def _is_older(self, id_: DeliveryId) -> bool:
        """Whether the outbox knows it, of an outcome that was pruned."""
        return id_ in self._told.states([id_])

    def _compare(self, id_: DeliveryId, wanted: Standing, found: Standing | None) -> None:
        if found is None:
            self._found.say(f"delivery {id_} is not in the outbox; run `attribune rebuild outbox`")
        elif found[1] < wanted[1] or (found[1] == wanted[1] and found[0] is not wanted[0]):
            # One with more tries has gone on since the audit began.
            self._found.say(
                f"delivery {id_} is {found[0]} after {found[1]} tries in the outbox, and {wanted[0]} after {wanted[1]} in the journal"
            )
