"""What a letter would mean at a door, without a socket and without keeping anything. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from attribune.collect.dialects import DIALECTS, Letter
from attribune.collect.dialects.landing import with_landings
from attribune.collect.records import Telling
from attribune.collect.refuse import Refused
from attribune.collect.speaker import Speaker
from attribune.collect.verdict import Making, Verdict
from attribune.model.activity import Sender
from attribune.model.control import App, Door, Product
from attribune.model.refusal import RefusalReason
from attribune.ports import Directory
from attribune.settings import Settings


class Rehearsal:
    """The dialects, for who makes doors and tries them."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every dialect that doors can speak."""
        return tuple(DIALECTS)

    def signs_with_key(self, dialect: str) -> bool:
        """Whether clients sign with their key, so that a door must know it in clear."""
        return DIALECTS[dialect].signs_with_key

    def holds_to_secret(self, dialect: str) -> bool:
        """Whether a door's secret keeps anybody out."""
        return DIALECTS[dialect].holds_to_secret

    def makes_links(self, dialect: str) -> bool:
        """Whether clients make links through a door, which have to be somebody's."""
        return DIALECTS[dialect].makes_links

    def letter(self, said: dict[str, Any]) -> Letter:
        """A letter from its parts as an API call gives them."""
        headers = {name.lower(): value for name, value in said["headers"].items()}
        return Letter(said["method"], said["path"], said["query"], headers, said["body"].encode())

    def rehearse(
        self,
        door: Door,
        directory: Directory,
        settings: Settings,
        now_ms: int,
        letter: Letter | None = None,
    ) -> list[dict[str, Any]]:
        """What each record of a letter would be, or why it would be refused; of a sample when no letter is given.

        Keys and signatures are not checked: a door knows only their hashes.
        """
        dialect = DIALECTS[door.dialect]
        app = directory.app(door.app)
        product = directory.product(app.product) if app else None
        if app is None or product is None:
            return [_refused(str(RefusalReason.UNKNOWN_DOOR), "the app of this door is gone")]
        letter = letter or dialect.sample("sample-key", now_ms)
        telling = _telling(door, app, product, directory, settings, now_ms)
        try:
            judged = with_landings(dialect.read(letter, telling, door))
            return [_shown(verdict) for verdict, _ in judged]
        except Refused as refused:
            return [_shown(refused)]


def _telling(
    door: Door, app: App, product: Product, directory: Directory, settings: Settings, now_ms: int
) -> Telling:
    sender = Sender.SERVER if door.is_trusted else Sender.APP
    return Telling(
        speaker=Speaker(sender=sender, app=app, product=product),
        directory=directory,
        settings=settings,
        received_at_ms=now_ms,
        ip=None,
        user_agent=None,
        dialect=door.dialect,
    )


def _shown(verdict: Verdict | Making) -> dict[str, Any]:
    if isinstance(verdict, Making):
        return {"verdict": "accepted", "record": msgspec.to_builtins(verdict.change.record)}
    if isinstance(verdict, Refused):
        return _refused(str(verdict.reason), verdict.message, verdict.param)
    return {"verdict": "accepted", "record": msgspec.to_builtins(verdict.record)}


def _refused(reason: str, message: str, param: str | None = None) -> dict[str, Any]:
    return {"verdict": "refused", "reason": reason, "field": param, "message": message}
