"""Real processes to measure: a folder with a link and keys in it, a collector alone, a whole house, and nginx."""

from __future__ import annotations

import atexit
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from harness import SERVER_CORE, on_core

ATTRIBUNE = Path(sys.executable).with_name("attribune")
STORE_ID = "com.example.game"
_READY_S = 60
_STOP_S = 30
#: One hop, since the load says in X-Forwarded-For who its people are.
_ENVIRONMENT = {"ATTRIBUNE_PROXY_HOPS": "1", "ATTRIBUNE_LOG_LEVEL": "warning"}
NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log {folder}/access.log combined buffer=64k flush=1s;
  server {{ listen 127.0.0.1:{port}; keepalive_requests 1000000000;
    location / {{ return 302 "https://play.google.com/store/apps/details?id=com.example.game&referrer=x"; }} }}
}}
"""


class Registered(msgspec.Struct, frozen=True):
    """What a folder of the bench knows."""

    product: str
    app: str
    link: str
    app_key: str
    server_key: str


def register(data: Path) -> Registered:
    """A new folder with one app, one partner, one link and both kinds of key; all folders of a run know the same ones."""
    template, known = _template()
    shutil.copytree(template, data, dirs_exist_ok=True)
    return known


@cache
def _template() -> tuple[Path, Registered]:
    whole = Path(tempfile.mkdtemp(prefix="attribune-bench-"))
    atexit.register(shutil.rmtree, whole, ignore_errors=True)
    data = whole / "data"
    app = ask(
        data, "app", "add", "--name", "Game", "--platform", "android", "--store-id", STORE_ID
    )["app"]
    ask(data, "partner", "add", "--name", "acme", "--kind", "affiliate")
    link = ask(
        data, "link", "add", "--app", app["id"], "--partner", "acme", "--campaign", "spring"
    )["link"]
    server = ask(data, "key", "add", "--app", app["id"], "--kind", "server")["key"]
    return data, Registered(app["product"], app["id"], link["id"], app["key"], server["secret"])


def ask(data: Path, *words: str) -> Any:
    """What a command says of a folder."""
    done = subprocess.run(
        [ATTRIBUNE, *words, "--data", data, "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"attribune {' '.join(words)} failed: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


@contextmanager
def collector(data: Path) -> Iterator[int]:
    """The collector alone, as on a machine of its own: what reads the journal would take the load's core."""
    port = free_port()
    with _running(
        [ATTRIBUNE, "run", "collector-1", "--data", data],
        data.with_suffix(".log"),
        {"ATTRIBUNE_PORT": str(port)},
    ):
        wait(port)
        yield port


@contextmanager
def serving(data: Path) -> Iterator[tuple[int, int]]:
    """A whole house on the one core: the collector's port, and the supervisor's process id."""
    port, web_port = free_port(), free_port()
    with _running(
        [ATTRIBUNE, "serve", "--data", data, "--port", port, "--web-port", web_port],
        data.with_suffix(".log"),
        {},
    ) as process:
        wait(port)
        wait(web_port)
        yield port, process.pid


@contextmanager
def nginx(folder: Path) -> Iterator[int]:
    """Nginx with one worker, which answers 302 and keeps a buffered access log."""
    port = free_port()
    conf = folder / "nginx.conf"
    conf.write_text(NGINX.format(folder=folder, port=port))
    with _running(["nginx", "-c", conf, "-p", folder], folder / "nginx.log", {}):
        wait(port)
        yield port


@contextmanager
def _running(
    command: list[Any], log: Path, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            on_core(SERVER_CORE, command),
            stdout=out,
            stderr=out,
            env={**os.environ, **_ENVIRONMENT, **environment},
        )
        try:
            yield process
        except BaseException:
            sys.stderr.write(log.read_text()[-2000:])
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_STOP_S)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait(port: int) -> None:
    """Return when somebody answers there."""
    until = time.monotonic() + _READY_S
    while time.monotonic() < until:
        try:
            door = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            door.request("GET", "/readyz")
            door.getresponse()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"nothing answers on port {port}")


def wait_until_idle(data: Path, seconds: float) -> None:
    """Return when every role has come to the journal's end."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if ask(data, "status")["status"]["lag"] == 0:
            return
        time.sleep(0.5)
    raise TimeoutError(f"the roles of {data} did not reach the journal's end in {seconds} s")
