"""A book, told in the trade's words: partners, offers, conversions, refunds, months that are closed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from attribune.engines.memory_book import MemoryBook
from attribune.ledger.agreed import Agreed
from attribune.ledger.bookkeeper import Bookkeeper
from attribune.ledger.desk import CHAIN, STATEMENT, STATEMENTS, Desk
from attribune.ledger.known import Chain
from attribune.ledger.ladder import Ladder
from attribune.ledger.offers import read
from attribune.ledger.statements import chain_key
from attribune.model.activity import Platform
from attribune.model.book import Line, LineKind, Place, Statement, account
from attribune.model.control import Change, Product, Tick
from attribune.model.ids import (
    AppId,
    ConversionId,
    DeviceId,
    PartnerId,
    PolicyVersion,
    Position,
    ProductId,
    RecordId,
    TouchId,
)
from attribune.model.money import money
from attribune.model.offer import (
    OfferSet,
    PayoutItem,
    PayoutMade,
    PayoutSettled,
    Rate,
    RatesSet,
    Recruited,
    Reversed,
    StatementClosed,
)
from attribune.model.outcome import (
    Attribution,
    Cause,
    ConversionKind,
    Credit,
    CreditedEvent,
    Source,
)
from attribune.model.policy import MatchMethod
from attribune.model.touch import TouchKind
from attribune.ports import Book, LinesWanted

GAME = ProductId("game")
APP = AppId("game-android")


def ms(text: str) -> int:
    """A moment of UTC, such as ``2026-01-31`` or ``2026-01-31 12:00``."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def credit(partner: str | None) -> Credit | None:
    return partner and Credit(
        touch=TouchId("t"),
        partner=PartnerId(partner),
        kind=TouchKind.CLICK,
        method=MatchMethod.REFERRER,
        touch_at_ms=0,
    )


