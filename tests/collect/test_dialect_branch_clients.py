"""The Python client of Branch's HTTP API, unmodified, against a door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from urllib.error import HTTPError

import branchio
import pytest
from front import PLAY, Front, front

from attribune.model.control import Door, Partner, PartnerKind
from attribune.model.ids import AppId, DoorId, PartnerId
from attribune.model.position import Topic

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]
KEY = "key_live_abcdefghijklmnopqrstuvwxyz012345"
DOOR = Door(
    id=DoorId("branch"),
    app=AppId("game-android"),
    dialect="branch",
    sha256=sha256(KEY.encode()).hexdigest(),
    maps={"channel:*": "own"},
    allowed_hosts=("shop.example",),
)
OWN = Partner(id=PartnerId("own"), name="Own", kind=PartnerKind.OWNED)


class _Client(branchio.Client):
    """The library's own client; the host of its calls is an attribute of the class."""


@pytest.fixture(scope="module")
def running() -> Iterator[Front]:
    with front(OWN, DOOR) as one:
        yield one


def client(running: Front, key: str = KEY) -> branchio.Client:
    _Client.BRANCH_BASE_URI = f"{running.url}/in/branch/branch"
    return _Client(key)


def test_a_link_is_made_and_leads_where_it_should(running: Front) -> None:
    asked = {
        "data": {"item": "7", branchio.DATA_BRANCH_DESKTOP_URL: "https://shop.example/7", branchio.DATA_BRANCH_ANDROID_URL: "https://evil.example/"},
        "channel": "mail", "feature": "invite", "campaign": "spring", "stage": "new", "tags": ["a", "b"], "type": 1, "alias": "summer",
    }  # fmt: skip
    made = client(running).create_deep_link_url(**asked)
    assert client(running).create_deep_link_url(**asked) == made
    [link] = [c.record for c in running.kept(Topic.CONTROL) if c.record.id == made["url"].rpartition("/")[2]]  # fmt: skip
    assert (link.partner, link.campaign) == ("own", "spring")
    assert link.targets == {"web": "https://shop.example/7"}
    assert {name: json.loads(value) for name, value in link.deep_link_data.items()} == {
        **asked["data"], "~channel": "mail", "~feature": "invite", "~campaign": "spring", "~stage": "new", "~tags": ["a", "b"],
        "$one_time_use": True,
    }  # fmt: skip
    _wait_for_link(running, made["url"])
    assert running.get(made["url"].removeprefix(running.url)).headers["location"].startswith(PLAY)
    with pytest.raises(HTTPError) as taken:
        client(running).create_deep_link_url(**{**asked, "campaign": "other"})
    with taken.value as said:
        assert said.code == 409
        assert "alias" in json.load(said)["error"]["message"]


def _wait_for_link(running: Front, url: str) -> None:
    """A collector looks for changes every few milliseconds."""
    for _ in range(500):
        if running.get(url.removeprefix(running.url)).status == 302:
            return
    raise AssertionError("the link did not come to stand")


def test_several_links_are_made_at_once(running: Front) -> None:
    said = client(running)
    wanted = [said.create_deep_link_url(channel="sms", campaign=name, skip_api_call=True) for name in ("a", "b")]  # fmt: skip
    made = said.create_deep_linking_urls(wanted)
    assert len({one["url"] for one in made}) == 2
    ids = {one["url"].rpartition("/")[2] for one in made}
    campaigns = {c.record.campaign for c in running.kept(Topic.CONTROL) if c.record.id in ids}
    assert campaigns == {"a", "b"}


def test_another_key_makes_nothing(running: Front) -> None:
    before = running.end()
    with pytest.raises(HTTPError) as refused:
        client(running, "key_live_another").create_deep_link_url(campaign="x")
    with refused.value as said:
        assert said.code == 401
    assert running.since(Topic.CONTROL, before) == []
    assert [one.reason for one in running.since(Topic.REFUSED, before)] == ["unknown_key"]
