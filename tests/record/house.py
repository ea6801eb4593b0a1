"""A small house for the rooms behind the journal: a journal in memory, and outcomes told as the attributor would."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from attribune.engines.memory import MemoryJournal
from attribune.engines.memory_facts import MemoryFacts
from attribune.model.activity import (
    Activity,
    Consent,
    Device,
    Event,
    Evidence,
    Open,
    Platform,
    Sender,
)
from attribune.model.codec import Record, encode
from attribune.model.control import App, Change, Correct, Link, Partner, PartnerKind, Product, Tick
from attribune.model.fact import Fact
from attribune.model.ids import Position, conversion_id, uuid7
from attribune.model.money import money
from attribune.model.outcome import (
    Attribution,
    Candidate,
    Cause,
    ConversionKind,
    Credit,
    CreditedEvent,
    CreditedOpen,
    Held,
    LateTouch,
    LossReason,
    Noted,
    RefusedRecord,
    Source,
)
from attribune.model.policy import DAY_MS, HOUR_MS, MatchMethod
from attribune.model.position import Topic
from attribune.model.refusal import Refusal, RefusalReason
from attribune.model.touch import LinkHit, Touch, TouchKind, TouchOrigin
from attribune.record.facts import Lookups
from attribune.registry.view import Registry
from attribune.roles.recorder import RecorderRole, lookups_for
from attribune.settings import Settings


class KeptFacts(MemoryFacts):
    """The twin, which also shows its rows and how they were inserted."""

    def __init__(self) -> None:
        super().__init__()
        self.inserts: list[list[Fact]] = []

    @property
    def rows(self) -> list[Fact]:
        return [fact for rows in self.inserts for fact in rows]

    def insert(self, facts: Sequence[Fact]) -> None:
        super().insert(facts)
        self.inserts.append(list(facts))

    def clear(self) -> None:
        super().clear()
        self.inserts.clear()


#: 2026-03-02 09:00 UTC, a Monday.
T0 = int(datetime(2026, 3, 2, 9, tzinfo=UTC).timestamp() * 1000)
GAME = "game"


def topic_of(record: Record) -> Topic:
    if isinstance(record, LinkHit | Touch):
        return Topic.TOUCHES
    if isinstance(record, Change):
        return Topic.CONTROL
    if isinstance(record, Refusal):
        return Topic.REFUSED
    return Topic.ACTIVITY if isinstance(record, Activity) else Topic.OUTCOMES


def read_touch(hit: LinkHit, link: Link) -> Touch:
    """Stands in for the door's reader: a few words of the query."""
    words = dict(parse_qsl(hit.query))
    cost = money(words["cost"], "USD") if "cost" in words else None
    return Touch(
        id=hit.id,
        kind=hit.kind,
        product=link.product,
        partner=link.partner,
        origin=TouchOrigin.REDIRECT,
        received_at_ms=hit.received_at_ms,
        occurred_at_ms=hit.received_at_ms,
        link=link.id,
        campaign=link.campaign,
        partner_click_id=words.get("click_id"),
        ids={"gaid": words["gaid"]} if "gaid" in words else {},
        ip=hit.ip,
        cost=cost,
        signature_fault=hit.signature_fault,
    )


class Geography:
    """An enricher that knows one address."""

    def version(self) -> str:
        return "test"

    def country(self, address: str) -> str | None:
        return "DE" if address == "192.0.2.1" else None


