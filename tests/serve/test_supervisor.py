"""The supervisor alone, over children that do nothing, or die."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
from house import is_alive, wait_for

from attribune.engines.system import SystemClock
from attribune.model.errors import Invalid
from attribune.roles import supervisor
from attribune.roles.supervisor import Child, Errand, Supervisor
from attribune.settings import Settings

SETTINGS = Settings(restart_wait_ms=40, restart_wait_max_ms=160, drain_ms=500)


class Boss:
    """A supervisor in a thread."""

    def __init__(self, folder: Path, *scripts: str) -> None:
        (folder / "run").mkdir()
        self.folder = folder
        self.children = [
            Child(f"role-{n}", [sys.executable, "-S", "-c", script], SETTINGS)
            for n, script in enumerate(scripts)
        ]
        self.stop = threading.Event()
        self.lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
        self.errands: list[Errand] = []
        boss = Supervisor(
            folder, self.children, SETTINGS, SystemClock(), self.lock, {}, self.errands
        )
        self.thread = threading.Thread(target=boss.run, args=(self.stop,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(10)
        os.close(self.lock)
        assert not any(child.is_running for child in self.children)

    def state(self, n: int = 0):
        found = supervisor.read_state(self.folder)
        return found.children[n] if found else None


def test_a_role_that_dies_is_started_again_after_a_wait_that_doubles(tmp_path) -> None:
    begun = time.monotonic()
    with Boss(tmp_path, "raise SystemExit(3)") as boss:
        wait_for(lambda: (boss.state() or boss.children[0].state).restarts >= 4)
        waited = time.monotonic() - begun
    assert waited > (40 + 80 + 160) / 1000
    assert boss.state().last_exit == "ended with code 3"


def test_a_role_that_does_not_stop_is_killed_when_the_drain_is_over(tmp_path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    with Boss(tmp_path, deaf, "import time; time.sleep(60)") as boss:
        wait_for(lambda: boss.state(1) and boss.state(1).pid)
        time.sleep(0.3)
        begun = time.monotonic()
    assert 0.4 < time.monotonic() - begun < 3
    assert boss.state(0).last_exit == "killed by SIGKILL"
    assert boss.state(1).last_exit == "killed by SIGTERM"


def test_a_marker_restarts_a_role_and_removes_only_what_may_be_removed(tmp_path) -> None:
    for name in ("store", "journal"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").write_text("x")
    with Boss(tmp_path, "import time; time.sleep(60)") as boss:
        wait_for(lambda: boss.state() and boss.state().pid)
        first = boss.state().pid
        marker = tmp_path / "run" / "restart" / "role-0"
        marker.write_text("store\njournal\n../elsewhere\n")
        wait_for(lambda: not marker.exists())
        wait_for(lambda: boss.state().pid not in (None, first))
        assert boss.state().restarts == 0  # it was asked to, and did not die
    assert not (tmp_path / "store").exists()
    assert (tmp_path / "journal" / "data").exists()


def test_a_state_that_could_not_be_written_is_written_later(tmp_path) -> None:
    """Otherwise status would speak of processes long gone until the next one dies."""
    with Boss(tmp_path, "import time; time.sleep(60)") as boss:
        wait_for(lambda: boss.state() and boss.state().pid)
        state = tmp_path / supervisor.STATE_FILE
        state.unlink()
        state.mkdir()  # cannot be replaced by a file
        (state / "inside").touch()
        os.kill(boss.children[0].state.pid, signal.SIGKILL)
        wait_for(lambda: boss.children[0].state.restarts == 1 and boss.children[0].state.pid)
        assert boss.state() is None
        (state / "inside").unlink()
        state.rmdir()
        wait_for(lambda: boss.state() and boss.state().restarts == 1)


def test_a_child_inherits_the_lock(tmp_path) -> None:
    script = "import os, sys; open('{}', 'w').write(os.readlink('/proc/self/fd/{}')); import time; time.sleep(60)"
    boss = Boss(tmp_path)
    said = tmp_path / "said"
    boss.children.append(
        Child("role-0", [sys.executable, "-S", "-c", script.format(said, boss.lock)], SETTINGS)
    )
    with boss:
        wait_for(lambda: said.exists() and said.read_text())
    assert said.read_text() == str(tmp_path / "lock")


def test_a_child_dies_with_its_supervisor_however_early_that_dies(tmp_path) -> None:
    """The child never asks for it: a role that is still loading must not outlive the supervisor either."""
    said = tmp_path / "said"
    child = "import time; time.sleep(60)"
    boss = (
        "import sys; from attribune.roles.supervisor import Child; from attribune.settings import Settings\n"
        f"one = Child('role-0', [sys.executable, '-S', '-c', {child!r}], Settings())\n"
        "one.start({}, 0, 0)\n"
        f"open({str(said)!r}, 'w').write(str(one.state.pid))\n"
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", boss], check=False, timeout=20)
    pid = int(said.read_text())
    wait_for(lambda: not is_alive(pid), 5, "the child outlived its supervisor")


def test_a_port_is_held_for_children_and_refused_to_others() -> None:
    with supervisor.reserve("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        assert not supervisor.is_listening("127.0.0.1", port)
        with pytest.raises(Invalid, match=str(port)):
            supervisor.reserve("127.0.0.1", port)
        with socket.socket() as child:
            child.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            child.bind(("127.0.0.1", port))
            child.listen()
            assert supervisor.is_listening("127.0.0.1", port)


def errand(folder: Path, script: str, every_ms: int) -> Errand:
    """Something to be done again ``every_ms`` after the file ``done`` last said that it was."""
    done = folder / "done"

    def done_at_ms() -> int:
        return int(done.stat().st_mtime * 1000) if done.exists() else 0

    command = [sys.executable, "-S", "-c", script.format(done)]
    return Errand("errand", command, SETTINGS, every_ms, done_at_ms)


DO = "open('{}', 'a').write('x')"


def test_an_errand_is_run_again_when_its_time_has_come_and_never_twice_at_once(tmp_path) -> None:
    done = tmp_path / "done"
    with Boss(tmp_path, "import time; time.sleep(60)") as boss:
        boss.errands.append(errand(tmp_path, DO, 300))
        wait_for(lambda: done.exists() and len(done.read_text()) == 3)
        assert boss.state(1).role == "errand"
        assert boss.children[0].state.restarts == 0
    boss.errands[0]._due_s = 0.0
    now_ms = int(done.stat().st_mtime * 1000)
    assert not boss.errands[0].is_wanted(now_ms + 299)
    boss.errands[0]._due_s = 0.0
    assert boss.errands[0].is_wanted(now_ms + 300)
    boss.errands[0]._due_s = 0.0
    assert boss.errands[0].is_wanted(now_ms - 1000), "the clock was set back"


def test_an_errand_that_fails_is_tried_again_later(tmp_path) -> None:
    done = tmp_path / "done"
    with Boss(tmp_path, "import time; time.sleep(60)") as boss:
        boss.errands.append(
            errand(tmp_path, DO.replace("'a'", "'x'") + "; raise SystemExit(3)", 60)
        )
        wait_for(lambda: boss.state(1) and boss.state(1).last_exit == "ended with code 1")
    assert done.exists()


def test_an_errand_that_fails_again_waits_twice_as_long(tmp_path, monkeypatch) -> None:
    """What cannot be done would otherwise read and write the same again and again."""
    monkeypatch.setattr(supervisor, "_ERRAND_AGAIN_S", 0.2)
    at = tmp_path / "at"
    script = "import time; open('{}', 'a').write(str(time.time()) + ' '); raise SystemExit(1)"
    one = errand(tmp_path, script.replace("{}", str(at)), 10_000)
    one._due_s = 0.0
    with Boss(tmp_path) as boss:
        boss.errands.append(one)
        wait_for(lambda: at.exists() and len(at.read_text().split()) == 4)
    times = [float(word) for word in at.read_text().split()]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert all(wait >= least for wait, least in zip(waits, (0.15, 0.35, 0.75), strict=True)), waits


def test_an_errand_that_is_off_is_never_run_and_one_that_runs_ends_with_the_house(tmp_path) -> None:
    with Boss(tmp_path, "import time; time.sleep(60)") as boss:
        off = errand(tmp_path, DO, 0)
        boss.errands += [off, errand(tmp_path, "import time; time.sleep(60)", 1)]
        wait_for(lambda: boss.errands[1].is_running)
        pid = boss.errands[1].state.pid
        assert not off.is_running
        begun = time.monotonic()
    assert time.monotonic() - begun < 3
    assert not is_alive(pid)
    assert not (tmp_path / "done").exists()
