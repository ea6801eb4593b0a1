"""How a command reaches the API: the admin socket of a house that serves, else the house opened in this process."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

from attribune.cli.failure import Failed
from attribune.model.errors import FolderHeld

#: Long work (an audit, a replay) is one request.
ANSWER_WAIT_S: Final = 3600.0
#: A house that is just starting holds the folder before it listens.
_START_WAIT_S: Final = 15.0
_START_POLL_S: Final = 0.1
_SERVER_ERRORS: Final = 500


class Transport(Protocol):
    """Sends one request and gives status and body."""

    def send(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Ask."""
        ...


class Client:
    """Asks the API, and raises Failed with its error object when it refuses."""

    def __init__(self, transport: Transport) -> None:
        """Ask over a transport."""
        self._transport = transport

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The answer's object. Values of None in body and query are left out."""
        said = {name: value for name, value in (query or {}).items() if value is not None}
        target = quote(path) + ("?" + urlencode(said, doseq=True) if said else "")
        sent = b""
        if body is not None:
            sent = json.dumps({k: v for k, v in body.items() if v is not None}).encode()
        headers = {"content-type": "application/json"} if body is not None else {}
        status, answer = self._transport.send(method, target, sent, headers)
        found = _object(status, answer)
        if status >= http.client.BAD_REQUEST:
            raise Failed(found["error"])
        return found

    def pages(self, path: str, noun: str, query: Mapping[str, Any]) -> dict[str, Any]:
        """All rows of a list, page after page, and what its pages note of them."""
        rows: list[Any] = []
        notes: list[str] = []
        after = ""
        while True:
            page = self.call("GET", path, query={**query, "after": after or None})
            rows += page[noun]
            notes += page.get("notes", [])
            if page["next"] is None:
                return {noun: rows, "notes": notes} if "notes" in page else {noun: rows}
            after = page["next"]


def _object(status: int, answer: bytes) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    if isinstance(found, dict) and (status < http.client.BAD_REQUEST or "error" in found):
        return found
    sentence = f"the API answered {status} with something else than its own words"
    raise Failed({"type": "unavailable", "code": "unavailable", "param": None, "message": sentence})


class SocketTransport:
    """HTTP over the admin socket."""

    def __init__(self, path: Path, answer_wait_s: float = ANSWER_WAIT_S) -> None:
        """Ask whoever listens there, and wait so long for each piece of an answer."""
        self._path = path
        self._answer_wait_s = answer_wait_s

    def send(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Ask. Raises OSError when nobody listens, Failed when the connection breaks."""
        connection = _UnixConnection(self._path, self._answer_wait_s)
        try:
            connection.connect()
            try:
                # A refusal may come before the body was read; it is the answer, and not the broken pipe.
                with suppress(BrokenPipeError):
                    connection.request(method, target, body or None, dict(headers))
                response = connection.getresponse()
                return response.status, response.read()
            except (http.client.HTTPException, OSError) as fault:
                message = f"the house stopped while it was asked ({fault}); see `attribune status`"
                raise Failed(
                    {
                        "type": "unavailable",
                        "code": "unavailable",
                        "param": None,
                        "message": message,
                    }
                ) from fault
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, wait_s: float = ANSWER_WAIT_S) -> None:
        super().__init__("localhost", timeout=wait_s)
        self._path = path

    def connect(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:  # by the descriptor, since a socket's path may have 107 bytes only
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{folder}/{self._path.name}")
        finally:
            os.close(folder)


@contextmanager
def connect(
    data: Path, wait_s: float = _START_WAIT_S, answer_wait_s: float = ANSWER_WAIT_S
) -> Iterator[Client]:
    """A client of the house in a data folder, which is made when it is not there; it waits so long for an answer.

    Raises FolderHeld when another process holds the folder and does not answer for ``wait_s``.
    """
    from attribune import wire  # noqa: PLC0415  # opens no engine until it must

    give_up = time.monotonic() + wait_s
    socket_path = data / wire.ADMIN_SOCKET
    while True:
        if _listens(socket_path):
            yield Client(SocketTransport(socket_path, answer_wait_s))
            return
        opening = wire.offline(data)
        try:
            transport = opening.__enter__()
        except FolderHeld:
            if time.monotonic() > give_up:
                raise
            time.sleep(_START_POLL_S)
            continue
        try:
            yield Client(transport)
        finally:
            opening.__exit__(None, None, None)
        return


def _listens(path: Path) -> bool:
    connection = _UnixConnection(path)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True
