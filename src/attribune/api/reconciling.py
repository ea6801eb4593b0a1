"""What we know of the ids in a partner's list: read from the book, and what it does not know by number from facts and journal.

Many rows are looked up together: two questions of the facts for all ids of a call, and each outcome that they lead to is read
from the journal once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from msgspec import Struct, field

from attribune.api.house import House
from attribune.ledger.desk import KNOWN, TRANSACTION, Desk
from attribune.ledger.differing import day
from attribune.ledger.known import Known, Transaction
from attribune.ledger.reconcile import Claim, Ours, Owed, plain
from attribune.ledger.told import key_of
from attribune.ledger.when import day_of
from attribune.model.book import outcome_key
from attribune.model.codec import decode
from attribune.model.delivery import LogQuestion
from attribune.model.fact import FOREIGN_KINDS, FactKind, Trace
from attribune.model.ids import DeliveryId, ProductId
from attribune.model.outcome import Attribution, CreditedEvent, ForeignCredited, RefusedRecord
from attribune.model.position import Topic
from attribune.model.refusal import Refusal
from attribune.model.touch import LinkHit, Touch
from attribune.record.handles import handle_hash

#: Rows of the facts that the ids of one call may lead to; what lies beyond is not found.
ROWS_MAX: Final = 50_000
_CONVERSIONS: Final = (
    FactKind.INSTALL,
    FactKind.REINSTALL,
    FactKind.REATTRIBUTION,
    FactKind.REENGAGEMENT,
)
#: Conversions and events.
OUTCOMES: Final = (*_CONVERSIONS, FactKind.EVENT, *FOREIGN_KINDS)
_TOUCHES: Final = (FactKind.CLICK, FactKind.IMPRESSION)
_CHUNK: Final = 500

Outcome = Attribution | CreditedEvent | ForeignCredited


class Heard(Struct, kw_only=True):
    """An outcome that an id leads to."""

    key: str
    event: str
    at_ms: int
    timezone: str
    partner: str | None
    source: str
    names: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    #: None of what the book alone told.
    outcome: Outcome | None = None
    known: Known | None = None


class Lookup:
    """What the ids of some claims lead to, for one partner."""

    def __init__(self, house: House, desk: Desk, partner: str) -> None:
        """Begin with nothing."""
        self._house = house
        self._desk = desk
        self._partner = partner
        self._registry = house.up_to_date()
        self._heard: dict[str, Heard] = {}
        #: By plain id: why a record of it was refused, and when a touch of it was.
        self.refused: dict[str, str] = {}
        self.touched: dict[str, str] = {}
        #: What of it is counted in reports and was pruned from the journal.
        self.pruned: dict[str, str] = {}
        self._by_id: dict[str, list[Ours]] = {}

    def find(self, claims: Iterable[Claim]) -> None:
        """Look up all ids of some claims."""
        all_ = [claim.ids for claim in claims]
        self._by_number(
            {id_ for ids in all_ for n, id_ in ids.items() if n in {"transaction_id", "id"}}
        )
        known = {word for one in self._heard.values() for word in one.names["transaction_id"]}
        asked = {id_ for ids in all_ if not _is_known(ids, known) for id_ in ids.values()}
        self._by_facts(asked)
        self._by_deliveries({ids["id"] for ids in all_ if "id" in ids} & asked)
        self._add_known()
        self._index()

    def may_mean(self, claim: Claim) -> list[Ours]:
        """The outcomes that bear any id of a claim."""
        found = (one for id_ in claim.ids.values() for one in self._by_id.get(plain(id_), ()))
        return list({one.outcome: one for one in found}.values())

    def heard(self, one: Ours) -> Heard:
        """What is known of an outcome."""
        return self._heard[one.outcome]

    # --- by the order's number, from the book alone

    def _by_number(self, ids: Collection[str]) -> None:
        products = [str(row.id) for row in self._registry.products.newest()]
        names = [f"{product}|{id_}" for id_ in ids for product in products]
        self._desk.load(TRANSACTION, names)
        borne = self._desk.there(TRANSACTION, names, Transaction)
        keys = {key for one in borne for key in one.earners}
        self._desk.load(KNOWN, keys)
        for key in keys:
            known = self._desk.get(KNOWN, key, Known)
            if known is not None and known.transaction_id is not None:
                self._heard[key] = one = _of_book(key, known)
                one.names["transaction_id"].add(plain(known.transaction_id))

    # --- by any id, from facts and journal

    def _by_facts(self, ids: Collection[str]) -> None:
        words = defaultdict(list)
        for id_ in ids:
            words[handle_hash(id_)].append(plain(id_))
        rows = self._traced(words, (*OUTCOMES, *_TOUCHES, FactKind.REFUSED))
        touches: defaultdict[str, set[str]] = defaultdict(set)
        conversions = set()
        for handle, row in rows:
            if row.kind == FactKind.REFUSED:
                self._refused(row, words[handle])
            elif row.kind in _TOUCHES:
                self._touched(row, words[handle], touches)
            else:
                self._take(row, words[handle])
                if row.kind in _CONVERSIONS:
                    conversions.add(row.conversion)
        further = {handle_hash(word) for word in (*conversions, *touches) if word}
        for _, row in self._traced(further, OUTCOMES):
            self._take(row)
        self._add_lost(touches)

    def _traced(
        self, handles: Collection[int], kinds: Collection[FactKind]
    ) -> list[tuple[int, Trace]]:
        return self._house.facts().trace_all(handles, kinds, ROWS_MAX) if handles else []

    def _refused(self, row: Trace, words: list[str]) -> None:
        for topic in (Topic.OUTCOMES, Topic.REFUSED):
            entry = self._house.journal.get(topic, row.position)
            record = decode(entry) if entry is not None else None
            if isinstance(record, RefusedRecord | Refusal):
                self.refused.update(dict.fromkeys(words, str(record.reason)))

    def _touched(self, row: Trace, words: list[str], touches: defaultdict[str, set[str]]) -> None:
        """A touch of this partner's; another's may bear the same click id."""
        entry = self._house.journal.get(Topic.TOUCHES, row.about)
        record = decode(entry) if entry is not None else None
        if isinstance(record, LinkHit):
            link = self._registry.link(record.link, at=row.about)
            partner = link.partner if link is not None else None
        else:
            partner = record.partner if isinstance(record, Touch) else None
        if partner == self._partner and row.touch and isinstance(record, LinkHit | Touch):
            touches[row.touch].update(words)
            self.touched.update(dict.fromkeys(words, day(record.received_at_ms)))

    def _take(self, row: Trace, words: Collection[str] = ()) -> None:
        """An outcome, in its newest revision of those that are led to."""
        entry = self._house.journal.get(Topic.OUTCOMES, row.position)
        if entry is None:
            self._take_pruned(row, words)
            return
        outcome = decode(entry)
        if not isinstance(outcome, Attribution | CreditedEvent | ForeignCredited):
            return
        key = key_of(outcome)
        before = self._heard.get(key)
        one = before or Heard(
            key=key,
            event=event_of(outcome),
            at_ms=outcome.at_ms,
            timezone=self._timezone(outcome.product),
            partner=None,
            source="",
        )
        self._heard[key] = one
        newest = one.outcome
        if newest is None or revision_of(outcome) >= revision_of(newest):
            one.outcome, one.source = outcome, outcome.source.value
            one.partner = partner_of(outcome)
        for name, id_ in ids_of(outcome, self._partner):
            one.names[name].add(plain(id_))

    def _take_pruned(self, row: Trace, words: Collection[str]) -> None:
        """What the journal no longer keeps: of a conversion the book may know what it needs."""
        self.pruned.update(dict.fromkeys(words, str(row.kind)))
        if row.kind not in _CONVERSIONS or row.conversion is None:
            return
        products = (str(product.id) for product in self._registry.products.newest())
        for key in [outcome_key(product, "conversion", row.conversion) for product in products]:
            known = self._desk.get(KNOWN, key, Known)
            if known is not None:
                one = self._heard.setdefault(key, _of_book(key, known))
                one.names["conversion_id"].add(plain(row.conversion))
                one.names["id"].update(words)

    def _timezone(self, product: ProductId) -> str:
        found = self._registry.products.at(product)
        return found.timezone if found is not None else "UTC"

    def _add_lost(self, touches: dict[str, set[str]]) -> None:
        """A touch that competed for what another won leads there too."""
        if not touches:
            return
        for one in self._heard.values():
            if isinstance(one.outcome, Attribution) and one.partner != self._partner:
                for candidate in one.outcome.candidates:
                    one.names["click_id"].update(touches.get(candidate.touch, ()))

    def _by_deliveries(self, ids: Collection[str]) -> None:
        """What partners were told by our own ids of the telling."""
        asked = sorted(id_ for id_ in ids if id_.startswith("dl_"))
        for start in range(0, len(asked), _CHUNK):
            ids_ = tuple(map(DeliveryId, asked[start : start + _CHUNK]))
            wanted = LogQuestion(ids=ids_, rows_max=_CHUNK)
            told = {one.row.planned.id: one.row.planned for one in self._house.outbox().log(wanted)}
            self._by_facts_of_deliveries({id_: p.outcome_id for id_, p in told.items()})

    def _by_facts_of_deliveries(self, outcomes: dict[DeliveryId, str]) -> None:
        for _, row in self._traced({handle_hash(one) for one in outcomes.values()}, OUTCOMES):
            self._take(row)
        of: defaultdict[str, set[str]] = defaultdict(set)
        for id_, outcome in outcomes.items():
            of[plain(outcome)].add(plain(id_))
        for one in self._heard.values():
            if one.outcome is not None:
                one.names["id"].update(of.get(plain(told_as(one.outcome)), ()))

    # --- together

    def _add_known(self) -> None:
        """What the book knows of them; it has heard of a later revision where an id leads to an earlier one."""
        self._desk.load(KNOWN, self._heard)
        for key, one in self._heard.items():
            one.known = known = self._desk.get(KNOWN, key, Known)
            if known is not None and (
                one.outcome is None or known.revision > revision_of(one.outcome)
            ):
                one.partner = known.partner

    def _index(self) -> None:
        for one in self._heard.values():
            ours = ours_of(one, self._partner)
            for words in ours.names.values():
                for word in words:
                    self._by_id.setdefault(word, []).append(ours)


def _is_known(ids: dict[str, str], known: Collection[str]) -> bool:
    """Whether the book's numbers alone say what a row means."""
    return plain(ids.get("transaction_id", "")) in known


