"""From the journal's entries to what they change in the outbox. Given the same entries, always the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from attribune.model.activity import Consent, ForeignKind
from attribune.model.codec import Record, decode
from attribune.model.control import Change, Postback, Redelivery
from attribune.model.delivery import (
    TAKING_BACK,
    Again,
    Attempt,
    Delivery,
    OutboxPage,
    Planned,
    Settled,
    Trigger,
)
from attribune.model.ids import (
    DeliveryId,
    DeviceId,
    PartnerId,
    Position,
    ProductId,
    derived,
    digest,
)
from attribune.model.offer import Counts
from attribune.model.outcome import UNDOING, Attribution, CreditedEvent, ForeignCredited, Noted
from attribune.model.position import Topic
from attribune.ports import Directory, Journal, Outbox
from attribune.postback.callbacks import callbacks
from attribune.postback.elsewhere import counts_of, is_news, of_undone, transaction_key
from attribune.postback.looking import Looking, own_transaction
from attribune.postback.parts import Taken, undoing_name, undoings_key
from attribune.postback.plan import (
    Deed,
    as_rejected,
    deed_for_all,
    deeds,
    first_trigger,
    outcome_id,
    takes_back,
)

#: Most events of one transaction that a refund takes back; what is more is a stranger's play.
_BEARING_MAX: Final = 100
_REJECTED: Final = ForeignKind.REJECTED
#: A consent that arrives so long after it was said may stand behind a newer one.
_LATE_MS: Final = 60_000
#: What a consent's note calls it.
_CONSENT = "consent"


def device_digest(product: ProductId, device: DeviceId) -> bytes:
    """What a device's consent is kept under."""
    return digest("device", product, device)


def partner_digest(product: ProductId, device: DeviceId, partner: str) -> bytes:
    """What a device's choice about a single partner is kept under."""
    return digest("device", product, device, partner)


def measured_digest(product: ProductId, device: DeviceId) -> bytes:
    """What is kept of whether a person may be measured, which own systems heed."""
    return digest("measured", product, device)


class Undone(NamedTuple):
    """An event that a refund or chargeback undoes."""

    #: Where it stands.
    place: Position
    event: CreditedEvent
    #: How much of it is taken back; None of one without revenue.
    taken: Taken | None


class Postbacks:
    """The postbacks of a directory by whose outcomes they tell of, looked up anew when any has changed."""

    def __init__(self, directory: Directory) -> None:
        """Look when first asked."""
        self._directory = directory
        self._found: Mapping[Counts, Mapping[PartnerId | None, list[Postback]]] | None = None

    def changed(self) -> None:
        """Look again."""
        self._found = None

    def of(self, partner: PartnerId | None, counts: Counts = Counts.OWN) -> Sequence[Postback]:
        """Those that tell of a partner's outcomes alone, by whose decisions; None gives those that tell of everybody's."""
        found = self._by_counts().get(counts)
        return found.get(partner, ()) if found else ()

    def tells_of(self, counts: Counts) -> bool:
        """Whether any postback tells of such decisions."""
        return counts in self._by_counts()

    def _by_counts(self) -> Mapping[Counts, Mapping[PartnerId | None, list[Postback]]]:
        if self._found is None:
            found: dict[Counts, dict[PartnerId | None, list[Postback]]] = {}
            for one in self._directory.every_postback():
                if not one.is_ended:
                    found.setdefault(one.counts, {}).setdefault(one.partner, []).append(one)
            self._found = found
        return self._found


