"""What vendors' clients may say that is odd: it is refused or kept, and never spoils what stands beside it."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha1
from urllib.parse import urlencode

import pytest
from test_dialects import KEY, NOW, door, telling

from attribune.collect.dialects import DIALECTS, Letter
from attribune.collect.refuse import Refused
from attribune.collect.verdict import Verdict
from attribune.model.refusal import RefusalReason


def read(dialect: str, letter: Letter) -> list[Verdict]:
    said = DIALECTS[dialect]
    return [verdict for verdict, _ in said.read(letter, telling(said), door(said))]


def test_posthog_without_a_time_that_can_be_read():
    event = {"event": "x", "offset": "²", "properties": {"$device_id": "d"}}
    (verdict,) = read("posthog", Letter("POST", "/e/", body=json.dumps(event).encode()))
    assert not isinstance(verdict, Refused)
    assert verdict.record.occurred_at_ms == NOW


def test_amplitude_refuses_an_amount_beyond_all_numbers_alone():
    events = [
        {"event_type": "a", "device_id": "dev-1", "time": NOW},
        {"event_type": "b", "device_id": "dev-1", "time": NOW, "price": "1e999999", "quantity": "1e999999"},
    ]  # fmt: skip
    body = json.dumps({"api_key": KEY, "events": events}).encode()
    good, bad = read("amplitude", Letter("POST", "/2/httpapi", body=body))
    assert not isinstance(good, Refused)
    assert isinstance(bad, Refused)


def test_amplitude_words_a_wrong_key_so_that_its_libraries_give_up():
    said = DIALECTS["amplitude"]
    letter = said.sample("another", NOW)
    with pytest.raises(Refused) as refused:
        said.hold_to_key(letter, door(said), lambda: None)
    answer = json.loads(said.refuse(refused.value, letter).body)
    assert answer["error"].startswith("Invalid API key:")


@pytest.mark.parametrize("lag", ["²", "1" * 400])
def test_singular_with_a_lag_that_is_none(lag: str):
    query = {"n": "buy", "sdid": "d", "utime": str(NOW // 1000), "lag": lag}
    (verdict,) = read("singular", Letter("GET", "/api/v1/evt", urlencode(query)))
    assert not isinstance(verdict, Refused)
    assert verdict.record.occurred_at_ms == NOW


@pytest.mark.parametrize("id_", ["x" * 5000, "a\nb"])
def test_singular_refuses_an_id_that_is_none(id_: str):
    query = {"n": "buy", "sdid": "d", "utime": str(NOW // 1000), "event_id": id_}
    with pytest.raises(Refused) as refused:
        read("singular", Letter("GET", "/api/v1/evt", urlencode(query)))
    assert refused.value.param == "event_id"


def test_singular_keeps_arguments_of_several_lines():
    query = {"n": "buy", "sdid": "d", "e": '{\n "sku": "hat"\n}', "app_v": "1\n2"}
    (verdict,) = read("singular", Letter("GET", "/api/v1/evt", urlencode(query)))
    assert verdict.record.params == {"sku": '"hat"'}
    assert verdict.record.extra["app_v"] == '"1\\n2"'


def test_mixpanel_names_a_change_of_a_group_by_the_change():
    group = {"$token": KEY, "$group_key": "company", "$group_id": "g1", "$set": {"plan": "pro"}}
    (verdict,) = read("mixpanel", Letter("POST", "/groups", body=json.dumps(group).encode()))
    assert (verdict.record.name, verdict.record.params) == ("$set", {"plan": '"pro"'})
    assert verdict.record.extra["$group_key"] == '"company"'


@pytest.mark.parametrize(
    ("dialect", "path", "said"),
    [
        ("posthog", "/e/", {"session": {"token": "abc"}, "token": KEY, "event": "x"}),
        ("mixpanel", "/track", [{"event": "x", "properties": {"info": {"token": "y"}, "token": KEY}}]),
        ("amplitude", "/2/httpapi", {"events": [{"event_properties": {"api_key": "n"}}], "api_key": KEY}),
        ("segment", "/v1/t", {"properties": {"writeKey": "n"}, "writeKey": KEY}),
        ("snowplow", "/com.snowplowanalytics.snowplow/tp2", {"data": [{"x": {"aid": "n"}, "aid": KEY}]}),
    ],
)  # fmt: skip
def test_a_key_is_found_behind_others_of_its_name(dialect: str, path: str, said: object):
    one = DIALECTS[dialect]
    letter = Letter("POST", path, body=json.dumps(said).encode())
    one.hold_to_key(letter, door(one), lambda: None)
    nine = json.dumps({"pad": [{"token": str(n), "api_key": str(n), "writeKey": str(n), "aid": str(n)} for n in range(9)]})  # fmt: skip
    padded = letter._replace(body=letter.body.replace(b"{", nine[:-1].encode() + b",", 1))
    one.hold_to_key(padded, door(one), lambda: None)
    with pytest.raises(Refused):
        one.hold_to_key(letter._replace(body=letter.body.replace(KEY.encode(), b"other")), door(one), lambda: None)  # fmt: skip


def signed(payload: str, signature: str, mark: str | None = None) -> Letter:
    """A letter of Singular's web SDK whose secret is ``s``; ``mark`` stands where the query's own signature belongs."""
    query = f"a={KEY}&n=buy&sdid=d"
    mark = mark or sha1(f"s?{query}".encode()).hexdigest()
    body = json.dumps({"payload": payload, "signature": signature}).encode()
    return Letter("POST", "/api/v1/event", f"{query}&h={mark}", body=body)


def test_singular_holds_signatures_that_are_no_ascii_to_be_wrong():
    said = DIALECTS["singular"]
    right = sha1(b"s{}").hexdigest()
    said.hold_to_key(signed("{}", right), door(said), lambda: "s")
    said.hold_to_key(signed("{}", right.upper()), door(said), lambda: "s")
    for letter in (signed("{}", "é"), signed("{}", ""), signed("{}", right, mark="é")):
        with pytest.raises(Refused) as refused:
            said.hold_to_key(letter, door(said), lambda: "s")
        assert refused.value.reason == RefusalReason.BAD_SIGNATURE


def test_mixpanel_hears_an_import_of_a_service_account_by_the_token_of_its_events():
    said = DIALECTS["mixpanel"]

    def imported(user: str, token: str) -> None:
        event = {"event": "x", "properties": {"token": token, "distinct_id": "u"}}
        headers = {"authorization": "Basic " + b64encode(f"{user}:secret".encode()).decode()}
        letter = Letter("POST", "/import", "project_id=1", headers, json.dumps([event]).encode())
        said.hold_to_key(letter, door(said), lambda: None)

    imported(KEY, "x")
    imported("service", KEY)
    with pytest.raises(Refused):
        imported("service", "x")


@pytest.mark.parametrize("path", ["/static/surveys.js", "/static/1.449.2/surveys.js"])
def test_posthog_gives_parts_of_the_library_that_do_nothing(path: str):
    said = DIALECTS["posthog"]
    letter = Letter("GET", path)
    said.hold_to_key(letter, door(said), lambda: None)
    answer = said.plain_answer(letter, door(said))
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"(function(){})();")
    for other in (letter._replace(method="POST"), letter._replace(path="/static/../e/")):
        with pytest.raises(Refused):
            said.hold_to_key(other, door(said), lambda: None)
