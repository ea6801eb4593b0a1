"""A request as the doors see it, and the answer they give: a thin layer over Granian's RSGI interface."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from attribune.collect.address import peer_address, plain_address
from attribune.collect.refuse import NOBODY, Head, Refused
from attribune.collect.turns import Turn
from attribune.model.refusal import RefusalReason

_json: Final = msgspec.json.Encoder()
#: Methods whose body, if any, is nothing to wait for.
_BODILESS: Final = frozenset(("GET", "HEAD", "OPTIONS"))
#: How much of a refused body is taken and thrown away before the connection is closed.
DISCARDED_BYTES_MAX: Final = 32 << 20
#: Unpacked at a time, so that a bomb is noticed early.
_UNPACK_BYTES: Final = 65_536
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_GZIP_MAGIC: Final = b"\x1f\x8b"
#: Packed pieces that stand one after another in a body. Senders make one; a megabyte of empty ones would take seconds.
PACKED_PIECES_MAX: Final = 64


class RsgiHeaders(Protocol):
    """Headers by lower-case name; of a name given twice, ``get`` gives the first."""

    def get(self, key: str, default: Any = None) -> Any:
        """One header, or the default."""
        ...

    def get_all(self, key: str) -> list[str]:
        """Every value of a header that may be given more than once."""
        ...

    def items(self) -> list[tuple[str, str]]:
        """All headers, repeated ones too."""
        ...


class RsgiScope(Protocol):
    """What Granian says of a request. ``path`` is percent-decoded, ``query_string`` is raw."""

    method: str
    path: str
    query_string: str
    client: str
    headers: RsgiHeaders


class RsgiProtocol(Protocol):
    """Granian's end of a request."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body in chunks. Ends silently when the sender goes away."""
        ...

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Answer without a body."""
        ...

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer with a body."""
        ...


class Answer(Struct, frozen=True, kw_only=True):
    """What a door says back."""

    status: int = 200
    headers: list[tuple[str, str]] = []
    body: bytes = b""


def json_answer(
    body: object, status: int = 200, headers: list[tuple[str, str]] | None = None
) -> Answer:
    """An answer in JSON, never kept by anybody on the way."""
    return Answer(
        status=status,
        headers=[
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
            *(headers or ()),
        ],
        body=_json.encode(body),
    )


def send(protocol: RsgiProtocol, answer: Answer) -> None:
    """Give an answer."""
    if answer.body:
        protocol.response_bytes(answer.status, answer.headers, answer.body)
    else:
        protocol.response_empty(answer.status, answer.headers)


class Crowded(Exception):
    """More bodies are being taken than this process may hold; send again after the time that Retry-After says."""


class Room:
    """How much of bodies one collector holds at a time, so that many slow senders of large ones cannot fill its memory."""

    __slots__ = ("_bytes_max", "held")

    def __init__(self, bytes_max: int) -> None:
        """Begin with none held."""
        self._bytes_max = bytes_max
        #: Bytes held now.
        self.held = 0

    def take(self, size: int) -> None:
        """Hold more. Raises Crowded, and holds no more then, when that would be too much."""
        if self.held + size > self._bytes_max:
            raise Crowded
        self.held += size

    def give_back(self, size: int) -> None:
        """Hold less."""
        self.held -= size


