"""What Snowplow's entities become: each is kept, and only what was bought is revenue."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_dialects import KEY, NOW, door, telling

from attribune.collect.dialects import DIALECTS, Letter
from attribune.collect.refuse import Refused
from attribune.collect.verdict import Kept
from attribune.model.money import Money

SNOWPLOW = DIALECTS["snowplow"]
VENDOR = "iglu:com.snowplowanalytics.snowplow.ecommerce"
BOUGHT = {"transaction_id": "T1", "revenue": 45.5, "currency": "EUR", "payment_method": "card"}


def entity(name: str, data: Any) -> dict[str, Any]:
    return {"schema": f"{VENDOR}/{name}/jsonschema/1-0-0", "data": data}


def read(own: dict[str, Any], *contexts: Any, trusted: bool = False, **more: Any) -> Any:
    """The record of a self-describing event and its entities."""
    schema = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"
    event = {
        "e": "ue", "eid": "e1", "aid": KEY, "p": "web", "duid": "visitor", "dtm": str(NOW),
        "ue_pr": json.dumps({"schema": schema, "data": own}),
        "co": json.dumps({"schema": "iglu:x/contexts/jsonschema/1-0-0", "data": contexts}),
    } | more  # fmt: skip
    body = json.dumps({"schema": "iglu:x/payload_data/jsonschema/1-0-4", "data": [event]})
    letter = Letter("POST", "/com.snowplowanalytics.snowplow/tp2", body=body.encode())
    [(verdict, _)] = SNOWPLOW.read(letter, telling(SNOWPLOW), door(SNOWPLOW, is_trusted=trusted))
    if isinstance(verdict, Refused):
        raise verdict
    assert isinstance(verdict, Kept)
    return verdict.record


def described(name: str, data: str) -> str:
    """A self-describing JSON whose data is written as a tracker wrote it."""
    return f'{{"schema":"{VENDOR}/{name}/jsonschema/1-0-0","data":{data}}}'


#: Each has more digits than a binary fraction, or other ones.
NUMBERS = ["12345678901234567.89", "0.10", "9.990", "1180591620717411303424", "-0.0", "0.30000000000000000001"]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "revenue"),
    [
        ("transaction", Money(amount_minor=4550, currency="EUR")),
        ("trns_error", None),
        ("checkout_step", None),
        ("refund", None),
    ],
)
def test_only_a_transaction_books_what_stands_beside_it(kind: str, revenue: Money | None):
    own = entity("snowplow_ecommerce_action", {"type": kind})
    record = read(own, entity("transaction", BOUGHT))
    assert (record.name, json.loads(record.params["type"])) == ("snowplow_ecommerce_action", kind)
    assert (record.revenue, record.transaction_id) == (revenue, "T1")
    assert json.loads(record.extra["contexts.transaction"]) == BOUGHT


def test_an_event_of_another_kind_may_have_a_type_of_its_own():
    record = read(entity("bought", {"type": "gift"}), entity("transaction", BOUGHT))
    assert record.revenue == Money(amount_minor=4550, currency="EUR")


def test_every_entity_is_kept():
    hats = [{"id": "hat", "price": 9.99}, {"id": "cap", "price": 1}]
    odd = [{"schema": "nonsense", "data": {"a": 1}}, "text", entity("list", [1])]
    own = entity("snowplow_ecommerce_action", {"type": "add_to_cart"})
    record = read(
        own, entity("cart", {"total": 3}), *(entity("product", hat) for hat in hats), *odd
    )
    kept = {name: json.loads(said) for name, said in record.extra.items() if "contexts" in name}
    assert kept == {
        "contexts.cart": {"total": 3},
        "contexts.product": hats,
        "contexts.other": odd,
    }


@pytest.mark.parametrize(
    ("url", "opened", "kept"),
    [
        ("game://level/3", "game://level/3", None),
        ("x" * 4097, None, "x" * 4097),
        ({"path": "/a"}, None, {"path": "/a"}),
    ],
)
def test_a_link_is_opened_or_kept(url: Any, opened: str | None, kept: Any):
    record = read(entity("deep_link_received", {"url": url, "referrer": "r"}))
    assert record.link_opened == opened
    assert json.loads(record.extra.get("url", "null")) == kept
    assert json.loads(record.extra["referrer"]) == "r"


@pytest.mark.parametrize("trusted", [False, True])
def test_an_address_that_is_not_believed_is_kept(trusted: bool):
    record = read(entity("bought", {}), trusted=trusted, ip="203.0.113.9", ua="UA")
    said, seen = ("203.0.113.9", "UA"), ("198.51.100.4", "sdk/1")
    assert (record.ip, record.user_agent) == (said if trusted else seen)
    kept = tuple(json.loads(record.extra[name]) for name in ("ip", "ua") if name in record.extra)
    assert kept == (() if trusted else said)


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_keep_their_digits(number: str):
    data = f'{{"n":{number},"deep":[{{"n":{number}}}]}}'
    own = described("bought", data)
    record = read(
        {},
        ue_pr=f'{{"schema":"iglu:x/unstruct_event/jsonschema/1-0-0","data":{own}}}',
        co=f'{{"schema":"x","data":[{described("a", data)},{described("b", data)},{described("b", data)}]}}',
    )
    assert record.params == {"n": number, "deep": f'[{{"n":{number}}}]'}
    assert record.extra["contexts.a"] == data
    assert record.extra["contexts.b"] == f"[{data},{data}]"


@pytest.mark.parametrize(
    ("said", "minor"),
    [("999999999999.07", 99_999_999_999_907), ("9.990", 999), ('"9.99"', 999), ("12", 1200), ("1e1", 1000), ("0.30000000000000004", 30)],
)  # fmt: skip
@pytest.mark.parametrize("where", ["entity", "event", "transaction"])
def test_money_has_the_digits_that_were_sent(said: str, minor: int, where: str):
    data = f'{{"revenue":{said},"currency":"EUR"}}'
    own = described("bought", data if where == "event" else "{}")
    entities = described("transaction", data) if where == "entity" else ""
    more = {"tr_tt": json.loads(said), "tr_cu": "EUR"} if where == "transaction" else {}
    record = read(
        {},
        ue_pr=f'{{"schema":"iglu:x/unstruct_event/jsonschema/1-0-0","data":{own}}}',
        co=f'{{"schema":"x","data":[{entities}]}}',
        **more,
    )
    assert record.revenue == Money(amount_minor=minor, currency="EUR")


def test_a_number_beyond_all_numbers_is_no_json():
    said = f'{{"schema":"x","data":{described("bought", """{"n":1e99999999999999999999}""")}}}'
    with pytest.raises(Refused, match="is no self-describing JSON"):
        read({}, ue_pr=said)
