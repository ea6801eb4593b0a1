"""What an answer makes of a delivery."""

from __future__ import annotations

import pytest
from posthouse import NOW_MS

from attribune.model.delivery import (
    Attempt,
    DeliveryState,
    OutboxRow,
    Planned,
    SentRequest,
    Trigger,
)
from attribune.model.ids import DeliveryId, PartnerId, Position, PostbackId, ProductId
from attribune.model.policy import DAY_MS, HOUR_MS
from attribune.postback.deliver import Answer
from attribune.postback.folders import find_shipped
from attribune.postback.outgoing import Outgoing
from attribune.postback.partner import PartnerData, read_partner
from attribune.postback.render import Request
from attribune.postback.verdict import ANSWER_CHARACTERS_MAX, Presence, attempt

GET = find_shipped("generic-get").data
IMPACT = find_shipped("impact").data
TUNE = read_partner(find_shipped("tune").text + 'final = "closed account"\n')
ASK = "https://api.impact.com/Advertisers/A/APISubmissions/1"


def outgoing(
    since_ms: int = NOW_MS, tries: int = 0, *, is_poll: bool = False, declines: int = 0
) -> Outgoing:
    planned = Planned(
        id=DeliveryId("dl_1"),
        postback=PostbackId("acme-1"),
        partner=PartnerId("acme"),
        product=ProductId("game"),
        outcome_id="cv_1",
        revision=1,
        trigger=Trigger.INSTALL,
        subject="cv_1",
        place=Position(1),
        at_ms=since_ms,
    )
    row = OutboxRow(
        planned=planned,
        state=DeliveryState.WAITING,
        tries=tries,
        since_ms=since_ms,
        poll_url=ASK if is_poll else None,
        declines=declines,
    )
    request = Request("POST", "https://api.impact.com/Advertisers/A/Conversions", {}, b"")
    return Outgoing(row, request, SentRequest(method="POST", url="u"), is_poll)


def answered(status: int | None, body: str = "", **words: object) -> Answer:
    error = None if status is not None else "no answer within 10 s"
    return Answer(status, body.encode(), error, 7, **words)  # type: ignore[arg-type]


def tried(
    one: Outgoing, answer: Answer, data: PartnerData, *, chance: int = 0, took_ms: int = 0
) -> tuple[Attempt, Presence]:
    return attempt(one, answer, data, NOW_MS - took_ms, NOW_MS, chance)


def test_an_attempt_says_what_was_sent_and_answered() -> None:
    made, presence = tried(outgoing(tries=3), answered(200, "x" * 5000), GET)
    assert (made.number, made.status, made.took_ms, made.at_ms) == (4, 200, 7, NOW_MS)
    assert made.answer == "x" * ANSWER_CHARACTERS_MAX
    assert made.request == SentRequest(method="POST", url="u")
    assert (made.state, made.reason, made.next_at_ms) == ("delivered", None, None)
    assert presence is Presence.THERE


def test_an_attempt_was_made_when_it_was_sent_and_is_made_again_after_it_was_answered() -> None:
    made, _ = tried(outgoing(), answered(None), GET, took_ms=10_000)
    assert (made.at_ms, made.next_at_ms) == (NOW_MS - 10_000, NOW_MS + 1000)


@pytest.mark.parametrize("answer", [answered(503), answered(429), answered(None)])
def test_what_may_be_taken_later_waits(answer: Answer) -> None:
    made, presence = tried(outgoing(tries=1), answer, GET, chance=65_535)
    assert (made.state, made.next_at_ms, made.declines) == ("waiting", NOW_MS + 4000, 0)
    assert presence is Presence.ABSENT
    assert made.reason == (answer.error or f"the partner answered {answer.status}")


def test_the_partner_s_own_wish_to_be_left_alone_is_heeded() -> None:
    made, _ = tried(outgoing(), answered(503, retry_after_s=90), GET)
    assert made.next_at_ms == NOW_MS + 90_000
    made, _ = tried(outgoing(), answered(503, retry_after_s=99_999), GET)
    assert made.next_at_ms == NOW_MS + HOUR_MS


def test_three_days_are_enough() -> None:
    at_last, _ = tried(outgoing(NOW_MS - 3 * DAY_MS, 90), answered(503), GET)
    assert at_last.state == "waiting"
    late, presence = tried(outgoing(NOW_MS - 3 * DAY_MS - 1, 90), answered(503), GET)
    assert (late.state, late.next_at_ms) == ("gave_up", None)
    assert late.reason == "tried for 3 days; the partner answered 503"
    assert presence is Presence.ABSENT, "the breaker hears of it all the same"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (answered(400), "the partner answered 400, for good"),
        (answered(422, "no"), "the partner answered 422, for good"),
        (answered(200, "closed account"), "the partner answered 200 and refused it, for good"),
        (answered(None, is_final=True), "no answer within 10 s"),
    ],
)
def test_a_verdict_on_the_request_itself_is_final(answer: Answer, reason: str) -> None:
    made, presence = tried(outgoing(), answer, TUNE)
    assert (made.state, made.reason, made.next_at_ms) == ("gave_up", reason, None)
    assert presence is Presence.THERE


