"""Asking for a device's attribution: now, or waiting a little for the decision about an open that was just told."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from attribune.collect.absent import is_absent_id
from attribune.collect.links import parse_query
from attribune.collect.means import Means
from attribune.collect.refuse import Refused
from attribune.collect.request import Answer, Request, json_answer
from attribune.collect.speaker import speaker_of
from attribune.model.errors import StoreUnavailable
from attribune.model.ids import DeviceId, ProductId
from attribune.model.refusal import RefusalReason
from attribune.model.unmeasured import NOT_MEASURED

Asked = tuple[ProductId, DeviceId]

#: How often the answers are looked at while somebody waits: soon at first, seldom later.
_POLLS_S: Final = (0.002, 0.003, 0.005, 0.005, 0.010, 0.010, 0.020)
#: Devices waited for at a time; who comes on top is told *pending* at once.
_WAITING_MAX: Final = 512
#: What another answer may soon stand in the place of.
_NOT_YET: Final = (None, NOT_MEASURED)


class Waiting:
    """Lets many wait for answers with one look at the store for all of them."""

    def __init__(self, means: Means) -> None:
        """Begin with nobody waiting."""
        self._means = means
        self._waiters: dict[Asked, list[asyncio.Future[bytes]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._polls = 0

    def pending(self) -> msgspec.Raw:
        """What is said when nothing is decided yet."""
        retry_ms = self._means.settings.attribution_retry_ms
        self._means.counters.attribution_pending += 1
        return msgspec.Raw(b'{"status":"pending","retry_after_ms":%d}' % retry_ms)

    def stands(self, asked: Asked) -> msgspec.Raw | None:
        """The answer as it stands now, encoded, or None."""
        found = self._look(asked)
        return None if found is None else self._decided(found)

    async def answer(self, asked: Asked) -> msgspec.Raw:
        """The answer, as soon as it stands and within ``attribution_wait_ms``; *pending* after that.

        That nobody may be measured is waited over too: the consent may have come with the open that asks.
        """
        found = await self.decided(asked)
        return self.pending() if found is None else found

    async def decided(self, asked: Asked) -> msgspec.Raw | None:
        """The same, but None when nothing is decided by then."""
        found = self._look(asked)
        wait_s = self._means.settings.attribution_wait_ms / 1000
        if found in _NOT_YET and wait_s and len(self._waiters) < _WAITING_MAX:
            found = await self._wait(asked, wait_s) or self._look(asked)
        return None if found is None else self._decided(found)

    def _look(self, asked: Asked) -> bytes | None:
        try:
            return self._means.answers.get(*asked)
        except StoreUnavailable:
            return None

    def _decided(self, found: bytes) -> msgspec.Raw:
        self._means.counters.attribution_decided += 1
        return msgspec.Raw(found)

    async def _wait(self, asked: Asked, wait_s: float) -> bytes | None:
        future = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(asked, []).append(future)
        self._polls = 0
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll())
        try:
            return await asyncio.wait_for(future, wait_s)
        except TimeoutError:
            return None
        finally:
            self._leave(asked, future)

    def _leave(self, asked: Asked, future: asyncio.Future[bytes]) -> None:
        waiters = self._waiters.get(asked)
        if waiters and future in waiters:
            waiters.remove(future)
            if not waiters:
                del self._waiters[asked]

    async def _poll(self) -> None:
        """Look for the answers of all who wait, until nobody does."""
        while self._waiters:
            await asyncio.sleep(_POLLS_S[min(self._polls, len(_POLLS_S) - 1)])
            self._polls += 1
            for asked in tuple(self._waiters):
                found = self._look(asked)
                if found in _NOT_YET:
                    continue
                assert found is not None, "what is not there yet was left"
                for future in self._waiters.pop(asked, ()):
                    if not future.done():
                        future.set_result(found)


def ask(request: Request, means: Means, waiting: Waiting) -> Answer:
    """``GET /v1/attribution?device_id=…``: 200 decided, 202 pending."""
    speaker = speaker_of(
        request.headers.get("authorization"), means.directory, request.received_at_ms
    )
    means.note_key(speaker, request.received_at_ms)
    said = dict(reversed(parse_query(request.query)[0])).get("device_id", "")
    if is_absent_id(said):
        raise Refused(
            RefusalReason.MISSING_FIELD,
            "device_id is needed: the id that the SDK made for this installation",
            "device_id",
        )
    found = waiting.stands((speaker.product.id, DeviceId(said)))
    if found is None:
        return json_answer(waiting.pending(), 202)
    return json_answer(found)