class Fold:
    """Reads entries into pages, with the directory as of each entry."""

    def __init__(
        self, journal: Journal, directory: Directory, outbox: Outbox, looking: Looking
    ) -> None:
        """The caller brings the directory on, in the journal's order, and tells ``changed``."""
        self._journal = journal
        self._outbox = outbox
        self._looking = looking
        self._postbacks = Postbacks(directory)
        #: What takes each kind of record; others change nothing.
        self._takers: dict[type, Callable[[Position, Any, OutboxPage], None]] = {
            Change: self._change,
            Attempt: self._came,
            Settled: self._came,
            Noted: self._noted,
            Attribution: self._own,
            CreditedEvent: self._own,
            ForeignCredited: self._foreign,
        }

    def add(self, place: Position, record: Record, page: OutboxPage) -> None:
        """Take one entry's record into a page. Raises JournalDamaged."""
        take = self._takers.get(type(record))
        if take is not None:
            take(place, record, page)

    def _came(self, _: Position, record: Delivery, page: OutboxPage) -> None:
        page.came.append(record)

    def _noted(self, _: Position, record: Noted, page: OutboxPage) -> None:
        self._consent(record, page)
        _forget(record, page)

    def _own(self, place: Position, record: Attribution | CreditedEvent, page: OutboxPage) -> None:
        key = own_transaction(record)
        before = len(page.planned)
        page.planned.extend(self._planned(place, record, self._undone(record, key, page)))
        if len(page.planned) > before:
            self._looking.remember(place, record)
        _remember(place, record, key, page)

    def _foreign(self, place: Position, record: ForeignCredited, page: OutboxPage) -> None:
        """What another measurement partner decided, for the postbacks that count it and for no other."""
        if not self._postbacks.tells_of(counts_of(record)):
            return
        outcome = self._looking.foreign(record)
        if outcome is None:
            return
        key = transaction_key(record)
        undone = self._undone(outcome, key, page)
        is_rejected_event = isinstance(outcome, CreditedEvent) and record.kind is _REJECTED
        if is_rejected_event and not undone:
            return  # what it rejects was told to nobody
        page.planned.extend(self._planned(place, outcome, undone, counts_of(record)))
        if isinstance(outcome, CreditedEvent):
            _remember(place, outcome, key, page)

    def _change(self, _: Position, change: Change, page: OutboxPage) -> None:
        if isinstance(change.record, Postback):
            self._postbacks.changed()
        elif isinstance(change.record, Redelivery):
            page.came.extend(Again(id_, change.at_ms) for id_ in change.record.deliveries)

    def _consent(self, noted: Noted, page: OutboxPage) -> None:
        """Whether a person lets partners be told, as they said last, whether single ones, and whether they may be measured."""
        if noted.record_type != _CONSENT or noted.device is None:
            return
        for partner, may in noted.partners.items():
            page.sharing[partner_digest(noted.product, noted.device, partner)] = may
        measured = measured_digest(noted.product, noted.device)
        if noted.shares:
            page.sharing[device_digest(noted.product, noted.device)] = True
            page.sharing[measured] = True
            return
        entry = self._journal.get(Topic.ACTIVITY, noted.about)
        record = decode(entry) if entry else None
        if noted.shares is not None:
            page.sharing[device_digest(noted.product, noted.device)] = False
        measures = _may_be_measured(record)
        if measures is not None:
            page.sharing[measured] = measures
        if noted.shares is not None or not isinstance(record, Consent):
            return
        # Version 0.1.0 did not say what is in force: then the record says what it can.
        said = record.sharing if record.measurement is not False else False
        if said is not None:
            page.sharing[device_digest(noted.product, noted.device)] = said

    def _planned(
        self,
        place: Position,
        outcome: Attribution | CreditedEvent,
        undone: list[Undone],
        counts: Counts = Counts.OWN,
    ) -> Iterator[Planned]:
        if not undone:
            yield from self._told(place, outcome, None, counts)
        for one in undone:
            yield from self._told(place, outcome, one, counts)

    def _told(
        self,
        place: Position,
        outcome: Attribution | CreditedEvent,
        undone: Undone | None,
        counts: Counts,
    ) -> Iterator[Planned]:
        """Rows for what an outcome says, or for one of the events that it takes back."""
        event, taken = (undone.event, undone.taken) if undone else (None, None)
        if counts is not Counts.OWN:
            if not is_news(event or outcome):
                return
            outcome = of_undone(outcome, event) if event else outcome
        for deed in deeds(outcome, event, taken):
            assert deed.credit is not None, "only what is somebody's is told to a partner"
            for postback in self._postbacks.of(deed.credit.partner, counts):
                heard = self._as_heard(postback, deed, outcome)
                if _is_wanted(postback, heard, outcome, event):
                    yield from self._rows(postback, heard, place, outcome, undone)
        for postback in self._postbacks.of(None, counts):
            deed = deed_for_all(outcome, taken, is_undoing=event is not None)
            if _is_wanted(postback, deed, outcome, event):
                yield from self._rows(postback, deed, place, outcome, undone)

    def _rows(
        self,
        postback: Postback,
        deed: Deed,
        place: Position,
        outcome: Attribution | CreditedEvent,
        undone: Undone | None,
    ) -> Iterator[Planned]:
        about = outcome_id(outcome)
        event = undone.event if undone else None
        # What a server told by an order's number may name nobody; who placed the order has a say all the same.
        device = event.device if event and outcome.device is None else outcome.device
        for copy in range(self._copies(postback, deed, outcome, event)):
            yield Planned(
                id=delivery_id(about, outcome.revision, deed, postback, copy, event),
                postback=postback.id,
                partner=deed.credit.partner if deed.credit else PartnerId(""),
                product=outcome.product,
                device=device,
                outcome_id=about,
                revision=outcome.revision,
                trigger=deed.trigger,
                subject=outcome_id(event or outcome),
                copy=copy,
                place=place,
                undoes=undone.place if undone else None,
                at_ms=outcome.judged_at_ms,
            )

    def _as_heard(
        self, postback: Postback, deed: Deed, outcome: Attribution | CreditedEvent
    ) -> Deed:
        """A reversal of a refused install as such, to who asked for it and can be told; one or the other, never both."""
        rejected = as_rejected(deed, outcome)
        if rejected is None or Trigger.REJECTED_INSTALL not in postback.triggers:
            return deed
        return rejected if self._copies(postback, rejected, outcome, None) else deed

    def _copies(
        self,
        postback: Postback,
        deed: Deed,
        outcome: Attribution | CreditedEvent,
        undone: CreditedEvent | None,
    ) -> int:
        """How many requests: one, or as many as the click carries addresses for it.

        No click carries one for a reversal: what was told by its addresses gives one row, by which the log says so.
        """
        if not postback.callback_hosts:
            return 1
        touch = self._looking.touch(deed.credit) if deed.credit else None
        if touch is None:
            return 0
        if deed.trigger in TAKING_BACK:
            about = undone or outcome
            return min(1, len(callbacks(touch, first_trigger(about), about, postback.events)))
        return len(callbacks(touch, deed.trigger, outcome, postback.events))

    def _undone(
        self, outcome: Attribution | CreditedEvent, key: bytes | None, page: OutboxPage
    ) -> list[Undone]:
        """The events that a refund or chargeback undoes, oldest first, where each stands, and how much of it is undone.

        All that bear its number, as the book does it: no stranger's event of the same number hides the purchase.
        """
        if not isinstance(outcome, CreditedEvent) or outcome.name not in UNDOING or key is None:
            return []
        places = self._outbox.bearing(key, _BEARING_MAX)
        places += [place for (digest_, _), place in page.transactions.items() if digest_ == key]
        found: dict[str, tuple[Position, CreditedEvent]] = {}
        for place in sorted(places):
            one = self._looking.outcome(place)
            if isinstance(one, CreditedEvent) and takes_back(outcome, one):
                found[one.record] = place, one  # as it was decided last
        refunds = undoings_key(key)
        more = [place for (digest_, _), place in page.transactions.items() if digest_ == refunds]
        return [
            Undone(place, one, self._looking.taken(key, outcome, one, more))
            for place, one in found.values()
        ]


