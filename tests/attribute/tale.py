"""Journeys in the trade's own words: a small language for tests of the judgement.

A line of a tale says when and what: ``day 0 09:05  click zeta/brand as z  gaid=g1 retargeting``. Lines with ``=>`` say how each
record ended; lines below one, indented with a dash, say why each candidate lost.

Words: click, impression, open, event, evidence, claim, consent, forget, known, correct, policy, test, tick. ``as NAME`` names a touch;
``ref=NAME`` is a referrer with its id. ``device=none`` is no device. ``late=1h`` says that the record came that much after it
happened. ``by=NAME`` is an event that names a touch, ``by-order`` one that a
server tells by its ``tx`` alone (with ``device=none``). ``server`` sends a touch by server (with ``late``), or a record with a server key. Words that are left out mean device d1, identifier gaid=g1
(``gaid=none`` for none), platform android.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from attribune.attribute.attributor import Attributor
from attribune.attribute.presets import PRESETS
from attribune.attribute.replay import Bench
from attribune.attribute.turn import Limits
from attribune.collect.links import read_touch
from attribune.engines.memory import MemoryAnswers, MemoryJournal, MemoryStore
from attribune.engines.system import MemoryClock
from attribune.model import activity as a
from attribune.model import outcome as o
from attribune.model.activity import Platform, Referrer, ReferrerSource, Sender
from attribune.model.codec import Record, decode, encode
from attribune.model.control import (
    App,
    Change,
    Correct,
    Link,
    PolicySet,
    Product,
    TestDevice,
    Tick,
)
from attribune.model.ids import (
    START,
    AppId,
    ConversionId,
    DeviceId,
    LinkId,
    PartnerId,
    PolicyVersion,
    ProductId,
    RecordId,
    TouchId,
    UserId,
    uuid7,
)
from attribune.model.money import money
from attribune.model.policy import DAY_MS, CustomerBinding, Policy
from attribune.model.position import Topic
from attribune.model.touch import LinkHit, Touch, TouchKind, TouchOrigin
from attribune.ports import UserAgent
from attribune.registry.view import Registry
from attribune.roles.attributor import AttributorRole
from attribune.settings import Settings

#: Day 0 of every tale: 2026-03-01 00:00 UTC.
DAY_ZERO_MS = 1_772_323_200_000
PRODUCT = ProductId("game")
APP = AppId("game-app")

_LINE = re.compile(
    r"day (?P<day>\d+) (?P<h>\d\d):(?P<m>\d\d)(?::(?P<s>\d\d))?\s+(?P<verb>\w+)\s*(?P<rest>.*)"
)
_SPAN = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}
AGENTS = {
    "android": "Mozilla/5.0 (Linux; Android 10; K) Chrome/140.0.0.0 Mobile",
    "pixel": "Mozilla/5.0 (Linux; Android 15; Pixel 8) Chrome/140.0.0.0 Mobile",
    "galaxy": "Mozilla/5.0 (Linux; Android 14; SM-S911B) Chrome/140.0.0.0 Mobile",
    "ios": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) Version/26.0 Safari",
}


#: An address that ``PlainEnricher`` has a mistake about.
MISTAKEN = "203.0.113.66"


class PlainEnricher:
    """Reads the user agents above, and says that every address is in Germany. One it cannot read, by mistake."""

    def version(self) -> str:
        return "plain"

    def user_agent(self, text: str) -> UserAgent:
        known = {
            AGENTS["android"]: UserAgent("android", None, None),
            AGENTS["pixel"]: UserAgent("android", "15", "Pixel 8"),
            AGENTS["galaxy"]: UserAgent("android", "14", "SM-S911B"),
            AGENTS["ios"]: UserAgent("ios", "26.0", None),
        }
        return known.get(text, UserAgent(None, None, None))

    def country(self, address: str) -> str | None:
        if address == MISTAKEN:
            raise KeyError(address)
        return "DE"


def span_ms(text: str) -> int:
    """``90s``, ``1h``, ``7d`` in milliseconds."""
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h|d)", text).groups()
    return int(number) * _SPAN[unit]


@dataclass
class Told:
    """The records of a tale, ready to be journaled in their order."""

    entries: list[tuple[Topic, Record]] = field(default_factory=list)
    touches: dict[str, TouchId] = field(default_factory=dict)
    #: Device → the record id of its first open, for corrections.
    opens: dict[str, RecordId] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    expected: list[str] = field(default_factory=list)


class Reader:
    """Reads a tale line by line."""

    def __init__(self) -> None:
        self.told = Told()
        self.count = 0
        self._control(Product(id=PRODUCT, name="Game", timezone="UTC", currency="EUR"), DAY_ZERO_MS)
        for platform in ("android", "ios"):
            app = App(
                id=_app(platform),
                product=PRODUCT,
                name="Game",
                platform=Platform(platform),
                store_id="com.game",
            )
            self._control(app, DAY_ZERO_MS)

    def read(self, text: str) -> Told:
        for line in text.splitlines():
            stripped = line.strip()
            if stripped.startswith(("=>", "- ")):
                self.told.expected.append(stripped)
            elif stripped.startswith("day "):
                self._line(stripped)
        return self.told

    def _line(self, line: str) -> None:
        m = _LINE.match(line)
        assert m, f"cannot read: {line}"
        at = DAY_ZERO_MS + int(m["day"]) * DAY_MS
        at += (int(m["h"]) * 60 + int(m["m"])) * 60_000 + int(m["s"] or 0) * 1000
        words = m["rest"].split()
        self.count += 1
        getattr(self, f"_{m['verb']}")(at, words)

    def _control(self, record: Any, at: int) -> None:
        self.told.entries.append((Topic.CONTROL, Change(at_ms=at, record=record)))

    # --- touches

    def _click(self, at: int, words: list[str], kind: TouchKind = TouchKind.CLICK) -> None:
        flags = _flags(words)
        link = self._link(words[0], "retargeting" in flags, at)
        name = flags.get("as", f"t{self.count}")
        late = span_ms(flags["late"]) if "late" in flags else 0
        chance = blake2b(f"{self.count}".encode(), digest_size=10).digest()
        if "id" in flags:
            chance = flags["id"].encode().ljust(10, b"0")
        touch = uuid7(at, chance)
        self.told.touches[name] = touch
        ids = _ids(flags)
        agent = AGENTS[flags.get("ua", "android")]
        if "server" in flags:
            self._server_touch(kind, at, late, touch, link, ids, flags)
            return
        pairs = [
            *ids.items(),
            *((k, flags[k]) for k in ("click_id", "campaign", "click_lookback") if k in flags),
        ]
        hit = LinkHit(
            id=touch,
            kind=kind,
            link=link.id,
            received_at_ms=at,
            query="&".join(f"{k}={v}" for k, v in pairs),
            ip=flags.get("ip"),
            user_agent=agent,
            language=flags.get("lang"),
            trusted="trusted" in flags,
        )
        self.told.entries.append((Topic.TOUCHES, hit))

    def _server_touch(
        self,
        kind: TouchKind,
        at: int,
        late: int,
        touch: TouchId,
        link: Link,
        ids: dict[str, str],
        flags: dict[str, str],
    ) -> None:
        record = Touch(
            id=touch,
            kind=kind,
            product=PRODUCT,
            partner=link.partner,
            origin=TouchOrigin.S2S,
            received_at_ms=at + late,
            occurred_at_ms=at,
            link=link.id,
            campaign=link.campaign,
            record_id=RecordId(flags.get("id", f"s{self.count}")),
            ids=ids,
            ip=flags.get("ip"),
            user_agent=AGENTS[flags.get("ua", "android")],
            is_retargeting=link.is_retargeting,
        )
        self.told.entries.append((Topic.TOUCHES, record))

    def _impression(self, at: int, words: list[str]) -> None:
        self._click(at, words, TouchKind.IMPRESSION)

    def _link(self, name: str, is_retargeting: bool, at: int) -> Link:
        key = f"{name}{'-r' if is_retargeting else ''}"
        if key not in self.told.links:
            partner, campaign = name.split("/")
            link = Link(
                id=LinkId(key.replace("/", "-")),
                product=PRODUCT,
                partner=PartnerId(partner),
                campaign=campaign,
                is_retargeting=is_retargeting,
            )
            self.told.links[key] = link
            self._control(link, at)
        return self.told.links[key]

    # --- activity

    def _said(self, at: int, words: list[str], prefix: str) -> dict[str, Any]:
        flags = _flags(words)
        late = span_ms(flags["late"]) if "late" in flags else 0
        name = flags.get("device", "d1")
        platform = Platform("ios" if "ios" in flags else "android")
        device = a.Device(
            id=DeviceId(name),
            platform=platform,
            ids=_ids(flags),
            model=flags.get("model"),
            os_version=flags.get("os"),
            locale=flags.get("lang"),
        )
        return {
            "id": RecordId(flags.get("id", f"{prefix}{self.count}")),
            "product": PRODUCT,
            "app": _app(platform.value),
            "sender": Sender.SERVER if "server" in flags else Sender.APP,
            "received_at_ms": at + late,
            "occurred_at_ms": at,
            "device": None if name == "none" else device,
            "user_id": UserId(flags["user"]) if "user" in flags else None,
            "ip": flags.get("ip"),
        }

    def _referrers(self, words: list[str]) -> tuple[Referrer, ...]:
        name = _flags(words).get("ref")
        if not name:
            return ()
        value = f"attribune_click={self.told.touches[name]}&utm_source=x"
        return (Referrer(source=ReferrerSource.PLAY, value=value),)

    def _keep(self, record: Record) -> None:
        self.told.entries.append((Topic.ACTIVITY, record))

    def _open(self, at: int, words: list[str]) -> None:
        record = a.Open(**self._said(at, words, "o"), referrers=self._referrers(words))
        self.told.opens.setdefault(record.device.id, record.id)
        self._keep(record)

    def _event(self, at: int, words: list[str]) -> None:
        flags = _flags(words)
        revenue = money(*flags["pay"].split(":")) if "pay" in flags else None
        self._keep(
            a.Event(
                **self._said(at, words, "e"),
                name=words[0],
                revenue=revenue,
                transaction_id=flags.get("tx"),
                implies_open="implies" in flags or "by" in flags,
                touch_id=self.told.touches.get(flags["by"], TouchId(flags["by"]))
                if "by" in flags
                else None,
                by_order="by-order" in flags,
            )
        )

    def _evidence(self, at: int, words: list[str]) -> None:
        self._keep(a.Evidence(**self._said(at, words, "v"), referrers=self._referrers(words)))

    def _claim(self, at: int, words: list[str]) -> None:
        flags = _flags(words)
        partner, campaign = words[0].split("/")
        self._keep(
            a.Claim(
                **self._said(at, words, "c"),
                partner=PartnerId(partner),
                campaign=campaign,
                kind=TouchKind.CLICK,
                touch_at_ms=at - span_ms(flags.get("ago", "1h")),
                is_retargeting="retargeting" in flags,
            )
        )

    def _consent(self, at: int, words: list[str]) -> None:
        self._keep(
            a.Consent(
                **self._said(at, words, "n"),
                measurement={"yes": True, "no": False}.get(words[0]),
                sharing={"sharing": True, "no-sharing": False}.get(words[0]),
            )
        )

    def _forget(self, at: int, words: list[str]) -> None:
        self._keep(a.Forget(**self._said(at, words, "f")))

    def _known(self, at: int, words: list[str]) -> None:
        flags = _flags(words)
        said = self._said(at, words, "k") | {"sender": Sender.OPERATOR}
        last = at - span_ms(flags["seen"]) if "seen" in flags else None
        self._keep(a.KnownDevice(**said, last_seen_at_ms=last))

    # --- control

    def _correct(self, at: int, words: list[str]) -> None:
        device, to = words[0], words[2]
        record = self.told.opens.get(device, RecordId(device))
        from attribune.model.ids import conversion_id  # noqa: PLC0415  # only this verb needs it

        self._control(
            Correct(
                conversion=conversion_id(PRODUCT, record)
                if record != "cv_nobody"
                else ConversionId(record),
                product=PRODUCT,
                to=None if to == "organic" else self.told.touches.get(to, TouchId(to)),
                reason="said so",
                by="tester",
                id=f"corr{self.count}",
                is_rejected="rejected" in words[3:],
            ),
            at,
        )

    def _policy(self, at: int, words: list[str]) -> None:
        policy = PRESETS[words[0]]
        changes: dict[str, Any] = {}
        for word in words[1:]:
            name, value = word.split("=")
            if name == "hosting_networks":
                changes[name] = tuple(value.split(","))
            elif name == "customer_binding":
                changes[name] = CustomerBinding(value)
            else:
                changes[name] = span_ms(value) if name.endswith("_ms") else int(value)
        policy = msgspec.structs.replace(policy, **changes)
        version = PolicyVersion(f"{words[0]}@{self.count}")
        self._control(PolicySet(product=PRODUCT, version=version, policy=policy), at)

    def _test(self, at: int, words: list[str]) -> None:
        self._control(TestDevice(product=PRODUCT, id=words[0]), at)

    def _tick(self, at: int, words: list[str]) -> None:
        self._control(Tick(at_ms=at), at)


def _app(platform: str) -> AppId:
    return APP if platform == "android" else AppId("game-ios")


def _flags(words: list[str]) -> dict[str, str]:
    flags = {}
    for i, word in enumerate(words):
        if "=" in word:
            key, value = word.split("=", 1)
            flags[key] = value
        elif word == "as":
            flags["as"] = words[i + 1]
        else:
            flags[word] = ""
    return flags


def _ids(flags: dict[str, str]) -> dict[str, str]:
    kinds = ("gaid", "idfa", "idfv", "app_set_id", "sha1_gaid")
    ids = {k: flags[k] for k in kinds if k in flags}
    if not ids and "device" not in flags:
        ids = {"gaid": "g1"}
    return {k: v for k, v in ids.items() if v != "none"}


# --- telling it


@dataclass
class House:
    """An attributor over memory engines."""

    journal: MemoryJournal = field(default_factory=MemoryJournal)
    store: MemoryStore = field(default_factory=MemoryStore)
    answers: MemoryAnswers = field(default_factory=MemoryAnswers)

    def attributor(
        self, read_entries_max: int = 100, limits: Limits | None = None
    ) -> AttributorRole:
        """An attributor that has just been started."""
        registry = Registry()
        work = Attributor(registry, self.store, PlainEnricher(), read_touch, limits)
        clock = MemoryClock(DAY_ZERO_MS)
        return AttributorRole(
            self.journal,
            registry,
            work,
            self.answers,
            clock,
            Settings(read_entries_max=read_entries_max, poll_ms=1, tick_ms=1000),
        )

    def append(self, entries: Iterable[tuple[Topic, Record]]) -> None:
        for topic, record in entries:
            self.journal.append([(topic, encode(record))])

    def outcomes(self) -> Iterator[o.Outcome]:
        for entry in self.journal.read((Topic.OUTCOMES,), START, 1_000_000):
            yield decode(entry)


def tell(told: Told, *, allows_mistakes: bool = False) -> House:
    """Journal a tale and judge it."""
    house = House()
    house.append(told.entries)
    role = house.attributor()
    while role.step():
        pass
    state = role.state()
    assert state["differences"] == 0
    assert allows_mistakes or not state["counters"]["set_aside"]
    return house


def bench(house: House, read_entries_max: int = 2000) -> Bench:
    """What a replay of a house's journal works with."""
    return Bench(
        journal=house.journal,
        directory=Registry(),
        store=MemoryStore(),
        enricher=PlainEnricher(),
        read_touch=read_touch,
        read_entries_max=read_entries_max,
    )


