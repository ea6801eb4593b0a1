"""Which call to an engine goes wrong, and how."""

from __future__ import annotations

import random
from enum import StrEnum
from typing import Final, Protocol


class Fault(StrEnum):
    """What may happen at a call. What happens *after* has its effect; who called never hears of it."""

    #: The call raises, and had no effect.
    FAIL = "fail"
    #: The call raises, and had its effect all the same.
    UNCLEAR = "unclear"
    #: The process dies before the call, or after it.
    KILL_BEFORE = "kill-before"
    KILL_AFTER = "kill-after"
    #: The whole machine loses power before the call, or after it.
    CUT_BEFORE = "cut-before"
    CUT_AFTER = "cut-after"


#: Calls that change what an engine holds.
WRITES: Final = frozenset({"append", "commit", "put", "add", "insert", "drop", "fold"})
#: What makes no difference at a call that changes nothing.
_AFTER: Final = frozenset({Fault.UNCLEAR, Fault.KILL_AFTER, Fault.CUT_AFTER})


class Plan(Protocol):
    """Says of each call what happens to it."""

    def strike(self, engine: str, verb: str) -> Fault | None:
        """The fault of the call that is about to be made, or None."""
        ...


class NoFaults:
    """Everything works."""

    def strike(self, _engine: str, _verb: str) -> Fault | None:
        return None


class RandomFaults:
    """Faults now and then; as many among the few writes as among the many reads."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        #: Calls between two faults, on average.
        self._gap = chance.choice((15, 40, 120))
        self._weights = [chance.choice((0, 1, 4)) for _ in Fault]
        if not any(self._weights):
            self._weights[0] = 1
        self._left = {True: self._draw(is_write=True), False: self._draw(is_write=False)}

    def strike(self, engine: str, verb: str) -> Fault | None:
        is_write = verb in WRITES
        self._left[is_write] -= 1
        if self._left[is_write] > 0:
            return None
        self._left[is_write] = self._draw(is_write=is_write)
        fault = self._chance.choices(list(Fault), self._weights)[0]
        return None if fault in _AFTER and not is_write else fault

    def _draw(self, *, is_write: bool) -> int:
        mean = self._gap if is_write else 20 * self._gap
        return 1 + int(self._chance.expovariate(1 / mean))


class NthCall:
    """One fault, at the n-th call; and how many calls there were, so that each n can be tried."""

    def __init__(self, n: int, fault: Fault) -> None:
        self._n = n
        self._fault = fault
        self.calls: list[tuple[str, str]] = []

    def strike(self, engine: str, verb: str) -> Fault | None:
        self.calls.append((engine, verb))
        return self._fault if len(self.calls) == self._n else None


def faults_of(verb: str) -> list[Fault]:
    """The faults that make a difference at a call."""
    return [fault for fault in Fault if verb in WRITES or fault not in _AFTER]
