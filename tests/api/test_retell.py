"""Records set aside by a mistake of ours, from the audit that names them to the retelling that mends it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attribune.api.app import create
from attribune.api.calling import InProcess
from attribune.engines.enrich import UaEnricher
from attribune.engines.memory import MemoryFacts
from attribune.model.activity import Activity, Device, Event, Open, Platform, Sender
from attribune.model.codec import encode
from attribune.model.position import Topic
from attribune.model.touch import LinkHit, Part, Touch, TouchKind, TouchOrigin
from attribune.roles import folder as folder_
from attribune.settings import Settings
from attribune.wire.houses import house
from attribune.wire.keepers import OfflineKeeper
from attribune.wire.parts import Parts

T0 = 1_772_366_400_000
MISTAKEN = "203.0.113.66"
Ask = Callable[..., Any]


class MistakenEnricher(UaEnricher):
    """An enricher with a mistake about one address, until it is mended."""

    is_mended = False

    def country(self, address: str) -> str | None:
        if address == MISTAKEN and not self.is_mended:
            raise KeyError(address)
        return super().country(address)


class Place:
    """A data folder with one app, its API, and an enricher that can be mended."""

    def __init__(self, path: Path) -> None:
        self.parts = Parts(folder_.prepare(path), Settings())
        # One process opens one folder of chDB's, and other tests' folder may be open.
        self.parts.__dict__["_facts"] = MemoryFacts()
        self.enricher = self.parts.__dict__["enricher"] = MistakenEnricher()
        self.keeper = OfflineKeeper(self.parts)
        self._app = create(house(self.parts, self.keeper))
        made = self.ask("POST", "/api/apps", name="Game", platform="android", store_id="com.game")
        self.app, self.product = made["app"]["id"], made["app"]["product"]

    def ask(self, method: str, path: str, **words: Any) -> Any:
        sent = {"content-type": "application/json"}
        body = json.dumps(words).encode() if words else b""
        status, answer = InProcess(self._app).send(method, path, body, sent)
        assert status in {200, 201}, answer
        return json.loads(answer)

    def said(self, kind: type, record: str, device: str = "d1", **words: Any) -> Activity:
        words.setdefault("ip", MISTAKEN)
        return kind(
            id=record,
            product=self.product,
            app=self.app,
            sender=Sender.APP,
            received_at_ms=T0,
            occurred_at_ms=T0,
            device=Device(id=device, platform=Platform.ANDROID),
            **words,
        )

    def keep(self, *records: Activity) -> None:
        self.parts.journal.append([(Topic.ACTIVITY, encode(record)) for record in records])

    def failed(self) -> dict[str, list[str]]:
        checks = self.ask("GET", "/api/audit")["checks"]
        return {check["name"]: check["found"] for check in checks if not check["ok"]}

    def counts(self) -> dict[str, Any]:
        path = "/api/report?metrics=opens,installs,events,refused"
        (row,) = self.ask("GET", path)["rows"]
        return {name: row[name] for name in ("opens", "installs", "events", "refused")}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "data")
    yield made
    made.keeper.close()
    made.parts.close()


def test_what_was_set_aside_is_named_and_judged_once_a_mended_version_is_told_it_again(
    place: Place,
) -> None:
    whole = [Part(request="q", index=index, of=3) for index in range(3)]
    place.keep(
        place.said(Open, "o1", part=whole[0]),
        place.said(Open, "o2", "d2", ip=None, part=whole[1]),
        place.said(Event, "e1", name="buy", transaction_id="T1", part=whole[2]),
    )
    found = place.failed()
    assert set(found) == {"every_record_judged"}
    assert "open o1 (entry 4) could not be judged" in found["every_record_judged"][0]
    assert "attribune journal retell" in found["every_record_judged"][0]
    assert place.counts() == {"opens": 1, "installs": 1, "events": 0, "refused": 1}
    told = place.ask("GET", "/api/journal/set-aside")["set_aside"]
    assert [(one["record"], one["record_type"]) for one in told] == [("o1", "open")]

    again = place.ask("POST", "/api/journal/retell")
    assert [one["record"] for one in again["retold"]] == ["o1"]
    assert [one["record"] for one in again["set_aside"]] == ["o1"], "nothing is mended yet"
    assert again["set_aside"][0]["position"] > again["retold"][0]["position"]
    assert set(place.failed()) == {"every_record_judged"}

    place.enricher.is_mended = True
    again = place.ask("POST", "/api/journal/retell")
    assert [one["record"] for one in again["retold"]] == ["o1"]
    assert again["set_aside"] == []
    assert place.failed() == {}
    assert place.counts() == {"opens": 2, "installs": 2, "events": 1, "refused": 2}
    (story,) = [s for s in place.ask("GET", "/api/explain?handle=d1")["stories"] if s["conversion"]]
    assert [event["id"] for event in story["events"]] == ["e1"]
    assert [refused["reason"] for refused in story["refused"]] == ["not_judged"] * 2
    end = place.parts.journal.end()
    assert place.ask("POST", "/api/journal/retell") == {"retold": [], "set_aside": []}
    assert place.parts.journal.end() == end, "and nothing is told twice"


def test_touches_are_told_again_and_counted_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attribune.attribute import touches  # noqa: PLC0415  # to plant a mistake in

    place.ask("POST", "/api/partners", name="acme", kind="network")
    link = place.ask("POST", "/api/links", app=place.app, partner="acme", campaign="spring")["link"]
    hit = LinkHit(
        id="0195f0a0-0000-7000-8000-000000000001",
        kind=TouchKind.CLICK,
        link=link["id"],
        received_at_ms=T0,
        query="gaid=g1",
    )
    told = Touch(
        id="0195f0a0-0000-7000-8000-000000000002",
        kind=TouchKind.CLICK,
        product=place.product,
        partner="acme",
        origin=TouchOrigin.S2S,
        received_at_ms=T0,
        occurred_at_ms=T0,
        record_id="t1",
        part=Part(request="q", index=0, of=1),
    )
    keys = touches.touch_id_keys
    monkeypatch.setattr(touches, "touch_id_keys", lambda *_: 1 / 0)
    place.parts.journal.append([(Topic.TOUCHES, encode(one)) for one in (hit, told)])
    path = "/api/report?metrics=clicks&by=partner"
    assert set(place.failed()) == {"every_record_judged"}
    assert place.ask("GET", path)["rows"] == []
    monkeypatch.setattr(touches, "touch_id_keys", keys)
    again = place.ask("POST", "/api/journal/retell")
    assert [one["record"] for one in again["retold"]] == [hit.id, "t1"]
    assert place.failed() == {}
    (row,) = place.ask("GET", path)["rows"]
    assert (row["partner"], row["clicks"]) == ("acme", 2)


def test_a_correction_that_cannot_be_judged_says_so_and_can_be_made_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attribune.attribute import corrections  # noqa: PLC0415  # to plant a mistake in

    place.keep(place.said(Open, "o1", ip=None))
    revise = corrections.revise
    monkeypatch.setattr(corrections, "revise", lambda *_, **__: 1 / 0)
    words = {"id": "d1", "to": "organic", "reason": "why not"}
    body = json.dumps(words).encode()
    sent = {"content-type": "application/json"}
    status, answer = InProcess(place._app).send("POST", "/api/corrections", body, sent)
    assert (status, json.loads(answer)["error"]["code"]) == (500, "not_judged")
    assert set(place.failed()) == {"every_record_judged"}
    monkeypatch.setattr(corrections, "revise", revise)
    assert place.ask("POST", "/api/journal/retell")["set_aside"] == []
    assert place.failed() == {}
    (story,) = place.ask("GET", "/api/explain?handle=d1")["stories"][:1]
    assert (story["revision"], story["corrections"][0]["reason"]) == (2, "why not")
