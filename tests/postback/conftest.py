"""A receiver, and a house that tells it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from posthouse import QUERY, PostHouse, Receiver, postback

from attribune.postback import breaker


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def house(receiver: Receiver, quick_breaker: None) -> Iterator[PostHouse]:
    one = PostHouse(postback(receiver.url + QUERY))
    yield one
    one.end()


@pytest.fixture
def quick_breaker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "OPEN_MS", 20)
    monkeypatch.setattr(breaker, "OPEN_MS_MAX", 80)
