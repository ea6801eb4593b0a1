"""What every dialect must do: understand its own sample, hold clients to their key, and answer rubbish without a fault."""

from __future__ import annotations

import contextlib
import json
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import pytest
from front import GAME, registry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribune.collect.dialects import DIALECTS, Dialect, Heard, Letter
from attribune.collect.dialects.letter import Credited, Told
from attribune.collect.records import Telling
from attribune.collect.refuse import Refused
from attribune.collect.rehearsal import Rehearsal
from attribune.collect.speaker import Speaker
from attribune.collect.verdict import Kept, Making
from attribune.model.activity import Sender
from attribune.model.codec import encode
from attribune.model.control import Door
from attribune.model.ids import AppId, DoorId
from attribune.settings import Settings

NOW = 1_795_305_600_000
KEY = "key_live_abcdefghijklmnopqrstuvwxyz012345"
DIRECTORY = registry()
TOLD = Told(attribution=Credited(partner="acme", campaign="spring", link="plain", is_organic=False, touch="click"))  # fmt: skip

every_dialect = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


def door(dialect: Dialect, **more: Any) -> Door:
    return Door(
        id=DoorId("d"),
        app=AppId("game-android"),
        dialect=dialect.name,
        sha256=sha256(KEY.encode()).hexdigest(),
        **more,
    )


def telling(dialect: Dialect) -> Telling:
    return Telling(
        speaker=Speaker(
            sender=Sender.APP, app=DIRECTORY.app("game-android"), product=DIRECTORY.product(GAME)
        ),
        directory=DIRECTORY,
        settings=Settings(),
        received_at_ms=NOW,
        ip="198.51.100.4",
        user_agent="sdk/1",
        dialect=dialect.name,
    )


def secret() -> str:
    """What a door knows in clear: the key, where clients sign with it."""
    return KEY


@every_dialect
def test_an_event_is_called_as_its_door_maps_it(dialect: Dialect) -> None:
    letter = dialect.sample(KEY, NOW)

    def name(at: Door) -> str | None:
        [(verdict, _)] = dialect.read(letter, telling(dialect), at)
        assert isinstance(verdict, Kept)
        return getattr(verdict.record, "name", None)

    said = name(door(dialect))
    if said is not None:  # the samples of measurement partners are installs
        assert name(door(dialect, maps={f"event:{said}": "bought"})) == "bought"
    else:
        assert dialect.name.endswith(("callback", "push", "webhook", "postback"))


@every_dialect
def test_its_own_sample_is_understood(dialect: Dialect) -> None:
    at, letter = door(dialect), dialect.sample(KEY, NOW)
    dialect.hold_to_key(letter, at, secret)
    judged = list(dialect.read(letter, telling(dialect), at))
    assert judged
    for verdict, _ in judged:
        assert not isinstance(verdict, Refused), verdict.message
    answer = dialect.accept(Heard(letter, at, [v for v, _ in judged], TOLD, "https://a", NOW))
    assert 200 <= answer.status < 300
    tried = Rehearsal().rehearse(at, DIRECTORY, Settings(), NOW)
    assert {result["verdict"] for result in tried} == {"accepted"}


@every_dialect
def test_the_same_letter_again_is_the_same_record(dialect: Dialect) -> None:
    at, letter = door(dialect), dialect.sample(KEY, NOW)
    once, again = (
        [v.record.id for v, _ in dialect.read(letter, telling(dialect), at) if isinstance(v, Kept)]
        for _ in range(2)
    )
    assert once == again


@every_dialect
def test_another_key_is_refused(dialect: Dialect) -> None:
    letter = dialect.sample("key_live_00000000000000000000000000000000", NOW)
    with pytest.raises(Refused) as refused:
        dialect.hold_to_key(letter, door(dialect), secret)
    assert refused.value.status in {401, 403}
    answer = dialect.refuse(refused.value, letter)
    assert answer.body or answer.status == 204


@every_dialect
def test_it_says_whether_a_secret_keeps_anybody_out(dialect: Dialect) -> None:
    """What whoever makes a door with a secret is told: no more is promised than is done."""
    asked: list[None] = []
    # A letter at a trusted door is a server's, which may have to say what an app need not.
    at, letter = door(dialect, is_trusted=True), dialect.sample(KEY, NOW)
    with contextlib.suppress(Refused):
        dialect.hold_to_key(letter, at, lambda: asked.append(None) or "another secret")
    assert Rehearsal().holds_to_secret(dialect.name) == bool(asked)


@every_dialect
def test_the_reference_names_its_fields(dialect: Dialect) -> None:
    assert dialect.speakers
    assert dialect.fields


values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=12),
    st.sampled_from(["", "0", "null", "2026-11-21T23:43:40.607Z+0100", "NaN", "1e999", "{x}", "EUR", "-1", "[]", '{"a":1}', "\x00", "é", "²", "1e999999"]),
)  # fmt: skip


def changed(said: Any, draw: Any) -> Any:
    """A sample with some of its values replaced by others."""
    if isinstance(said, dict):
        return {name: changed(value, draw) for name, value in said.items() if draw(st.integers(0, 19))}  # fmt: skip
    if isinstance(said, list):
        return [changed(value, draw) for value in said]
    return draw(values) if not draw(st.integers(0, 4)) else said


def broken(letter: Letter, draw: Any) -> Letter:
    """A letter with something in it changed, or another altogether."""
    way = draw(st.integers(0, 3))
    body: bytes = letter.body
    if way == 0 and body[:1] in b"{[" and body:
        body = json.dumps(changed(json.loads(body), draw)).encode("utf-8", "surrogatepass")
    elif way == 1:
        body = draw(st.binary(max_size=60))
    elif way == 2:
        pairs = draw(st.lists(st.tuples(st.sampled_from([*"abknpv", "e", "data", "created_at", "revenue", "currency", "device_ids"]), values), max_size=8))  # fmt: skip
        body = urlencode([(name, str(value).encode("utf-8", "replace")) for name, value in pairs]).encode()  # fmt: skip
    else:
        at = draw(st.integers(0, max(0, len(body) - 1)))
        body = body[:at] + draw(st.binary(max_size=3)) + body[at + draw(st.integers(0, 3)) :]
    query = draw(st.sampled_from([letter.query, "", "a=%ff&b", "&&=", letter.query + "&x=1"]))
    method = draw(st.sampled_from([letter.method, "GET", "POST", "PUT"]))
    return letter._replace(method=method, query=query, body=body)


def answered(dialect: Dialect, letter: Letter, at: Door) -> int:
    """The status of what a letter is answered; whatever was understood of it can be journaled."""
    try:
        dialect.hold_to_key(letter, at, secret)
    except Refused as refused:
        dialect.refuse(refused, letter)
    try:
        if answer := dialect.plain_answer(letter, at):
            return answer.status
        dialect.asks(letter, at)
        judged = list(dialect.read(letter, telling(dialect), at))
    except Refused as refused:
        return dialect.refuse(refused, letter).status
    for verdict, _ in judged:
        if isinstance(verdict, Kept):
            encode(verdict.record)
        elif isinstance(verdict, Making):
            encode(verdict.change)
    dialect.accept(Heard(letter, at, [v for v, _ in judged], None, "https://a", NOW))
    return dialect.accept(Heard(letter, at, [v for v, _ in judged], TOLD, "https://a", NOW)).status


@every_dialect
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_letter_is_a_fault(dialect: Dialect, data: st.DataObject) -> None:
    letter = broken(dialect.sample(KEY, NOW), data.draw)
    assert answered(dialect, letter, door(dialect)) >= 200
