"""Libraries of other vendors for web pages, unmodified, in a real browser: what our records say, and what the libraries heard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import node_home
import pytest
import tls
from browser.shop import Server
from front import Front, front
from house import wait_for
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from attribune.engines.memory import MemoryVault
from attribune.model.activity import Evidence, Open, Platform
from attribune.model.control import Door
from attribune.model.ids import AppId, DoorId
from attribune.model.money import Money
from attribune.model.position import Topic

pytestmark = [pytest.mark.server, pytest.mark.enable_socket, pytest.mark.timeout(180)]

KEY, SECRET = "key-of-the-pages", "secret-of-the-pages"
NINE = Money(amount_minor=999, currency="EUR")
SPEAKING = ("segment", "rudder", "snowplow", "posthog", "singular", "appsflyer-ctv")


def _door(name: str) -> Door:
    secret = {"singular": SECRET, "appsflyer-ctv": KEY}.get(name)
    sealed = MemoryVault().seal(secret) if secret else None
    hashed = sha256(KEY.encode()).hexdigest()
    return Door(id=DoorId(f"d-{name}"), app=AppId("game-android"), dialect=name, sha256=hashed, sealed_secret=sealed)  # fmt: skip


class Stage(NamedTuple):
    """A collector, the server of pages, and a browser for which the vendors' fixed hosts are the collector."""

    door: Front
    pages: Server
    browser: Chrome

    def plays(self, library: str, begin: str, query: str = "", host: str = "127.0.0.1") -> int:
        """Open a page with a library and what it is begun with, as somebody who has never been there; where the journal stood."""
        file = node_home.installed("node-web") / "node_modules" / library
        script = file.read_text().replace("</script", "<\\/script")
        self.pages.pages["/"] = (
            f"<!doctype html><meta charset=utf-8><title>Shop</title><link rel=icon href=data:,>"
            f"<script>{script}</script><script>window.heard = [];\n{begin}</script>"
        )
        origin = self.pages.origin.replace("127.0.0.1", host)
        self.browser.get("about:blank")  # what the page before still says of its end is said now
        clear = {"origin": origin, "storageTypes": "all"}
        self.browser.execute_cdp_cmd("Storage.clearDataForOrigin", clear)
        before = self.door.end()
        self.browser.get(f"{origin}/{query}")
        return before

    def url(self, dialect: str) -> str:
        return f"{self.door.url}/in/{dialect}/d-{dialect}"

    def js(self, code: str, *words: Any) -> Any:
        return self.browser.execute_script(code, *words)

    def records(self, before: int, many: int) -> list[Any]:
        """The records since a place, once there are so many; nothing may have been refused."""
        wait_for(
            lambda: len(self.door.since(Topic.ACTIVITY, before)) >= many, 15, "too little came"
        )
        assert self.door.since(Topic.REFUSED, before) == []
        found: list[Any] = self.door.since(Topic.ACTIVITY, before)
        return found


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("tls")
    with front(*map(_door, SPEAKING)) as door, tls.in_front_of(door.port, folder) as port:
        options = ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        rules = ", ".join(f"MAP {host}:443 127.0.0.1:{port}" for host in ("sdk-api-v1.singular.net", "events.appsflyer.com"))  # fmt: skip
        for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run", "--ignore-certificate-errors", f"--host-resolver-rules={rules}"):  # fmt: skip
            options.add_argument(flag)
        browser = Chrome(options, ChromeService("/usr/bin/chromedriver"))
        pages = Server()
        try:
            yield Stage(door, pages, browser)
        finally:
            browser.quit()
            pages.stop()


def by_name(records: list[Any]) -> dict[str, Any]:
    return {record.name: record for record in records if hasattr(record, "name")}


