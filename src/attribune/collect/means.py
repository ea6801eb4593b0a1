"""What the doors work with, handed to each of them, and what they count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec
from msgspec import Struct

from attribune.collect.refuse import Keeper, Refused
from attribune.collect.request import Request
from attribune.collect.speaker import Speaker
from attribune.model.control import App, Link
from attribune.model.errors import JournalUnavailable
from attribune.model.position import Topic
from attribune.model.refusal import Refusal
from attribune.ports import Answers, Chance, Clock, Directory, Sink
from attribune.settings import Settings

#: The targets of a link by platform, given the apps of its product.
TargetsOf = Callable[[Link, Iterable[App]], Mapping[str, str]]


class Ways(NamedTuple):
    """What a door needs of the house beside its ports."""

    #: Where a link leads, given the apps of its product.
    targets_of: TargetsOf
    #: Opens what doors have sealed.
    unseal: Callable[[str], str]
    #: How the world reaches the doors, without a slash at the end; said anew with each start of the house.
    base_url: str


class Counters(Struct):
    """Whole numbers since the start that only grow."""

    #: Requests of every kind.
    requests: int = 0
    #: Clicks that people's browsers brought.
    clicks: int = 0
    #: Impressions that people's browsers brought.
    impressions: int = 0
    #: Hits of links whose signature let the query steer.
    signatures_good: int = 0
    #: Hits of links whose signature did not fit, or whose `expires` is missing or too far ahead.
    signatures_bad: int = 0
    #: Hits of links whose signature had expired.
    signatures_expired: int = 0
    #: Records of machines that were accepted.
    records: int = 0
    #: Refusals kept.
    refused: int = 0
    #: Refusals of which only a short head was kept, since `refused_bytes_per_s_max` was spent.
    refused_cut: int = 0
    #: Paths that no door is at.
    unknown_paths: int = 0
    #: Requests whose records the journal did not take.
    journal_failures: int = 0
    #: People sent on without a click id, since the journal could not take the click.
    clicks_not_kept: int = 0
    #: Refusals that the journal could not take.
    refusals_not_kept: int = 0
    #: Requests answered 503 since more bodies were being taken than may be held.
    crowded: int = 0
    #: Connections closed while they rested, since few were left of `connections_max`.
    connections_closed: int = 0
    #: Answers that a fault of ours made a 503.
    faults: int = 0
    #: Answers to SDKs that asked: nothing decided yet.
    attribution_pending: int = 0
    #: Answers to SDKs that asked: decided.
    attribution_decided: int = 0


class Loss(Struct):
    """When something was last not kept."""

    #: Milliseconds, UTC; None while everything ever was.
    at_ms: int | None = None


class Means(Struct, frozen=True, kw_only=True):
    """Ports, settings and shared state of one collector."""

    directory: Directory
    sink: Sink
    answers: Answers
    clock: Clock
    chance: Chance
    settings: Settings
    keeper: Keeper
    counters: Counters
    ways: Ways
    #: When each key was last used, by key id. Milliseconds, UTC.
    keys_used_at_ms: dict[str, int]
    loss: Loss = msgspec.field(default_factory=Loss)

    def note_loss(self) -> None:
        """Remember that the journal has just not taken something."""
        self.loss.at_ms = self.clock.now_ms()

    def note_key(self, speaker: Speaker, now_ms: int) -> None:
        """Remember when a key was last used."""
        if speaker.key is not None:
            self.keys_used_at_ms[speaker.key] = now_ms

    async def keep_refusal(self, refusal: Refusal) -> None:
        """Journal a refusal, and count it; the answer goes out also when the journal cannot take it."""
        try:
            await self.sink.keep(((Topic.REFUSED, refusal),))
        except JournalUnavailable:
            self.note_loss()
            self.counters.refusals_not_kept += 1
        else:
            self.counters.refused += 1
            self.counters.refused_cut += refusal.is_cut

    async def keep_request(self, request: Request, refused: Refused) -> None:
        """Journal a request that was refused as a whole."""
        body, about = request.seen_body, request.about
        await self.keep_refusal(self.keeper.refusal(request.head(), refused, body, about))
