"""Segment's words in our records, and Segment's answers to its clients."""

from __future__ import annotations

import base64
import gzip
import json
from hashlib import sha256
from typing import Any

import pytest
from front import GAME, WRITE_KEY, Front, registry

from attribune.collect.dialects import DIALECTS, Letter
from attribune.collect.records import Telling
from attribune.collect.refuse import Refused
from attribune.collect.speaker import Speaker
from attribune.collect.verdict import Kept
from attribune.model.activity import Event, Open, Platform, Sender
from attribune.model.control import Door
from attribune.model.money import Money
from attribune.model.position import Topic
from attribune.settings import Settings

NOW = 1_795_305_600_000
DIRECTORY = registry()
SEGMENT = DIALECTS["segment"]


def read(
    *events: Any, trusted: bool = False, implies_open: bool = False, **batch: Any
) -> list[Any]:
    door = Door(
        id="seg",
        app="game-android",
        dialect="segment",
        sha256="",
        is_trusted=trusted,
        implies_open=implies_open,
    )
    telling = Telling(
        speaker=Speaker(
            sender=Sender.SERVER if trusted else Sender.APP,
            app=DIRECTORY.app("game-android"),
            product=DIRECTORY.product(GAME),
        ),
        directory=DIRECTORY,
        settings=Settings(),
        received_at_ms=NOW,
        ip="198.51.100.4",
        user_agent="analytics/1",
        dialect="segment",
    )
    letter = Letter("POST", "/v1/batch", body=json.dumps({"batch": list(events), **batch}).encode())
    return [v.record if isinstance(v, Kept) else v for v, _ in SEGMENT.read(letter, telling, door)]


def track(event: str = "Order Completed", **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": event, "messageId": "m1", "anonymousId": "anon", **more}


PHONE = {
    "device": {"id": "IDFV-1", "advertisingId": "AD-1", "model": "iPhone15,2", "manufacturer": "Apple", "type": "ios"},
    "os": {"name": "iOS", "version": "18.6"},
    "app": {"name": "Game", "version": "3.1", "build": 310, "namespace": "com.example.game"},
    "library": {"name": "analytics-swift", "version": "1.7"},
    "locale": "de-DE",
    "timezone": "Europe/Berlin",
    "ip": "203.0.113.9",
    "userAgent": "UA",
    "campaign": {"source": "x"},
}  # fmt: skip


@pytest.mark.parametrize("name", ["Application Installed", "Application Opened"])
def test_lifecycle_events_are_opens(name):
    [record] = read(
        track(name, context=PHONE, properties={"url": "app://x", "version": "3.1"}, userId="u1")
    )
    assert isinstance(record, Open)
    assert (record.id, record.device.id, record.device.platform) == ("m1", "IDFV-1", Platform.IOS)
    assert record.device.ids == {"idfa": "AD-1", "idfv": "IDFV-1"}
    assert (record.device.os_version, record.device.model) == ("18.6", "iPhone15,2")
    assert (record.device.locale, record.device.timezone) == ("de-DE", "Europe/Berlin")
    assert (record.app_version, record.app_build, record.sdk) == (
        "3.1",
        "310",
        "analytics-swift/1.7",
    )
    assert (record.link_opened, record.user_id, record.dialect) == ("app://x", "u1", "segment")
    assert json.loads(record.extra["event"]) == name
    assert json.loads(record.extra["anonymousId"]) == "anon"
    assert record.extra["properties.version"] == '"3.1"'
    assert json.loads(record.extra["context.campaign"]) == {"source": "x"}


def test_an_android_install_carries_plays_referrer():
    context = {
        "device": {"advertisingId": "G"},
        "os": {"name": "Android"},
        "referrer": {"url": "attribune_click=1"},
    }
    [record] = read(track("Application Installed", context=context))
    assert [(r.source, r.value) for r in record.referrers] == [("play", "attribune_click=1")]
    assert (record.device.id, record.device.ids) == ("anon", {"gaid": "G"})


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"attTrackingStatus": 3}, "authorized"),
        ({"attTrackingStatus": "2"}, "denied"),
        ({"trackingStatus": "denied"}, "denied"),
        ({"trackingStatus": "restricted", "attTrackingStatus": 3}, "restricted"),
        ({"attTrackingStatus": 9}, "9"),
        ({}, None),
    ],
)
def test_what_a_person_allowed_is_said_in_words(said, status):
    [record] = read(track(context={"device": {"id": "I", "type": "ios", **said}}))
    assert record.device.att_status == status
    kept = [name for name in record.extra if "rackingStatus" in name]
    assert kept == (["context.device.attTrackingStatus"] if len(said) > 1 else [])


def test_a_lifecycle_event_without_a_device_is_an_event():
    [record] = read(
        {"type": "track", "event": "Application Opened", "messageId": "m", "userId": "u"}
    )
    assert isinstance(record, Event)
    assert (record.device, record.user_id) == (None, "u")


