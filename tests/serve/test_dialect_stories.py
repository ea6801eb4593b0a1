"""A house behind apps that carry other vendors' libraries: a click of ours, their first open, the facts, and the partner who is told."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from house import RunningHouse, http, wait_for
from serve.hearing import Partner

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

PHONE = {
    "user-agent": "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile"
}
KEY = "key-of-the-stories"
IGLU = "iglu:com.snowplowanalytics"
SPEAKING = ("segment", "rudder", "snowplow", "singular", "posthog", "amplitude", "mixpanel", "ga4")


class Game(NamedTuple):
    house: RunningHouse
    partner: Partner
    doors: dict[str, str]
    click_url: str

    def click(self, number: str, gaid: str) -> str:
        """What Play hands to the app after a click."""
        answer = http("GET", f"{self.click_url}?click_id={number}&gaid={gaid}", headers=PHONE)
        return parse_qs(urlsplit(answer.headers["location"]).query)["referrer"][0]


@pytest.fixture(scope="module")
def game(shared_house: RunningHouse) -> Iterator[Game]:
    house, partner = shared_house, Partner()
    try:
        words = ("--name", "Tales", "--platform", "android", "--store-id", "com.example.tales")
        app = house.cli("app", "add", *words)["app"]["id"]
        house.cli("partner", "add", "--name", "north", "--kind", "network")
        link = house.cli("link", "add", "--app", app, "--partner", "north", "--campaign", "spring")
        doors = {}
        for name in SPEAKING:
            words = ("--app", app, "--dialect", name, "--key", KEY)
            doors[name] = house.cli("door", "add", *words)["door"]["url"]
        house.cli(
            *("postback", "add", "--partner", "north", "--template", "generic-get"),
            *("--trigger", "install", "--trigger", "event", "--allow-host", "127.0.0.1"),
            *("--set", f"url={partner.url}?c={{partner_click_id}}&e={{event_name}}&r={{revenue}}"),
        )
        one = Game(house, partner, doors, link["link"]["click_url"])
        wait_for(lambda: http("HEAD", one.click_url, headers=PHONE).status == 302)
        yield one
    finally:
        partner.stop()


def basic() -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()}


def tell(url: str, path: str, said: Any, **headers: str) -> None:
    """One request of a library, which is answered as it wants."""
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    answer = http("POST", url + path, body, {"content-type": "application/json", **headers})
    assert 200 <= answer.status < 300, answer


def family(url: str, device: str, referrer: str, gaid: str) -> None:
    context = {"device": {"id": device, "advertisingId": gaid, "type": "android"}, "os": {"name": "Android"}}  # fmt: skip
    opened = {"type": "track", "event": "Application Installed", "messageId": f"{device}-1", "context": context, "properties": {"install_referrer": referrer}}  # fmt: skip
    bought = {"type": "track", "event": "Order Completed", "messageId": f"{device}-2", "context": context, "properties": {"revenue": 9.99, "currency": "EUR", "order_id": device}}  # fmt: skip
    tell(url, "/v1/batch", {"batch": [opened, bought]}, **basic())


def snowplow(url: str, device: str, referrer: str, gaid: str) -> None:
    def entity(name: str, data: dict[str, Any]) -> dict[str, Any]:
        return {"schema": f"{IGLU}.snowplow/{name}/jsonschema/1-0-0", "data": data}

    context = [entity("client_session", {"userId": device}), entity("mobile_context", {"osType": "android", "androidIdfa": gaid})]  # fmt: skip
    play = entity("referrer_details", {"installReferrer": referrer})
    data = [
        {"e": "ue", "eid": f"{device}-1", "ue_pr": json.dumps(entity("unstruct_event", entity("application_install", {}))), "co": json.dumps(entity("contexts", [*context, play]))},  # type: ignore[arg-type]
        {"e": "ue", "eid": f"{device}-2", "ue_pr": json.dumps(entity("unstruct_event", entity("bought", {"revenue": 9.99, "currency": "EUR", "transaction_id": device}))), "co": json.dumps(entity("contexts", context))},  # type: ignore[arg-type]
    ]  # fmt: skip
    tell(url, "/com.snowplowanalytics.snowplow/tp2", {"schema": "x", "data": [{"aid": KEY, "p": "mob", **one} for one in data]})  # fmt: skip


def singular(url: str, device: str, referrer: str, gaid: str) -> None:
    who = {"a": KEY, "p": "Android", "sdid": device, "aifa": gaid}
    for path, said in (
        ("/api/v1/launch", {"install": "true", "install_ref": referrer, "event_id": f"{device}-1"}),
        ("/api/v1/evt", {"n": "bought", "amt": "9.99", "cur": "EUR", "event_id": f"{device}-2", "purchase_transaction_id": device}),
    ):  # fmt: skip
        answer = http("GET", f"{url}{path}?{urlencode({**who, **said})}")
        assert answer.json() == {"status": "ok"}


def posthog(url: str, device: str, referrer: str, gaid: str) -> None:
    who = {"$device_id": device, "$os": "Android"}
    link = f"https://tales.example/open?{referrer}"
    batch = [
        {"event": "Application Opened", "uuid": f"{device}-1", "properties": {**who, "url": link}},
        {"event": "bought", "uuid": f"{device}-2", "properties": {**who, "revenue": 9.99, "currency": "EUR", "order_id": device}},
    ]  # fmt: skip
    tell(url, "/batch/", {"api_key": KEY, "batch": batch})


def amplitude(url: str, device: str, referrer: str, gaid: str) -> None:
    who = {"device_id": device, "platform": "Android", "adid": gaid}
    events = [
        {"event_type": "[Amplitude] Application Installed", "insert_id": f"{device}-1", **who},
        {"event_type": "bought", "insert_id": f"{device}-2", "revenue": 9.99, "currency": "EUR", "event_properties": {"order_id": device}, **who},
    ]  # fmt: skip
    tell(url, "/2/httpapi", {"api_key": KEY, "events": events})


def mixpanel(url: str, device: str, referrer: str, gaid: str) -> None:
    """No word for a referrer and none for an advertising id: a page's address says the click."""
    who = {"token": KEY, "$device_id": device, "$os": "Android"}
    link = f"https://tales.example/open?{referrer}"
    tell(
        url, "/track", [{"event": "$app_open", "properties": {**who, "$insert_id": f"{device}-1"}}]
    )
    tell(url, "/track", [
        {"event": "bought", "properties": {**who, "$insert_id": f"{device}-2", "amount": 9.99, "currency": "EUR", "order_id": device, "$current_url": link}},
    ])  # fmt: skip


