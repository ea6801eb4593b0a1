"""A house behind apps whose people say no, in every language that has words for it, and yes again."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from house import RunningHouse, http, wait_for
from serve.hearing import Partner

from attribune.collect.dialects.adjust_times import write_time

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

KEY = "key_live_abcdefghijklmnopqrstuvwxyz012345"
TOKEN = "abc123def456"
PHONE = {"user-agent": "Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/126.0 Mobile"}


class Town(NamedTuple):
    house: RunningHouse
    partner: Partner
    click_url: str
    app_key: str
    doors: dict[str, str]

    def heard(self, name: str) -> list[str]:
        """What the partner was told of an event, by each of its two postbacks."""
        return sorted(said for said in self.partner.heard if name in said)

    def post(self, url: str, said: Any, **headers: str) -> dict[str, Any]:
        form = isinstance(said, bytes)
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        answer = http("POST", url, said, {"content-type": kind, **headers})
        assert 200 <= answer.status < 300, answer
        return answer.json() if answer.body else {}


class Person(NamedTuple):
    """Somebody with a phone, as one language speaks of them. What it cannot say is None."""

    open: Callable[[], Any]
    event: Callable[[str], Any]
    share: Callable[[bool], Any]
    measure: Callable[[bool], Any] | None = None


def native(town: Town, device: str, gaid: str) -> Person:
    def tell(kind: str, **said: Any) -> None:
        record = {"type": kind, "id": f"{device}-{time.time_ns()}", "at": int(time.time() * 1000), **said}  # fmt: skip
        record["device"] = {"id": device, "platform": "android", "gaid": gaid}
        town.post(
            f"{town.house.collector_url}/v1/{kind}",
            record,
            authorization=f"Bearer {town.app_key}",
        )

    return Person(
        lambda: tell("open"),
        lambda name: tell("event", name=name),
        lambda may: tell("consent", sharing=may),
        lambda may: tell("consent", measurement=may),
    )


def adjust(town: Town, device: str, gaid: str) -> Person:
    def tell(path: str, **said: str) -> None:
        now = write_time(int(time.time() * 1000))
        words = {
            "app_token": TOKEN, "environment": "production", "os_name": "android", "android_uuid": device, "gps_adid": gaid,
            "created_at": now, "sent_at": now, **said,
        }  # fmt: skip
        told = town.post(town.doors["adjust"] + path, urlencode(words).encode(), **{"client-sdk": "android5.4.6"})  # fmt: skip
        assert "tracking_state" not in told, "an SDK that hears of it would stop for good"

    able = {True: "enable", False: "disable"}
    return Person(
        lambda: tell("/session", session_count="1"),
        lambda name: tell("/event", event_token=name),
        lambda may: tell("/third_party_sharing", sharing=able[may]),
        lambda may: tell("/measurement_consent", measurement=able[may]),
    )


def branch(town: Town, device: str, gaid: str) -> Person:
    who = {"os": "Android", "anon_id": device, "advertising_ids": {"aaid": gaid}}

    def tell(path: str, **said: Any) -> None:
        made = {"branch_sdk_request_unique_id": f"{device}-{time.time_ns()}", "branch_sdk_request_timestamp": int(time.time() * 1000)}  # fmt: skip
        town.post(town.doors["branch"] + path, {"branch_key": KEY, "sdk": "android5.21.2", **made, **said})  # fmt: skip

    level = {True: "FULL", False: "NONE"}
    return Person(
        lambda: tell("/v1/install", **who, hardware_id=device),
        lambda name: tell("/v2/event/custom", name=name, user_data={**who, "hardware_id": device}),
        lambda may: tell("/v1/open", **who, dma_eea=True, dma_ad_user_data=may),
        lambda may: tell("/v1/open", **who, cpp_level=level[may]),
    )


def segment(town: Town, device: str, gaid: str) -> Person:
    basic = "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()

    def tell(event: str, **preferences: bool) -> None:
        context = {"device": {"id": device, "advertisingId": gaid, "type": "android"}, "os": {"name": "Android"}}  # fmt: skip
        consent = {"consent": {"categoryPreferences": preferences}} if preferences else {}
        now = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime()) + f"{time.time_ns() // 10**6 % 1000:03}Z"  # fmt: skip
        said = {"type": "track", "event": event, "messageId": f"{device}-{time.time_ns()}", "timestamp": now, "context": context | consent}  # fmt: skip
        town.post(town.doors["segment"] + "/v1/batch", {"batch": [said]}, authorization=basic)

    update = "Segment Consent Preference Updated"
    return Person(
        lambda: tell("Application Installed"),
        tell,
        lambda may: tell(update, Advertising=may),
        lambda may: tell(update, Analytics=may),
    )


def singular(town: Town, device: str, gaid: str) -> Person:
    def tell(path: str, **said: str) -> None:
        words = {"a": KEY, "p": "Android", "sdid": device, "aifa": gaid, "event_id": f"{device}-{time.time_ns()}", **said}  # fmt: skip
        assert http("GET", f"{town.doors['singular']}{path}?{urlencode(words)}").status == 200

    def share(may: bool) -> None:
        options = json.dumps({"limit_data_sharing": not may})
        tell("/api/v1/evt", n="choice", data_sharing_options=options)

    return Person(
        lambda: tell("/api/v1/launch", install="true"),
        lambda name: tell("/api/v1/evt", n=name),
        share,
    )


def ga4(town: Town, device: str, gaid: str) -> Person:
    def tell(name: str, **said: Any) -> None:
        link = f"https://game.example/?attribune_click={clicked(town, device, gaid)}" if name == "first_open" else ""  # fmt: skip
        events = [{"name": name, "params": {"page_location": link, "n": time.time_ns()}}]
        stamp = time.time_ns() // 1000
        town.post(f"{town.doors['ga4']}/mp/collect?firebase_app_id=1&api_secret={KEY}", {"app_instance_id": device, "timestamp_micros": stamp, "events": events, **said})  # fmt: skip

    word = {True: "GRANTED", False: "DENIED"}
    return Person(
        lambda: tell("first_open"),
        tell,
        lambda may: tell("choice", consent={"ad_user_data": word[may]}),
    )


def clicked(town: Town, device: str, gaid: str) -> str:
    """Our id of a click, by which the person comes."""
    url = f"{town.click_url}?click_id=click-of-{device}&gaid={gaid}&redirect=false"
    return http("GET", url, headers=PHONE).json()["touch_id"]


LANGUAGES = {
    "native": native, "adjust": adjust, "branch": branch, "segment": segment, "singular": singular, "ga4": ga4,
}  # fmt: skip


@pytest.fixture(scope="module")
def town(shared_house: RunningHouse) -> Iterator[Town]:
    house, partner = shared_house, Partner()
    try:
        words = ("--name", "Game", "--platform", "android", "--store-id", "com.example.game")
        app = house.cli("app", "add", *words)["app"]["id"]
        house.cli("partner", "add", "--name", "north", "--kind", "network")
        link = house.cli("link", "add", "--app", app, "--partner", "north", "--campaign", "spring")
        doors = {}
        for name in LANGUAGES.keys() - {"native"}:
            key = TOKEN if name == "adjust" else KEY
            made = house.cli("door", "add", "--app", app, "--dialect", name, "--key", key)["door"]
            doors[name] = made["url"].rstrip("/")
        told = ("--trigger", "install", "--trigger", "event", "--allow-host", "127.0.0.1")
        get = f"url={partner.url}?e={{event_name}}&d={{device_id}}&c={{partner_click_id}}"
        of_north = ("postback", "add", "--partner", "north")
        house.cli(*of_north, "--template", "generic-get", *told, "--set", get)
        house.cli(*of_north, "--template", "generic-json", *told, "--set", f"url={partner.url}")
        secret = house.cli("key", "add", "--app", app, "--kind", "app")["key"]["secret"]
        one = Town(house, partner, link["link"]["click_url"], secret, doors)
        wait_for(lambda: http("HEAD", one.click_url, headers=PHONE).status == 302)
        yield one
    finally:
        partner.stop()


def person_of(town: Town, language: str) -> tuple[Person, str]:
    device = f"5f2a7c1e-0d3b-4a6f-9c8d-{[*LANGUAGES].index(language):012d}"
    gaid = f"38400000-8cf0-41bd-b23e-{[*LANGUAGES].index(language) + 1:012d}"
    if language != "ga4":  # whose word for an identifier there is none
        clicked(town, device, gaid)
    return LANGUAGES[language](town, device, gaid), device


def is_shared(town: Town, name: str, device: str) -> None:
    wait_for(lambda: len(town.heard(name)) == 2, 20, f"{name} was not told twice")
    post, get = town.heard(name)
    assert f"c=click-of-{device}" in get
    assert json.loads(post.partition(" ")[2])["click_id"] == f"click-of-{device}"


def is_shared_no_more(town: Town, name: str, device: str) -> None:
    """The one postback tells what was advertised and what happened, the other nothing."""
    wait_for(lambda: town.heard(name), 20, f"{name} was not told at all")
    said = json.loads(town.heard(name)[0].partition(" ")[2])
    assert (said["event"], said["campaign"]) == (name, "spring")
    assert "click_id" not in said

    def is_settled() -> bool:
        told = [one for story in town.house.cli("explain", device)["stories"] for one in story["deliveries"]]  # fmt: skip
        return any("does not share" in (one["reason"] or "") for one in told)

    wait_for(is_settled, 20, "the other postback did not end")
    assert [device in said for said in town.heard(name)] == [False]


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_does_not_share_is_told_less_of_and_who_does_again_all(
    town: Town, language: str
) -> None:
    person, device = person_of(town, language)
    person.open()
    for step, may in enumerate((True, False, True)):
        if step:
            person.share(may)
        name = f"{language}_{step}"
        person.event(name)
        (is_shared if may else is_shared_no_more)(town, name, device)


def refused(town: Town) -> int:
    rows = town.house.cli("report", "--metrics", "refused", "--by", "reason")["rows"]
    return {row["reason"]: row["refused"] for row in rows}.get("no_consent", 0)


def asked(town: Town, device: str) -> dict[str, Any]:
    url = f"{town.house.collector_url}/v1/attribution?device_id={device}"
    return http("GET", url, key=town.app_key).json()


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name not in {"singular", "ga4"}])  # fmt: skip
def test_who_is_not_measured_leaves_no_trace_until_they_are_again(
    town: Town, language: str, tmp_path: Any
) -> None:
    person, device = person_of(town, language)
    person.open()
    town.house.settle()
    before = refused(town)
    assert person.measure is not None
    person.measure(False)
    person.event(f"{language}_secret")
    town.house.settle()
    assert refused(town) > before
    assert asked(town, device)["measurement"] is False
    told = town.house.cli("explain", device)
    reasons = {one["reason"] for story in told["stories"] for one in story["refused"]}
    assert reasons == {"no_consent"}
    person.measure(True)
    person.event(f"{language}_open")
    is_shared(town, f"{language}_open", device)
    assert asked(town, device)["attribution"]["partner"] == "north"
    town.house.settle()
    file = tmp_path / "events.csv"
    days = ("--from", "2020-01-01", "--to", "2099-12-31")
    town.house.cli("export", "events", *days, "--out", str(file))
    names = file.read_text()
    assert f"{language}_open" in names
    assert f"{language}_secret" not in names
    assert not town.heard(f"{language}_secret")


def test_choices_outlive_a_restart_and_views_made_again(town: Town) -> None:
    """In force is what was said last, whatever arrives last."""
    house = town.house
    said = {"silent": {"sharing": False}, "hidden": {"measurement": False}, "back": {"measurement": True, "sharing": True}}  # fmt: skip
    now = int(time.time() * 1000)

    def consent(device: str, at: int, **choice: bool) -> None:
        record = {"type": "consent", "id": f"{device}-{at}-{len(choice)}", "at": at, "device": {"id": device, "platform": "android"}}  # fmt: skip
        town.post(f"{house.collector_url}/v1/consent", {**record, **choice}, authorization=f"Bearer {town.app_key}")  # fmt: skip

    people = {}
    for number, (who, choice) in enumerate(said.items()):
        device, gaid = f"device-of-{who}", f"38400000-8cf0-41bd-b23e-{number + 100:012d}"
        clicked(town, device, gaid)
        people[who] = native(town, device, gaid)
        people[who].open()
        consent(device, now, **choice)
        consent(device, now - 60_000, **{name: not may for name, may in choice.items()})
    house.settle()
    port = int(house.collector_url.rpartition(":")[2])
    house.stop()
    house.cli("rebuild", "all")
    house.start(port)
    for who, person in people.items():
        person.event(f"{who}_after")
    is_shared(town, "back_after", "device-of-back")
    is_shared_no_more(town, "silent_after", "device-of-silent")
    assert asked(town, "device-of-hidden")["measurement"] is False
    assert not town.heard("hidden_after")
    people["hidden"].measure(True)
    people["hidden"].event("hidden_again")
    is_shared(town, "hidden_again", "device-of-hidden")
    audit = house.cli("audit")
    assert audit["ok"], [check for check in audit["checks"] if not check["ok"]]
