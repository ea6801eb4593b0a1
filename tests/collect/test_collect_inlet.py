"""Dialect doors on a real socket: found by path or, at the root, by key; who may read; what is kept of a refusal."""

from __future__ import annotations

import gzip
import json
from hashlib import sha256
from typing import Any

import pytest
from front import ORIGIN, WRITE_KEY, Front, front
from msgspec.structs import replace

from attribune.model.codec import encode
from attribune.model.control import Change, Door
from attribune.model.ids import AppId, DoorId, LinkId
from attribune.model.position import Topic
from attribune.report.door_log import heard

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

HASH = sha256(WRITE_KEY.encode()).hexdigest()
WEB = Door(id=DoorId("seg-web"), app=AppId("game-web"), dialect="segment", sha256=sha256(b"wk_web").hexdigest())  # fmt: skip
NEAR = Door(id=DoorId("seg-near"), app=AppId("game-ios"), dialect="segment", sha256=HASH, allowed_networks=("192.0.2.0/24",))  # fmt: skip
SNOWPLOW = Door(id=DoorId("snow"), app=AppId("game-web"), dialect="snowplow", sha256=sha256(b"wk_snow").hexdigest())  # fmt: skip


@pytest.fixture(scope="module")
def doors():
    with front(WEB, NEAR, SNOWPLOW) as running:
        yield running


def event(**more) -> bytes:
    said = {"type": "track", "event": "Bought", "messageId": "m1", "anonymousId": "d1", **more}
    return json.dumps(said).encode()


BASIC = {"Authorization": "Basic d2tfdGVzdDo="}  # wk_test:


def test_a_client_that_can_carry_no_path_is_known_by_its_key(doors: Front):
    before = doors.end()
    body = b'{"batch": [%s], "writeKey": "wk_web"}' % event(messageId="root-1")
    assert doors.ask("POST", "/v1/track", event(writeKey=WRITE_KEY)).status == 200
    assert doors.ask("POST", "/v1/batch", body, {"Authorization": "Basic d2tfd2ViOg=="}).status == 200  # fmt: skip
    first, second = doors.since(Topic.ACTIVITY, before)
    assert (first.app, first.dialect, second.app) == ("game-android", "segment", "game-web")


def test_our_own_paths_stay_ours(doors: Front):
    body = {"records": [{"type": "event", "id": "own-1", "name": "x", "device": {"id": "d9"}}]}
    assert doors.post("/v1/batch", body).json["results"][0]["status"] == "accepted"
    assert doors.ask("POST", "/v1/batch", b"{}").json["error"]["type"] == "authentication"
    assert doors.ask("POST", "/v1/open", b"{}").json["error"]["type"] == "authentication"


def test_an_impression_is_ours_where_a_tracker_sends_its_events(doors: Front):
    before = doors.end()
    assert doors.get("/i/plain?click_id=c1").status == 200
    (impression,) = doors.since(Topic.TOUCHES, before)
    assert impression.link == "plain"
    before = doors.end()
    answer = doors.get("/i?e=se&se_ac=add&aid=wk_snow&duid=d1&eid=e1")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/gif")
    (added,) = doors.since(Topic.ACTIVITY, before)
    assert (added.name, added.app, added.dialect) == ("add", "game-web", "snowplow")


def test_a_key_of_nobody_at_the_root_is_refused_and_kept(doors: Front):
    before = doors.end()
    answer = doors.ask("POST", "/v1/track", event(writeKey="wk_nobody"))
    assert (answer.status, answer.json["success"]) == (401, False)
    (refusal,) = doors.since(Topic.REFUSED, before)
    assert refusal.reason == "unknown_key"


def test_paths_of_no_dialect_are_no_doors(doors: Front):
    assert doors.ask("POST", "/v2/nothing", b"{}").status == 404


def test_a_packed_body_that_does_not_say_so_is_unpacked(doors: Front):
    before = doors.end()
    sent = gzip.compress(event(messageId="packed-1"))
    assert doors.ask("POST", "/in/segment/seg/v1/track", sent, BASIC).status == 200
    (record,) = doors.since(Topic.ACTIVITY, before)
    assert record.id == "packed-1"


def test_a_door_hears_only_the_networks_it_names(doors: Front):
    before = doors.end()
    answer = doors.ask("POST", "/in/segment/seg-near/v1/track", event(), BASIC)
    assert answer.status == 403
    (refusal,) = doors.since(Topic.REFUSED, before)
    assert (refusal.reason, refusal.app) == ("forbidden_for_key", "game-ios")


def test_pages_may_read_where_the_app_names_no_origins_or_theirs(doors: Front):
    asks = {"Access-Control-Request-Headers": "authorization", "Access-Control-Request-Method": "POST"}  # fmt: skip
    for path, origin, is_let in (
        ("/in/segment/seg/v1/t", "https://anywhere.example", True),
        ("/in/segment/seg-web/v1/t", "https://anywhere.example", False),
        ("/in/segment/seg-web/v1/t", ORIGIN, True),
        ("/in/segment/none/v1/t", "https://anywhere.example", False),
        ("/v1/batch", "https://anywhere.example", False),
    ):
        answer = doors.ask("OPTIONS", path, None, {"Origin": origin, **asks})
        assert (answer.status == 204) is is_let, (path, origin)
        assert (answer.headers.get("access-control-allow-origin") == origin) is is_let
        if is_let:
            assert answer.headers["access-control-allow-headers"] == "authorization"