class Books:
    """A bookkeeper and its book, told one entry at a time or many."""

    def __init__(self, book: Book | None = None, timezone: str = "UTC") -> None:
        self.book = book or MemoryBook()
        self.agreed = Agreed()
        self.keeper = Bookkeeper(self.book, self.agreed)
        self.position = 0
        self.now_ms = ms("2026-01-01")
        self.told: list[tuple[Position, Any]] = []
        self.versions: dict[str, int] = {}
        self.change(Product(id=GAME, name="Game", timezone=timezone), "2020-01-01")

    # Telling.

    def tell(self, *records: Any) -> None:
        """Journal entries and let the bookkeeper take them as one batch."""
        entries = []
        for record in records:
            self.position += 1
            entries.append((Position(self.position), record))
        self.told += entries
        self.keeper.take(entries)

    def change(self, record: Any, at: str | None = None) -> None:
        self.tell(Change(at_ms=self._at(at), record=record))

    def tick(self, at: str) -> None:
        self.change(Tick(at_ms=ms(at)), at)

    def offer(self, text: str, at: str | None = None) -> None:
        offer = read(text.encode())
        version = self.versions[offer.id] = self.versions.get(offer.id, 0) + 1
        self.change(OfferSet(version=version, offer=offer), at)

    def rate(self, day: str, base: str, quote: str, rate: str) -> None:
        self.change(RatesSet(rates=(Rate(day=day, base=base, quote=quote, rate=rate),)))

    def recruit(self, partner: str, parent: str | None) -> None:
        self.change(Recruited(partner=partner, parent=parent))

    def event(self, id_: str, name: str, revenue: str | None = None, **more: Any) -> None:
        self.tell(self.of_event(id_, name, revenue, **more))

    def of_event(
        self,
        id_: str,
        name: str,
        revenue: str | None = None,
        *,
        at: str = "2026-01-10",
        partner: str | None = "acme",
        currency: str = "EUR",
        judged: str | None = None,
        **more: Any,
    ) -> CreditedEvent:
        words: dict[str, Any] = {
            "product": GAME,
            "app": APP,
            "platform": Platform.ANDROID,
            "device": DeviceId("device-1"),
            "country": "DE",
            "position": Position(1),
            "about": Position(1),
            "judged_at_ms": self._judged(at, judged),
            "record": RecordId(id_),
            "at_ms": ms(at),
            "name": name,
            "revenue": money(revenue, currency) if revenue is not None else None,
            "source": Source.ATTRIBUTED if partner else Source.ORGANIC,
            "credit": credit(partner),
        }
        return CreditedEvent(**(words | more))

    def install(self, id_: str, *, at: str = "2026-01-10", **more: Any) -> None:
        self.tell(self.of_install(id_, at=at, **more))

    def of_install(
        self,
        id_: str,
        *,
        at: str = "2026-01-10",
        partner: str | None = "acme",
        judged: str | None = None,
        **more: Any,
    ) -> Attribution:
        words: dict[str, Any] = {
            "product": GAME,
            "app": APP,
            "platform": Platform.ANDROID,
            "device": DeviceId(f"device-{id_}"),
            "country": "DE",
            "position": Position(1),
            "about": Position(1),
            "as_of": Position(1),
            "judged_at_ms": self._judged(at, judged),
            "record": RecordId(id_),
            "at_ms": ms(at),
            "conversion": ConversionId(id_),
            "kind": ConversionKind.INSTALL,
            "policy": PolicyVersion("attribune@0"),
            "source": Source.ATTRIBUTED if partner else Source.ORGANIC,
            "credit": credit(partner),
        }
        return Attribution(**(words | more))

    def corrected(self, outcome: Any, partner: str | None, revision: int = 2, at: str = "") -> None:
        self.tell(
            msgspec.structs.replace(
                outcome,
                credit=credit(partner),
                previous=outcome.credit,
                revision=revision,
                judged_at_ms=self._judged(at or "2026-01-11", at or None),
                cause=Cause(kind="person", position=Position(1), reason="a person said so"),
            )
        )

    def close(self, period: str, at: str, partner: str = "acme") -> list[Statement]:
        self.change(StatementClosed(partner=partner, period=period), at)
        return [s for s in self.statements(partner) if s.period == period]

    def pay(self, id_: str, currency: str, *items: tuple[str, str, int], at: str) -> None:
        made = tuple(PayoutItem(partner=p, statement=s, amount_minor=n) for p, s, n in items)
        self.change(PayoutMade(id=id_, currency=currency, items=made), at)

    def settle(self, id_: str, *, is_paid: bool, at: str) -> None:
        self.change(PayoutSettled(id=id_, is_paid=is_paid), at)

    def reverse(self, outcome: str, reason: str, at: str | None = None) -> None:
        self.change(Reversed(outcome=outcome, reason=reason), at)

    def _at(self, at: str | None) -> int:
        self.now_ms = max(self.now_ms, ms(at)) if at else self.now_ms
        return self.now_ms

    def _judged(self, at: str, judged: str | None) -> int:
        self.now_ms = max(self.now_ms, ms(judged or at))
        return self.now_ms

    # Asking.

    def lines(self, partner: str | None = None, **wanted: Any) -> list[Line]:
        found = self.book.lines(LinesWanted(partner=partner, **wanted), 0, 100_000)
        return [kept.line for kept in found]

    def earned(self, partner: str = "acme", currency: str = "EUR") -> int:
        """What all lines of a partner add up to."""
        return sum(one.amount_minor for one in self.lines(partner) if one.currency == currency)

    def balance(self, place: Place, partner: str = "acme", currency: str = "EUR") -> int:
        found = self.book.balances(account(partner, place))
        return sum(amount for _, code, amount in found if code == currency)

    def places(self, partner: str = "acme", currency: str = "EUR") -> tuple[int, int, int, int]:
        """Pending, approved, payable, paid."""
        pending, approved, payable, paid = (
            self.balance(place, partner, currency) for place in Place
        )
        return pending, approved, payable, paid

    def statements(self, partner: str = "acme") -> list[Statement]:
        desk = Desk(self.book)
        ids = desk.get(STATEMENTS, partner, tuple) or ()
        return [one for id_ in ids if (one := desk.get(STATEMENT, id_, Statement))]

    def chain(self, partner: str = "acme", currency: str = "EUR") -> Chain:
        return Desk(self.book).get(CHAIN, chain_key(partner, currency), Chain) or Chain()

    def problems(self) -> list[str]:
        """What does not add up: entries, balances, ladders and statements."""
        return [*self._unbalanced(), *self._off_ladder(), *self._broken_chains()]

    def _unbalanced(self) -> list[str]:
        sums: dict[tuple[str, str], int] = {}
        for _, one in self.book.entries(None, 0, 100_000):
            for name, sign in ((one.debit, -1), (one.credit, 1)):
                key = (name, one.currency)
                sums[key] = sums.get(key, 0) + sign * one.amount_minor
        kept = {(name, code): amount for name, code, amount in self.book.balances() if amount}
        found = [] if {k: v for k, v in sums.items() if v} == kept else ["balances"]
        currencies = {code for _, code in sums}
        totals = {c: sum(v for (_, code), v in sums.items() if code == c) for c in currencies}
        found += [f"{code} is off by {total}" for code, total in totals.items() if total]
        for partner in {line.partner for line in self.lines()}:
            for code in currencies:
                places = sum(self.places(partner, code))
                lines = self.earned(partner, code)
                if places != lines:
                    found.append(f"{partner} has {places} {code}, its lines {lines}")
        return found

    def _off_ladder(self) -> list[str]:
        """Every ladder's period is booked at what its lines add up to."""
        sums: dict[tuple[str, str], int] = {}
        keys = set()
        for one in self.lines():
            below = one.below or ""
            key = f"{one.offer}|{one.version}|{one.deal}.{one.level}|{one.partner}|{below}"
            keys.add(key)
            sums[key, one.window] = sums.get((key, one.window), 0) + one.amount_minor
        found = []
        for key, payload in self.book.states(3, keys).items():
            for name, window in msgspec.msgpack.decode(payload, type=Ladder).windows.items():
                if sums.pop((key, name), 0) != window.booked:
                    found.append(f"{key} {name}")
        return found + [f"no ladder {name}" for name, amount in sums.items() if amount]

    def _broken_chains(self) -> list[str]:
        before: dict[str, Statement] = {}
        found = []
        for partner in {line.partner for line in self.lines()}:
            before.clear()
            for one in self.statements(partner):
                last = before.get(one.currency)
                if one.opening_minor != (last.closing_minor if last else 0):
                    found.append(f"{one.id} does not open where the one before closed")
                before[one.currency] = one
                sum_ = sum(line.amount_minor for line in self.lines(statement=one.id))
                if sum_ != one.lines_minor:
                    found.append(f"{one.id} says {one.lines_minor}, its lines {sum_}")
        return found

    def kinds(self) -> list[LineKind]:
        return [line.kind for line in self.lines()]
