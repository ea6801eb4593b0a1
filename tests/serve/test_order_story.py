"""A shop's webhook that knows the order's number alone: the refund finds its purchase, its partner and its commission, whichever is told first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from house import RunningHouse, http, wait_for
from serve.hearing import Partner
from serve.test_ledger_story import OFFER, balance, euro, places
from test_story import Game

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]


def test_a_refund_by_the_orders_number_alone(house: RunningHouse, tmp_path: Path) -> None:
    game, partner = Game(house), Partner()
    server = house.cli("key", "add", "--app", "Game", "--kind", "server")["key"]["secret"]
    (tmp_path / "offer.toml").write_text(OFFER)
    house.cli("offer", "add", "--file", str(tmp_path / "offer.toml"))
    words = f"url={partner.url}?t={{trigger}}&e={{event}}&x={{transaction_id}}&p={{revenue}}"

    def webhook(id_: str, order: str, amount: str, key: str) -> dict[str, Any]:
        said = {"id": id_, "name": "refund", "transaction_id": order, "revenue": euro(amount)}
        told = {"records": [{"type": "event", **said}]}
        answer = http("POST", f"{house.collector_url}/v1/batch", told, key=key).json()
        return answer["results"][0]

    try:
        house.cli("postback", "add", "--partner", "acme", "--template", "generic-get", "--trigger", "event", "--trigger", "reversal", "--allow-host", "127.0.0.1", "--set", words)  # fmt: skip
        refused = webhook("r0", "t1", "40.00", game.app["key"])
        assert (refused["reason"], refused["field"]) == ("missing_field", "records[0].device.id")
        assert game.open("d1", game.click("acme")) == "accepted"
        bought = {"name": "purchase", "revenue": euro("100.00")}
        assert game.tell("event", "d1", **bought, id="p1", transaction_id="t1") == "accepted"
        house.settle()
        assert balance(house) == places(approved=3000)
        assert webhook("r1", "t1", "100.00", server) == {"id": "r1", "status": "accepted"}
        house.settle()
        assert balance(house) == places()
        # And the other way round.
        assert webhook("r2", "t2", "100.00", server)["status"] == "accepted"
        house.settle()
        [waits] = house.cli("explain", "t2")["stories"]
        assert [one["id"] for one in waits["held"]] == ["r2"]
        assert house.cli("audit")["ok"]
        assert game.tell("event", "d1", **bought, id="p2", transaction_id="t2") == "accepted"
        house.settle()
        assert balance(house) == places()
        lines = house.cli("book", "lines")["lines"]
        assert sorted(one["amount_minor"] for one in lines) == [-3000, -3000, 3000, 3000]
        wait_for(lambda: len(partner.heard) == 4, 30)
        assert [heard.partition("?")[2] for heard in partner.heard] == [
            "t=event&e=purchase&x=t1&p=100.00",
            "t=reversal&e=purchase&x=t1&p=100.00",
            "t=event&e=purchase&x=t2&p=100.00",
            "t=reversal&e=purchase&x=t2&p=100.00",
        ]
        [story] = house.cli("explain", "t2")["stories"]
        assert sorted(one["id"] for one in story["events"]) == ["p1", "p2", "r1", "r2"]
        assert story["winner"]["partner"] == "acme"
        assert house.cli("audit")["ok"]
        house.stop()
        house.cli("rebuild", "stores")
        assert house.cli("audit")["ok"]
    finally:
        partner.stop()
