"""One shape for whatever goes wrong: ``{"error": {"type", "code", "param", "message", "doc"}}``."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException
from msgspec import Struct

from attribune.model.errors import (
    AttribuneError,
    BackupUnavailable,
    Conflict,
    FolderHeld,
    Forbidden,
    Invalid,
    JournalPruned,
    JournalUnavailable,
    NotFound,
    NotPrunable,
    StoreUnavailable,
    VaultLocked,
)

log = structlog.get_logger()

DOC: Final = "/docs/errors#"


class Unauthorized(AttribuneError):
    """The API needs a key; make one with `attribune key add --kind api --scopes read,write` and send it as `Authorization: Bearer KEY`."""

    code = "unauthorized"


class IdempotencyMismatch(Conflict):
    """The idempotency key was used with another request; take a new key."""

    code = "idempotency_mismatch"


class IdempotencyInProgress(Conflict):
    """A request with that idempotency key is being worked on; ask again in a moment."""

    code = "idempotency_in_progress"


class TooManyExports(AttribuneError):
    """As many pages of exports are being made as may be at a time (exports_max); ask again in a moment."""

    code = "too_many_exports"


class ErrorShown(Struct, frozen=True, kw_only=True):
    """What went wrong."""

    #: ``invalid_request``, ``authentication``, ``not_found``, ``too_large``, ``rate_limit``, ``unavailable``.
    type: str
    code: str
    #: The field that is at fault, when one is.
    param: str | None
    #: One sentence that says what to do.
    message: str
    doc: str


class ErrorAnswer(Struct, frozen=True):
    """The one shape of every error."""

    error: ErrorShown


#: First match wins: the status, and the type of the wire page.
_KINDS: Final[tuple[tuple[type[AttribuneError], int, str], ...]] = (
    (Unauthorized, 401, "authentication"),
    (Forbidden, 403, "authentication"),
    (NotFound, 404, "not_found"),
    (JournalPruned, 410, "not_found"),
    (NotPrunable, 409, "invalid_request"),
    (Conflict, 409, "invalid_request"),
    (TooManyExports, 429, "rate_limit"),
    (FolderHeld, 409, "unavailable"),
    (VaultLocked, 409, "unavailable"),
    (Invalid, 400, "invalid_request"),
    (JournalUnavailable, 503, "unavailable"),
    (StoreUnavailable, 503, "unavailable"),
    (BackupUnavailable, 503, "unavailable"),
    (AttribuneError, 500, "unavailable"),
)
#: Ask again in a moment.
_LATER: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_OF_STATUS: Final = {
    400: ("invalid_request", "malformed"),
    401: ("authentication", "unauthorized"),
    403: ("authentication", "forbidden"),
    404: ("not_found", "not_found"),
    405: ("invalid_request", "method_not_allowed"),
    413: ("too_large", "too_large"),
    415: ("invalid_request", "unsupported_media_type"),
    429: ("rate_limit", "rate_limited"),
    503: ("unavailable", "unavailable"),
}
#: Litestar's reader of JSON, which takes only some of what msgspec raises for a fault of the sender.
_BODY_READER: Final = "decode_json"
_PATH = re.compile(r" - at `\$\.([^`]+)`\Z")
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")
_MISSING = re.compile(r"missing required field `([^`]+)`")


def shape(type_: str, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """The one shape."""
    error = {"type": type_, "code": code, "param": param, "message": message, "doc": DOC + code}
    return {"error": error}


def told(fault: AttribuneError) -> tuple[int, dict[str, Any]]:
    """Status and body of one of our own errors."""
    for kind, status, type_ in _KINDS:
        if isinstance(fault, kind):
            return status, shape(type_, fault.code, fault.message, fault.param)
    raise AssertionError("the last kind is the root of the tree")


def body_fault(message: str) -> Invalid:
    """What msgspec says of a body, in our words and with the field's name."""
    found = _PATH.search(message)
    # The framework calls the body ``data``; who sent it does not.
    inside = found[1].removeprefix("data").lstrip(".") if found else ""
    plain = _PATH.sub("", message)
    name = _UNKNOWN.search(plain) or _MISSING.search(plain)
    param = ".".join(filter(None, (inside, name[1] if name else ""))) or None
    if _UNKNOWN.search(plain):
        return Invalid(f"there is no field {param!r} here; see /api/docs", param=param)
    if param == "data":
        return Invalid("the body is missing; send a JSON object, see /api/docs")
    if _MISSING.search(plain):
        return Invalid(f"{param} is missing", param=param)
    return Invalid(
        f"{param}: {plain}" if param else f"the body cannot be read: {plain}", param=param
    )


def on_ours(request: Request[Any, Any, Any], fault: AttribuneError) -> Response[dict[str, Any]]:
    """Answer one of our own errors."""
    status, body = told(fault)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request_failed", path=request.url.path, code=fault.code, message=fault.message)
    headers = {"Retry-After": "2"} if status in _LATER else {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(body, status_code=status, media_type=MediaType.JSON, headers=headers)


def on_http(request: Request[Any, Any, Any], fault: HTTPException) -> Response[dict[str, Any]]:
    """Answer what the framework refuses: no such path, wrong method, a body that does not fit."""
    cause = fault.__cause__
    while cause is not None and not isinstance(cause, msgspec.MsgspecError):
        cause = cause.__cause__
    if cause is not None or fault.status_code == HTTPStatus.BAD_REQUEST:
        return on_ours(request, _bad_request(fault, cause))
    type_, code = _OF_STATUS.get(fault.status_code, ("unavailable", "internal"))
    message = _SENTENCES.get(fault.status_code, fault.detail)
    return Response(
        shape(type_, code, message),
        status_code=fault.status_code,
        media_type=MediaType.JSON,
        headers=fault.headers,
    )


_SENTENCES: Final = {
    404: "there is nothing at this address; see /api/docs",
    405: "this address does not take that method; see /api/docs",
    413: "the body is too large; send less at a time",
}


def _bad_request(fault: HTTPException, cause: BaseException | None) -> Invalid:
    if cause is not None:
        return body_fault(str(cause))
    extra = fault.extra[0] if isinstance(fault.extra, list) and fault.extra else None
    if isinstance(extra, dict) and "key" in extra:
        name, message = str(extra["key"]), extra.get("message", "not allowed")
        return Invalid(f"{name}: {message}", param=name)
    return Invalid(f"the request cannot be read: {fault.detail}")


def on_unreadable(request: Request[Any, Any, Any], fault: Exception) -> Response[dict[str, Any]]:
    """Answer a body that is no UTF-8 or is nested without end; the same fault from elsewhere is a mistake of ours."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_name != _BODY_READER:
        trace = trace.tb_next
    if trace is None:
        return on_bug(request, fault)
    return on_ours(request, Invalid("the body cannot be read: send JSON in UTF-8, not nested deep"))


def on_bug(request: Request[Any, Any, Any], fault: Exception) -> Response[dict[str, Any]]:
    """Answer a mistake of ours without its details, which go to the log."""
    log.error("request_crashed", path=request.url.path, method=request.method, exc_info=fault)
    body = shape("unavailable", "internal", "something went wrong here; the log says what")
    return Response(body, status_code=500, media_type=MediaType.JSON)
