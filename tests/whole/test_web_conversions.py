"""What servers tell of a site's visitors: by the click, by the transaction, by the user; all of one product."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from house import RunningHouse, http

pytestmark = pytest.mark.server

DESKTOP = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PAID = {"amount": "12.50", "currency": "EUR"}


class Site:
    """A site and an app of one product, each with a server key."""

    def __init__(self, house: RunningHouse) -> None:
        self.house = house
        self.site = self._add("web", "https://shop.example/")
        self.product = self.site["product"]
        self.app = self._add("android", "com.example.shop", "--product", self.product)
        self.keys = {one["platform"]: self._key(one["id"]) for one in (self.site, self.app)}
        self.count = 0

    def _add(self, platform: str, store: str, *more: str) -> dict[str, Any]:
        words = ("--name", "Shop", "--platform", platform, "--store-id", store, *more)
        return self.house.cli("app", "add", *words)["app"]

    def _key(self, app: str) -> str:
        return self.house.cli("key", "add", "--app", app, "--kind", "server")["key"]["secret"]

    def click(self, partner: str) -> str:
        """A person follows a partner's link; the click's id as the landing page is told it."""
        self.house.cli("partner", "add", "--name", partner, "--kind", "affiliate")
        words = ("--app", self.site["id"], "--partner", partner)
        link = self.house.cli("link", "add", *words)["link"]["id"]
        url = f"{self.house.collector_url}/c/{link}?click_id={partner}-1"
        location = http("GET", url, headers={"user-agent": DESKTOP}).headers["location"]
        return parse_qs(urlsplit(location).query)["attribune_click"][0]

    def tells(self, platform: str, name: str, **words: Any) -> None:
        self.count += 1
        record = {"type": "event", "id": f"e{self.count}", "name": name, **words}
        url = f"{self.house.collector_url}/v1/batch"
        answer = http("POST", url, {"records": [record]}, key=self.keys[platform]).json()
        assert [one["status"] for one in answer["results"]] == ["accepted"], answer

    def opens(self, device: str) -> None:
        record = {"id": f"o-{device}", "device": {"id": device, "platform": "android"}}
        assert (
            http("POST", f"{self.house.collector_url}/v1/open", record, key=self.app["key"]).status
            == 200
        )

    def rows(self) -> dict[str | None, tuple[int, int, dict[str, str]]]:
        """Installs, events and revenue by partner."""
        self.house.settle()
        metrics = "installs,events,revenue"
        answer = self.house.cli("report", "--metrics", metrics, "--by", "partner")
        return {
            row["partner"]: (row["installs"], row["events"], row["revenue"])
            for row in answer["rows"]
        }

    def stories(self, handle: str) -> list[dict[str, Any]]:
        self.house.settle()
        return self.house.cli("explain", handle)["stories"]


@pytest.fixture
def site(house: RunningHouse) -> Iterator[Site]:
    """A site whose every number must add up when the test ends."""
    told = Site(house)
    yield told
    house.settle()
    audit = house.cli("audit")
    assert audit["ok"], [check for check in audit["checks"] if not check["ok"]]
    replay = house.cli("replay")
    assert (replay["changed"], replay["gains"], replay["losses"]) == (0, {}, {})


def test_by_the_click_by_the_transaction_and_by_the_user(site: Site) -> None:
    click = site.click("acme")
    site.tells("web", "signup", touch_id=click, user_id="u1")
    site.tells("web", "purchase", touch_id=click.upper(), revenue=PAID, transaction_id="T-1")
    site.tells("web", "deposit", user_id="u1", revenue=PAID)
    site.opens("phone")
    site.tells("android", "purchase", device={"id": "phone"}, revenue=PAID, transaction_id="T-1")
    rows = site.rows()
    assert rows["acme"] == (1, 3, {"EUR": "25.00"})
    assert rows[None] == (1, 0, {})
    for handle in (click, "acme-1", "T-1", "u1"):
        [story] = [one for one in site.stories(handle) if one["conversion"]]
        assert story["winner"]["partner"] == "acme"
        assert [event["name"] for event in story["events"]] == ["signup", "purchase", "deposit"]


def test_the_click_of_another_product_brings_nobody(site: Site) -> None:
    other = site.house.cli(
        *("app", "add", "--name", "Other", "--platform", "web"),
        *("--store-id", "https://other.example/"),
    )["app"]
    click = site.click("acme")
    record = {"id": "x", "name": "signup", "touch_id": click}
    key = site._key(other["id"])
    assert http("POST", f"{site.house.collector_url}/v1/event", record, key=key).status == 200
    assert site.rows() == {None: (0, 1, {})}
    [story] = [one for one in site.stories("x") if one["events"]]
    assert (story["source"], story["conversion"]) == ("unknown", None)


def test_a_customer_follows_the_person_who_came_by_the_web(site: Site) -> None:
    site.house.cli("policy", "set", "--product", site.product, "--file", _policy(site, "first"))
    click, other = site.click("acme"), site.click("beta")
    site.tells("web", "signup", touch_id=click, user_id="u1")
    site.opens("phone")
    site.tells("android", "login", device={"id": "phone"}, user_id="u1")
    site.tells("android", "deposit", user_id="u1", revenue=PAID)
    assert site.rows() == {"acme": (1, 3, {"EUR": "12.50"}), None: (1, 0, {})}
    [told] = [one for story in site.stories("phone") for one in story["events"]][-1:]
    assert (told["name"], told["partner"], told["customer"]) == ("deposit", "acme", "u1")
    [web] = [one for one in site.stories(click) if one["conversion"] and one["winner"]]
    site.house.cli("correct", web["conversion"], "--to", other, "--reason", "said so")
    assert site.rows() == {"beta": (1, 3, {"EUR": "12.50"}), None: (1, 0, {})}


def _policy(site: Site, binding: str) -> str:
    file = site.house.folder.parent / "policy.toml"
    file.write_text(f'name = "ours"\ncustomer_binding = "{binding}"\n')
    return str(file)
