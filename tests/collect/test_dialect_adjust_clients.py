"""The real Adjust web SDK in a browser and a real client of its server calls, unmodified, against our doors."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple

import node_home
import pytest
import tls
from adjust_client.client import AdjustClient
from adjust_client.config import AdjustClientConfig
from adjust_client.exceptions import AuthorizationError
from attribute.tale import House
from browser.shop import Server
from front import DESKTOP, GAME, Front, front
from house import wait_for
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from attribune.engines.memory import MemoryVault
from attribune.model.activity import Consent, Event, Evidence, Forget, Open, Platform
from attribune.model.control import App, Door, Link
from attribune.model.errors import JournalFull
from attribune.model.ids import AppId, DoorId, LinkId, PartnerId
from attribune.model.outcome import Attribution, CreditedEvent
from attribune.model.position import Topic

pytestmark = [
    pytest.mark.server,
    pytest.mark.enable_socket,
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
]

TOKEN, SERVER_TOKEN, OPEN_TOKEN = "abc123def456", "srv123def456", "opn123def456"
BEARER = "bearer-of-our-server"
SDK = "node_modules/@adjustcom/adjust-web-sdk/dist/adjust-latest.min.js"


ADJUST_WEB = App(
    id=AppId("adjust-web"),
    product=GAME,
    name="Game",
    platform=Platform.WEB,
    store_id="https://game.example/",
)


def door(name: str, token: str, **more: Any) -> Door:
    return Door(
        id=DoorId(name), app=AppId("adjust-web"), dialect="adjust", sha256=sha256(token.encode()).hexdigest(),
        maps={"event:e1e2e3": "purchase"}, **more,
    )  # fmt: skip


class Stage(NamedTuple):
    """A collector behind TLS with an attributor, a page and a browser."""

    door: Front
    house: House
    pages: Server
    browser: Chrome
    #: What the SDK takes for its domain, when all is at the root.
    domain: str

    def page(self, domain: str, token: str = TOKEN, path: str = "/") -> None:
        """A page that carries the SDK as Adjust's guide has it, and sends on what a link of ours brings."""
        sdk = (node_home.installed("node-adjust") / SDK).read_text()
        assert "</script" not in sdk
        start = f"""
            window.heard = [];
            Adjust.initSdk({{
                appToken: '{token}', environment: 'production', logLevel: 'verbose',
                urlStrategy: {{domains: ['{domain}'], useSubdomains: false}},
                attributionCallback: (name, change) => window.heard.push(change),
            }});
            if (location.search.includes('attribune_click='))
                Adjust.setReferrer(encodeURIComponent(location.search.slice(1)));
        """
        self.pages.pages[path] = (
            f"<!doctype html><link rel=icon href=data:,><script>{sdk}</script><script>{start}</script>"
        )

    def comes_to(self, url: str) -> None:
        """Somebody who has never been there."""
        clear = {"origin": self.pages.origin, "storageTypes": "all"}
        self.browser.execute_cdp_cmd("Storage.clearDataForOrigin", clear)
        self.browser.get(url)

    def js(self, code: str, *words: Any) -> Any:
        return self.browser.execute_script(code, *words)

    def records(self, before: int, kind: type) -> list[Any]:
        return [one for one in self.door.since(Topic.ACTIVITY, before) if isinstance(one, kind)]


