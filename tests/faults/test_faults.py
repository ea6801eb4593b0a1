"""A whole house under one seed keeps its promises, whatever fails; and the checkers would see it if it did not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from faults import planted
from faults.run import Birth, hush, live
from faults.world import World

_RUN = Path(__file__).with_name("run.py")
#: Worlds that are lived until a planted bug must have been found.
_FOUND_WITHIN = 200


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = structlog.get_config()
    hush()
    yield
    structlog.configure(**before)


def run(*arguments: str, **environment: str) -> str:
    """Live worlds in processes of their own, on all cores; what they say when all went well."""
    done = subprocess.run(
        [sys.executable, str(_RUN), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    return done.stdout


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_a_house_keeps_its_promises_from_every_seed(first: int) -> None:
    assert "50 worlds" in run("--first", str(first), "--seeds", "50")


def test_a_house_keeps_its_promises_whichever_call_fails() -> None:
    """Each call of a small world fails, kills its process and cuts the power, before and after its effect."""
    assert "kept every promise" in run("--every-call", "--first", "7", "--seeds", "1")


def test_the_same_seed_is_the_same_run() -> None:
    """In one process and in another, whatever order their sets have."""
    first, second = World(11).run(), World(11).run()
    assert first.trace == second.trace
    assert first.fingerprint() == second.fingerprint() != World(12).run().fingerprint()
    for hash_seed in ("1", "2"):
        assert first.fingerprint() in run("--seed", "11", PYTHONHASHSEED=hash_seed)


def test_a_failure_says_how_to_see_it_again(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", "--seeds", "50", "--jobs", "1"])
    from faults import run as runner  # noqa: PLC0415  # the name is taken by the helper above

    with planted.position_not_committed():
        assert runner.main() == 1
    assert "see it again with: make faults SEED=" in capsys.readouterr().out


@pytest.mark.parametrize("plant", planted.PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: planted.Plant) -> None:
    with plant():
        found = (live(Birth(seed))[0].broken for seed in range(_FOUND_WITHIN))
        assert any(found), f"{_FOUND_WITHIN} worlds have not found it"
