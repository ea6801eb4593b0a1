"""The link doors: ``GET /c/{link}`` sends a person on, ``GET /i/{link}`` answers a pixel. The hot way of the house.

Nothing is read here that can be read behind the journal: a click is its raw query and a few headers, appended and durable
before the answer goes out. What a link leads to is made ready once and put together with the touch id.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple

import structlog

from attribune.collect.means import Means
from attribune.collect.origins import allowed
from attribune.collect.platform import is_prefetch, is_preview, platform_of
from attribune.collect.refuse import About, Head, Refused
from attribune.collect.request import (
    RsgiProtocol,
    RsgiScope,
    client_address,
    json_answer,
    send,
)
from attribune.collect.signature import SIGNATURE, Secret, check_query, secrets_of
from attribune.collect.targets import (
    OVERRIDE_HINTS,
    Way,
    asked_target,
    own_referrer,
    refuses_redirect,
    way,
    ways,
)
from attribune.collect.words import VALUE_CHARACTERS_MAX
from attribune.model.activity import Platform
from attribune.model.control import Link
from attribune.model.errors import JournalUnavailable
from attribune.model.ids import LinkId, uuid7
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason
from attribune.model.touch import LinkHit, SignatureFault, TouchKind

#: One transparent pixel.
PIXEL: Final = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
_ACCEPT_CH: Final = ("accept-ch", "Sec-CH-UA-Model, Sec-CH-UA-Platform-Version")
_NO_STORE: Final = ("cache-control", "no-store")
_PIXEL_HEADERS: Final = [("content-type", "image/gif"), _NO_STORE, _ACCEPT_CH]
_PAGE_HEADERS: Final = [("content-type", "text/html; charset=utf-8"), _NO_STORE]
_NOT_FOUND: Final = (
    b"<!doctype html><meta charset=utf-8><title>Link not found</title>"
    b"<p>This link leads nowhere. It may be mistyped, or its owner has switched it off.</p>\n"
)
#: Longest language tag, and hint of a client, that is kept.
_HINT_CHARACTERS_MAX: Final = 128
_NO_PERSON: Final = {
    RefusalReason.HEAD_REQUEST: "a HEAD request asks where a link leads; it is no touch",
    RefusalReason.LINK_PREVIEW: "a link preview or a crawler got the page; it is no touch",
    RefusalReason.PREFETCH: "a browser loaded the page ahead; it is no touch until a person follows",
}

log = structlog.get_logger()


class Ready(NamedTuple):
    """A link made ready for the hot way."""

    link: Link
    partner_name: str
    ways: dict[Platform, Way]
    networks: tuple[IPv4Network | IPv6Network, ...]
    hosts: frozenset[str]
    #: What the link's partner may sign with.
    secrets: tuple[Secret, ...]


class LinkDoors:
    """Clicks and impressions of people's browsers, and of servers that call a link as one."""

    def __init__(self, means: Means) -> None:
        """Begin with no link made ready."""
        self._means = means
        self._counters = means.counters
        self._proxy_hops = means.settings.proxy_hops
        self._query_max = means.settings.query_bytes_max
        self._ahead_max_ms = means.settings.signed_link_ahead_max_ms
        self._keep = means.sink.keep
        self._now_ms = means.clock.now_ms
        self._token = means.chance.token
        self._link = means.directory.link
        self._ready: dict[LinkId, Ready] = {}

    def forget(self) -> None:
        """Make links ready anew: something registered has changed."""
        self._ready.clear()

    async def follow(
        self, scope: RsgiScope, protocol: RsgiProtocol, name: str, kind: TouchKind
    ) -> None:
        """Keep a hit and answer: a click goes on to where the link leads, an impression gets its pixel.

        Raises JournalUnavailable when a server, which can send it again, asked for JSON.
        """
        ready = self._ready_for(LinkId(name))
        query = scope.query_string
        wants_json = "redirect=false" in query and refuses_redirect(query)
        needs_way = kind is TouchKind.CLICK and not wants_json
        if ready is None or ready.link.is_disabled or (needs_way and not ready.ways):
            await self._lead_nowhere(scope, protocol, ready)
            return
        try:
            hit = await self._take(scope, query, ready, kind)
        except JournalUnavailable as fault:
            if wants_json:
                raise
            self._note_failure(fault)
            hit = None
        if wants_json:
            # The script of a page asks so, for a click that led straight to the page.
            readable = allowed(self._means.directory, scope.headers.get("origin"))
            send(protocol, json_answer({"touch_id": hit.id if hit else None}, 200, readable))
        elif kind is TouchKind.CLICK:
            self._send_on(scope, protocol, query, ready, hit)
        elif scope.method == "HEAD":
            protocol.response_empty(200, _PIXEL_HEADERS)
        else:
            protocol.response_bytes(200, _PIXEL_HEADERS, PIXEL)

    async def _take(
        self, scope: RsgiScope, query: str, ready: Ready, kind: TouchKind
    ) -> LinkHit | None:
        """Keep a hit, or a refusal and None when it is no touch. Raises JournalUnavailable."""
        get = scope.headers.get
        agent = get("user-agent")
        why = _no_person(scope.method, agent, get("sec-purpose"), get("purpose"), get("x-purpose"))
        if why is not None:
            await self._refuse(scope, Refused(why, _NO_PERSON[why]), ready.link)
            return None
        if len(query) > self._query_max:
            message = f"a link's query may have at most {self._query_max} bytes"
            await self._refuse(scope, Refused(RefusalReason.TOO_LARGE, message), ready.link)
            return None
        ip = client_address(scope, self._proxy_hops)
        now_ms = self._now_ms()
        signed, fault = False, None
        if SIGNATURE in query:
            query, signed, fault = check_query(
                scope.path, query, ready.secrets, now_ms, self._ahead_max_ms
            )
        hit = LinkHit(
            id=uuid7(now_ms, self._token(10)),
            kind=kind,
            link=ready.link.id,
            received_at_ms=now_ms,
            query=query,
            ip=ip,
            user_agent=agent if agent and len(agent) <= VALUE_CHARACTERS_MAX else None,
            language=_first_language(get("accept-language")),
            model=_hint(get("sec-ch-ua-model")),
            os_version=_hint(get("sec-ch-ua-platform-version")),
            trusted=bool(ready.networks) and _is_inside(ip, ready.networks),
            signed=signed,
            signature_fault=fault,
        )
        await self._keep(((Topic.TOUCHES, hit),))
        if signed or fault:
            self._count_signature(fault)
        if kind is TouchKind.CLICK:
            self._counters.clicks += 1
        else:
            self._counters.impressions += 1
        return hit

    def _count_signature(self, fault: SignatureFault | None) -> None:
        if fault is None:
            self._counters.signatures_good += 1
        elif fault is SignatureFault.EXPIRED:
            self._counters.signatures_expired += 1
        else:
            self._counters.signatures_bad += 1

    def _ready_for(self, name: LinkId) -> Ready | None:
        link = self._link(name)
        ready = self._ready.get(name)
        if ready is not None and ready.link is link:
            return ready
        if link is None:
            return None
        ready = self._make_ready(link)
        self._ready[name] = ready
        return ready

    def _make_ready(self, link: Link) -> Ready:
        directory = self._means.directory
        partner = directory.partner(link.partner)
        partner_name = partner.name if partner else link.partner
        targets = self._means.ways.targets_of(link, directory.apps_of(link.product))
        return Ready(
            link,
            partner_name,
            ways(targets, link, partner_name),
            tuple(ip_network(network, strict=False) for network in link.allowed_networks),
            frozenset(link.allowed_hosts),
            secrets_of(partner),
        )

    def _send_on(
        self,
        scope: RsgiScope,
        protocol: RsgiProtocol,
        query: str,
        ready: Ready,
        hit: LinkHit | None,
    ) -> None:
        platform = platform_of(scope.headers.get("user-agent"))
        to = ready.ways[platform]
        if query:
            to = _asked_way(ready, to, platform, query)
        location = f"{to.before}{hit.id}{to.after}" if hit else to.plain
        protocol.response_empty(302, [("location", location), _NO_STORE, _ACCEPT_CH])

    def _note_failure(self, fault: JournalUnavailable) -> None:
        self._means.note_loss()
        self._counters.journal_failures += 1
        self._counters.clicks_not_kept += 1
        log.warning("click_not_kept", reason=fault.message)

    async def _lead_nowhere(
        self, scope: RsgiScope, protocol: RsgiProtocol, ready: Ready | None
    ) -> None:
        """A page for the person, and a refusal for the owner."""
        if ready is None:
            refused = Refused(RefusalReason.UNKNOWN_LINK, "no link has this id", "link")
        elif ready.link.is_disabled:
            refused = Refused(RefusalReason.DISABLED_LINK, "this link is disabled", "link")
        else:
            refused = Refused(
                RefusalReason.UNKNOWN_LINK, "this link has no target; give it one", "targets"
            )
        await self._refuse(scope, refused, ready.link if ready else None)
        if scope.method == "HEAD":
            protocol.response_empty(404, _PAGE_HEADERS)
        else:
            protocol.response_bytes(404, _PAGE_HEADERS, _NOT_FOUND)

    async def _refuse(self, scope: RsgiScope, refused: Refused, link: Link | None) -> None:
        head = Head(
            method=scope.method,
            path=scope.path,
            query=scope.query_string,
            headers=tuple(scope.headers.items()),
            received_at_ms=self._now_ms(),
            ip=client_address(scope, self._proxy_hops),
            user_agent=scope.headers.get("user-agent"),
        )
        about = About(link=link.id, product=link.product) if link else About()
        await self._means.keep_refusal(self._means.keeper.refusal(head, refused, about=about))


