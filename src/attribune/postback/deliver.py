"""One delivery: a request goes out once, and what came of it is judged."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final, NamedTuple, Self

import aiohttp
from yarl import URL

from attribune.postback.addresses import AddressRefused, PublicResolver, check
from attribune.postback.hosts import spelled
from attribune.postback.partner import Success
from attribune.postback.render import Request

#: Most of an answer that is read; what is longer is cut.
ANSWER_BYTES_MAX: Final = 2 << 20
#: How long a partner may take for all of it, and for the connection.
WAIT_S: Final = 10.0
CONNECT_WAIT_S: Final = 5.0
#: Answers that mean *later*, beside those of 500 and more.
_LATER: Final = frozenset({408, 425, 429})
_CHUNK_BYTES: Final = 65_536
#: What goes with every request, unless the request itself says otherwise.
_HEADERS: Final = {"accept-encoding": "identity", "user-agent": "Attribune"}


class Came(StrEnum):
    """What came of a delivery."""

    #: The partner took it.
    DELIVERED = "delivered"
    #: The partner had it already.
    REPEATED = "repeated"
    #: The partner does not want it, and will not want it later.
    REFUSED = "refused"
    #: It says no, and may say otherwise another time: a redirect, 401, 404 …, or words against it.
    DECLINED = "declined"
    #: It did not answer, or says that it cannot now.
    FAILED = "failed"


class Answer(NamedTuple):
    """What a partner answered, or why it did not."""

    status: int | None
    body: bytes
    #: A sentence when there was no answer.
    error: str | None
    took_ms: int
    #: Never to be tried again: the address is not allowed.
    is_final: bool = False
    #: How long the partner asks to be left alone. Seconds.
    retry_after_s: int | None = None


def judge(answer: Answer, success: Success) -> Came:
    """What an answer means, by the partner's own words."""
    if answer.status is None:
        return Came.REFUSED if answer.is_final else Came.FAILED
    if success.repeated and re.search(success.repeated, _text(answer)):
        return Came.REPEATED
    if success.final and re.search(success.final, _text(answer)):
        return Came.REFUSED
    if answer.status in success.status:
        is_wanted = success.body is None or re.search(success.body, _text(answer))
        return Came.DELIVERED if is_wanted else Came.DECLINED
    if answer.status in success.final_status:
        return Came.REFUSED
    return Came.FAILED if answer.status >= 500 or answer.status in _LATER else Came.DECLINED


def _text(answer: Answer) -> str:
    return answer.body.decode(errors="replace")


class _Patience:
    """Ends what takes too long, by one timer for all that is under way: one for each costs a tenth of what sending does."""

    def __init__(self, wait_s: float) -> None:
        """Take how long each may take."""
        self._wait_s = wait_s
        #: What is under way and until when, the first to end in front: all may take as long.
        self._until_s: dict[asyncio.Task[Any], float] = {}
        self._ended: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, task: asyncio.Task[Any], now_s: float) -> None:
        """Cancel a task unless it is done in time."""
        self._until_s[task] = now_s + self._wait_s
        if self._timer is None:
            self._look()

    def has_ended(self, task: asyncio.Task[Any]) -> bool:
        """Whether it was cancelled here and by nobody else; then it goes on as if it was not."""
        return task in self._ended and not task.uncancel()

    def done(self, task: asyncio.Task[Any]) -> None:
        """It is done, however it ended."""
        del self._until_s[task]
        self._ended.discard(task)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        """End what is overdue, and look again when the next may be."""
        self._timer = None
        loop = asyncio.get_running_loop()
        for task, until_s in self._until_s.items():
            if until_s > loop.time():
                self._timer = loop.call_at(until_s, self._look)
                return
            if task not in self._ended:
                self._ended.add(task)
                task.cancel()


