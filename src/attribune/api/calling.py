"""Asking an ASGI application in this process, as its operator: no socket, no server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from litestar.types import ASGIApp

from attribune.api.access import trusted


class InProcess:
    """Sends requests to an application as if they came through the admin socket."""

    def __init__(self, app: ASGIApp) -> None:
        """Ask an application."""
        self._app = trusted(app)

    def send(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """One request; its status and body."""
        return asyncio.run(self._send(method, target, body, headers))

    async def _send(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        path, _, query = target.partition("?")
        scope: Any = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [
                (b"host", b"localhost"),
                (b"content-length", str(len(body)).encode()),
                *((name.lower().encode(), value.encode()) for name, value in headers.items()),
            ],
            "client": None,
            "server": ("localhost", 0),
            "state": {},
            "extensions": {},
        }
        asked = False
        answer: dict[str, Any] = {"status": 500, "body": b""}

        async def receive() -> Any:
            nonlocal asked
            if asked:
                return {"type": "http.disconnect"}
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
            elif message["type"] == "http.response.body":
                answer["body"] += message.get("body", b"")

        await self._app(scope, receive, send)
        return answer["status"], answer["body"]
