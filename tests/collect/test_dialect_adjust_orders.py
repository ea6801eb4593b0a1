"""The messages of an Adjust SDK in any order, sent again and again, end in the same decision and the same answer."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import permutations
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from attribute.tale import DAY_ZERO_MS, PRODUCT, House, Told, read_tale
from structlog.testing import capture_logs

from attribune.collect.dialects.adjust import Adjust
from attribune.collect.dialects.adjust_times import write_time
from attribune.collect.dialects.letter import Heard, Letter, told_of
from attribune.collect.records import Telling
from attribune.collect.speaker import Speaker
from attribune.collect.verdict import Kept
from attribune.model.activity import Sender
from attribune.model.control import App, Door, Product
from attribune.model.ids import DeviceId, DoorId
from attribune.model.outcome import Attribution, CreditedEvent
from attribune.model.position import Topic
from attribune.registry.view import Registry
from attribune.settings import Settings

ADJUST = Adjust()
UUID = "5f2a7c1e-0d3b-4a6f-9c8d-1e2f3a4b5c6d"
MINUTE_MS = 60_000
START_MS = DAY_ZERO_MS + 9 * 60 * MINUTE_MS
ANDROID = {"os_name": "android", "android_uuid": UUID, "gps_adid": "38400000-8cf0-11bd-b23e-10b96e40000d"}  # fmt: skip
IOS = {"os_name": "ios", "primary_dedupe_token": UUID, "idfv": "9F3C1B2A-0D4E-4F5A-8B6C-7D8E9F0A1B2C"}  # fmt: skip

#: A message: its path, the minute it was made in, and what it says. A minute again is a retry.
Message = tuple[str, int, dict[str, str]]
SESSION: Message = ("/session", 0, {"session_count": "1"})
EVENT: Message = ("/event", 1, {"event_token": "buy", "revenue": "12.50000", "currency": "EUR"})
AGAIN: Message = ("/session", 45, {"session_count": "2"})


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with capture_logs():
        yield


def click(touch: str) -> Message:
    at = write_time(START_MS - 20 * MINUTE_MS)
    said = {"source": "install_referrer", "referrer_api": "google", "referrer": f"attribune_click={touch}&utm_source=x"}  # fmt: skip
    return ("/sdk_click", 0, {**said, "click_time": at, "click_time_server": at})


def opened(touch: str) -> Message:
    link = f"https://go.example/c/l?attribune_click={touch}"
    return ("/sdk_click", 0, {"source": "deeplink", "deeplink": link})


def registered(told: Told, kind: type) -> Any:
    return next(c.record for t, c in told.entries if t is Topic.CONTROL and isinstance(c.record, kind))  # type: ignore[union-attr]  # fmt: skip


def sent(messages: tuple[Message, ...], phone: dict[str, str], told: Told, maps: dict[str, str]) -> list[tuple[Topic, Any]]:  # fmt: skip
    """The records of some messages that arrive one a second in this order, an hour after the first session."""
    app, product = registered(told, App), registered(told, Product)
    door = Door(
        id=DoorId("d"), app=app.id, dialect="adjust", sha256=sha256(b"k").hexdigest(), maps=maps
    )
    kept, tries = [], dict.fromkeys((path, minute) for path, minute, _ in messages)
    for n, (path, minute, said) in enumerate(messages):
        now_ms = START_MS + 60 * MINUTE_MS + n * 1000
        tries[path, minute] = again = (tries[path, minute] or 0) + 1
        form = {**phone, **said, "app_token": "k", "created_at": write_time(START_MS + minute * MINUTE_MS)}  # fmt: skip
        form |= {"sent_at": write_time(now_ms), "queue_size": str(n)}
        if again > 1:
            form |= {"retry_count": str(again - 1), "last_error": "107", "wait_total": f"{n}.5"}
        telling = Telling(
            speaker=Speaker(sender=Sender.APP, app=app, product=product),
            directory=Registry(),
            settings=Settings(),
            received_at_ms=now_ms,
            ip="198.51.100.4",
            user_agent="okhttp",
            dialect="adjust",
        )
        letter = Letter("POST", path, body=urlencode(form).encode())
        for verdict, _ in ADJUST.read(letter, telling, door):
            assert isinstance(verdict, Kept), verdict.message
            kept.append((verdict.topic, verdict.record))
    return kept


def decided(
    story: str,
    messages: tuple[Message, ...],
    phone: dict[str, str],
    maps: dict[str, str] | None = None,
    more: tuple[tuple[Topic, Any], ...] = (),
) -> Any:
    told, house = read_tale(story), House()
    house.append([*told.entries, *sent(messages, phone, told, maps or {}), *more])
    role = house.attributor()
    while role.step():
        pass
    newest: dict[Any, Any] = {}
    for one in house.outcomes():
        if isinstance(one, Attribution):
            newest[one.conversion] = one
        elif isinstance(one, CreditedEvent):
            newest[one.record] = one
    who = [
        (type(one).__name__, one.credit and (one.credit.partner, one.credit.campaign, one.credit.method, one.credit.touch))
        for one in newest.values()
    ]  # fmt: skip
    return sorted(who, key=str), asked(house, phone)


def asked(house: House, phone: dict[str, str]) -> Any:
    """What ``GET /attribution`` answers in the end."""
    letter = Letter("GET", "/attribution", query=urlencode({**phone, "app_token": "k"}))
    door = Door(id=DoorId("d"), app=registered(read_tale(""), App).id, dialect="adjust", sha256="")
    device = ADJUST.asks(letter, door)
    assert device == DeviceId(UUID)
    found = house.answers.get(PRODUCT, device)
    told = told_of.decode(found) if found else None
    answer = msgspec.json.decode(ADJUST.accept(Heard(letter, door, (), told, "", START_MS)).body)
    return answer["attribution"]


STORY = (
    "day 0 08:40 click acme/spring as c gaid=none\nday 0 08:50 click zeta/brand as z gaid=none\n"
)
TOUCH = read_tale(STORY).touches["c"]
CASES = {
    "android": (ANDROID, (SESSION, SESSION, click(TOUCH), click(TOUCH), EVENT, AGAIN)),
    "android, lost": (ANDROID, (SESSION, click(TOUCH), click(TOUCH), EVENT, EVENT)),
    "ios": (IOS, (SESSION, SESSION, opened(TOUCH), EVENT, AGAIN)),
}


@pytest.mark.parametrize("case", CASES)
def test_messages_in_any_order_with_retries_end_in_the_same_decision(case: str):
    phone, messages = CASES[case]
    first = decided(STORY, messages, phone)
    outcomes, answer = first
    assert [name for name, _ in outcomes] == ["Attribution", "CreditedEvent"]
    assert {credit and credit[:2] for _, credit in outcomes} == {("acme", "spring")}
    assert {credit and str(credit[2]) for _, credit in outcomes} == {"REFERRER"}
    assert (answer["network"], answer["campaign"]) == ("acme", "spring")
    for order in set(permutations(messages_by_number(messages))):
        assert decided(STORY, tuple(messages[i] for i in order), phone) == first, order


def messages_by_number(messages: tuple[Message, ...]) -> tuple[int, ...]:
    """Each message by the first place of one like it, so that orders that differ in nothing are tried once."""
    return tuple(messages.index(one) for one in messages)


@pytest.mark.parametrize("installed", ["2026-02-27T00:00:00.000Z+0000", "2026-02-28T00:00:00.000Z+0000"])  # fmt: skip
def test_every_order_knows_an_existing_user(installed: str):
    is_new = installed > "2026-02-28"
    at = {"installed_at": installed}
    sessions = [(path, n, said | at) for path, n, said in (SESSION, SESSION, AGAIN)]
    messages = (*sessions, click(TOUCH), EVENT)
    for order in permutations(messages):
        outcomes, _ = decided(STORY, order, ANDROID, {"installed:before": "2026-02-28"})
        assert ("Attribution" in [name for name, _ in outcomes]) is is_new, order


def test_a_server_that_knows_the_advertising_id_only_speaks_of_the_same_person():
    told = read_tale(STORY)
    app, product = registered(told, App), registered(told, Product)
    door = Door(id=DoorId("s"), app=app.id, dialect="adjust", sha256="", implies_open=True)
    now_ms = START_MS + 120 * MINUTE_MS
    telling = Telling(
        speaker=Speaker(sender=Sender.SERVER, app=app, product=product),
        directory=Registry(),
        settings=Settings(),
        received_at_ms=now_ms,
        ip=None,
        user_agent=None,
        dialect="adjust",
    )
    said = {"s2s": "1", "event_token": "deposit", "gps_adid": ANDROID["gps_adid"], "os_name": "android"}  # fmt: skip
    ((verdict, _),) = ADJUST.read(Letter("GET", "/event", query=urlencode(said)), telling, door)
    assert isinstance(verdict, Kept)
    more = ((verdict.topic, verdict.record),)
    outcomes, _ = decided(STORY, (SESSION, click(TOUCH)), ANDROID, more=more)
    (credit,) = [credit for name, credit in outcomes if name == "CreditedEvent"]
    assert credit[:2] == ("acme", "spring")


def test_without_a_click_of_ours_every_order_is_organic():
    messages = (SESSION, SESSION, EVENT, ("/sdk_click", 0, {"source": "install_referrer", "referrer": "utm_source=google-play&utm_medium=organic"}))  # fmt: skip
    for order in permutations(messages):
        outcomes, answer = decided("", order, ANDROID)
        assert [credit for _, credit in outcomes] == [None, None]
        assert answer["network"] == "Organic"
