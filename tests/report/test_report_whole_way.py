"""The whole way behind the door, from a seed: real decisions, rows, audit and stories over a random life of a house."""

from __future__ import annotations

import random
from typing import Any

import pytest
from record.house import DAY_MS, GAME, HOUR_MS, T0, Geography, House

from attribune.attribute.attributor import Attributor
from attribune.collect.links import read_touch
from attribune.engines.memory import MemoryAnswers, MemoryStore
from attribune.engines.system import MemoryClock
from attribune.model.activity import (
    Claim,
    Consent,
    Device,
    Event,
    Evidence,
    Open,
    Platform,
    Referrer,
    ReferrerSource,
    Sender,
)
from attribune.model.codec import decode
from attribune.model.control import Correct, Link
from attribune.model.ids import Position
from attribune.model.money import money
from attribune.model.outcome import Attribution
from attribune.model.position import Topic
from attribune.model.touch import TouchKind
from attribune.ports import UserAgent
from attribune.record.facts import Lookups
from attribune.record.handles import handle_hash
from attribune.registry.view import Registry
from attribune.report.audit import audit
from attribune.report.checks import all_checks
from attribune.report.explain import Sources, stories
from attribune.report.query import ReportRequest, ask
from attribune.report.told import plain
from attribune.roles.attributor import AttributorRole
from attribune.roles.recorder import audit_scope, lookups_for
from attribune.settings import Settings

DEVICES = [f"d{n}" for n in range(10)]
MESSAGES = 150


class KnowsAgents(Geography):
    def user_agent(self, _text: str) -> UserAgent:
        return UserAgent("android", None, None)


class RealHouse(House):
    """The same house with the real attributor and the door's own reader."""

    def __init__(self, seed: int) -> None:
        super().__init__(timezone="America/New_York")
        self.chance = random.Random(seed)
        self.now_ms = T0
        self.change(Link(id="l-back", product=GAME, partner="zeta", is_retargeting=True))
        registry = Registry()
        self.attributor = AttributorRole(
            self.journal,
            registry,
            Attributor(registry, MemoryStore(), KnowsAgents(), read_touch),
            MemoryAnswers(),
            MemoryClock(T0),
            Settings(read_entries_max=20, poll_ms=1, tick_ms=1000),
        )

    def lookups(self, registry: Registry | None = None) -> Lookups:
        known = registry or self.registry()
        return lookups_for(self.journal, known, Geography(), read_touch, self.settings)

    def live(self) -> RealHouse:
        """Say everything, decide and record in between, be killed now and then, and settle."""
        hits: list[Any] = []
        for number in range(MESSAGES):
            self.now_ms += self.chance.choice([1000, 60_000, HOUR_MS, 9 * HOUR_MS])
            self._say(number, hits)
            if self.chance.random() < 0.2:
                self.attributor.step()
            if self.chance.random() < 0.1:
                self.recorder.step()
            if self.chance.random() < 0.05:
                self.recorder = self.new_recorder()
        while self.attributor.step():
            pass
        self.record()
        return self

    def _say(self, number: int, hits: list[Any]) -> None:
        chance = self.chance
        verb = chance.choices(
            (
                "touch",
                "told",
                "open",
                "event",
                "evidence",
                "claim",
                "consent",
                "refused",
                "correct",
            ),
            (25, 4, 25, 25, 5, 4, 2, 3, 7),
        )[0]
        if verb == "touch":
            link = chance.choice(["l-acme", "l-zeta", "l-back"])
            query = f"gaid=g{chance.randrange(8)}&click_id=p{number}"
            hits.append(self.click(link, self.now_ms, query, kind=chance.choice(list(TouchKind))))
        elif verb == "told":
            name = f"t{chance.randrange(9)}"
            self.told_touch(self.now_ms, record_id=name, link="l-acme", cost=money("0.20", "EUR"))
        elif verb == "refused":
            self.refusal(self.now_ms)
        elif verb == "correct":
            self._correct(number, hits)
        else:
            self._say_of_device(verb, number, hits)

    def _say_of_device(self, verb: str, number: int, hits: list[Any]) -> None:
        chance = self.chance
        ids = {"gaid": f"g{chance.randrange(8)}"} if chance.random() < 0.5 else {}
        words: dict[str, Any] = {
            "id": f"{verb}-{chance.randrange(MESSAGES)}",
            "product": GAME,
            "app": "droid",
            "sender": Sender.APP,
            "received_at_ms": self.now_ms,
            "occurred_at_ms": self.now_ms - chance.choice([0, 0, 1000, DAY_MS, 5 * DAY_MS]),
            "device": Device(id=chance.choice(DEVICES), platform=Platform.ANDROID, ids=ids),
            "ip": f"203.0.113.{chance.randrange(4)}",
        }
        touches = [chance.choice(hits).id] if hits and chance.random() < 0.5 else []
        referrers = tuple(
            Referrer(source=ReferrerSource.PLAY, value=f"attribune_click={touch}")
            for touch in touches
        )
        transaction = f"tx{chance.randrange(40)}" if chance.random() < 0.3 else None
        paid = money("1.10", "USD") if chance.random() < 0.5 else None
        self.append(
            {
                "open": lambda: Open(referrers=referrers, **words),
                "event": lambda: Event(
                    name="buy", revenue=paid, transaction_id=transaction, **words
                ),
                "evidence": lambda: Evidence(referrers=referrers, **words),
                "claim": lambda: Claim(
                    partner="zeta",
                    kind=TouchKind.CLICK,
                    touch_at_ms=self.now_ms - HOUR_MS,
                    is_retargeting=number % 2 == 0,
                    **words,
                ),
                "consent": lambda: Consent(measurement=chance.random() < 0.7, **words),
            }[verb]()
        )

    def _correct(self, number: int, hits: list[Any]) -> None:
        known = sorted({o.conversion for o in self.outcomes() if isinstance(o, Attribution)})
        if known and hits:
            to = self.chance.choice([None, self.chance.choice(hits).id])
            conversion = self.chance.choice(known)
            record = Correct(
                conversion=conversion, product=GAME, to=to, reason="r", by="me", id=f"x{number}"
            )
            self.change(record, self.now_ms)

    def outcomes(self) -> list[Any]:
        return [decode(e) for e in self.journal.read((Topic.OUTCOMES,), Position(0), 1_000_000)]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_the_numbers_add_up_and_can_be_told(seed: int) -> None:
    house = RealHouse(seed).live()
    scope = audit_scope(
        house.journal,
        house.facts,
        house.lookups(),
        attributor_position=house.attributor.position,
        recorder_position=house.recorder.position(),
        differences=house.attributor.state()["differences"],
    )
    report = audit(scope, all_checks(scope))
    assert {check.name: check.found for check in report.checks if not check.ok} == {}, seed
    assert report.lag == 0
    _check_report_against_outcomes(house)
    _check_stories(house)


