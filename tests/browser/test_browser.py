"""The script for web pages in a real browser, from a followed link to what is credited."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from house import http, wait_for
from shop import GUIDE, Person, Server, Shop

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def order(number: str) -> dict[str, Any]:
    return {"revenue": {"amount": 12.5, "currency": "EUR"}, "transaction_id": number}


def edit(visitor: Person, change: str) -> None:
    """Change what the script has stored, as time or somebody's hand may."""
    visitor.js(
        "const state = JSON.parse(localStorage.getItem('attribune'));"
        f"{change}; localStorage.setItem('attribune', JSON.stringify(state))"
    )


def told_of(shop: Shop, device: str, kind: str) -> list[dict[str, Any]]:
    """What stands in the explained stories of a device, by kind."""
    return [one for story in shop.stories(device) for one in story[kind]]


# --- from the click to the credit


def test_a_click_leads_to_an_open_and_its_events_are_credited(shop: Shop, visitor: Person):
    link = shop.link("acme")
    visitor.goes(f"{shop.house.collector_url}/c/{link}?click_id=c-1&email=somebody%40example.com")
    assert visitor.js("return location.origin") == shop.server.origin
    visitor.says("event", "purchase", order("W-1"))
    visitor.has_told_all()
    [story] = shop.stories(visitor.store()["click"])
    assert (story["kind"], story["method"]) == ("install", "REFERRER")
    assert story["winner"]["partner"] == "acme"
    assert story["device"] == visitor.device()
    [event] = story["events"]
    assert (event["name"], event["revenue"]["amount"]) == ("purchase", "12.50")
    assert visitor.driver.execute_cdp_cmd("Storage.getCookies", {})["cookies"] == []


def test_what_a_page_is_told_of_itself_is_what_its_server_may_tell(shop: Shop, visitor: Person):
    visitor.goes(f"{shop.house.collector_url}/c/{shop.link('ids')}")
    visitor.js("attribune('ids', (ids) => { window.told = ids; })")
    state = visitor.store()
    assert visitor.js("return told") == {"device": state["id"], "click": state["click"]}


def test_a_landing_without_our_redirect_is_a_click_of_the_link_it_names(
    shop: Shop, visitor: Person
):
    newsletter, direct = shop.link("letter"), shop.link("direct")
    shop.page("/links", f'data-links="other=x, letter={newsletter}"')
    origin = shop.server.origin
    visitor.goes(f"{origin}/links?utm_source=letter&utm_campaign=may&email=somebody%40example.com")
    visitor.has_told_all()
    wait_for(lambda: visitor.store().get("click"))
    [story] = shop.stories(visitor.device())
    assert story["winner"]["partner"] == "letter"
    [told] = [url for url in visitor.calls() if "/c/" in url]
    assert told.partition("?")[2] == "redirect=false&utm_source=letter&utm_campaign=may"
    # The same address again is the same click.
    visitor.goes(f"{origin}/links?utm_source=letter&utm_campaign=may&email=somebody%40example.com")
    time.sleep(0.5)
    assert [url for url in visitor.calls() if "/c/" in url] == []
    visitor.forgets(origin)
    visitor.goes(f"{origin}/?attribune_link={direct}&click_id=c-7")
    wait_for(lambda: (visitor.store() or {}).get("click"))
    visitor.has_told_all()
    [story] = shop.stories("c-7")
    assert (story["winner"]["partner"], story["device"]) == ("direct", visitor.device())


def test_a_session_has_one_open(shop: Shop, visitor: Person):
    page = f"{shop.server.origin}/"
    visitor.goes(page)
    visitor.goes(page)
    visitor.says("open")
    visitor.has_told_all()
    assert told_of(shop, visitor.device(), "opens") == []  # the first is the install itself
    edit(visitor, f"state.last -= {HOUR_MS}")
    visitor.goes(page)
    visitor.has_told_all()
    assert len(told_of(shop, visitor.device(), "opens")) == 1


def test_a_purchase_told_by_site_and_app_counts_once(shop: Shop, visitor: Person):
    visitor.goes(f"{shop.server.origin}/")
    visitor.says("event", "purchase", order("BOTH-1"))
    visitor.has_told_all()
    phone = {"id": "phone-1", "platform": "android"}
    shop.tell(shop.app_server_key, id="app-o", name="start", device=phone)
    shop.tell(shop.app_server_key, id="app-e", name="purchase", device=phone, **order_of("BOTH-1"))
    stories = [*shop.stories("BOTH-1"), *shop.stories("app-e")]
    assert [story["device"] for story in stories for _ in story["events"]] == [visitor.device()]
    refusals = [one["reason"] for story in stories for one in story["refused"]]
    assert refusals == ["repeated_transaction"]