class House:
    """A product ``game`` with an Android app, partners ``acme`` and ``zeta`` with a link each, and a recorder."""

    def __init__(self, timezone: str = "UTC", settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.journal = MemoryJournal()
        self.facts = KeptFacts()
        self._touches = 0
        self.conversions: dict[str, Attribution] = {}
        self.product = Product(id=GAME, name="Game", timezone=timezone)
        self.change(self.product)
        self.change(
            App(id="droid", product=GAME, name="Game", platform=Platform.ANDROID, store_id="g")
        )
        for name in ("acme", "zeta"):
            self.change(Partner(id=name, name=name, kind=PartnerKind.NETWORK))
            self.change(Link(id=f"l-{name}", product=GAME, partner=name, campaign=f"{name}-spring"))
        self.recorder = self.new_recorder()

    # --- telling

    def append(self, *records: Record) -> Position:
        """Append records next to each other; the place of the last."""
        return self.journal.append([(topic_of(r), encode(r)) for r in records])[-1]

    def change(self, record: Any, at_ms: int = T0) -> Position:
        return self.append(Change(at_ms=at_ms, record=record))

    def touch_id(self, at_ms: int) -> str:
        self._touches += 1
        return uuid7(at_ms, self._touches.to_bytes(10, "big"))

    def click(
        self, link: str = "l-acme", at_ms: int = T0, query: str = "", **words: Any
    ) -> LinkHit:
        hit = LinkHit(
            id=self.touch_id(at_ms),
            kind=words.pop("kind", TouchKind.CLICK),
            link=link,
            received_at_ms=at_ms,
            query=query,
            ip="192.0.2.1",
            **words,
        )
        self.append(hit)
        return hit

    def told_touch(self, at_ms: int = T0, **words: Any) -> tuple[Position, Touch]:
        touch = Touch(
            id=self.touch_id(at_ms),
            kind=TouchKind.CLICK,
            product=GAME,
            partner="acme",
            origin=TouchOrigin.S2S,
            received_at_ms=words.pop("received_at_ms", at_ms),
            occurred_at_ms=at_ms,
            **words,
        )
        return self.append(touch), touch

    def said(
        self, kind: type, record: str, device: str = "d1", at_ms: int = T0, **words: Any
    ) -> Position:
        """Append an activity record."""
        received = words.pop("received_at_ms", at_ms)
        return self.append(
            kind(
                id=record,
                product=GAME,
                app="droid",
                sender=Sender.APP,
                received_at_ms=received,
                occurred_at_ms=at_ms,
                device=Device(id=device, platform=Platform.ANDROID),
                **words,
            )
        )

    # --- deciding, as the attributor writes it

    def install(
        self,
        device: str = "d1",
        won: LinkHit | None = None,
        at_ms: int = T0 + HOUR_MS,
        lost: Sequence[LinkHit] = (),
        **words: Any,
    ) -> Attribution:
        """An open and the conversion it made; organic when nobody won."""
        record = words.pop("id", f"open-{device}-{at_ms}")
        about = self.said(
            Open, record, device, at_ms, received_at_ms=words.pop("received_at_ms", at_ms)
        )
        credit = credit_of(won) if won else None
        candidates = [candidate_of(won, at_ms, None)] if won else []
        candidates += [candidate_of(hit, at_ms, LossReason.OLDER) for hit in lost]
        outcome = Attribution(
            product=GAME,
            position=about,
            about=about,
            judged_at_ms=words.pop("judged_at_ms", at_ms),
            app="droid",
            platform=Platform.ANDROID,
            device=device,
            record=record,
            at_ms=at_ms,
            country="DE",
            os_version="15",
            conversion=conversion_id(GAME, record),
            kind=words.pop("kind", ConversionKind.INSTALL),
            source=Source.ATTRIBUTED if credit else Source.ORGANIC,
            credit=credit,
            candidates=tuple(candidates),
            policy="attribune@0",
            as_of=about,
            **words,
        )
        return self.decide(outcome)

    def decide(self, outcome: Any) -> Any:
        if isinstance(outcome, Attribution):
            self.conversions[outcome.conversion] = outcome
        self.append(outcome)
        return outcome

    def event(
        self,
        record: str = "e1",
        through: Attribution | None = None,
        at_ms: int = T0 + 2 * HOUR_MS,
        revenue: str | None = None,
        **words: Any,
    ) -> CreditedEvent:
        """An event and its credit."""
        amount = money(revenue, "USD") if revenue else None
        name = words.pop("name", "purchase")
        device = through.device if through else "d1"
        about = self.said(Event, record, device, at_ms, name=name, revenue=amount)
        return self.decide(
            CreditedEvent(
                product=GAME,
                position=about,
                about=about,
                judged_at_ms=at_ms,
                app="droid",
                platform=Platform.ANDROID,
                device=device,
                record=record,
                at_ms=at_ms,
                name=name,
                revenue=amount,
                source=through.source if through else Source.UNKNOWN,
                conversion=through.conversion if through else None,
                credit=through.credit if through else None,
                **words,
            )
        )

    def opened(
        self, record: str, through: Attribution, at_ms: int = T0 + 3 * HOUR_MS
    ) -> CreditedOpen:
        """An open that was no conversion."""
        about = self.said(Open, record, through.device, at_ms)
        return self.decide(
            CreditedOpen(
                product=GAME,
                position=about,
                about=about,
                judged_at_ms=at_ms,
                app="droid",
                platform=Platform.ANDROID,
                device=through.device,
                record=record,
                at_ms=at_ms,
                source=through.source,
                conversion=through.conversion,
                credit=through.credit,
            )
        )

    def noted(
        self, kind: type = Consent, record: str = "c1", at_ms: int = T0, **words: Any
    ) -> Noted:
        found = {name: words.pop(name) for name in ("shares", "partners") if name in words}
        about = self.said(kind, record, at_ms=at_ms, **words)
        name = {Consent: "consent", Evidence: "evidence"}[kind]
        return self.decide(
            Noted(
                product=GAME,
                position=about,
                about=about,
                judged_at_ms=at_ms,
                record=record,
                record_type=name,
                device="d1",
                app="droid",
                at_ms=at_ms,
                **found,
            )
        )

    def held(
        self, record: str = "e9", device: str | None = "d9", at_ms: int = T0, **words: Any
    ) -> Held:
        """An event that waits two days for its device's open."""
        handles = words.pop("handles", ())
        about = self.said(Event, record, device, at_ms, name="signup", **words)
        return self.decide(
            Held(
                product=GAME,
                position=about,
                about=about,
                judged_at_ms=at_ms,
                record=record,
                app="droid",
                device=device,
                at_ms=at_ms,
                until_ms=at_ms + 2 * DAY_MS,
                handles=handles,
            )
        )

    def repeated(
        self, record: str = "e1", at_ms: int = T0 + 4 * HOUR_MS, **words: Any
    ) -> RefusedRecord:
        """The same event again."""
        about = self.said(Event, record, at_ms=at_ms, name="purchase")
        return self.decide(refused(about, record, at_ms, device="d1", **words))

    def repeated_touch(self, at_ms: int = T0, **words: Any) -> tuple[Touch, RefusedRecord]:
        """A touch told by a server, and its refusal behind the journal."""
        about, touch = self.told_touch(at_ms, record_id="t1", campaign="spring", **words)
        outcome = refused(about, "t1", at_ms, record_type="touch")
        return touch, self.decide(outcome)

    def late(self, through: Attribution, at_ms: int) -> LateTouch:
        about, touch = self.told_touch(through.at_ms - 1, received_at_ms=at_ms)
        candidate = msgspec.structs.replace(
            candidate_of(touch, through.at_ms, LossReason.LATE), campaign="spring"
        )
        return self.decide(
            LateTouch(
                product=GAME,
                position=about,
                about=about,
                judged_at_ms=at_ms,
                conversion=through.conversion,
                device=through.device,
                candidate=candidate,
            )
        )

    def correct(self, outcome: Any, to: LinkHit | None, judged_at_ms: int, **words: Any) -> Any:
        """A person gives an outcome to another touch, or to nobody; ``cause`` may be given for the cascade."""
        cause = words.pop("cause", None) or self.cause(outcome.conversion, to, judged_at_ms)
        credit = credit_of(to, MatchMethod.CORRECTION) if to else None
        said = {
            "source": Source.ATTRIBUTED if credit else Source.ORGANIC,
            "previous": outcome.credit,
            "previous_source": outcome.source,
        }
        return self.decide(
            msgspec.structs.replace(
                outcome,
                revision=outcome.revision + 1,
                position=cause.position,
                judged_at_ms=judged_at_ms,
                credit=credit,
                cause=cause,
                **(said | words),
            )
        )

    def cause(self, conversion: str, to: LinkHit | None, at_ms: int) -> Cause:
        position = self.change(
            Correct(
                conversion=conversion,
                product=GAME,
                to=to.id if to else None,
                reason="agreed",
                by="test",
                id=f"x-{at_ms}",
            ),
            at_ms,
        )
        return Cause(kind="person", position=position, reason="agreed", by="test")

    def refusal(self, at_ms: int = T0, **words: Any) -> Refusal:
        """A record refused at the door."""
        record = Refusal(
            reason=words.pop("reason", RefusalReason.MALFORMED),
            received_at_ms=at_ms,
            method="POST",
            path="/v1/event",
            **words,
        )
        self.append(record)
        return record

    def tick(self, at_ms: int) -> Position:
        return self.change(Tick(at_ms=at_ms), at_ms)

    # --- recording

    def lookups(self, registry: Registry | None = None) -> Lookups:
        """What rows are made with, under all that is registered."""
        return lookups_for(
            self.journal, registry or self.registry(), Geography(), read_touch, self.settings
        )

    def registry(self) -> Registry:
        view = Registry()
        for entry in self.journal.read((Topic.CONTROL,), Position(0), 100_000):
            view.apply(entry.position, msgspec.msgpack.decode(entry.payload[1:], type=Change))
        return view

    def new_recorder(self) -> RecorderRole:
        view = Registry()
        return RecorderRole(self.journal, self.facts, view, self.lookups(view), self.settings)

    def record(self) -> House:
        """Step the recorder until it is idle."""
        while self.recorder.step():
            pass
        return self

    def rows(self) -> list[Any]:
        """Every fact row, in order."""
        return sorted(self.facts.rows, key=lambda f: (f.position, f.ordinal))


def credit_of(hit: LinkHit, method: MatchMethod = MatchMethod.REFERRER) -> Credit:
    partner = hit.link.removeprefix("l-")
    return Credit(
        touch=hit.id,
        partner=partner,
        kind=hit.kind,
        method=method,
        touch_at_ms=hit.received_at_ms,
        link=hit.link,
        campaign=f"{partner}-spring",
        partner_click_id=dict(parse_qsl(hit.query)).get("click_id"),
    )


def candidate_of(hit: Any, at_ms: int, lost_because: LossReason | None) -> Candidate:
    return Candidate(
        touch=hit.id,
        partner=hit.partner if isinstance(hit, Touch) else hit.link.removeprefix("l-"),
        kind=hit.kind,
        method=MatchMethod.REFERRER,
        touch_at_ms=hit.received_at_ms,
        age_ms=at_ms - hit.received_at_ms,
        lost_because=lost_because,
    )


def refused(about: Position, record: str, at_ms: int, **words: Any) -> RefusedRecord:
    words.setdefault("record_type", "event")
    return RefusedRecord(
        product=GAME,
        position=about,
        about=about,
        judged_at_ms=at_ms,
        record=record,
        reason=RefusalReason.REPEATED_RECORD,
        at_ms=at_ms,
        **words,
    )


__all__ = ["DAY_MS", "GAME", "HOUR_MS", "T0", "House", "credit_of", "read_touch"]