def _check_report_against_outcomes(house: RealHouse) -> None:
    """What a report says is what a plain count over the newest revisions says."""
    newest = {o.conversion: o for o in house.outcomes() if isinstance(o, Attribution)}
    report = ask(
        house.facts, ReportRequest(metrics=("installs", "reinstalls", "events"), by=("partner",))
    )
    for name, kind in (("installs", "install"), ("reinstalls", "reinstall")):
        counted: dict[str | None, int] = {}
        for outcome in newest.values():
            if outcome.kind == kind:
                partner = outcome.credit.partner if outcome.credit else None
                counted[partner] = counted.get(partner, 0) + 1
        assert {row["partner"]: row[name] for row in report.rows if row[name]} == counted


def _check_stories(house: RealHouse) -> None:
    """Every conversion is told once under its device, with as many candidates as were kept."""
    newest = {o.conversion: o for o in house.outcomes() if isinstance(o, Attribution)}
    sources = Sources(
        facts=house.facts,
        journal=house.journal,
        directory=house.registry(),
        read_touch=read_touch,
        handle_hash=handle_hash,
    )
    told = {}
    for device in DEVICES:
        for story in stories(device, sources).stories:
            assert plain(story)
            if story.conversion:
                assert story.conversion not in told
                told[story.conversion] = story
    assert told.keys() == newest.keys()
    for conversion, story in told.items():
        outcome = newest[conversion]
        assert story.revision == outcome.revision == len(story.corrections) + 1
        assert len(story.candidates) == len(outcome.candidates)
        winner = outcome.credit.touch if outcome.credit else None
        assert (story.winner.touch_id if story.winner else None) == winner
