"""The partners' servers: they take what they are told, fail, turn away, hang, or answer and are not heard; and remember what they took."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from attribune.model.codec import decode
from attribune.model.control import Change, Redelivery
from attribune.model.delivery import Attempt, DeliveryState
from attribune.model.ids import START, DeliveryId
from attribune.model.position import Topic
from attribune.postback.deliver import Answer
from attribune.postback.lane import DELIVERY_HEADER
from attribune.postback.render import Request

if TYPE_CHECKING:
    from faults.world import World

#: How long a request is on its way, at most, and how long nobody answers one that is lost. Seconds.
_WAY_S: Final = 0.2
_LOST_S: Final = 10.0


class Mood(StrEnum):
    """What becomes of a request."""

    TAKEN = "taken"
    #: Taken, and the answer never arrives.
    UNHEARD = "taken, unheard"
    FAILED = "failed"
    #: Turned away: 404, while they deploy.
    DECLINED = "declined"
    LOST = "lost"


_STATUS: Final = {Mood.TAKEN: 200, Mood.FAILED: 503, Mood.DECLINED: 404}


class Partners:
    """All servers that partners are told at."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = random.Random(f"{world.seed}/partners")
        #: How often a request goes well, for a while.
        self._health = 1.0
        self._until_s = 0.0
        self.is_well = False
        #: What each delivery was told with, as often as it was taken.
        self.took: dict[DeliveryId, list[str]] = {}
        #: Deliveries that stand in the journal as told, up to a place.
        self._told: set[DeliveryId] = set()
        self._read = START

    def mood(self) -> Mood:
        """What becomes of the next request."""
        now_s = self._world.loop.now_s
        if now_s >= self._until_s:
            self._health = self._chance.choice((1.0, 0.7, 0.0))
            self._until_s = now_s + self._chance.uniform(0.5, 4.0)
        if self.is_well or self._chance.random() < self._health:
            return Mood.TAKEN
        return self._chance.choice((Mood.UNHEARD, Mood.FAILED, Mood.DECLINED, Mood.LOST))

    def way_s(self) -> float:
        """How long a request is under way."""
        return self._chance.random() * _WAY_S

    def take(self, request: Request) -> None:
        """A partner takes what it is told."""
        id_ = DeliveryId(request.headers[DELIVERY_HEADER])
        self.took.setdefault(id_, []).append(request.url)

    def is_known_as_told(self, id_: DeliveryId) -> bool:
        """Whether the journal says that a delivery was taken, and nobody has wanted it again since."""
        topics = (Topic.DELIVERIES, Topic.CONTROL)
        for entry in self._world.disk["journal"].read(topics, self._read, 1_000_000):
            record = decode(entry)
            if isinstance(record, Attempt) and record.state is DeliveryState.DELIVERED:
                self._told.add(record.delivery)
            elif isinstance(record, Change) and isinstance(record.record, Redelivery):
                self._told -= set(record.record.deliveries)
            self._read = entry.position
        return id_ in self._told


class WorldDeliverer:
    """Stands in for the HTTP client of one lane. What is under way arrives though its process is no more."""

    def __init__(self, partners: Partners, process: Any, _allowed: AbstractSet[str]) -> None:
        self._partners = partners
        self._process = process

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held."""

    async def send(self, request: Request) -> Answer:
        partners, process = self._partners, self._process
        process.check()
        id_ = DeliveryId(request.headers[DELIVERY_HEADER])
        mood = partners.mood()
        process.world.note(process.name, f"tells {id_}: {mood}")
        if partners.is_known_as_told(id_):
            process.world.broken.append(f"delivery {id_} was sent again after it was known as told")
        await asyncio.sleep(partners.way_s())
        if mood in {Mood.TAKEN, Mood.UNHEARD}:
            partners.take(request)
        if mood in {Mood.UNHEARD, Mood.LOST}:
            await asyncio.sleep(_LOST_S)
            return Answer(None, b"", f"no answer within {_LOST_S:g} s", 0)
        await asyncio.sleep(partners.way_s())
        return Answer(_STATUS[mood], b"", None, 0)
