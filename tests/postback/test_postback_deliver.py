"""One delivery to real servers on loopback, hostile ones among them, and what came of it."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from attribune.postback import addresses
from attribune.postback.deliver import ANSWER_BYTES_MAX, Answer, Came, Deliverer, judge
from attribune.postback.hosts import is_public, spelled, why_not
from attribune.postback.partner import Success
from attribune.postback.render import Request

pytestmark = pytest.mark.enable_socket

HERE = frozenset({"127.0.0.1"})
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Heard(NamedTuple):
    """What a server was asked."""

    method: str
    raw_path: str
    headers: Mapping[str, str]
    body: bytes


def got(url: str, **words: Any) -> Request:
    return Request(**({"method": "GET", "url": url, "headers": {}, "body": b""} | words))


def sent(
    handler: Handler,
    path: str = "/",
    allowed: frozenset[str] = HERE,
    host: str = "127.0.0.1",
    **words: Any,
) -> tuple[Answer, list[Heard]]:
    """Send once to a server that answers with the handler; the answer, and what the server was asked."""
    heard: list[Heard] = []

    async def hear(request: web.Request) -> web.StreamResponse:
        heard.append(Heard(request.method, request.raw_path, request.headers, await request.read()))
        return await handler(request)

    async def journey() -> Answer:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", hear)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            async with Deliverer(allowed, wait_s=0.5) as deliverer:
                return await deliverer.send(got(f"http://{host}:{port}{path}", **words))
        finally:
            await runner.cleanup()

    return asyncio.run(journey()), heard


class Silence:
    """A server that answers nothing but ``/fine``."""

    url = ""

    async def __aenter__(self) -> None:
        async def hear(request: web.Request) -> web.Response:
            await asyncio.sleep(0 if request.path == "/fine" else 30)
            return web.Response()

        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", hear)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def fine(_: web.Request) -> web.Response:
    return web.Response(text="success=true;")


def test_what_was_rendered_goes_out_as_it_is() -> None:
    path = "/a%2Fb?c=%20x%26y&d=a%2Bb&e=%7e"
    answer, (heard,) = sent(fine, path, method="POST", headers={"x-a": "1"}, body=b"a=1")
    assert (answer.status, answer.body, answer.error) == (200, b"success=true;", None)
    assert heard.raw_path == path
    assert (heard.method, heard.body, heard.headers["x-a"]) == ("POST", b"a=1", "1")
    assert heard.headers["user-agent"] == "Attribune"
    assert "cookie" not in heard.headers


def test_a_redirect_is_not_followed() -> None:
    async def away(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:1/")

    answer, heard = sent(away)
    assert (answer.status, len(heard)) == (302, 1)
    assert judge(answer, Success()) is Came.DECLINED


def test_a_partner_that_hangs_is_left() -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    answer, _ = sent(hang)
    assert (answer.status, answer.error) == (None, "no answer within 0.5 s")
    assert judge(answer, Success()) is Came.FAILED


def test_each_of_many_is_left_after_its_own_time_and_who_is_in_time_is_not() -> None:
    """One timer ends them all, and is there again for who comes later."""
    hangs = Silence()

    async def journey() -> list[tuple[str | None, float]]:
        loop = asyncio.get_running_loop()
        begun = loop.time()

        async def one(after_s: float, path: str) -> tuple[str | None, float]:
            await asyncio.sleep(after_s)
            answer = await deliverer.send(got(f"{hangs.url}{path}"))
            return answer.error, loop.time() - begun - after_s

        async with hangs, Deliverer(HERE, wait_s=0.3) as deliverer:
            several = (one(0, "/"), one(0, "/"), one(0.1, "/"), one(0.1, "/fine"), one(0.5, "/"))
            return await asyncio.gather(*several)

    late, again, later, fine_, last = asyncio.run(journey())
    for error, took_s in (late, again, later, last):
        assert error == "no answer within 0.3 s"
        assert 0.28 <= took_s < 0.45
    assert (fine_[0], fine_[1] < 0.2) == (None, True)


def test_who_is_told_to_stop_stops_and_says_no_answer() -> None:
    hangs = Silence()

    async def journey() -> None:
        async with hangs, Deliverer(HERE, wait_s=0.2) as deliverer:
            task = asyncio.create_task(deliverer.send(got(f"{hangs.url}/")))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # Told to in the moment at which its time is over too.
            both = asyncio.create_task(deliverer.send(got(f"{hangs.url}/")))
            await asyncio.sleep(0.1)
            deliverer._patience._until_s[both] = 0
            deliverer._patience._look()
            both.cancel()
            with pytest.raises(asyncio.CancelledError):
                await both

    asyncio.run(journey())


def test_a_body_that_never_ends_is_cut() -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)

    answer, _ = sent(flood)
    assert (answer.status, len(answer.body)) == (200, ANSWER_BYTES_MAX)


def test_a_connection_that_breaks_and_nobody_there_are_told_apart_from_an_answer() -> None:
    async def breaks(request: web.Request) -> web.Response:
        request.transport.abort()
        return web.Response()

    answer, _ = sent(breaks)
    assert answer.status is None
    assert judge(answer, Success()) is Came.FAILED
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))

        async def nobody() -> Answer:
            async with Deliverer(HERE) as deliverer:
                return await deliverer.send(got(f"http://127.0.0.1:{free.getsockname()[1]}/"))

        answer = asyncio.run(nobody())
    assert answer.status is None
    assert not answer.is_final


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "0", "[::ffff:127.0.0.1]"]
)
def test_no_spelling_of_a_private_address_is_reached(host: str) -> None:
    answer, heard = sent(fine, host=host, allowed=frozenset())
    assert heard == []
    assert answer.status is None
    assert judge(answer, Success()) is not Came.DELIVERED
    assert re.search("not of the public internet|not a canonical", answer.error or "")
    # A name may lead elsewhere the next time; an address leads where it says.
    assert answer.is_final == (host != "localhost")


def test_what_is_allowed_is_allowed_by_name_only() -> None:
    answer, _ = sent(fine, host="localhost", allowed=frozenset({"localhost"}))
    assert answer.status == 200
    answer, _ = sent(fine, host="127.0.0.1", allowed=frozenset({"localhost"}))
    assert answer.is_final


def test_a_name_that_leads_home_at_the_second_question_is_refused_then(monkeypatch) -> None:
    """DNS rebinding: each connection asks anew, and what it is told is what is checked and connected to."""
    told = iter([["93.184.216.34"], ["127.0.0.1"]])

    async def resolve(_: Any, host: str, port: int = 0, family: Any = 0) -> list[dict[str, Any]]:
        return [
            {
                "hostname": host,
                "host": one,
                "port": port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
            for one in next(told)
        ]

    connected: list[str] = []

    async def connect(*words: Any, **named: Any) -> Any:
        connected.extend(info[4][0] for info in named.get("addr_infos", ()))
        raise OSError("nobody is let out of a test")

    monkeypatch.setattr(addresses.ThreadedResolver, "resolve", resolve)
    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", connect)

    async def journey() -> list[Answer]:
        async with Deliverer() as deliverer:
            return [await deliverer.send(got("http://rebinding.example/")) for _ in range(2)]

    first, second = asyncio.run(journey())
    assert connected == ["93.184.216.34"]
    assert (first.is_final, second.is_final) == (False, False)
    assert judge(second, Success()) is Came.FAILED
    assert "127.0.0.1" in (second.error or "")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:a00:1::", False),
        ("ff02::1", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0X7F.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0300.0250.1.1", "192.168.1.1"),
        ("127.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("::1", "::1"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
    ],
)
def test_a_private_address_is_known_however_it_is_spelled(host: str, address: str) -> None:
    assert ip_address(spelled(host) or "8.8.8.8") == ip_address(address)
    assert "not of the public internet" in (why_not(host, ()) or "")


def test_what_a_host_is_is_said_with_what_to_do() -> None:
    ours = "not of the public internet; if it is yours,"
    assert why_not("10.0.0.7", ()) == f"10.0.0.7 is {ours} give --allow-host 10.0.0.7"
    assert why_not("0xa000007", ()) == (
        f"0xa000007 is 10.0.0.7, which is {ours} write 10.0.0.7 and give --allow-host 10.0.0.7"
    )
    assert why_not("10.0.0.7", ("10.0.0.7",)) is None
    odd = "134744072 is 8.8.8.8, which no request finds in that spelling; write 8.8.8.8"
    assert why_not("134744072", ()) == odd
    assert why_not("2130706433", ("127.0.0.1",)) is not None
    for host in ("8.8.8.8", "acme.example", "localhost.example", "1.2.3.4.5", "256.1.1.1", "2001:4860:4860::8888"):  # fmt: skip
        assert why_not(host, ()) is None, "a name is looked up when it is told"


def answer(status: int | None, body: bytes = b"", *, is_final: bool = False) -> Answer:
    return Answer(status, body, None, 1, is_final)


TUNE = Success(status=[200], body="success=true", repeated="Duplicate")
FINAL = Success(final="no such offer", final_status=[409])


@pytest.mark.parametrize(
    ("told", "success", "came"),
    [
        (answer(200), Success(), Came.DELIVERED),
        (answer(204), Success(), Came.DELIVERED),
        (answer(200, b"success=true;"), TUNE, Came.DELIVERED),
        (answer(200, b"success=false; err_msg=Invalid"), TUNE, Came.DECLINED),
        (answer(200, b"success=false; Duplicate conversion"), TUNE, Came.REPEATED),
        (answer(200, b"\xff\xfe"), TUNE, Came.DECLINED),
        (answer(204), TUNE, Came.DECLINED),
        *((answer(n), Success(), Came.DECLINED) for n in (206, 301, 302, 307, 401, 403, 404)),
        *((answer(n), Success(), Came.DECLINED) for n in (405, 407, 409, 412, 418, 451)),
        *((answer(n), Success(), Came.REFUSED) for n in (400, 410, 413, 414, 415, 422, 431)),
        (answer(200, b"success=false; no such offer"), FINAL, Came.REFUSED),
        (answer(500, b"no such offer"), FINAL, Came.REFUSED),
        (answer(409), FINAL, Came.REFUSED),
        (answer(400), FINAL, Came.DECLINED),
        (answer(408), Success(), Came.FAILED),
        (answer(429), Success(), Came.FAILED),
        (answer(500), Success(), Came.FAILED),
        (answer(503), Success(), Came.FAILED),
        (answer(None), Success(), Came.FAILED),
        (answer(None, is_final=True), Success(), Came.REFUSED),
    ],
)
def test_what_an_answer_means(told: Answer, success: Success, came: Came) -> None:
    assert judge(told, success) is came


def test_the_environments_proxy_is_not_used(monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    found, heard = sent(fine)
    assert (found.status, len(heard)) == (200, 1)