def order_of(number: str) -> dict[str, Any]:
    return order(number) | {"revenue": {"amount": "12.50", "currency": "EUR"}}


def test_who_registers_on_the_site_and_deposits_in_the_app_is_one_customer(
    shop: Shop, visitor: Person, tmp_path
):
    rules = tmp_path / "policy.toml"
    rules.write_text('name = "ours"\ncustomer_binding = "first"\n')
    shop.house.cli("policy", "set", "--product", shop.site["product"], "--file", str(rules))
    visitor.goes(f"{shop.house.collector_url}/c/{shop.link('webby')}")
    visitor.has_told_all()
    visitor.js("attribune('ids', (ids) => { window.form = ids; })")
    device = {"id": visitor.js("return form.device")}
    shop.tell(shop.server_key, id="reg", name="signup", device=device, user_id="u-7")
    phone = {"id": "phone-7", "platform": "android"}
    opened = http(
        "POST",
        f"{shop.house.collector_url}/v1/open",
        {"id": "o-7", "device": phone},
        key=shop.app["key"],
    )
    assert opened.status == 200
    shop.tell(shop.app_server_key, id="log", name="login", device=phone, user_id="u-7")
    shop.tell(shop.app["key"], id="dep", name="deposit", device=phone, **order_of("DEP-7"))
    events = told_of(shop, "phone-7", "events")
    assert [(one["name"], one["partner"]) for one in events] == [
        ("login", "webby"),
        ("deposit", "webby"),
    ]


# --- consent


def test_nothing_is_kept_or_sent_before_a_consent_that_is_required(shop: Shop, visitor: Person):
    visitor.goes(f"{shop.house.collector_url}/c/{shop.link('asked')}")
    visitor.forgets(shop.server.origin)
    visitor.goes(f"{shop.server.origin}/ask")
    visitor.says("user", "u-1")
    visitor.says("event", "look", {})
    visitor.says("consent", {"sharing": False})
    time.sleep(0.5)  # longer than anything waits that is to be sent
    assert visitor.calls() == []
    assert visitor.js("return [localStorage.length, sessionStorage.length, document.cookie]") == [
        *(0, 0),
        "",
    ]
    visitor.js(
        "window.sent = []; const send = fetch;"
        "window.fetch = (url, words) => { sent.push(words.body); return send(url, words); };"
    )
    visitor.says("consent", {"measurement": True})
    visitor.has_told_all()
    device = visitor.device()
    assert visitor.store()["sharing"] is False
    [story] = shop.stories(device)
    assert [event["name"] for event in story["events"]] == ["look"]
    # What the person chose is told before the open: no partner could be told of it in between.
    told = [
        one["type"] for body in visitor.js("return sent") for one in json.loads(body)["records"]
    ]
    assert told == ["consent", "consent", "open", "event"]
    visitor.says("consent", {"measurement": False})
    assert visitor.store() is None
    visitor.says("event", "after", {})
    visitor.goes(f"{shop.server.origin}/ask")
    time.sleep(0.5)
    assert visitor.calls() == []
    answer = shop.tell(shop.server_key, id="later", name="later", device={"id": device})
    assert answer["results"][0]["status"] == "accepted"
    refusals = [one["reason"] for one in told_of(shop, device, "refused")]
    assert refusals == ["no_consent"]


def test_a_refusal_without_a_net_is_told_as_soon_as_there_is_one(shop: Shop, visitor: Person):
    visitor.goes(f"{shop.server.origin}/")
    visitor.has_told_all()
    device = visitor.device()
    visitor.offline(True)
    visitor.says("consent", {"measurement": False})
    assert "id" not in visitor.store()
    visitor.offline(False)

    def is_refused() -> bool:
        name = f"later-{time.time_ns()}"
        shop.tell(shop.server_key, id=name, name="later", device={"id": device})
        return "no_consent" in [one["reason"] for one in told_of(shop, device, "refused")]

    wait_for(is_refused, 15, "the refusal was not told")


