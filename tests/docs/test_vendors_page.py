"""The guides to listening: what they say to enter at a vendor is understood at the door, and says enough."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest

from attribune.collect.dialects import Letter
from attribune.collect.rehearsal import Rehearsal
from attribune.model.activity import Platform
from attribune.model.control import App, Change, Door, Product
from attribune.model.ids import AppId, DoorId, Position, ProductId
from attribune.registry.view import Registry
from attribune.settings import Settings

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
NOW = 1_795_305_600_000
#: What a vendor puts in the place of its macro, by the name that it stands under.
FILLED = {
    "activity_kind": "event", "event_name": "buy", "evtname": "buy", "event": "buy", "ActionTrackerId": "12345", "Status": "PENDING",
    "ActionId": "1.2.3", "created_at": "1795305600", "click_time": "1795305500", "date": "1795305600", "utc": "1795305600",
    "EventDate": "2026-11-22T00:00:00Z", "revenue_float": "2.50", "amount": "2.50", "Amount": "2.50", "revenue": "2.50",
    "currency": "EUR", "Currency": "EUR", "is_organic": "0", "key": "wk_key",
}  # fmt: skip


def templates() -> list[tuple[str, str]]:
    """The dialect and the query of each address that is written out."""
    table = re.findall(
        r"\| `([a-z]+-[a-z]+)` \| `URL\?([^`]+)`", (GUIDES / "listen-to-other-mmps.md").read_text()
    )
    kochava = re.search(r"<url>\?(.*)", (GUIDES / "move-from-kochava.md").read_text())
    assert kochava is not None
    tenjin = re.search(r"door understands: (.*?)\. Give", (GUIDES / "move-from-tenjin.md").read_text(), re.DOTALL)  # fmt: skip
    assert tenjin is not None
    named = "&".join(f"{name}={{{name}}}" for name in re.findall(r"`(\w+)`", tenjin[1]))
    found = [(dialect, query.replace("&…", "")) for dialect, query in table if "&" in query]
    return [*found, ("kochava-postback", kochava[1]), ("tenjin-callback", named)]


def told(dialect: str, query: dict[str, str]) -> dict[str, str]:
    product = Product(id=ProductId("game"), name="Game", timezone="UTC", currency="EUR")
    app = App(id=AppId("game"), product=product.id, name="Game", platform=Platform.ANDROID, store_id="com.example.game")  # fmt: skip
    registry = Registry()
    for position, record in enumerate((product, app), 1):
        registry.apply(Position(position), Change(at_ms=0, record=record))
    door = Door(id=DoorId("d"), app=AppId("game"), dialect=dialect, sha256=sha256(b"").hexdigest())
    letter = Letter("GET", "/", urlencode(query))
    [result] = Rehearsal().rehearse(door, registry, Settings(), NOW, letter)
    return result


def test_every_address_is_found() -> None:
    assert {dialect for dialect, _ in templates()} == {
        "adjust-callback", "impact-action", "kochava-postback", "singular-postback", "tenjin-callback",
    }  # fmt: skip


@pytest.mark.parametrize(("dialect", "query"), templates())
def test_what_is_to_be_entered_is_understood_when_it_is_filled(dialect: str, query: str) -> None:
    said = {name: FILLED.get(name, f"{name}-1") for name, _ in parse_qsl(query)}
    assert told(dialect, said)["verdict"] == "accepted"
    for needed in ("created_at", "date", "utc", "EventDate", "event_name", "event", "ActionTrackerId"):  # fmt: skip
        if needed in said:
            less = {name: value for name, value in said.items() if name != needed}
            assert told(dialect, less)["verdict"] == "refused", needed
