"""The API described by itself: OpenAPI as JSON, and a plain page that loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any, Final

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from attribune import __version__
from attribune.api.errors import ErrorAnswer

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c2024 }
h2 { font: 600 15px ui-monospace, monospace; margin: 1.6rem 0 .2rem } code { font-family: ui-monospace, monospace }
table { border-collapse: collapse; margin: .3rem 0 } td { padding: .1rem 1rem .1rem 0; vertical-align: top }
@media (prefers-color-scheme: dark) { body { background: #111; color: #ddd } a { color: #8ab4f8 } }
"""


class PlainPage(OpenAPIRenderPlugin):
    """Every operation with its sentence and parameters, as one HTML page without scripts."""

    def __init__(self) -> None:
        """Stand at the root of the docs."""
        super().__init__(path="/", favicon="", style=_STYLE)

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page."""
        del request
        rows = [
            _operation(path, method, operation)
            for path, item in sorted(openapi_schema["paths"].items())
            for method, operation in item.items()
            if isinstance(operation, dict)
        ]
        page = (
            f"<!doctype html><html lang=en><meta charset=utf-8><title>Attribune API</title><style>{_STYLE}</style>"
            f"<h1>Attribune API {escape(__version__)}</h1>"
            "<p>Send <code>Authorization: Bearer KEY</code> with a key made by "
            "<code>attribune key add --kind api --scopes read,write</code>. The whole description: "
            "<a href=docs/openapi.json>openapi.json</a>.</p>"
        )
        return (page + "".join(rows) + "</html>").encode()


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    words = escape(operation.get("description") or operation.get("summary") or "")
    parameters = "".join(
        f"<tr><td><code>{escape(p['name'])}</code><td>{escape(p['in'])}<td>{escape(p.get('description') or '')}"
        for p in operation.get("parameters") or ()
        if isinstance(p, dict)
    )
    table = f"<table>{parameters}</table>" if parameters else ""
    return f"<h2>{escape(method.upper())} {escape(path)}</h2><p>{words}</p>{table}"


#: Every error that an operation may answer with, in the one shape.
_ERRORS: Final = {
    400: "A field is not allowed; ``param`` names it.",
    401: "There is no key, or it does not hold.",
    403: "The key has not the scope.",
    404: "There is no such thing.",
    409: "The same name or idempotency key stands with other content.",
    413: "The body is too large.",
    503: "The journal or a store cannot be used now; ask again after Retry-After.",
}


def documented(handlers: Iterable[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """The same handlers, with their errors in the description."""
    errors = {
        status: ResponseSpec(ErrorAnswer, description=words, generate_examples=False)
        for status, words in _ERRORS.items()
    }
    found = list(handlers)
    for handler in found:
        handler.responses = {**errors, **(handler.responses or {})}
    return found


def config() -> OpenAPIConfig:
    """The OpenAPI page at /api/docs and the description at /api/docs/openapi.json."""
    bearer = SecurityScheme(type="http", scheme="bearer", description="A key of kind api.")
    return OpenAPIConfig(
        title="Attribune",
        version=__version__,
        description="Every verb that the command line has.",
        path="/api/docs",
        use_handler_docstrings=True,
        render_plugins=[PlainPage(), JsonRenderPlugin()],
        components=Components(security_schemes={"key": bearer}),
        security=[{"key": []}],
    )
