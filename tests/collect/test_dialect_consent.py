"""What other vendors' libraries say of consent beside what they tell, in our records."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import pytest
from front import GAME, registry

from attribune.collect.dialects import DIALECTS, Letter
from attribune.collect.records import Telling
from attribune.collect.speaker import Speaker
from attribune.collect.verdict import Judged, Kept
from attribune.model.activity import Consent, Event, Open, Sender
from attribune.model.control import Door
from attribune.settings import Settings

NOW = 1_795_305_600_000
DIRECTORY = registry()


def read(dialect: str, path: str, said: Any, **door: Any) -> list[Any]:
    """The records that a letter tells at a door, or why it tells none."""
    path, _, query = path.partition("?")
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    judged = judged_by(dialect, Letter("POST", path, query, body=body), **door)
    return [v.record if isinstance(v, Kept) else v for v, _ in judged]


def judged_by(dialect: str, letter: Letter, **door: Any) -> Iterable[Judged]:
    """What a dialect makes of a letter at a door."""
    at = Door(id="d", app="game-android", dialect=dialect, sha256="", **door)
    telling = Telling(
        speaker=Speaker(
            sender=Sender.APP, app=DIRECTORY.app("game-android"), product=DIRECTORY.product(GAME)
        ),
        directory=DIRECTORY,
        settings=Settings(),
        received_at_ms=NOW,
        ip="198.51.100.4",
        user_agent="analytics/1",
        dialect=dialect,
    )
    return DIALECTS[dialect].read(letter, telling, at)


def track(context: Any, **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": "buy", "messageId": "m1", "anonymousId": "a1", "context": context, **more}  # fmt: skip


def preferences(**said: Any) -> dict[str, Any]:
    return {"consent": {"categoryPreferences": said}}


@pytest.mark.parametrize(
    ("context", "wanted"),
    [
        (preferences(Analytics=False), (False, None)),
        (preferences(Analytics=True, Advertising=False, Functional=False), (True, False)),
        (preferences(Advertising=True, DataSharing=True), (None, True)),
        (preferences(Advertising=True, DataSharing=False), (None, False)),
        (preferences(Advertising=False, DataSharing=True), (None, False)),
        (preferences(C0002=False, C0004=True), (False, True)),
        # What a door maps stands above what a word means elsewhere.
        (preferences(analytics=False, Marketing=False), (False, False)),
        ({"consentManagement": {"provider": "x", "allowedConsentIds": ["C0004"], "deniedConsentIds": ["C0002", 7]}}, (False, True)),
    ],
)  # fmt: skip
def test_categories_are_a_consent_before_the_event(context: Any, wanted: Any) -> None:
    maps = {"consent:C0002": "measurement", "consent:C0004": "sharing", "consent:Marketing": "sharing"}  # fmt: skip
    consent, event = read("segment", "/v1/batch", {"batch": [track(context)]}, maps=maps)
    assert isinstance(consent, Consent)
    assert isinstance(event, Event)
    assert (consent.measurement, consent.sharing) == wanted
    assert (consent.device, consent.occurred_at_ms) == (event.device, event.occurred_at_ms)
    assert consent.id != event.id
    assert {f"context.{name}": json.loads(event.extra[f"context.{name}"]) for name in context} == {
        f"context.{name}": value for name, value in context.items()
    }, "what was said stays with the event too"


@pytest.mark.parametrize(
    "context",
    [
        {},
        preferences(),
        preferences(Functional=True, C0002=False),
        preferences(Analytics="no", Advertising=1),
        {"consent": {"categoryPreferences": [True]}},
        {"consent": "no", "consentManagement": {"deniedConsentIds": "Analytics"}},
    ],
)
def test_what_says_nothing_of_measuring_or_sharing_is_no_consent(context: Any) -> None:
    (event,) = read("segment", "/v1/track", track(context))
    assert isinstance(event, Event)


def test_a_consent_is_known_by_its_event_and_needs_a_device() -> None:
    said = {"batch": [track(preferences(Analytics=True))]}
    first, again = (read("segment", "/v1/batch", said)[0] for _ in range(2))
    assert first.id == again.id
    nobody = {**track(preferences(Analytics=False), userId="u1"), "anonymousId": None}
    (event,) = read("segment", "/v1/batch", {"batch": [nobody]})
    assert isinstance(event, Event)
    opened = track(preferences(Analytics=True), event="Application Opened")
    assert [type(one) for one in read("rudder", "/v1/batch", {"batch": [opened]})] == [Consent, Open]  # fmt: skip


# --- one test for each other dialect that has words for it


@pytest.mark.parametrize(
    ("said", "sharing"),
    [
        ({"data_sharing_options": '{"limit_data_sharing":true}'}, False),
        ({"data_sharing_options": '{"limit_data_sharing":false}'}, True),
        ({"dnt": "1"}, False),
        ({"dnt": "1", "data_sharing_options": '{"limit_data_sharing":false}'}, False),
        ({"dnt": "0", "data_sharing_options": '{"limit_data_sharing":false}'}, True),
    ],
)
def test_singulars_limits_are_no_to_sharing(said: dict[str, str], sharing: bool) -> None:
    who = {"a": "k", "p": "Android", "sdid": "s1", "n": "buy"}
    consent, event = read("singular", f"/api/v1/evt?{urlencode({**who, **said})}", b"")
    assert isinstance(consent, Consent)
    assert isinstance(event, Event)
    assert (consent.sharing, consent.measurement, consent.device) == (sharing, None, event.device)


@pytest.mark.parametrize("said", [{}, {"dnt": "0"}, {"data_sharing_options": "x"}])
def test_what_singular_says_by_default_is_nobodys_word(said: dict[str, str]) -> None:
    who = {"a": "k", "p": "Android", "sdid": "s1", "n": "buy"}
    assert len(read("singular", f"/api/v1/evt?{urlencode({**who, **said})}", b"")) == 1


@pytest.mark.parametrize(
    ("said", "sharing"),
    [
        ({"consent": {"ad_user_data": "GRANTED", "ad_personalization": "GRANTED"}}, True),
        ({"consent": {"ad_user_data": "GRANTED", "ad_personalization": "DENIED"}}, False),
        ({"consent": {"ad_user_data": "DENIED"}}, False),
        ({"non_personalized_ads": True}, False),
        ({"non_personalized_ads": True, "consent": {"ad_user_data": "GRANTED"}}, True),
        ({"non_personalized_ads": False}, None),
        ({"consent": {}}, None),
    ],
)
def test_ga4s_consent_is_about_sharing(said: dict[str, Any], sharing: bool | None) -> None:
    body = {"client_id": "c1", "events": [{"name": "buy"}], **said}
    *consents, event = read("ga4", "/mp/collect?api_secret=k", body)
    assert isinstance(event, Event)
    assert [one.sharing for one in consents] == ([] if sharing is None else [sharing])


@pytest.mark.parametrize(
    ("dialect", "path", "said"),
    [
        ("posthog", "/batch/", {"batch": [{"event": "$opt_in", "properties": {"$device_id": "d1"}}]}),
        ("posthog", "/capture/", {"event": "$opt_in", "properties": {"$device_id": "d1"}}),
        ("mixpanel", "/track", [{"event": "$opt_in", "properties": {"$device_id": "d1"}}]),
    ],
)  # fmt: skip
def test_who_opts_in_again_is_measured_again(dialect: str, path: str, said: Any) -> None:
    consent, event = read(dialect, path, said)
    assert (consent.measurement, consent.sharing, consent.device.id) == (True, None, "d1")
    assert event.name == "$opt_in"
