"""Whatever is written where a signature or a referrer stands, it steers only when it was signed, and breaks nothing."""

from __future__ import annotations

import hmac
import json
from contextlib import nullcontext, suppress
from hashlib import sha256

import pytest
from front import GAME, SECRET, registry
from hypothesis import given, settings
from hypothesis import strategies as st

from attribune.collect.fields import Fields
from attribune.collect.records import referrers
from attribune.collect.refuse import Refused
from attribune.collect.signature import Secret, check_query
from attribune.collect.speaker import Speaker, check_signature
from attribune.collect.targets import own_referrer, refuses_redirect
from attribune.model.activity import Sender

NOW_MS = 1_795_305_600_000
AHEAD_MS = 7 * 86_400_000
SECRETS = (Secret(b"new", None), Secret(b"old", NOW_MS + 1))
DIRECTORY = registry()
SPEAKER = Speaker(sender=Sender.APP, app=DIRECTORY.app("game-ios"), product=DIRECTORY.product(GAME))

text = st.text(max_size=40).map(lambda said: said.encode("utf-8", "ignore").decode())
names = st.sampled_from(["expires", "signature", "click_id", "ip", "referrer", "redirect", ""])
values = st.one_of(
    text,
    st.sampled_from(["0" * 64, "false", "%ff", "9" * 5000]),
    st.integers(0, NOW_MS + 2 * AHEAD_MS).map(str),
)
queries = st.lists(st.builds("{}={}".format, names, values), max_size=8).map("&".join)


@settings(max_examples=300)
@given(st.one_of(text, queries))
def test_a_query_that_nobody_signed_steers_nothing(query: str) -> None:
    checked = check_query("/c/x", query, SECRETS, NOW_MS, AHEAD_MS)
    assert not checked.signed
    assert not any(part.startswith("signature=") for part in checked.query.split("&"))
    own_referrer(query)
    refuses_redirect(query)


@settings(max_examples=200)
@given(queries, st.sampled_from(SECRETS), st.data())
def test_a_signed_query_stands_and_every_other_does_not(query: str, secret: Secret, data) -> None:
    parts = [part for part in query.split("&") if not part.startswith(("signature=", "expires="))]
    bare = "&".join([*parts, f"expires={NOW_MS + 60_000}"])
    fit = hmac.digest(secret.key, f"/c/x?{bare}".encode(), "sha256").hex()
    signed = f"{bare}&signature={fit}"
    assert check_query("/c/x", signed, SECRETS, NOW_MS, AHEAD_MS) == (bare, True, None)
    place = data.draw(st.integers(0, len(signed) - 1))
    sign = data.draw(st.characters(codec="ascii").filter(lambda one: one != signed[place]))
    other = signed[:place] + sign + signed[place + 1 :]
    assert not check_query("/c/x", other, SECRETS, NOW_MS, AHEAD_MS).signed


headers = st.one_of(
    st.none(),
    text,
    st.builds("t={},v1={}".format, values, st.sampled_from(["0" * 64, "", "zz"])),
)


@settings(max_examples=300)
@given(headers, st.binary(max_size=60))
def test_a_body_that_nobody_signed_is_refused(header: str | None, body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        check_signature(SPEAKER, header, body, NOW_MS, 300_000)
    assert refused.value.status == 401


@settings(max_examples=100)
@given(
    st.one_of(
        st.integers(NOW_MS - 400_000, NOW_MS + 400_000),
        st.integers(0, 10**30),
        st.just(int("9" * 4000)),
    ),
    st.binary(max_size=60),
)
def test_a_signed_body_counts_by_its_time_alone(at_ms: int, body: bytes) -> None:
    fit = hmac.new(SECRET.encode(), f"{at_ms}.".encode() + body, sha256).hexdigest()
    is_fresh = abs(at_ms - NOW_MS) <= 300_000
    with nullcontext() if is_fresh else pytest.raises(Refused):
        check_signature(SPEAKER, f"t={at_ms},v1={fit}", body, NOW_MS, 300_000)


@settings(max_examples=300)
@given(
    st.one_of(
        text,
        st.lists(
            st.dictionaries(
                st.sampled_from(["source", "value", "click_at", "x"]), st.one_of(values, st.none())
            ),
            max_size=20,
        ),
    )
)
def test_referrers_are_read_or_refused(said) -> None:
    extra: dict[str, str] = {}
    with suppress(Refused):
        found = referrers(Fields.of(json.dumps({"referrers": said}).encode()), extra)
        assert len(found) <= 16