def test_segment(stage: Stage):
    host = stage.url("segment").removeprefix("http://")
    before = stage.plays(
        "@segment/analytics-next/dist/umd/index.js",
        f"""
        window.analytics = AnalyticsNext.AnalyticsBrowser.load(
            {{writeKey: '{KEY}', cdnURL: '{stage.url("segment")}'}},
            {{integrations: {{'Segment.io': {{apiHost: '{host}/v1', protocol: 'http'}}}}}});
        analytics.page();
        analytics.identify('u1', {{plan: 'pro'}});
        analytics.track('Order Completed', {{revenue: 9.99, currency: 'EUR', order_id: 'S1', sku: 'hat'}})
            .then((told) => heard.push(told.event.messageId));
        """,
        "?attribune_click=018f0000-0000-7000-8000-000000000001&utm_source=acme",
    )
    found = stage.records(before, 6)  # each of three events mentions the click
    evidence = [record for record in found if isinstance(record, Evidence)]
    said = by_name(found)
    bought = said["Order Completed"]
    assert (bought.revenue, bought.transaction_id, bought.user_id) == (NINE, "S1", "u1")
    assert json.loads(bought.params["sku"]) == "hat"
    assert stage.js("return heard") == [bought.id]
    assert said["identify"].params["plan"] == '"pro"'
    assert json.loads(said["page"].params["title"]) == "Shop"
    assert {record.device.id for record in found} == {said["page"].device.id}
    # The click that led to the page stands in its address: whoever measures the page, it is evidence.
    assert evidence
    assert "attribune_click=018f0000-0000-7000-8000-000000000001" in evidence[0].link_opened


def test_rudderstack(stage: Stage):
    url = stage.url("rudder")
    before = stage.plays(
        "@rudderstack/analytics-js/dist/npm/modern/bundled/umd/index.js",
        f"""
        const rudder = new rudderanalytics.RudderAnalytics();
        rudder.load('{KEY}', '{url}', {{configUrl: '{url}', plugins: [], onLoaded: () => heard.push('loaded')}});
        rudder.page();
        rudder.identify('u2', {{plan: 'pro'}});
        rudder.track('Order Completed', {{revenue: 9.99, currency: 'EUR', order_id: 'R1', sku: 'hat'}});
        """,
    )
    said = by_name(stage.records(before, 3))
    bought = said["Order Completed"]
    assert (bought.revenue, bought.transaction_id, bought.user_id) == (NINE, "R1", "u2")
    assert bought.device.id == said["page"].device.id
    assert json.loads(bought.params["sku"]) == "hat"
    assert said["identify"].params["plan"] == '"pro"'
    assert stage.js("return heard") == ["loaded"]


def test_snowplow(stage: Stage):
    before = stage.plays(
        "@snowplow/browser-tracker/dist/index.umd.min.js",
        f"""
        const snowplow = snowplowBrowserTracking;
        snowplow.newTracker('sp', '{stage.url("snowplow")}', {{
            appId: '{KEY}', bufferSize: 1, contexts: {{session: true}},
            onRequestSuccess: (batch) => heard.push(batch.length)}});
        snowplow.setUserId('u3');
        snowplow.trackPageView();
        snowplow.trackStructEvent({{category: 'shop', action: 'add', label: 'hat', value: 2}});
        snowplow.trackSelfDescribingEvent({{event: {{schema: 'iglu:com.example/bought/jsonschema/1-0-0',
            data: {{revenue: 9.99, currency: 'EUR', transaction_id: 'W1', sku: 'hat'}}}}}});
        """,
    )
    found = stage.records(before, 3)
    said = by_name(found)
    bought = said["bought"]
    assert (bought.revenue, bought.transaction_id, bought.user_id) == (NINE, "W1", "u3")
    assert json.loads(bought.params["sku"]) == "hat"
    assert json.loads(said["page_view"].params["page"]) == "Shop"
    assert json.loads(said["add"].params["se_la"]) == "hat"
    assert {record.device.platform for record in found} == {Platform.WEB}
    assert len({record.device.id for record in found}) == 1
    wait_for(lambda: sum(stage.js("return heard")) == 3, 10, "the tracker did not hear of all")


def test_posthog(stage: Stage):
    before = stage.plays("posthog-js/dist/array.js", "")
    stage.js(
        f"""
        window.ph = posthog.init('{KEY}', {{api_host: '{stage.url("posthog")}', request_batching: false, autocapture: false, capture_pageleave: false, opt_out_useragent_filter: true,
            loaded: () => heard.push('loaded'), on_request_error: (fault) => heard.push(fault.statusCode)}}, 'ours');
        ph.identify('u4', {{plan: 'pro'}});
        ph.capture('purchase', {{revenue: 9.99, currency: 'EUR', order_id: 'P1', sku: 'hat'}});
        """
    )
    found = stage.records(before, 3)
    said = by_name(found)
    bought = said["purchase"]
    assert (bought.revenue, bought.transaction_id, bought.user_id) == (NINE, "P1", "u4")
    assert (bought.device.platform, json.loads(bought.params["sku"])) == (Platform.WEB, "hat")
    assert said["$pageview"].device.id == bought.device.id
    assert said["$identify"].user_id == "u4"
    assert stage.js("return heard") == ["loaded"]
    asked = "return performance.getEntriesByType('resource').some((one) => one.name.endsWith('/surveys.js'))"
    wait_for(lambda: stage.js(asked), 15, "the library did not ask for a part of itself")
    assert stage.door.since(Topic.REFUSED, before) == []


