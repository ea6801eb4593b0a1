"""A house for the demo: serve on a scratch folder, its command line, and its front door over plain HTTP."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ATTRIBUNE = Path(sys.executable).with_name("attribune")
READY_S = 30
STOP_S = 15


class DemoFailed(Exception):
    """The demo cannot go on; the message says what happened and where to look."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class House:
    """`attribune serve` on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        """Choose free ports; nothing runs yet."""
        self.folder = folder / "data"
        self.port, self.web_port = free_port(), free_port()
        self.log = folder / "serve.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._door: http.client.HTTPConnection | None = None

    def start(self) -> None:
        """Start it and wait until the front door is ready. Raises DemoFailed."""
        command = [
            ATTRIBUNE,
            "serve",
            "--data",
            self.folder,
            "--port",
            self.port,
            "--web-port",
            self.web_port,
        ]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(word) for word in command], stdout=log, stderr=log
            )
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            if self._is_ready(self.port) and self._is_ready(self.web_port):
                return
            time.sleep(0.1)
        raise DemoFailed(
            f"Attribune did not start; its log is {self.log}:\n{self.log.read_text()[-2000:]}"
        )

    def _is_ready(self, port: int) -> bool:
        try:
            door = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            door.request("GET", "/readyz")
            return door.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False

    def stop(self) -> None:
        """Ask it to stop and wait."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(STOP_S)

    def command(self, *words: str) -> list[str]:
        """A command on this folder, as a person would type it."""
        return [str(ATTRIBUNE), *words, "--data", str(self.folder)]

    def ask(self, *words: str) -> Any:
        """The answer of a command as JSON. Raises DemoFailed with what it said."""
        done = subprocess.run(
            [*self.command(*words), "--json"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise DemoFailed(f"attribune {' '.join(words)} failed: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def show(self, *words: str) -> None:
        """Let a command print for people."""
        subprocess.run(self.command(*words), check=False)

    def get(
        self, path: str, query: dict[str, str], headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """Follow a link or load a pixel, as a phone would."""
        return self._say("GET", f"{path}?{urlencode(query)}", headers, None)

    def post(self, path: str, key: str, body: Any) -> tuple[int, Any]:
        """Send records with a key; the status and the JSON answer."""
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        status, _, answer = self._say("POST", path, headers, json.dumps(body).encode())
        return status, json.loads(answer)

    def _say(
        self, method: str, target: str, headers: dict[str, str], body: bytes | None
    ) -> tuple[int, dict[str, str], bytes]:
        if self._door is None:
            self._door = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            self._door.request(method, target, body, headers)
            answer = self._door.getresponse()
        except (
            OSError,
            http.client.HTTPException,
        ):  # the connection had been closed: once more on a new one
            self._door = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            self._door.request(method, target, body, headers)
            answer = self._door.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
