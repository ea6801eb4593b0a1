"""Events told by an order's number alone, through the doors: server keys may, whatever else has a key may not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from front import APP_KEY, ORIGIN, SERVER_KEY, Front, _key, front

from attribune.model.control import KeyKind
from attribune.model.position import Topic

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

NEEDED = "device.id is needed"
PAGE_KEY = "ak_page_12345678"


@pytest.fixture(scope="module")
def door() -> Iterator[Front]:
    with front(_key("k-page", PAGE_KEY, KeyKind.APP, "game-web")) as running:
        yield running


def refund(id_: str, **more: Any) -> dict[str, Any]:
    return {"type": "event", "id": id_, "name": "refund", "transaction_id": "order-1042", **more}


def test_a_server_tells_them_alone_and_in_batches(door: Front) -> None:
    before = door.end()
    assert door.post("/v1/event", refund("r1"), SERVER_KEY).status == 200
    results = door.batch(refund("r2"), refund("r3", transaction_id=None), key=SERVER_KEY)
    assert [one["status"] for one in results] == ["accepted", "refused"]
    ways = "or, with a server key, touch_id, user_id or transaction_id"
    assert results[1]["message"] == f"records[1].{NEEDED}: {ways}"
    kept = door.since(Topic.ACTIVITY, before)
    assert [(one.id, one.by_order, one.device) for one in kept] == [
        ("r1", True, None),
        ("r2", True, None),
    ]


def test_an_app_key_does_not_in_whatever_words(door: Front) -> None:
    before = door.end()
    answer = door.post("/v1/event", refund("r1"), APP_KEY)
    assert (answer.status, answer.json["error"]["param"]) == (400, "device.id")
    assert "transaction_id" not in answer.json["error"]["message"]
    tries = [
        {"by_order": True},
        {"device": {}},
        {"device": {"id": ""}},
        {"device": {"id": "00000000-0000-0000-0000-000000000000"}},
        {"user_id": "u1"},
        {"sender": "server"},
    ]
    records = [refund(f"t{n}", **more) for n, more in enumerate(tries)]
    assert {one["status"] for one in door.batch(*records, key=APP_KEY)} == {"refused"}
    page = {"key": PAGE_KEY, "records": [refund("p1")]}
    [result] = door.post("/v1/batch", page, None, Origin=ORIGIN).json["results"]
    assert (result["reason"], result["field"]) == ("missing_field", "records[0].device.id")
    assert door.since(Topic.ACTIVITY, before) == []


def test_an_app_key_may_name_its_device_and_is_taken_at_its_word_for_that_alone(
    door: Front,
) -> None:
    before = door.end()
    [result] = door.batch(refund("r9", device={"id": "d1"}, by_order=True), key=APP_KEY)
    assert result["status"] == "accepted"
    (kept,) = door.since(Topic.ACTIVITY, before)
    assert (kept.by_order, kept.device.id, kept.extra) == (False, "d1", {"by_order": "true"})
