"""A running house for tests: real processes on free loopback ports, and the commands that people use."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple, Self

from attribune.cli.main import run

READY_WAIT_S = 30.0
STOP_WAIT_S = 15.0
_PAGE_BYTES = 4096


class CommandFailed(AssertionError):
    """A command ended with another code than 0; ``error`` is what it said."""

    def __init__(self, arguments: tuple[str, ...], code: int, said: str, stderr: str) -> None:
        super().__init__(f"attribune {' '.join(arguments)} ended with {code}: {said}{stderr}")
        self.code = code
        self.stderr = stderr
        self.error: dict[str, Any] = json.loads(said).get("error", {}) if said.strip() else {}


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))


def http(
    method: str,
    url: str,
    body: object = None,
    headers: dict[str, str] | None = None,
    key: str | None = None,
) -> Response:
    """One request; redirects are not followed. A body that is no bytes is sent as JSON."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    all_ = {"content-type": "application/json"} if data is not None else {}
    if key:
        all_["authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, data, {**all_, **(headers or {})}, method=method)
    try:
        with _opener.open(request, timeout=30) as answer:
            return Response(
                answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
            )
    except urllib.error.HTTPError as refused:
        with refused:
            found = {k.lower(): v for k, v in refused.headers.items()}
            return Response(refused.code, found, refused.read())


class RunningHouse:
    """``attribune serve`` on a folder. Start it, ask it, stop it, or use it as a context."""

    def __init__(self, folder: Path, *, collectors: int = 1, **settings: object) -> None:
        self.folder = folder
        self._collectors = collectors
        # Read often, so that tests wait shortly. Who tests scrubbing says when.
        fast = {"heartbeat_ms": 100, "scrub_ms": 0, **settings}
        self._environment = {
            f"ATTRIBUNE_{name.upper()}": str(value) for name, value in fast.items()
        }
        self.process: subprocess.Popen[str] | None = None
        self.collector_url = ""
        self.web_url = ""
        self.stderr_file = folder.parent / f"{folder.name}.stderr"

    def __enter__(self) -> Self:
        return self if self.process else self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.stop()

    def start(self, port: int = 0) -> Self:
        """Serve, on a free port unless one is given; returns when everything answers."""
        with self.stderr_file.open("a") as stderr:
            self.process = subprocess.Popen(
                self._command(
                    *("serve", "--port", str(port), "--web-port", "0"),
                    *("--collectors", str(self._collectors)),
                ),
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={**os.environ, **self._environment},
            )
        line = self._first_line(self.process)
        assert line, (
            f"no answer within {READY_WAIT_S} s; it said: {self.stderr_file.read_text()[-3000:]}"
        )
        answer = json.loads(line)
        assert "serve" in answer, answer
        said = answer["serve"]
        self.collector_url, self.web_url = said["collector_url"], said["web_url"]
        return self

    def _first_line(self, process: subprocess.Popen[str]) -> str:
        late = threading.Timer(READY_WAIT_S, process.kill)
        late.start()
        try:
            assert process.stdout is not None
            return process.stdout.readline()
        finally:
            late.cancel()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the supervisor and wait until it has ended; its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        try:
            return self.process.wait(STOP_WAIT_S)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def cli(self, *arguments: str) -> dict[str, Any]:
        """A command's one JSON object. Raises CommandFailed."""
        full = (*arguments, "--data", str(self.folder), "--json")
        code, out, err = self._run_here(full) if self.process else self._run_apart(full)
        if code:
            raise CommandFailed(full, code, out, err)
        lines = out.splitlines()
        assert len(lines) == 1, f"one object on stdout, not {lines}"
        return json.loads(lines[0])

    def _run_here(self, arguments: tuple[str, ...]) -> tuple[int, str, str]:
        """In this process, since it is only a client then."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run(list(arguments))
        return code, out.getvalue(), err.getvalue()

    def _run_apart(self, arguments: tuple[str, ...]) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "attribune", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, **self._environment},
        )
        return done.returncode, done.stdout, done.stderr

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "attribune", *arguments, "--data", str(self.folder), "--json"]

    def pids(self) -> dict[str, int]:
        """The processes of the roles by name, as they last said."""
        return {
            role["role"]: role["pid"]
            for role in self.cli("status")["status"]["roles"]
            if role["pid"]
        }

    def settle(self, within_s: float = 15.0) -> None:
        """Wait until everything that came in is decided and in the facts."""
        wait_for(lambda: self.cli("report")["lag"] == 0, within_s, "the views did not catch up")


def wait_for(condition: Any, within_s: float = 10.0, why: str = "it did not happen") -> None:
    """Ask again and again until it is so. Raises AssertionError when it is not in time."""
    give_up = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up, f"{why} within {within_s} s"
        time.sleep(0.05)


def own_bytes(pid: int) -> int:
    """Memory of a process without files mapped into it: the journal's pages are the kernel's, which takes them back."""
    _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    return (int(resident) - int(shared)) * _PAGE_BYTES


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
