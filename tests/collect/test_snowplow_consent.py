"""What Snowplow's events of consent become: the choice of the person before the event, where it is certain."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_dialect_consent import read

from attribune.model.activity import Consent, Event

VENDOR = "iglu:com.snowplowanalytics.snowplow"
MAPS = {
    "consent:statistics": "measurement",
    "consent:Marketing": "sharing",
    "consent:partners": "sharing",
    "consent:doc-1": "sharing",
    "consent:doc-2": "measurement",
    "event:statistics": "x",
}


def described(name: str, data: dict[str, Any], vendor: str = VENDOR) -> dict[str, Any]:
    return {"schema": f"{vendor}/{name}/jsonschema/1-0-0", "data": data}


def told(own: dict[str, Any], *beside: Any, maps: Any = None, **who: str) -> list[Any]:
    """The records of an event of consent and what stands beside it."""
    event = {
        "e": "ue", "eid": "e1", "dtm": "1795305600000", **(who or {"duid": "d1"}),
        "ue_pr": json.dumps(described("unstruct_event", own)),
        "co": json.dumps(described("contexts", beside)),
    }  # fmt: skip
    return read("snowplow", "/com.snowplowanalytics.snowplow/tp2", {"schema": "x", "data": [event]}, maps=maps or {})  # fmt: skip


def choice(own: dict[str, Any], *beside: Any, maps: Any = None) -> tuple[bool | None, bool | None] | None:  # fmt: skip
    """Measurement and sharing; None where no consent is told. The event stands behind it, as it was."""
    *consents, event = told(own, *beside, maps=maps)
    assert isinstance(event, Event)
    assert {name: json.loads(said) for name, said in event.params.items()} == own["data"]
    if not consents:
        return None
    (consent,) = consents
    assert isinstance(consent, Consent)
    assert (consent.device, consent.occurred_at_ms) == (event.device, event.occurred_at_ms)
    assert consent.id != event.id
    return consent.measurement, consent.sharing


@pytest.mark.parametrize(
    ("end", "wanted"),
    [
        ("allow_all", (True, True)),
        ("deny_all", (False, False)),
        ("withdrawn", (False, False)),
        ("pending", None),
        ("implicit_consent", None),
        ("expired", None),
        ("else", None),
        (["deny_all"], None),
        (None, None),
    ],
)
@pytest.mark.parametrize("maps", [None, MAPS])
def test_a_banner_ends_in_a_choice_or_in_none(end: Any, wanted: Any, maps: Any) -> None:
    own = described("consent_preferences", {"eventType": end, "consentScopes": ["necessary"]})
    assert choice(own, maps=maps) == wanted


@pytest.mark.parametrize(
    ("scopes", "maps", "wanted"),
    [
        (["necessary", "Analytics", "functional", "advertisement"], None, (True, True)),
        (["advertising"], None, (None, True)),
        # Nobody said that there was more to allow.
        (["necessary", "preferences"], None, None),
        (["necessary"], MAPS | {"consent:necessary": "measurement"}, (False, False)),
        (["statistics", "doc-2"], MAPS, (True, False)),
        (["statistics", "doc-2", "Marketing", "doc-1"], MAPS, (True, False)),
        (["statistics", "doc-2", "Marketing", "doc-1", "partners"], MAPS, (True, True)),
        # What a door maps stands above what a word means elsewhere, also when it was not allowed.
        (["analytics", "advertising"], {"consent:analytics": "sharing"}, (None, True)),
        (["analytics"], {"consent:statistics": "measurement"}, (False, None)),
        ([], {"consent:statistics": "measurement"}, (False, None)),
        ([7, "analytics", None], None, (True, None)),
        ("analytics", MAPS, None),
    ],
)
def test_selected_scopes_are_allowed_and_the_others_that_a_door_maps_are_not(scopes: Any, maps: Any, wanted: Any) -> None:  # fmt: skip
    own = described("consent_preferences", {"eventType": "allow_selected", "consentScopes": scopes})
    assert choice(own, maps=maps) == wanted


def document(id_: Any) -> dict[str, Any]:
    return described("consent_document", {"id": id_, "version": "1"})


@pytest.mark.parametrize(
    ("name", "data", "documents", "wanted"),
    [
        ("consent_withdrawn", {"all": True}, [], (False, False)),
        ("consent_withdrawn", {"all": True}, ["doc-1"], (False, False)),
        ("consent_withdrawn", {"all": False}, ["doc-1"], (None, False)),
        ("consent_withdrawn", {"all": False}, ["doc-1", "doc-2"], (False, False)),
        ("consent_withdrawn", {"all": False}, ["doc-9", 7], None),
        ("consent_withdrawn", {"all": "true"}, [], None),
        ("consent_granted", {}, ["doc-2"], (True, None)),
        ("consent_granted", {"expiry": "2027-01-01T00:00:00Z"}, ["doc-9", "doc-1"], (None, True)),
        ("consent_granted", {}, ["doc-9"], None),
        ("consent_granted", {}, [], None),
    ],
)
def test_consent_to_documents_means_what_the_door_maps_of_them(
    name: str, data: dict[str, Any], documents: list[Any], wanted: Any
) -> None:
    assert choice(described(name, data), *map(document, documents), maps=MAPS) == wanted


def test_anothers_event_of_the_same_name_says_nothing() -> None:
    own = described("consent_withdrawn", {"all": True}, vendor="iglu:com.acme")
    assert choice(own) is None


def test_without_a_device_nothing_is_said_of_anybody() -> None:
    own = described("consent_withdrawn", {"all": True})
    (event,) = told(own, uid="u1")
    assert isinstance(event, Event)
