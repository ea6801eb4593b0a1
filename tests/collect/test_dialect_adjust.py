"""What Adjust's clients say, as their open source writes it, and what we make of it and answer."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from front import GAME, registry
from hypothesis import given, settings
from hypothesis import strategies as st

from attribune.collect.dialects.adjust import Adjust
from attribune.collect.dialects.adjust_records import TELLING_PATHS
from attribune.collect.dialects.adjust_times import read_time, write_time
from attribune.collect.dialects.letter import Credited, Heard, Letter, Told
from attribune.collect.records import Telling
from attribune.collect.refuse import Refused
from attribune.collect.speaker import Speaker
from attribune.collect.verdict import Kept
from attribune.model.activity import Consent, Event, Evidence, Forget, KnownDevice, Open, Sender
from attribune.model.codec import encode
from attribune.model.control import Door
from attribune.model.ids import AppId, DoorId
from attribune.settings import Settings

NOW = 1_795_305_600_000  # 2026-11-22 00:00 UTC
TOKEN = "abc123def456"
UUID = "5f2a7c1e-0d3b-4a6f-9c8d-1e2f3a4b5c6d"
ADID = UUID.replace("-", "")
GAID = "38400000-8cf0-11bd-b23e-10b96e40000d"
DIRECTORY = registry()
ADJUST = Adjust()

#: What the Android SDK puts into every package.
ANDROID = {
    "app_token": TOKEN, "environment": "production", "created_at": "2026-11-21T23:43:40.607Z+0000",
    "sent_at": "2026-11-21T23:43:41.100Z+0000", "os_name": "android", "os_version": "15", "api_level": "35",
    "device_name": "Pixel 8", "device_manufacturer": "Google", "device_type": "phone", "language": "de", "country": "DE",
    "package_name": "com.example.game", "app_version": "3.1.0", "gps_adid": GAID, "gps_adid_src": "service",
    "tracking_enabled": "1", "android_uuid": UUID, "google_app_set_id": "11111111-2222-4333-8444-555555555555",
    "needs_response_details": "1", "attribution_deeplink": "1",
}  # fmt: skip
#: And the iOS SDK.
IOS = {
    "app_token": TOKEN, "environment": "production", "created_at": "2026-11-22T01:43:40.607Z+0200",
    "sent_at": "2026-11-22T01:43:41.000Z+0200", "os_name": "ios", "os_version": "18.6", "device_name": "iPhone17,1",
    "device_type": "iPhone", "language": "en", "country": "US", "bundle_id": "com.example.game", "app_version": "310",
    "app_version_short": "3.1.0", "idfv": "9F3C1B2A-0D4E-4F5A-8B6C-7D8E9F0A1B2C", "idfa": "00000000-0000-0000-0000-000000000000",
    "att_status": "2", "tracking_enabled": "0", "primary_dedupe_token": UUID, "attribution_deeplink": "1",
}  # fmt: skip


def door(**more: Any) -> Door:
    return Door(
        id=DoorId("d"), app=AppId("game-android"), dialect="adjust",
        sha256=sha256(TOKEN.encode()).hexdigest(), **more,
    )  # fmt: skip


def letter(path: str, said: dict[str, Any], **more: Any) -> Letter:
    headers = {"client-sdk": "android5.4.6", **more}
    return Letter("POST", path, headers=headers, body=urlencode(said).encode())


def telling(at: Door, now_ms: int = NOW) -> Telling:
    sender = Sender.SERVER if at.is_trusted else Sender.APP
    return Telling(
        speaker=Speaker(sender=sender, app=DIRECTORY.app(at.app), product=DIRECTORY.product(GAME)),
        directory=DIRECTORY,
        settings=Settings(),
        received_at_ms=now_ms,
        ip="198.51.100.4",
        user_agent="okhttp",
        dialect="adjust",
    )


def judged(one: Letter, at: Door | None = None, now_ms: int = NOW) -> Kept | Refused:
    at = at or door()
    ((verdict, _),) = ADJUST.read(one, telling(at, now_ms), at)
    return verdict


def record(path: str, said: dict[str, Any], at: Door | None = None, now_ms: int = NOW) -> Any:
    verdict = judged(letter(path, said), at, now_ms)
    assert isinstance(verdict, Kept), verdict.message
    return verdict.record


def refused(path: str, said: dict[str, Any]) -> Refused:
    verdict = judged(letter(path, said))
    assert isinstance(verdict, Refused)
    return verdict


def answer(one: Letter, told: Told | None = None) -> dict[str, Any]:
    at = door()
    verdicts = () if ADJUST.asks(one, at) else [v for v, _ in ADJUST.read(one, telling(at), at)]
    said = ADJUST.accept(Heard(one, at, verdicts, told, "https://a", NOW))
    assert said.status == 200, said
    return json.loads(said.body)


# --- sessions


def test_a_session_of_android_is_an_open():
    one = record("/session", {**ANDROID, "session_count": "1", "installed_at": "2026-11-21T23:40:00.000Z+0000"})  # fmt: skip
    assert isinstance(one, Open)
    device = one.device
    assert (device.id, device.platform, device.model, device.os_version, device.locale) == (UUID, "android", "Pixel 8", "15", "de-DE")  # fmt: skip
    assert device.ids == {"gaid": GAID, "app_set_id": "11111111-2222-4333-8444-555555555555"}
    assert (one.app_version, one.app_build, one.sdk, one.ip) == ("3.1.0", None, "android5.4.6", "198.51.100.4")  # fmt: skip
    # Sent half a second after it was made, and received a quarter of an hour later by our clock: the phone's is behind.
    assert one.occurred_at_ms == NOW - 493
    assert one.given_at_ms == read_time("2026-11-21T23:43:40.607Z+0000")
    assert one.extra["environment"] == '"production"'
    assert one.extra["installed_at"] == '"2026-11-21T23:40:00.000Z+0000"'
    assert not {"app_token", "sent_at", "created_at", "os_name"} & set(one.extra)
    assert TOKEN not in msgspec.json.encode(one).decode()


def test_a_session_of_an_iphone_is_an_open():
    one = record("/session", {**IOS, "session_count": "2"})
    assert (one.device.id, one.device.platform, one.device.att_status) == (UUID, "ios", "denied")
    assert one.device.ids == {"idfv": "9F3C1B2A-0D4E-4F5A-8B6C-7D8E9F0A1B2C"}
    assert (one.app_version, one.app_build) == ("3.1.0", "310")
    assert one.occurred_at_ms == NOW - 393


def test_installations_of_before_the_move_are_known_and_none_of_ours():
    at = door(maps={"installed:before": "2026-11-21"})
    old = {**ANDROID, "session_count": "57", "installed_at": "2026-11-20T23:59:59.999Z+0000"}
    (first, _), (second, _) = ADJUST.read(letter("/session", old), telling(at), at)
    known, opened = first.record, second.record
    assert isinstance(known, KnownDevice)
    assert isinstance(opened, Open)
    assert (known.device, known.occurred_at_ms) == (opened.device, opened.occurred_at_ms)
    assert len({known.id, opened.id}) == 2
    verdicts = [first, second]
    heard = Heard(letter("/session", old), at, verdicts, None, "https://a", NOW)
    assert json.loads(ADJUST.accept(heard).body)["ask_in"] == 2000
    for said, door_ in (
        ({"installed_at": "2026-11-21T00:00:00.000Z+0000"}, at),
        ({"installed_at": "never"}, at),
        ({"installed_at": ""}, at),
        ({}, door()),
    ):
        ((one, _),) = ADJUST.read(letter("/session", {**old, **said}), telling(door_), door_)
        assert isinstance(one.record, Open)


def test_the_first_session_waits_for_its_attribution_and_later_ones_look_it_up():
    first = judged(letter("/session", {**ANDROID, "session_count": "1"}))
    later = judged(letter("/session", {**ANDROID, "session_count": "2"}))
    assert (first.wants_attribution, first.looks_up) == (True, False)
    assert (later.wants_attribution, later.looks_up) == (False, True)


@pytest.mark.parametrize(
    ("said", "device"),
    [
        ({"web_uuid": UUID.upper()}, UUID),
        ({"android_uuid": UUID, "gps_adid": GAID}, UUID),
        ({"secondary_dedupe_token": UUID, "idfv": GAID}, UUID),
        ({"adid": ADID, "gps_adid": GAID}, UUID),
        ({"adid": "short"}, "short"),
        ({"idfa": GAID.upper()}, GAID),
        ({"gps_adid": "00000000-0000-0000-0000-000000000000", "android_id": "9774d56d682e549c"}, "9774d56d682e549c"),
        ({"imei": "490154203237518"}, "490154203237518"),
    ],
)  # fmt: skip
def test_which_id_names_the_installation(said: dict[str, str], device: str):
    one = record("/session", said)
    assert one.device.id == device
    if "gps_adid" in said and said["gps_adid"] == GAID:
        assert one.device.ids["gaid"] == GAID


def test_a_page_is_a_page_also_where_the_door_is_an_apps():
    assert record("/session", {"web_uuid": UUID}).device.platform == "web"


def test_what_we_answer_as_adid_names_the_same_installation():
    told = answer(letter("/event", {**ANDROID, "event_token": "e"}))
    assert told["adid"] == ADID
    assert record("/event", {"adid": told["adid"], "event_token": "e"}).device.id == UUID


def test_a_letter_that_names_no_device_is_refused():
    assert (refused("/session", {"app_token": TOKEN}).param) == "device"
    assert refused("/session", {"android_uuid": "x" * 1000}).reason == "bad_id"


def test_a_platform_that_is_none_of_ours_is_kept():
    one = record("/session", {"os_name": "tizen", "tifa": "tv-1"})
    assert (one.device.platform, one.extra["os_name"]) == ("other", '"tizen"')


# --- clicks


def test_the_referrer_of_play_is_evidence_with_its_four_times():
    one = record("/sdk_click", {
        **ANDROID, "source": "install_referrer", "referrer": "attribune_click%3D1&utm_source=acme", "referrer_api": "google",
        "click_time": "2026-11-21T23:30:00.000Z+0000", "install_begin_time": "2026-11-21T23:31:00.000Z+0000",
        "click_time_server": "2026-11-21T23:30:01.000Z+0000", "install_begin_time_server": "2026-11-21T23:31:01.000Z+0000",
        "google_play_instant": "0", "install_version": "3.1.0",
    })  # fmt: skip
    assert isinstance(one, Evidence)
    (found,) = one.referrers
    assert (found.source, found.value) == ("play", "attribune_click%3D1&utm_source=acme")
    assert found.click_at_ms == NOW - 1_800_000
    assert found.install_begin_at_ms == NOW - 1_740_000
    assert found.click_server_at_ms == NOW - 1_799_000
    assert found.install_begin_server_at_ms == NOW - 1_739_000
    assert one.extra["install_version"] == '"3.1.0"'


@pytest.mark.parametrize(
    ("said", "source", "value"),
    [
        ({"source": "install_referrer", "referrer": "a=b"}, "play", "a=b"),
        ({"source": "install_referrer", "referrer": "a=b", "referrer_api": "huawei_ads"}, "huawei", "a=b"),
        ({"source": "install_referrer", "referrer": "a=b", "referrer_api": "samsung"}, "samsung", "a=b"),
        ({"source": "install_referrer", "referrer": "{}", "referrer_api": "meta"}, "meta", "{}"),
        ({"source": "install_referrer", "referrer": "a=b", "referrer_api": "new"}, "other", "a=b"),
        ({"source": "reftag", "raw_referrer": "adjust_reftag=x&a=b", "reftag": "x"}, "play", "adjust_reftag=x&a=b"),
        ({"source": "web_referrer", "referrer": "attribune_click=1"}, "other", "attribune_click=1"),
        ({"source": "apple_ads", "attribution_token": "T0ken=="}, "apple", "T0ken=="),
    ],
)  # fmt: skip
def test_every_source_of_a_click(said: dict[str, str], source: str, value: str):
    (found,) = record("/sdk_click", {**ANDROID, **said}).referrers
    assert (found.source, found.value) == (source, value)


def test_a_time_that_the_store_does_not_know_is_left_out():
    said = {**ANDROID, "source": "install_referrer", "referrer": "a", "click_time": "1970-01-01T00:00:00.000Z+0000"}  # fmt: skip
    one = record("/sdk_click", said)
    assert one.referrers[0].click_at_ms is None
    assert one.extra["click_time"] == '"1970-01-01T00:00:00.000Z+0000"'


def test_an_opened_link_is_evidence():
    link = "https://go.example/c/plain?attribune_click=1&a=%20"
    one = record("/sdk_click", {**IOS, "source": "deeplink", "deeplink": link, "params": '{"t":"x"}'})  # fmt: skip
    assert (one.link_opened, one.referrers, one.extra["params"]) == (
        link,
        (),
        '"{\\"t\\":\\"x\\"}"',
    )


@pytest.mark.parametrize("said", [{"source": "preinstall", "payload": "p", "found_location": "f"}, {"source": "google_lvl", "code": "0"}])  # fmt: skip
def test_a_click_without_a_referrer_is_kept_with_all_that_it_says(said: dict[str, str]):
    one = record("/sdk_click", {**ANDROID, **said})
    assert (one.referrers, one.link_opened) == ((), None)
    assert {name: json.loads(one.extra[name]) for name in said} == said


def test_a_push_token_is_kept_and_is_no_event():
    one = record("/sdk_info", {**ANDROID, "source": "push", "push_token": "P"})
    assert isinstance(one, Evidence)
    assert one.extra["push_token"] == '"P"'


# --- events and money


def test_an_event_carries_its_revenue_its_numbers_and_its_parameters():
    at = door(maps={"event:e1e2e3": "purchase"})
    one = record("/event", {
        **ANDROID, "event_token": "e1e2e3", "event_count": "3", "revenue": "12.50000", "currency": "EUR", "order_id": "A-1",
        "callback_params": '{"plan":"pro","n":"1"}', "partner_params": '{"plan":"p","k":"v"}', "product_id": "sku", "purchase_token": "pt",
    }, at)  # fmt: skip
    assert isinstance(one, Event)
    assert (one.name, one.transaction_id) == ("purchase", "A-1")
    assert (one.revenue.amount_minor, one.revenue.currency) == (1250, "EUR")
    assert one.params == {"plan": '"pro"', "n": '"1"', "partner_params.plan": '"p"', "k": '"v"', "product_id": '"sku"'}  # fmt: skip
    assert one.extra["event_token"] == '"e1e2e3"'
    assert one.extra["purchase_token"] == '"pt"'


def test_an_event_that_is_mapped_to_nothing_is_called_by_its_token():
    one = record("/event", {**IOS, "event_token": "e9", "transaction_id": "T", "order_id": "O"})
    assert (one.name, one.transaction_id, one.revenue) == ("e9", "T", None)
    assert one.extra["order_id"] == '"O"'


def test_parameters_that_are_no_object_are_kept_as_they_are():
    one = record("/event", {**ANDROID, "event_token": "e", "callback_params": "x", "partner_params": "[1]"})  # fmt: skip
    assert one.params == {}
    assert (one.extra["callback_params"], one.extra["partner_params"]) == ('"x"', "[1]")


@pytest.mark.parametrize(
    ("said", "field", "reason"),
    [
        ({}, "event_token", "missing_field"),
        ({"event_token": "e", "revenue": "1.0", "currency": "XXX"}, "revenue.currency", "unknown_currency"),
        ({"event_token": "e", "revenue": "-1.0", "currency": "EUR"}, "revenue.amount", "bad_amount"),
        ({"event_token": "e", "revenue": "NaN", "currency": "EUR"}, "revenue.amount", "bad_amount"),
        ({"event_token": "e", "revenue": "1e99", "currency": "EUR"}, "revenue.amount", "bad_amount"),
        ({"event_token": "e", "created_at": "yesterday"}, "created_at", "bad_time"),
        ({"event_token": "e", "created_at": "2026-02-30T00:00:00.000Z+0000"}, "created_at", "bad_time"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_event_is_named(said: dict[str, str], field: str, reason: str):
    why = refused("/event", {**ANDROID, **said})
    assert (why.param, why.reason) == (field, reason)
    answered = ADJUST.refuse(why, letter("/event", said))
    assert (answered.status, json.loads(answered.body)["error"]) == (400, why.message)


def test_ad_revenue_is_rounded_so_that_its_sums_are_right_and_kept_exact():
    def one(n: int, amount: str = "0.00123") -> Event:
        return record("/ad_revenue", {
            **ANDROID, "source": "applovin_max_sdk", "revenue": amount, "currency": "USD", "ad_impressions_count": str(n),
            "ad_revenue_network": "net", "ad_revenue_unit": "u", "ad_revenue_placement": "p",
        })  # fmt: skip

    first = one(1)
    assert (first.name, first.revenue.currency) == ("ad_revenue", "USD")
    assert first.params["revenue"] == '"0.00123"'
    assert first.params["source"] == '"applovin_max_sdk"'
    assert (first.params["ad_revenue_network"], first.params["ad_revenue_unit"]) == ('"net"', '"u"')
    assert one(1) == first
    minor = [one(n).revenue.amount_minor for n in range(4000)]
    assert set(minor) == {0, 1}
    assert abs(sum(minor) - 492) < 90  # 0.123 cents each
    assert {one(n, "0.02").revenue.amount_minor for n in range(50)} == {2}
    assert {one(n, "1.2E-5").revenue.amount_minor for n in range(50)} == {0}


def test_a_subscription_of_play_is_in_millionths_and_one_of_apple_is_not():
    said = {"revenue": "4990000", "currency": "EUR", "transaction_id": "GPA.1", "product_id": "gold", "transaction_date": "1795305000000", "purchase_token": "t"}  # fmt: skip
    play = record("/v2/purchase", {**ANDROID, **said})
    assert (play.name, play.revenue.amount_minor, play.transaction_id) == ("subscription", 499, "GPA.1")  # fmt: skip
    assert play.params == {"product_id": '"gold"', "transaction_date": '"1795305000000"'}
    apple = record("/v2/purchase", {**IOS, "revenue": "4.99", "currency": "EUR", "transaction_id": "9", "sales_region": "DE"})  # fmt: skip
    round_ = record("/v2/purchase", {**IOS, "revenue": "5", "currency": "EUR"})
    assert round_.revenue.amount_minor == 500
    assert (apple.revenue.amount_minor, apple.params["sales_region"]) == (499, '"DE"')


def test_a_verification_is_kept_and_books_nothing():
    said = {**ANDROID, "product_id": "gold", "purchase_token": "t", "event_token": "e", "revenue": "5.0", "currency": "EUR"}  # fmt: skip
    one = record("/verify", said)
    assert (one.name, one.revenue, one.transaction_id) == ("purchase_verification", None, None)
    assert one.params == {"product_id": '"gold"', "event_token": '"e"', "revenue": '"5.0"', "currency": '"EUR"'}  # fmt: skip
    told = answer(letter("/verify", said))
    assert (told["verification_status"], "ask" in told["message"]) == ("not_verified", True)


# --- consent


@pytest.mark.parametrize(("said", "sharing"), [("enable", True), ("disable", False)])
def test_sharing_with_partners(said: str, sharing: bool):
    one = record("/third_party_sharing", {**ANDROID, "sharing": said})
    assert isinstance(one, Consent)
    assert (one.sharing, one.measurement) == (sharing, None)


def test_how_older_sdks_say_no_to_sharing():
    assert record("/disable_third_party_sharing", ANDROID).sharing is False


def test_the_web_sdk_encodes_the_sign_between_name_and_value():
    body = (
        f"app_token={TOKEN}&web_uuid={UUID}&platform=web&sharing=enable"
        "&granular_third_party_sharing_options%3D%7B%22google_dma%22%3A%7B%22eea%22%3A%221%22%7D%7D"
        "&partner_sharing_settings%3D%7B%22all%22%3A%7B%22install%22%3Afalse%7D%7D"
    )
    verdict = judged(Letter("POST", "/third_party_sharing", body=body.encode()))
    one = verdict.record
    assert (one.sharing, one.device.platform) == (False, "web"), "all may not hear of installs"
    assert json.loads(one.extra["granular_third_party_sharing_options"]) == {"google_dma": {"eea": "1"}}  # fmt: skip
    assert json.loads(one.extra["partner_sharing_settings"]) == {"all": {"install": False}}


def test_what_is_said_of_single_partners_only_changes_nothing_for_all():
    one = record("/third_party_sharing", {**ANDROID, "partner_sharing_settings": '{"x":{"all":false}}'})  # fmt: skip
    assert (one.sharing, one.extra["partner_sharing_settings"]) == (None, '{"x":{"all":false}}')


@pytest.mark.parametrize(
    ("settings", "sharing", "partners"),
    [
        ({"x": {"all": False}}, None, {"x": False}),
        ({"x": {"install": True, "event": False}}, None, {"x": False}),
        ({"x": {"all": True}, "facebook": {"session": False}}, None, {"x": True, "meta": False}),
        ({"x": {"sdk_click": False}}, None, {}),
        ({"x": {"uninstall": False, "install": True}}, None, {"x": True}),
        ({"all": {"all": False}, "x": {"all": True}}, False, {"x": True}),
        ({"all": {"all": True}}, True, {}),
        ({"x": {"all": "false"}, "y": {"all": 7}, "z": True}, None, {"x": False}),
        ([{"x": {"all": False}}], None, {}),
    ],
)
def test_what_is_said_of_single_partners(settings: Any, sharing: bool | None, partners: dict[str, bool]):  # fmt: skip
    said = {**ANDROID, "partner_sharing_settings": json.dumps(settings)}
    one = record("/third_party_sharing", said, door(maps={"network:facebook": "meta"}))
    assert (one.sharing, one.partners) == (sharing, partners)


def test_the_wish_to_be_forgotten():
    one = record("/gdpr_forget_device", ANDROID)
    assert isinstance(one, Forget)
    assert (one.device.id, one.device.ids["gaid"], one.sender) == (UUID, GAID, "app")


def test_consent_to_be_measured():
    assert record("/measurement_consent", {**ANDROID, "measurement": "enable"}).measurement is True
    assert record("/measurement_consent", {**ANDROID, "measurement": "disable"}).measurement is False  # fmt: skip
    assert refused("/measurement_consent", ANDROID).param == "measurement"
    assert refused("/measurement_consent", {**ANDROID, "measurement": "x"}).param == "measurement"
    assert refused("/third_party_sharing", {**ANDROID, "sharing": "x"}).param == "sharing"


# --- retries


@pytest.mark.parametrize("path", ["/session", "/event", "/sdk_click", "/ad_revenue", "/v2/purchase", "/verify", "/third_party_sharing", "/gdpr_forget_device"])  # fmt: skip
def test_a_retry_is_the_same_record(path: str):
    said = {**ANDROID, "event_token": "e", "source": "install_referrer", "referrer": "a"}
    first = record(path, said)
    again = {
        **said, "sent_at": "2026-11-21T23:55:00.000Z+0000", "retry_count": "2", "first_error": "107", "last_error": "3",
        "wait_total": "12.0", "wait_time": "8.0", "enqueue_size": "1", "queue_size": "4", "attempts": "2", "last_interval": "9",
    }  # fmt: skip
    assert record(path, again, now_ms=NOW + 600_000).id == first.id
    later = {**said, "created_at": "2026-11-21T23:43:40.608Z+0000"}
    assert record(path, later).id != first.id


def test_an_event_is_told_once_by_its_own_id():
    said = {**ANDROID, "event_token": "e", "deduplication_id": "D"}
    first = record("/event", said)
    assert record("/event", {**said, "created_at": "2026-11-21T23:50:00.000Z+0000"}).id == first.id
    server = {"adid": ADID, "event_token": "e", "deduplication_id": "D", "s2s": "1"}
    assert record("/event", server).id == first.id
    for other in ({"event_token": "f"}, {"deduplication_id": "E"}, {"android_uuid": GAID}):
        assert record("/event", {**said, **other}).id != first.id
    assert first.extra["deduplication_id"] == '"D"'


def test_what_a_server_tells_without_a_time_is_told_apart_by_the_minute():
    said = {"adid": ADID, "event_token": "level", "s2s": "1"}
    first = record("/event", said)
    assert record("/event", said, now_ms=NOW + 59_000).id == first.id
    assert record("/event", said, now_ms=NOW + 60_000).id != first.id
    timed = {**said, "created_at_unix": "1795305000"}
    assert record("/event", timed).id == record("/event", timed, now_ms=NOW + 600_000).id
    assert record("/event", timed).occurred_at_ms == 1_795_305_000_000


# --- servers


def test_a_server_is_believed_and_an_app_is_not():
    said = {"gps_adid": GAID, "event_token": "e", "s2s": "1", "ip_address": "203.0.113.9", "user_agent": "UA", "adid": "", "created_at": "", "callback_params": ""}  # fmt: skip
    trusted = record("/event", said, door(is_trusted=True))
    assert (trusted.ip, trusted.user_agent, trusted.sender) == ("203.0.113.9", "UA", "server")
    assert not {"ip_address", "user_agent", "s2s", "adid", "callback_params"} & set(trusted.extra)
    stranger = record("/event", said)
    assert (stranger.ip, stranger.user_agent, stranger.sender) == ("198.51.100.4", "okhttp", "app")
    assert stranger.extra["ip_address"] == '"203.0.113.9"'
    bearer = letter("/event", said, authorization="Bearer tok")
    claimed = judged(bearer).record
    assert (claimed.ip, claimed.sender) == ("198.51.100.4", "app")  # nothing held it to a secret
    proved = judged(bearer, door(sealed_secret="sealed")).record
    assert (proved.ip, proved.user_agent, proved.sender) == ("203.0.113.9", "UA", "server")
    signed = judged(letter("/event", said, authorization='Signature signature="ab"')).record
    assert (signed.ip, signed.sender) == ("198.51.100.4", "app")
    forwarded = letter("/session", {"gps_adid": GAID}, **{"x-adjust-forwarded-for": "203.0.113.8"})
    assert judged(forwarded, door(is_trusted=True)).record.ip == "203.0.113.8"


def test_of_a_name_given_twice_the_first_counts():
    query, body = "event_token=first&android_uuid=d", b"event_token=second&event_token=third"
    assert judged(Letter("POST", "/event", query=query, body=body)).record.name == "first"


def test_a_server_may_ask_in_the_query():
    query = f"app_token={TOKEN}&event_token=e&s2s=1&idfa={GAID}&gps_adid=&created_at_unix=1795305000&callback_params=%7B%22a%22%3A%22b%22%7D"  # fmt: skip
    one = judged(Letter("GET", "/event/", query=query)).record
    assert (one.device.id, one.device.ids, one.params) == (GAID, {"idfa": GAID}, {"a": '"b"'})


def held(one: Letter, at: Door, secret: str | None) -> str | None:
    try:
        ADJUST.hold_to_key(one, at, lambda: secret)
    except Refused as why:
        return why.param
    return None


def test_who_must_say_what_the_door_knows():
    app, wrong = letter("/event", ANDROID), letter("/event", {**ANDROID, "app_token": "x"})
    signed = letter("/event", ANDROID, authorization='Signature signature="ab",algorithm="adj1"')
    server = letter("/event", {**ANDROID, "s2s": "1"}, authorization="Bearer tok")
    silent = letter("/event", {**ANDROID, "s2s": "1"})
    open_, trusted = door(), door(is_trusted=True)
    assert held(app, open_, None) is None
    assert held(signed, open_, "tok") is None
    assert held(wrong, open_, None) == "app_token"
    assert held(letter("/event", {}), open_, None) == "app_token"
    assert held(Letter("GET", "/attribution", query=f"a=1&app_token={TOKEN}"), open_, None) is None
    # A server is known by the door's secret; a door without one hears it as it hears apps.
    assert held(server, open_, None) is None
    assert held(server, open_, "tok") is None
    assert held(server, open_, "other") == "Authorization"
    assert held(silent, open_, "tok") == "Authorization"
    # The token in the app is no secret: it does not open a trusted door that has one.
    assert held(app, trusted, "tok") == "Authorization"
    assert held(server, trusted, "tok") is None
    assert held(app, trusted, None) is None


# --- answers

ACME = Told(
    attribution=Credited(partner="acme", campaign="spring", creative="blue", link="plain", is_organic=False, touch="click", extra={"label": "L"}),
    deep_link="game://level/7",
)  # fmt: skip
NOBODY = Told(attribution=Credited())
GIVEN = {
    "tracker_token": "plain", "tracker_name": "acme::spring::unknown::blue", "network": "acme", "campaign": "spring",
    "creative": "blue", "click_label": "L",
}  # fmt: skip
ASK = Letter("GET", "/attribution", query=urlencode({**ANDROID, "initiated_by": "backend"}))
FIRST = letter("/session", {**ANDROID, "session_count": "1"})


def test_the_question_for_the_attribution():
    told = answer(ASK, ACME)
    assert told["attribution"] == {**GIVEN, "deeplink": "game://level/7"}
    assert (told["adid"], told["timestamp"]) == (ADID, "2026-11-22T00:00:00.000Z+0000")
    assert "ask_in" not in told
    organic = answer(ASK, NOBODY)["attribution"]
    assert organic == {"tracker_token": "organic", "tracker_name": "Organic", "network": "Organic"}
    pending = answer(ASK)
    assert (pending["ask_in"], "attribution" in pending) == (2000, False)


def test_a_session_is_answered_with_what_is_decided():
    assert answer(FIRST)["ask_in"] == 2000
    plain = msgspec.structs.replace(ACME, deep_link=None)
    told = answer(FIRST, plain)
    assert (told["attribution"], "ask_in" in told) == (GIVEN, False)
    assert (told["app_token"], told["adid"], told["message"]) == (TOKEN, ADID, "Session tracked")
    # The SDK takes a deferred deep link from GET /attribution only.
    assert answer(FIRST, ACME)["ask_in"] == 50
    later = answer(letter("/session", {**ANDROID, "session_count": "2"}), ACME)
    assert (later["attribution"], "ask_in" in later) == (GIVEN, False)
    page = {"app_token": TOKEN, "web_uuid": UUID, "platform": "web", "session_count": "2"}
    assert answer(letter("/session", page), plain)["ask_in"] == 50


def test_a_click_that_may_change_an_organic_install_makes_the_sdk_ask_again():
    click = letter("/sdk_click", {**ANDROID, "source": "install_referrer", "referrer": "a"})
    assert "ask_in" not in answer(click)  # the session that comes will be answered with it
    assert answer(click, NOBODY)["ask_in"] == 2000
    assert "ask_in" not in answer(click, ACME)
    info = letter("/sdk_info", {**ANDROID, "source": "push"})
    assert "ask_in" not in answer(info, NOBODY)


def test_who_is_forgotten_is_told_so_from_then_on():
    forgotten = answer(letter("/gdpr_forget_device", ANDROID))
    assert (forgotten["tracking_state"], forgotten["adid"]) == ("opted_out", ADID)
    out = Told(attribution=Credited(), measurement=False, forgotten=True)
    event = letter("/event", {**ANDROID, "event_token": "e"})
    for one in (FIRST, ASK, event, letter("/sdk_click", ANDROID)):
        told = answer(one, out)
        assert told["tracking_state"] == "opted_out"
        assert not {"attribution", "ask_in"} & set(told)
    assert "tracking_state" not in answer(event, ACME)


def test_a_no_to_measurement_may_be_taken_back_so_the_sdk_is_not_stopped():
    no = Told(attribution=Credited(), measurement=False)
    for one in (FIRST, ASK, letter("/measurement_consent", {**ANDROID, "measurement": "disable"})):
        assert not {"tracking_state", "attribution", "ask_in"} & set(answer(one, no))


def test_paths_and_methods_of_nobody_are_refused_in_json():
    at = door()
    for path, method, status in (("/other", "POST", 404), ("/session", "PUT", 405)):
        one = Letter(method, path, body=urlencode(ANDROID).encode())
        with pytest.raises(Refused) as why:
            list(ADJUST.read(one, telling(at), at))
        told = ADJUST.refuse(why.value, one)
        assert (told.status, set(json.loads(told.body))) == (status, {"error", "message"})


@pytest.mark.parametrize("body", [b"android_uuid=%ff", b"\xff=1", b"a=1&" * 300])
def test_what_is_no_form_is_refused(body: bytes):
    assert isinstance(judged(Letter("POST", "/session", body=body)), Refused)


STRANGE = st.one_of(
    st.text(max_size=12),
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
    st.sampled_from(["", "0", "null", "{}", "[]", '{"a":{"b":[1]}}', '{"a"', "9" * 400, "1e-400", "Infinity", "2026-99-99T00:00:00.000Z+9999", "{x}", "\x00", "é"]),
)  # fmt: skip
WHOLE = {
    **ANDROID, "event_token": "e", "revenue": "1.5", "currency": "EUR", "callback_params": "{}", "partner_params": "{}",
    "source": "install_referrer", "referrer": "a", "click_time": "0", "sharing": "enable", "measurement": "enable",
    "granular_third_party_sharing_options": "{}", "deduplication_id": "d", "order_id": "o", "installed_at": "x", "session_count": "1",
}  # fmt: skip


@settings(max_examples=300)
@given(
    path=st.sampled_from(sorted(TELLING_PATHS)),
    changed=st.dictionaries(st.sampled_from(sorted(WHOLE)), STRANGE, max_size=5),
)
def test_no_value_is_a_fault(path: str, changed: dict[str, str]):
    at = door(maps={"installed:before": "2026-11-22"})
    one = letter(path, {name: value.encode("utf-8", "replace") for name, value in (WHOLE | changed).items()})  # fmt: skip
    for verdict, _ in ADJUST.read(one, telling(at), at):
        if isinstance(verdict, Kept):
            encode(verdict.record)
            ADJUST.accept(Heard(one, at, [verdict], ACME, "https://a", NOW))
        else:
            assert 400 <= ADJUST.refuse(verdict, one).status < 500


# --- times


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2026-11-22T00:00:00.000Z+0000", NOW),
        ("2026-11-22T02:00:00.123Z+0200", NOW + 123),
        ("2026-11-21T18:30:00.5Z-0530", NOW + 500),
        ("2026-11-22T00:00:00Z", NOW),
        ("2026-11-22T01:00:00+01:00", NOW),
        ("1795305600", NOW),
        ("1795305600.25", NOW + 250),
        ("1795305600000", NOW),
        ("1970-01-01T00:00:00.000Z+0000", None),
        ("2026-13-22T00:00:00.000Z+0000", None),
        ("2026-11-22", None),
        ("0", None),
        ("-1", None),
    ],
)
def test_how_adjust_writes_a_time(text: str, at_ms: int | None):
    assert read_time(text) == at_ms
    if at_ms is not None:
        assert read_time(write_time(at_ms)) == at_ms
