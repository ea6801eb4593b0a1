"""Attacks by number on connections: thousands that say nothing, too little, or never read. Honest senders are served all the while."""

from __future__ import annotations

import time

import pytest
from fire.attackers import Attack
from fire.siege import Siege, open_sockets
from house import RunningHouse, wait_for

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

CROWD = 10_000
#: More places than that, as a collector has by default; the machine's own limit of files must allow it.
REST_MS = 3000
#: What the timer of the HTTP server and a busy machine may add.
SLACK_S = 3.0
#: A connection that rests costs a task, its buffers and timers: some 3 KB measured.
CONNECTION_BYTES_MAX = 8 << 10
#: What any process may grow by under honest traffic alone.
NOISE_BYTES = 48 << 20
#: An honest sender's own two round trips and a synced commit, on two cores that the attackers share.
HONEST_MS_MAX = 1500

HALF_HEAD = "GET /c/x HTTP/1.1\r\nHost: x\r\nX-A: "
ASK = "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
#: The HTTP server reads up to 64 KiB ahead, and what it allocates for that is a little more.
BIG_HALF_HEAD = HALF_HEAD + "a" * 60_000
BIG_HEAD_BYTES_MAX = 96 << 10


def test_ten_thousand_idle_connections_shut_nobody_out_and_are_ended(tmp_path) -> None:
    with RunningHouse(tmp_path / "data", idle_wait_ms=REST_MS) as house:
        with (
            Siege(house) as siege,
            Attack(siege.at.host, ["", HALF_HEAD, ASK], CROWD) as attack,
        ):
            assert attack.opened() == CROWD
            wait_for(lambda: open_sockets(siege.pids["collector-1"]) > CROWD, 5)
            time.sleep(REST_MS / 1000)
            siege.wait_for_sockets("collector-1", SLACK_S)
            seen = attack.end()
            assert (len(seen.ended_after_s), seen.held) == (CROWD, 0)
            assert seen.ended_after_s[-1] <= REST_MS / 1000 + SLACK_S
            siege.check_honest(HONEST_MS_MAX, at_least=100)
            grown = siege.grown()
            assert grown["collector-1"] <= CROWD * CONNECTION_BYTES_MAX + NOISE_BYTES
            assert max(grown["attributor"], grown["web"]) <= 2 * NOISE_BYTES, grown
            assert siege.counters()["connections_closed"] == 0, "there was a place for all"
        siege.check_counted()


#: Fewer places than attackers, who come again at once when they are sent away; nobody is sent away for resting alone.
PLACES = 1000
FULL = {"connections_max": PLACES, "idle_wait_ms": 300_000}
#: An honest sender waits behind those who wait to be accepted, a backlog of attackers, and may be told to knock again by the kernel,
#: which takes a second, or three.
CROWDED_MS_MAX = 4500


def test_more_than_there_are_places_for_make_room_for_the_honest(tmp_path) -> None:
    with RunningHouse(tmp_path / "data", **FULL) as house:
        with (
            Siege(house) as siege,
            Attack(siege.at.host, ["", HALF_HEAD], 3 * PLACES, again=True),
        ):
            time.sleep(4)
            siege.check_honest(CROWDED_MS_MAX, at_least=20)
            assert siege.grown()["collector-1"] <= PLACES * CONNECTION_BYTES_MAX + NOISE_BYTES
            assert siege.counters()["connections_closed"] > PLACES
        siege.check_counted()


def test_who_never_reads_keeps_no_place(tmp_path) -> None:
    with (
        RunningHouse(tmp_path / "data", connections_max=200, idle_wait_ms=2000) as house,
        Siege(house) as siege,
        Attack(siege.at.host, [ASK * 200], 120, reads=False) as attack,
    ):
        # Fewer than there are places: no room need be made, and the kernel ends them.
        assert attack.opened() == 120
        wait_for(lambda: open_sockets(siege.pids["collector-1"]) > 120, 5)
        siege.wait_for_sockets("collector-1", 15)
        assert siege.counters()["connections_closed"] == 0
        siege.check_honest(CROWDED_MS_MAX, at_least=50)
        assert siege.grown()["collector-1"] <= NOISE_BYTES


def test_half_heads_cost_what_is_stated_and_no_more_the_second_time(tmp_path) -> None:
    crowd = 800
    with RunningHouse(tmp_path / "data", idle_wait_ms=2500) as house, Siege(house) as siege:
        after = []
        for _ in range(2):
            with Attack(siege.at.host, [BIG_HALF_HEAD], crowd) as attack:
                assert attack.opened() == crowd
                siege.wait_for_sockets("collector-1", 2.5 + SLACK_S)
            assert siege.grown()["collector-1"] <= crowd * BIG_HEAD_BYTES_MAX + NOISE_BYTES
            after.append(siege.grown_now("collector-1"))
        assert after[1] <= after[0] + NOISE_BYTES, after
        siege.check_honest(HONEST_MS_MAX, at_least=50)
