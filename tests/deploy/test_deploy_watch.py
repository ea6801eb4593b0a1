"""Alerts, dashboard and scrape config name metrics that a house gives, and what each says can be met."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from house import RunningHouse, http
from prometheus_client.parser import text_string_to_metric_families

from attribune.api.metrics import METRICS
from attribune.settings import Settings

pytestmark = pytest.mark.server

ROOT = Path(__file__).parent.parent.parent
RULES = yaml.safe_load((ROOT / "deploy/prometheus/attribune-alerts.yml").read_text())
SCRAPE = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
DASHBOARD = json.loads((ROOT / "deploy/grafana/attribune.json").read_text())
MONITOR = (ROOT / "docs/operate/monitor.md").read_text()
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
TARGETS = [(p["title"], t["expr"]) for p in DASHBOARD["panels"] for t in p["targets"]]
EXPRESSIONS = [*((rule["alert"], rule["expr"]) for rule in ALERTS), *TARGETS]
HELP = {row.name: row.help for row in METRICS}
#: What Prometheus itself gives of every target.
OF_PROMETHEUS = {"up"}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    """Name → labels of each sample that a house gives."""
    with RunningHouse(tmp_path_factory.mktemp("watched") / "data") as house:
        text = http("GET", f"{house.web_url}/metrics").body.decode()
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def selectors(expression: str) -> Iterator[tuple[str, str]]:
    """Metric and what its braces hold, of each selector."""
    bare = re.sub(r"\b(?:by|without) ?\([^)]*\)", "", expression)
    for name, labels in re.findall(r"([a-z_]+)\b(?!\s*\()(?:\{([^}]*)\})?", bare):
        if name.startswith("attribune") or name in OF_PROMETHEUS:
            yield name, labels


@pytest.mark.parametrize(
    ("title", "expression"), EXPRESSIONS, ids=[name for name, _ in EXPRESSIONS]
)
def test_what_is_watched_is_given(
    samples: dict[str, list[dict[str, str]]], title: str, expression: str
) -> None:
    found = list(selectors(expression))
    assert found, title
    for name, labels in found:
        if name in OF_PROMETHEUS:
            assert labels == 'job="attribune"'
            continue
        # Some are only there once there is something to say; their help says so.
        assert name in samples or "absent" in HELP[name]
        for label, how, value in re.findall(r'(\w+)(=~|=)"([^"]*)"', labels):
            there = {one.get(label, "") for one in samples[name]}
            for part in value.split("|") if how == "=~" else [re.escape(value)]:
                assert any(re.fullmatch(part, text) for text in there), f"{label} {part}"


def test_a_metric_that_is_not_given_would_be_noticed() -> None:
    assert list(selectors('sum by (role) (rate(attribune_x{what=~"a|b"}[5m])) > attribune_y')) == [
        ("attribune_x", 'what=~"a|b"'),
        ("attribune_y", ""),
    ]


def test_every_alert_says_what_it_means_and_what_to_do() -> None:
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["remedy"]


def test_the_page_tells_of_every_metric_and_every_alert(
    samples: dict[str, list[dict[str, str]]],
) -> None:
    told = set(re.findall(r"^\| `(attribune_\w+)`", MONITOR, re.MULTILINE))
    assert told == set(HELP)
    assert set(samples) <= told
    alerts = dict(re.findall(r"^\| `(Attribune\w+)` \| (\w+) ", MONITOR, re.MULTILINE))
    assert alerts == {rule["alert"]: rule["labels"]["severity"] for rule in ALERTS}


def test_prometheus_asks_the_web_port_and_reads_the_rules() -> None:
    [job] = SCRAPE["scrape_configs"]
    assert job["job_name"] == "attribune"
    assert job["static_configs"][0]["targets"] == [f"127.0.0.1:{Settings().web_port}"]
    assert SCRAPE["rule_files"] == ["attribune-alerts.yml"]


def test_panels_do_not_cover_each_other_and_ask_the_chosen_source() -> None:
    taken: set[tuple[int, int]] = set()
    panels: list[dict[str, Any]] = DASHBOARD["panels"]
    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert panel["datasource"]["uid"] == "${datasource}"
    assert len({panel["id"] for panel in panels}) == len(panels)
