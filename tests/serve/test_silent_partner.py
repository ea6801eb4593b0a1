"""A partner that does not answer, as the people see it who run the house: in the status, the metrics and the list, until it answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
    assert f"partners that do not answer or turn all away, by postback: {postback} (" in text
    receiver.answer = fine
    wait_for(lambda: gauge(house)[0].endswith(" 0.0"), 30, "it does not close")
    assert house.cli("postback", "list")["postbacks"][0]["breaker"] == "closed"
    house.stop()
    roles = house.cli("status")["status"]["roles"]
    assert [role["breakers"] for role in roles if role["breakers"]] == [], "nobody knows by now"


def log(house: RunningHouse, state: str) -> dict[str, dict[str, Any]]:
    rows = house.cli("postback", "log", "--limit", "1000")["rows"]
    return {row["delivery_id"]: row for row in rows if row["state"] == state}


def test_what_waits_goes_where_an_edit_leads_and_nobody_is_told_twice(house, receiver) -> None:
    old = Receiver()
    try:
        words = "?c={partner_click_id}&t={trigger}"
        postback = tell(house, f"{old.url}{words}")
        bring(house, "n1", "n2")
        wait_for(lambda: len(log(house, "delivered")) == 2)
        told = log(house, "delivered")
        old.answer = later
        bring(house, "n3")
        wait_for(lambda: any(row["attempts"] for row in log(house, "waiting").values()))
        [(waiting, row)] = log(house, "waiting").items()
        assert row["attempts"][0]["status"] == 503
        house.cli("postback", "pause", postback)
        edit = ("--set", f"url={receiver.url}{words}", "--trigger", "event", "--concurrency", "2")
        said = house.cli("postback", "edit", postback, *edit)["postback"]
        assert (said["id"], said["state"]) == (postback, "paused")
        assert receiver.heard == []
        house.cli("postback", "pause", postback, "--off")
        wait_for(lambda: len(log(house, "delivered")) == 3, 15, "what waited is not told")
        assert receiver.ids() == [waiting], "what was told by the old address is not told again"
        now = log(house, "delivered")
        assert {id_: now[id_] for id_ in told} == told, "the log says what was really sent"
        assert now[waiting]["request"]["url"].startswith(receiver.url)
        assert now[waiting]["attempts"][0]["status"] == 503
        bring(house, "n4")
        wait_for(lambda: len(log(house, "delivered")) == 5)
        assert sorted((one.query["c"], one.query["t"]) for one in receiver.heard) == [
            ("n3", "install"),
            ("n4", "event"),
            ("n4", "install"),
        ]
        rows, asked = log(house, "delivered"), len(old.heard)
        house.cli("rebuild", "outbox")
        wait_for(lambda: log(house, "delivered") == rows, 15, "the outbox is another")
        house.settle()
        assert (len(old.heard), len(receiver.heard)) == (asked, 3), "a rebuild tells nobody"
        audit = house.cli("audit")
        assert audit["ok"], [check for check in audit["checks"] if not check["ok"]]
    finally:
        old.close()


async def not_found(_: Heard) -> web.StreamResponse:
    return web.Response(status=404, headers={"retry-after": "600"})


def test_a_no_of_a_moment_waits_and_says_until_when_and_goes_out_when_it_is_asked_for(
    house, receiver
) -> None:
    receiver.answer = not_found
    postback = tell(house, f"{receiver.url}?c={{partner_click_id}}")
    bring(house, "n1")
    wait_for(lambda: any(row["attempts"] for row in log(house, "waiting").values()))
    [(id_, row)] = log(house, "waiting").items()
    assert row["reason"].startswith("the partner answered 404; tried again from 20")
    tried_at_ms = row["attempts"][0]["at_ms"]
    assert 600_000 <= row["due_at_ms"] - tried_at_ms < 611_000
    house.cli("postback", "pause", postback)
    assert log(house, "waiting")[id_]["reason"] == "paused; the partner answered 404"
    house.cli("postback", "pause", postback, "--off")
    receiver.answer = fine
    assert house.cli("postback", "redeliver", id_) == {"deliveries": [id_], "skipped": {}}
    wait_for(lambda: id_ in log(house, "delivered"), 15, "it is not sent again")
    assert receiver.ids() == [id_, id_]
