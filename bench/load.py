"""Load over loopback: wrk sends requests that were made beforehand, on a core of its own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
from harness import BENCH, CONNECTIONS, LOAD_CORE, on_core


class Load(msgspec.Struct, frozen=True):
    """What one run of load saw."""

    per_s: float
    p50_ms: float
    p99_ms: float


def write_requests(path: Path, requests: Sequence[bytes]) -> Path:
    """The requests in the form that load.lua reads."""
    with path.open("wb") as file:
        for request in requests:
            file.write(b"%d\n" % len(request) + request)
    return path


def load(port: int, requests: Path, seconds: int) -> Load:
    """Send the requests in turn for so long. Raises RuntimeError unless each was answered as it should be."""
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", BENCH / "load.lua"]
    done = subprocess.run(
        on_core(LOAD_CORE, [*words, f"http://127.0.0.1:{port}"]),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "BENCH_REQUESTS": str(requests)},
    )
    found = re.search(r"RESULT (.*)", done.stdout)
    told = dict(pair.split("=") for pair in found[1].split()) if found else {}
    if not found or told["status_errors"] != "0" or told["socket_errors"] != "0":
        raise RuntimeError(f"not every request was answered as it should be: {done.stdout}")
    return Load(
        per_s=int(told["requests"]) / int(told["duration_us"]) * 1e6,
        p50_ms=int(told["p50_us"]) / 1000,
        p99_ms=int(told["p99_us"]) / 1000,
    )


def answer_to(port: int, request: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to one request, so that a load that is refused is noticed before it is measured."""
    head, _, rest = request.partition(b"\r\n")
    request = head + b"\r\nConnection: close\r\n" + rest
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(request)
        answer = b"".join(iter(lambda: line.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), body


def get(path: str, headers: dict[str, str]) -> bytes:
    """A GET as it goes over the line."""
    return _head("GET", path, headers)


def post(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """A POST as it goes over the line."""
    said = {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}
    return _head("POST", path, said) + body


def _head(method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()
