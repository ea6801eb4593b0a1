"""From the journal's entries to what they change in the outbox. Given the same entries, always the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attribune.model.activity import Consent
from attribune.model.codec import Record, decode
from attribune.model.control import Change, Postback, Redelivery
from attribune.model.delivery import Attempt, OutboxPage, Planned, Settled, Trigger
from attribune.model.ids import (
    DeliveryId,
    DeviceId,
    PartnerId,
    Position,
    ProductId,
    derived,
    digest,
)
from attribune.model.outcome import UNDOING, Attribution, CreditedEvent, Noted
from attribune.model.position import Topic
from attribune.ports import Directory, Journal, Outbox
from attribune.postback.callbacks import callbacks
from attribune.postback.looking import Looking
from attribune.postback.plan import Deed, deed_for_all, deeds, first_trigger, outcome_id, takes_back

#: What a consent's note calls it.
_CONSENT = "consent"


def device_digest(product: ProductId, device: DeviceId) -> bytes:
    """What a device's consent is kept under."""
    return digest("device", product, device)


def partner_digest(product: ProductId, device: DeviceId, partner: str) -> bytes:
    """What a device's choice about a single partner is kept under."""
    return digest("device", product, device, partner)


def transaction_digest(product: ProductId, transaction: str) -> bytes:
    """What a transaction's event is found by."""
    return digest("transaction", product, transaction)


class Postbacks:
    """The postbacks of a directory by whose outcomes they tell of, looked up anew when any has changed."""

    def __init__(self, directory: Directory) -> None:
        """Look when first asked."""
        self._directory = directory
        self._by_partner: Mapping[PartnerId | None, list[Postback]] | None = None

    def changed(self) -> None:
        """Look again."""
        self._by_partner = None

    def of(self, partner: PartnerId | None) -> list[Postback]:
        """Those that tell of a partner's outcomes alone; None gives those that tell of everybody's."""
        if self._by_partner is None:
            found: dict[PartnerId | None, list[Postback]] = {}
            for one in self._directory.every_postback():
                if not one.is_ended:
                    found.setdefault(one.partner, []).append(one)
            self._by_partner = found
        return list(self._by_partner.get(partner, ()))


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

    def add(self, place: Position, record: Record, page: OutboxPage) -> None:
        """Take one entry's record into a page. Raises JournalDamaged."""
        if isinstance(record, Change):
            self._change(record, page)
        elif isinstance(record, Attempt | Settled):
            page.came.append(record)
        elif isinstance(record, Noted):
            self._consent(record, page)
            _forget(record, page)
        elif isinstance(record, Attribution | CreditedEvent):
            page.planned.extend(self._planned(place, record, page))
            _remember(place, record, page)

    def _change(self, change: Change, page: OutboxPage) -> None:
        if isinstance(change.record, Postback):
            self._postbacks.changed()
        elif isinstance(change.record, Redelivery):
            page.again.update(dict.fromkeys(change.record.deliveries, change.at_ms))

    def _consent(self, noted: Noted, page: OutboxPage) -> None:
        """Whether a person lets partners be told, as they said last, and whether single ones."""
        if noted.record_type != _CONSENT or noted.device is None:
            return
        for partner, may in noted.partners.items():
            page.sharing[partner_digest(noted.product, noted.device, partner)] = may
        if noted.shares is not None:
            page.sharing[device_digest(noted.product, noted.device)] = noted.shares
            return
        # Version 0.1.0 did not say what is in force: then the record says what it can.
        entry = self._journal.get(Topic.ACTIVITY, noted.about)
        record = decode(entry) if entry else None
        if not isinstance(record, Consent):
            return
        said = record.sharing if record.measurement is not False else False
        if said is not None:
            page.sharing[device_digest(noted.product, noted.device)] = said

    def _planned(
        self, place: Position, outcome: Attribution | CreditedEvent, page: OutboxPage
    ) -> Iterator[Planned]:
        undoes = self._undoes(outcome, page)
        undone = self._looking.outcome(undoes) if undoes is not None else None
        if undone is not None and not takes_back(outcome, undone):
            undoes = undone = None
        is_undoing = undoes is not None
        for deed in deeds(outcome, is_undoing=is_undoing):
            assert deed.credit is not None, "only what is somebody's is told to a partner"
            for postback in self._postbacks.of(deed.credit.partner):
                if _is_wanted(postback, deed, outcome, undone):
                    yield from self._rows(postback, deed, place, outcome, undoes, undone)
        for postback in self._postbacks.of(None):
            deed = deed_for_all(outcome, is_undoing=is_undoing)
            if _is_wanted(postback, deed, outcome, undone):
                yield from self._rows(postback, deed, place, outcome, undoes, undone)

    def _rows(
        self,
        postback: Postback,
        deed: Deed,
        place: Position,
        outcome: Attribution | CreditedEvent,
        undoes: Position | None,
        undone: Attribution | CreditedEvent | None,
    ) -> Iterator[Planned]:
        about = outcome_id(outcome)
        for copy in range(self._copies(postback, deed, outcome)):
            yield Planned(
                id=delivery_id(about, outcome.revision, deed, postback, copy),
                postback=postback.id,
                partner=deed.credit.partner if deed.credit else PartnerId(""),
                product=outcome.product,
                device=outcome.device,
                outcome_id=about,
                revision=outcome.revision,
                trigger=deed.trigger,
                subject=outcome_id(undone or outcome),
                copy=copy,
                place=place,
                undoes=undoes,
                at_ms=outcome.judged_at_ms,
            )

    def _copies(self, postback: Postback, deed: Deed, outcome: Attribution | CreditedEvent) -> int:
        """How many requests: one, or as many as the click carries addresses for it."""
        if not postback.callback_hosts:
            return 1
        touch = self._looking.touch(deed.credit) if deed.credit else None
        return len(callbacks(touch, deed.trigger, outcome, postback.events)) if touch else 0

    def _undoes(self, outcome: Attribution | CreditedEvent, page: OutboxPage) -> Position | None:
        """Where the event stands that a refund or chargeback undoes."""
        if not isinstance(outcome, CreditedEvent) or outcome.name not in UNDOING:
            return None
        if outcome.transaction_id is None:
            return None
        key = transaction_digest(outcome.product, outcome.transaction_id)
        return page.transactions.get(key) or self._outbox.transactions([key]).get(key)


def _forget(noted: Noted, page: OutboxPage) -> None:
    """Who is forgotten; partners are not told of them any more."""
    for device in noted.forgets.devices if noted.forgets else ():
        page.forgotten.append((noted.product, device))


def delivery_id(about: str, revision: int, deed: Deed, postback: Postback, copy: int) -> DeliveryId:
    """The same whenever the same is told: of (outcome, revision, trigger, postback)."""
    words = [about, str(revision), deed.trigger.value, postback.id]
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
    if trigger is Trigger.REVERSAL:
        trigger = first_trigger(undone or outcome)
    if trigger not in postback.triggers or (postback.apps and outcome.app not in postback.apps):
        return False
    about = undone or outcome
    if isinstance(about, CreditedEvent) and postback.only_events:
        return about.name in postback.only_events
    return True


def _remember(place: Position, outcome: Attribution | CreditedEvent, page: OutboxPage) -> None:
    """What later outcomes of the same device or transaction are told with."""
    if isinstance(outcome, Attribution):
        page.conversions[outcome.conversion] = outcome.at_ms
    elif outcome.transaction_id is not None and outcome.name not in UNDOING:
        key = transaction_digest(outcome.product, outcome.transaction_id)
        page.transactions[key] = place