@contextmanager
def browser() -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run", "--ignore-certificate-errors"):  # fmt: skip
        options.add_argument(flag)
    driver = Chrome(options, ChromeService("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


@contextmanager
def attributor(running: Front) -> Iterator[House]:
    """Decides what comes in, while the block runs."""
    house = House(journal=running.journal, answers=running.answers)
    role, stop = house.attributor(), threading.Event()

    def work() -> None:
        while not stop.is_set():
            if not role.step():
                time.sleep(0.01)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield house
    finally:
        stop.set()
        thread.join(10)


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    pages = Server()
    try:
        link = Link(
            id=LinkId("web"), product=GAME, partner=PartnerId("acme"), campaign="spring", creative="blue",
            targets={"other": f"{pages.origin}/", "web": f"{pages.origin}/"},
        )  # fmt: skip
        secret = MemoryVault().seal(BEARER)
        doors = (
            door("adj", TOKEN, sealed_secret=secret),
            door("srv", SERVER_TOKEN, is_trusted=True, sealed_secret=secret),
            door("open", OPEN_TOKEN),
        )
        folder = tmp_path_factory.mktemp("tls")
        with (
            front(ADJUST_WEB, link, *doors) as running,
            attributor(running) as house,
            tls.in_front_of(running.port, folder) as port,
            browser() as driver,
        ):
            yield Stage(running, house, pages, driver, f"127.0.0.1:{port}")
    finally:
        pages.stop()


def test_a_click_of_ours_reaches_the_attribution_callback_of_the_web_sdk(stage: Stage):
    before = stage.door.end()
    stage.page(f"{stage.domain}/in/adjust/adj")
    stage.comes_to(f"{stage.door.url}/c/web?click_id=c-1&label=L")
    assert stage.js("return location.origin") == stage.pages.origin
    # The session is decided before the referrer is told; the click then corrects it, and the SDK is told to ask again.
    wait_for(lambda: any(one["network"] == "acme" for one in stage.js("return heard")), 20)
    told = stage.js("return heard")[-1]
    (opened,) = stage.records(before, Open)
    assert told == {
        "adid": opened.device.id.replace("-", ""), "tracker_token": "web", "tracker_name": "acme::spring::unknown::blue",
        "network": "acme", "campaign": "spring", "creative": "blue", "click_label": "L",
    }  # fmt: skip
    assert opened.device.id == stage.js("return Adjust.getWebUUID()")
    assert (opened.device.platform, opened.app, opened.dialect, opened.sdk) == ("web", "adjust-web", "adjust", "js5.8.3")  # fmt: skip
    assert opened.user_agent == stage.js("return navigator.userAgent")
    (clicked,) = stage.records(before, Evidence)
    assert clicked.device.id == opened.device.id
    assert clicked.referrers[0].value.startswith("attribune_click=")
    assert abs(clicked.referrers[0].click_at_ms - opened.occurred_at_ms) < 5000
    decided = [
        one
        for one in stage.house.outcomes()
        if isinstance(one, Attribution) and one.device == opened.device.id
    ]
    newest = decided[-1]
    assert (newest.credit.partner, str(newest.credit.method)) == ("acme", "REFERRER")

    an_event_with_revenue(stage, opened.device.id)
    the_choice_of_sharing(stage, opened.device.id)
    the_wish_to_be_forgotten(stage, opened.device.id)
    assert stage.door.since(Topic.REFUSED, before) == []


def an_event_with_revenue(stage: Stage, device: str) -> None:
    before = stage.door.end()
    done = stage.browser.execute_async_script("""
        const done = arguments[0];
        Adjust.addGlobalCallbackParameters([{key: 'all', value: 'x'}]);
        Adjust.trackEvent({
            eventToken: 'e1e2e3', revenue: 12.5, currency: 'EUR', deduplicationId: 'D-1',
            callbackParams: [{key: 'plan', value: 'pro & more'}], partnerParams: [{key: 'k', value: 'ü'}],
        }).then(() => done('told'), (why) => done(String(why)));
    """)
    assert done == "told"
    wait_for(lambda: stage.records(before, Event))
    (one,) = stage.records(before, Event)
    assert (one.name, one.device.id, one.extra["event_token"]) == ("purchase", device, '"e1e2e3"')
    assert (one.revenue.amount_minor, one.revenue.currency) == (1250, "EUR")
    assert {name: json.loads(value) for name, value in one.params.items()} == {"all": "x", "plan": "pro & more", "k": "ü"}  # fmt: skip
    assert one.extra["deduplication_id"] == '"D-1"'

    def credited() -> list[Any]:
        return [o for o in stage.house.outcomes() if isinstance(o, CreditedEvent)]

    wait_for(credited)
    assert (credited()[-1].credit.partner, credited()[-1].revenue.amount_minor) == ("acme", 1250)


def the_choice_of_sharing(stage: Stage, device: str) -> None:
    before = stage.door.end()
    stage.js("""
        const choice = new Adjust.ThirdPartySharing(false);
        choice.addGranularOption('google_dma', 'eea', '1');
        choice.addPartnerSharingSetting('acme', 'sessions', false);
        Adjust.trackThirdPartySharing(choice);
    """)
    wait_for(lambda: stage.records(before, Consent))
    (one,) = stage.records(before, Consent)
    assert (one.device.id, one.sharing, one.measurement) == (device, False, None)
    assert json.loads(one.extra["granular_third_party_sharing_options"]) == {"google_dma": {"eea": "1"}}  # fmt: skip
    assert json.loads(one.extra["partner_sharing_settings"]) == {"acme": {"sessions": False}}


def the_wish_to_be_forgotten(stage: Stage, device: str) -> None:
    before = stage.door.end()
    stage.js("Adjust.gdprForgetMe()")
    wait_for(lambda: stage.door.since(Topic.ACTIVITY, before))
    (one,) = stage.door.since(Topic.ACTIVITY, before)
    assert isinstance(one, Forget)
    assert one.device.id == device
    # From then on whatever is said of this device is answered so, and the SDK says nothing any more.
    wait_for(lambda: asked(stage, device).get("tracking_state") == "opted_out")
    told = stage.browser.execute_async_script(
        "Adjust.trackEvent({eventToken: 'late'}).then(() => arguments[0]('told'), () => arguments[0]('silent'))"
    )
    assert told == "silent"
    assert stage.records(before, Event) == []


def asked(stage: Stage, device: str) -> dict[str, Any]:
    query = f"app_token={TOKEN}&web_uuid={device}&initiated_by=sdk"
    answer = stage.door.get(f"/in/adjust/adj/attribution?{query}", DESKTOP)
    assert answer.status == 200
    return answer.json


def test_the_web_sdk_finds_its_door_at_the_root_too(stage: Stage):
    stage.page(stage.domain, path="/root")
    before = stage.door.end()
    stage.comes_to(f"{stage.pages.origin}/root")
    wait_for(lambda: stage.js("return heard"), 20)
    assert stage.js("return heard[0].network") == "Organic"
    (opened,) = stage.records(before, Open)
    assert (opened.app, opened.device.id) == ("adjust-web", stage.js("return Adjust.getWebUUID()"))


def test_a_wrong_token_is_refused_in_json_and_kept_without_it(stage: Stage):
    stage.page(stage.domain, "wrong-token-1", "/wrong")
    before = stage.door.end()
    stage.comes_to(f"{stage.pages.origin}/wrong")
    wait_for(lambda: stage.door.since(Topic.REFUSED, before), 20)
    refusal = stage.door.since(Topic.REFUSED, before)[0]
    assert (refusal.reason, refusal.path) == ("unknown_key", "/session")
    assert b"wrong-token-1" not in refusal.body
    body = b"app_token=wrong-token-1&web_uuid=x"
    answer = stage.door.ask("POST", "/session", body)
    assert (answer.status, list(answer.json)) == (401, ["error", "message"])


# --- servers


def send(url: str, token: str | None, app: str = SERVER_TOKEN, **said: Any) -> Any:
    config = AdjustClientConfig(app_token=app, security_token=token)
    config.base_url = url  # type: ignore[assignment] # as an argument it becomes what its own HTTP client does not take
    return asyncio.run(AdjustClient(config).send_event("e1e2e3", said))


@pytest.mark.parametrize("app", [TOKEN, SERVER_TOKEN], ids=["beside the app", "alone"])
@pytest.mark.parametrize("is_at_root", [True, False])
def test_a_client_of_the_server_calls(stage: Stage, app: str, is_at_root: bool):
    path = "/event" if is_at_root else f"/in/adjust/{'adj' if app == TOKEN else 'srv'}/event"
    before = stage.door.end()
    gaid = "38400000-8cf0-11bd-b23e-10b96e40000d"
    now_s = int(time.time()) - 60
    answer = send(
        f"{stage.door.url}{path}", BEARER, app, gps_adid=gaid, ip_address="203.0.113.9", created_at_unix=now_s,
        callback_params={"plan": "pro", "path": path},
    )  # fmt: skip
    assert answer["status"] == "OK"
    assert answer["adid"] == gaid.replace("-", "")
    (one,) = stage.door.since(Topic.ACTIVITY, before)
    assert isinstance(one, Event)
    assert (one.name, one.device.id, one.device.ids) == ("purchase", gaid, {"gaid": gaid})
    assert (one.ip, one.sender, one.occurred_at_ms) == ("203.0.113.9", "server", now_s * 1000)
    assert one.params == {"plan": '"pro"', "path": json.dumps(path)}
    assert not {"adid", "created_at", "idfa", "s2s"} & set(one.extra)


def test_the_adid_of_an_answer_names_the_device_in_a_servers_call(stage: Stage):
    before = stage.door.end()
    device = "5f2a7c1e-0d3b-4a6f-9c8d-1e2f3a4b5c6d"
    body = f"app_token={TOKEN}&android_uuid={device}&os_name=android&event_token=e"
    adid = stage.door.ask("POST", "/in/adjust/adj/event", body.encode()).json["adid"]
    send(f"{stage.door.url}/event", BEARER, adid=adid, idfa="6D92078A-8246-4BA4-AE5B-76104861E7DC")
    first, second = stage.door.since(Topic.ACTIVITY, before)
    assert first.device.id == second.device.id == device


def test_a_token_that_nothing_is_held_to_makes_no_server_of_an_app(stage: Stage):
    before = stage.door.end()
    url = f"{stage.door.url}/in/adjust/open/event"
    send(url, "anything", OPEN_TOKEN, gps_adid="g", ip_address="203.0.113.9")
    (one,) = stage.door.since(Topic.ACTIVITY, before)
    assert (one.sender, one.ip) == ("app", "127.0.0.1")


@pytest.mark.parametrize("token", [None, "wrong"])
def test_a_server_without_the_doors_token_is_told(stage: Stage, token: str | None):
    before = stage.door.end()
    with pytest.raises(AuthorizationError) as fault:
        send(f"{stage.door.url}/in/adjust/srv/event", token, gps_adid="g")
    assert "secret of this door" in json.loads(str(fault.value))["error"]
    (refusal,) = stage.door.since(Topic.REFUSED, before)
    assert (refusal.reason, refusal.param) == ("unknown_key", "Authorization")
    assert SERVER_TOKEN not in refusal.query


def test_what_cannot_be_kept_is_answered_without_json_so_that_no_sdk_lets_it_go():
    body = f"app_token={TOKEN}&android_uuid=d".encode()
    with front(ADJUST_WEB, door("adj", TOKEN)) as running:
        running.journal.fault = JournalFull()
        for path in ("/session", "/in/adjust/adj/session"):
            answer = running.ask("POST", path, body)
            assert (answer.status, answer.body) == (503, b"send again later\n")
            assert answer.headers["retry-after"] == "2"
        running.journal.fault = None
        assert running.ask("POST", "/session", body).json["ask_in"] == 2000