def _of_book(key: str, known: Known) -> Heard:
    """An outcome as the book alone knows it."""
    return Heard(
        key=key,
        event=known.name,
        at_ms=known.at_ms,
        timezone=known.timezone,
        partner=known.partner,
        source="organic or unknown",
    )


def ours_of(one: Heard, partner: str) -> Ours:
    """An outcome as claims are compared with it."""
    return Ours(
        outcome=one.key,
        event=one.event,
        day=day_of(one.timezone, one.at_ms).isoformat(),
        names={name: frozenset(words) for name, words in one.names.items()},
        owed=owed_of(one.known, partner),
    )


def owed_of(known: Known | None, partner: str) -> Owed:
    """What a partner is owed for an outcome now, by currency; what is up the tree is another's conversion."""
    owed: Owed = {}
    for booked in known.booked if known is not None else ():
        if booked.partner == partner and not booked.level:
            owed[booked.currency] = owed.get(booked.currency, 0) + booked.amount_minor
    return owed


def event_of(outcome: Outcome) -> str:
    """The event's name, or the conversion's kind."""
    if isinstance(outcome, Attribution):
        return outcome.kind.value
    return outcome.name or ("" if isinstance(outcome, CreditedEvent) else outcome.kind.value)


def revision_of(outcome: Outcome) -> int:
    """Which revision it is; a vendor's word has one."""
    return 1 if isinstance(outcome, ForeignCredited) else outcome.revision


def partner_of(outcome: Outcome) -> str | None:
    """Who is credited."""
    if isinstance(outcome, ForeignCredited):
        return outcome.partner if outcome.is_primary else None
    return outcome.credit.partner if outcome.credit is not None else None


def told_as(outcome: Outcome) -> str:
    """What deliveries call it."""
    return outcome.conversion if isinstance(outcome, Attribution) else outcome.record


def ids_of(outcome: Outcome, partner: str) -> Iterator[tuple[str, str]]:
    """The ids that a partner may name it by; another partner's click id is not this one's."""
    yield "record_id", outcome.record
    if isinstance(outcome, ForeignCredited):
        touch, click, owner = outcome.touch, outcome.partner_click_id, outcome.partner
        conversion = None
    else:
        credit, conversion = outcome.credit, outcome.conversion
        touch = credit.touch if credit is not None else None
        click = credit.partner_click_id if credit is not None else None
        owner = credit.partner if credit is not None else None
    order = None if isinstance(outcome, Attribution) else outcome.transaction_id
    words = {
        "transaction_id": order,
        "conversion_id": conversion,
        "touch_id": touch,
        "click_id": click if owner == partner else None,
    }
    for name, id_ in words.items():
        if id_:
            yield name, id_
