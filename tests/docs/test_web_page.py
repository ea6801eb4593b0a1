"""The guide of web pages says what works; its page snippets run in a browser, in tests/browser."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from house import RunningHouse, http

from attribune.model.policy import CustomerBinding
from attribune.registry.policies import read_policy

PAGE = (Path(__file__).parents[2] / "docs/guides/web.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_rules_of_customers_are_rules() -> None:
    [rules] = blocks("toml")
    policy = read_policy(tomllib.loads(rules))
    assert (policy.customer_binding, policy.customer_window_ms) == (CustomerBinding.FIRST, 0)
    for binding in CustomerBinding:
        assert f'"{binding}"' in rules


@pytest.mark.server
def test_the_commands_of_the_guide_work(house: RunningHouse) -> None:
    shop = ("--name", "Shop", "--platform", "android", "--store-id", "com.example.shop")
    house.cli("app", "add", *shop)
    add, *told = blocks("sh")
    site = house.cli(*shlex.split(add)[1:])["app"]
    assert site["product"] == "shop"
    assert site["origins"] == ["https://shop.example", "https://www.shop.example"]
    key = house.cli("key", "add", "--app", site["id"], "--kind", "server")["key"]["secret"]
    names = []
    for command in told:
        words = shlex.split(command)
        record = json.loads(words[words.index("-d") + 1])
        path = words[2].removeprefix("https://go.example.com")
        answer = http("POST", f"{house.collector_url}{path}", record, key=key)
        assert answer.json() == {"results": [{"id": record["id"], "status": "accepted"}]}
        names.append(record["name"])
    assert names == ["purchase", "refund"]
