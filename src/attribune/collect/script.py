"""The script for web pages, ``attribune.js``: one text, the same for everybody who asks."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from typing import Final

from attribune.collect.request import Answer, Request

#: Where pages load it from.
PATH: Final = "/js/attribune.js"
#: How long a browser may go without asking again. A new version reaches every page within it.
_KEPT_S: Final = 3600


class Script:
    """The script and the headers it goes out with. Nothing that a request says is in either."""

    def __init__(self) -> None:
        """Read it from the package."""
        self._body = _served(files("attribune.collect").joinpath("attribune.js").read_text())
        self._etag = f'"{sha256(self._body).hexdigest()[:32]}"'
        self._headers = [
            ("content-type", "text/javascript; charset=utf-8"),
            ("cache-control", f"public, max-age={_KEPT_S}"),
            ("etag", self._etag),
            ("x-content-type-options", "nosniff"),
            # Any page may load it: it is no secret, and it is what its own page makes of it.
            ("access-control-allow-origin", "*"),
            ("cross-origin-resource-policy", "cross-origin"),
        ]

    async def serve(self, request: Request) -> Answer:
        """The script, or 304 for who has it."""
        if self._etag in (request.headers.get("if-none-match") or ""):
            return Answer(status=304, headers=self._headers)
        return Answer(headers=self._headers, body=self._body)


def _served(text: str) -> bytes:
    """The script without indentation and lines that only comment: pages need neither, and no text in it spans lines."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//")).encode()
