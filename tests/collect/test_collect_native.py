"""The native wire, record by record: what is read, and which field is named when something is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from front import GAME, registry

from attribune.collect.native import read_batch, read_record
from attribune.collect.records import Telling
from attribune.collect.refuse import Refused
from attribune.collect.speaker import Speaker
from attribune.model.activity import Claim, Consent, Device, Event, Evidence, Open, Platform, Sender
from attribune.model.ids import KeyId
from attribune.model.money import Money
from attribune.model.touch import Touch
from attribune.settings import Settings

NOW = 1_795_305_600_000  # 2026-11-22T00:00:00Z
DAY = 86_400_000
DIRECTORY = registry()
DEVICE = {"id": "d1"}


def telling(*, server: bool = False, **settings: Any) -> Telling:
    app = DIRECTORY.app("game-android")
    product = DIRECTORY.product(GAME)
    sender = Sender.SERVER if server else Sender.APP
    return Telling(
        speaker=Speaker(sender=sender, app=app, product=product, key=KeyId("k")),
        directory=DIRECTORY,
        settings=Settings(**settings),
        received_at_ms=NOW,
        ip="198.51.100.4",
        user_agent="okhttp/5",
    )


def read(record: Any, *, server: bool = False, **settings: Any) -> Any:
    raw = record if isinstance(record, bytes) else json.dumps(record).encode()
    return read_record(raw, telling(server=server, **settings)).record


def refused(record: Any, *, server: bool = False, **settings: Any) -> tuple[str, str | None]:
    with pytest.raises(Refused) as caught:
        read(record, server=server, **settings)
    assert caught.value.message
    return str(caught.value.reason), caught.value.param


def message(record: Any, *, server: bool = False) -> str:
    with pytest.raises(Refused) as caught:
        read(record, server=server)
    return caught.value.message


def an_open(**more: Any) -> dict[str, Any]:
    return {"type": "open", "id": "o1", "device": DEVICE, **more}


def an_event(**more: Any) -> dict[str, Any]:
    return {"type": "event", "id": "e1", "name": "buy", "device": DEVICE, **more}


def a_click(**more: Any) -> dict[str, Any]:
    return {"type": "click", "id": "c1", "link": "plain", **more}


def test_an_open_with_everything():
    said = {
        "type": "open",
        "id": "o1",
        "at": "2026-11-21T10:00:00.000+01:00",
        "device": {
            "id": "d1",
            "platform": "android",
            "os_version": "15",
            "model": "Pixel 8",
            "gaid": "g",
            "idfa": "00000000-0000-0000-0000-000000000000",
            "idfv": "",
            "oaid": None,
            "app_set_id": "s",
            "sha1_gaid": "h",
            "att_status": "authorized",
            "locale": "de-DE",
            "timezone": "Europe/Berlin",
            "screen": {"w": 1.50},
        },
        "app": {"version": "3.1.0", "build": "310", "sdk": "native/1.0", "flavour": "beta"},
        "user_id": "u1",
        "referrers": [
            {"source": "play", "value": "attribune_click=x", "click_at": 0, "install_begin_at": 1_795_000_000_000},
            {"source": "getjar", "value": "y", "click_server_at": "2026-11-21T10:00:00Z"},
            {"source": "meta", "value": ""},
        ],
        "link_opened": "https://l.example/c/x?attribune_click=1",
        "want_attribution": True,
        "ip": "1.2.3.4",
        "mood": [1, 2.0],
    }  # fmt: skip
    kept = read_record(json.dumps(said).encode(), telling())
    assert kept.wants_attribution
    record = kept.record
    assert isinstance(record, Open)
    assert record.device == Device(
        id="d1",
        platform=Platform.ANDROID,
        os_version="15",
        model="Pixel 8",
        ids={"gaid": "g", "app_set_id": "s", "sha1_gaid": "h"},
        att_status="authorized",
        locale="de-DE",
        timezone="Europe/Berlin",
    )
    assert record.occurred_at_ms == 1_795_251_600_000
    assert record.given_at_ms is None
    assert (record.product, record.app, record.sender) == (GAME, "game-android", Sender.APP)
    assert (record.app_version, record.app_build, record.sdk) == ("3.1.0", "310", "native/1.0")
    assert (record.user_id, record.link_opened) == ("u1", said["link_opened"])
    assert [(r.source, r.value) for r in record.referrers] == [
        ("play", "attribune_click=x"),
        ("other", "y"),
    ]
    assert record.referrers[0].click_at_ms is None
    assert record.referrers[0].install_begin_at_ms == 1_795_000_000_000
    assert record.referrers[1].click_server_at_ms == 1_795_255_200_000
    assert (record.ip, record.user_agent) == ("198.51.100.4", "okhttp/5")
    assert record.extra == {
        "device.screen": '{"w": 1.5}',
        "app.flavour": '"beta"',
        "referrers[1].source": "getjar",
        "ip": '"1.2.3.4"',
        "mood": "[1, 2.0]",
    }


def test_an_event_with_everything():
    record = read(
        b'{"type":"event","id":"e1","name":"buy","device":{"id":"d1"},"transaction_id":"t1",'
        b'"revenue":{"amount":"12.505","currency":"EUR"},"params":{"n":1.10,"o":{"a":null},"z":null}}'
    )
    assert isinstance(record, Event)
    assert record.revenue == Money(amount_minor=1250, currency="EUR")
    assert record.transaction_id == "t1"
    assert record.params == {"n": "1.10", "o": '{"a":null}'}


def test_revenue_without_a_currency_is_in_the_products():
    record = read(an_event(revenue={"amount": "1"}))
    assert record.revenue == Money(amount_minor=100, currency="EUR")


def test_only_a_server_may_tell_of_less_than_nothing():
    loss = an_event(revenue={"amount": "-5.20", "currency": "EUR"})
    assert read(loss, server=True).revenue.amount_minor == -520
    assert refused(loss) == ("bad_amount", "revenue.amount")
    cost = a_click(cost={"amount": "-5", "currency": "EUR"})
    assert refused(cost, server=True) == ("bad_amount", "cost.amount")


@pytest.mark.parametrize("said", [None, {}])
def test_no_revenue_is_none_and_an_empty_one_is_a_mistake(said):
    if said is None:
        assert read(an_event(revenue=said)).revenue is None
    else:
        assert refused(an_event(revenue=said)) == ("missing_field", "revenue.amount")


def test_consent_evidence_and_claim():
    consent = read(
        {"type": "consent", "id": "c", "device": DEVICE, "measurement": False, "tcf": "x"}
    )
    assert isinstance(consent, Consent)
    assert (consent.measurement, consent.sharing, consent.tcf) == (False, None, "x")
    choice = read({"type": "consent", "id": "d", "device": DEVICE, "partners": {"acme": False, "zeta": None}})  # fmt: skip
    assert isinstance(choice, Consent)
    assert (choice.measurement, choice.partners) == (None, {"acme": False})
    evidence = read({"type": "evidence", "id": "v", "device": DEVICE, "link_opened": "https://x"})
    assert isinstance(evidence, Evidence)
    said = {"type": "claim", "id": "m", "device": DEVICE, "partner": "acme", "touch_at": NOW - 5, "kind": "impression", "campaign": "c"}  # fmt: skip
    claim = read(said, server=True)
    assert isinstance(claim, Claim)
    assert (claim.partner, claim.kind, claim.touch_at_ms, claim.campaign) == (
        "acme",
        "impression",
        NOW - 5,
        "c",
    )
    assert refused(said) == ("forbidden_for_key", "type")
    assert refused({**said, "partner": "nobody"}, server=True) == ("unknown_partner", "partner")
    assert refused({**said, "kind": "view"}, server=True) == ("wrong_type", "kind")
    assert refused({**said, "touch_at": None}, server=True) == ("missing_field", "touch_at")


def test_a_server_sets_address_and_agent_and_has_none_of_its_own():
    record = read(an_open(ip="2001:DB8::1", user_agent="UA"), server=True)
    assert (record.ip, record.user_agent, record.sender) == ("2001:db8::1", "UA", Sender.SERVER)
    record = read(an_open(), server=True)
    assert (record.ip, record.user_agent) == (None, None)
    assert refused(an_open(ip="home"), server=True) == ("malformed", "ip")


def test_a_server_may_tell_events_of_a_user_alone():
    said = {"type": "event", "id": "e", "name": "renewal", "user_id": "u1"}
    assert read(said, server=True).device is None
    assert refused(said) == ("missing_field", "device.id")
    assert refused({**said, "user_id": ""}, server=True) == ("missing_field", "device.id")


BY_ORDER = {"type": "event", "id": "e", "name": "refund", "transaction_id": "order-1042"}


def test_a_server_may_tell_an_event_by_its_order_alone():
    record = read(BY_ORDER, server=True)
    assert (record.device, record.user_id, record.touch_id) == (None, None, None)
    assert (record.transaction_id, record.by_order, record.extra) == ("order-1042", True, {})
    for more in ({"device": {"id": "d1"}}, {"user_id": "u1"}, {"touch_id": CLICK}):
        assert not read({**BY_ORDER, **more}, server=True).by_order, "named otherwise"
    assert refused({**BY_ORDER, "name": ""}, server=True) == ("missing_field", "name")
    assert refused({**BY_ORDER, "transaction_id": ""}, server=True) == (
        "missing_field",
        "device.id",
    )
    assert refused({**BY_ORDER, "transaction_id": {}}, server=True) == (
        "wrong_type",
        "transaction_id",
    )


def test_an_app_key_tells_nothing_by_an_order_alone():
    assert refused(BY_ORDER) == ("missing_field", "device.id")
    assert refused({**BY_ORDER, "user_id": "u1", "touch_id": CLICK}) == (
        "missing_field",
        "device.id",
    )
    assert refused({**BY_ORDER, "by_order": True}) == ("missing_field", "device.id")
    record = read({**BY_ORDER, "device": {"id": "d1"}, "by_order": True})
    assert (record.by_order, record.extra) == (False, {"by_order": "true"})


def test_who_names_nobody_is_told_every_way_that_its_key_has():
    said = {"type": "event", "id": "e", "name": "refund"}
    assert message(said, server=True) == (
        "device.id is needed: or, with a server key, touch_id, user_id or transaction_id"
    )
    assert message(said) == "device.id is needed: one per installation, made by the SDK"
    assert message(an_open(device=None), server=True) == message(said), "an open has one way"


CLICK = "019c2f6a-7d10-7c4e-9f00-2b1d3c4e5f60"


def test_a_server_may_tell_an_event_by_its_click():
    said = {"type": "event", "id": "e", "name": "signup", "touch_id": CLICK.upper()}
    record = read(said, server=True)
    assert (record.device, record.touch_id, record.implies_open) == (None, CLICK, True)
    both = read({**said, "device": {"id": "d1"}}, server=True)
    assert (both.device.id, both.touch_id, both.implies_open) == ("d1", CLICK, True)
    assert refused({**said, "touch_id": "c-1"}, server=True) == ("malformed", "touch_id")
    assert refused({**said, "touch_id": None}, server=True) == ("missing_field", "device.id")


def test_an_app_key_names_no_click():
    said = {"type": "event", "id": "e", "name": "signup", "touch_id": CLICK}
    assert refused(said) == ("missing_field", "device.id")
    record = read({**said, "device": {"id": "d1"}})
    assert (record.touch_id, record.implies_open) == (None, False)
    assert record.extra == {"touch_id": f'"{CLICK}"'}


def test_a_server_may_name_another_app_of_its_product():
    assert read(an_open(app_id="game-ios"), server=True).app == "game-ios"
    assert refused(an_open(app_id="game-ios")) == ("forbidden_for_key", "app_id")
    assert refused(an_open(app_id="other-android"), server=True) == ("forbidden_for_key", "app_id")
    assert refused(an_open(app={"id": "other-android"})) == ("forbidden_for_key", "app_id")


def test_a_touch_takes_the_words_of_the_trade_and_is_trusted():
    touch = read(
        a_click(
            tid="t", af_adset="g", gps_adid="A", device={"idfa": "I", "model": "iPhone", "locale": "de", "x": 1},
            ip="203.0.113.9", user_agent="UA", click_lookback="7d", is_retargeting=True,
            cost={"amount": "0.25", "currency": "USD"}, campaign="mine", nested={"a": 1}, n=5, gone=None, macro="{x}",
        ),
        server=True,
    )  # fmt: skip
    assert isinstance(touch, Touch)
    assert (touch.partner_click_id, touch.adgroup, touch.campaign) == ("t", "g", "spring")
    assert touch.ids == {"gaid": "A", "idfa": "I"}
    assert (touch.ip, touch.user_agent, touch.model, touch.language) == (
        "203.0.113.9",
        "UA",
        "iPhone",
        "de",
    )
    assert (touch.click_lookback_ms, touch.is_retargeting) == (7 * DAY, True)
    assert touch.cost == Money(amount_minor=25, currency="USD")
    assert touch.extra == {"campaign": "mine", "nested": '{"a": 1}', "n": "5", "device.x": "1"}
    assert (touch.record_id, touch.origin, touch.link, touch.product) == (
        "c1",
        "s2s",
        "plain",
        GAME,
    )


def test_the_id_of_a_touch_is_made_of_what_was_said():
    first = read(a_click(at=NOW - 5), server=True)
    assert first.id == read(a_click(at=NOW - 5), server=True).id
    assert first.id != read(a_click(at=NOW - 5, id="c2"), server=True).id
    assert first.id != read(a_click(at=NOW - 5, link="pinned"), server=True).id


@pytest.mark.parametrize(
    ("more", "reason", "param"),
    [
        ({"link": None}, "missing_field", "link"),
        ({"link": "nope"}, "unknown_link", "link"),
        ({"link": "off"}, "disabled_link", "link"),
        ({"link": "foreign"}, "forbidden_for_key", "link"),
        ({"link": 5}, "wrong_type", "link"),
        ({"id": ""}, "missing_field", "id"),
        ({"at": "yesterday"}, "bad_time", "at"),
        ({"device": []}, "wrong_type", "device"),
        ({"foo": "a\x00b"}, "malformed", "foo"),
    ],
)
def test_touches_that_are_refused(more, reason, param):
    assert refused(a_click(**more), server=True) == (reason, param)


def test_a_touch_names_what_it_could_not_keep():
    touch = read(a_click(long="x" * 2049, **{f"p{n}": "1" for n in range(70)}), server=True)
    assert len(touch.extra) == 64
    assert touch.not_kept[0] == "long"
    assert len(touch.not_kept) == 7


@pytest.mark.parametrize(
    ("at", "occurred", "given"),
    [
        (NOW - 1000, NOW - 1000, None),
        (None, NOW, None),
        ("", NOW, None),
        (NOW + 1000, NOW, NOW + 1000),
        (NOW + DAY, NOW, NOW + DAY),
        (NOW - 30 * DAY, NOW - 30 * DAY, None),
        ("2026-11-21T23:59:59.5Z", NOW - 500, None),
        ("2026-11-22T01:00:00+0200", NOW - 3_600_000, None),
    ],
)
def test_times(at, occurred, given):
    record = read(an_open(at=at))
    assert (record.occurred_at_ms, record.given_at_ms) == (occurred, given)


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (NOW + DAY + 1, "in_the_future"),
        (NOW - 30 * DAY - 1, "too_old"),
        (946_684_799_999, "bad_time"),
        ("1999-12-31T23:59:59Z", "bad_time"),
        (1_795_305_600, "bad_time"),
        (-1, "bad_time"),
        (10**20, "bad_time"),
        (1.5, "bad_time"),
        (True, "bad_time"),
        ({}, "bad_time"),
        ("2026-11-22T00:00:00", "bad_time"),
        ("2026-11-22", "bad_time"),
        ("1795305600000", "bad_time"),
        ("2026-02-30T00:00:00Z", "bad_time"),
        ("9999-12-31T23:59:59Z", "in_the_future"),
    ],
)
def test_times_that_are_refused(at, reason):
    assert refused(an_open(at=at)) == (reason, "at")


def test_a_server_may_tell_of_older_things():
    assert read(an_open(at=NOW - 400 * DAY), server=True).occurred_at_ms == NOW - 400 * DAY
    assert refused(an_open(at=NOW - 400 * DAY - 1), server=True) == ("too_old", "at")


def batch(sent_at: Any, *ats: int) -> list[tuple[int, int | None]]:
    said = {"sent_at": sent_at, "records": [an_open(at=at) for at in ats]}
    raws, circumstances, _ = read_batch(json.dumps(said).encode(), telling())
    records = [read_record(bytes(raw), circumstances).record for raw in raws]
    return [(r.occurred_at_ms, r.given_at_ms) for r in records]


def test_sent_at_corrects_the_senders_clock():
    assert batch(NOW - 500 * DAY, NOW - 500 * DAY - 7) == [(NOW - 7, NOW - 500 * DAY - 7)]
    assert batch(NOW + 5 * DAY, NOW + 5 * DAY - 7) == [(NOW - 7, NOW + 5 * DAY - 7)]
    assert batch(NOW, NOW - 7) == [(NOW - 7, None)]
    assert batch(NOW - 10, NOW - 5) == [(NOW, NOW - 5)]
    one = read(an_open(at=NOW - DAY - 7, sent_at=NOW - DAY))
    assert (one.occurred_at_ms, one.given_at_ms) == (NOW - 7, NOW - DAY - 7)


@pytest.mark.parametrize(
    ("record", "reason", "param"),
    [
        (b"", "malformed", None),
        (b"[]", "wrong_type", None),
        (b"5", "wrong_type", None),
        (b'{"type":"open","id":"\xff"}', "malformed", None),
        (b'{"type":"open","id":"\\ud800"}', "malformed", None),
        (b'{"type":"open","x":' + b"[" * 17 + b"]" * 17 + b"}", "malformed", None),
        ({"id": "x"}, "missing_field", "type"),
        ({"type": 5, "id": "x"}, "wrong_type", "type"),
        ({"type": "install", "id": "x"}, "unknown_record_type", "type"),
        ({"type": "open", "device": DEVICE}, "missing_field", "id"),
        (an_open(id=5), "wrong_type", "id"),
        (an_open(id="x" * 257), "bad_id", "id"),
        (an_open(id="a\x00b"), "bad_id", "id"),
        (an_open(id="a\nb"), "bad_id", "id"),
        (an_open(id="00000000-0000-0000-0000-000000000000"), "missing_field", "id"),
        (an_open(id="{record_id}"), "missing_field", "id"),
        (an_open(device=None), "missing_field", "device.id"),
        (an_open(device={}), "missing_field", "device.id"),
        (an_open(device={"id": "0000-00"}), "missing_field", "device.id"),
        (an_open(device={"id": ["d"]}), "wrong_type", "device.id"),
        (an_open(device="d1"), "wrong_type", "device"),
        (an_open(device={"id": "d", "gaid": 5}), "wrong_type", "device.gaid"),
        (an_open(device={"id": "d", "model": "x\x1by"}), "malformed", "device.model"),
        (an_open(app=3), "wrong_type", "app"),
        (an_open(app={"version": 3}), "wrong_type", "app.version"),
        (an_open(user_id=5), "wrong_type", "user_id"),
        (an_open(referrers={}), "wrong_type", "referrers"),
        (an_open(referrers=[5]), "wrong_type", "referrers[0]"),
        (an_open(referrers=[{}] * 17), "too_large", "referrers"),
        (an_open(referrers=[{"source": "play", "value": "x", "click_at": "soon"}]), "bad_time", "referrers[0].click_at"),
        (an_open(want_attribution="yes"), "wrong_type", "want_attribution"),
        (an_open(want_attribution=1), "wrong_type", "want_attribution"),
        (an_event(name=None), "missing_field", "name"),
        (an_event(name="x" * 257), "malformed", "name"),
        (an_event(params=[]), "wrong_type", "params"),
        (an_event(transaction_id=7), "wrong_type", "transaction_id"),
        (an_event(revenue="5"), "wrong_type", "revenue"),
        (an_event(revenue={"amount": 5, "currency": "EUR"}), "wrong_type", "revenue.amount"),
        (an_event(revenue={"amount": "5", "currency": 7}), "wrong_type", "revenue.currency"),
        (an_event(revenue={"amount": "-5", "currency": "EUR"}), "bad_amount", "revenue.amount"),
        (an_event(revenue={"amount": "-0", "currency": "EUR"}), "bad_amount", "revenue.amount"),
        (an_event(revenue={"amount": "9" * 30, "currency": "EUR"}), "bad_amount", "revenue.amount"),
        (an_event(revenue={"amount": "5,00", "currency": "EUR"}), "bad_amount", "revenue.amount"),
        (an_event(revenue={"amount": "1e3", "currency": "EUR"}), "bad_amount", "revenue.amount"),
        (an_event(revenue={"amount": "NaN", "currency": "EUR"}), "bad_amount", "revenue.amount"),
        (an_event(revenue={"amount": "5", "currency": "EURO"}), "unknown_currency", "revenue.currency"),
        (an_event(revenue={"amount": "5", "currency": "eur"}), "unknown_currency", "revenue.currency"),
        ({"type": "consent", "id": "c", "device": DEVICE}, "missing_field", "measurement"),
        ({"type": "consent", "id": "c", "device": DEVICE, "measurement": "no"}, "wrong_type", "measurement"),
        ({"type": "consent", "id": "c", "device": DEVICE, "partners": {}}, "missing_field", "measurement"),
        ({"type": "consent", "id": "c", "device": DEVICE, "partners": {"acme": "no"}}, "wrong_type", "partners.acme"),
        ({"type": "consent", "id": "c", "device": DEVICE, "partners": {"a\n": False}}, "bad_id", "partners"),
        ({"type": "consent", "id": "c", "device": DEVICE, "partners": dict.fromkeys(map(str, range(65)), False)}, "too_large", "partners"),
        ({"type": "evidence", "id": "c", "device": DEVICE}, "missing_field", "referrers"),
        (an_open(x="y" * 70_000), "too_large", None),
    ],
)  # fmt: skip
def test_records_that_are_refused(record, reason, param):
    assert refused(record) == (reason, param)


def test_a_path_names_the_record_of_a_batch():
    raw = json.dumps(an_event(revenue={"amount": 1})).encode()
    with pytest.raises(Refused) as caught:
        read_record(raw, telling(), "records[3]")
    assert caught.value.param == "records[3].revenue.amount"
    assert "records[3].revenue.amount" in caught.value.message


def test_an_unknown_platform_keeps_its_name():
    record = read(an_open(device={"id": "d", "platform": "tvOS"}))
    assert (record.device.platform, record.extra) == (Platform.OTHER, {"device.platform": "tvOS"})


def test_sixteen_levels_are_read_and_seventeen_are_not():
    deep: Any = 1
    for _ in range(15):
        deep = [deep]
    assert read(an_open(x=deep)).extra["x"].startswith("[[[")
    assert refused(an_open(x=[deep])) == ("malformed", None)
