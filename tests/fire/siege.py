"""A house under siege: honest senders go on, and memory and open sockets of each process are watched."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from fire.senders import Addresses, Person, Server, addresses
from fire.soak import Timed
from house import RunningHouse, own_bytes, wait_for

#: Roles that stand for their process; registrar and recorder live in the web role's.
PROCESSES: Final = ("collector-1", "attributor", "web")
#: Before memory is called the memory at rest: what is loaded and filled once has been by then.
_WARM_UP: Final = 40
_PAUSE_S: Final = 0.01
_SAMPLE_S: Final = 0.1


class Siege:
    """Honest senders while the block runs: a server that repeats what was not accepted, and people who click once."""

    def __init__(self, house: RunningHouse) -> None:
        self.house = house
        self.at: Addresses = addresses(house)
        self.pids = {role: pid for role, pid in house.pids().items() if role in PROCESSES}
        self._over = threading.Event()
        self.server = Server("honest", self.at, self._over)
        self.person = Person("person", self.at, self._over)
        self._timed = [Timed(self.server, _PAUSE_S), Timed(self.person, _PAUSE_S)]
        self._watch = threading.Thread(target=self._sample, daemon=True)
        #: Bytes that are the process's own, before and at most since; open sockets before.
        self.rest: dict[str, int] = {}
        self.peak: dict[str, int] = {}
        self.sockets: dict[str, int] = {}

    def __enter__(self) -> Self:
        self.server.start()
        self.person.start()
        wait_for(lambda: min(self.server.count, self.person.count) >= _WARM_UP, 20)
        self._marks = [len(one.took_ms) for one in self._timed]
        self.rest = {role: own_bytes(pid) for role, pid in self.pids.items()}
        self.sockets = {role: open_sockets(pid) for role, pid in self.pids.items()}
        self.peak = dict(self.rest)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in (self.server, self.person, self._watch):
            one.join(30)

    def _sample(self) -> None:
        while not self._over.wait(_SAMPLE_S):
            for role, pid in self.pids.items():
                self.peak[role] = max(self.peak[role], own_bytes(pid))

    def took_ms(self) -> list[float]:
        """What honest sendings have taken under siege so far, slowest last: a batch until it was accepted, or a click."""
        return sorted(
            took
            for one, mark in zip(self._timed, self._marks, strict=True)
            for took in one.took_ms[mark:]
        )

    def grown(self) -> dict[str, int]:
        """By how many bytes each process has grown at most."""
        return {role: peak - self.rest[role] for role, peak in self.peak.items()}

    def grown_now(self, role: str) -> int:
        """By how many bytes a process is larger now."""
        return own_bytes(self.pids[role]) - self.rest[role]

    def check_honest(self, slowest_ms: float, at_least: int) -> None:
        """Nobody honest was lost or refused, and nobody waited longer than that."""
        took = self.took_ms()
        assert len(took) >= at_least, f"only {len(took)} honest sendings"
        assert took[-1] <= slowest_ms, f"an honest sender waited {took[-1]:.0f} ms"
        assert (self.server.lost, self.server.refusals) == (0, [])
        assert (self.person.lost, self.person.without_id) == (0, 0)

    def check_counted(self) -> None:
        """All that the honest sent is counted, once. Call it when the block is over and nobody else sent events."""
        self.house.settle(60)
        assert self.house.cli("report", "--metrics", "events")["totals"]["events"] == (
            self.server.count
        )

    def counters(self, role: str = "collector-1") -> dict[str, int]:
        """What a role has counted, as ``attribune status`` says."""
        roles = self.house.cli("status")["status"]["roles"]
        return next(each["counters"] for each in roles if each["role"] == role)

    def wait_for_sockets(self, role: str, within_s: float) -> None:
        """Wait until a process has hardly more sockets open than before."""
        # The honest may have a connection or two.
        most = self.sockets[role] + 6
        pid = self.pids[role]
        wait_for(lambda: open_sockets(pid) <= most, within_s, f"{role} keeps connections")


def open_sockets(pid: int) -> int:
    """How many sockets a process has open."""
    found = 0
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed a moment ago
            found += str(file.readlink()).startswith("socket:")
    return found