def _may_be_measured(record: Record | None) -> bool | None:
    """What a consent that is not shared with partners says of measuring; None leaves it as it is.

    Which consent is in force the attributor knows, and its note says only of sharing. So a yes that came late, behind which a newer
    no may stand, lifts none, and one that can no longer be read is a no.
    """
    if not isinstance(record, Consent):
        return False
    is_late = record.received_at_ms - record.occurred_at_ms > _LATE_MS
    return None if record.measurement and is_late else record.measurement


def _forget(noted: Noted, page: OutboxPage) -> None:
    """Who is forgotten; partners are not told of them any more."""
    for device in noted.forgets.devices if noted.forgets else ():
        page.forgotten.append((noted.product, device))
        page.sharing[device_digest(noted.product, device)] = False
        page.sharing[measured_digest(noted.product, device)] = False


def delivery_id(
    about: str,
    revision: int,
    deed: Deed,
    postback: Postback,
    copy: int,
    undone: CreditedEvent | None,
) -> DeliveryId:
    """The same whenever the same is told: of (outcome, revision, trigger, postback), and of the event that is undone.

    A refund is told once, be it of a part or of the whole.
    """
    trigger = Trigger.REVERSAL if deed.trigger in TAKING_BACK else deed.trigger
    words = [about, str(revision), trigger.value, postback.id]
    if undone is not None:
        words.append(undone.record)
    return DeliveryId(derived("dl", *words, *([str(copy)] if copy else [])))


def _is_wanted(
    postback: Postback,
    deed: Deed,
    outcome: Attribution | CreditedEvent,
    undone: Attribution | CreditedEvent | None,
) -> bool:
    """Whether a postback tells of a deed.

    What takes back something that it tells of is always planned, so that the log says why a partner is not told.
    """
    trigger = deed.trigger
    if trigger in TAKING_BACK:
        trigger = first_trigger(undone or outcome)
    if trigger not in postback.triggers or (postback.apps and outcome.app not in postback.apps):
        return False
    about = undone or outcome
    if isinstance(about, CreditedEvent) and postback.only_events:
        return about.name in postback.only_events
    return True


def _remember(
    place: Position, outcome: Attribution | CreditedEvent, key: bytes | None, page: OutboxPage
) -> None:
    """What later outcomes of the same device or transaction are told with."""
    if isinstance(outcome, Attribution):
        page.conversions[outcome.conversion] = outcome.at_ms
    elif key is not None and outcome.name not in UNDOING:
        page.transactions[key, outcome.record] = place
    elif key is not None:
        page.transactions[undoings_key(key), undoing_name(outcome)] = place
