"""The real Segment libraries, unmodified, against a Segment door."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import node_home
import pytest
from front import WRITE_KEY, Front
from segment.analytics.client import Client

from attribune.model.activity import Event, Open
from attribune.model.position import Topic

pytestmark = [pytest.mark.server, pytest.mark.enable_socket, pytest.mark.timeout(180)]


@pytest.fixture(scope="session")
def node_modules() -> Path:
    return node_home.installed("node")


@pytest.mark.parametrize("packed", [False, True])
def test_the_python_library(door: Front, packed):
    before = door.end()
    failures: list[Exception] = []
    client = Client(
        WRITE_KEY,
        host=f"{door.url}/in/segment/seg",
        gzip=packed,
        on_error=lambda fault, _: failures.append(fault),
        max_retries=0,
    )
    context = {
        "device": {"id": "device-1", "advertisingId": "gaid-1", "type": "android"},
        "os": {"name": "Android", "version": "15"},
        "app": {"version": "3.1"},
    }
    client.track("u1", "Application Opened", {"url": "https://l.example/c/x"}, context=context)
    client.track(
        "u1",
        "Order Completed",
        {"revenue": 12.5, "currency": "EUR", "order_id": "A1"},
        context=context,
    )
    client.identify("u1", {"plan": "pro"})
    client.screen("u1", "Shop", "Home", {"n": 1}, anonymous_id="anon")
    client.flush()
    client.join()
    assert failures == []
    opened, order, identify, screen = door.since(Topic.ACTIVITY, before)
    assert isinstance(opened, Open)
    assert (opened.device.id, opened.device.ids, opened.user_id) == (
        "device-1",
        {"gaid": "gaid-1"},
        "u1",
    )
    assert opened.link_opened == "https://l.example/c/x"
    assert isinstance(order, Event)
    assert (str(order.revenue), order.revenue.currency, order.transaction_id) == (
        "12.50",
        "EUR",
        "A1",
    )
    assert (identify.name, identify.device, identify.params) == (
        "identify",
        None,
        {"plan": '"pro"'},
    )
    assert (screen.name, screen.device.id) == ("screen", "anon")
    assert opened.sdk.startswith("analytics-python/")
    assert abs(opened.occurred_at_ms - datetime.now(UTC).timestamp() * 1000) < 60_000
    assert door.since(Topic.REFUSED, before) == []


def test_the_python_library_with_a_wrong_key_is_told(door: Front):
    failures: list[Exception] = []
    client = Client(
        "wk_wrong",
        host=f"{door.url}/in/segment/seg",
        on_error=lambda fault, _: failures.append(fault),
        max_retries=0,
    )
    client.track("u1", "x")
    client.flush()
    client.join()
    assert "401" in str(failures[0])


SCRIPT = """
const { Analytics } = require('@segment/analytics-node')
const [host, writeKey] = process.argv.slice(-2)
const analytics = new Analytics({ writeKey, host, path: '/in/segment/seg/v1/batch', maxRetries: 0 })
const problems = []
analytics.on('error', (fault) => problems.push(fault))
const context = { device: { id: 'node-device', type: 'ios' }, os: { name: 'iOS' } }
analytics.track({ anonymousId: 'a', event: 'Application Installed', context, properties: { version: '1' } })
analytics.track({ anonymousId: 'a', event: 'Order Completed', context, properties: { total: 7.25, currency: 'USD' } })
analytics.page({ anonymousId: 'a', name: 'Home' })
analytics.group({ userId: 'u', groupId: 'g', traits: { size: 3 } })
analytics.alias({ userId: 'u', previousId: 'a' })
analytics.closeAndFlush({ timeout: 10000 }).then(() => {
  console.log(JSON.stringify(problems.map(String)))
  process.exit(problems.length ? 1 : 0)
})
"""


def test_the_node_library(door: Front, node_modules):
    before = door.end()
    done = subprocess.run(
        [node_home.NODE, "-e", SCRIPT, "--", door.url, WRITE_KEY],
        cwd=node_modules,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == []
    installed, order, page, group, alias = door.since(Topic.ACTIVITY, before)
    assert isinstance(installed, Open)
    assert (installed.device.id, installed.device.platform, installed.device.ids) == (
        "node-device",
        "ios",
        {"idfv": "node-device"},
    )
    assert str(order.revenue) == "7.25"
    assert (page.name, json.loads(page.extra["name"])) == ("page", "Home")
    assert (group.name, group.params, group.user_id) == ("group", {"size": "3"}, "u")
    assert json.loads(alias.extra["previousId"]) == "a"
    assert door.since(Topic.REFUSED, before) == []