def read_tale(text: str) -> Told:
    return Reader().read(text)


def tale(path: Path) -> Told:
    return read_tale(path.read_text())


# --- how it ended


def ended(told: Told, house: House, *, with_candidates: bool) -> list[str]:
    """How each record ended, newest revisions only, in the journal's order."""
    newest: dict[Any, o.Outcome] = {}
    for outcome in house.outcomes():
        newest[_about(outcome)] = outcome
    names = {touch: name for name, touch in told.touches.items()}
    lines: list[str] = []
    for outcome in sorted(newest.values(), key=lambda x: (x.about, x.position)):
        lines += _shown(outcome, names, with_candidates=with_candidates)
    return lines


def _about(outcome: o.Outcome) -> Any:
    if isinstance(outcome, o.Attribution):
        return outcome.conversion
    if isinstance(outcome, o.LateTouch):
        return (outcome.position, outcome.conversion)
    return ("about", outcome.about)


def _shown(outcome: o.Outcome, names: dict[TouchId, str], *, with_candidates: bool) -> list[str]:
    revision = f" r{outcome.revision}" if getattr(outcome, "revision", 1) > 1 else ""
    match outcome:
        case o.Attribution():
            lines = [f"=> {outcome.kind} {_source(outcome)}{revision}"]
            if with_candidates:
                lines += [
                    f"- {names.get(c.touch, 'claim')} {c.method} {c.lost_because or 'won'}"
                    for c in outcome.candidates
                ]
            return lines
        case o.CreditedOpen():
            return [f"=> open {_source(outcome)}{revision}"]
        case o.CreditedEvent():
            second = outcome.secondary
            also = f" (and {second.partner}/{second.campaign})" if second else ""
            paid = f" {outcome.revenue} {outcome.revenue.currency}" if outcome.revenue else ""
            return [f"=> {outcome.name}{paid} {_source(outcome)}{also}{revision}"]
        case o.RefusedRecord():
            claimant = f" claimed by {outcome.claimant}" if outcome.claimant else ""
            return [f"=> {outcome.record_type} refused {outcome.reason}{claimant}"]
        case o.LateTouch():
            return [f"=> late {outcome.candidate.partner}/{outcome.candidate.campaign}"]
    return []


def _source(outcome: o.Attribution | o.CreditedOpen | o.CreditedEvent) -> str:
    credit = outcome.credit
    if credit is None:
        return str(outcome.source)
    kept = "" if outcome.source is o.Source.ATTRIBUTED else f" {outcome.source}"
    return f"{credit.partner}/{credit.campaign} {credit.kind} {credit.method}{kept}"


__all__ = [
    "DAY_ZERO_MS",
    "MISTAKEN",
    "PRODUCT",
    "House",
    "Policy",
    "Told",
    "bench",
    "ended",
    "read_tale",
    "tale",
    "tell",
]
