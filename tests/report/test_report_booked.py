"""Lines and missing rates in stories: what is taken back stands behind what took it, and without a double negative."""

from __future__ import annotations

from typing import Any

import pytest

from attribune.model.book import Line, LineKind, LineState, RateMissing, outcome_key
from attribune.ports import KeptLine
from attribune.report import telling, told
from attribune.report.stories import Story

KEY = outcome_key("game", "conversion", "c1")


def line(kind: LineKind, amount_minor: int, caused_at_ms: int = 0) -> KeptLine:
    words: dict[str, Any] = {
        "id": "l",
        "commission": "cm",
        "kind": kind,
        "state": LineState.APPROVED,
        "partner": "acme",
        "offer": "cpa",
        "version": 1,
        "deal": 0,
        "level": 0,
        "below": None,
        "outcome": KEY,
        "event": "install",
        "at_ms": 1000,
        "window": "total",
        "amount_minor": amount_minor,
        "currency": "EUR",
        "due_ms": 1000,
        "month": 197001,
        "caused_at_ms": caused_at_ms,
    }
    return KeptLine(1, Line(**words), None)


@pytest.mark.parametrize(
    ("kind", "amount_minor", "said"),
    [
        (LineKind.EARN, 300, "acme earns 3.00 EUR"),
        (LineKind.REVERSAL, -300, "acme loses 3.00 EUR"),
        (LineKind.REVERSAL, 300, "acme is given back 3.00 EUR"),
        (LineKind.RETIER, -300, "acme is rated anew by -3.00 EUR"),
    ],
)
def test_what_a_line_does_is_said_by_its_word(kind: LineKind, amount_minor: int, said: str) -> None:
    story = Story(conversion="c1", product="game", at_ms=1000, kind="install")
    telling.add_booked([story], lambda _keys: [line(kind, amount_minor)], lambda _keys: [])
    assert said in told.plain(story)


def test_a_reversal_stands_behind_what_came_before_it() -> None:
    story = Story(conversion="c1", product="game", at_ms=1000, kind="install")
    lines = [line(LineKind.REVERSAL, -300, 90_000), line(LineKind.EARN, 300)]
    waits = RateMissing(KEY, "install", "acme", 1500, "1970-01-01", "USD", "EUR")
    telling.add_booked([story], lambda _keys: lines, lambda _keys: [waits])
    assert [one.moved_at_ms for one in story.booked] == [90_000, 1000]
    text = told.plain(story)
    assert text.index("earns 3.00") < text.index("held in the book") < text.index("loses 3.00")
    assert "1970-01-01T00:01:30.000Z" in text
    assert "for the rate of USD in EUR on 1970-01-01" in " ".join(text.split())


def test_a_story_of_no_product_asks_nothing_of_the_book() -> None:
    def never(_keys: object) -> Any:
        raise AssertionError("nothing can be booked for it")

    telling.add_booked([Story(conversion="c1")], never, never)