def test_an_order_is_an_event_with_revenue():
    [record] = read(
        track(
            properties={
                "total": 12.10,
                "currency": "usd",
                "order_id": 4711,
                "products": [{"sku": "a"}],
            }
        )
    )
    assert isinstance(record, Event)
    assert record.revenue == Money(amount_minor=1210, currency="USD")
    assert (record.name, record.transaction_id) == ("Order Completed", "4711")
    assert record.params["total"] == "12.1"
    assert json.loads(record.params["products"]) == [{"sku": "a"}]


@pytest.mark.parametrize(
    ("name", "properties", "minor"),
    [
        ("Order Completed", {"revenue": 5, "total": 9}, 500),
        ("Order Completed", {"revenue": "5.50"}, 550),
        ("Order Completed", {"revenue": ""}, None),
        ("Order Completed", {}, None),
        ("Level Up", {"revenue": 1.25}, 125),
        ("Cart Viewed", {"total": 9}, None),
        ("Order Refunded", {"total": 9, "revenue": 9}, None),
        ("Order Cancelled", {"revenue": 9}, None),
    ],
)
def test_which_amount_is_revenue(name, properties, minor):
    [record] = read(track(name, properties=properties))
    assert record.revenue == (None if minor is None else Money(amount_minor=minor, currency="EUR"))


@pytest.mark.parametrize("kind", ["identify", "page", "screen", "group", "alias"])
def test_nothing_that_is_told_vanishes(kind):
    said = {
        "type": kind,
        "messageId": "m",
        "anonymousId": "a",
        "name": "Home",
        "groupId": "g",
        "previousId": "p",
    }
    said["traits" if kind in {"identify", "group"} else "properties"] = {"plan": "pro"}
    [record] = read(said)
    assert isinstance(record, Event)
    assert (record.name, record.params) == (kind, {"plan": '"pro"'})
    assert record.extra == {"name": '"Home"', "groupId": '"g"', "previousId": '"p"'}


def test_address_and_agent_are_believed_only_at_a_trusted_door():
    [stranger], [trusted] = read(track(context=PHONE)), read(track(context=PHONE), trusted=True)
    assert (stranger.ip, stranger.user_agent) == ("198.51.100.4", "analytics/1")
    assert json.loads(stranger.extra["context.ip"]) == "203.0.113.9"
    assert (trusted.ip, trusted.user_agent, trusted.sender) == ("203.0.113.9", "UA", Sender.SERVER)
    [silent] = read(track(context={"ip": "0.0.0.0"}), trusted=True)
    assert silent.ip is None
    [direct] = read(track(context={"direct": True}), trusted=True)
    assert direct.ip == "198.51.100.4"


def test_a_door_may_say_that_events_imply_an_open():
    assert read(track(), implies_open=True)[0].implies_open
    assert not read(track())[0].implies_open


def test_times_are_corrected_by_when_the_batch_was_sent():
    [record] = read(track(timestamp="2026-11-20T10:00:00.000Z"), sentAt="2026-11-20T10:00:05.000Z")
    assert record.occurred_at_ms == NOW - 5000
    assert record.given_at_ms == 1_795_168_800_000
    [record] = read(track(timestamp="2026-11-21T23:59:59"))
    assert (record.occurred_at_ms, record.given_at_ms) == (NOW - 1000, None)
    [record] = read(track())
    assert record.occurred_at_ms == NOW


def test_an_event_without_an_id_is_the_same_when_sent_again():
    said = {"type": "track", "event": "x", "anonymousId": "a"}
    first, again, other = read(said, said, {**said, "event": "y"})
    assert first.id == again.id != other.id


@pytest.mark.parametrize(
    ("said", "reason", "param"),
    [
        (5, "wrong_type", "batch[0]"),
        ({"type": "track", "event": "x"}, "missing_field", "batch[0].anonymousId"),
        ({"type": "track", "anonymousId": "a"}, "missing_field", "batch[0].event"),
        ({"type": "delete", "anonymousId": "a"}, "unknown_record_type", "batch[0].type"),
        (track(timestamp="soon"), "bad_time", "batch[0].timestamp"),
        (track(timestamp="1969-01-01T00:00:00Z"), "bad_time", "batch[0].timestamp"),
        (track(properties={"revenue": -5}), "bad_amount", "batch[0].properties.revenue.amount"),
        (track(properties={"revenue": "many"}), "bad_amount", "batch[0].properties.revenue.amount"),
        (track(properties={"revenue": 5, "currency": "GOLD"}), "unknown_currency", "batch[0].properties.revenue.currency"),
        (track(properties=[]), "wrong_type", "batch[0].properties"),
        (track(context=5), "wrong_type", "batch[0].context"),
        (track(x="y" * 33_000), "too_large", "batch[0]"),
        (track(messageId="x" * 257), "bad_id", "batch[0].messageId"),
    ],
)  # fmt: skip
def test_events_that_are_refused_leave_their_neighbours(said, reason, param):
    wrong, right = read(said, track())
    assert isinstance(wrong, Refused)
    assert (wrong.reason, wrong.param) == (reason, param)
    assert isinstance(right, Event)


