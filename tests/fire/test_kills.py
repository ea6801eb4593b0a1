"""Roles and whole houses killed at random moments under load: what was accepted counts once, whatever died."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from fire.rows import standing
from fire.senders import LOST, Addresses, Person, Sender, Server, addresses, ask, is_ready
from house import RunningHouse, is_alive, wait_for

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]

KILLS = 32
#: Each so many kills the supervisor is killed, and the kernel takes everything else with it.
TREE_EVERY = 8


def test_whatever_is_killed_under_load_all_that_was_accepted_counts_once(tmp_path) -> None:
    chance = random.Random(7)
    house = RunningHouse(tmp_path / "data", collectors=2, restart_wait_ms=50).start()
    try:
        senders = burn(house, chance)
        wait_for(lambda: is_ready(house), 20)
        house.settle(30)
        audit = house.cli("audit")
        assert audit["ok"], [check for check in audit["checks"] if not check["ok"]]
    finally:
        house.stop()
    assert not (wrong := unexpected(house)), "\n".join(wrong)
    servers = [sender for sender in senders if isinstance(sender, Server)]
    people = [sender for sender in senders if isinstance(sender, Person)]
    sent = [f"{server.name}-{n}" for server in servers for n in range(server.count)]
    found = standing(house.folder)
    assert len(sent) > KILLS
    assert sum(server.lost for server in servers) > 0, "no kill ever hit a request"
    clicked = {click for person in people for click in person.answered}
    assert len(clicked) > KILLS
    assert found["event"] == {f"e-{name}": 1 for name in sent}
    assert found["open"] == {f"o-{name}": 1 for name in sent}
    assert set(found["click"].values()) == {1}
    assert clicked <= set(found["click"])
    assert {f"c-{name}" for name in sent} <= set(found["click"])


def unexpected(house: RunningHouse) -> list[str]:
    """Lines of the log that no kill explains: a kill ends a process, it makes none of the others fail."""
    lines = house.stderr_file.read_text(errors="replace").splitlines()
    words = ("door_failed", "commit_failed", "click_not_kept", "step_failed", "Traceback")
    return [line for line in lines if any(word in line for word in words)]


def burn(house: RunningHouse, chance: random.Random) -> list[Sender]:
    """Send all the while, kill again and again, and return who sent when they have all been answered."""
    at = addresses(house)
    port = int(at.host.rpartition(":")[2])
    stop = threading.Event()
    senders: list[Sender] = [Server(f"s{n}", at, stop) for n in range(2)]
    senders += [Person(f"p{n}", at, stop) for n in range(2)]
    for sender in senders:
        sender.start()
    try:
        for n in range(1, KILLS + 1):
            time.sleep(chance.uniform(0.05, 0.8))
            if n % TREE_EVERY == 0:
                kill_tree(house, at, port)
            else:
                kill_role(house, chance)
    finally:
        # Who still waits for an answer gets one: a sender ends only when its last thing was accepted.
        stop.set()
        for sender in senders:
            sender.join(30)
            assert not sender.is_alive(), f"{sender.name} was never answered"
    return senders


def kill_role(house: RunningHouse, chance: random.Random) -> None:
    """Kill one role, alive or just being started, without waiting until all is well again."""
    living = [(child["role"], child["pid"]) for child in children(house.folder) if child["pid"]]
    if living:
        with suppress(ProcessLookupError):  # it ended a moment ago
            os.kill(chance.choice(living)[1], signal.SIGKILL)


def kill_tree(house: RunningHouse, at: Addresses, port: int) -> None:
    """Kill the supervisor; nothing of the house outlives it. Then serve again on the same port."""
    pids = [child["pid"] for child in children(house.folder) if child["pid"]]
    house.stop(signal.SIGKILL)
    wait_for(lambda: not any(is_alive(pid) for pid in pids), 5, "an orphan lives on")
    assert not answers(at), "an orphan answers on the port"
    house.start(port)


def answers(at: Addresses) -> bool:
    """Whether anybody accepts connections there."""
    try:
        ask(at.host, "GET", "/healthz")
    except LOST:
        return False
    return True


def children(folder: Path) -> list[dict]:
    """The roles' processes by the supervisor's own word."""
    return json.loads((folder / "run" / "supervisor.json").read_bytes())["children"]