def test_a_refusal_is_remembered_without_an_id(shop: Shop, visitor: Person):
    visitor.goes(f"{shop.server.origin}/")
    visitor.has_told_all()
    visitor.says("consent", {"measurement": False})
    assert set(visitor.store()) == {"until", "measurement", "queue"}
    visitor.goes(f"{shop.server.origin}/")
    visitor.says("event", "look", {})
    time.sleep(0.5)
    assert visitor.calls() == []
    visitor.says("consent", {"measurement": True})
    visitor.has_told_all()
    assert len(told_of(shop, visitor.device(), "events")) == 1


def test_a_choice_made_before_the_script_is_there_counts_for_all(shop: Shop, visitor: Person):
    snippet = shop.server.pages["/"]
    early = "<script>attribune('event', 'look', {}); attribune('consent', {measurement: false});</script>"
    shop.server.pages["/early"] = snippet.replace("<script async", f"{early}<script async")
    visitor.goes(f"{shop.server.origin}/early")
    time.sleep(0.5)
    assert visitor.calls() == []
    assert "id" not in visitor.store()


def test_global_privacy_control_says_no_to_sharing(shop: Shop, visitor: Person):
    signal = "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {value: true})"
    added = visitor.driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument", {"source": signal}
    )
    try:
        visitor.goes(f"{shop.server.origin}/")
        visitor.has_told_all()
        assert visitor.store()["sharing"] is False
        visitor.says("consent", {"sharing": True})
        visitor.has_told_all()
        visitor.goes(f"{shop.server.origin}/")
        assert visitor.store()["sharing"] is True
    finally:
        visitor.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


# --- what is kept, and for how long


def test_offline_it_waits_and_is_told_once_later(shop: Shop, visitor: Person):
    visitor.goes(f"{shop.server.origin}/")
    visitor.has_told_all()
    visitor.offline(True)
    visitor.says("event", "look", {})
    visitor.says("event", "buy", order("OFF-1"))
    time.sleep(0.5)
    waiting = [one["id"] for one in visitor.store()["queue"]]
    assert len(waiting) == 2
    visitor.offline(False)
    visitor.has_told_all()
    edit(visitor, f"state.queue.push({{type: 'event', id: '{waiting[0]}', at: Date.now(),"
         " device: {id: state.id}, name: 'look'})")  # its answer was lost  # fmt: skip
    visitor.goes(f"{shop.server.origin}/")
    visitor.has_told_all()
    events = told_of(shop, visitor.device(), "events")
    assert sorted(event["name"] for event in events) == ["buy", "look"]


def test_what_is_said_while_others_are_told_is_told_next(shop: Shop, visitor: Person):
    visitor.goes(f"{shop.server.origin}/")
    visitor.has_told_all()
    visitor.js(
        "const told = fetch; window.fetch = (...words) => told(...words).then((answer) =>"
        " new Promise((resolve) => { setTimeout(resolve, 400, answer); }));"
        "attribune('event', 'first'); setTimeout(() => attribune('event', 'second'), 200);"
    )
    wait_for(lambda: len(told_of(shop, visitor.device(), "events")) == 2)


def test_the_last_words_of_a_page_arrive(shop: Shop, visitor: Person):
    visitor.goes(f"{shop.server.origin}/")
    visitor.has_told_all()
    device = visitor.device()
    visitor.js("attribune('event', 'bye'); location.href = 'about:blank'")
    wait_for(lambda: [one["name"] for one in told_of(shop, device, "events")] == ["bye"])


def test_a_browser_that_ends_requests_with_their_page_sends_a_beacon(shop: Shop, visitor: Person):
    visitor.goes(f"{shop.server.origin}/")
    visitor.has_told_all()
    visitor.js(
        "delete Request.prototype.keepalive; window.fetch = () => Promise.reject(new Error('ended'));"
        "Object.defineProperty(document, 'hidden', {value: true}); attribune('event', 'bye');"
    )
    wait_for(lambda: [one["name"] for one in told_of(shop, visitor.device(), "events")] == ["bye"])


def test_ids_end_at_their_time(shop: Shop, visitor: Person):
    visitor.goes(f"{shop.server.origin}/day")
    visitor.has_told_all()
    first, until = visitor.device(), visitor.store()["until"]
    assert 0 < until - time.time() * 1000 <= DAY_MS
    edit(visitor, f"state.last -= {HOUR_MS}")
    visitor.goes(f"{shop.server.origin}/day")
    assert (visitor.device(), visitor.store()["until"]) == (
        first,
        until,
    )  # a visit prolongs nothing
    edit(visitor, "state.until = Date.now() - 1")
    visitor.goes(f"{shop.server.origin}/day")
    assert visitor.device() != first


