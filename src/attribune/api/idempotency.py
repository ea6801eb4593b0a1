"""Writes that may be sent twice: the same ``Idempotency-Key`` and request give the same answer and one effect.

The newest answers are kept in memory and, without the secrets they carry, in a file of the data folder, so that they
outlive this process; a repeat after a restart gives the answer without the secret, which is kept nowhere.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from litestar.types import ASGIApp, Message, Receive, Send

from attribune.api.access import TRUSTED
from attribune.api.errors import IdempotencyInProgress, IdempotencyMismatch, told
from attribune.model.errors import AttribuneError, Invalid
from attribune.ports import Clock

log = structlog.get_logger()

ANSWERS_MAX: Final = 10_000
ANSWER_AGE_MAX_MS: Final = 24 * 3_600_000
KEY_CHARACTERS_MAX: Final = 200
#: A longer answer is not kept: only rules with long lists have one, and setting the same rules again changes nothing;
#: a question may be asked again.
ANSWER_BYTES_MAX: Final = 65_536
FILE_NAME: Final = "run/idempotency.jsonl"
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
#: Fields of an answer that are shown once. A noun of the same name holds an object and stays.
SECRET_FIELDS: Final = frozenset({"key", "secret", "signing_secret"})


class Remembered(msgspec.Struct, frozen=True, array_like=True):
    """An answer that was given."""

    #: Of who asked and their idempotency key.
    slot: str
    #: Of the request: method, path, query and body.
    request: str
    at_ms: int
    status: int
    body: msgspec.Raw


class Answers:
    """Answers given to writes, the newest ANSWERS_MAX of the last day."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Read back what earlier processes gave."""
        self._file = folder / FILE_NAME
        self._clock = clock
        self._kept: OrderedDict[str, Remembered] = OrderedDict()
        self._lines = 0
        self._load()

    def get(self, slot: str) -> Remembered | None:
        """The answer given there, unless it is too old."""
        found = self._kept.get(slot)
        if found and self._clock.now_ms() - found.at_ms > ANSWER_AGE_MAX_MS:
            del self._kept[slot]
            return None
        return found

    def put(self, slot: str, request: str, status: int, body: bytes) -> None:
        """Keep an answer; in memory only while the disk takes nothing."""
        if len(body) > ANSWER_BYTES_MAX:
            return
        now_ms = self._clock.now_ms()
        self._kept[slot] = Remembered(slot, request, now_ms, status, msgspec.Raw(body))
        while len(self._kept) > ANSWERS_MAX:
            self._kept.popitem(last=False)
        bare = Remembered(slot, request, now_ms, status, msgspec.Raw(without_secrets(body)))
        try:
            with self._file.open("ab") as file:
                file.write(msgspec.json.encode(bare) + b"\n")
            self._lines += 1
            if self._lines > 2 * ANSWERS_MAX:
                self._compact()
        except OSError:  # what was asked is done and journaled, and who asked must hear so
            log.warning("answer_not_written")

    def _load(self) -> None:
        oldest = self._clock.now_ms() - ANSWER_AGE_MAX_MS
        try:
            lines = self._file.read_bytes().splitlines()
        except OSError:
            return
        for line in lines[-ANSWERS_MAX:]:
            try:
                found = msgspec.json.decode(line, type=Remembered)
            except msgspec.MsgspecError:  # a line cut short by a crash: its answer was never given
                continue
            if found.at_ms > oldest:
                self._kept[found.slot] = found
        try:
            self._compact()
        except OSError:  # a full disk: the longer file does as well
            log.warning("answers_not_tidied")

    def _compact(self) -> None:
        beside = self._file.with_suffix(".new")
        beside.touch(mode=0o600)
        with beside.open("wb") as file:
            for kept in self._kept.values():
                bare = msgspec.structs.replace(
                    kept, body=msgspec.Raw(without_secrets(bytes(kept.body)))
                )
                file.write(msgspec.json.encode(bare) + b"\n")
        beside.replace(self._file)
        self._lines = len(self._kept)


