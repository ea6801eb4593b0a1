"""The journal seen from outside: topics, entries and their places."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from attribune.model.ids import Position


class Topic(StrEnum):
    """What is journaled apart from each other."""

    #: Clicks and impressions, from links and from servers.
    TOUCHES = "touches"
    #: Opens, events, consents, evidence, claims, imported devices.
    ACTIVITY = "activity"
    #: What people change: products, apps, partners, links, keys, policies, doors, corrections; and the clock's ticks.
    CONTROL = "control"
    #: What the attributor decided.
    OUTCOMES = "outcomes"
    #: What was refused at the door, kept whole up to a limit.
    REFUSED = "refused"
    #: What partners answered when told.
    DELIVERIES = "deliveries"


#: What the attributor judges.
JUDGED: Final = (Topic.CONTROL, Topic.TOUCHES, Topic.ACTIVITY)
#: What the bookkeeper books.
BOOKED: Final = (Topic.CONTROL, Topic.OUTCOMES)
#: What the recorder makes facts of.
RECORDED: Final = (Topic.CONTROL, Topic.TOUCHES, Topic.OUTCOMES, Topic.REFUSED)

#: What partners are told of, and what they answered.
TOLD: Final = (Topic.CONTROL, Topic.OUTCOMES, Topic.DELIVERIES)


class Entry(NamedTuple):
    """One appended record in its encoded form, with its place."""

    position: Position
    topic: Topic
    payload: bytes