# --- over the socket

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]
BASIC = {"Authorization": "Basic " + base64.b64encode(f"{WRITE_KEY}:".encode()).decode()}


@pytest.mark.parametrize(
    ("path", "kind"),
    [(p, k) for k in ("track", "identify", "page", "screen", "group", "alias") for p in (k, k[0])],
)
def test_single_events_have_their_type_in_the_path(door: Front, path, kind):
    before = door.end()
    body = json.dumps({"event": "x", "anonymousId": "a", "writeKey": WRITE_KEY}).encode()
    answer = door.ask("POST", f"/in/segment/seg/v1/{path}", body, {"Content-Type": "text/plain"})
    assert (answer.status, answer.json) == (200, {"success": True})
    [record] = door.since(Topic.ACTIVITY, before)
    assert record.name == ("x" if kind == "track" else kind)
    assert WRITE_KEY not in str(record)


@pytest.mark.parametrize("path", ["batch", "import", "b", "batch/"])
def test_batches_packed_and_in_chunks(door: Front, path):
    before = door.end()
    body = gzip.compress(json.dumps({"batch": [track(), track(messageId="m2")]}).encode())
    headers = {**BASIC, "Content-Encoding": "gzip"}
    answer = door.ask("POST", f"/in/segment/seg/v1/{path}", iter([body[:9], body[9:]]), headers)
    assert answer.json == {"success": True}
    assert [r.part.index for r in door.since(Topic.ACTIVITY, before)] == [0, 1]


def test_a_refused_event_is_kept_and_said_with_200(door: Front):
    before = door.end()
    body = json.dumps({"batch": [track(), {"type": "track"}]}).encode()
    answer = door.ask("POST", "/in/segment/seg/v1/batch", body, BASIC)
    assert answer.status == 200
    assert (answer.json["success"], answer.json["refused"]) == (False, 1)
    [refusal] = door.since(Topic.REFUSED, before)
    assert (refusal.reason, refusal.part.index, refusal.app) == ("missing_field", 1, "game-android")


def test_settings_are_answered(door: Front):
    answer = door.get(f"/in/segment/seg/v1/projects/{WRITE_KEY}/settings")
    assert answer.json == {"integrations": {"Segment.io": {"apiKey": WRITE_KEY}}, "plan": {}}
    before = door.end()
    assert door.get("/in/segment/seg/v1/projects/wrong/settings").status == 401
    [refusal] = door.since(Topic.REFUSED, before)
    assert refusal.path == "/in/segment/seg/v1/projects/(removed)/settings"


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "reason"),
    [
        ("seg/v1/batch", b"{}", {}, 401, "unknown_key"),
        ("seg/v1/batch", b'{"writeKey": "wk_wrong"}', {}, 401, "unknown_key"),
        ("seg/v1/batch", b"{}", {"Authorization": "Basic ???"}, 401, "unknown_key"),
        ("seg/v1/batch", b"{}", {"Authorization": "Basic /////w=="}, 401, "unknown_key"),
        ("nope/v1/batch", b"{}", BASIC, 404, "unknown_door"),
        ("seg-off/v1/batch", b"{}", BASIC, 404, "unknown_door"),
        ("seg/v1/batch", b"{", BASIC, 400, "malformed"),
        ("seg/v1/batch", b"{}", BASIC, 400, "missing_field"),
        ("seg/v1/batch", b'{"batch": 5}', BASIC, 400, "wrong_type"),
        ("seg/v1/batch", b" " * 512_001, BASIC, 400, "too_large"),
        ("seg/v1/batch", b'{"batch":[' + b"1," * 2500 + b"1]}", BASIC, 200, "too_many_records"),
        ("seg/v1/nope", b"{}", BASIC, 404, "unknown_record_type"),
        ("seg/v1/t", b"x", BASIC, 400, "malformed"),
        ("seg/v1/t", gzip.compress(b"x")[:-3], {**BASIC, "Content-Encoding": "gzip"}, 400, "bad_encoding"),
    ],
)  # fmt: skip
def test_letters_that_are_refused_are_kept(door: Front, path, body, headers, status, reason):
    before = door.end()
    answer = door.ask("POST", f"/in/segment/{path}", body, headers)
    assert answer.status == status
    [refusal] = door.since(Topic.REFUSED, before)
    assert refusal.reason == reason
    assert sha256(body).hexdigest() == refusal.body_sha256 or refusal.reason in {
        "unknown_door",
        "bad_encoding",
        "too_large",
    }


def test_an_unknown_dialect_is_no_door(door: Front):
    assert door.ask("POST", "/in/klingon/seg/v1/batch", b"{}").status == 404
    assert door.ask("POST", "/in/").status == 404
