"""The dialect doors: ``/in/{dialect}/{door}/…`` hears other people's client libraries in their own language."""

from __future__ import annotations

import hmac
from hashlib import sha256

from attribune.collect.dialects import DIALECTS, Dialect, Letter
from attribune.collect.keeping import keep_judged
from attribune.collect.means import Means
from attribune.collect.records import Telling
from attribune.collect.refuse import About, Refused
from attribune.collect.request import Answer, Request
from attribune.collect.speaker import Speaker
from attribune.collect.turns import RECORD_COST_BYTES
from attribune.model.activity import Sender
from attribune.model.control import Door
from attribune.model.ids import DoorId
from attribune.model.refusal import RefusalReason


class Inlet:
    """Finds the door, holds the client to its key, and keeps what its dialect understood."""

    def __init__(self, means: Means) -> None:
        """Take what is needed."""
        self._means = means

    async def hear(self, request: Request, rest: str) -> Answer:
        """One request behind ``/in/``. Raises Refused when no door is there; the dialect words every other answer."""
        name, _, rest = rest.partition("/")
        door_id, _, rest = rest.partition("/")
        dialect = DIALECTS.get(name)
        door = self._means.directory.door(DoorId(door_id)) if dialect else None
        if dialect is None or door is None or door.is_disabled or door.dialect != name:
            message = "no door is here; use the url that `attribune door add` gave"
            raise Refused(RefusalReason.UNKNOWN_DOOR, message, "door")
        try:
            return await self._pass(request, dialect, door, f"/{rest}")
        except Refused as refused:
            await self._means.keep_request(request, refused)
            return dialect.refuse(refused)

    async def _pass(self, request: Request, dialect: Dialect, door: Door, path: str) -> Answer:
        settings = self._means.settings
        most = min(dialect.body_bytes_max, settings.body_bytes_max)
        sent = await request.body(most, settings.body_wait_ms)
        letter = Letter(
            request.method,
            path,
            request.headers.get("authorization"),
            await request.unpacked(sent, most),
        )
        speaker = self._speaker(dialect, door, letter, request)
        answer = dialect.plain_answer(letter)
        if answer is not None:
            return answer
        telling = Telling(
            speaker=speaker,
            directory=self._means.directory,
            settings=settings,
            received_at_ms=request.received_at_ms,
            ip=request.ip,
            user_agent=request.user_agent,
            dialect=dialect.name,
        )
        judged = []
        for each in dialect.read(letter, telling, door):
            judged.append(each)
            await request.turn.spend(RECORD_COST_BYTES + len(each.raw))
        await keep_judged(self._means, request, judged)
        return dialect.accept([verdict for verdict, _ in judged])

    def _speaker(self, dialect: Dialect, door: Door, letter: Letter, request: Request) -> Speaker:
        """Who speaks through a door. Raises Refused when the client's key is not the door's."""
        app = self._means.directory.app(door.app)
        product = self._means.directory.product(app.product) if app else None
        if app is None or product is None:
            raise Refused(RefusalReason.UNKNOWN_DOOR, "the app of this door is gone", "door")
        request.about = About(product=product.id, app=app.id)
        key = dialect.key(letter) or ""
        if not hmac.compare_digest(sha256(key.encode()).hexdigest(), door.sha256):
            message = "use the key that this door was made with"
            raise Refused(RefusalReason.UNKNOWN_KEY, message, "writeKey")
        sender = Sender.SERVER if door.is_trusted else Sender.APP
        return Speaker(sender=sender, app=app, product=product)
