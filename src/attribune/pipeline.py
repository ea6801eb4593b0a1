"""The whole way of the data, on one screen.

Each stage is a role. What it reads, it reads from the journal in the journal's order; what it writes is an append, or a view
that can be made again. Nothing flows back: a stage reads what stages above it wrote (ticks and people's changes are both
``control``, which everybody reads).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from attribune.attribute import (
    attributor,
    consent,
    corrections,
    foreign,
    forgetting,
    lifecycle,
    touches,
    waiting,
)
from attribune.collect import links, native
from attribune.ledger import ladder, payout, precedence, rates, statements, told
from attribune.model.position import BOOKED, JUDGED, RECORDED, TOLD, Topic
from attribune.postback import deliver, plan, render
from attribune.record import facts


class Stage(NamedTuple):
    """One role's part of the way."""

    role: str
    #: Topics it reads, merged in the journal's order.
    reads: tuple[Topic, ...]
    #: Topics it appends to.
    writes: tuple[Topic, ...]
    #: What it keeps beside the journal; all of it can be made again.
    views: tuple[str, ...]
    #: What it does with a record, in order.
    steps: tuple[Callable[..., Any], ...]


COLLECT: Final = Stage(
    role="collector",
    reads=(Topic.CONTROL,),
    writes=(Topic.TOUCHES, Topic.ACTIVITY, Topic.REFUSED),
    views=(),
    steps=(native.read_batch, native.read_record),
)

ATTRIBUTE: Final = Stage(
    role="attributor",
    reads=JUDGED,
    writes=(Topic.OUTCOMES, Topic.CONTROL),
    views=("store", "answers"),
    steps=(
        links.read_touch,
        touches.touch_,
        *attributor.STEPS,
        waiting.expire,
        lifecycle.open_,
        lifecycle.event,
        lifecycle.evidence_,
        consent.consent,
        lifecycle.known,
        forgetting.forget,
        foreign.judge,
        corrections.correct,
    ),
)

REGISTER: Final = Stage(
    role="registrar",
    reads=(Topic.CONTROL,),
    writes=(),
    views=("registry",),
    steps=(),
)

RECORD: Final = Stage(
    role="recorder",
    reads=RECORDED,
    writes=(),
    views=("facts",),
    steps=(links.read_touch, facts.facts_of),
)

TELL: Final = Stage(
    role="postbacker",
    reads=TOLD,
    writes=(Topic.DELIVERIES,),
    views=("outbox",),
    steps=(plan.deeds, plan.telling, render.Prepared.request, deliver.judge),
)

BOOK: Final = Stage(
    role="bookkeeper",
    reads=BOOKED,
    writes=(Topic.CONTROL,),
    views=("book",),
    steps=(
        told.told,
        precedence.decide,
        rates.Rates.of,
        ladder.change,
        statements.close,
        payout.make,
        payout.settle,
    ),
)

#: The stages in the order that a record passes them.
WAY: Final = (COLLECT, ATTRIBUTE, REGISTER, RECORD, TELL, BOOK)