@pytest.mark.parametrize(
    ("status", "presence"),
    [
        (302, Presence.DOUBTFUL),
        (401, Presence.DOUBTFUL),
        (403, Presence.DOUBTFUL),
        (404, Presence.DOUBTFUL),
        (405, Presence.DOUBTFUL),
        (407, Presence.DOUBTFUL),
        (409, Presence.THERE),
        (418, Presence.THERE),
        (200, Presence.THERE),
    ],
)
def test_any_other_no_is_asked_again_as_what_failed_is(status: int, presence: Presence) -> None:
    answer = answered(status, "success=false; err_msg=Invalid Trans. ID")
    made, seen = tried(outgoing(), answer, TUNE, chance=65_535)
    assert (made.state, made.next_at_ms, made.declines) == ("waiting", NOW_MS + 2000, 1)
    said = (
        "the partner answered 200 and refused it"
        if status == 200
        else f"the partner answered {status}"
    )
    assert (made.reason, seen) == (said, presence)
    again, seen = tried(outgoing(tries=9, declines=3), answer, TUNE, chance=65_535)
    assert (again.next_at_ms, again.declines) == (NOW_MS + 2000 * 2**9, 4)
    assert seen is (Presence.UNSAID if presence is Presence.DOUBTFUL else Presence.THERE)
    failed, _ = tried(outgoing(tries=9, declines=3), answered(503), TUNE)
    assert failed.declines == 0, "in a row"


def test_who_declines_may_wish_to_be_left_alone_and_is_up_to_an_hour() -> None:
    made, _ = tried(outgoing(), answered(403, retry_after_s=600), GET)
    assert made.next_at_ms == NOW_MS + 600_000
    made, _ = tried(outgoing(), answered(403, retry_after_s=99_999), GET)
    assert made.next_at_ms == NOW_MS + HOUR_MS


@pytest.mark.parametrize("answer", [answered(503), answered(404)])
def test_what_waited_long_for_its_turn_is_tried_for_three_days_from_then(answer: Answer) -> None:
    made, _ = tried(outgoing(NOW_MS - 9 * DAY_MS), answer, GET)
    assert made.state == "waiting"


def test_a_no_that_lasts_for_three_days_is_taken_for_one() -> None:
    at_last, _ = tried(outgoing(NOW_MS - 3 * DAY_MS, 20, declines=20), answered(404), GET)
    assert at_last.state == "waiting"
    late, _ = tried(outgoing(NOW_MS - 3 * DAY_MS - 1, 21, declines=21), answered(404), GET)
    assert (late.state, late.reason) == ("gave_up", "tried for 3 days; the partner answered 404")


QUEUED = '{"Status":"QUEUED","QueuedUri":"/Advertisers/A/APISubmissions/1"}'


def test_a_partner_that_decides_later_is_asked_where_it_says() -> None:
    made, _ = tried(outgoing(), answered(200, QUEUED), IMPACT)
    assert (made.state, made.poll_url, made.next_at_ms) == ("waiting", ASK, NOW_MS + 5000)
    again, _ = tried(outgoing(tries=2, is_poll=True), answered(200, "{}"), IMPACT)
    assert (again.state, again.poll_url, again.next_at_ms) == ("waiting", ASK, NOW_MS + 20_000)


@pytest.mark.parametrize(
    ("body", "state", "reason"),
    [
        ('{"Status": "Complete"}', "delivered", None),
        (
            '{"Status":"COMPLETE","ErrorType":"OID_MISSING"}',
            "gave_up",
            "the partner decided: OID_MISSING",
        ),
        ('{"ErrorReason":"CONV_DUPLICATE","ErrorType":"x"}', "delivered", None),
    ],
)
def test_what_it_decided(body: str, state: str, reason: str | None) -> None:
    made, _ = tried(outgoing(tries=1, is_poll=True), answered(200, body), IMPACT)
    assert (made.state, made.reason, made.poll_url) == (state, reason, None)


def test_a_question_that_fails_is_asked_again_and_the_request_is_not_sent_again() -> None:
    made, _ = tried(outgoing(tries=1, is_poll=True), answered(503), IMPACT)
    assert (made.state, made.poll_url) == ("waiting", ASK)


@pytest.mark.parametrize("status", [302, 404])
def test_a_question_that_is_declined_is_asked_again_as_a_question(status: int) -> None:
    made, _ = tried(outgoing(tries=1, is_poll=True), answered(status), IMPACT, chance=65_535)
    assert (made.state, made.poll_url, made.next_at_ms) == ("waiting", ASK, NOW_MS + 4000)


def test_who_never_decides_has_taken_it() -> None:
    since_ms = NOW_MS - 3 * DAY_MS - 1
    made, _ = tried(outgoing(since_ms, 9, is_poll=True), answered(200, "{}"), IMPACT)
    assert (made.state, made.reason) == ("delivered", "the partner never said what it decided")
