"""Who speaks: the key, what it may do, and whether a signature holds."""

from __future__ import annotations

import hmac
import re
from hashlib import sha256
from typing import Final

from msgspec import Struct

from attribune.collect.refuse import Refused
from attribune.model.activity import Sender
from attribune.model.control import App, Key, KeyKind, Product
from attribune.model.ids import KeyId
from attribune.model.refusal import RefusalReason
from attribune.ports import Directory

#: Looked up once: that costs more than what is done with it for each record.
_SERVER: Final = Sender.SERVER
_BEARER: Final = re.compile(r"bearer +([\x21-\x7e]{1,256}) *\Z", re.IGNORECASE)
_SIGNATURE: Final = re.compile(r"t=(\d{1,16}), ?v1=([0-9a-fA-F]{64})\Z", re.ASCII)


class Speaker(Struct, frozen=True, kw_only=True):
    """Whose words these are."""

    sender: Sender
    app: App
    product: Product
    #: None when a client library's own key spoke.
    key: KeyId | None = None

    @property
    def is_server(self) -> bool:
        """Whether it may set address and user agent, and tell touches and claims."""
        return self.sender is _SERVER


def speaker_of(authorization: str | None, directory: Directory, now_ms: int) -> Speaker:
    """Who a Bearer key speaks for. Raises Refused when nobody has it, it has ended, or it is of another kind."""
    found = _BEARER.match(authorization or "")
    key = directory.key(sha256(found[1].encode()).hexdigest()) if found else None
    if key is None:
        raise Refused(
            RefusalReason.UNKNOWN_KEY,
            "send a key that exists as `Authorization: Bearer KEY`",
            "Authorization",
        )
    if key.ends_at_ms is not None and key.ends_at_ms <= now_ms:
        raise Refused(
            RefusalReason.REVOKED_KEY,
            "this key was revoked or replaced; use its successor",
            "Authorization",
        )
    return _speaker(key, directory)


def page_speaker(key: str | None, origin: str, directory: Directory, now_ms: int) -> Speaker:
    """Who a key speaks for that a page says in its body, since a header would cost it a preflight. Raises Refused.

    An app key only, and only on pages of its app: a server key is a secret and has no place in a page.
    """
    speaker = speaker_of(f"Bearer {key}", directory, now_ms)
    if speaker.is_server or origin not in speaker.app.origins:
        raise Refused(
            RefusalReason.FORBIDDEN_FOR_KEY,
            "a page may say an app key (ak_…) of an app that its origin is registered with",
            "key",
        )
    return speaker


def _speaker(key: Key, directory: Directory) -> Speaker:
    app = directory.app(key.app) if key.app and key.kind is not KeyKind.API else None
    product = directory.product(app.product) if app else None
    if app is None or product is None:
        raise Refused(
            RefusalReason.FORBIDDEN_FOR_KEY,
            "this key speaks for no app; use an app key (ak_…) or a server key (sk_…) here",
            "Authorization",
        )
    sender = Sender.SERVER if key.kind is KeyKind.SERVER else Sender.APP
    return Speaker(sender=sender, app=app, product=product, key=key.id)


def check_signature(
    speaker: Speaker, header: str | None, body: bytes, now_ms: int, age_max_ms: int
) -> None:
    """Hold a body, as sent, to the signature that its app requires; server keys need none. Raises Refused.

    ``Attribune-Signature: t=MS,v1=HEX`` is HMAC-SHA256 over ``t + "." + body`` with the app's secret.
    """
    secret = speaker.app.signing_secret
    if secret is None or speaker.is_server:
        return
    found = _SIGNATURE.match(header or "")
    if found is None:
        raise _bad_signature(
            "this app's records must be signed with `Attribune-Signature: t=MS,v1=HEX`"
        )
    right = hmac.new(secret.encode(), f"{found[1]}.".encode() + body, sha256).hexdigest()
    if not hmac.compare_digest(right, found[2].lower()):
        raise _bad_signature("the signature does not fit the body; sign `t + '.' + body` as sent")
    if abs(now_ms - int(found[1])) > age_max_ms:
        raise Refused(
            RefusalReason.OLD_SIGNATURE,
            f"the signature's time is more than {age_max_ms // 1000} s away; sign anew with a clock that is set",
            "Attribune-Signature",
        )


def _bad_signature(message: str) -> Refused:
    return Refused(RefusalReason.BAD_SIGNATURE, message, "Attribune-Signature")
