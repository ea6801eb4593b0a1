"""What servers and older libraries say in less common ways, as each vendor takes it."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import pytest
from test_dialect_consent import read

from attribune.collect.dialects import DIALECTS, Letter
from attribune.collect.refuse import Refused
from attribune.model.activity import Event, KnownDevice, Open
from attribune.model.control import Door

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
    with pytest.raises(Refused):
        # The query stands before the form, also for who wants to be somebody else.
        mixed = Letter("POST", "/api/v1/evt", "a=x", body=form)
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
