"""Refusals at the door: the exception that ends a way, how it is answered, and how it is kept.

Kept whole up to a limit and without secrets; beyond the quota of a second only a short head, length and hash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote_plus

from msgspec import Struct, structs

from attribune.model.ids import AppId, LinkId, ProductId, RecordId
from attribune.model.refusal import Refusal, RefusalReason
from attribune.model.touch import Part

#: The status of a request that is refused for a reason; 400 for those not named.
STATUS: Final[dict[RefusalReason, int]] = {
    RefusalReason.UNKNOWN_KEY: 401,
    RefusalReason.REVOKED_KEY: 401,
    RefusalReason.BAD_SIGNATURE: 401,
    RefusalReason.OLD_SIGNATURE: 401,
    RefusalReason.FORBIDDEN_FOR_KEY: 403,
    RefusalReason.UNKNOWN_LINK: 404,
    RefusalReason.DISABLED_LINK: 404,
    RefusalReason.UNKNOWN_DOOR: 404,
    RefusalReason.INCOMPLETE: 408,
    RefusalReason.TOO_LARGE: 413,
    RefusalReason.TOO_MANY_RECORDS: 413,
}
#: ``type`` of the error shape by status.
ERROR_TYPES: Final[dict[int, str]] = {
    401: "authentication",
    403: "authentication",
    404: "not_found",
    413: "too_large",
    429: "rate_limit",
    503: "unavailable",
}
_HEADERS_MAX: Final = 64
_HEADER_CHARACTERS_MAX: Final = 1024
_QUERY_CHARACTERS_MAX: Final = 4096
_AGENT_CHARACTERS_MAX: Final = 2048
_MESSAGE_CHARACTERS_MAX: Final = 500
#: How much of each text is kept beyond the quota of a second.
_SHORT_CHARACTERS: Final = 128
_SECRET_HEADER: Final = re.compile(
    r"authoriz|authentic|cookie|signature|secret|token|api-?key|write-?key|password", re.IGNORECASE
)
_REMOVED: Final = b"(removed)"
#: Our own keys, the keys of the client libraries that write them into the body, the path or the query, and the signatures
#: of links, which steer until they expire.
_SECRETS: Final = re.compile(
    rb'\b(?:ak|sk|api|key_live|key_test)_[A-Za-z0-9_-]{8,}|(?<="writeKey")(\s*:\s*")[^"]*|(?<=/projects/)[^/]+|(?<=writeKey=)[^&]+'
    rb"|(?<=\bsignature=)[0-9a-f]{16,}|(?<=\bapi_secret=)[^&]+|(?<=\bapp_token=)[^&]+"
    # Doors of other measurement partners take their key as ``?key=`` or as the last part of the path.
    rb"|(?<=\bkey=)[^&\s\"]{4,}|(/in/[a-z]+-(?:callback|push|webhook|postback|action)/[^/?\s]+/)[^/?\s]+",
    re.IGNORECASE,
)

#: What every secret above holds, for a glance.
_SECRET_HINTS: Final = (
    "_",
    "/projects/",
    "writekey=",
    "signature=",
    "api_secret=",
    "app_token=",
    "key=",
    "/in/",
)


class Refused(Exception):
    """What was asked or said is not used, for one named reason."""

    def __init__(
        self,
        reason: RefusalReason,
        message: str,
        param: str | None = None,
        *,
        status: int | None = None,
        code: str | None = None,
    ) -> None:
        """Keep the reason, the field at fault, and the sentence that says what to do."""
        super().__init__(message)
        self.reason = reason
        self.message = message[:_MESSAGE_CHARACTERS_MAX]
        self.param = param
        self.status = status or STATUS.get(reason, HTTPStatus.BAD_REQUEST)
        self.code = code or str(reason)

    def bare(self) -> Refused:
        """Itself, without the frames that it was raised in: they would lead in a circle to all verdicts of a request."""
        self.__traceback__ = self.__context__ = None
        return self


class Head(Struct, frozen=True, kw_only=True):
    """What a request said before its body, as far as a refusal keeps it."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    received_at_ms: int
    ip: str | None
    user_agent: str | None