def test_singular(stage: Stage):
    before = stage.plays(
        "singular-sdk/dist/singular-sdk.js",
        f"""
        const config = new SingularConfig('{KEY}', '{SECRET}', 'com.example.shop')
            .withInitFinishedCallback((told) => heard.push(told.singularDeviceId));
        singularSdk.init(config);
        singularSdk.login('u5');
        singularSdk.event('level', {{level: 3}});
        singularSdk.revenue('purchase', 'EUR', 9.99, {{sku: 'hat'}});
        """,
    )
    found = stage.records(before, 3)
    (opened,) = [record for record in found if isinstance(record, Open)]
    said = by_name(found)
    bought = said["purchase"]
    assert (bought.revenue, bought.user_id) == (NINE, "u5")
    assert json.loads(bought.params["sku"]) == "hat"
    assert said["level"].params["level"] == "3"
    assert {record.device.platform for record in found} == {Platform.WEB}
    assert {record.device.id for record in found} == set(stage.js("return heard"))
    assert opened.link_opened.startswith(stage.pages.origin)


def test_singular_with_another_secret_is_refused_and_kept(stage: Stage):
    before = stage.plays(
        "singular-sdk/dist/singular-sdk.js",
        f"singularSdk.init(new SingularConfig('{KEY}', 'another', 'com.example.shop'));",
        host="localhost",  # a site of its own: the SDK keeps what was refused, and would tell it there again
    )
    wait_for(lambda: stage.door.since(Topic.REFUSED, before), 15, "nothing was refused")
    assert stage.door.since(Topic.REFUSED, before)[0].reason == "bad_signature"
    assert stage.door.since(Topic.ACTIVITY, before) == []


def test_a_television(stage: Stage):
    begin = """
        window.VIZIO = {};  // as its televisions have it
        (async () => {
            const Sdk = AppsFlyerSDK.default || AppsFlyerSDK;
            const one = await new Sdk({devKey: '%s', appId: 'shop-tv', isDebug: false});
            one.setCustomPayload({device_model: 'TV-1', device_os_version: '6.5', app_version: '1.0', device_id: 'tifa-1'});
            one.setCustomerUserId('u6');
            for (const ask of [() => one.start(), () => one.logEvent('af_purchase', {af_revenue: 9.99, af_currency: 'EUR', sku: 'hat'})])
                try { heard.push(['ok', JSON.stringify(await ask())]); } catch (why) { heard.push(['no', JSON.stringify(why)]); }
        })().catch((why) => heard.push(['no', String(why)]));
    """
    before = stage.plays("appsflyer-html5-ctv-sdk/dist/appsflyerSdk.bundle.js", begin % KEY)
    wait_for(lambda: len(stage.js("return heard")) == 2, 20, "the SDK did not answer")
    assert [word for word, _ in stage.js("return heard")] == ["ok", "ok"]
    opened, bought = stage.records(before, 2)
    assert isinstance(opened, Open)
    assert (bought.name, bought.revenue, bought.user_id) == ("af_purchase", NINE, "u6")
    assert (opened.device.platform, opened.device.model, opened.device.os_version) == (Platform.OTHER, "TV-1", "6.5")  # fmt: skip
    assert opened.device.id == bought.device.id
    # A key that is not the door's makes another signature.
    stage.plays("appsflyer-html5-ctv-sdk/dist/appsflyerSdk.bundle.js", begin % "another-key")
    wait_for(lambda: len(stage.js("return heard")) == 2, 20, "the SDK did not answer")
    assert [word for word, _ in stage.js("return heard")] == ["no", "no"]
    assert "401" in stage.js("return heard")[0][1]
