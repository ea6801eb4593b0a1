"""Keys: made of chance, kept as hashes, shown once."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from attribune.model.control import Key, KeyKind, Scope
from attribune.model.errors import Invalid
from attribune.model.ids import AppId, KeyId
from attribune.ports import Chance
from attribune.registry import find, shown
from attribune.registry.made import Made
from attribune.registry.naming import free_id, letters
from attribune.registry.requests import AddKey, RotateKey
from attribune.registry.view import Registry

#: 160 bits: nobody guesses it, and its plain SHA-256 may be kept.
SECRET_LETTERS: Final = 32
OVERLAP_MS_MAX: Final = 90 * 86_400_000
#: Last letters of a secret that are shown, so that people can tell them apart.
HINT: Final = 4
PREFIXES: Final = {KeyKind.APP: "ak_", KeyKind.SERVER: "sk_", KeyKind.API: "api_"}


def hashed(secret: str) -> str:
    """What is kept of a secret."""
    return sha256(secret.encode()).hexdigest()


def make_key(
    registry: Registry,
    kind: KeyKind,
    app: AppId | None,
    scopes: tuple[Scope, ...],
    chance: Chance,
    now_ms: int,
) -> tuple[Key, str]:
    """A new key and its secret, which is kept nowhere."""
    secret = PREFIXES[kind] + letters(chance, SECRET_LETTERS)
    key = Key(
        id=KeyId(free_id("key", registry.keys, chance, 8)),
        kind=kind,
        sha256=hashed(secret),
        app=app,
        scopes=scopes,
        created_at_ms=now_ms,
        hint=secret[-HINT:],
    )
    return key, secret


def add_key(registry: Registry, want: AddKey, chance: Chance, now_ms: int) -> Made[shown.KeyShown]:
    """Make a key. Raises Invalid when app or scopes do not go with its kind."""
    if (want.kind is KeyKind.API) != (want.app is None):
        raise Invalid(
            "a key of kind app or server speaks for an app, and one of kind api for none",
            param="app",
        )
    if (want.kind is KeyKind.API) != bool(want.scopes):
        raise Invalid(
            "a key of kind api needs scopes (read, write), others have none", param="scopes"
        )
    app = find.app(registry, want.app).id if want.app is not None else None
    scopes = tuple(dict.fromkeys(want.scopes))
    key, secret = make_key(registry, want.kind, app, scopes, chance, now_ms)
    return Made((key,), shown.key(key, now_ms, secret))


def rotate_key(
    registry: Registry, key_id: str, want: RotateKey, chance: Chance, now_ms: int
) -> Made[shown.KeyShown]:
    """Make a key in another's place; the old one ends after the overlap. Raises Invalid when it has ended already."""
    old = find.key(registry, key_id)
    overlap_ms = checked_overlap_ms(want.overlap_ms)
    if old.ends_at_ms is not None and old.ends_at_ms <= now_ms:
        raise Invalid(f"key {old.id} has ended; make one with `attribune key add`", param="key")
    key, secret = make_key(registry, old.kind, old.app, old.scopes, chance, now_ms)
    ends = now_ms + overlap_ms
    ending = replace(old, ends_at_ms=min(ends, old.ends_at_ms or ends))
    return Made((key, ending), shown.key(key, now_ms, secret))


def checked_overlap_ms(overlap_ms: int) -> int:
    """How long a secret holds beside its successor. Raises Invalid when it is out of bounds."""
    if not 0 <= overlap_ms <= OVERLAP_MS_MAX:
        raise Invalid(f"overlap_ms must be 0 to {OVERLAP_MS_MAX} (90 days)", param="overlap_ms")
    return overlap_ms


def revoke_key(registry: Registry, key_id: str, now_ms: int) -> Made[shown.KeyShown]:
    """End a key now; one that has ended already stays as it is."""
    key = find.key(registry, key_id)
    if key.ends_at_ms is not None and key.ends_at_ms <= now_ms:
        return Made((), shown.key(key, now_ms))
    ended = replace(key, ends_at_ms=now_ms)
    return Made((ended,), shown.key(ended, now_ms))