class About(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whom or what a refusal is about, as far as it is known."""

    product: ProductId | None = None
    app: AppId | None = None
    link: LinkId | None = None
    record_id: RecordId | None = None
    record_type: str | None = None
    dialect: str | None = None
    part: Part | None = None


NOBODY: Final = About()


class Keeper:
    """Makes refusals, and holds their bodies to a quota a second."""

    def __init__(self, *, body_bytes_max: int, bytes_per_s_max: int) -> None:
        """Begin with a full quota."""
        self._body_bytes_max = body_bytes_max
        self._bytes_per_s_max = bytes_per_s_max
        self._second = 0
        self._spent = 0

    def refusal(
        self, head: Head, refused: Refused, body: bytes = b"", about: About = NOBODY
    ) -> Refusal:
        """A refusal as journaled, cut when the quota of the second is spent."""
        whole = Refusal(
            reason=refused.reason,
            received_at_ms=head.received_at_ms,
            method=head.method[:16],
            path=_text_without_secrets(head.path[:_QUERY_CHARACTERS_MAX]),
            param=refused.param,
            message=_text_without_secrets(refused.message),
            query=_query_without_secrets(head.query[:_QUERY_CHARACTERS_MAX]),
            headers=open_headers(head.headers),
            body=without_secrets(body[: self._body_bytes_max]) if body else b"",
            body_bytes=len(body),
            body_sha256=sha256(body).hexdigest() if body else "",
            ip=head.ip,
            user_agent=_agent_without_secrets(head.user_agent),
            product=about.product,
            app=about.app,
            link=about.link,
            record_id=about.record_id,
            record_type=about.record_type,
            dialect=about.dialect,
            part=about.part,
        )
        return whole if self._affords(head.received_at_ms, _size_of(whole)) else _cut(whole)

    def _affords(self, now_ms: int, size: int) -> bool:
        second = now_ms // 1000
        if second != self._second:
            self._second, self._spent = second, 0
        if self._spent + size > self._bytes_per_s_max:
            return False
        self._spent += size
        return True


def _size_of(refusal: Refusal) -> int:
    """What a refusal costs of the quota: all that its sender may make long."""
    texts = (refusal.path, refusal.query, refusal.message, refusal.user_agent or "")
    heads = sum(len(name) + len(value) for name, value in refusal.headers.items())
    return len(refusal.body) + heads + sum(map(len, texts))


def _cut(refusal: Refusal) -> Refusal:
    """A refusal beyond the quota: short, so that no flood of them fills the disk, and still one of its own."""
    agent = refusal.user_agent
    return structs.replace(
        refusal,
        is_cut=True,
        path=refusal.path[:_SHORT_CHARACTERS],
        query=refusal.query[:_SHORT_CHARACTERS],
        message=refusal.message[:_SHORT_CHARACTERS],
        param=refusal.param[:_SHORT_CHARACTERS] if refusal.param else None,
        record_type=refusal.record_type[:_SHORT_CHARACTERS] if refusal.record_type else None,
        user_agent=agent[:_SHORT_CHARACTERS] if agent else None,
        headers={},
        body=b"",
    )


def open_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers of a request without those that carry secrets, as many and as long as are kept."""
    kept: dict[str, str] = {}
    for name, value in headers:
        if len(kept) == _HEADERS_MAX:
            break
        if not _SECRET_HEADER.search(name):
            kept[name] = _text_without_secrets(value[:_HEADER_CHARACTERS_MAX])
    return kept


def without_secrets(body: bytes) -> bytes:
    """A body with keys taken out of it."""
    return _SECRETS.sub(lambda found: (found[1] or found[2] or b"") + _REMOVED, body)


def _text_without_secrets(text: str) -> str:
    lower = text.lower()
    if not any(hint in lower for hint in _SECRET_HINTS):
        return text
    return without_secrets(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _query_without_secrets(query: str) -> str:
    """The same for a raw query, in which a key may be percent-encoded."""
    if "%" not in query:
        return _text_without_secrets(query)
    return "&".join(map(_part_without_secrets, query.split("&")))


def _part_without_secrets(part: str) -> str:
    plain = unquote_plus(part)
    bare = _text_without_secrets(plain)
    return part if bare == plain else bare


def _agent_without_secrets(agent: str | None) -> str | None:
    return _text_without_secrets(agent[:_AGENT_CHARACTERS_MAX]) if agent else agent


def error_shape(status: int, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """The one shape of every error answer."""
    return {
        "error": {
            "type": ERROR_TYPES.get(status, "invalid_request"),
            "code": code,
            "param": param,
            "message": message,
            "doc": f"/docs/errors#{code}",
        }
    }
