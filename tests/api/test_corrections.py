"""Corrections through the API: two who say the same at once have said it once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from attribune.api.app import create
from attribune.api.calling import InProcess
from attribune.engines.memory import MemoryFacts
from attribune.model.activity import Device, Open, Platform, Sender
from attribune.model.codec import decode, encode
from attribune.model.control import Correct
from attribune.model.ids import START
from attribune.model.position import Topic
from attribune.ports import Journal
from attribune.roles import folder as folder_
from attribune.settings import Settings
from attribune.wire.houses import house
from attribune.wire.keepers import OfflineKeeper
from attribune.wire.parts import Parts


class OneAtATime(OfflineKeeper):
    """Steps the roles for whoever asks, as roles would step by themselves."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._stepping = Lock()

    def settle(self) -> None:
        with self._stepping:
            super().settle()


class SlowToWrite:
    """A journal that takes its time before changes stand, so that who asks meanwhile asks too early."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def append(self, entries: Sequence[tuple[Topic, bytes]]) -> Any:
        if entries[0][0] is Topic.CONTROL:
            time.sleep(0.2)
        return self._journal.append(entries)


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    opened = Parts(folder_.prepare(tmp_path / "data"), Settings())
    opened.__dict__["journal"] = SlowToWrite(opened.journal)
    # One process opens one folder of chDB's, and other tests' folder may be open.
    opened.__dict__["_facts"] = MemoryFacts()
    yield opened
    opened.close()


def installed(product: str, app: str) -> bytes:
    return encode(
        Open(
            id="o1",
            product=product,
            app=app,
            sender=Sender.APP,
            received_at_ms=1_772_366_400_000,
            occurred_at_ms=1_772_366_400_000,
            device=Device(id="d1", platform=Platform.ANDROID),
        )
    )


def test_of_two_who_say_the_same_at_once_the_second_finds_the_first(parts: Parts) -> None:
    keeper = OneAtATime(parts)
    app = create(house(parts, keeper))

    def ask(path: str, **words: str) -> dict[str, Any]:
        sent = {"content-type": "application/json"}
        status, body = InProcess(app).send("POST", path, json.dumps(words).encode(), sent)
        assert status == 201, body
        return json.loads(body)

    made = ask("/api/apps", name="Game", platform="android", store_id="com.example.game")["app"]
    parts.journal.append([(Topic.ACTIVITY, installed(made["product"], made["id"]))])
    keeper.settle()
    with ThreadPoolExecutor(4) as pool:
        told = list(
            pool.map(
                lambda n: ask("/api/corrections", id="d1", to="organic", reason=f"number {n}"),
                range(4),
            )
        )
    assert told == [told[0]] * 4
    assert told[0]["correction"]["revision"] == 2
    changes = [decode(entry) for entry in parts.journal.read((Topic.CONTROL,), START, 1000)]
    assert len([one for one in changes if isinstance(one.record, Correct)]) == 1
    late = {"id": "d1", "to": "organic", "reason": "a bot", "is_rejected": True}
    sent = {"content-type": "application/json"}
    body = json.dumps(late).encode()
    status, answer = InProcess(app).send("POST", "/api/corrections", body, sent)
    assert (status, json.loads(answer)["error"]["param"]) == (400, "is_rejected")
    keeper.close()
