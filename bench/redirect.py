"""The redirect figure: a click from the socket to the disk and back, beside nginx answering 302 from its memory."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

#: The server's core and the load's.
SERVER_CORE, LOAD_CORE = "0", "1"
CONNECTIONS = "64"
LUA = Path(__file__).with_name("clicks.lua")
ATTRIBUNE = Path(sys.executable).with_name("attribune")
NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log {folder}/access.log combined buffer=64k flush=1s;
  server {{ listen 127.0.0.1:{port}; keepalive_requests 1000000000;
    location / {{ return 302 "https://play.google.com/store/apps/details?id=com.example.game&referrer=x"; }} }}
}}
"""


def redirect(folder: Path, seconds: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """One run of ours and one of nginx: requests per second and latency of each."""
    return _ours(folder, seconds), _nginx(folder, seconds)


def _ours(folder: Path, seconds: int) -> dict[str, Any]:
    """The collector alone, as on a machine of its own: what reads the journal would take the load's core."""
    data = folder / "data"
    port = _free_port()
    link = _register(data)
    collector = subprocess.Popen(
        ["taskset", "-c", SERVER_CORE, ATTRIBUNE, "run", "collector-1", "--data", data],
        stdout=subprocess.DEVNULL,
        stderr=(folder / "collector.log").open("wb"),
        env={**os.environ, "ATTRIBUNE_PROXY_HOPS": "1", "ATTRIBUNE_PORT": str(port)},
    )
    try:
        _wait(port)
        return _load(port, link, seconds)
    finally:
        collector.send_signal(signal.SIGTERM)
        collector.wait(15)


def _register(data: Path) -> str:
    app = _ask(
        data,
        "app",
        "add",
        "--name",
        "Game",
        "--platform",
        "android",
        "--store-id",
        "com.example.game",
    )["app"]
    _ask(data, "partner", "add", "--name", "acme", "--kind", "affiliate")
    return str(
        _ask(data, "link", "add", "--app", app["id"], "--partner", "acme", "--campaign", "spring")[
            "link"
        ]["id"]
    )


def _ask(data: Path, *words: str) -> Any:
    done = subprocess.run(
        [ATTRIBUNE, *words, "--data", data, "--json"], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def _nginx(folder: Path, seconds: int) -> dict[str, Any]:
    port = _free_port()
    conf = folder / "nginx.conf"
    conf.write_text(NGINX.format(folder=folder, port=port))
    server = subprocess.Popen(
        ["taskset", "-c", SERVER_CORE, "nginx", "-c", conf, "-p", folder], stderr=subprocess.DEVNULL
    )
    try:
        _wait(port)
        return _load(port, "x", seconds)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(15)


def _load(port: int, link: str, seconds: int) -> dict[str, Any]:
    command = [
        "taskset",
        "-c",
        LOAD_CORE,
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "-s",
        LUA,
    ]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "BENCH_LINK": link},
    )
    found = re.search(r"RESULT (.*)", done.stdout)
    assert found, done.stdout
    told = dict(pair.split("=") for pair in found[1].split())
    assert told["status_errors"] == "0", f"not every click was answered as it should: {done.stdout}"
    return {
        "per_s": int(told["requests"]) / int(told["duration_us"]) * 1e6,
        "p99_ms": int(told["p99_us"]) / 1000,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int) -> None:
    until = time.monotonic() + 30
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
