"""The front door as one RSGI application: which path leads to which door, and one shape for everything that goes wrong."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import structlog

from attribune.collect.asking import Waiting, ask
from attribune.collect.inlet import IN, Inlet
from attribune.collect.means import Counters, Means, Ways
from attribune.collect.origins import allowed
from attribune.collect.plain import apple_app_site_association, asset_links, health, readiness
from attribune.collect.posted import SINGLE, RecordDoors
from attribune.collect.redirect import LinkDoors
from attribune.collect.refuse import Keeper, Refused, error_shape
from attribune.collect.request import (
    Answer,
    Crowded,
    Request,
    Room,
    RsgiProtocol,
    RsgiScope,
    json_answer,
    send,
)
from attribune.collect.script import PATH as SCRIPT_PATH
from attribune.collect.script import Script
from attribune.collect.turns import Turn
from attribune.model.errors import JournalUnavailable
from attribune.model.refusal import RefusalReason
from attribune.model.touch import TouchKind
from attribune.ports import Answers, Chance, Clock, Directory, Sink
from attribune.settings import Settings

Handler = Callable[[Request], Awaitable[Answer]]

_LINK_METHODS: Final = "GET, HEAD"
_HEADER_NAMES: Final = re.compile(r"[A-Za-z0-9, -]{1,1000}\Z", re.ASCII)
_PREFLIGHT_S: Final = "86400"
#: Paths of ours that are also paths of a vendor's, for clients that can carry no other.
SHARED_PATHS: Final = frozenset(("/v1/batch", "/v1/open"))

log = structlog.get_logger()


class FrontDoor:
    """Everything that the public can reach. Give it to Granian as an RSGI application."""

    def __init__(
        self,
        directory: Directory,
        sink: Sink,
        answers: Answers,
        clock: Clock,
        chance: Chance,
        settings: Settings,
        ways: Ways,
    ) -> None:
        """Take the ports."""
        self.counters = Counters()
        #: When each key was last used, by key id. Milliseconds, UTC.
        self.keys_used_at_ms: dict[str, int] = {}
        #: Set while stopping: readiness says so, and whoever balances load turns away.
        self.is_draining = False
        self._means = Means(
            directory=directory,
            sink=sink,
            answers=answers,
            clock=clock,
            chance=chance,
            settings=settings,
            keeper=Keeper(
                body_bytes_max=settings.refused_body_bytes_max,
                bytes_per_s_max=settings.refused_bytes_per_s_max,
            ),
            counters=self.counters,
            ways=ways,
            keys_used_at_ms=self.keys_used_at_ms,
        )
        self._links = LinkDoors(self._means)
        self._records = RecordDoors(self._means, waiting := Waiting(self._means))
        self._inlet = Inlet(self._means, waiting)
        self._script = Script()
        self._room = Room(settings.bodies_bytes_max)
        self._long_work = asyncio.Lock()
        self._waiting = waiting
        self._doors = self._table()

    def registry_changed(self) -> None:
        """Take note that something registered has changed; call it after every change."""
        self._links.forget()

    def note_closed(self, count: int) -> None:
        """Count connections that were closed to make room for others."""
        self.counters.connections_closed += count

    async def __rsgi__(self, scope: RsgiScope, protocol: RsgiProtocol) -> None:
        """Answer one request, whatever it is."""
        self.counters.requests += 1
        path = scope.path
        try:
            if path.startswith("/c/") and scope.method in {"GET", "HEAD"}:
                await self._links.follow(scope, protocol, path[3:], TouchKind.CLICK)
            elif path.startswith("/i/") and scope.method in {"GET", "HEAD"}:
                await self._links.follow(scope, protocol, path[3:], TouchKind.IMPRESSION)
            else:
                await self._serve(scope, protocol)
        except JournalUnavailable as fault:
            self._means.note_loss()
            self.counters.journal_failures += 1
            send(protocol, self._unavailable(path, fault.code, fault.message))
        except Exception:
            self.counters.faults += 1
            log.exception("door_failed", path=path[:200], method=scope.method)
            message = "something failed in the collector; send again after Retry-After"
            with suppress(RuntimeError):  # an answer had gone out, or nobody is there to hear it
                send(protocol, self._unavailable(path, "fault", message))

    def _table(self) -> dict[str, dict[str, Handler]]:
        """Path → method → handler, for the doors whose path is fixed."""
        table: dict[str, dict[str, Handler]] = {
            "/v1/batch": {"POST": self._records.batch},
            "/v1/attribution": {"GET": self._ask},
            "/healthz": {"GET": self._health},
            "/readyz": {"GET": self._readiness},
            SCRIPT_PATH: {"GET": self._script.serve},
            "/.well-known/apple-app-site-association": {"GET": self._apple},
            "/.well-known/assetlinks.json": {"GET": self._android},
        }
        for kind in SINGLE:
            table[f"/v1/{kind}"] = {"POST": self._single(kind)}
        return table

    async def _serve(self, scope: RsgiScope, protocol: RsgiProtocol) -> None:
        means = self._means
        now_ms = means.clock.now_ms()
        turn = Turn(self._long_work)
        request = Request(scope, protocol, now_ms, means.settings.proxy_hops, self._room, turn)
        try:
            send(protocol, await self._answer(request))
        finally:
            request.let_go()
        await request.discard(means.settings.body_wait_ms)

    async def _answer(self, request: Request) -> Answer:
        means = self._means
        origin = request.headers.get("origin")
        if request.method == "OPTIONS":
            return self._preflight(request, origin)
        try:
            answer = await self._route(request)
        except Refused as refused:
            await means.keep_request(request, refused)
            answer = refusal_answer(refused)
        except JournalUnavailable as fault:
            means.note_loss()
            self.counters.journal_failures += 1
            answer = self._unavailable(request.path, fault.code, fault.message)
        except Crowded:
            self.counters.crowded += 1
            message = "too many bodies are being taken at once; send again after Retry-After"
            answer = self._unavailable(request.path, "crowded", message)
        if request.method == "HEAD" and answer.body:
            answer = Answer(status=answer.status, headers=answer.headers)
        if request.path == SCRIPT_PATH:
            return answer  # the same for every origin
        headers = [*answer.headers, *(self._lets_read(request.path, origin) if origin else ())]
        return Answer(status=answer.status, headers=headers, body=answer.body)

    async def _route(self, request: Request) -> Answer:
        if request.path.startswith(IN):
            return await self._inlet.hear(request)
        methods = self._doors.get(request.path)
        if methods is None or _is_of_strangers(request):
            found = await self._inlet.at_root(request)
            if found is not None:
                return found
        if methods is None:
            if request.path.startswith(("/c/", "/i/")):
                raise _wrong_method(request, _LINK_METHODS)
            self.counters.unknown_paths += 1
            message = "there is no door here; see the wire reference for the paths"
            return json_answer(error_shape(404, "not_found", message), 404)
        method = "GET" if request.method == "HEAD" else request.method
        handler = methods.get(method)
        if handler is None:
            raise _wrong_method(request, ", ".join(methods))
        return await handler(request)

    def _single(self, kind: str) -> Handler:
        async def handler(request: Request) -> Answer:
            return await self._records.single(request, kind)

        return handler

    async def _ask(self, request: Request) -> Answer:
        return ask(request, self._means, self._waiting)

    async def _health(self, _: Request) -> Answer:
        return health(self._means, is_draining=self.is_draining)

    async def _readiness(self, _: Request) -> Answer:
        return readiness(is_draining=self.is_draining)

    async def _apple(self, _: Request) -> Answer:
        return apple_app_site_association(self._means.directory.all_apps())

    async def _android(self, _: Request) -> Answer:
        return asset_links(self._means.directory.all_apps())

    def _preflight(self, request: Request, origin: str | None) -> Answer:
        """What a browser may send. Only pages of registered origins may."""
        headers = self._lets_read(request.path, origin) if origin else []
        if not headers:
            message = "this origin is registered with no app; add it to the web app's origins"
            return json_answer(error_shape(403, "unknown_origin", message, "Origin"), 403)
        names = request.headers.get("access-control-request-headers") or ""
        headers += [
            ("access-control-allow-methods", "GET, POST"),
            ("access-control-max-age", _PREFLIGHT_S),
        ]
        if _HEADER_NAMES.match(names):
            headers.append(("access-control-allow-headers", names))
        return Answer(status=204, headers=headers)

    def _lets_read(self, path: str, origin: str) -> list[tuple[str, str]]:
        if path in self._doors:
            return allowed(self._means.directory, origin)
        return self._inlet.lets_read(path, origin)

    def _unavailable(self, path: str, code: str, message: str) -> Answer:
        wait = ("retry-after", str(self._means.settings.retry_after_s))
        answer = json_answer(error_shape(503, code, message), 503, [wait])
        return answer if path in self._doors else self._inlet.put_off(path, answer)


def _is_of_strangers(request: Request) -> bool:
    """Whether a request at a path of ours cannot be meant for us: our clients say a Bearer key, or page keys in a batch."""
    if request.path not in SHARED_PATHS or request.method != "POST":
        return False
    authorization = request.headers.get("authorization")
    if authorization is None:
        return request.path != "/v1/batch"
    return not str(authorization).lower().startswith("bearer ")


class _WrongMethod(Refused):
    """A door that does not take this method."""

    def __init__(self, method: str, allow: str) -> None:
        super().__init__(
            RefusalReason.MALFORMED,
            f"this door takes {allow}, not {method[:16]}",
            status=405,
            code="wrong_method",
        )
        self.allow = allow


def _wrong_method(request: Request, allow: str) -> _WrongMethod:
    return _WrongMethod(request.method, allow)


def refusal_answer(refused: Refused) -> Answer:
    """A refusal in the one error shape."""
    headers = [("allow", refused.allow)] if isinstance(refused, _WrongMethod) else []
    if refused.status == 401:
        headers.append(("www-authenticate", "Bearer"))
    shape = error_shape(refused.status, refused.code, refused.message, refused.param)
    return json_answer(shape, refused.status, headers)
