"""A house behind an app with Branch's client: the app makes a link, somebody follows it, and the install is told where to go."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from house import RunningHouse, http, wait_for

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

PHONE = {
    "user-agent": "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile"
}
KEY = "key_live_abcdefghijklmnopqrstuvwxyz012345"


class Receiver:
    """Hears what a partner is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                heard.append(self.path)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/pb"

    def stop(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


class Game(NamedTuple):
    """An app whose client speaks to a door of ours."""

    house: RunningHouse
    receiver: Receiver
    door: str
    owner: str

    def tell(self, path: str, **said: Any) -> dict[str, Any]:
        """One request of the client for Android."""
        answer = http("POST", f"{self.door}{path}", {"branch_key": KEY, "sdk": "android5.21.2", **said})  # fmt: skip
        assert answer.status == 200, answer
        return answer.json()

    def start(self, path: str, device: str, **more: Any) -> dict[str, Any]:
        """An install or open; its answer, and what it says to the app."""
        said = {
            "branch_sdk_request_unique_id": f"{path}-{device}-{len(more)}", "branch_sdk_request_timestamp": int(time.time() * 1000),
            "anon_id": device, "hardware_id": f"hw-{device}", "os": "Android", "os_version": 34, "app_store": "PlayStore", **more,
        }  # fmt: skip
        answer = self.tell(path, **said)
        return {**answer, "data": json.loads(answer["data"])}

    def link(self, **said: Any) -> str:
        """The address of a link that the app makes, once it stands."""
        url: str = self.tell("/v1/url", **said)["url"]
        wait_for(lambda: http("HEAD", url, headers=PHONE).status == 302)
        return url

    def click(self, url: str) -> str:
        """What Play hands to the app after a click."""
        answer = http("GET", f"{url}?click_id=c-1", headers=PHONE)
        return parse_qs(urlsplit(answer.headers["location"]).query)["referrer"][0]


@pytest.fixture(scope="module")
def game(shared_house: RunningHouse) -> Iterator[Game]:
    house, receiver = shared_house, Receiver()
    try:
        house.cli("app", "add", "--name", "Game", "--platform", "android", "--store-id", "com.example.game", "--currency", "EUR")  # fmt: skip
        made = house.cli("door", "add", "--app", "Game", "--dialect", "branch", "--key", KEY)["door"]  # fmt: skip
        [owner] = house.cli("partner", "list")["partners"]
        house.cli(
            *("postback", "add", "--partner", owner["id"], "--template", "generic-get"),
            *("--trigger", "install", "--trigger", "event", "--allow-host", "127.0.0.1"),
            *("--set", f"url={receiver.url}?c={{partner_click_id}}&t={{trigger}}"),
        )
        one = Game(house, receiver, made["url"].rstrip("/"), owner["id"])
        wait_for(lambda: http("POST", f"{one.door}/v1/open", {}).status == 401)
        yield one
    finally:
        receiver.stop()


def test_from_a_link_made_in_the_app_to_the_data_of_an_install(game: Game) -> None:
    wanted = {"data": {"item": 7, "$deeplink_path": "item/7"}, "channel": "mail", "feature": "invite", "campaign": "friends", "tags": ["a"]}  # fmt: skip
    url = game.link(**wanted)
    assert game.tell("/v1/url", **wanted) == {"url": url}
    referrer = game.click(url)
    now_s = int(time.time())
    first = game.start("/v1/install", "p-1", install_referrer_extras=referrer, clicked_referrer_ts=now_s - 5, install_begin_ts=now_s - 2)  # fmt: skip
    assert first["link"] == url
    data = first["data"]
    assert data.pop("+click_timestamp") == pytest.approx(now_s, abs=30)
    assert data == {
        "+clicked_branch_link": True, "+is_first_session": True, "+match_guaranteed": True, "item": 7, "$deeplink_path": "item/7",
        "~channel": "mail", "~feature": "invite", "~campaign": "friends", "~tags": ["a"], "~id": url.rpartition("/")[2],
        "~referring_link": url,
    }  # fmt: skip
    token = first["randomized_device_token"]
    again = game.start("/v1/open", "p-1", randomized_device_token=token)
    assert again["data"] == {"+clicked_branch_link": False, "+is_first_session": False}
    bought = {
        "name": "PURCHASE", "branch_sdk_request_unique_id": "buy", "event_data": {"revenue": 12.5, "currency": "EUR", "transaction_id": "T-1"},
        "user_data": {"randomized_device_token": token, "os": "Android"},
    }  # fmt: skip
    assert game.tell("/v2/event/standard", **bought) == {}
    assert game.tell("/v2/event/standard", **{**bought, "retryNumber": 1}) == {}
    game.house.settle()
    [story] = game.house.cli("explain", "p-1")["stories"]
    assert (story["kind"], story["method"], story["winner"]["partner"]) == ("install", "REFERRER", game.owner)  # fmt: skip
    [event] = story["events"]
    assert (event["name"], event["revenue"]) == ("PURCHASE", {"amount": "12.50", "currency": "EUR"})
    rows = game.house.cli("report", "--metrics", "installs,revenue", "--by", "partner,campaign")["rows"]  # fmt: skip
    [row] = [one for one in rows if one["partner"] == game.owner and one["campaign"] == "friends"]
    assert (row["installs"], row["revenue"]) == (1, {"EUR": "12.50"})
    wait_for(lambda: len(game.receiver.heard) >= 2)
    assert sorted(game.receiver.heard) == ["/pb?c=c-1&t=event", "/pb?c=c-1&t=install"]
    touched = game.tell("/v1/cpid/latd", user_data={"randomized_device_token": token})
    assert touched["last_attributed_touch_data"]["~campaign"] == "friends"


def test_an_app_link_gives_its_data_without_a_click(game: Game) -> None:
    url = game.link(data={"room": "blue"}, campaign="rooms")
    game.start("/v1/install", "p-2")
    opened = game.start("/v1/open", "p-2", android_app_link_url=url)
    assert (opened["data"]["+clicked_branch_link"], opened["data"]["room"]) == (True, "blue")
    assert opened["data"]["~campaign"] == "rooms"


def test_who_had_the_app_before_is_no_install(game: Game) -> None:
    opened = game.start("/v1/open", "p-4", randomized_device_token="1234567890123")
    assert opened["randomized_device_token"] == "p-4"
    game.start("/v1/open", "p-4", randomized_device_token="p-4", session="2")
    game.house.settle()
    [story] = game.house.cli("explain", "p-4")["stories"]
    assert (story["conversion"], story["kind"]) == (None, None)


def test_who_refuses_to_be_measured_is_told_nothing(game: Game) -> None:
    referrer = game.click(game.link(data={"item": 8}, campaign="secret"))
    said = game.start("/v1/install", "p-3", install_referrer_extras=referrer, cpp_level="NONE")
    assert said["data"] == {"+clicked_branch_link": False, "+is_first_session": True}
    game.house.settle()
    assert all(story["winner"] is None for story in game.house.cli("explain", "p-3")["stories"])