def without_secrets(body: bytes) -> bytes:
    """An answer without what may be shown only once."""
    return msgspec.json.encode(_bare(msgspec.json.decode(body)))


def _bare(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {
        name: _bare(inner)
        for name, inner in value.items()
        if not (name in SECRET_FIELDS and isinstance(inner, str))
    }


class Idempotency:
    """Wraps the API: answers a repeated write from memory, and refuses a key that is used for two requests."""

    def __init__(
        self,
        app: ASGIApp,
        answers: Answers,
        body_bytes_max: int,
        check: Callable[[str], object],
    ) -> None:
        """Wrap an application. ``check`` raises what is wrong with an Authorization header, if anything is."""
        self._check = check
        self._app = app
        self._answers = answers
        self._body_bytes_max = body_bytes_max
        self._running: set[str] = set()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer from memory, or let the application answer and remember it."""
        if scope["type"] != "http" or scope["method"] not in _WRITES:
            return await self._app(scope, receive, send)
        headers = {name.lower(): value for name, value in scope["headers"]}
        key = headers.get(b"idempotency-key")
        if key is None:
            return await self._app(scope, receive, send)
        body, again = await _whole(receive, self._body_bytes_max)
        if body is None:  # too long; the application says so
            return await self._app(scope, again, send)
        who = b"operator" if scope.get(TRUSTED) else headers.get(b"authorization", b"")
        slot = sha256(b"\x00".join((who, key))).hexdigest()
        request = sha256(
            b"\x00".join(
                (scope["method"].encode(), scope["path"].encode(), scope["query_string"], body)
            )
        ).hexdigest()
        try:
            known = self._find(key, slot, request)
            if known is not None and not scope.get(TRUSTED):
                self._check(who.decode("latin-1"))  # the key may have ended since
        except AttribuneError as fault:
            status, shape = told(fault)
            return await _send(send, status, msgspec.json.encode(shape))
        if known is not None:
            return await _send(send, known.status, bytes(known.body))
        self._running.add(slot)
        try:
            await self._ask(slot, request, (scope, again, send))
        finally:
            self._running.discard(slot)

    def _find(self, key: bytes, slot: str, request: str) -> Remembered | None:
        """The answer that was given to the same request. Raises Invalid, IdempotencyMismatch, IdempotencyInProgress."""
        if not 1 <= len(key) <= KEY_CHARACTERS_MAX:
            raise Invalid(
                f"Idempotency-Key must have 1 to {KEY_CHARACTERS_MAX} characters",
                param="Idempotency-Key",
            )
        known = self._answers.get(slot)
        if known is not None and known.request != request:
            raise IdempotencyMismatch(param="Idempotency-Key")
        if known is None and slot in self._running:
            raise IdempotencyInProgress(param="Idempotency-Key")
        return known

    async def _ask(self, slot: str, request: str, call: tuple[Any, Receive, Send]) -> None:
        """Let the application answer; remember what it says unless it failed or refused who asks."""
        scope, receive, send = call
        status = 0
        parts: list[bytes] = []

        async def listen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))
                if not message.get("more_body") and _is_final(status):
                    self._answers.put(slot, request, status, b"".join(parts))
            await send(message)

        await self._app(scope, receive, listen)


def _is_final(status: int) -> bool:
    """Whether the same request would be answered the same; a mended key, a freed name or a healed disk change others."""
    return 200 <= status < 300


async def _whole(receive: Receive, limit: int) -> tuple[bytes | None, Receive]:
    """The body, and a receiver that gives the same messages again; None when it is longer than the limit."""
    messages: list[Any] = []
    size = 0
    is_more = True
    while is_more and size <= limit:
        message: Any = await receive()
        messages.append(message)
        if message["type"] != "http.request":
            break
        size += len(message.get("body", b""))
        is_more = bool(message.get("more_body"))
    kept = iter(messages)

    async def again() -> Any:
        for message in kept:
            return message
        return await receive()

    body = b"".join(m.get("body", b"") for m in messages) if size <= limit else None
    return body, again


async def _send(send: Callable[[Any], Awaitable[None]], status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
