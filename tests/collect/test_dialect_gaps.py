"""What servers and older libraries say in less common ways, as each vendor takes it."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import pytest
from test_dialect_consent import judged_by, read

from attribune.collect.dialects import DIALECTS, Heard, Letter
from attribune.collect.dialects.landing import with_landings
from attribune.collect.refuse import Refused
from attribune.model.activity import KnownDevice, Open
from attribune.model.control import Door
from attribune.model.refusal import RefusalReason

# --- Singular

LAUNCH = {"a": "k", "p": "Android", "sdid": "s1"}


def test_singular_takes_a_form_with_its_key_in_it() -> None:
    form = urlencode({**LAUNCH, "n": "buy", "amt": "1.50", "cur": "EUR"}).encode()
    (event,) = read("singular", "/api/v1/evt", form)
    assert (event.name, str(event.revenue), event.device.id) == ("buy", "1.50", "s1")
    assert "a" not in event.extra
    singular = DIALECTS["singular"]
    at = Door(id="d", app="a", dialect="singular", sha256=sha256(b"k").hexdigest())
    singular.hold_to_key(Letter("POST", "/api/v1/evt", body=form), at, lambda: None)
    wrong = Letter("POST", "/api/v1/evt", body=form.replace(b"a=k", b"a=x"))
    with pytest.raises(Refused):
        singular.hold_to_key(wrong, at, lambda: None)
    # The query stands before the form, also for who wants to be somebody else.
    mixed = Letter("POST", "/api/v1/evt", "a=x", body=form)
    with pytest.raises(Refused):
        singular.hold_to_key(mixed, at, lambda: None)


@pytest.mark.parametrize(
    ("installed", "is_known"),
    [("1764547199", True), ("1764547200", False), ("soon", False), ("", False)],
)
def test_singular_tells_existing_users_by_their_install_time(
    installed: str, is_known: bool
) -> None:
    query = urlencode({**LAUNCH, "install_time": installed})
    found = read(
        "singular", f"/api/v1/launch?{query}", b"", maps={"installed:before": "2025-12-01"}
    )
    assert [type(one) for one in found] == ([KnownDevice, Open] if is_known else [Open])
    if is_known:
        assert found[0].device == found[1].device
        assert found[0].id != found[1].id
    assert [type(one) for one in read("singular", f"/api/v1/launch?{query}", b"")] == [Open]


# --- GA4


def checked(events: list[Any]) -> tuple[int, list[dict[str, str]]]:
    """What the validation server answers."""
    ga4 = DIALECTS["ga4"]
    body = {"client_id": "c1", "events": events}
    try:
        read("ga4", "/debug/mp/collect?api_secret=k", body)
    except Refused as refused:
        answer = ga4.refuse(refused, Letter("POST", "/debug/mp/collect"))
        return answer.status, json.loads(answer.body)["validationMessages"]
    return 200, []


def test_ga4s_validation_server_says_what_is_wrong() -> None:
    assert checked([{"name": "buy"}] * 25) == (200, [])
    status, (message,) = checked([{"name": "buy"}] * 26)
    assert (status, message["validationCode"], message["fieldPath"]) == (200, "EXCEEDED_MAX_ENTITIES", "events")  # fmt: skip
    status, (message,) = checked([{"params": {}}])
    assert (status, message["validationCode"], message["fieldPath"]) == (200, "VALUE_REQUIRED", "events[0].name")  # fmt: skip
    with pytest.raises(Refused) as refused:
        read("ga4", "/mp/collect", {"client_id": "c", "events": [{"name": "buy"}] * 26})
    assert DIALECTS["ga4"].refuse(refused.value, Letter("POST", "/mp/collect")).status == 413


# --- PostHog


def test_posthogs_identify_binds_the_anonymous_device() -> None:
    said = {"event": "$identify", "distinct_id": "u1", "properties": {"$anon_distinct_id": "d1"}}
    (event,) = read("posthog", "/batch/", {"batch": [said]})
    assert (event.name, event.device.id, event.user_id) == ("$identify", "d1", "u1")
    said["properties"]["$device_id"] = "d2"
    (event,) = read("posthog", "/batch/", {"batch": [said]})
    assert (event.device.id, event.params["$anon_distinct_id"]) == ("d2", '"d1"')


def test_posthog_changes_a_person_without_an_event() -> None:
    said = {"token": "k", "$distinct_id": "u1", "$set": {"plan": "pro"}}
    (event,) = read("posthog", "/engage/", said)
    assert (event.name, event.user_id, event.params) == ("$set", "u1", {"plan": '"pro"'})
    (event,) = read("posthog", "/engage/", {"distinct_id": "u1", "$set_once": {"a": 1}})
    assert (event.name, event.params) == ("$set_once", {"a": "1"})
    (refused,) = read("posthog", "/engage/", {"distinct_id": "u1", "$set": None})
    assert refused.param == "event"


# --- Mixpanel


def test_mixpanels_groups_are_nobodys() -> None:
    said = {"$token": "k", "$group_key": "company", "$group_id": "acme", "$set": {"size": 3}}
    (event,) = read("mixpanel", "/groups", [said])
    assert (event.device, event.user_id, event.params) == (None, None, {"size": "3"})
    assert (event.extra["$group_id"], event.extra["$group_key"]) == ('"acme"', '"company"')


def charge(who: str, amount: Any, **more: Any) -> dict[str, Any]:
    transaction = {"$amount": amount, "$time": "2026-11-20T10:00:00", **more}
    return {"$token": "k", "$distinct_id": who, "$append": {"$transactions": transaction}}


def test_mixpanels_charges_are_purchases() -> None:
    said = charge("u1", 9.99, order_id="A-1", sku="hat")
    (event,) = read("mixpanel", "/engage", [said])
    assert (event.name, str(event.revenue), event.user_id) == ("$transactions", "9.99", "u1")
    assert (event.transaction_id, event.params) == ("A-1", {"sku": '"hat"'})
    assert event.occurred_at_ms == 1_795_168_800_000
    (event,) = read("mixpanel", "/engage", [said], maps={"event:$transactions": "purchase"})
    assert event.name == "purchase"
    (event,) = read("mixpanel", "/engage", [charge("$device:d1", 1)])
    assert (event.user_id, event.device.id) == (None, "d1")
    (refused,) = read("mixpanel", "/engage", [charge("u1", "much")])
    assert isinstance(refused, Refused)
    (event,) = read("mixpanel", "/engage", [{"$distinct_id": "u1", "$append": {"list": 1}}])
    assert (event.name, event.revenue) == ("$append", None)


# --- what a sender counts


@pytest.mark.parametrize(
    ("dialect", "path", "events"),
    [
        ("amplitude", "/2/httpapi", "events"),
        ("mixpanel", "/import", None),
    ],
)
def test_what_is_found_beside_an_event_is_not_counted(
    dialect: str, path: str, events: str | None
) -> None:
    """A client drops the events whose places it is told."""
    link = "https://game.example/?attribune_click=019b0000-0000-7000-8000-000000000000"
    if dialect == "amplitude":
        sent: list[Any] = [{"event_type": "page", "device_id": "d1", "event_properties": {"url": link}}, {"device_id": "d1"}]  # fmt: skip
    else:
        sent = [{"event": "page", "properties": {"$device_id": "d1", "url": link}}, {"properties": {"$device_id": "d1"}}]  # fmt: skip
    body = json.dumps({events: sent} if events else sent).encode()
    letter = Letter("POST", path, body=body)
    judged = list(with_landings(judged_by(dialect, letter)))
    assert len(judged) == 3
    at = Door(id="d", app="game-android", dialect=dialect, sha256="")
    verdicts = [verdict for verdict, _ in judged]
    answer = json.loads(DIALECTS[dialect].accept(Heard(letter, at, verdicts, None, "", 0)).body)
    if dialect == "amplitude":
        assert answer["events_with_invalid_fields"] == {"event_type": [1]}
    else:
        assert [one["index"] for one in answer["failed_records"]] == [1]
        assert answer["num_records_imported"] == 1


@pytest.mark.parametrize("second", ["d1", "d2"])
def test_a_click_that_a_batch_mentions_often_is_evidence_once_for_each_device(second: str) -> None:
    link = "https://game.example/?attribune_click=019b0000-0000-7000-8000-000000000000"
    sent = [{"event_type": "page", "device_id": device, "event_properties": {"url": link}} for device in ("d1", second, second)]  # fmt: skip
    letter = Letter("POST", "/2/httpapi", body=json.dumps({"events": sent}).encode())
    found = [type(v.record).__name__ for v, _ in with_landings(judged_by("amplitude", letter))]
    assert found.count("Evidence") == len({"d1", second})
    assert (found[0], found.count("Event")) == ("Evidence", 3)


# --- Amplitude


def told_lengths(options: Any, *events: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The reasons of a letter's refused events, None for those kept, and what the client is answered."""
    letter = Letter("POST", "/2/httpapi", body=json.dumps({"events": events, "options": options}).encode())  # fmt: skip
    verdicts = [verdict for verdict, _ in judged_by("amplitude", letter)]
    at = Door(id="d", app="game-android", dialect="amplitude", sha256="")
    answer = DIALECTS["amplitude"].accept(Heard(letter, at, verdicts, None, "", 0))
    assert answer.status == (400 if any(isinstance(v, Refused) for v in verdicts) else 200)
    reasons = [v.reason if isinstance(v, Refused) else None for v in verdicts]
    return reasons, json.loads(answer.body)


