"""When a delivery is tried again, and when a partner is left alone for a while."""

from __future__ import annotations

import pytest

from attribune.model.policy import DAY_MS, HOUR_MS
from attribune.model.status import BreakerState
from attribune.postback.breaker import DOUBT_MS, OPEN_MS, OPEN_MS_MAX, Breaker
from attribune.postback.schedule import poll_wait_ms, wait_ms

MOST = 65_535


def test_the_first_wait_is_two_seconds_at_most_and_each_may_be_twice_as_long() -> None:
    assert [wait_ms(n, MOST) for n in range(1, 6)] == [2000, 4000, 8000, 16_000, 32_000]
    assert [wait_ms(n, 0) for n in range(1, 4)] == [1000, 2000, 4000]


@pytest.mark.parametrize("failures", [12, 13, 100, 10_000])
def test_no_wait_is_longer_than_an_hour(failures: int) -> None:
    assert wait_ms(failures, MOST) == HOUR_MS
    assert wait_ms(failures, 0) == HOUR_MS // 2


def test_a_partner_that_asks_to_be_left_alone_is_up_to_an_hour() -> None:
    assert wait_ms(1, 0, 30_000) == 30_000
    assert wait_ms(1, MOST, 500) == 2000
    assert wait_ms(1, 0, 9 * HOUR_MS) == HOUR_MS


def test_three_days_take_fewer_than_two_hundred_tries() -> None:
    spent = tries = 0
    while spent < 3 * DAY_MS:
        tries += 1
        spent += wait_ms(tries, 0)
    assert tries < 200


def test_questions_come_more_seldom() -> None:
    assert [poll_wait_ms(n) for n in range(3)] == [5000, 10_000, 20_000]
    assert poll_wait_ms(1000) == HOUR_MS


# --- the breaker


def failing(breaker: Breaker, times: int, now_ms: int = 0) -> None:
    for _ in range(times):
        breaker.failed(now_ms)


def test_it_opens_at_the_fifth_failure_in_a_row() -> None:
    one = Breaker()
    failing(one, 4)
    assert (one.is_open, one.room(0, 7)) == (False, 7)
    failing(one, 1)
    assert (one.is_open, one.room(0, 7)) == (True, 0)


def test_an_answer_between_failures_closes_it_and_begins_the_count_anew() -> None:
    one = Breaker()
    failing(one, 4)
    one.close()
    failing(one, 4)
    assert not one.is_open
    failing(one, 1)
    one.close()
    assert (one.is_open, one.room(0, 7)) == (False, 7)


def test_after_a_while_one_may_try_and_only_one() -> None:
    one = Breaker()
    failing(one, 5, 1000)
    assert one.room(1000 + OPEN_MS - 1, 7) == 0
    assert one.room(1000 + OPEN_MS, 7) == 1
    one.began()
    assert one.room(1000 + OPEN_MS, 7) == 0
    one.failed(2000 + OPEN_MS)
    assert one.room(2000 + OPEN_MS + 2 * OPEN_MS - 1, 7) == 0
    assert one.room(2000 + OPEN_MS + 2 * OPEN_MS, 7) == 1


def test_it_says_whether_the_partner_answers() -> None:
    one = Breaker()
    failing(one, 4, 1000)
    assert one.state is BreakerState.CLOSED
    failing(one, 1, 1000)
    assert one.state is BreakerState.OPEN
    one.began()
    assert one.state is BreakerState.PROBING
    one.failed(2000 + OPEN_MS)
    assert one.state is BreakerState.OPEN
    one.began()
    one.close()
    assert one.state is BreakerState.CLOSED


def test_who_was_under_way_as_it_opened_lengthens_nothing() -> None:
    one = Breaker()
    failing(one, 12, 1000)
    assert one.room(1000 + OPEN_MS, 7) == 1


def test_it_never_stays_open_longer_than_five_minutes_and_forgets_when_it_closes() -> None:
    one = Breaker()
    failing(one, 5)
    now_ms = 0
    for _ in range(12):
        now_ms += OPEN_MS_MAX
        assert one.room(now_ms, 7) == 1
        one.began()
        one.failed(now_ms)
    one.close()
    failing(one, 5, now_ms)
    assert one.room(now_ms + OPEN_MS, 7) == 1


def doubting(breaker: Breaker, times: int, from_ms: int, every_ms: int) -> int:
    for n in range(times):
        breaker.failed(from_ms + n * every_ms)
    return from_ms + (times - 1) * every_ms


def test_a_postback_that_is_turned_away_for_a_while_is_held() -> None:
    one = Breaker(DOUBT_MS)
    at_ms = doubting(one, 4, 0, DOUBT_MS)
    assert not one.is_open, "not before the fifth"
    one.failed(at_ms)
    assert one.is_open
    one = Breaker(DOUBT_MS)
    doubting(one, 500, 0, DOUBT_MS // 500)
    assert not one.is_open, "nor before a minute"
    one.failed(DOUBT_MS)
    assert (one.state, one.room(DOUBT_MS + OPEN_MS - 1, 7)) == (BreakerState.OPEN, 0)
    assert one.room(DOUBT_MS + OPEN_MS, 7) == 1


def test_single_requests_that_are_turned_away_hold_nothing_back() -> None:
    one = Breaker(DOUBT_MS)
    for n in range(200):
        doubting(one, 4, n * DOUBT_MS, DOUBT_MS // 5)
        one.close()
    assert not one.is_open
    for n in range(500):
        one.unsaid()
        one.doubted(n * DOUBT_MS)
        assert one.room(n * DOUBT_MS, 7) == 7, "what says nothing holds nothing back"


def test_what_finds_out_nothing_new_lets_the_next_try_later() -> None:
    one = Breaker()
    failing(one, 5, 1000)
    now_ms = 1000 + OPEN_MS
    one.began()
    one.doubted(now_ms)
    assert (one.room(now_ms + 2 * OPEN_MS - 1, 7), one.room(now_ms + 2 * OPEN_MS, 7)) == (0, 1)


def test_what_was_turned_away_before_gives_its_turn_to_another() -> None:
    one = Breaker()
    failing(one, 5, 1000)
    now_ms = 1000 + OPEN_MS
    one.began()
    assert one.room(now_ms, 7) == 0
    one.unsaid()
    assert (one.state, one.room(now_ms, 7)) == (BreakerState.OPEN, 1)
    assert one.room(now_ms, 0) == 0, "who wants none has room for none"
    one.began()
    one.close()
    assert one.room(now_ms, 7) == 7
