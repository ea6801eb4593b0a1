"""The attributor's judgement, entry by entry: control, touches and activity in; outcomes out.

``STEPS`` is the whole way of an activity record, first refusal wins. What it needs to know stands on the desk; what time it
is, the journal says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from attribune.attribute import aside, consent, foreign, forgetting, lifecycle, orders, say, waiting
from attribune.attribute.answer import answer
from attribune.attribute.corrections import correct
from attribune.attribute.desk import Desk
from attribune.attribute.recorded import is_taken, take
from attribune.attribute.standin import with_device
from attribune.attribute.state import DeviceState
from attribune.attribute.touches import touch_
from attribune.attribute.transcript import Stood
from attribune.attribute.turn import OF_THE_WORLD, Limits, Mistake, ReadTouch, Said, Turn
from attribune.model.activity import (
    Activity,
    Claim,
    Consent,
    Event,
    Evidence,
    ForeignConversion,
    Forget,
    KnownDevice,
    Open,
)
from attribune.model.codec import Record
from attribune.model.control import Change, Correct
from attribune.model.ids import DeviceId, Position, ProductId
from attribune.model.outcome import is_set_aside
from attribune.model.position import Entry
from attribune.model.refusal import RefusalReason
from attribune.model.touch import Touch, TouchRecord
from attribune.ports import Directory, Enricher, Store


def refuse_repeated(turn: Turn, record: Activity) -> bool:
    """The same (product, record id) within the time that ids are remembered counts once."""
    since = turn.now_ms - turn.limits.record_memory_ms
    if turn.desk.record(record.product, record.id, since, turn.now_ms) is not None:
        say.refuse(turn, record, turn.position, RefusalReason.REPEATED_RECORD, instead_of=record.id)
        return True
    turn.desk.put_record(record.product, record.id, turn.position, turn.now_ms)
    return False


def refuse_unconsented(turn: Turn, record: Activity) -> bool:
    """Nothing but the consent itself is measured of a person who said so."""
    if isinstance(record, Consent | Forget):
        return False
    device = record.device.id if record.device else None
    if device is None and record.user_id:
        device = turn.desk.user_device(record.product, record.user_id)
    state = turn.desk.device(record.product, device) if device else _placing(turn, record)
    if state is None or state.measurement:
        return False
    say.refuse(turn, record, turn.position, RefusalReason.NO_CONSENT)
    return True


#: What is told of our own devices; a foreign conversion is judged apart.
Own = Open | Event | Consent | Evidence | Claim | KnownDevice | Forget


def refuse_forgotten(turn: Turn, record: Activity) -> bool:
    """Nothing more is measured of a device whose person was forgotten; to be forgotten again changes nothing."""
    device = record.device
    state = turn.desk.device(record.product, device.id) if device else _placing(turn, record)
    if state is None or not state.forgotten_at_ms or isinstance(record, Forget):
        return False
    say.refuse(turn, forgetting.nameless(record), turn.position, RefusalReason.FORGOTTEN)
    return True


def _placing(turn: Turn, record: Activity) -> DeviceState | None:
    """The device that placed the order of an event that names nothing else."""
    return orders.held_to(turn, record) if isinstance(record, Event) else None


#: What may refuse an activity record that the door has accepted, in order.
STEPS: Final[tuple[Callable[[Turn, Activity], bool], ...]] = (
    refuse_repeated,
    refuse_forgotten,
    refuse_unconsented,
)


class Attributor:
    """Reads the journal in order and says who earns what."""

    def __init__(
        self,
        directory: Directory,
        store: Store,
        enricher: Enricher,
        read_touch: ReadTouch,
        limits: Limits | None = None,
    ) -> None:
        """Go on from the position that the store stands at."""
        self._limits = limits or Limits()
        self.desk = Desk(store, self._limits.touch_memory_ms)
        self._directory = directory
        self._enricher = enricher
        self._read_touch = read_touch
        self._asked: set[tuple[ProductId, DeviceId]] = set()
        self._mistakes: list[Mistake] = []
        self._readings: dict[Position, Touch | None] = {}
        #: Records that were scrubbed, so that what stands of them was taken as it is.
        self.as_recorded = 0

    def judge(
        self,
        entry: Entry,
        record: Record,
        stood_aside: Collection[Position] = (),
        stood: Sequence[Stood] = (),
    ) -> list[Said]:
        """The outcomes of one entry, which must be the next one in the journal's order.

        Changes of the registry must have been applied to the directory before. A record that cannot be judged, by a mistake
        of ours, is refused as ``not_judged`` and leaves no other trace; ``stood_aside`` are the places of those that stand so
        in this turn already. Of a record that was scrubbed, ``stood`` is taken as it stands. Raises StoreUnavailable.
        """
        desk = self.desk
        desk.settle()
        now_ms = max(desk.meta.journal_ms, received_at_ms(record))
        desk.meta.journal_ms = now_ms
        turn = Turn(
            desk,
            self._directory,
            self._enricher,
            self._read_touch,
            self._limits,
            self._readings,
            entry.position,
            now_ms,
            stood_aside=stood_aside,
        )
        if is_taken(record, stood):
            take(turn, record, stood)
            self.as_recorded += 1
            self._asked |= turn.touched
            return turn.said
        if desk.next_due <= now_ms:
            waiting.expire(turn)
        turn.attempt(
            entry.position,
            lambda: self._judge(turn, entry, record),
            lambda: aside.record(turn, record),
        )
        self._asked |= turn.touched
        if turn.has_set_aside:
            self._count(turn)
        return turn.said

    def mistakes(self) -> list[Mistake]:
        """What mistakes of ours have cost since this was asked last."""
        found, self._mistakes = self._mistakes, []
        return found

    def _judge(self, turn: Turn, entry: Entry, record: Record) -> None:
        if isinstance(record, TouchRecord):
            touch_(turn, record, entry.payload)
        elif isinstance(record, Change):
            if isinstance(record.record, Correct):
                correct(turn, record.record)
        elif isinstance(record, ForeignConversion):
            foreign.judge(turn, record)
        else:
            activity = with_device(turn, record)  # type: ignore[arg-type]  # the rest of the topics read
            if not any(refuse(turn, activity) for refuse in STEPS):
                _place(turn, activity, entry)  # type: ignore[arg-type]  # a foreign one stays what it is

    def answers(self) -> dict[tuple[ProductId, DeviceId], bytes | None]:
        """What SDKs are to be told of the devices judged since the last commit; None: nothing is decided any more."""
        out: dict[tuple[ProductId, DeviceId], bytes | None] = {}
        for name in sorted(self._asked):
            try:
                out[name] = self.answer(*name)
            except OF_THE_WORLD:
                raise
            except Exception as fault:  # noqa: BLE001 - it costs one device its answer, and no other
                self._mistakes.append(Mistake(f"device {name[1]} keeps its older answer", fault))
        return out

    def answer(self, product: ProductId, device: DeviceId) -> bytes | None:
        """What an SDK is to be told of a device, or None when nothing is decided."""
        state = self.desk.device(product, device)
        return answer(state, self._turn()) if state else None

    def wrote(self, outcomes_end: Position, differences: int) -> None:
        """Note where the newest outcome stands, and decisions that came out differently after a crash."""
        self.desk.meta.outcomes_end = outcomes_end
        self.desk.meta.differences += differences

    def commit(self, position: Position) -> None:
        """Keep what was learnt up to a place."""
        self.desk.commit(position)
        self._asked.clear()

    def _count(self, turn: Turn) -> None:
        """Count the records that a turn has set aside, also for mistakes that were mended since."""
        self._mistakes += turn.mistakes
        self.desk.meta.set_aside += sum(is_set_aside(said.outcome) for said in turn.said)

    def _turn(self) -> Turn:
        desk = self.desk
        return Turn(
            desk,
            self._directory,
            self._enricher,
            self._read_touch,
            self._limits,
            self._readings,
            desk.position,
            desk.meta.journal_ms,
        )


def received_at_ms(record: Record) -> int:
    """When the journal took a record, by our clock."""
    return record.at_ms if isinstance(record, Change) else record.received_at_ms  # type: ignore[union-attr]  # outcomes are not judged


def _place(turn: Turn, record: Own, entry: Entry) -> None:
    match record:
        case Open():
            lifecycle.open_(turn, record, entry.position)
        case Event():
            lifecycle.event(turn, record, entry.position, entry.payload)
        case Evidence() | Claim():
            lifecycle.evidence_(turn, record, entry.position)
        case Consent():
            consent.consent(turn, record, entry.position)
        case Forget():
            forgetting.forget(turn, record, entry.position)
        case _:  # a known device: the types let nothing else come here
            lifecycle.known(turn, record, entry.position)
