"""The doors over real sockets: what is answered, and that everything said is in the journal."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from front import (
    ANDROID,
    API_KEY,
    APP_KEY,
    DESKTOP,
    GAME,
    IPHONE,
    OLD_KEY,
    ORIGIN,
    OTHER_KEY,
    PLAY,
    SECRET,
    SERVER_KEY,
    SIGNED_KEY,
    Front,
    front,
)

from attribune.model.codec import encode
from attribune.model.control import Change, Link
from attribune.model.errors import JournalDamaged, JournalFull
from attribune.model.ids import LinkId, PartnerId, time_of
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason
from attribune.model.touch import LinkHit, TouchKind
from attribune.model.unmeasured import NOT_MEASURED

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

OPEN = {"type": "open", "id": "o1", "device": {"id": "d1"}}


def only_refusal(door: Front, before: int):
    refusals = door.since(Topic.REFUSED, before)
    assert len(refusals) == 1, refusals
    return refusals[0]


# --- links


def test_a_click_is_kept_before_the_person_is_sent_on(door: Front):
    before = door.end()
    answer = door.get(
        "/c/plain?click_id=c1&foo=%20b",
        accept_language="de-DE,de;q=0.9",
        sec_ch_ua_model='"Pixel 8"',
        sec_ch_ua_platform_version='"15.0.0"',
    )
    [hit] = door.since(Topic.TOUCHES, before)
    assert isinstance(hit, LinkHit)
    assert answer.status == 302
    assert answer.body == b""
    url = urlsplit(answer.headers["location"])
    assert (url.hostname, url.path) == ("play.google.com", "/store/apps/details")
    words = parse_qs(parse_qs(url.query)["referrer"][0])
    assert words == {
        "attribune_click": [hit.id],
        "utm_source": ["Acme Ads"],
        "utm_campaign": ["spring"],
    }
    assert (hit.kind, hit.link, hit.query) == (TouchKind.CLICK, "plain", "click_id=c1&foo=%20b")
    assert (hit.ip, hit.user_agent, hit.language) == ("127.0.0.1", ANDROID, "de-DE")
    assert (hit.model, hit.os_version, hit.trusted) == ("Pixel 8", "15.0.0", False)
    assert time_of(hit.id) == hit.received_at_ms
    assert answer.headers["cache-control"] == "no-store"
    assert "Sec-CH-UA-Model" in answer.headers["accept-ch"]


@pytest.mark.parametrize(
    ("agent", "begins"),
    [
        (ANDROID, PLAY),
        (IPHONE, "https://apps.apple.com/app/id1234567890?attribune_click="),
        (DESKTOP, "https://game.example/?attribune_click="),
    ],
)
def test_each_person_goes_to_their_store(door: Front, agent, begins):
    assert door.get("/c/plain", agent).headers["location"].startswith(begins)


def test_a_link_with_a_target_of_its_own(door: Front):
    location = door.get("/c/web-only", DESKTOP).headers["location"]
    assert location.startswith("https://game.example/")
    location = door.get("/c/web-only", "").headers["location"]
    assert location.startswith("https://land.example/p?a=1&attribune_click=")
    assert location.endswith("#part")


def test_an_impression_is_a_pixel(door: Front):
    before = door.end()
    answer = door.get("/i/plain?click_id=c1")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/gif")
    assert answer.body.startswith(b"GIF89a")
    assert answer.headers["cache-control"] == "no-store"
    [hit] = door.since(Topic.TOUCHES, before)
    assert hit.kind is TouchKind.IMPRESSION


def test_redirect_false_answers_json(door: Front):
    before = door.end()
    answer = door.get("/c/plain?redirect=false&click_id=1")
    [hit] = door.since(Topic.TOUCHES, before)
    assert answer.status == 200
    assert answer.json == {"touch_id": hit.id}
    assert door.get("/c/plain?redirect=falsehood").status == 302


def test_a_link_without_any_target_serves_servers_and_pixels_only(door: Front):
    assert door.get("/c/bare").status == 404
    assert door.get("/c/bare?redirect=false").json["touch_id"]
    assert door.get("/i/bare").status == 200


def test_an_allowed_network_is_trusted(door: Front):
    before = door.end()
    door.get("/c/trusted?ip=203.0.113.9")
    [hit] = door.since(Topic.TOUCHES, before)
    assert hit.trusted


@pytest.mark.parametrize(
    ("method", "headers", "reason"),
    [
        ("HEAD", {}, RefusalReason.HEAD_REQUEST),
        ("GET", {"User-Agent": "WhatsApp/2.23.20.0 A"}, RefusalReason.LINK_PREVIEW),
        ("GET", {"User-Agent": "Slackbot-LinkExpanding 1.0"}, RefusalReason.LINK_PREVIEW),
        ("GET", {"Sec-Purpose": "prefetch;prerender"}, RefusalReason.PREFETCH),
        ("GET", {"X-Purpose": "preview"}, RefusalReason.PREFETCH),
        ("GET", {"Purpose": "prefetch"}, RefusalReason.PREFETCH),
    ],
)
def test_who_is_no_person_gets_the_page_and_is_no_touch(door: Front, method, headers, reason):
    for path in ("/c/plain", "/i/plain"):
        before = door.end()
        answer = door.ask(method, path, None, {"User-Agent": ANDROID, **headers})
        assert answer.status == (302 if path == "/c/plain" else 200)
        assert "attribune_click" not in answer.headers.get("location", "")
        assert door.since(Topic.TOUCHES, before) == []
        refusal = only_refusal(door, before)
        assert (refusal.reason, refusal.link, refusal.product) == (reason, "plain", GAME)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nope", RefusalReason.UNKNOWN_LINK), ("off", RefusalReason.DISABLED_LINK), ("", RefusalReason.UNKNOWN_LINK)],
)  # fmt: skip
def test_a_link_that_leads_nowhere_is_a_page(door: Front, name, reason):
    before = door.end()
    answer = door.get(f"/c/{name}?click_id=1")
    assert answer.status == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert only_refusal(door, before).reason is reason
    assert door.since(Topic.TOUCHES, before) == []


def test_a_query_that_is_too_long_costs_the_touch_and_not_the_way(door: Front):
    before = door.end()
    answer = door.get("/c/plain?" + "&".join(["a=1"] * 10_000))
    assert answer.status == 302
    assert "attribune_click" not in answer.headers["location"]
    refusal = only_refusal(door, before)
    assert refusal.reason is RefusalReason.TOO_LARGE
    assert 0 < len(refusal.query) <= 4096


def test_an_allowed_redirect_is_followed_with_the_touch(door: Front):
    location = door.get("/c/pinned?redirect=https://shop.example/sale").headers["location"]
    assert location.startswith("https://shop.example/sale?attribune_click=")


@pytest.mark.parametrize("link", ["plain", "pinned"])
@pytest.mark.parametrize(
    "asked",
    ["https://evil.example", "//evil.example", "https://shop.example@evil.example", "javascript:alert(1)",
     "https://shop.example%0d%0aSet-Cookie:%20a=b", "https://evil.example%5c@shop.example", "%5c%5cevil.example"],
)  # fmt: skip
def test_no_link_is_an_open_redirect(door: Front, link, asked):
    for word in (
        "redirect",
        "af_r",
        "redirect_android",
        "af_android_url",
        "url",
        "$fallback_url",
        "af_dp",
    ):
        answer = door.get(f"/c/{link}?{word}={asked}")
        assert answer.headers["location"].startswith(PLAY)
        assert "set-cookie" not in answer.headers


def test_the_partners_referrer_stays_in_plays(door: Front):
    location = door.get("/c/plain?referrer=gclid%3DG1").headers["location"]
    words = parse_qs(parse_qs(urlsplit(location).query)["referrer"][0])
    assert words["gclid"] == ["G1"]
    assert len(words["attribune_click"]) == 1


@pytest.mark.parametrize("fault", [JournalFull(), JournalDamaged("a page is not what was written")])
def test_a_click_that_cannot_be_kept_still_sends_the_person_on(fault):
    with front() as door:
        door.journal.fault = fault
        answer = door.get("/c/plain?click_id=1")
        assert answer.status == 302
        assert answer.headers["location"] == PLAY
        assert door.get("/i/plain").status == 200
        machine = door.get("/c/plain?redirect=false")
        assert (machine.status, machine.headers["retry-after"]) == (503, "2")
        health = door.get("/healthz")
        assert health.status == 200
        assert health.json["status"] == "degraded"
        assert health.json["clicks_not_kept"] == 2
        answer = door.post("/v1/open", OPEN)
        assert (answer.status, answer.headers["retry-after"]) == (503, "2")
        assert answer.json["error"]["type"] == "unavailable"
        assert door.post("/v1/batch", {"records": [OPEN]}).status == 503
        assert door.post("/v1/open", OPEN, "ak_nobody").status == 401
        door.journal.fault = None
        assert door.post("/v1/open", OPEN).status == 200
        assert door.get("/healthz").json["journal_failures"] == 5


def test_a_changed_link_is_in_force_within_a_second(door: Front):
    made = Link(
        id=LinkId("late"),
        product=GAME,
        partner=PartnerId("acme"),
        targets={"android": "https://one.example/"},
    )
    for url in ("https://one.example/", "https://two.example/"):
        record = Link(id=made.id, product=GAME, partner=made.partner, targets={"android": url})
        door.journal.append([(Topic.CONTROL, encode(Change(at_ms=1, record=record)))])
        give_up = time.monotonic() + 1
        while not door.get("/c/late").headers.get("location", "").startswith(url):
            assert time.monotonic() < give_up
            time.sleep(0.01)


# --- who speaks


@pytest.mark.parametrize(
    ("key", "status", "reason"),
    [
        (None, 401, RefusalReason.UNKNOWN_KEY),
        ("ak_nobody_12345", 401, RefusalReason.UNKNOWN_KEY),
        (OLD_KEY, 401, RefusalReason.REVOKED_KEY),
        (API_KEY, 403, RefusalReason.FORBIDDEN_FOR_KEY),
    ],
)
def test_who_may_not_speak_is_told_and_kept(door: Front, key, status, reason):
    for path, said in (("/v1/open", OPEN), ("/v1/batch", {"records": [OPEN]})):
        before = door.end()
        answer = door.post(path, said, key)
        assert answer.status == status
        error = answer.json["error"]
        assert (error["type"], error["code"], error["param"]) == (
            "authentication",
            reason,
            "Authorization",
        )
        refusal = only_refusal(door, before)
        assert refusal.reason is reason
        assert json.loads(refusal.body) == said
        assert "authorization" not in refusal.headers
        assert door.since(Topic.ACTIVITY, before) == []


def test_a_key_of_another_app_may_not_write_this_one(door: Front):
    before = door.end()
    answer = door.post("/v1/open", {**OPEN, "app_id": "game-android"}, OTHER_KEY)
    assert answer.status == 403
    refusal = only_refusal(door, before)
    assert (refusal.reason, refusal.param) == (RefusalReason.FORBIDDEN_FOR_KEY, "app_id")
    assert (refusal.record_id, refusal.record_type, refusal.app) == ("o1", "open", "other-android")


def signed(body: bytes, t: int, secret: str = SECRET) -> str:
    return (
        f"t={t},v1={hmac.new(secret.encode(), f'{t}.'.encode() + body, hashlib.sha256).hexdigest()}"
    )


def test_signatures(door: Front):
    body = json.dumps(OPEN).encode()
    now = int(time.time() * 1000)

    def status(**headers: str) -> tuple[int, str]:
        answer = door.post("/v1/open", body, SIGNED_KEY, **headers)
        return answer.status, answer.json.get("error", {}).get("code", "ok")

    assert status(Attribune_Signature=signed(body, now)) == (200, "ok")
    assert status(Attribune_Signature=signed(body, now)) == (200, "ok")
    assert status() == (401, "bad_signature")
    assert status(Attribune_Signature="t=1,v1=zz") == (401, "bad_signature")
    assert status(Attribune_Signature=signed(body + b" ", now)) == (401, "bad_signature")
    assert status(Attribune_Signature=signed(body, now, "other")) == (401, "bad_signature")
    assert status(Attribune_Signature=signed(body, now - 310_000)) == (401, "old_signature")
    before = door.end()
    status(Attribune_Signature=signed(body, now - 310_000))
    assert not any("signature" in name for name in only_refusal(door, before).headers)


def test_keys_show_when_they_were_used(door: Front):
    door.post("/v1/open", OPEN)
    used = door.role.state()["keys_used_at_ms"]["k-app"]
    assert abs(used - time.time() * 1000) < 10_000


# --- records


def test_a_batch_gives_a_verdict_for_each_and_keeps_all_in_order(door: Front):
    before = door.end()
    results = door.batch(
        OPEN,
        {"type": "event", "id": "e1", "name": "buy", "device": {"id": "d1"}, "revenue": {"amount": 1.5, "currency": "EUR"}},
        {"type": "nonsense", "id": "x"},
        {"type": "event", "id": "e2", "name": "buy", "device": {"id": "d1"}, "revenue": {"amount": "1.50", "currency": "EUR"}},
    )  # fmt: skip
    assert [r["status"] for r in results] == ["accepted", "refused", "refused", "accepted"]
    assert [r["id"] for r in results] == ["o1", "e1", "x", "e2"]
    assert results[1]["field"] == "records[1].revenue.amount"
    assert results[1]["reason"] == "wrong_type"
    entries = door.journal.read((Topic.ACTIVITY, Topic.REFUSED), before, 10)
    assert [e.topic for e in entries] == [
        Topic.ACTIVITY,
        Topic.REFUSED,
        Topic.REFUSED,
        Topic.ACTIVITY,
    ]
    assert [e.position for e in entries] == list(range(before + 1, before + 5))
    kept = [*door.since(Topic.ACTIVITY, before), *door.since(Topic.REFUSED, before)]
    assert sorted(r.part.index for r in kept) == [0, 1, 2, 3]
    assert {(r.part.request, r.part.of) for r in kept} == {(kept[0].part.request, 4)}


def test_a_record_alone_has_no_part(door: Front):
    before = door.end()
    door.batch(OPEN)
    door.post("/v1/open", OPEN)
    assert [r.part for r in door.since(Topic.ACTIVITY, before)] == [None, None]


def test_what_a_batch_says_besides_records_is_kept(door: Front):
    before = door.end()
    door.batch({"type": "bad"}, OPEN, OPEN, shell={"v": 1.50})
    extras = [record.extra for record in door.since(Topic.ACTIVITY, before)]
    assert extras == [{"batch.shell": '{"v": 1.5}'}, {}]


def test_a_refused_single_record_is_an_error_and_kept(door: Front):
    before = door.end()
    answer = door.post("/v1/event", {"id": "e1", "device": {"id": "d"}, "name": 7})
    assert answer.status == 400
    assert answer.json["error"] == {
        "type": "invalid_request",
        "code": "wrong_type",
        "param": "name",
        "message": "name must be text, not a number",
        "doc": "/docs/errors#wrong_type",
    }
    refusal = only_refusal(door, before)
    assert (refusal.record_id, refusal.record_type, refusal.param) == ("e1", "event", "name")


def test_a_server_tells_a_click_and_gets_the_same_touch_for_a_repeat(door: Front):
    before = door.end()
    said = {
        "id": "c1",
        "link": "plain",
        "at": "2026-11-21T10:00:00Z",
        "clickid": "77",
        "ip": "203.0.113.9",
    }
    said["at"] = int(time.time() * 1000) - 60_000
    first = door.post("/v1/click", said, SERVER_KEY)
    again = door.post("/v1/click", said, SERVER_KEY)
    other = door.post("/v1/impression", {**said, "id": "c2"}, SERVER_KEY)
    assert first.json["touch_id"] == again.json["touch_id"] == first.json["results"][0]["touch_id"]
    assert other.json["touch_id"] != first.json["touch_id"]
    touches = door.since(Topic.TOUCHES, before)
    assert [t.kind for t in touches] == ["click", "click", "impression"]
    assert (touches[0].partner_click_id, touches[0].ip, touches[0].campaign) == (
        "77",
        "203.0.113.9",
        "spring",
    )
    assert touches[0].occurred_at_ms == said["at"] == time_of(touches[0].id)


def test_an_app_key_tells_no_touches(door: Front):
    answer = door.post("/v1/click", {"id": "c1", "link": "plain"})
    assert (answer.status, answer.json["error"]["code"]) == (403, "forbidden_for_key")


# --- bad input


def gzipped(body: bytes) -> bytes:
    return gzip.compress(body)


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"", {}, 400, "malformed"),
        (b"{", {}, 400, "malformed"),
        (b"[]", {}, 400, "wrong_type"),
        (b"null", {}, 400, "wrong_type"),
        (b"{}", {}, 400, "missing_field"),
        (b'{"records": {}}', {}, 400, "wrong_type"),
        (b'{"records": "\xff"}', {}, 400, "wrong_type"),
        (b'{"x": "\xff", "records": []}', {}, 400, "malformed"),
        (b'{"records": [], "x": ' + b"[" * 5000 + b"]" * 5000 + b"}", {}, 400, "malformed"),
        (b'{"records": [' + b'{"a":' * 200_000, {}, 400, "malformed"),
        (b'{"records": [], "sent_at": true}', {}, 400, "bad_time"),
        (b'{"records": [], "sent_at": 12345}', {}, 400, "bad_time"),
        (b'{"records": [], "sent_at": 99999999999999}', {}, 400, "bad_time"),
        (b"\x00" * 100, {}, 400, "malformed"),
        (b"x" * 1_048_577, {}, 413, "too_large"),
        (json.dumps({"records": [1] * 1001}).encode(), {}, 413, "too_many_records"),
        (b"abc", {"Content-Encoding": "br"}, 415, "bad_encoding"),
        (b"abc", {"Content-Encoding": "gzip"}, 400, "bad_encoding"),
        (gzipped(b'{"records": []}')[:-4], {"Content-Encoding": "gzip"}, 400, "bad_encoding"),
        (gzipped(b"0" * 300_000_000), {"Content-Encoding": "gzip"}, 413, "too_large"),
    ],
)  # fmt: skip
def test_bad_bodies_get_a_clear_error_and_are_kept(door: Front, body, headers, status, reason):
    before = door.end()
    answer = door.ask("POST", "/v1/batch", body, {"Authorization": f"Bearer {APP_KEY}", **headers})
    assert (answer.status, answer.json["error"]["code"]) == (status, reason)
    assert answer.json["error"]["message"]
    assert only_refusal(door, before).reason == reason
    assert door.get("/readyz").status == 200


def test_a_ten_megabyte_body_is_not_read_on(door: Front):
    before = door.end()
    head = f"POST /v1/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {APP_KEY}\r\nContent-Length: 10485760\r\n\r\n"
    assert b" 413 " in door.raw(head.encode())
    assert only_refusal(door, before).reason is RefusalReason.TOO_LARGE


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/open", "/in/segment/seg/v1/batch"])
def test_a_sender_of_ten_megabytes_hears_the_answer(door: Front, path):
    for body in (b"x" * 10_485_760, iter([b"x" * 65_536] * 160)):
        answer = door.ask("POST", path, body)
        assert answer.status == (400 if "segment" in path else 413)
    assert door.get("/readyz").status == 200


def test_a_slow_sender_is_told_and_kept():
    with front(body_wait_ms=200) as door:
        head = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"
        began = time.monotonic()
        assert b" 408 " in door.raw(head)
        assert time.monotonic() - began < 2
        [refusal] = door.kept(Topic.REFUSED)
        assert (refusal.reason, refusal.body) == (RefusalReason.INCOMPLETE, b"abc")


def test_a_sender_that_goes_away_is_kept(door: Front):
    before = door.end()
    head = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"
    door.raw(head, close=True)
    give_up = time.monotonic() + 5
    while not door.since(Topic.REFUSED, before):
        assert time.monotonic() < give_up
        time.sleep(0.01)
    assert only_refusal(door, before).reason is RefusalReason.INCOMPLETE


def test_gzip_and_any_content_type_are_understood(door: Front):
    body = gzipped(json.dumps(OPEN).encode())
    for kind in ("text/plain", "application/x-www-form-urlencoded", "nonsense"):
        headers = {
            "Authorization": f"Bearer {APP_KEY}",
            "Content-Encoding": "gzip",
            "Content-Type": kind,
        }
        assert door.ask("POST", "/v1/open", body, headers).status == 200
    chunked = iter([body[:5], body[5:]])
    headers = {"Authorization": f"bearer {APP_KEY}", "Content-Encoding": "GZIP"}
    assert door.ask("POST", "/v1/open", chunked, headers).status == 200


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("GET", "/v1/batch", "POST"), ("POST", "/v1/attribution", "GET"), ("POST", "/c/plain", "GET, HEAD"), ("DELETE", "/healthz", "GET")],
)  # fmt: skip
def test_wrong_methods(door: Front, method, path, allow):
    answer = door.ask(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allow)
    assert answer.json["error"]["code"] == "wrong_method"


def test_unknown_paths(door: Front):
    assert door.get("/wp-login.php").json["error"]["type"] == "not_found"
    assert door.get("/").status == 404


def test_secrets_are_never_kept(door: Front):
    before = door.end()
    headers = {
        "Cookie": "s=1",
        "Authorization": "Bearer ak_secret_1234",
        "X-Api-Key": "k",
        "Proxy-Authorization": "x",
    }
    body = b'{"a": "sk_abcdefgh12345", "writeKey": "wk_live", "ok": 1}'
    door.ask("POST", "/v1/batch?key=ak_secret_1234", body, {**headers, "X-Fine": "yes"})
    refusal = only_refusal(door, before)
    assert refusal.headers["x-fine"] == "yes"
    stored = encode(refusal)
    for secret in (b"s=1", b"ak_secret", b"sk_abcdefgh", b"wk_live", b"x-api-key", b"proxy"):
        assert secret not in stored
    assert refusal.body == b'{"a": "(removed)", "writeKey": "(removed)", "ok": 1}'
    assert refusal.body_bytes == len(body)
    assert refusal.body_sha256 == hashlib.sha256(body).hexdigest()


def test_refused_bodies_are_held_to_a_quota_and_never_lost():
    with front(refused_bytes_per_s_max=5000, refused_body_bytes_max=2000) as door:
        for _ in range(6):
            door.ask("POST", "/v1/batch", b"x" * 3000)
        refusals = door.kept(Topic.REFUSED)
        assert len(refusals) == 6
        assert {r.body_bytes for r in refusals} == {3000}
        assert all(r.body_sha256 for r in refusals)
        assert {len(r.body) for r in refusals} == {0, 2000}


# --- asking, browsers, health


def test_asking_for_an_attribution(door: Front):
    bearer = {"Authorization": f"Bearer {APP_KEY}"}
    answer = door.ask("GET", "/v1/attribution?device_id=asked", None, bearer)
    assert (answer.status, answer.json) == (202, {"status": "pending", "retry_after_ms": 2000})
    said = {"status": "decided", "attribution": {"partner": "acme"}, "deep_link": None}
    door.answers.put({(GAME, "asked"): json.dumps(said).encode()}, 1)
    answer = door.ask("GET", "/v1/attribution?x=1&device_id=asked", None, bearer)
    assert (answer.status, answer.json) == (200, said)
    assert door.ask("GET", "/v1/attribution", None, bearer).json["error"]["param"] == "device_id"
    assert door.ask("GET", "/v1/attribution?device_id=asked").status == 401
    foreign = {"Authorization": f"Bearer {OTHER_KEY}"}
    assert door.ask("GET", "/v1/attribution?device_id=asked", None, foreign).status == 202


def test_an_open_waits_for_its_attribution(door: Front):
    said = {"status": "decided", "attribution": {"partner": "acme"}, "deep_link": "app://x"}
    put = threading.Timer(0.1, door.answers.put, ({(GAME, "w1"): json.dumps(said).encode()}, 1))
    put.start()
    began = time.monotonic()
    [result] = door.batch(
        {"type": "open", "id": "w", "device": {"id": "w1"}, "want_attribution": True}
    )
    assert time.monotonic() - began < 0.4
    assert result["attribution"] == said
    put.join()


def test_that_nobody_may_be_measured_is_an_answer_which_an_open_waits_over():
    """Consent may come with the open that asks; a stale answer would send the person nowhere."""
    said = {"status": "decided", "attribution": {"partner": "acme"}, "deep_link": "app://x"}
    bearer = {"Authorization": f"Bearer {APP_KEY}"}
    with front(attribution_wait_ms=400) as door:
        door.answers.put({(GAME, "w1"): NOT_MEASURED, (GAME, "w2"): NOT_MEASURED}, 1)
        asked = door.ask("GET", "/v1/attribution?device_id=w1", None, bearer)
        assert (asked.status, asked.json) == (200, json.loads(NOT_MEASURED))
        new = json.dumps(said).encode()
        put = threading.Timer(0.1, door.answers.put, ({(GAME, "w1"): new}, 2))
        put.start()
        results = door.batch(
            *(
                {"type": "open", "id": n, "device": {"id": n}, "want_attribution": True}
                for n in ("w1", "w2")
            )
        )
        put.join()
        assert [r["attribution"] for r in results] == [said, json.loads(NOT_MEASURED)]
        counters = door.role.state()["counters"]
        assert (counters["attribution_decided"], counters["attribution_pending"]) == (3, 0)


def test_many_wait_at_once_and_no_longer_than_they_should():
    with front(attribution_wait_ms=150) as door:
        opens = [
            {"type": "open", "id": f"w{n}", "device": {"id": f"w{n}"}, "want_attribution": True}
            for n in range(50)
        ]
        began = time.monotonic()
        results = door.batch(*opens)
        assert 0.1 < time.monotonic() - began < 1.5
        assert {json.dumps(r["attribution"]) for r in results} == {
            '{"status": "pending", "retry_after_ms": 2000}'
        }


def test_browsers_of_registered_origins_may_send(door: Front):
    ask = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-y",
    }
    answer = door.ask("OPTIONS", "/v1/batch", None, ask)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type,x-y"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["vary"] == "origin"
    assert (
        door.post("/v1/open", OPEN, Origin=ORIGIN).headers["access-control-allow-origin"] == ORIGIN
    )
    assert (
        door.post("/v1/open", OPEN, None, Origin=ORIGIN).headers["access-control-allow-origin"]
        == ORIGIN
    )


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://shop.example.evil", "https://SHOP.example"]
)
def test_browsers_of_other_origins_may_not(door: Front, origin):
    answer = door.ask("OPTIONS", "/v1/batch", None, {"Origin": origin})
    assert answer.status == 403
    assert not any(name.startswith("access-control") for name in answer.headers)
    assert "access-control-allow-origin" not in door.post("/v1/open", OPEN, Origin=origin).headers


def test_well_known_pages(door: Front):
    answer = door.get("/.well-known/apple-app-site-association")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    [detail] = answer.json["applinks"]["details"]
    assert detail["appIDs"] == ["TEAM123456.com.example.game"]
    [statement] = door.get("/.well-known/assetlinks.json").json
    assert statement["target"] == {
        "namespace": "android_app",
        "package_name": "com.example.game",
        "sha256_cert_fingerprints": ["AA:BB"],
    }


def test_health_and_readiness(door: Front):
    assert door.get("/healthz").json["status"] == "ok"
    assert door.get("/readyz").json == {"status": "ready"}
    answer = door.ask("HEAD", "/healthz")
    assert (answer.status, answer.body) == (200, b"")


def test_addresses_behind_proxies():
    with front(proxy_hops=2) as door:
        for sent, ip in (
            ("6.6.6.6, 203.0.113.7, 10.0.0.1", "203.0.113.7"),
            ("203.0.113.7, 10.0.0.1", "203.0.113.7"),
            ("203.0.113.7:4711, 10.0.0.1", "203.0.113.7"),
            ("[2001:db8::1]:4711, 10.0.0.1", "2001:db8::1"),
            ("2001:db8::1, 10.0.0.1", "2001:db8::1"),
            ("::ffff:203.0.113.7, 10.0.0.1", "203.0.113.7"),
            ("10.0.0.1", None),
            ("junk, 10.0.0.1", None),
            (", ", None),
        ):
            before = door.end()
            door.get("/c/plain", X_Forwarded_For=sent)
            [hit] = door.since(Topic.TOUCHES, before)
            assert hit.ip == ip, sent


def test_x_forwarded_for_of_strangers_is_not_read(door: Front):
    before = door.end()
    door.get("/c/plain", X_Forwarded_For="6.6.6.6")
    [hit] = door.since(Topic.TOUCHES, before)
    assert hit.ip == "127.0.0.1"


def test_a_fault_of_ours_is_a_503_and_the_door_lives(monkeypatch):
    with front() as door:
        monkeypatch.setattr(door.role._registry, "key", lambda _: 1 / 0)
        answer = door.post("/v1/open", OPEN)
        assert (answer.status, answer.json["error"]["code"]) == (503, "fault")
        monkeypatch.undo()
        assert door.post("/v1/open", OPEN).status == 200
        assert door.get("/healthz").json["faults"] == 1
