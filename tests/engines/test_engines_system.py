"""Clock and chance: the machine's and their twins."""

from __future__ import annotations

import os
import time

import pytest

from attribune.engines.memory import MemoryChance, MemoryClock
from attribune.engines.system import SystemChance, SystemClock
from attribune.model.ids import time_of, uuid7


def test_the_clock_counts_milliseconds_of_the_wall():
    before = int(time.time() * 1000)
    assert before <= SystemClock().now_ms() <= before + 1000


def test_a_memory_clock_moves_when_told():
    clock = MemoryClock(1000)
    clock.advance(5)
    assert clock.now_ms() == clock.now_ms() == 1005


@pytest.mark.parametrize("chance", [SystemChance(), MemoryChance()], ids=["system", "memory"])
def test_tokens_have_their_size_and_do_not_repeat(chance):
    tokens = [chance.token(10) for _ in range(20_000)]
    assert {len(token) for token in tokens} == {10}
    assert len(set(tokens)) == len(tokens)
    assert len(chance.token(5000)) == 5000
    assert time_of(uuid7(1_772_366_400_000, chance.token(10))) == 1_772_366_400_000


def test_memory_chance_repeats_itself_from_a_seed():
    one, two = MemoryChance(3), MemoryChance(3)
    assert [one.token(4) for _ in range(3)] == [two.token(4) for _ in range(3)]


def test_bits_of_tokens_are_even():
    chance = SystemChance()
    ones = sum(int.from_bytes(chance.token(16), "big").bit_count() for _ in range(2000))
    assert abs(ones - 128_000) < 2000, "eleven standard deviations"


def test_a_forked_child_gives_out_other_tokens_than_its_parent():
    chance = SystemChance()
    chance.token(10)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, chance.token(10))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 10) != chance.token(10)
    os.close(read)
    os.close(write)
