"""What becomes of a record that a mistake of ours keeps from being judged: it is refused by name, so that it can be told again.

Nothing else of it is remembered, least of all that its id or its transaction was seen.
"""

from __future__ import annotations

from attribune.attribute import say
from attribune.attribute.turn import Turn
from attribune.model.activity import Activity, Event
from attribune.model.codec import Record
from attribune.model.control import Change, Correct
from attribune.model.ids import Position
from attribune.model.refusal import RefusalReason
from attribune.model.touch import LinkHit, Touch


def record(turn: Turn, of: Record) -> None:
    """Refuse the turn's own record. A change that is no correction has nothing to be judged."""
    if isinstance(of, Activity):
        say.refuse(turn, of, turn.position, RefusalReason.NOT_JUDGED)
    elif isinstance(of, LinkHit | Touch):
        say.refuse_touch(turn, of, RefusalReason.NOT_JUDGED)
    else:
        assert isinstance(of, Change), "the attributor reads no other topics"
        assert isinstance(of.record, Correct), "nothing is judged of other changes"
        say.refuse_correction(turn, of.record, RefusalReason.NOT_JUDGED)


def held_event(turn: Turn, event: Event, about: Position) -> None:
    """Refuse an event that waited, and forget that it was told."""
    since = turn.now_ms - turn.limits.record_memory_ms
    turn.desk.forget_record(event.product, event.id, since, turn.now_ms)
    if event.transaction_id:
        turn.desk.forget_transaction(event.product, event.name, event.transaction_id)
    say.refuse(turn, event, about, RefusalReason.NOT_JUDGED)
