"""What an outcome does not carry itself, found in the journal and the outbox."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import Final

from attribune.model.activity import Event, ForeignConversion, Open
from attribune.model.codec import decode
from attribune.model.control import Link
from attribune.model.delivery import TAKING_BACK, OutboxRow
from attribune.model.ids import Position, ProductId, TouchId, digest, time_of
from attribune.model.money import Money
from attribune.model.outcome import UNDOING, Attribution, Credit, CreditedEvent, ForeignCredited
from attribune.model.policy import MatchMethod
from attribune.model.position import Entry, Topic
from attribune.model.touch import LinkHit, Touch
from attribune.ports import Directory, Journal, Outbox
from attribune.postback.elsewhere import as_own, transaction_key
from attribune.postback.parts import UNDOINGS_MAX, UNKNOWN, Taken, taken, undoings_key
from attribune.postback.plan import Looked, takes_back
from attribune.postback.render import Needs

#: Reads a followed link's query under the link as it stood.
ReadTouch = Callable[[LinkHit, Link], Touch]

#: Touches that are remembered: the events of a device ask for the same one again and again.
_TOUCHES_MAX: Final = 4096
#: An entry stands within this time of when its touch was received: a commit may have waited for the disk.
_WITHIN_MS: Final = 10_000
#: Places looked at on both sides of where a touch should stand, at first; twice as many each time.
_AROUND: Final = 64
_READ_MAX: Final = 2000
#: Outcomes that are remembered until they are told: most are told as soon as they are decided.
_FRESH_MAX: Final = 10_000


def transaction_digest(product: ProductId, transaction: str) -> bytes:
    """What a transaction's event is found by."""
    return digest("transaction", product, transaction)


def own_transaction(outcome: Attribution | CreditedEvent) -> bytes | None:
    """What the events of an outcome's transaction are found by, of ours."""
    if not isinstance(outcome, CreditedEvent) or outcome.transaction_id is None:
        return None
    return transaction_digest(outcome.product, outcome.transaction_id)