class Deliverer:
    """Sends requests. An async context; many may be under way at once.

    Redirects are not followed and no proxy of the environment is used. Hosts that are not of the public internet are refused
    unless ``allowed`` names them.
    """

    def __init__(self, allowed: AbstractSet[str] = frozenset(), *, wait_s: float = WAIT_S) -> None:
        """Take the hosts that may lead anywhere, and how long a partner may take."""
        self._allowed = allowed
        self._wait_s = wait_s
        self._patience = _Patience(wait_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open connections as they are needed."""
        resolver = PublicResolver(self._allowed)
        # No cache of names: each connection asks anew, and what it is told is checked.
        connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_WAIT_S)
        self._session = aiohttp.ClientSession(
            headers=_HEADERS,
            connector=connector,
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),  # what one partner sets is not carried on
            auto_decompress=False,
            trust_env=False,
        )
        # It would send a GET, PUT or DELETE again by itself when the partner closes the connection, past the pace and the log. There is
        # no public word for it; a test holds that it is heeded.
        self._session._retry_connection = False  # noqa: SLF001
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go of the connections."""
        self._patience.close()
        if self._session is not None:
            await self._session.close()

    async def send(self, request: Request) -> Answer:
        """Send once, in a task. Never raises for what the partner or the network does."""
        loop = asyncio.get_running_loop()
        task, began_s = asyncio.current_task(loop), loop.time()
        assert task is not None, "called in a task"
        self._patience.begin(task, began_s)
        try:
            status, body, retry_after_s = await self._exchange(request)
        except asyncio.CancelledError:
            if not self._patience.has_ended(task):
                raise
            return Answer(None, b"", _why(TimeoutError(), self._wait_s), _ms_since(began_s, loop))
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            refused = _refusal(fault)
            error = str(refused) if refused else _why(fault, self._wait_s)
            # What a name leads to may be a moment's mistake; an address is what it is, however it is spelled.
            is_address = refused is not None and spelled(URL(request.url).host or "") is not None
            is_final = is_address or isinstance(fault, aiohttp.InvalidURL)
            return Answer(None, b"", error, _ms_since(began_s, loop), is_final)
        finally:
            self._patience.done(task)
        return Answer(status, body, None, _ms_since(began_s, loop), False, retry_after_s)  # noqa: FBT003 - by place is faster

    async def _exchange(self, request: Request) -> tuple[int, bytes, int | None]:
        assert self._session is not None, "entered as a context"
        url = URL(request.url, encoded=True)  # what was rendered goes out as it is
        host = url.host or ""
        if _is_address(host):  # these are not resolved
            check(host, host, self._allowed)
        answer = await self._session.request(
            request.method,
            url,
            data=request.body or None,
            headers=request.headers,
            allow_redirects=False,
        )
        try:
            return answer.status, await _read(answer), _retry_after_s(answer)
        finally:
            answer.release()


MakeDeliverer = Callable[[AbstractSet[str]], Deliverer]


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The answer's beginning, of which no more is taken than is kept."""
    body = b""
    while len(body) < ANSWER_BYTES_MAX and not answer.content.at_eof():
        piece = await answer.content.read(min(_CHUNK_BYTES, ANSWER_BYTES_MAX - len(body)))
        if not piece:
            break
        body += piece
    return body


def _retry_after_s(answer: aiohttp.ClientResponse) -> int | None:
    """Retry-After in seconds; its form as a date is rare and not heeded."""
    said = answer.headers.get("retry-after", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 6 else None


@lru_cache(maxsize=1024)
def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _why(fault: BaseException, wait_s: float) -> str:
    if isinstance(fault, TimeoutError):
        return f"no answer within {wait_s:g} s"
    return f"{type(fault).__name__}: {fault}"


def _refusal(fault: BaseException | None) -> AddressRefused | None:
    """The refusal of an address that a client's error was made of."""
    while fault is not None and not isinstance(fault, AddressRefused):
        fault = fault.__cause__ or getattr(fault, "os_error", None)
    return fault


def _ms_since(began_s: float, loop: asyncio.AbstractEventLoop) -> int:
    return round((loop.time() - began_s) * 1000)
