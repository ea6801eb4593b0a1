"""What Branch's clients say, as the protocol has it: opens and their answers, events, consent, and links that apps make."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import pytest
from front import GAME, front, registry
from msgspec import Raw, structs

from attribune.collect.dialects import DIALECTS, Heard, Letter
from attribune.collect.dialects.branch_links import DATA_BYTES_MAX
from attribune.collect.dialects.letter import Credited, Told
from attribune.collect.makings import Makings
from attribune.collect.records import Telling
from attribune.collect.refuse import Refused
from attribune.collect.rehearsal import Rehearsal
from attribune.collect.speaker import Speaker
from attribune.collect.verdict import Judged, Kept, Making
from attribune.engines.memory import MemoryVault
from attribune.engines.system import SystemChance
from attribune.model.activity import (
    Consent,
    Event,
    KnownDevice,
    Open,
    Platform,
    ReferrerSource,
    Sender,
)
from attribune.model.control import App, Change, Door, Link, Partner, PartnerKind
from attribune.model.ids import AppId, DoorId, LinkId, PartnerId, time_of, uuid7
from attribune.model.money import Money
from attribune.model.policy import MatchMethod
from attribune.model.position import Topic
from attribune.registry import doors
from attribune.registry.requests import AddDoor
from attribune.settings import Settings

NOW = 1_795_305_600_000
KEY = "key_live_abcdefghijklmnopqrstuvwxyz012345"
PLAY = "https://play.google.com/store/apps/details?id=com.example.game"
OWN = Partner(id=PartnerId("own"), name="Own", kind=PartnerKind.OWNED)
BRANCH = DIALECTS["branch"]
BASE = "https://go.example"
EUROS = Money(amount_minor=1250, currency="EUR")


def door(**more: Any) -> Door:
    words = {"maps": {"channel:*": "own", "channel:mail": "acme"}, "allowed_hosts": ("shop.example",)}  # fmt: skip
    return Door(id=DoorId("b"), app=AppId("game-android"), dialect="branch", sha256=sha256(KEY.encode()).hexdigest(), **(words | more))  # fmt: skip


def telling(*records: Any, app: str = "game-android", sender: Sender = Sender.APP) -> Telling:
    directory = registry(OWN, *records)
    return Telling(
        speaker=Speaker(sender=sender, app=directory.app(app), product=directory.product(GAME)),
        directory=directory,
        settings=Settings(),
        received_at_ms=NOW,
        ip="198.51.100.4",
        user_agent="sdk/1",
        dialect="branch",
    )


def letter(path: str, **said: Any) -> Letter:
    return Letter("POST", path, body=json.dumps({"branch_key": KEY, **said}).encode())


def form(path: str, **said: Any) -> Letter:
    """As the web client sends it: objects are JSON inside of a form."""
    words = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in said.items()}  # fmt: skip
    return Letter("POST", path, body=urlencode({"branch_key": KEY, **words}, doseq=True).encode())


def read(sent: Letter, told: Telling | None = None, at: Door | None = None) -> list[Any]:
    """The records of a letter, and refusals."""
    found = list(BRANCH.read(sent, told or telling(), at or door()))
    return [v.record if isinstance(v, Kept) else v.change.record if isinstance(v, Making) else v for v, _ in found]  # fmt: skip


def answer(sent: Letter, told: Told | None = None, *records: Any, at: Door | None = None) -> Any:
    heard = telling(*records)
    at = at or door()
    verdicts = [verdict for verdict, _ in BRANCH.read(sent, heard, at)]
    said = BRANCH.accept(Heard(sent, at, verdicts, told, BASE, NOW, heard.directory))
    return said.status, json.loads(said.body)


INSTALL: dict[str, Any] = {
    "sdk": "android5.21.2",
    "branch_sdk_request_unique_id": "req-1",
    "branch_sdk_request_timestamp": NOW - 1000,
    "hardware_id": "a1b2c3d4e5f60718",
    "is_hardware_id_real": True,
    "hardware_id_type": "android_id",
    "anon_id": "anon-1",
    "brand": "Google",
    "model": "Pixel 8",
    "os": "Android",
    "os_version": 35,
    "os_version_android": "15",
    "country": "DE",
    "language": "de",
    "app_version": "3.1",
    "google_advertising_id": "11111111-2222-4333-8444-555555555555",
    "advertising_ids": {"aaid": "11111111-2222-4333-8444-555555555555"},
    "lat_val": 0,
    "identity": "u-1",
    "clicked_referrer_ts": NOW // 1000 - 120,
    "install_begin_ts": NOW // 1000 - 60,
    "clicked_referrer_server_ts": NOW // 1000 - 121,
    "install_begin_server_ts": 0,
    "install_referrer_extras": "attribune_click=x&utm_source=a",
    "app_store": "PlayStore",
    "link_click_id": "123",
    "gclid": "G-1",
    "retryNumber": 0,
    "metadata": {"m": 1},
}


def test_an_install_is_an_open_with_its_referrer() -> None:
    [opened] = read(letter("/v1/install", **INSTALL))
    assert isinstance(opened, Open)
    assert (opened.device.id, opened.device.platform) == ("anon-1", Platform.ANDROID)
    assert opened.device.ids == {"gaid": "11111111-2222-4333-8444-555555555555", "android_id": "a1b2c3d4e5f60718"}  # fmt: skip
    assert (opened.device.model, opened.device.os_version, opened.device.locale) == ("Pixel 8", "15", "de_DE")  # fmt: skip
    assert (opened.app_version, opened.sdk, opened.user_id) == ("3.1", "android5.21.2", "u-1")
    assert opened.occurred_at_ms == NOW - 1000
    [referrer] = opened.referrers
    assert (referrer.source, referrer.value) == (ReferrerSource.PLAY, "attribune_click=x&utm_source=a")  # fmt: skip
    assert (referrer.click_at_ms, referrer.click_server_at_ms) == (NOW - 120_000, NOW - 121_000)
    assert (referrer.install_begin_at_ms, referrer.install_begin_server_at_ms) == (NOW - 60_000, None)  # fmt: skip
    assert opened.extra["gclid"] == '"G-1"'
    assert opened.extra["link_click_id"] == '"123"'
    assert opened.extra["brand"] == '"Google"'
    assert opened.extra["metadata"] == '{"m": 1}'
    assert KEY not in repr(opened)


def test_an_install_sent_again_is_the_same_open() -> None:
    once, again = (read(letter("/v1/install", **{**INSTALL, "retryNumber": n}))[0] for n in (0, 1))
    assert once.id == again.id
    other = read(letter("/v1/install", **{**INSTALL, "branch_sdk_request_unique_id": "req-2"}))[0]
    assert other.id != once.id
    bare = {name: value for name, value in INSTALL.items() if name != "branch_sdk_request_unique_id"}  # fmt: skip
    once, again = (read(letter("/v1/install", **{**bare, "retryNumber": n}))[0] for n in (0, 1))
    assert once.id == again.id


@pytest.mark.parametrize(
    ("store", "more", "source"),
    [
        ("AppGallery", {}, ReferrerSource.HUAWEI),
        ("GalaxyStore", {}, ReferrerSource.SAMSUNG),
        ("GetApps", {}, ReferrerSource.XIAOMI),
        ("PlayStore", {"is_meta_ct": True}, ReferrerSource.META),
        ("Elsewhere", {}, ReferrerSource.OTHER),
        (None, {}, ReferrerSource.PLAY),
    ],
)
def test_the_store_says_whose_the_referrer_is(store: Any, more: Any, source: Any) -> None:
    [opened] = read(letter("/v1/install", **{**INSTALL, "app_store": store, **more}))
    assert opened.referrers[0].source is source


def test_an_iphone_says_its_own() -> None:
    said = {
        "sdk": "ios3.12.0", "os": "iOS", "os_version": "18.6", "hardware_id": "V-1", "is_hardware_id_real": True,
        "hardware_id_type": "vendor_id", "ios_vendor_id": "V-1", "opted_in_status": "authorized", "idfa": "I-1",
        "apple_attribution_token": "token==", "universal_link_url": "https://go.example/c/x", "local_url": "https://other.example/",
    }  # fmt: skip
    [opened] = read(letter("/v1/open", **said))
    assert opened.device.platform is Platform.IOS
    assert (opened.device.id, opened.device.att_status) == ("V-1", "authorized")
    assert opened.device.ids == {"idfa": "I-1", "idfv": "V-1"}
    assert [(r.source, r.value) for r in opened.referrers] == [(ReferrerSource.APPLE, "token==")]
    assert opened.link_opened == "https://go.example/c/x"
    assert opened.extra["local_url"] == '"https://other.example/"'


def test_a_made_up_hardware_id_is_no_id_of_the_phone() -> None:
    [opened] = read(letter("/v1/install", **{**INSTALL, "is_hardware_id_real": False}))
    assert set(opened.device.ids) == {"gaid"}
    assert opened.extra["hardware_id"] == '"a1b2c3d4e5f60718"'
    assert {"hardware_id_type", "is_hardware_id_real"} <= set(opened.extra)


def test_a_phone_that_another_server_has_named_had_the_app_before() -> None:
    theirs = letter("/v1/open", **INSTALL, randomized_device_token="1234567890")
    known, opened = read(theirs)
    assert isinstance(known, KnownDevice)
    assert known.device.id == opened.device.id == "anon-1"
    assert opened.extra["randomized_device_token"] == '"1234567890"'
    assert answer(theirs)[1]["randomized_device_token"] == "anon-1"
    ours = {"randomized_device_token": "anon-1"}
    assert [type(one) for one in read(letter("/v1/open", **INSTALL, **ours))] == [Open]
    bare = {name: value for name, value in INSTALL.items() if name != "anon_id"}
    assert read(letter("/v1/open", **bare, randomized_device_token="T"))[0].device.id == "T"
    web = form("/v1/open", sdk="web2.89.2", browser_fingerprint_id="1234567890")
    assert [type(one) for one in read(web)] == [Open]


def test_a_clock_that_is_wrong_loses_no_open() -> None:
    for at in (NOW + 30 * 86_400_000, 5, NOW - 400 * 86_400_000):
        [opened] = read(letter("/v1/install", **{**INSTALL, "branch_sdk_request_timestamp": at}))
        assert opened.occurred_at_ms == NOW
        assert opened.extra["branch_sdk_request_timestamp"] == str(at)


def test_a_browser_is_named_with_its_first_open() -> None:
    sent = form("/v1/open", sdk="web2.89.2", options={"a": 1}, current_url="https://game.example/?a=1", tracking_disabled="false")  # fmt: skip
    [opened] = read(sent)
    assert opened.device.platform is Platform.WEB
    assert opened.link_opened == "https://game.example/?a=1"
    assert json.loads(opened.extra["options"]) == {"a": 1}
    status, said = answer(sent)
    assert status == 200
    assert said["browser_fingerprint_id"] == said["randomized_device_token"] == opened.device.id
    assert json.loads(said["data"])["+is_first_session"] is True
    back = form("/v1/open", sdk="web2.89.2", browser_fingerprint_id=opened.device.id)
    assert read(back)[0].device.id == opened.device.id
    assert json.loads(answer(back)[1]["data"])["+is_first_session"] is False


CLICK = uuid7(NOW - 60_000, b"0123456789")
CREDIT = Credited(partner="own", campaign="spring", link="l-1", touch="click", method="REFERRER", is_organic=False, click_at=NOW - 60_000, adgroup="set", creative="blue")  # fmt: skip
TOLD = Told(
    attribution=CREDIT,
    deep_link="item/7",
    deep_link_data={"item": Raw(b"7"), "~channel": Raw(b'"mail"'), "$og_title": Raw(b'"T"')},
)


def test_an_install_is_answered_with_the_data_of_its_link() -> None:
    status, said = answer(letter("/v1/install", **INSTALL), TOLD)
    assert status == 200
    assert said["link"] == f"{BASE}/c/l-1"
    assert said["randomized_device_token"] == "anon-1"
    assert said["session_id"].isdigit()
    assert said["randomized_bundle_token"].isdigit()
    assert json.loads(said["data"]) == {
        "+clicked_branch_link": True,
        "+is_first_session": True,
        "+click_timestamp": (NOW - 60_000) // 1000,
        "+match_guaranteed": True,
        "~campaign": "spring",
        "~channel": "mail",
        "~ad_set_name": "set",
        "~creative_name": "blue",
        "~id": "l-1",
        "~referring_link": f"{BASE}/c/l-1",
        "$deeplink_path": "item/7",
        "$og_title": "T",
        "item": 7,
    }


@pytest.mark.parametrize(
    "told",
    [
        None,
        Told(attribution=Credited()),
        Told(attribution=CREDIT, measurement=False),
        Told(attribution=CREDIT, forgotten=True),
    ],
)
def test_an_install_that_no_link_led_to_says_so(told: Told | None) -> None:
    _, said = answer(letter("/v1/install", **INSTALL), told)
    assert said["link"] == BASE
    assert json.loads(said["data"]) == {"+clicked_branch_link": False, "+is_first_session": True}


def test_a_guessed_match_is_not_said_to_be_sure() -> None:
    told = Told(attribution=structs.replace(CREDIT, method=MatchMethod.PROBABILISTIC))
    _, said = answer(letter("/v1/install", **INSTALL), told)
    assert json.loads(said["data"])["+match_guaranteed"] is False


def test_an_open_later_says_a_link_only_when_it_came_by_one() -> None:
    _, said = answer(letter("/v1/open", **INSTALL), TOLD)
    assert json.loads(said["data"]) == {"+clicked_branch_link": False, "+is_first_session": False}
    assert time_of(CLICK) == NOW - 60_000
    by = f"https://game.example/?attribune_click={CLICK}"
    _, said = answer(letter("/v1/open", **INSTALL, android_app_link_url=by), TOLD)
    assert json.loads(said["data"])["item"] == 7
    by = f"https://game.example/?attribune_click={uuid7(NOW - 5, b'0123456789')}"
    _, said = answer(letter("/v1/open", **INSTALL, android_app_link_url=by), TOLD)
    data = json.loads(said["data"])
    assert data["+clicked_branch_link"] is False
    assert data["+non_branch_link"] == by


def made(name: str = "l-2", product: str = GAME) -> Link:
    return Link(id=LinkId(name), product=product, partner=OWN.id, campaign="c", deep_link="x/1", deep_link_data={"k": "[1]", "+no": "1"})  # fmt: skip


def test_an_app_link_that_opens_the_app_itself_gives_its_data() -> None:
    said = letter("/v1/open", **INSTALL, android_app_link_url="https://go.example/c/l-2?x=1")
    data = json.loads(answer(said, None, made())[1]["data"])
    assert data["+clicked_branch_link"] is True
    assert (data["k"], data["~campaign"], data["$deeplink_path"]) == ([1], "c", "x/1")
    assert (data["~id"], data["~referring_link"]) == ("l-2", f"{BASE}/c/l-2")
    assert "+no" not in data
    others = json.loads(answer(said, None, made(product="other"))[1]["data"])
    assert others["+clicked_branch_link"] is False


EVENT: dict[str, Any] = {
    "name": "PURCHASE",
    "customer_event_alias": "bought",
    "event_data": {"transaction_id": "T-1", "revenue": 12.5, "currency": "EUR", "coupon": "C", "tax": 1.5},
    "custom_data": {"colour": "blue", "coupon": "mine"},
    "content_items": [{"$sku": "s", "$price": 12.5}],
    "user_data": {
        "randomized_device_token": "anon-1", "aaid": "A-1", "developer_identity": "u-2", "os": "Android", "os_version": "15",
        "sdk": "android", "sdk_version": "5.21.2", "app_version": "3.1", "model": "Pixel", "ip": "203.0.113.9", "user_agent": "UA",
        "limit_ad_tracking": False,
    },
    "metadata": {"$x": "y"},
}  # fmt: skip


@pytest.mark.parametrize("way", [letter, form])
def test_a_purchase_has_its_money_and_its_words(way: Any) -> None:
    said = {**EVENT, "content_items": json.dumps(EVENT["content_items"])} if way is form else EVENT
    [bought] = read(way("/v2/event/standard", **said))
    assert isinstance(bought, Event)
    assert (bought.name, bought.revenue, bought.transaction_id) == ("PURCHASE", EUROS, "T-1")  # fmt: skip
    assert {name: json.loads(value) for name, value in bought.params.items()} == {
        "customer_event_alias": "bought",
        "coupon": "C",
        "custom_data.coupon": "mine",
        "tax": 1.5,
        "colour": "blue",
        "content_items": [{"$sku": "s", "$price": 12.5}],
        "metadata": {"$x": "y"},
    }
    assert (bought.device.id, bought.device.ids, bought.user_id) == ("anon-1", {"gaid": "A-1"}, "u-2")  # fmt: skip
    assert (bought.sdk, bought.app_version) == ("android5.21.2", "3.1")
    assert (bought.ip, bought.user_agent) == ("198.51.100.4", "sdk/1")
    assert bought.extra["user_data.limit_ad_tracking"] == "false"


def test_a_server_that_is_trusted_states_address_and_agent() -> None:
    [bought] = read(letter("/v2/event/standard", **EVENT), at=door(is_trusted=True))
    assert (bought.ip, bought.user_agent) == ("203.0.113.9", "UA")


def test_what_is_not_paid_is_no_revenue() -> None:
    [added] = read(letter("/v2/event/standard", **{**EVENT, "name": "ADD_TO_CART"}))
    assert added.revenue is None
    assert added.params["revenue"] == "12.5"
    [own] = read(letter("/v2/event/custom", **{**EVENT, "name": "tipped"}), at=door(maps={"event:tipped": "tip"}))  # fmt: skip
    assert (own.name, own.revenue) == ("tip", EUROS)


def test_pages_and_dismissals_are_events() -> None:
    sent = form("/v1/pageview", event="pageview", browser_fingerprint_id="B", metadata={"url": "u"})
    [seen] = read(sent)
    assert (seen.name, json.loads(seen.params["metadata"])) == ("pageview", {"url": "u"})
    assert answer(sent) == (200, {})
    assert read(form("/v1/dismiss", browser_fingerprint_id="B"))[0].name == "dismiss"
    assert read(letter("/v1/event", event="old", anon_id="a"))[0].name == "old"


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"cpp_level": "FULL"}, (True, True)),
        ({"cpp_level": "reduced"}, (True, False)),
        ({"cpp_level": "MINIMAL"}, (True, False)),
        ({"cpp_level": "NONE"}, (False, None)),
        ({"tracking_disabled": True}, (False, None)),
        ({"tracking_disabled": False, "cpp_level": "NONE"}, (False, None)),
        ({"dma_eea": True, "dma_ad_user_data": False}, (None, False)),
        ({"dma_eea": True, "dma_ad_user_data": True}, (None, True)),
        ({"cpp_level": "REDUCED", "dma_ad_user_data": True}, (True, False)),
        ({"disable_ad_network_callouts": True}, (None, False)),
    ],
)
def test_consent_is_told_before_what_it_stands_with(said: Any, wanted: Any) -> None:
    consent, opened = read(letter("/v1/open", **INSTALL, **said))
    assert isinstance(consent, Consent)
    assert (consent.measurement, consent.sharing) == wanted
    assert consent.device.id == opened.device.id
    assert set(said) <= set(opened.extra)
    told = {**EVENT, "user_data": {**EVENT["user_data"], **said}}
    consent, _ = read(letter("/v2/event/standard", **told))
    assert (consent.measurement, consent.sharing) == wanted


@pytest.mark.parametrize("said", [{}, {"tracking_disabled": False}, {"disable_ad_network_callouts": False}, {"lat_val": 1}, {"dma_eea": True}, {"dma_eea": False, "dma_ad_user_data": False}])  # fmt: skip
def test_what_allows_and_forbids_nothing_is_no_consent(said: Any) -> None:
    assert [type(one) for one in read(letter("/v1/open", **{**INSTALL, **said}))] == [Open]


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        (letter("/v2/event/standard", **{**EVENT, "user_data": {}}), "user_data"),
        (letter("/v2/event/standard", **{**EVENT, "name": ""}), "name"),
        (letter("/v2/event/standard", **{**EVENT, "event_data": {"revenue": "x"}}), "event_data.revenue.amount"),
        (letter("/v2/event/standard", **{**EVENT, "event_data": {"revenue": 1, "currency": "XXQ"}}), "event_data.revenue.currency"),
    ],
)  # fmt: skip
def test_an_event_that_cannot_be_is_refused_in_their_shape(sent: Letter, param: str) -> None:
    [refused] = read(sent)
    assert isinstance(refused, Refused)
    assert refused.param == param
    status, said = answer(sent)
    assert (status, said["error"]["code"]) == (400, 400)
    assert refused.message == said["error"]["message"]


# --- links

WANTED: dict[str, Any] = {
    "data": {"item": 7, "$deeplink_path": "item/7", "$android_url": PLAY, "$ios_url": "https://apps.apple.com/app/id1234567890", "$desktop_url": "https://shop.example/x", "$fallback_url": "https://evil.example/"},
    "channel": "mail", "feature": "share", "campaign": "spring", "stage": "s", "tags": ["a", "b"], "type": 1, "duration": 100,
}  # fmt: skip


@pytest.mark.parametrize("way", [letter, form])
def test_a_link_of_an_app_is_a_link_of_ours(way: Any) -> None:
    [link] = read(way("/v1/url", **WANTED))
    assert isinstance(link, Link)
    assert (link.partner, link.product, link.campaign, link.deep_link) == ("acme", GAME, "spring", "item/7")  # fmt: skip
    assert link.targets == {"android": PLAY, "ios": "https://apps.apple.com/app/id1234567890", "web": "https://shop.example/x"}  # fmt: skip
    data = {name: json.loads(value) for name, value in link.deep_link_data.items()}
    assert data == {
        **WANTED["data"], "~channel": "mail", "~feature": "share", "~campaign": "spring", "~stage": "s", "~tags": ["a", "b"],
        "$one_time_use": True, "$match_duration": 100,
    }  # fmt: skip
    assert answer(way("/v1/url", **WANTED)) == (200, {"url": f"{BASE}/c/{link.id}"})


@pytest.mark.parametrize("said", ["007", "²", "٣", "-1", "1e5", "9" * 40])
def test_a_duration_that_json_cannot_say_is_not_in_a_links_data(said: str) -> None:
    [link] = read(letter("/v1/url", data={"item": 7}, duration=said))
    assert link.deep_link_data == {"item": "7"}


def test_a_channel_has_its_partner_or_that_of_all() -> None:
    assert read(letter("/v1/url", channel="sms"))[0].partner == "own"
    assert read(letter("/v1/url", data={"~channel": "mail"}))[0].partner == "acme"
    [refused] = read(letter("/v1/url"), at=door(maps={}))
    assert refused.param == "channel"


def test_the_same_link_again_is_the_one_that_stands() -> None:
    [link] = read(letter("/v1/url", **WANTED))
    edited = structs.replace(link, targets={"web": "https://edited.example/"})
    assert read(letter("/v1/url", **WANTED), telling(edited)) == [edited]
    assert read(letter("/v1/url", **{**WANTED, "campaign": "other"}))[0].id != link.id


def test_an_alias_is_one_links() -> None:
    [link] = read(letter("/v1/url", **WANTED, alias="summer"))
    assert read(letter("/v1/url", **WANTED, alias="summer"), telling(link)) == [link]
    other = letter("/v1/url", **{**WANTED, "campaign": "x"}, alias="summer")
    status, said = answer(other, None, link)
    assert (status, said["error"]["code"]) == (409, 409)
    assert "alias" in said["error"]["message"]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/", "http://shop.example/", "javascript:alert(1)", "https://shop.example@evil.example/",
        "https://shop.example.evil.example/", "//shop.example/", "https://shop.example\\@evil.example", "https://shop.example:8443/",
        "https://play.google.com/store/apps/details?id=com.evil", "https://play.google.com/url?q=https://evil.example&id=com.example.game",
        "https://play.google.com/store/apps/details?id=com.example.game&id=com.evil", "https://apps.apple.com/app/id999",
        "https://apps.apple.com.evil.example/app/id1234567890", "https://shop.example/" + "a" * 2048, 7, None, {"a": 1}, "",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["$android_url", "$ios_url", "$desktop_url", "$fallback_url"])
def test_no_link_leads_where_its_door_does_not(name: str, url: Any) -> None:
    [link] = read(letter("/v1/url", data={name: url}))
    assert link.targets == {}
    assert link.deep_link_data.get(name) == (None if url is None else json.dumps(url))


@pytest.mark.parametrize("said", ["javascript:alert(1)", " data:x", "a b", "x" * 3000, "a\nb", 7])
def test_a_deep_link_is_an_address_that_runs_nothing(said: Any) -> None:
    [link] = read(letter("/v1/url", data={"$deeplink_path": said}))
    assert link.deep_link is None
    [link] = read(letter("/v1/url", data={"$deeplink_path": said, "$canonical_url": "https://x.example/1"}))  # fmt: skip
    assert link.deep_link == "https://x.example/1"


def test_data_of_a_link_has_a_limit() -> None:
    most = "x" * (DATA_BYTES_MAX - 3)
    assert isinstance(read(letter("/v1/url", data={"k": most}))[0], Link)
    assert read(letter("/v1/url", data={"k": most + "y"}))[0].status == 413
    assert read(letter("/v1/url", data=json.dumps({"k": 1})))[0].deep_link_data == {"k": "1"}


def test_many_links_at_once_are_answered_each() -> None:
    body = json.dumps([WANTED, {"alias": "a"}, {"alias": "a", "campaign": "other"}, {"tags": 3}, 5])
    sent = Letter("POST", f"/v1/url/bulk/{KEY}", body=body.encode())
    BRANCH.hold_to_key(sent, door(), lambda: None)
    status, said = answer(sent)
    assert status == 200
    assert [next(iter(one)) for one in said] == ["url", "url", "error", "error", "error"]
    assert said[2]["error"]["code"] == 409
    many = Letter("POST", f"/v1/url/bulk/{KEY}", body=json.dumps([{}] * 101).encode())
    with pytest.raises(Refused) as refused:
        read(many)
    assert refused.value.status == 413


def test_a_code_to_scan_is_a_picture() -> None:
    def picture(**said: Any) -> Any:
        sent = letter("/v1/qr-code", **WANTED, qr_code_settings=said)
        verdicts = [verdict for verdict, _ in BRANCH.read(sent, telling(), door())]
        return BRANCH.accept(Heard(sent, door(), verdicts, None, BASE, NOW))

    plain = picture()
    assert (dict(plain.headers)["content-type"], plain.body[:8]) == ("image/png", b"\x89PNG\r\n\x1a\n")  # fmt: skip
    width = int.from_bytes(picture(width=1000).body[16:20], "big")
    assert 900 < width <= 1000
    coloured = picture(code_color="#ff8800", image_format="SVG")
    assert dict(coloured.headers)["content-type"] == "image/svg+xml"
    assert b"#f80" in coloured.body
    for wrong in ({"width": 5000}, {"width": "x"}, {"margin": 21}, {"code_color": '"><x'}):
        refused = picture(**wrong)
        assert (refused.status, json.loads(refused.body)["error"]["code"]) == (400, 400)


def test_a_door_makes_so_many_links_a_minute() -> None:
    directory = registry(OWN)
    makings = Makings(directory, 2)

    def judged(name: str) -> Judged:
        return Judged(Making(Change(at_ms=NOW, record=made(name))), b"{}")

    others = structs.replace(door(), id=DoorId("other"))
    assert [isinstance(makings.judge(door(), judged(str(n)), NOW).verdict, Refused) for n in range(3)] == [False, False, True]  # fmt: skip
    refused = makings.judge(door(), judged("x"), NOW).verdict
    assert isinstance(refused, Refused)
    assert refused.status == 429
    assert isinstance(makings.judge(others, judged("x"), NOW).verdict, Making)
    assert isinstance(makings.judge(door(), judged("x"), NOW + 60_000).verdict, Making)


def test_what_was_made_a_moment_ago_is_not_made_again() -> None:
    makings = Makings(registry(OWN), 100)
    one = Judged(Making(Change(at_ms=NOW, record=made())), b"{}")
    assert makings.is_news(one)
    makings.note([one])
    assert not makings.is_news(one)
    other = Judged(Making(Change(at_ms=NOW, record=structs.replace(made(), campaign="x"))), b"{}")
    refused = makings.judge(door(), other, NOW).verdict
    assert isinstance(refused, Refused)
    assert refused.status == 409
    standing = Makings(registry(OWN, made()), 100)
    assert not standing.is_news(one)


def test_a_door_whose_clients_make_links_has_somebody_to_make_them_for() -> None:
    known = registry()

    def added(key: str, dialect: str = "branch", **maps: str) -> tuple[Door, list[str]]:
        want = AddDoor(app="game-android", dialect=dialect, key=key, maps=maps)
        made_ = doors.add_door(known, want, Rehearsal(), MemoryVault(), SystemChance(), BASE)
        for record in made_.records:
            known.apply(known.position + 1, Change(at_ms=NOW, record=record))
        found = known.door(DoorId(made_.answer.id))
        assert found is not None
        return found, [type(record).__name__ for record in made_.records]

    first, records = added("key_live_1")
    assert records == ["Partner", "Door"]
    owner = first.mapped("channel", "*")
    partner = known.partner(PartnerId(str(owner)))
    assert partner is not None
    assert (partner.name, partner.kind) == ("App links of Game", PartnerKind.OWNED)
    assert added("key_live_1") == (first, [])
    other, records = added("key_live_2", **{"channel:mail": "acme"})
    assert (other.maps, records) == ({"channel:mail": "acme", "channel:*": owner}, ["Door"])
    ours, _ = added("key_live_3", **{"channel:*": "acme"})
    assert ours.maps == {"channel:*": "acme"}
    assert added("wk_other", "segment")[0].maps == {}


# --- what asks


def test_the_last_touch_is_told() -> None:
    sent = letter("/v1/cpid/latd", user_data={"randomized_device_token": "anon-1", "attribution_window": "7"})  # fmt: skip
    assert BRANCH.asks(sent, door()) == "anon-1"
    said = json.loads(BRANCH.accept(Heard(sent, door(), (), TOLD, BASE, NOW)).body)
    assert said["attribution_window"] == 7
    touched = said["last_attributed_touch_data"]
    assert (touched["~campaign"], touched["~id"]) == ("spring", "l-1")
    said = json.loads(BRANCH.accept(Heard(sent, door(), (), None, BASE, NOW)).body)
    assert said["last_attributed_touch_data"] == {}
    assert BRANCH.asks(letter("/v1/open", anon_id="a"), door()) is None


def asked(path: str, query: str = "") -> Any:
    return BRANCH.plain_answer(Letter("GET", path, query), door())


def test_a_browser_asks_with_a_function_of_its_own() -> None:
    said = asked("/_r", f"branch_key={KEY}&callback=branch_callback__0")
    assert said.body == b'/**/branch_callback__0("");'
    assert dict(said.headers)["content-type"].startswith("application/javascript")
    for wrong in (
        "",
        "&callback=alert(1)//",
        "&callback=a%3Cscript%3E",
        "&callback=" + "a" * 200,
        "&callback=a%0A",
    ):
        assert asked("/_r", f"branch_key={KEY}{wrong}").status == 400


def test_the_key_stands_where_a_letter_has_it() -> None:
    right = [letter("/v1/open"), form("/v1/open"), Letter("GET", "/_r", f"sdk=web&branch_key={KEY}"),
             Letter("GET", f"/v1/app-link-settings/{KEY}"), Letter("POST", f"/v1/url/bulk/{KEY}", body=b"[]")]  # fmt: skip
    for sent in right:
        BRANCH.hold_to_key(sent, door(), lambda: None)
    assert asked(f"/v1/app-link-settings/{KEY}").status == 200
    wrong = [Letter("POST", "/v1/open", body=b'{"branch_key":7}'), Letter("POST", "/v1/open", body=b"x=1"), Letter("POST", "/v1/url/bulk/key_x", body=b"[]"), Letter("GET", "/_r")]  # fmt: skip
    for sent in wrong:
        with pytest.raises(Refused):
            BRANCH.hold_to_key(sent, door(), lambda: None)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (Letter("GET", "/v1/open", body=b"{}"), 405), (Letter("POST", "/v1/nothing", body=b"{}"), 404),
        (Letter("POST", "/v1/open"), 400), (Letter("POST", f"/v1/url/bulk/{KEY}", body=b"{}"), 400),
        (Letter("POST", "/v1/open", body=b"&".join(b"a%d=1" % n for n in range(1100))), 413),
    ],
)  # fmt: skip
def test_a_letter_that_is_none_is_refused(sent: Letter, status: int) -> None:
    with pytest.raises(Refused) as refused:
        list(BRANCH.read(sent, telling(), door()))
    said = BRANCH.refuse(refused.value, sent)
    assert (said.status, json.loads(said.body)["error"]["code"]) == (status, status)


# --- at a real door


@pytest.mark.server
@pytest.mark.enable_socket
def test_links_made_at_a_door_stand_and_have_a_limit() -> None:
    web = App(id=AppId("any-web"), product=GAME, name="Any", platform=Platform.WEB, store_id="https://any.example/")  # fmt: skip
    with front(OWN, web, door(), door_links_per_min_max=3) as running:
        path = "/in/branch/b/v1/url"
        said = [running.post(path, {"branch_key": KEY, **WANTED}, None).json for _ in range(2)]
        assert said[0] == said[1]
        made_ = [c.record for c in running.kept(Topic.CONTROL) if c.record.id.startswith("bl_")]
        assert [f"{running.url}/c/{link.id}" for link in made_] == [said[0]["url"]]
        taken = {"branch_key": KEY, "alias": "x", "campaign": "1"}
        assert running.post(path, taken, None).status == 200
        # Beyond the limit of a minute, unless a new one has begun in between.
        late = [
            running.post("/v1/url", {**taken, "campaign": str(n)}, None).status for n in range(5)
        ]
        assert 429 in late
        assert {429, 409} >= set(late)
        install = running.post("/v1/open", {"branch_key": KEY, **INSTALL}, None)
        assert (install.status, install.json["randomized_device_token"]) == (200, "anon-1")
        assert running.kept(Topic.ACTIVITY)[-1].device.id == "anon-1"
        refused = running.kept(Topic.REFUSED)[-1]
        assert KEY.encode() not in refused.body
        assert running.post(path, {"branch_key": "key_live_wrong", **WANTED}, None).json["error"]["code"] == 401  # fmt: skip