IDS = (
    {"event_type": "a", "device_id": "1234567", "user_id": "1234567"},
    {"event_type": "a", "device_id": "123456", "user_id": "1234567"},
    {"event_type": "a", "device_id": "1234567", "user_id": 123},
    {"event_type": "a", "user_id": "1234567"},
    {"device_id": "1234567"},
)


@pytest.mark.parametrize("least", [7, "7"])
def test_amplitude_refuses_ids_that_are_shorter_than_the_letter_allows(least: Any) -> None:
    """Its libraries drop the events whose places stand there, and send the others again."""
    reasons, answer = told_lengths({"min_id_length": least}, *IDS)
    short, missing = RefusalReason.BAD_ID, RefusalReason.MISSING_FIELD
    assert reasons == [None, short, short, None, missing]
    assert answer["events_with_invalid_id_lengths"] == {"device_id": [1], "user_id": [2]}
    assert answer["events_with_invalid_fields"] == {"event_type": [4]}
    assert "events[1].device_id has fewer than the 7 characters" in answer["error"]


@pytest.mark.parametrize("options", [None, {}, {"min_id_length": None}, {"min_id_length": 1}, {"other": "x"}])  # fmt: skip
def test_amplitude_takes_ids_of_any_length_from_who_asks_for_none(options: Any) -> None:
    reasons, answer = told_lengths(options, *IDS, {"event_type": "a", "device_id": "x" * 300})
    assert reasons == [None] * 4 + [RefusalReason.MISSING_FIELD, RefusalReason.BAD_ID]
    assert "events_with_invalid_id_lengths" not in answer
    assert answer["events_with_invalid_fields"] == {"event_type": [4], "device_id": [5]}


@pytest.mark.parametrize("least", ["many", "", -1, 1.5, True, [5], "1" * 10])
def test_amplitude_names_a_smallest_length_that_is_none(least: Any) -> None:
    with pytest.raises(Refused, match=r"options\.min_id_length must be a whole number"):
        told_lengths({"min_id_length": least}, *IDS)


# --- Snowplow


def test_snowplow_keeps_the_schema_of_an_event_and_takes_posts_at_paths_of_ones_own() -> None:
    schema = "iglu:com.acme/bought/jsonschema/2-0-1"
    said = {"schema": "iglu:x/unstruct_event/jsonschema/1-0-0", "data": {"schema": schema, "data": {"n": 1}}}  # fmt: skip
    event = {"e": "ue", "eid": "1", "duid": "d1", "ue_pr": json.dumps(said)}
    for path in ("/com.snowplowanalytics.snowplow/tp2", "/com.acme/track"):
        (found,) = read("snowplow", path, {"schema": "x", "data": [event]})
        assert (found.name, found.extra["ue.schema"]) == ("bought", f'"{schema}"')
    for path in ("/", "/track", "/a/b/c", "/a/b c"):
        with pytest.raises(Refused):
            read("snowplow", path, {"schema": "x", "data": [event]})