def test_old_and_many_records_do_not_pile_up(shop: Shop, visitor: Person):
    visitor.goes(f"{shop.server.origin}/")
    visitor.has_told_all()
    visitor.offline(True)
    visitor.js("for (let i = 0; i < 103; i += 1) attribune('event', 'n' + i)")
    queue = visitor.store()["queue"]
    assert [one["name"] for one in queue] == [f"n{i}" for i in range(3, 103)]
    assert (
        sum(one.get("records_dropped", 0) for one in queue) == 2
    )  # the next one tells of the last
    edit(visitor, f"state.queue.forEach((one) => {{ one.at -= {8 * DAY_MS}; }})")
    visitor.says("event", "new", {})
    assert [one["name"] for one in visitor.store()["queue"]] == ["new"]


# --- strangers and odd things


#: What a page hears of a call: its answer, or that it may not.
HEARD = "const [url, words, done] = arguments; fetch(url, words).then((a) => a.text()).then(done, () => done('no'))"


def test_a_page_of_a_foreign_origin_gets_nothing(shop: Shop, visitor: Person):
    foreign, ours = Server(), shop.house.collector_url
    try:
        shop.page("/", server=foreign)
        visitor.goes(f"{foreign.origin}/")
        visitor.says("event", "forged", order("F-1"))
        # The script's own calls are over when one more has been answered.
        forged = {"id": "f-2", "type": "open", "device": {"id": "forged-2"}}
        body = json.dumps({"key": shop.site["key"], "records": [forged]})
        heard = visitor.driver.execute_async_script
        assert heard(HEARD, f"{ours}/v1/batch", {"method": "POST", "body": body}) == "no"
        assert heard(HEARD, f"{ours}/c/{shop.link('foreign')}?redirect=false", {}) == "no"
        wait_for(lambda: [url for url in visitor.calls() if "/v1/batch" in url])
        device = visitor.device()
        assert [one["name"] for one in visitor.store()["queue"] if "name" in one] == ["forged"]
        assert [shop.stories(handle) for handle in (device, "F-1", "forged-2")] == [[], [], []]
    finally:
        visitor.goes(f"{shop.server.origin}/")
        foreign.stop()


ODD = (
    "attribune()",
    "attribune('nothing', 1)",
    "attribune('__proto__')",
    "attribune('constructor')",
    "attribune('event')",
    "attribune('event', {toString() { throw 1; }})",
    "attribune('event', 'odd', null)",
    "attribune('event', 'odd', {revenue: 12, params: []})",
    "attribune('event', 'odd', {params: {big: 10n}})",
    "attribune('event', 'odd', {params: {text: 'x'.repeat(1e6)}})",
    "attribune('consent')",
    "attribune('consent', 'yes')",
    "attribune('user', {})",
    "attribune('ids', () => { throw new Error('of the page'); })",
    "localStorage.setItem('attribune', '[[[');",
    "localStorage.setItem('attribune', '{\"until\": 9e15, \"queue\": [null, 1]}');",
    "Storage.prototype.setItem = () => { throw new Error('full'); }",
)


def test_odd_calls_throw_nothing_into_the_page_and_spoil_nothing(shop: Shop, visitor: Person):
    visitor.goes(f"{shop.server.origin}/")
    visitor.js("window.thrown = []; onerror = (what) => { thrown.push(what); };"
               "onunhandledrejection = (what) => { thrown.push(String(what.reason)); }")  # fmt: skip
    for code in ODD:
        visitor.js(code)
    visitor.says("event", "sound", {})
    visitor.js("attribune('ids', ({ device }) => { window.device = device; })")
    wait_for(lambda: told_of(shop, visitor.js("return device"), "events"))
    assert "sound" in [one["name"] for one in told_of(shop, visitor.js("return device"), "events")]
    assert visitor.js("return thrown") == []


def test_what_the_guide_says_to_call_is_understood(shop: Shop, visitor: Person):
    said = re.findall(r"^```js\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    assert said
    visitor.goes(f"{shop.server.origin}/")
    visitor.js("window.warned = []; console.warn = (...what) => { warned.push(what.join(' ')); }")
    for code in said:
        visitor.js(code)
    visitor.has_told_all()
    assert visitor.js("return warned") == []
    assert visitor.js("return document.title").startswith(visitor.device())
    [event] = told_of(shop, visitor.device(), "events")
    assert (event["name"], event["transaction_id"]) == ("purchase", "order-1042")
