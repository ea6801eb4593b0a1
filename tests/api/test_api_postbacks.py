"""Postbacks over the API: added, listed, held, ended; their log; and what nobody may see or do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from asking import Api
from msgspec.structs import replace

from attribune.api.routes import deliveries
from attribune.model.codec import decode
from attribune.model.control import Change, Postback, Redelivery
from attribune.model.delivery import (
    Attempt,
    DeliveryState,
    OutboxPage,
    Planned,
    SentRequest,
    Trigger,
)
from attribune.model.ids import DeliveryId, PartnerId, Position, PostbackId, ProductId
from attribune.model.position import Topic

URL = "https://acme.example/pb?c={partner_click_id}"
GET = {"partner": "acme", "template": "generic-get", "settings": {"url": URL}}
IMPACT = {
    "partner": "acme",
    "template": "impact",
    "settings": {
        "account_sid": "IR1",
        "auth_token": "s3cret-token",
        "campaign_id": "7",
        "app_id": "9",
    },
}


@pytest.fixture
def acme(tmp_path: Path) -> Api:
    api = Api(tmp_path)
    api.ask("POST", "/api/partners", {"name": "acme"})
    return api


def added(api: Api, words: dict[str, Any]) -> dict[str, Any]:
    status, answer = api.ask("POST", "/api/postbacks", words)
    assert status == 201, answer
    return answer["postback"]


def refused(api: Api, words: dict[str, Any]) -> tuple[int, str, str | None]:
    end = api.journal.end()
    status, answer = api.ask("POST", "/api/postbacks", words)
    assert api.journal.end() == end, "nothing of it is journaled"
    return status, answer["error"]["message"], answer["error"]["param"]


def journaled(api: Api) -> list[Any]:
    entries = api.journal.read((Topic.CONTROL,), Position(0), 1000)
    changes = [decode(entry) for entry in entries]
    return [change.record for change in changes if isinstance(change, Change)]


def test_a_postback_is_added_once_however_often_it_is_said(acme: Api) -> None:
    one = added(acme, GET)
    assert (one["partner"], one["state"], one["is_signing"]) == ("acme", "active", False)
    every = [trigger.value for trigger in Trigger if trigger is not Trigger.PARTIAL_REVERSAL]
    assert one["triggers"] == every
    assert added(acme, GET) == one
    other = added(acme, {**GET, "triggers": ["install"]})
    assert other["id"] != one["id"]
    _, page = acme.ask("GET", "/api/postbacks?partner=acme")
    assert {row["id"] for row in page["postbacks"]} == {one["id"], other["id"]}
    nothing = {"waiting": 0, "delivered": 0, "gave_up": 0, "withdrawn": 0}
    assert page["postbacks"][0]["deliveries"] == nothing


def test_secrets_are_sealed_in_the_journal_and_shown_to_nobody(acme: Api) -> None:
    one = added(acme, IMPACT)
    assert one["secrets"] == ["auth_token"]
    assert "auth_token" not in one["settings"]
    assert added(acme, IMPACT)["id"] == one["id"], "the same secret is the same postback"
    changed = {**IMPACT, "settings": {**IMPACT["settings"], "auth_token": "another"}}
    assert added(acme, changed)["id"] != one["id"]
    record = next(row for row in journaled(acme) if isinstance(row, Postback))
    assert acme.vault.unseal(record.sealed["auth_token"]) == "s3cret-token"
    assert "auth_token" not in record.settings
    for path in ("/api/postbacks", "/api/journal", "/api/journal?topic=control&last=50"):
        _, page = acme.ask("GET", path)
        text = json.dumps(page)
        assert "s3cret-token" not in text
        assert record.sealed["auth_token"] not in text


OWN = {"all_partners": True, "template": "webhook", "settings": {"url": "https://own.example/"}}


@pytest.mark.parametrize(("sign", "is_signing"), [(None, True), (True, True), (False, False)])
def test_what_goes_to_own_systems_is_signed_unless_it_is_said_otherwise(
    acme: Api, sign: bool | None, is_signing: bool
) -> None:
    words = OWN if sign is None else {**OWN, "sign": sign}
    one = added(acme, words)
    assert one["is_signing"] is is_signing
    assert ("signing_secret" in one) is is_signing
    again = added(acme, OWN)
    assert again["id"] == one["id"], "the same again is the one that stands"
    assert "signing_secret" not in again
    assert added(acme, GET)["is_signing"] is False


def test_a_signing_secret_is_shown_once(acme: Api) -> None:
    one = added(acme, {**GET, "sign": True})
    assert one["signing_secret"].startswith("ps_")
    _, page = acme.ask("GET", "/api/postbacks")
    assert page["postbacks"][0]["is_signing"] is True
    assert "signing_secret" not in page["postbacks"][0]
    assert added(acme, {**GET, "sign": True})["id"] != one["id"], "who asks to sign gets a secret"


@pytest.mark.parametrize(
    ("words", "said", "param"),
    [
        ({**GET, "partner": "nobody"}, "no partner 'nobody'", "partner"),
        ({**GET, "partner": None}, "give a partner, or all_partners", "partner"),
        ({**GET, "all_partners": True}, "give a partner, or all_partners", "partner"),
        ({**GET, "template": "nobody"}, "there is no partner 'nobody'", None),
        ({**GET, "template": "../tune"}, "there is no partner '../tune'", None),
        ({**GET, "settings": {}}, "give url", "url"),
        ({**GET, "settings": {"url": "https://a.example/{weather}"}}, "no macro 'weather'", "url"),
        ({**GET, "settings": {"url": "https://{partner_click_id}.example/"}}, "is no host", "url"),
        ({**GET, "triggers": ["weather"]}, "Invalid enum value 'weather'", "triggers[0]"),
        (
            {"partner": "acme", "template": "tune", "triggers": ["reversal"]}
            | {"settings": {"network": "a.example", "offer_id": "1"}},
            "cannot be told of reversal",
            "triggers",
        ),
        ({**GET, "data": "title = 1"}, "partner.toml", "partner.toml"),
        ({**GET, "data": "x" * 70_000}, "more than 65536 characters", "data"),
        ({**GET, "allowed_hosts": ["http://a/"]}, "is no host", "allowed_hosts"),
        ({**GET, "allowed_hosts": ["a"] * 51}, "at most 50", "allowed_hosts"),
        ({**GET, "callback_hosts": ["a.example"]}, "no use for callback hosts", "callback_hosts"),
        ({"partner": "acme", "template": "callback"}, "needs callback hosts", "callback_hosts"),
        ({**GET, "settings": {"url": "https://10.0.0.7:8/"}}, "give --allow-host 10.0.0.7", "url"),
        ({**GET, "settings": {"url": "http://2130706433/"}}, "2130706433 is 127.0.0.1", "url"),
        ({**GET, "settings": {"url": "http://0X7f000001/"}}, "0x7f000001 is 127.0.0.1", "url"),
        ({**GET, "settings": {"url": "http://0177.1/"}}, "0177.1 is 127.0.0.1", "url"),
        (
            {"partner": "acme", "template": "tune"}
            | {"settings": {"network": "192.168.1.1:80", "offer_id": "1"}},
            "network: 192.168.1.1 is not of the public internet",
            "network",
        ),
        (
            {
                **GET,
                "settings": {},
                "data": 'title = "t"\nsource = "s"\n[[requests]]\ntriggers = ["install"]\nurl = "http://10.1/x"',
            },
            "url: 10.1 is 10.0.0.1",
            "url",
        ),
        (
            {"partner": "acme", "template": "callback", "callback_hosts": ["::1"]},
            "callback_hosts: ::1 is not of the public internet",
            "callback_hosts",
        ),
        (
            {**GET, "concurrency": 65},
            "concurrency must be 1 to 64, or 0 to say none",
            "concurrency",
        ),
        (
            {**GET, "per_second": -1},
            "per_second must be 1 to 10000, or 0 to say none",
            "per_second",
        ),
        ({**GET, "apps": ["nobody"]}, "no app 'nobody'", "app"),
        ({**GET, "only_events": ["e"] * 201}, "at most 200 events", "events"),
        ({**GET, "colour": "red"}, "no field 'colour'", "colour"),
    ],
)
def test_what_is_wrong_is_said_by_name(
    acme: Api, words: dict[str, Any], said: str, param: str | None
) -> None:
    status, message, named = refused(acme, {k: v for k, v in words.items() if v is not None})
    assert status in (400, 404)
    assert said in message
    assert named == param


def test_only_the_operator_leads_requests_into_the_own_network(acme: Api) -> None:
    inside = {**GET, "allowed_hosts": ["10.0.0.7"]}
    end = acme.journal.end()
    status, answer = acme.ask("POST", "/api/postbacks", inside, key=acme.key("read", "write"))
    assert (status, answer["error"]["param"]) == (403, "allowed_hosts")
    assert acme.journal.end() == end + 1, "the key, and nothing else"
    assert added(acme, inside)["allowed_hosts"] == ["10.0.0.7"]


def test_an_address_of_the_own_network_is_allowed_by_name_and_not_changed_to_without(
    acme: Api,
) -> None:
    ours = {"url": "http://10.0.0.7:9000/pb"}
    id_ = added(acme, {**GET, "settings": ours, "allowed_hosts": ["10.0.0.7"]})["id"]
    end = acme.journal.end()
    for words, param in (
        ({"settings": {"url": "http://10.0.0.8/"}}, "url"),
        ({"allowed_hosts": []}, "url"),
    ):
        status, answer = acme.ask("PATCH", f"/api/postbacks/{id_}", words)
        assert (status, answer["error"]["param"]) == (400, param)
        assert "not of the public internet" in answer["error"]["message"]
    assert acme.journal.end() == end


def test_a_postback_is_held_goes_on_and_ends(acme: Api) -> None:
    id_ = added(acme, GET)["id"]

    def said(verb: str) -> str:
        status, answer = acme.ask("POST", f"/api/postbacks/{id_}/{verb}")
        assert status == 200, answer
        return answer["postback"]["state"]

    assert [said("pause"), said("pause"), said("resume")] == ["paused", "paused", "active"]
    assert newest(acme).resumed_at_ms == acme.clock.now_ms()
    assert added(acme, GET)["id"] == id_, "which changes nothing of what it says"
    assert sum(isinstance(row, Postback) for row in journaled(acme)) == 3
    assert [said("pause"), said("end"), said("end")] == ["paused", "ended", "ended"]
    status, answer = acme.ask("POST", f"/api/postbacks/{id_}/resume")
    assert (status, answer["error"]["code"]) == (400, "invalid")
    assert acme.ask("POST", "/api/postbacks/nobody/end")[0] == 404
    assert added(acme, GET)["id"] != id_, "one that has ended is not the one that stands"


# --- a change in its place


def edited(api: Api, id_: str, words: dict[str, Any], key: str | None = None) -> dict[str, Any]:
    status, answer = api.ask("PATCH", f"/api/postbacks/{id_}", words, key=key)
    assert status == 200, answer
    return answer["postback"]


def newest(api: Api) -> Postback:
    return next(row for row in reversed(journaled(api)) if isinstance(row, Postback))


def test_a_change_keeps_all_that_is_not_said(acme: Api) -> None:
    words = {**GET, "triggers": ["install"], "only_events": ["buy"], "per_second": 5, "sign": True}
    one = added(acme, words)
    one.pop("signing_secret")
    acme.ask("POST", f"/api/postbacks/{one['id']}/pause")
    before = newest(acme)
    url = "https://new.example/pb?cid={partner_click_id}"
    said = edited(acme, one["id"], {"settings": {"url": url}})
    assert said == {**one, "settings": {"url": url}, "state": "paused"}
    assert newest(acme) == replace(before, settings={"url": url})
    end = acme.journal.end()
    for nothing in ({}, {"settings": {"url": url}}, {"more_triggers": ["install"]}):
        assert edited(acme, one["id"], nothing) == said
    assert acme.journal.end() == end, "the same again changes nothing"
    words = {"in_order": True, "concurrency": 3}
    assert edited(acme, one["id"], {**words, "per_second": 0}) == {**said, **words, "per_second": None}  # fmt: skip
    assert edited(acme, one["id"], {"concurrency": 0})["concurrency"] is None


def test_what_is_told_of_only_becomes_more(acme: Api) -> None:
    id_ = added(acme, {**GET, "triggers": ["install"]})["id"]

    def told(**words: Any) -> tuple[list[str], list[str]]:
        said = edited(acme, id_, words)
        return said["triggers"], said["only_events"]

    assert told(more_events=["buy"]) == (["install", "event"], ["buy"])
    assert told(more_events=["sell", "buy"]) == (["install", "event"], ["buy", "sell"])
    assert told(more_triggers=["reversal"])[1] == ["buy", "sell"]
    assert told(more_triggers=["event"]) == (["install", "event", "reversal"], [])
    assert told(more_events=["buy"])[1] == [], "it tells of every event already"


def test_a_secret_is_sealed_anew_only_where_it_changes(
    acme: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = added(acme, IMPACT)["id"]
    seal, sealed = acme.vault.seal, []
    monkeypatch.setattr(acme.vault, "seal", lambda value: sealed.append(value) or seal(value))
    before = newest(acme)
    assert "auth_token" not in edited(acme, id_, {"settings": {"app_id": "10"}})["settings"]
    assert newest(acme).sealed == before.sealed
    edited(acme, id_, {"settings": {"auth_token": "s3cret-token"}})
    assert newest(acme).sealed == before.sealed, "the same secret"
    assert sealed == []
    edited(acme, id_, {"settings": {"auth_token": "another"}})
    assert acme.vault.unseal(newest(acme).sealed["auth_token"]) == "another"
    acme.vault.key = "2"  # the file with the key was lost
    status, answer = acme.ask("PATCH", f"/api/postbacks/{id_}", {"settings": {"app_id": "11"}})
    assert (status, answer["error"]["code"]) == (409, "vault_locked")
    edited(acme, id_, {"settings": {"auth_token": "s3cret-token"}})
    assert acme.vault.unseal(newest(acme).sealed["auth_token"]) == "s3cret-token"


def test_a_setting_that_the_partner_would_not_take_is_refused_by_name(acme: Api) -> None:
    wrong = {**IMPACT, "settings": {**IMPACT["settings"], "campaign_id": "abc"}}
    assert refused(acme, wrong) == (400, "campaign_id is a whole number, not 'abc'", "campaign_id")
    id_ = added(acme, IMPACT)["id"]
    words = {"settings": {"disposition": "FOO"}}
    status, answer = acme.ask("PATCH", f"/api/postbacks/{id_}", words)
    assert (status, answer["error"]["param"]) == (400, "disposition")


@pytest.mark.parametrize(
    ("words", "said", "param"),
    [
        ({"settings": {"url": None}}, "give url", "url"),
        ({"settings": {"url": "https://a.example/{weather}"}}, "no macro 'weather'", "url"),
        ({"settings": {"colour": "red"}}, "colour", "colour"),
        ({"more_triggers": ["weather"]}, "Invalid enum value 'weather'", "more_triggers[0]"),
        ({"more_events": [f"e{n}" for n in range(201)]}, "at most 200 events", "more_events"),
        ({"allowed_hosts": ["http://a/"]}, "is no host", "allowed_hosts"),
        ({"callback_hosts": ["a.example"]}, "no use for callback hosts", "callback_hosts"),
        ({"concurrency": 65}, "concurrency must be 1 to 64, or 0 to say none", "concurrency"),
        ({"per_second": 10_001}, "per_second must be 1 to 10000, or 0 to say none", "per_second"),
        ({"template": "tune"}, "no field 'template'", "template"),
        ({"triggers": ["install"]}, "no field 'triggers'", "triggers"),
        ({"events": {"buy": "sale"}}, "no field 'events'", "events"),
    ],
)
def test_what_is_wrong_in_a_change_is_said_by_name(
    acme: Api, words: dict[str, Any], said: str, param: str
) -> None:
    id_ = added(acme, {**GET, "triggers": ["install"]})["id"]
    end = acme.journal.end()
    status, answer = acme.ask("PATCH", f"/api/postbacks/{id_}", words)
    assert (status, answer["error"]["param"]) == (400, param)
    assert said in answer["error"]["message"]
    assert acme.journal.end() == end


def test_what_has_ended_or_never_was_is_not_changed(acme: Api) -> None:
    id_ = added(acme, GET)["id"]
    acme.ask("POST", f"/api/postbacks/{id_}/end")
    status, answer = acme.ask("PATCH", f"/api/postbacks/{id_}", {"concurrency": 2})
    assert (status, answer["error"]["param"]) == (400, "postback")
    assert acme.ask("PATCH", "/api/postbacks/nobody", {"concurrency": 2})[0] == 404


def test_a_key_leads_neither_secrets_nor_the_own_network_elsewhere(acme: Api) -> None:
    key = acme.key("read", "write")
    inside = added(acme, {**GET, "allowed_hosts": ["10.0.0.7"]})["id"]
    secret = added(acme, IMPACT)["id"]

    def forbidden(id_: str, **words: Any) -> str:
        status, answer = acme.ask("PATCH", f"/api/postbacks/{id_}", words, key=key)
        assert status == 403, answer
        return answer["error"]["param"]

    end = acme.journal.end()
    assert forbidden(inside, allowed_hosts=[]) == "allowed_hosts"
    assert forbidden(inside, settings={"url": "https://10.0.0.7/"}) == "settings"
    assert forbidden(secret, settings={"account_sid": "IR2"}) == "settings"
    assert acme.journal.end() == end
    assert edited(acme, inside, {"concurrency": 2}, key)["concurrency"] == 2
    words = {"settings": {"account_sid": "IR2", "auth_token": "theirs"}}
    assert edited(acme, secret, words, key)["settings"]["account_sid"] == "IR2"
    assert edited(acme, secret, {"settings": {"account_sid": "IR3"}})["secrets"] == ["auth_token"]


# --- the log


def planned(name: str, postback: str, **words: Any) -> Planned:
    given = {
        "partner": PartnerId("acme"),
        "product": ProductId("game"),
        "outcome_id": f"cv-{name}",
        "revision": 1,
        "trigger": Trigger.INSTALL,
        "subject": f"cv-{name}",
        "place": Position(7),
        "at_ms": 5,
    }
    return Planned(id=DeliveryId(name), postback=PostbackId(postback), **(given | words))


@pytest.fixture
def told(acme: Api) -> tuple[Api, str]:
    id_ = added(acme, GET)["id"]
    sent = SentRequest(method="GET", url="https://acme.example/pb?c=1")

    def tried(name: str, state: DeliveryState, **words: Any) -> Attempt:
        given = {"number": 1, "at_ms": 9, "took_ms": 3, "request": sent}
        return Attempt(
            delivery=DeliveryId(name), postback=PostbackId(id_), state=state, **(given | words)
        )

    acme.outbox.fold(
        OutboxPage(
            planned=[planned(name, id_) for name in "abc"],
            came=[
                tried("a", DeliveryState.DELIVERED, status=200, answer="ok"),
                tried("b", DeliveryState.GAVE_UP, status=404, reason="the partner answered (404)"),
                tried(
                    "c",
                    DeliveryState.WAITING,
                    error="no answer",
                    reason="no answer",
                    next_at_ms=2009,
                ),
            ],
        ),
        Position(3),
    )
    return acme, id_


def test_the_log_shows_requests_answers_and_reasons_the_newest_first(told) -> None:
    api, id_ = told
    _, page = api.ask("GET", "/api/deliveries?partner=acme")
    assert page["next"] is None
    c, b, a = page["rows"]
    assert a == {
        "delivery_id": "a",
        "postback": id_,
        "partner": "acme",
        "trigger": "install",
        "outcome_id": "cv-a",
        "revision": 1,
        "state": "delivered",
        "reason": None,
        "due_at_ms": None,
        "planned_at_ms": 5,
        "request": {"method": "GET", "url": "https://acme.example/pb?c=1", "body": ""},
        "attempts": [
            {"number": 1, "at_ms": 9, "took_ms": 3, "status": 200, "error": None, "answer": "ok"}
        ],
    }
    assert (b["state"], b["reason"]) == ("gave_up", "the partner answered (404)")
    assert (c["state"], c["due_at_ms"], c["attempts"][0]["error"]) == ("waiting", 2009, "no answer")
    assert c["reason"] == "no answer; tried again from 1970-01-01T00:00:02.009Z on"


def test_the_log_says_what_a_paused_postback_holds_back(told) -> None:
    api, id_ = told
    polled = Attempt(
        delivery=DeliveryId("e"), postback=PostbackId(id_), number=1, at_ms=9, took_ms=3, status=200,
        state=DeliveryState.WAITING, reason="the partner decides later", next_at_ms=3000, poll_url="https://a/1",
    )  # fmt: skip
    page = OutboxPage(planned=[planned("d", id_), planned("e", id_)], came=[polled])
    api.outbox.fold(page, Position(4))

    def reasons() -> dict[str, str | None]:
        _, answer = api.ask("GET", "/api/deliveries")
        return {row["delivery_id"]: row["reason"] for row in answer["rows"]}

    before = reasons()
    assert (before["d"], before["e"]) == (
        None,
        "the partner decides later; asked again from 1970-01-01T00:00:03.000Z on",
    )
    api.ask("POST", f"/api/postbacks/{id_}/pause")
    assert reasons() == {
        **before,
        "c": "paused; no answer",
        "d": "paused",
        "e": "paused; the partner decides later",
    }
    api.ask("POST", f"/api/postbacks/{id_}/resume")
    assert reasons() == before


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("state=waiting", "c"),
        ("outcome=cv-b", "b"),
        ("limit=2", "cb"),
        ("partner=acme&state=delivered", "a"),
    ],
)
def test_the_log_is_asked_for_a_part_of_it(told, query: str, names: str) -> None:
    api, id_ = told
    _, page = api.ask("GET", f"/api/deliveries?postback={id_}&{query}")
    assert "".join(row["delivery_id"] for row in page["rows"]) == names


def test_the_log_is_read_page_by_page(told) -> None:
    api, _ = told
    _, first = api.ask("GET", "/api/deliveries?limit=2")
    _, rest = api.ask("GET", f"/api/deliveries?limit=2&before={first['next']}")
    assert [row["delivery_id"] for row in first["rows"] + rest["rows"]] == ["c", "b", "a"]
    assert rest["next"] is None


@pytest.mark.parametrize("query", ["state=lost", "limit=1001", "postback=nobody", "partner=nobody"])
def test_a_wrong_question_is_refused(told, query: str) -> None:
    api, _ = told
    assert api.ask("GET", f"/api/deliveries?{query}")[0] in (400, 404)


def test_deliveries_are_sent_again_by_a_word_in_the_journal(told) -> None:
    api, id_ = told
    status, answer = api.ask("POST", "/api/deliveries/again", {"deliveries": ["a", "a"]})
    assert (status, answer) == (200, {"deliveries": ["a"], "skipped": {}})
    status, answer = api.ask("POST", "/api/deliveries/again", {"postback": id_})
    assert answer == {"deliveries": ["b"], "skipped": {}}
    words = [row for row in journaled(api) if isinstance(row, Redelivery)]
    assert [(row.deliveries, row.by) for row in words] == [
        (("a",), "operator"),
        (("b",), "operator"),
    ]
    end = api.journal.end()
    status, answer = api.ask("POST", "/api/deliveries/again", {"deliveries": ["a", "nobody"]})
    assert (status, answer["error"]["param"]) == (404, "deliveries")
    assert api.ask("POST", "/api/deliveries/again", {"deliveries": ["a"] * 1001})[0] == 400
    assert api.ask("POST", "/api/deliveries/again", {})[1] == {"deliveries": [], "skipped": {}}
    assert api.journal.end() == end


def test_what_was_taken_back_or_corrected_since_is_not_sent_again(acme: Api, monkeypatch) -> None:
    id_ = added(acme, GET)["id"]

    def row(name: str, subject: str, trigger: Trigger, outcome: str | None = None) -> Planned:
        words = {"subject": subject, "trigger": trigger, "outcome_id": outcome or subject}
        return planned(name, id_, **words)

    def came(name: str, state: DeliveryState) -> Attempt:
        of = {"delivery": DeliveryId(name), "postback": PostbackId(id_), "number": 1}
        return Attempt(**of, at_ms=9, took_ms=3, status=404, state=state)

    gave_up, delivered = DeliveryState.GAVE_UP, DeliveryState.DELIVERED
    rows = {
        "lost": (row("lost", "e1", Trigger.EVENT), gave_up),
        "refund": (row("refund", "e1", Trigger.REVERSAL, "r1"), delivered),
        "second": (row("second", "e1", Trigger.REVERSAL, "r2"), gave_up),
        "old": (row("old", "cv1", Trigger.INSTALL), gave_up),
        "new": (row("new", "cv1", Trigger.ATTRIBUTION_UPDATE), delivered),
        "words": (row("words", "cv2", Trigger.INSTALL), gave_up),
        "better": (row("better", "cv2", Trigger.ATTRIBUTION_UPDATE), gave_up),
        "part": (row("part", "e2", Trigger.PARTIAL_REVERSAL, "r3"), gave_up),
        "next": (row("next", "e2", Trigger.PARTIAL_REVERSAL, "r4"), delivered),
        "fraud": (row("fraud", "cv4", Trigger.INSTALL), gave_up),
        "found": (row("found", "cv4", Trigger.REJECTED_INSTALL), gave_up),
        "plain": (row("plain", "cv3", Trigger.INSTALL), gave_up),
    }
    page = OutboxPage(
        planned=[one for one, _ in rows.values()],
        came=[came(name, state) for name, (_, state) in rows.items()],
    )
    acme.outbox.fold(page, Position(3))
    end = acme.journal.end()
    for name, why in (
        ("lost", "taken back since"),
        ("old", "corrected since"),
        ("words", "corrected since"),
        ("part", "corrected since"),
        ("fraud", "taken back since"),
    ):
        status, answer = acme.ask("POST", "/api/deliveries/again", {"deliveries": ["plain", name]})
        assert (status, answer["error"]["param"]) == (400, "deliveries")
        assert f"what delivery {name} tells was {why}" in answer["error"]["message"]
    assert acme.journal.end() == end
    monkeypatch.setattr(deliveries, "AGAIN_MAX", 2)
    _, answer = acme.ask("POST", "/api/deliveries/again", {"postback": id_})
    assert answer == {"deliveries": ["plain", "found"], "skipped": {}}, "the newest first"
    monkeypatch.setattr(deliveries, "AGAIN_MAX", 6)
    _, answer = acme.ask("POST", "/api/deliveries/again", {"postback": id_})
    assert answer["deliveries"] == ["plain", "found", "better", "words", "second"]
    assert answer["skipped"] == {"corrected since": 2, "taken back since": 2}
    _, answer = acme.ask("POST", "/api/deliveries/again", {"deliveries": ["words", "better"]})
    assert answer["deliveries"] == ["words", "better"], "the correction goes out after it"
