"""Libraries of other vendors for Python, unmodified, at their doors: every value that they were given is found where it belongs."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import node_home
import pytest
from front import Front, front

from attribune.collect.dialects import DIALECTS
from attribune.collect.dialects.vendors import VENDOR_DOORS
from attribune.model.activity import Event, Open, Platform
from attribune.model.control import Door
from attribune.model.ids import AppId, DoorId
from attribune.model.money import Money
from attribune.model.position import Topic

pytestmark = [pytest.mark.server, pytest.mark.enable_socket, pytest.mark.timeout(120)]

KEY = "key-of-the-client"
DOORS = [
    Door(id=DoorId(f"d-{name}"), app=AppId("game-android"), dialect=name, sha256=sha256(KEY.encode()).hexdigest())
    for name in DIALECTS
]  # fmt: skip
#: Five days ago.
PAST_S = int(time.time()) - 432_000
NINE = Money(amount_minor=999, currency="EUR")


@pytest.fixture(scope="module")
def doors():
    with front(*DOORS) as running:
        yield running


@pytest.fixture
def heard(doors: Front):
    """What the journal has of records since the test began; nothing may have been refused."""
    before = doors.end()

    def read() -> list[Any]:
        assert doors.since(Topic.REFUSED, before) == []
        return doors.since(Topic.ACTIVITY, before)

    return read


def url(doors: Front, dialect: str) -> str:
    return f"{doors.url}/in/{dialect}/d-{dialect}"


@pytest.mark.parametrize("packed", [False, True])
def test_rudderstack(doors: Front, heard: Any, packed: bool):
    from rudderstack.analytics.client import Client  # noqa: PLC0415 - slow to import

    failures: list[Any] = []
    client = Client(
        KEY,
        host=url(doors, "rudder"),
        gzip=packed,
        on_error=lambda *fault: failures.append(fault),
        max_retries=0,
    )
    when = datetime.now(UTC).replace(microsecond=0)
    client.track(
        "u1",
        "Order Completed",
        {"revenue": 9.99, "currency": "EUR", "order_id": "A1", "coupon": "SPRING"},
        context={"device": {"id": "dev-1", "type": "ios"}, "os": {"name": "iOS", "version": "18"}},
        timestamp=when,
        message_id=f"m-{packed}",
    )
    client.identify("u1", {"plan": "pro"})
    client.join()
    assert failures == []
    bought, identified = heard()
    assert (bought.name, bought.revenue, bought.transaction_id) == ("Order Completed", NINE, "A1")
    assert (bought.user_id, bought.device.id, bought.device.platform) == ("u1", "dev-1", "ios")
    assert bought.device.os_version == "18"
    assert bought.id == f"m-{packed}"
    assert (bought.given_at_ms or bought.occurred_at_ms) == when.timestamp() * 1000
    assert bought.params["coupon"] == '"SPRING"'
    assert identified.name == "identify"
    assert identified.params["plan"] == '"pro"'


@pytest.mark.parametrize("method", ["get", "post"])
def test_snowplow(doors: Front, heard: Any, method: str):
    from snowplow_tracker import (  # noqa: PLC0415 - slow to import
        Emitter,
        PageView,
        SelfDescribing,
        SelfDescribingJson,
        StructuredEvent,
        Subject,
        Tracker,
    )

    told: list[Any] = []
    failed: list[Any] = []
    emitter = Emitter(
        f"127.0.0.1:{doors.port}/in/snowplow/d-snowplow",
        protocol="http",
        method=method,
        batch_size=1,
        on_success=told.extend,
        on_failure=lambda *fault: failed.append(fault),
    )
    subject = Subject().set_user_id("u1").set_domain_user_id("visitor-1").set_lang("de-DE")
    subject.set_timezone("Europe/Berlin").set_platform("web")
    tracker = Tracker("ns", emitter, subject=subject, app_id=KEY)
    session = SelfDescribingJson("iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2", {"userId": "inst-1", "sessionIndex": 3})  # fmt: skip
    tracker.track(PageView(page_url="https://shop.example/a", page_title="A", referrer="https://b.example/"))  # fmt: skip
    tracker.track(StructuredEvent(category="shop", action="add", label="hat", property_="red", value=2))  # fmt: skip
    own = SelfDescribingJson("iglu:com.example/bought/jsonschema/1-0-0", {"revenue": 9.99, "currency": "EUR", "transaction_id": "A2", "sku": "hat"})  # fmt: skip
    tracker.track(SelfDescribing(event_json=own, context=[session]))
    tracker.flush()
    assert failed == []
    assert len(told) == 3
    page, added, bought = heard()
    assert (page.name, page.user_id) == ("page_view", "u1")
    assert (page.device.id, page.device.platform, page.device.locale, page.device.timezone) == (
        "visitor-1", Platform.WEB, "de-DE", "Europe/Berlin",
    )  # fmt: skip
    assert json.loads(page.params["url"]) == "https://shop.example/a"
    assert json.loads(page.params["refr"]) == "https://b.example/"
    assert added.name == "add"
    assert {name: json.loads(value) for name, value in added.params.items()} == {
        "se_ca": "shop", "se_ac": "add", "se_la": "hat", "se_pr": "red", "se_va": "2",
    }  # fmt: skip
    assert (bought.name, bought.revenue, bought.transaction_id) == ("bought", NINE, "A2")
    assert bought.device.id == "inst-1"
    assert json.loads(bought.params["sku"]) == "hat"
    assert json.loads(bought.extra["contexts.client_session"])["sessionIndex"] == 3


@pytest.mark.parametrize("packed", [False, True])
def test_posthog(doors: Front, heard: Any, packed: bool):
    from posthog import Posthog  # noqa: PLC0415 - slow to import

    failures: list[Any] = []
    client = Posthog(
        KEY,
        host=url(doors, "posthog"),
        gzip=packed,
        on_error=lambda *fault: failures.append(fault),
        max_retries=0,
        flush_interval=0.1,
    )
    properties = {"revenue": 9.99, "currency": "EUR", "order_id": "A3", "$device_id": "dev-3", "$os": "Android", "size": [1, 2]}  # fmt: skip
    sent = client.capture("purchase", distinct_id="u3", properties=properties)
    client.set(distinct_id="u3", properties={"plan": "pro"})
    client.flush()
    client.shutdown()
    assert failures == []
    bought, changed = heard()
    assert (bought.name, bought.revenue, bought.transaction_id) == ("purchase", NINE, "A3")
    assert (bought.user_id, bought.device.id, bought.device.platform) == ("u3", "dev-3", "android")
    assert bought.id == sent
    assert json.loads(bought.params["size"]) == [1, 2]
    assert changed.name == "$set"
    assert changed.user_id == "u3"


def test_ga4_measurement_protocol(doors: Front, heard: Any):
    from ga4mp import FirebaseMP  # noqa: PLC0415 - slow to import

    client = FirebaseMP(api_secret=KEY, firebase_app_id="1:2:android:3", app_instance_id="a" * 32)
    client._base_domain = url(doors, "ga4") + "/mp/collect"
    client._validation_domain = url(doors, "ga4") + "/debug/mp/collect"
    bought = {"name": "purchase", "params": {"currency": "EUR", "value": 9.99, "transaction_id": "A4", "items": [{"item_id": "hat"}]}}  # fmt: skip
    client.send([{"name": "first_open", "params": {}}, bought], validation_hit=True)
    assert heard() == []
    client.send([{"name": "first_open", "params": {}}, bought])
    client.send([{"name": "level_up", "params": {"level": 3}}], postpone=True)
    client.postponed_send()
    first, purchase, level = heard()
    assert isinstance(first, Open)
    assert {record.device.id for record in (first, purchase, level)} == {"a" * 32}
    assert (purchase.name, purchase.revenue, purchase.transaction_id) == ("purchase", NINE, "A4")
    assert json.loads(purchase.params["items"]) == [{"item_id": "hat"}]
    assert (level.name, level.params["level"]) == ("level_up", "3")


def test_mixpanel(doors: Front, heard: Any):
    from mixpanel import Consumer, Mixpanel  # noqa: PLC0415 - slow to import

    base = url(doors, "mixpanel")
    consumer = Consumer(f"{base}/track", f"{base}/engage", f"{base}/import", groups_url=f"{base}/groups", retry_limit=0)  # fmt: skip
    client = Mixpanel(KEY, consumer=consumer)
    client.track("u5", "purchase", {"amount": 9.99, "currency": "EUR", "order_id": "A5", "$device_id": "dev-5", "$insert_id": "i5", "$os": "iOS"})  # fmt: skip
    client.people_set("u5", {"plan": "pro"})
    client.import_data(None, "u5", "old", PAST_S, {"n": 1}, api_secret=KEY)
    bought, changed, old = heard()
    assert (bought.name, bought.revenue, bought.transaction_id) == ("purchase", NINE, "A5")
    assert (bought.id, bought.user_id, bought.device.id, bought.device.platform) == ("i5", "u5", "dev-5", "ios")  # fmt: skip
    assert (changed.name, changed.user_id, changed.params) == ("$set", "u5", {"plan": '"pro"'})
    assert (old.name, old.occurred_at_ms, old.params["n"]) == ("old", PAST_S * 1000, "1")


def test_amplitude(doors: Front, heard: Any):
    from amplitude import Amplitude, BaseEvent, Config, EventOptions, Revenue  # noqa: PLC0415 - slow to import

    told: list[Any] = []
    config = Config(
        server_url=url(doors, "amplitude") + "/2/httpapi",
        callback=lambda event, code, message: told.append((event.event_type, code)),
        flush_interval_millis=100,
    )
    client = Amplitude(KEY, config)
    client.track(
        BaseEvent(
            "[Amplitude] Application Opened", user_id="u6", device_id="dev-6", platform="Android",
            os_version="15", device_model="Pixel 8", adid="3f1d2c4b-0000-4000-8000-000000000001", app_version="3.1", insert_id="i6",
        )
    )  # fmt: skip
    client.track(
        BaseEvent(
            "purchase", user_id="u6", device_id="dev-6", platform="Android", revenue=9.99, currency="EUR",
            event_properties={"order_id": "A6", "sku": "hat"},
        )
    )  # fmt: skip
    client.revenue(Revenue(price=3.33, quantity=3), EventOptions(user_id="u6", device_id="dev-6"))
    client.shutdown()
    assert sorted(told) == [("[Amplitude] Application Opened", 200), ("purchase", 200), ("revenue_amount", 200)]  # fmt: skip
    opened, bought, revenue = sorted(heard(), key=lambda record: record.occurred_at_ms)
    assert isinstance(opened, Open)
    assert (opened.id, opened.device.id, opened.app_version) == ("i6", "dev-6", "3.1")
    assert (opened.device.platform, opened.device.os_version, opened.device.model) == ("android", "15", "Pixel 8")  # fmt: skip
    assert opened.device.ids == {"gaid": "3f1d2c4b-0000-4000-8000-000000000001"}
    assert isinstance(bought, Event)
    assert (bought.name, bought.revenue, bought.transaction_id) == ("purchase", NINE, "A6")
    assert json.loads(bought.params["sku"]) == "hat"
    assert (revenue.name, revenue.user_id, revenue.revenue.amount_minor) == ("revenue_amount", "u6", 999)  # fmt: skip


def test_amplitude_drops_who_has_an_id_that_is_too_short_and_tells_the_others(doors: Front):
    from amplitude import Amplitude, BaseEvent, Config  # noqa: PLC0415 - slow to import

    before = doors.end()
    told: list[Any] = []
    config = Config(
        server_url=url(doors, "amplitude") + "/2/httpapi",
        callback=lambda event, code, message: told.append((event.event_type, code)),
        flush_interval_millis=100,
        min_id_length=6,
    )
    client = Amplitude(KEY, config)
    client.track(BaseEvent("long", user_id="user-7", device_id="device-7"))
    client.track(BaseEvent("short", user_id="u7", device_id="device-7"))
    # Who is shut down sends nothing again.
    until = time.monotonic() + 10
    while len(told) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    client.shutdown()
    assert sorted(told) == [("long", 200), ("short", 400)]
    # The library sends what was not refused once more, under the same id.
    assert {record.name for record in doors.since(Topic.ACTIVITY, before)} == {"long"}
    (refusal,) = doors.since(Topic.REFUSED, before)
    assert (refusal.reason, json.loads(refusal.body)["event_type"]) == ("bad_id", "short")


@pytest.mark.parametrize("dialect", sorted(set(DIALECTS) - {door.name for door in VENDOR_DOORS}))
def test_another_key_is_refused_in_the_dialects_own_way_and_kept(doors: Front, dialect: str):
    letter = DIALECTS[dialect].sample("key_of_nobody_0000", 1_795_305_600_000)
    before = doors.end()
    path = f"/in/{dialect}/d-{dialect}{letter.path}" + (f"?{letter.query}" if letter.query else "")
    headers = {name: str(letter.headers.get(name)) for name in ("authorization",) if letter.headers.get(name)}  # fmt: skip
    answer = doors.ask(letter.method, path, letter.body or None, headers)
    assert answer.status in {400, 401, 403}
    assert b'"type":"authentication"' not in answer.body  # our own shape
    (refusal,) = doors.since(Topic.REFUSED, before)
    assert refusal.reason in {"unknown_key", "bad_signature"}


def runs(script: str, *words: str) -> list[Any]:
    """What a script on Node says, a JSON a line, with the vendors' packages at hand."""
    home = node_home.installed("node-clients")
    done = subprocess.run(
        [node_home.NODE, "-e", script, "--", *words],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("packed", ["true", "false"])
def test_rudderstack_on_node(doors: Front, heard: Any, packed: str):
    said = runs(
        """
        const Analytics = require('@rudderstack/rudder-sdk-node');
        const [url, key, packed] = process.argv.slice(1);
        const client = new Analytics(key, {dataPlaneUrl: url, gzip: packed === 'true', flushAt: 2, flushInterval: 50});
        const tell = (fault) => console.log(JSON.stringify({fault: fault ? String(fault) : null}));
        client.track({userId: 'n1', event: 'Order Completed', context: {device: {id: 'dev-n1', type: 'android'}},
            properties: {revenue: 9.99, currency: 'EUR', order_id: 'N1-' + packed, sku: 'hat'}}, tell);
        client.identify({userId: 'n1', traits: {plan: 'pro'}}, tell);
        """,
        url(doors, "rudder"),
        KEY,
        packed,
    )
    assert said == [{"fault": None}, {"fault": None}]
    bought, identified = heard()
    assert (bought.name, bought.revenue, bought.transaction_id) == ("Order Completed", NINE, f"N1-{packed}")  # fmt: skip
    assert (bought.user_id, bought.device.id, bought.device.platform) == ("n1", "dev-n1", "android")
    assert json.loads(bought.params["sku"]) == "hat"
    assert identified.params["plan"] == '"pro"'


@pytest.mark.parametrize("method", ["get", "post"])
def test_snowplow_on_node(doors: Front, heard: Any, method: str):
    said = runs(
        """
        const {newTracker, buildSelfDescribingEvent, buildPageView} = require('@snowplow/node-tracker');
        const [endpoint, key, method] = process.argv.slice(1);
        const tracker = newTracker({namespace: 'ns', appId: key, encodeBase64: true}, {endpoint, eventMethod: method, bufferSize: 1,
            onRequestSuccess: (batch) => console.log(JSON.stringify({told: batch.length})),
            onRequestFailure: (batch) => console.log(JSON.stringify({failed: batch.length}))});
        tracker.setUserId('n2'); tracker.setDomainUserId('visitor-n2'); tracker.setPlatform('web');
        tracker.track(buildPageView({pageUrl: 'https://shop.example/n'}));
        tracker.track(buildSelfDescribingEvent({event: {schema: 'iglu:com.example/bought/jsonschema/1-0-0',
            data: {revenue: 9.99, currency: 'EUR', transaction_id: 'N2', sku: 'hat'}}}));
        """,
        url(doors, "snowplow"),
        KEY,
        method,
    )
    assert [word for each in said for word in each] == ["told"] * len(said)
    found = {record.name: record for record in heard()}
    bought = found["bought"]
    assert (bought.revenue, bought.transaction_id, bought.user_id) == (NINE, "N2", "n2")
    assert (bought.device.id, bought.device.platform) == ("visitor-n2", Platform.WEB)
    assert json.loads(found["page_view"].params["url"]) == "https://shop.example/n"


def test_snowplows_consent_on_node(doors: Front, heard: Any):
    """The node's tracker builds these events as the trackers for pages and phones do."""
    said = runs(
        """
        const {newTracker, buildConsentGranted, buildConsentWithdrawn} = require('@snowplow/node-tracker');
        const [endpoint, key] = process.argv.slice(1);
        const tracker = newTracker({namespace: 'ns', appId: key, encodeBase64: true}, {endpoint, eventMethod: 'post', bufferSize: 2,
            onRequestSuccess: (batch) => console.log(JSON.stringify({told: batch.length}))});
        tracker.setDomainUserId('visitor-n4');
        for (const one of [buildConsentWithdrawn({all: true}), buildConsentGranted({id: 'ads', version: '1', name: 'Ads'})])
            tracker.track(one.event, one.context);
        """,
        url(doors, "snowplow"),
        KEY,
    )
    assert said == [{"told": 2}]
    withdrawn, *events = heard()
    assert (withdrawn.measurement, withdrawn.sharing) == (False, False)
    assert (withdrawn.device.id, withdrawn.device.platform) == ("visitor-n4", Platform.OTHER)
    assert [event.name for event in events] == ["consent_withdrawn", "consent_granted"]
    assert json.loads(events[1].extra["contexts.consent_document"])["id"] == "ads"


def test_posthog_on_node(doors: Front, heard: Any):
    runs(
        """
        const {PostHog} = require('posthog-node');
        const [url, key] = process.argv.slice(1);
        const client = new PostHog(key, {host: url, flushAt: 1});
        client.capture({distinctId: 'n3', event: 'purchase', uuid: '018f0000-0000-7000-8000-0000000000a3',
            properties: {revenue: 9.99, currency: 'EUR', order_id: 'N3', sku: 'hat', $device_id: 'dev-n3'}});
        client.shutdown();
        """,
        url(doors, "posthog"),
        KEY,
    )
    (bought,) = heard()
    assert (bought.revenue, bought.transaction_id, bought.user_id) == (NINE, "N3", "n3")
    assert (bought.id, bought.device.id) == ("018f0000-0000-7000-8000-0000000000a3", "dev-n3")
    assert json.loads(bought.params["sku"]) == "hat"
