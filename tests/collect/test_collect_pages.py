"""What the front door does for web pages: the script, keys in a body, answers that pages may read."""

from __future__ import annotations

import re

import pytest
from front import APP_KEY, DESKTOP, ORIGIN, OTHER_KEY, SERVER_KEY, Front, _key, front

from attribune.model.control import KeyKind
from attribune.model.position import Topic

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

PAGE_KEY = "ak_page_12345678"
OPEN = {"type": "open", "id": "p1", "device": {"id": "page-1"}}


@pytest.fixture(scope="module")
def door():
    with front(_key("k-page", PAGE_KEY, KeyKind.APP, "game-web")) as running:
        yield running


def batch(door: Front, key: object = PAGE_KEY, origin: str | None = ORIGIN, **more: object):
    headers = {"Origin": origin} if origin else {}
    return door.post("/v1/batch", {"key": key, "records": [OPEN], **more}, None, **headers)


# --- the script


def test_the_script_is_small_and_kept_by_browsers(door: Front):
    answer = door.get("/js/attribune.js", DESKTOP)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert "set-cookie" not in answer.headers
    assert len(answer.body) < 8192
    again = door.get("/js/attribune.js", DESKTOP, if_none_match=answer.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    assert door.get("/js/attribune.js", DESKTOP, if_none_match='"other"').body == answer.body


def test_it_needs_nothing_of_elsewhere(door: Front):
    text = door.get("/js/attribune.js").body.decode()
    assert re.findall(r"https?://", text) == []
    assert "document.cookie" not in text
    assert not re.search(r"\b(eval|Function|innerHTML|import|document\.write)\b", text)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/js/attribune.js?x=%3Cscript%3Ealert(1)%3C/script%3E", {}),
        ("/js/attribune.js?callback=steal", {"Referer": "https://evil.example/"}),
        ("/js/attribune.js", {"Origin": "https://evil.example"}),
        ("/js/attribune.js", {"Origin": ORIGIN, "Cookie": "a=b", "Accept-Language": "de"}),
        ("/js/attribune.js", {"X-Forwarded-Host": "evil.example", "Host": "evil.example"}),
    ],
)
def test_it_is_the_same_for_everybody(door: Front, path, headers):
    plain = door.ask("GET", "/js/attribune.js")
    asked = door.ask("GET", path, None, headers)
    own = ("date",)
    assert asked.body == plain.body
    assert {k: v for k, v in asked.headers.items() if k not in own} == {
        k: v for k, v in plain.headers.items() if k not in own
    }


def test_it_is_only_read(door: Front):
    assert door.ask("HEAD", "/js/attribune.js").body == b""
    answer = door.ask("POST", "/js/attribune.js", b"x")
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


# --- keys of pages


def test_a_page_says_its_key_in_the_body_and_it_is_not_kept(door: Front):
    before = door.end()
    answer = batch(door, sent_at=None)
    assert answer.json["results"] == [{"id": "p1", "status": "accepted"}]
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    [record] = door.since(Topic.ACTIVITY, before)
    assert (record.app, record.extra) == ("game-web", {})


@pytest.mark.parametrize(
    ("key", "origin", "status", "code"),
    [
        (PAGE_KEY, None, 401, "unknown_key"),
        (PAGE_KEY, "null", 401, "unknown_key"),
        (PAGE_KEY, "https://evil.example", 401, "unknown_key"),
        (SERVER_KEY, ORIGIN, 403, "forbidden_for_key"),
        (APP_KEY, ORIGIN, 403, "forbidden_for_key"),
        (OTHER_KEY, ORIGIN, 403, "forbidden_for_key"),
        ("ak_nobody_12345678", ORIGIN, 401, "unknown_key"),
        (None, ORIGIN, 401, "unknown_key"),
        ({"a": 1}, ORIGIN, 400, "wrong_type"),
        ("ak_x\r\nEvil: 1", ORIGIN, 400, "malformed"),
    ],
)
def test_other_keys_and_other_pages_do_not_count(door: Front, key, origin, status, code):
    before = door.end()
    answer = batch(door, key, origin)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    assert door.since(Topic.ACTIVITY, before) == []
    [refusal] = door.since(Topic.REFUSED, before)
    assert b"_12345678" not in refusal.body
    allowed = answer.headers.get("access-control-allow-origin")
    assert allowed == (ORIGIN if origin == ORIGIN else None)


def test_a_header_goes_before_the_body_and_other_doors_take_headers_only(door: Front):
    said = {"key": "ak_nobody_12345678", "records": [OPEN]}
    assert door.post("/v1/batch", said, PAGE_KEY, Origin=ORIGIN).status == 200
    assert door.post("/v1/open", {**OPEN, "key": PAGE_KEY}, None, Origin=ORIGIN).status == 401


# --- clicks that lead straight to a page


def test_a_page_may_read_the_touch_id_of_its_landing_and_no_other_page_may(door: Front):
    answer = door.get("/c/plain?redirect=false", DESKTOP, Origin=ORIGIN)
    assert answer.json["touch_id"]
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["vary"] == "origin"
    stranger = door.get("/c/plain?redirect=false", DESKTOP, Origin="https://evil.example")
    assert "access-control-allow-origin" not in stranger.headers
    assert "access-control-allow-origin" not in door.get("/c/plain", Origin=ORIGIN).headers
