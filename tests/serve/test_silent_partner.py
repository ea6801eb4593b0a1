"""A partner that does not answer, as the people see it who run the house: in the status, the metrics and the list, until it answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from aiohttp import web
from fire.test_postbacker_kills import brought
from house import RunningHouse, http, wait_for
from postback.posthouse import Heard, Receiver, fine

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHouse]:
    with RunningHouse(tmp_path_factory.mktemp("silent") / "data") as running:
        running.cli("app", "add", "--name", "Game", "--platform", "android", "--store-id", "com.example.game")  # fmt: skip
        running.cli("partner", "add", "--name", "acme")
        running.cli("link", "add", "--app", "game-android", "--partner", "acme")
        yield running


def bring(house: RunningHouse, *names: str) -> None:
    """Each a click, the install that it brought, and a purchase."""
    link = house.cli("link", "list")["links"][0]["id"]
    key = house.cli("key", "add", "--kind", "server", "--app", "game-android")["key"]["secret"]
    for name in names:
        answer = http("POST", f"{house.collector_url}/v1/batch", {"records": brought(name, link)}, {"authorization": f"Bearer {key}"})  # fmt: skip
        assert answer.status == 200, answer
    house.settle()


def tell(house: RunningHouse, url: str, *words: str) -> str:
    """Tell acme there of installs; the postback's id."""
    added = house.cli(
        *("postback", "add", "--partner", "acme", "--template", "generic-get"),
        *("--trigger", "install", "--allow-host", "127.0.0.1", "--set", f"url={url}", *words),
    )
    return str(added["postback"]["id"])


async def later(_: Heard) -> web.StreamResponse:
    return web.Response(status=503)


def gauge(house: RunningHouse) -> list[str]:
    text = http("GET", f"{house.web_url}/metrics").body.decode()
    return [line for line in text.splitlines() if line.startswith("attribune_postback_breaker")]


def test_who_runs_the_house_sees_that_a_partner_does_not_answer(house, receiver) -> None:
    receiver.answer = later
    postback = tell(house, f"{receiver.url}?c={{partner_click_id}}", "--concurrency", "1")
    wait_for(lambda: gauge(house) == [f'attribune_postback_breaker{{postback="{postback}"}} 0.0'])
    bring(house, *(f"n{number}" for number in range(6)))
    wait_for(lambda: gauge(house) == [f'attribune_postback_breaker{{postback="{postback}"}} 2.0'])
    roles = house.cli("status")["status"]["roles"]
    said = {role["role"]: role["breakers"] for role in roles if role["breakers"]}
    assert said in ({"postbacker": {postback: "open"}}, {"postbacker": {postback: "probing"}})
    [listed] = house.cli("postback", "list")["postbacks"]
    assert listed["breaker"] in {"open", "probing"}
    code, text, _ = house._run_apart(("status", "--data", str(house.folder)))
    assert code == 0
    assert f"partners that do not answer, by postback: {postback} (" in text
    receiver.answer = fine
    wait_for(lambda: gauge(house)[0].endswith(" 0.0"), 30, "it does not close")
    assert house.cli("postback", "list")["postbacks"][0]["breaker"] == "closed"
    house.stop()
    roles = house.cli("status")["status"]["roles"]
    assert [role["breakers"] for role in roles if role["breakers"]] == [], "nobody knows by now"