def ga4(url: str, device: str, referrer: str, gaid: str) -> None:
    link = f"https://tales.example/open?{referrer}"
    events = [
        {"name": "first_open", "params": {"page_location": link}},
        {
            "name": "purchase",
            "params": {"value": 9.99, "currency": "EUR", "transaction_id": device},
        },
    ]
    tell(url, f"/mp/collect?firebase_app_id=1&api_secret={KEY}", {"app_instance_id": device, "timestamp_micros": int(time.time() * 1e6), "events": events})  # fmt: skip


SAY = {
    "segment": family,
    "rudder": family,
    "snowplow": snowplow,
    "singular": singular,
    "posthog": posthog,
    "amplitude": amplitude,
    "mixpanel": mixpanel,
    "ga4": ga4,
}


@pytest.mark.parametrize("dialect", SPEAKING)
def test_from_a_click_to_the_partner_who_is_told(game: Game, dialect: str) -> None:
    number = SPEAKING.index(dialect)
    device, click = f"device-of-{dialect}", f"click-of-{dialect}"
    gaid = f"38400000-8cf0-41bd-b23e-{number + 1:012d}"
    referrer = game.click(click, gaid)
    SAY[dialect](game.doors[dialect], device, referrer, gaid)
    game.house.settle()
    (story,) = game.house.cli("explain", device)["stories"]
    assert (story["kind"], story["source"]) == ("install", "attributed")
    assert story["winner"]["partner"] == "north"
    assert story["winner"]["partner_click_id"] == click
    (bought,) = story["events"]
    assert bought["revenue"] == {"amount": "9.99", "currency": "EUR"}
    assert bought["transaction_id"] == device
    wait_for(lambda: sum(click in path for path in game.partner.heard) == 2, 20, "it was not told")
    told = [path for path in game.partner.heard if click in path]
    assert sorted("r=9.99" in path for path in told) == [False, True]
