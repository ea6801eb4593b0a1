"""Records whose personal fields were taken out: what was decided of them is not decided anew, but taken as it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attribune.attribute.forgetting import put_tombstone
from attribune.attribute.rows import Placer
from attribune.attribute.transcript import Stood
from attribune.attribute.turn import Said, Turn
from attribune.attribute.waiting import place
from attribune.model.activity import Activity, Event
from attribune.model.codec import Record, encode
from attribune.model.control import Change
from attribune.model.ids import device_digest, is_forgotten
from attribune.model.outcome import (
    UNDOING,
    Attribution,
    ConversionKind,
    CreditedEvent,
    Noted,
    RefusedRecord,
)
from attribune.model.refusal import RefusalReason
from attribune.model.touch import Touch


def is_taken(record: Record, stood: Iterable[Stood]) -> bool:
    """Whether what stands is taken: of a record that was scrubbed, and of a correction of such a one's conversion."""
    if isinstance(record, Change):
        return any(one.outcome.device and is_forgotten(one.outcome.device) for one in stood)
    return getattr(record, "is_scrubbed", False)


def take(turn: Turn, record: Record, stood: Sequence[Stood]) -> None:
    """Say what stands, and remember of it what others depend on: records, transactions, touches that have won, who is forgotten."""
    _record(turn, record, stood)
    if turn.desk.next_due <= turn.now_ms:
        _let_go_overdue(turn)
    for one in stood:
        outcome = one.outcome
        turn.said.append(Said(outcome, one.payload))
        if isinstance(outcome, Attribution):
            _conversion(turn, outcome, one.payload)
        elif isinstance(outcome, CreditedEvent):
            _transaction(turn, outcome)
        elif isinstance(outcome, Noted) and outcome.forgets:
            for device in outcome.forgets.devices:
                put_tombstone(turn, outcome, device)
                turn.touched.add((outcome.product, device))
            for touch in outcome.forgets.touches:
                turn.desk.forget_touch(touch)


def _record(turn: Turn, record: Record, stood: Iterable[Stood]) -> None:
    if isinstance(record, Activity):
        since = turn.now_ms - turn.limits.record_memory_ms
        if turn.desk.record(record.product, record.id, since, turn.now_ms) is None:
            turn.desk.put_record(record.product, record.id, turn.position, turn.now_ms)
        if isinstance(record, Event) and not _is_refused(turn, stood):
            place(turn, record, turn.position)
    elif isinstance(record, Touch):  # until they were forgotten, others could come with it
        turn.desk.put_touch(record.id, turn.position, encode(record))


def _is_refused(turn: Turn, stood: Iterable[Stood]) -> bool:
    """Whether the turn's own record was refused before it could tell of an order: what may wait no more has told."""
    own = (one.outcome for one in stood if one.outcome.about == turn.position)
    return any(
        isinstance(one, RefusedRecord) and one.reason is not RefusalReason.TOO_MANY_HELD
        for one in own
    )


def _let_go_overdue(turn: Turn) -> None:
    """Let go of others' events whose time was up in this turn: what became of them stands, and is not said again later."""
    for waits_for, position, held in turn.desk.overdue(turn.now_ms):
        turn.desk.let_go(waits_for, position, held.due_ms)


def _conversion(turn: Turn, outcome: Attribution, payload: bytes) -> None:
    assert outcome.device is not None, "a device made every conversion"
    turn.desk.put_conversion(outcome.device, outcome.conversion, payload)
    before, now = outcome.previous, outcome.credit
    if before and (now is None or before.touch != now.touch):
        turn.desk.free_touch(before.touch, outcome.conversion)
    if now and outcome.kind is not ConversionKind.REINSTALL:
        turn.desk.use_touch(now.touch, outcome.conversion)


def _transaction(turn: Turn, outcome: CreditedEvent) -> None:
    name, transaction = outcome.name, outcome.transaction_id
    if transaction and turn.desk.transaction(outcome.product, name, transaction) is None:
        turn.desk.put_transaction(outcome.product, name, transaction, outcome.record)
    if transaction and outcome.device and name not in UNDOING:
        placer = Placer(device=device_digest(outcome.product, outcome.device))
        turn.desk.put_order(outcome.product, transaction, outcome.about, placer)