def test_the_log_shows_records_and_refusals_of_one_door(doors: Front):
    doors.ask("POST", "/in/segment/seg/v1/track", event(messageId="log-1"), BASIC)
    doors.ask("POST", "/in/segment/seg/v1/track", b"{", BASIC)
    doors.ask("POST", "/in/segment/seg-web/v1/track", event(writeKey="wk_web", messageId="w-1"))
    seg = doors.role._registry.door(DoorId("seg"))
    newest, before = heard(doors.journal, doors.role._registry, seg, 2)
    assert (newest.is_refused, newest.path) == (True, "/in/segment/seg/v1/track")
    assert (before.record, before.name, before.is_refused) == ("log-1", "Bought", False)
    assert {row.record for row in heard(doors.journal, doors.role._registry, seg, 50)}.isdisjoint(
        {"w-1"}
    )
    assert all(
        row.is_refused
        for row in heard(doors.journal, doors.role._registry, None, 50, is_refused=True)
    )


def test_the_log_shows_the_links_that_apps_made_at_a_door():
    def branch(name: str) -> Door:
        hashed = sha256(f"key_{name}".encode()).hexdigest()
        return Door(id=DoorId(name), app=AppId("game-android"), dialect="branch", sha256=hashed, maps={"channel:*": "acme"})  # fmt: skip

    def made(at: Front, name: str, **said: Any) -> str:
        body = json.dumps({"branch_key": f"key_{name}", **said}).encode()
        answer = at.ask("POST", f"/in/branch/{name}/v1/url", body)
        assert answer.status == (200 if "tags" not in said else 400)
        return str(answer.json.get("url", "")).rpartition("/")[2]

    with front(branch("one"), branch("two")) as both:
        first = made(both, "one", campaign="spring", data={"item": 7})
        second = made(both, "two", alias="summer")
        # The same again makes nothing.
        assert made(both, "one", campaign="spring", data={"item": 7}) == first
        made(both, "one", tags="no list")
        known = both.role._registry
        # What the operator does to a link is nobody's letter.
        edited = Change(at_ms=1, record=replace(known.link(LinkId(first)), campaign="autumn"))
        both.journal.append([(Topic.CONTROL, encode(edited))])
        one, two = (known.door(DoorId(name)) for name in ("one", "two"))
        refused, link = heard(both.journal, known, one, 50)
        assert (refused.is_refused, refused.reason, refused.path) == (True, "wrong_type", "/in/branch/one/v1/url")  # fmt: skip
        assert (link.type, link.record, link.name) == ("link", first, "spring")
        assert (link.dialect, link.app, link.is_refused) == ("branch", "game-android", False)
        assert abs(link.at_ms - refused.at_ms) < 60_000
        assert [row.record for row in heard(both.journal, known, two, 50)] == [second]
        assert [row.record for row in heard(both.journal, known, None, 50, is_refused=False)] == [second, first]  # fmt: skip
        assert heard(both.journal, known, None, 50, is_refused=True) == [refused]


def test_the_log_shows_what_was_refused_at_the_root(doors: Front):
    doors.ask("POST", "/v1/track", event(event=7, messageId="root-1"), BASIC)
    seg, other = (doors.role._registry.door(DoorId(id_)) for id_ in ("seg", "seg-web"))
    newest = heard(doors.journal, doors.role._registry, seg, 1)[0]
    assert (newest.is_refused, newest.dialect, newest.app, newest.path) == (True, "segment", seg.app, "/v1/track")  # fmt: skip
    assert "/v1/track" not in {
        row.path for row in heard(doors.journal, doors.role._registry, other, 50)
    }
    doors.ask("POST", "/v1/track", event(), {"Authorization": "Basic bm9ib2R5Og=="})
    nobody = heard(doors.journal, doors.role._registry, None, 1)[0]
    assert (nobody.reason, nobody.dialect, nobody.app) == ("unknown_key", "segment", None)


def test_where_two_dialects_speak_at_one_path_the_key_says_which(doors: Front):
    def door(name: str) -> Door:
        hashed = sha256(f"key-{name}".encode()).hexdigest()
        return Door(id=DoorId(f"d-{name}"), app=AppId("game-android"), dialect=name, sha256=hashed)

    with front(door("posthog"), door("amplitude")) as both:
        flag = {"event": "x", "uuid": "p1", "distinct_id": "u", "properties": {"$device_id": "d"}}
        said = {"api_key": "key-posthog", "batch": [flag]}
        assert both.ask("POST", "/batch", json.dumps(said).encode()).json == {"status": "Ok"}
        event = {"event_type": "x", "insert_id": "a1", "device_id": "device-1"}
        said = {"api_key": "key-amplitude", "events": [event]}
        answer = both.ask("POST", "/batch", json.dumps(said).encode())
        assert answer.json["events_ingested"] == 1
        assert [(r.dialect, r.id) for r in both.kept(Topic.ACTIVITY)] == [("posthog", "p1"), ("amplitude", "a1")]  # fmt: skip
        said["api_key"] = "key-nobody"
        assert both.ask("POST", "/batch", json.dumps(said).encode()).status == 401
