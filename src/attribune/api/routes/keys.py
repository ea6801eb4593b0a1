"""Keys."""

from __future__ import annotations

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from attribune.api.here import Here
from attribune.api.routes.page import ROWS_MAX, After, Limit, page
from attribune.model.control import KeyKind
from attribune.registry import find, keys, shown
from attribune.registry.requests import AddKey, RotateKey


class KeyAnswer(Struct, frozen=True):
    """One key."""

    key: shown.KeyShown


class KeysAnswer(Struct, frozen=True):
    """Some keys, and where the next page begins."""

    keys: tuple[shown.KeyShown, ...]
    next: str | None


@post("/api/keys", sync_to_thread=True)
def add_key(house: Here, data: JSONBody[AddKey]) -> KeyAnswer:
    """Make a key; its secret is in this answer and nowhere else."""
    return KeyAnswer(house.change(lambda reg, now: keys.add_key(reg, data, house.chance, now)))


@get("/api/keys", sync_to_thread=True)
def list_keys(
    house: Here,
    app: FromQuery[str | None] = None,
    kind: FromQuery[KeyKind | None] = None,
    after: After = "",
    limit: Limit = ROWS_MAX,
) -> KeysAnswer:
    """Keys, without their secrets."""
    registry = house.up_to_date()
    wanted = find.app(registry, app).id if app is not None else None
    rows = (
        key
        for key in registry.keys.newest()
        if (wanted is None or key.app == wanted) and (kind is None or key.kind is kind)
    )
    found, next_ = page(rows, after, limit)
    now_ms = house.clock.now_ms()
    used = {**house.keeper.keys_used_at_ms(), **house.keys_used_at_ms}
    return KeysAnswer(
        tuple(shown.key(row, now_ms, last_used_at_ms=used.get(row.id)) for row in found), next_
    )


@post("/api/keys/{key_id:str}/rotate", sync_to_thread=True)
def rotate_key(house: Here, key_id: FromPath[str], data: JSONBody[RotateKey]) -> KeyAnswer:
    """Make a key in another's place; the old one holds for the overlap."""
    return KeyAnswer(
        house.change(lambda reg, now: keys.rotate_key(reg, key_id, data, house.chance, now))
    )


@post("/api/keys/{key_id:str}/revoke", sync_to_thread=True, status_code=200)
def revoke_key(house: Here, key_id: FromPath[str]) -> KeyAnswer:
    """End a key now."""
    return KeyAnswer(house.change(lambda reg, now: keys.revoke_key(reg, key_id, now)))


HANDLERS = (add_key, list_keys, rotate_key, revoke_key)
