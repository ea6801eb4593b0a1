"""Live many worlds, each from its seed, and stop at the first that breaks a promise; or one, with its trace.

``make faults SEEDS=100000`` and ``make faults SEED=123`` call this. With ``--every-call`` the worlds are small, and each is
lived again for every call to an engine and every fault that it can have.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.checkers import broken_promises
from faults.plan import Fault, NthCall, faults_of
from faults.world import SMALL, World

#: Worlds that a process lives before it says how far it is.
_CHUNK = 10


class Birth(NamedTuple):
    """What a world is made of: a seed; and of a small one the call that goes wrong, and how."""

    seed: int
    call: int | None = None
    fault: Fault | None = None

    def world(self) -> World:
        """Make it."""
        if self.call is None:
            return World(self.seed)
        return World(self.seed, NthCall(self.call, self.fault), SMALL)

    def command(self) -> str:
        """How to see it again."""
        more = f" CALL={self.call} FAULT={self.fault}" if self.call is not None else ""
        return f"make faults SEED={self.seed}{more}"


class Lived(NamedTuple):
    """One world's end."""

    birth: Birth
    broken: list[str]
    faults: int


def live(birth: Birth) -> tuple[Lived, World]:
    """Live one world and look at it; whatever it raises is a broken promise too."""
    world = birth.world()
    try:
        broken = broken_promises(world.run())
    except Exception as fault:  # noqa: BLE001 - the seed matters more than what it was
        broken = [f"{type(fault).__name__}: {fault}", traceback.format_exc()]
    return Lived(birth, broken, world.faults), world


def every_call(seed: int) -> list[Birth]:
    """A small world for each call that an undisturbed one makes, and each fault that the call can have."""
    counted = NthCall(0, Fault.FAIL)
    World(seed, counted, SMALL).run()
    return [
        Birth(seed, n, fault)
        for n, (_, verb) in enumerate(counted.calls, 1)
        for fault in faults_of(verb)
    ]


def hush() -> None:
    """Keep what the roles log of faults that were meant."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


def _live_some(births: Sequence[Birth]) -> list[Lived]:
    return [live(birth)[0] for birth in births]


def _lives(births: Sequence[Birth], jobs: int) -> Iterator[list[Lived]]:
    chunks = [births[n : n + _CHUNK] for n in range(0, len(births), _CHUNK)]
    if jobs == 1:
        yield from map(_live_some, chunks)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, hush) as pool:
        yield from pool.imap_unordered(_live_some, chunks)


def run_many(births: Sequence[Birth], jobs: int, console: Console) -> int:
    """Live worlds until one fails; the exit code."""
    began_s, faults = time.monotonic(), 0
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("worlds", total=len(births))
        for lived in _lives(births, jobs):
            for world in lived:
                if world.broken:
                    bar.stop()
                    return _failed(world, console)
                faults += world.faults
            bar.advance(task, len(lived))
    took_s = time.monotonic() - began_s
    console.print(
        f"{len(births)} worlds from seed {births[0].seed} on kept every promise through {faults} faults, in {took_s:.0f} s",
        soft_wrap=True,
    )
    return 0


def run_one(birth: Birth, console: Console) -> int:
    """Live one world and tell its trace; the exit code."""
    lived, world = live(birth)
    for line in world.trace:
        console.print(line, markup=False, highlight=False)
    console.print(f"fingerprint {world.fingerprint()}, {world.faults} faults")
    if lived.broken:
        return _failed(lived, console)
    console.print(f"the world of seed {birth.seed} kept every promise")
    return 0


def _failed(lived: Lived, console: Console) -> int:
    for sentence in lived.broken:
        console.print(f"- {sentence}", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"seed {lived.birth.seed} broke {len(lived.broken)} promises; see it again with: {lived.birth.command()}",
        soft_wrap=True,
    )
    return 1


def main() -> int:
    """Read what is asked for and do it; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="live this one, and tell its trace")
    parser.add_argument("--call", type=int, help="with --seed: the call that goes wrong")
    parser.add_argument("--fault", type=Fault, default=Fault.FAIL, help="with --call: how")
    parser.add_argument("--every-call", action="store_true", help="small worlds, each call in turn")
    parser.add_argument("--seeds", type=int, default=1000, help="how many to live")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    asked = parser.parse_args()
    hush()
    console = Console()
    if asked.seed is not None:
        return run_one(Birth(asked.seed, asked.call, asked.call and asked.fault), console)
    seeds = range(asked.first, asked.first + asked.seeds)
    births = [Birth(seed) for seed in seeds]
    if asked.every_call:
        births = [birth for seed in seeds for birth in every_call(seed)]
    return run_many(births, asked.jobs, console)


if __name__ == "__main__":
    sys.exit(main())
