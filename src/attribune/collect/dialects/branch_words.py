"""Branch's letters as JSON, whichever of its clients wrote them: browsers send forms whose values are JSON, phones and servers JSON. Pure."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs, unquote

import msgspec
from msgspec import Raw, Struct

from attribune.collect.absent import is_absent
from attribune.collect.dialects.letter import Letter
from attribune.collect.dialects.loose import PAIRS_MAX
from attribune.collect.fields import Fields, checked_json
from attribune.collect.refuse import Refused
from attribune.model.refusal import RefusalReason

#: Largest body: a bulk of links.
BODY_BYTES_MAX: Final = 256 * 1024
OPENS: Final = frozenset(("/v1/install", "/v1/open"))
EVENTS: Final = frozenset(
    ("/v2/event/standard", "/v2/event/custom", "/v1/event", "/v1/pageview", "/v1/dismiss")
)
URL: Final = "/v1/url"
QR_CODE: Final = "/v1/qr-code"
LAST_TOUCH: Final = "/v1/cpid/latd"
FINGERPRINT: Final = "/_r"
BULK: Final = "/v1/url/bulk/"
APP_LINKS: Final = "/v1/app-link-settings/"

_FORM_KEY: Final = re.compile(rb"(?:\A|&)branch_key=([^&]{1,512})")
#: Parts of a form that are lists of their own.
_REPEATED: Final = frozenset(("tags",))


class _Keyed(Struct):
    branch_key: str | None = None


_keyed: Final = msgspec.json.Decoder(_Keyed)


def path_of(letter: Letter) -> str:
    """The path, without a slash at its end."""
    return letter.path.rstrip("/")


def key_of(letter: Letter) -> str | None:
    """The key, as a letter carries it: in the path, the body or the query."""
    path = path_of(letter)
    for begin in (BULK, APP_LINKS):
        if path.startswith(begin):
            return unquote(path.removeprefix(begin)) or None
    body = letter.body.lstrip()
    if body[:1] == b"{":
        try:
            return _keyed.decode(body).branch_key
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
    if body:
        found = _FORM_KEY.search(body)
        return unquote(found[1].decode("utf-8", "replace")) if found else None
    return first_of(letter.query, "branch_key")


def first_of(query: str, name: str) -> str | None:
    """The first parameter of a name in a query; None too when the query has too many."""
    try:
        found = parse_qs(query, max_num_fields=PAIRS_MAX).get(name)
    except ValueError:
        return None
    return found[0] if found else None


def json_body(letter: Letter) -> bytes:
    """The body as JSON. Raises Refused when it is a form that cannot be read."""
    body = letter.body.strip()
    if not body:
        raise Refused(RefusalReason.MALFORMED, "this path needs a body")
    return body if body[:1] in {b"{", b"["} else _of_form(body)


def _of_form(body: bytes) -> bytes:
    try:
        said = parse_qs(body.decode("utf-8", "replace"), max_num_fields=PAIRS_MAX)
    except ValueError:
        raise Refused(
            RefusalReason.TOO_LARGE, f"a form may have at most {PAIRS_MAX} parameters"
        ) from None
    found: dict[str, Raw] = {}
    for name, values in said.items():
        if name in _REPEATED and not values[0].startswith("["):
            found[name] = Raw(msgspec.json.encode(values))
        elif not is_absent(values[0]):
            found[name] = Raw(_value(values[0]))
    return msgspec.json.encode(found)


def _value(text: str) -> bytes:
    """A form's value: the JSON in it, where it is an object or a list, else a text."""
    if text[:1] in {"{", "["}:
        try:
            return checked_json(text.encode(), 64)
        except Refused:
            pass
    return msgspec.json.encode(text)


def inner(fields: Fields, name: str) -> Fields:
    """An object in here, also one that is JSON inside of a text; empty when absent. Raises Refused."""
    raw = fields.raw(name)
    if raw is None:
        return Fields({}, fields.path(name))
    if raw[:1] == b'"':
        text = msgspec.json.decode(raw)
        if not text.strip():
            return Fields({}, fields.path(name))
        raw = text.encode("utf-8", "replace")
        checked_json(raw, 64, fields.path(name))
    return Fields.of(raw, fields.path(name))
