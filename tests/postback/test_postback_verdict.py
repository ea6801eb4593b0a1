"""What an answer makes of a delivery."""

from __future__ import annotations

import pytest
from posthouse import NOW_MS

from attribune.model.delivery import DeliveryState, OutboxRow, Planned, SentRequest, Trigger
from attribune.model.ids import DeliveryId, PartnerId, Position, PostbackId, ProductId
from attribune.model.policy import DAY_MS, HOUR_MS
from attribune.postback.deliver import Answer
from attribune.postback.folders import find_shipped
from attribune.postback.outgoing import Outgoing
from attribune.postback.render import Request
from attribune.postback.verdict import ANSWER_CHARACTERS_MAX, attempt

GET = find_shipped("generic-get").data
IMPACT = find_shipped("impact").data
ASK = "https://api.impact.com/Advertisers/A/APISubmissions/1"


def outgoing(since_ms: int = NOW_MS, tries: int = 0, *, is_poll: bool = False) -> Outgoing:
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
    )
    request = Request("POST", "https://api.impact.com/Advertisers/A/Conversions", {}, b"")
    return Outgoing(row, request, SentRequest(method="POST", url="u"), is_poll)


def answered(status: int | None, body: str = "", **words: object) -> Answer:
    error = None if status is not None else "no answer within 10 s"
    return Answer(status, body.encode(), error, 7, **words)  # type: ignore[arg-type]


def test_an_attempt_says_what_was_sent_and_answered() -> None:
    made, has_failed = attempt(outgoing(tries=3), answered(200, "x" * 5000), GET, NOW_MS, 0)
    assert (made.number, made.status, made.took_ms, made.at_ms) == (4, 200, 7, NOW_MS)
    assert made.answer == "x" * ANSWER_CHARACTERS_MAX
    assert made.request == SentRequest(method="POST", url="u")
    assert (made.state, made.reason, made.next_at_ms, has_failed) == (
        "delivered",
        None,
        None,
        False,
    )


@pytest.mark.parametrize("answer", [answered(503), answered(429), answered(None)])
def test_what_may_be_taken_later_waits(answer: Answer) -> None:
    made, has_failed = attempt(outgoing(tries=1), answer, GET, NOW_MS, 65_535)
    assert (made.state, made.next_at_ms, has_failed) == ("waiting", NOW_MS + 4000, True)
    assert made.reason == (answer.error or f"the partner answered {answer.status}")


def test_the_partner_s_own_wish_to_be_left_alone_is_heeded() -> None:
    made, _ = attempt(outgoing(), answered(503, retry_after_s=90), GET, NOW_MS, 0)
    assert made.next_at_ms == NOW_MS + 90_000
    made, _ = attempt(outgoing(), answered(503, retry_after_s=99_999), GET, NOW_MS, 0)
    assert made.next_at_ms == NOW_MS + HOUR_MS


def test_three_days_are_enough() -> None:
    at_last, _ = attempt(outgoing(NOW_MS - 3 * DAY_MS), answered(503), GET, NOW_MS, 0)
    assert at_last.state == "waiting"
    late, has_failed = attempt(outgoing(NOW_MS - 3 * DAY_MS - 1), answered(503), GET, NOW_MS, 0)
    assert (late.state, late.next_at_ms) == ("gave_up", None)
    assert late.reason == "tried for 3 days; the partner answered 503"
    assert has_failed, "the breaker hears of it all the same"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (answered(404), "the partner answered (404), and will not want it later"),
        (answered(None, is_final=True), "no answer within 10 s"),
    ],
)
def test_a_no_is_a_no(answer: Answer, reason: str) -> None:
    made, has_failed = attempt(outgoing(), answer, GET, NOW_MS, 0)
    assert (made.state, made.reason, has_failed) == ("gave_up", reason, False)


QUEUED = '{"Status":"QUEUED","QueuedUri":"/Advertisers/A/APISubmissions/1"}'


def test_a_partner_that_decides_later_is_asked_where_it_says() -> None:
    made, _ = attempt(outgoing(), answered(200, QUEUED), IMPACT, NOW_MS, 0)
    assert (made.state, made.poll_url, made.next_at_ms) == ("waiting", ASK, NOW_MS + 5000)
    again, _ = attempt(outgoing(tries=2, is_poll=True), answered(200, "{}"), IMPACT, NOW_MS, 0)
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
    made, _ = attempt(outgoing(tries=1, is_poll=True), answered(200, body), IMPACT, NOW_MS, 0)
    assert (made.state, made.reason, made.poll_url) == (state, reason, None)


def test_a_question_that_fails_is_asked_again_and_the_request_is_not_sent_again() -> None:
    made, _ = attempt(outgoing(tries=1, is_poll=True), answered(503), IMPACT, NOW_MS, 0)
    assert (made.state, made.poll_url) == ("waiting", ASK)


def test_who_never_decides_has_taken_it() -> None:
    since_ms = NOW_MS - 3 * DAY_MS - 1
    made, _ = attempt(outgoing(since_ms, 9, is_poll=True), answered(200, "{}"), IMPACT, NOW_MS, 0)
    assert (made.state, made.reason) == ("delivered", "the partner never said what it decided")
