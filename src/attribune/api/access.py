"""Who may ask what: the admin socket is trusted, everybody else needs an API key with the scope."""

from __future__ import annotations

from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Receive, Send

from attribune.api.errors import Unauthorized
from attribune.api.house import House
from attribune.model.control import Key, KeyKind, Scope
from attribune.model.errors import Forbidden
from attribune.registry.keys import hashed

#: Set in the ASGI scope of what came through the admin socket or from a command of this process. A client cannot set it.
TRUSTED: Final = "attribune.trusted"
#: Who asked, for what is journaled with a name.
BY: Final = "attribune.by"
#: Of a handler: the scope it needs, when its method does not say (asking with a body).
OPT: Final = "needs"
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def trusted(app: ASGIApp) -> ASGIApp:
    """The same application for callers that are the operator."""

    async def ask(scope: Any, receive: Receive, send: Send) -> None:
        marked: Any = {**scope, TRUSTED: True}
        await app(marked, receive, send)

    return ask


def check(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard of every address under /api: let the request pass, or raise Unauthorized or Forbidden."""
    scope: Any = connection.scope
    if scope.get(TRUSTED) is True:
        scope[BY] = "operator"
        return
    default = Scope.READ if scope["method"] in _READING else Scope.WRITE
    needed = handler.opt.get(OPT, default)
    house: House = connection.app.state["house"]
    key = key_of(house, connection.headers.get("authorization", ""))
    if needed not in key.scopes:
        raise Forbidden(
            f"this needs a key with scope {needed}; this one has {', '.join(key.scopes)}"
        )
    scope[BY] = key.id
    house.keys_used_at_ms[key.id] = house.clock.now_ms()


def key_of(house: House, header: str) -> Key:
    """The key that a header carries. Raises Unauthorized when nobody has it or it has ended, Forbidden when it is of another kind."""
    kind, _, secret = header.partition(" ")
    if kind.lower() != "bearer" or not secret.strip():
        raise Unauthorized
    key = house.up_to_date().key(hashed(secret.strip()))
    if key is None:
        raise Unauthorized("nobody has this key; see `attribune key list`")
    if key.ends_at_ms is not None and key.ends_at_ms <= house.clock.now_ms():
        raise Unauthorized("this key has ended; make one with `attribune key add --kind api`")
    if key.kind is not KeyKind.API:
        raise Forbidden(f"this is a key of kind {key.kind}; the API takes keys of kind api")
    return key
