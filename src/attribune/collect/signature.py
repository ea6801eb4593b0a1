"""Signed links: whether the end of a query proves that the link's partner wrote the rest of it. Pure.

``signature`` is lower-case hex HMAC-SHA256 with the partner's signing secret over ``path?query`` as sent, up to the ``&``
before it. It lets a query say what an allowed network's may, and nothing of where the person goes.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from attribune.model.control import Partner
from attribune.model.touch import SignatureFault

#: What a query with a signature holds, for a glance at a raw query.
SIGNATURE: Final = "signature="
_EXPIRES: Final = "expires="
_HEX: Final = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)
_WHOLE: Final = re.compile(r"\d{1,16}\Z", re.ASCII)
#: 2000 began then. Nothing on the wire is older, so that a smaller number is one of seconds.
_MS_MIN: Final = 946_684_800_000


class Secret(NamedTuple):
    """A signing secret, and when it ends. Milliseconds, UTC; None while it has no successor."""

    key: bytes
    ends_at_ms: int | None


class Checked(NamedTuple):
    """A query without its signature, and what the signature is worth; neither when none came."""

    query: str
    signed: bool = False
    fault: SignatureFault | None = None


def secrets_of(partner: Partner | None) -> tuple[Secret, ...]:
    """What a partner may sign with, the newest first."""
    if partner is None or partner.signing_secret is None:
        return ()
    former = (Secret(f.signing_secret.encode(), f.ends_at_ms) for f in partner.former_secrets)
    return (Secret(partner.signing_secret.encode(), None), *former)


def check_query(
    path: str, query: str, secrets: Sequence[Secret], now_ms: int, ahead_max_ms: int
) -> Checked:
    """Hold the raw query of a link to the signature at its end, if it has one."""
    parts = query.split("&")
    rest = [part for part in parts if not part.startswith(SIGNATURE)]
    if len(rest) == len(parts):
        return Checked(query)
    bare = "&".join(rest)
    given = parts[-1].removeprefix(SIGNATURE)
    if not secrets:
        fault: SignatureFault | None = SignatureFault.NOT_SIGNING
    elif rest != parts[:-1] or not _HEX.match(given):
        fault = SignatureFault.MALFORMED
    elif not _fits(f"{path}?{bare}".encode(), given, secrets, now_ms):
        fault = SignatureFault.MISMATCH
    else:
        fault = _expiry_fault(rest, now_ms, ahead_max_ms)
    return Checked(bare, fault is None, fault)


def _fits(text: bytes, given: str, secrets: Sequence[Secret], now_ms: int) -> bool:
    return any(
        hmac.compare_digest(hmac.digest(secret.key, text, "sha256").hex(), given)
        for secret in secrets
        if secret.ends_at_ms is None or now_ms < secret.ends_at_ms
    )


def _expiry_fault(parts: Sequence[str], now_ms: int, ahead_max_ms: int) -> SignatureFault | None:
    """What is wrong with the time up to which signed parts hold, if anything is. At that time they hold no more."""
    said = [part.removeprefix(_EXPIRES) for part in parts if part.startswith(_EXPIRES)]
    if len(said) != 1 or not _WHOLE.match(said[0]):
        return SignatureFault.NO_EXPIRY
    expires_ms = int(said[0])
    if expires_ms < _MS_MIN:
        expires_ms *= 1000
    if expires_ms <= now_ms:
        return SignatureFault.EXPIRED
    return SignatureFault.TOO_FAR_AHEAD if expires_ms - now_ms > ahead_max_ms else None