class Looking:
    """Finds records, touches and earlier outcomes. What is not found has been pruned."""

    def __init__(
        self, journal: Journal, directory: Directory, outbox: Outbox, read_touch: ReadTouch
    ) -> None:
        """Remember nothing yet."""
        self._journal = journal
        self._directory = directory
        self._outbox = outbox
        self._read_touch = read_touch
        self._touch = lru_cache(maxsize=_TOUCHES_MAX)(self._find_touch)
        #: Those that were decided last, the oldest in front.
        self._fresh: dict[Position, Attribution | CreditedEvent] = {}

    def remember(self, place: Position, outcome: Attribution | CreditedEvent) -> None:
        """Keep an outcome of ours that stands at a place until ``outcomes`` asks for it."""
        self._fresh[place] = outcome
        if len(self._fresh) > _FRESH_MAX:
            del self._fresh[next(iter(self._fresh))]

    def outcome(self, place: Position) -> Attribution | CreditedEvent | None:
        """The outcome at a place. Raises JournalDamaged, JournalUnavailable."""
        entry = self._journal.get(Topic.OUTCOMES, place)
        return self._outcome(entry) if entry else None

    def foreign(self, outcome: ForeignCredited) -> Attribution | CreditedEvent | None:
        """What another measurement partner decided as an outcome of ours; None of what is not told."""
        return as_own(outcome, self._touch(outcome.touch) if outcome.touch else None)

    def _outcome(self, entry: Entry) -> Attribution | CreditedEvent | None:
        record = decode(entry)
        if isinstance(record, ForeignCredited):
            return self.foreign(record)
        return record if isinstance(record, Attribution | CreditedEvent) else None

    def outcomes(self, places: Collection[Position]) -> dict[Position, Attribution | CreditedEvent]:
        """The outcomes at some places, as far as they are kept. Raises as ``outcome`` does.

        Places that are told together mostly stand together: one walk gives them. What it does not reach is got by itself.
        """
        found = {place: self._fresh.pop(place, None) for place in places}
        wanted = {place for place, record in found.items() if record is None}
        if wanted:
            entries = self._walked(wanted)
            found.update((place, self._outcome(entry)) for place, entry in entries.items())
            found.update((place, self.outcome(place)) for place in wanted - entries.keys())
        return {place: record for place, record in found.items() if record is not None}

    def _walked(self, wanted: set[Position]) -> dict[Position, Entry]:
        """Those of some outcomes' entries that a walk from the first of them comes by, while it is worth walking."""
        found: dict[Position, Entry] = {}
        after = max(Position(min(wanted) - 1), self._journal.start())
        while len(found) < len(wanted):
            walk = self._journal.read((Topic.OUTCOMES,), after, len(wanted) - len(found))
            hits = {one.position: one for one in walk if one.position in wanted}
            found |= hits
            if 2 * len(hits) <= len(walk):
                break
            after = walk[-1].position
        return found

    def looked(self, outcome: Attribution | CreditedEvent, row: OutboxRow, needs: Needs) -> Looked:
        """What a request needs beside the outcome. Raises JournalDamaged, JournalUnavailable, StoreUnavailable."""
        one = row.planned
        undone = self.outcome(one.undoes) if one.undoes is not None else None
        app = self._directory.app(outcome.app)
        touches = {}
        if needs.touch:
            said = (outcome.credit, outcome.previous, undone.credit if undone else None)
            credits_ = [one for one in said if one is not None]
            found = ((credit.touch, self.touch(credit)) for credit in credits_)
            touches = {name: touch for name, touch in found if touch is not None}
        return Looked(
            record=self._record(outcome.about) if needs.record else None,
            touches=touches,
            store_id=app.store_id if app else None,
            conversion_at_ms=self._conversion_at_ms(outcome) if needs.conversion else None,
            undone=undone if isinstance(undone, CreditedEvent) else None,
            taken=self._taken_by(outcome, row, undone) if one.trigger in TAKING_BACK else None,
        )

    def _taken_by(
        self,
        outcome: Attribution | CreditedEvent,
        row: OutboxRow,
        undone: Attribution | CreditedEvent | None,
    ) -> Taken | None:
        """How much a row takes back: a refund its part, a correction all that is left."""
        event = undone or outcome
        if not isinstance(outcome, CreditedEvent) or not isinstance(event, CreditedEvent):
            return None
        one = row.planned
        key = self._transaction(one.place)
        if key is None:
            return taken(event, [None])
        until = one.place if undone is None else None
        return self.taken(key, outcome, event, until=until)

    def _transaction(self, place: Position) -> bytes | None:
        """What the refunds of an outcome's transaction are found by."""
        entry = self._journal.get(Topic.OUTCOMES, place)
        record = decode(entry) if entry else None
        if isinstance(record, ForeignCredited):
            return transaction_key(record)
        return own_transaction(record) if isinstance(record, CreditedEvent) else None

    def taken(
        self,
        key: bytes,
        outcome: CreditedEvent,
        event: CreditedEvent,
        more: Iterable[Position] = (),
        *,
        until: Position | None = None,
    ) -> Taken | None:
        """How much of an event an outcome takes back, after the refunds of its transaction that were told before it.

        ``more`` are places of refunds that the outbox does not have yet; those behind ``until`` do not count.
        Raises JournalDamaged, JournalUnavailable, StoreUnavailable.
        """
        if event.revenue is None:
            return None
        amounts: dict[str, Money | None] = {}
        for place in (*self._outbox.bearing(undoings_key(key), UNDOINGS_MAX), *more):
            if until is not None and place > until:
                break
            found = self.outcome(place)
            if isinstance(found, CreditedEvent) and found.record == outcome.record:
                break
            if not isinstance(found, CreditedEvent):
                amounts[str(place)] = UNKNOWN
            elif takes_back(found, event):
                amounts[found.record] = found.revenue
        last = outcome.revenue if outcome.name in UNDOING else None
        return taken(event, [*amounts.values(), last])

    def touch(self, credit: Credit) -> Touch | None:
        """The touch that is credited; a network's claim is none of ours."""
        return None if credit.method is MatchMethod.CLAIM else self._touch(credit.touch)

    def _record(self, place: Position) -> Open | Event | ForeignConversion | None:
        entry = self._journal.get(Topic.ACTIVITY, place)
        record = decode(entry) if entry else None
        return record if isinstance(record, Open | Event | ForeignConversion) else None

    def _conversion_at_ms(self, outcome: Attribution | CreditedEvent) -> int | None:
        if outcome.conversion is None:
            return None
        return self._outbox.conversions([outcome.conversion]).get(outcome.conversion)

    def _find_touch(self, touch: TouchId) -> Touch | None:
        """A touch by the millisecond that its id was made in: touches stand in the journal nearly in that order."""
        at_ms = time_of(touch)
        if at_ms is None:
            return None
        start, end = self._journal.start(), self._journal.end()
        middle = self._place_at(at_ms, start, end)
        around = _AROUND
        low, high = middle, middle
        while True:
            low = Position(max(start, middle - around))
            high = Position(min(end, middle + around))
            entries = self._between(low, high)
            for entry in entries:
                if touch.encode() in entry.payload and (found := self._as_touch(entry, touch)):
                    return found
            times = [time for time in map(_time, entries) if time is not None]
            is_past = not times or (
                times[0] < at_ms - _WITHIN_MS and times[-1] > at_ms + _WITHIN_MS
            )
            if (low == start and high == end) or (times and is_past):
                return None
            around *= 2

    def _place_at(self, at_ms: int, low: Position, high: Position) -> Position:
        """About where touches of a moment stand."""
        while low < high:
            middle = Position((low + high) // 2)
            entries = self._journal.read((Topic.TOUCHES,), middle, 1)
            time = _time(entries[0]) if entries else None
            if time is None or time >= at_ms:
                high = middle
            else:
                low = entries[0].position
        return low

    def _between(self, low: Position, high: Position) -> list[Entry]:
        """Touches behind a place, up to another."""
        found: list[Entry] = []
        after = low
        while after < high:
            entries = self._journal.read((Topic.TOUCHES,), after, _READ_MAX)
            found += [entry for entry in entries if entry.position <= high]
            if len(entries) < _READ_MAX:
                break
            after = entries[-1].position
        return found

    def _as_touch(self, entry: Entry, wanted: TouchId) -> Touch | None:
        record = decode(entry)
        if isinstance(record, LinkHit) and record.id == wanted:
            link = self._directory.link(record.link, entry.position)
            return self._read_touch(record, link) if link else None
        return record if isinstance(record, Touch) and record.id == wanted else None


def _time(entry: Entry) -> int | None:
    record = decode(entry)
    return time_of(record.id) if isinstance(record, LinkHit | Touch) else None