def _asked_way(ready: Ready, to: Way, platform: Platform, query: str) -> Way:
    """The way that the query may ask for: another target on an allowed host, and its own words in Play's referrer."""
    url = None
    if ready.hosts and any(hint in query for hint in OVERRIDE_HINTS):
        url = asked_target(query, platform, ready.hosts)
    referrer = own_referrer(query) if "referrer=" in query else ""
    if url is None and not referrer:
        return to
    return way(url or to.plain, ready.link, ready.partner_name, referrer)


def _no_person(
    method: str,
    agent: str | None,
    sec_purpose: str | None,
    purpose: str | None,
    x_purpose: str | None,
) -> RefusalReason | None:
    """Why nobody stands behind a hit, or None when somebody may."""
    if method == "HEAD":
        return RefusalReason.HEAD_REQUEST
    if (sec_purpose or purpose or x_purpose) and is_prefetch(sec_purpose, purpose, x_purpose):
        return RefusalReason.PREFETCH
    return RefusalReason.LINK_PREVIEW if is_preview(agent) else None


def _first_language(header: str | None) -> str | None:
    if not header:
        return None
    language = header.partition(",")[0].partition(";")[0].strip()
    return language if 0 < len(language) <= _HINT_CHARACTERS_MAX and language != "*" else None


def _hint(header: str | None) -> str | None:
    if not header or len(header) > _HINT_CHARACTERS_MAX:
        return None
    return header.strip().strip('"') or None


def _is_inside(ip: str | None, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    if ip is None:
        return False
    address = ip_address(ip)
    return any(address in network for network in networks)