class Request:
    """One request at a door."""

    __slots__ = (
        "_chunks",
        "_held",
        "_is_read",
        "_room",
        "about",
        "headers",
        "ip",
        "method",
        "path",
        "query",
        "received_at_ms",
        "seen_body",
        "turn",
    )

    def __init__(
        self,
        scope: RsgiScope,
        protocol: RsgiProtocol,
        received_at_ms: int,
        proxy_hops: int,
        room: Room,
        turn: Turn,
    ) -> None:
        """Take over what stands in front of the body; the body takes its place in the room until ``let_go``."""
        self._room = room
        self._held = 0
        #: The body as it comes in. Granian begins its stream once; this one can be left and gone on with.
        self._chunks = _chunks(protocol)
        #: Whether nothing more of the body is to come.
        self._is_read = scope.method in _BODILESS
        self.method = scope.method
        self.path = scope.path
        self.query = scope.query_string
        self.headers = scope.headers
        self.received_at_ms = received_at_ms
        self.ip = client_address(scope, proxy_hops)
        #: As much of the body as has been read, unpacked where it could be; for the refusal.
        self.seen_body = b""
        #: Whom a refusal of it would be about, as far as it is known by now.
        self.about = NOBODY
        #: Long work over the body is done in turns.
        self.turn = turn

    @property
    def user_agent(self) -> str | None:
        """As sent; None when absent."""
        return self.headers.get("user-agent") or None

    def head(self) -> Head:
        """What a refusal keeps of it."""
        return Head(
            method=self.method,
            path=self.path,
            query=self.query,
            headers=tuple(self.headers.items()),
            received_at_ms=self.received_at_ms,
            ip=self.ip,
            user_agent=self.user_agent,
        )

    async def body(self, bytes_max: int, wait_ms: int) -> bytes:
        """The whole body as sent.

        Raises Refused when it is larger than the limit (without reading on), slower, or shorter than announced, and
        Crowded when there is no room for it.
        """
        announced = self._announced(bytes_max)
        chunks = bytearray()
        try:
            async with asyncio.timeout(wait_ms / 1000):
                async for chunk in self._chunks:
                    self._room.take(len(chunk))
                    self._held += len(chunk)
                    chunks += chunk
                    if len(chunks) > bytes_max:
                        break
        except TimeoutError:
            self._is_read = True  # nobody waits for the rest either
            raise Refused(
                RefusalReason.INCOMPLETE,
                f"the body took longer than {wait_ms} ms; send less at a time",
            ) from None
        finally:
            self.seen_body = bytes(chunks)
        if len(chunks) > bytes_max:
            raise _too_large(bytes_max)
        self._is_read = True
        if announced is not None and len(chunks) < announced:
            raise Refused(
                RefusalReason.INCOMPLETE,
                f"the body ended after {len(chunks)} of {announced} bytes; send it again",
            )
        return self.seen_body

    def let_go(self) -> None:
        """Make room for others: nobody needs the body any more."""
        self.turn.over()
        self._room.give_back(self._held)
        self._held = 0
        self.seen_body = b""

    async def discard(self, wait_ms: int) -> None:
        """Take what is left of a body that nobody will read, so that its sender gets to hear the answer.

        A sender whose connection is closed while it still sends mostly sees that and not why. There is an end to it.
        """
        if self._is_read:
            return
        left = DISCARDED_BYTES_MAX
        try:
            async with asyncio.timeout(wait_ms / 1000):
                async for chunk in self._chunks:
                    left -= len(chunk)
                    if left < 0:
                        return
        except TimeoutError:
            return

    def _announced(self, bytes_max: int) -> int | None:
        text = self.headers.get("content-length")
        if text is None or not text.isdigit():
            return None
        if int(text) > bytes_max:
            raise _too_large(bytes_max)
        return int(text)

    async def unpacked(self, body: bytes, bytes_max: int, *, sniff: bool = False) -> bytes:
        """The body without its ``Content-Encoding``; with ``sniff``, packed bodies that do not say so are told by how they begin.

        Raises Refused when the encoding is unknown or broken, or what is inside is larger than the limit.
        """
        encoding = (self.headers.get("content-encoding") or "identity").strip().lower()
        if encoding in {"identity", ""}:
            if not (sniff and body.startswith(_GZIP_MAGIC)):
                return body
            encoding = "gzip"
        if encoding not in {"gzip", "x-gzip", "deflate"}:
            raise Refused(
                RefusalReason.BAD_ENCODING,
                f"Content-Encoding {encoding[:40]!r} is not understood; send gzip or nothing",
                "Content-Encoding",
                status=415,
            )
        # A packed body could hide secrets, so only what could be unpacked is ever kept of it.
        self.seen_body = b""
        plain = bytearray()
        try:
            for piece in _unpack(body):
                plain += piece
                await self.turn.spend(len(piece))
                if len(plain) > bytes_max:
                    raise _too_large(bytes_max)
        except zlib.error:
            raise Refused(
                RefusalReason.BAD_ENCODING,
                "the body is not whole gzip; send it again, or send it plain",
                "Content-Encoding",
            ) from None
        finally:
            self.seen_body = bytes(plain)
        return self.seen_body


async def _chunks(protocol: RsgiProtocol) -> AsyncGenerator[bytes, None]:
    # No method: a generator that knows its request is a circle, and no circle may be left behind by a request.
    async for chunk in protocol:
        yield chunk


def _unpack(body: bytes) -> Iterator[bytes]:
    """Unpack in small pieces, one after another. Raises zlib.error when the data is broken, ends early or has too many."""
    rest, pieces = body, 0
    while rest:
        pieces += 1
        if pieces > PACKED_PIECES_MAX:
            raise zlib.error("too many pieces")
        unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
        while rest and not unpacker.eof:
            yield unpacker.decompress(rest, _UNPACK_BYTES)
            rest = unpacker.unconsumed_tail
        if not unpacker.eof:
            raise zlib.error("ended early")
        rest = unpacker.unused_data


def _too_large(bytes_max: int) -> Refused:
    return Refused(
        RefusalReason.TOO_LARGE, f"a body may have at most {bytes_max} bytes; send several"
    )


def client_address(scope: RsgiScope, proxy_hops: int) -> str | None:
    """Who is at the other end, or None when that cannot be told.

    Behind ``proxy_hops`` trusted proxies it is the address that the outermost of them saw: that many from the right of
    ``X-Forwarded-For``. What stands further left was written by strangers.
    """
    if not proxy_hops:
        return peer_address(scope.client)
    said = ",".join(scope.headers.get_all("x-forwarded-for")).split(",")
    if len(said) < proxy_hops:
        return None
    return plain_address(said[-proxy_hops])
