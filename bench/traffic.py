"""Traffic with many different people in it: clicks, opens and events, each made from its number alone.

The same number always makes the same person, so that an open finds its click, and a filled folder can be used again.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
from load import get, post

from attribune.model.ids import LinkId, TouchId, uuid7
from attribune.model.touch import LinkHit, TouchKind

#: How many different user agents, addresses and queries a load has; more than fit any small cache.
DIFFERENT = 10_000
BATCH_RECORDS = 100
BATCHES = 200
#: Only public addresses lie between 11.0.0.0 and 91.0.0.0; a touch at any other is not filed under its address.
_ADDRESSES = 80 << 24
_STRIDE = 7919


def address(n: int) -> str:
    """An address that no other number below 1.3 billion has."""
    value = (11 << 24) + n * _STRIDE % _ADDRESSES
    return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"


def agent(n: int) -> str:
    """One of ten thousand user agents."""
    n %= DIFFERENT
    return (
        f"Mozilla/5.0 (Linux; Android {8 + n % 8}; Pixel {n % 1000}) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{100 + n % 40}.0.{n}.0 Mobile Safari/537.36"
    )


def gaid(n: int) -> str:
    """An advertising id."""
    return f"{n * 2654435761 & 0xFFFFFFFF:08x}-{n & 0xFFFF:04x}-4abc-8def-{n + 1:012x}"


def query(n: int) -> str:
    """What a partner's link says of a click."""
    return (
        f"click_id={n * _STRIDE:016x}&gaid={gaid(n)}&campaign=spring_{n % 50}"
        f"&site_id=site{n % 300}&sub1=banner&af_sub2={n}"
    )


def touch_id(n: int, at_ms: int) -> TouchId:
    """The id of a click that was not given one by a door."""
    return uuid7(at_ms, (n * 2654435761).to_bytes(10, "big"))


def hit(n: int, link: LinkId, at_ms: int) -> LinkHit:
    """A click as a collector journals it."""
    return LinkHit(
        id=touch_id(n, at_ms),
        kind=TouchKind.CLICK,
        link=link,
        received_at_ms=at_ms,
        query=query(n),
        ip=address(n),
        user_agent=agent(n),
        language="de-DE",
    )


def clicks(link: str) -> list[bytes]:
    """Ten thousand different clicks."""
    return [
        get(
            f"/c/{link}?{query(n)}",
            {
                "User-Agent": agent(n),
                "X-Forwarded-For": address(n),
                "Accept-Language": "de-DE,de;q=0.9",
            },
        )
        for n in range(DIFFERENT)
    ]


def opened(name: str, n: int) -> dict[str, Any]:
    """A first open of a new installation on the phone of person ``n``."""
    return {
        "type": "open",
        "id": f"{name}-{n}",
        "device": {
            "id": f"{name}-device-{n}",
            "platform": "android",
            "os_version": str(8 + n % 8),
            "model": f"Pixel {n % 1000}",
            "gaid": gaid(n),
            "locale": "de-DE",
            "timezone": "Europe/Berlin",
        },
        "app": {"version": "3.1.0", "build": "310", "sdk": "native/1.0"},
        "referrers": [{"source": "play", "value": quote(f"utm_source=google-play&n={n}")}],
    }


def opens(key: str) -> list[bytes]:
    """Ten thousand different opens, each a request of its own."""
    return [
        post(
            "/v1/open",
            {
                "Authorization": f"Bearer {key}",
                "User-Agent": agent(n),
                "X-Forwarded-For": address(n),
            },
            msgspec.json.encode(opened("bench", n)),
        )
        for n in range(DIFFERENT)
    ]


def event(n: int) -> dict[str, Any]:
    """A purchase, as a server tells it."""
    return {
        "type": "event",
        "id": f"event-{n}",
        "name": "purchase",
        "revenue": {"amount": f"{n % 90}.99", "currency": "EUR"},
        "transaction_id": f"order-{n}",
        "params": {"item": f"item-{n % 500}", "quantity": 1 + n % 3},
        "device": {"id": f"bench-device-{n}", "platform": "android"},
        "ip": address(n),
        "user_agent": agent(n),
    }


def bodies() -> list[bytes]:
    """Two hundred batches of a hundred records: opens and events of twenty thousand people, told by a server."""
    everyone = [
        {**opened("bench", n), "ip": address(n), "user_agent": agent(n)} if n % 2 else event(n)
        for n in range(BATCHES * BATCH_RECORDS)
    ]
    return [
        msgspec.json.encode({"records": everyone[at : at + BATCH_RECORDS]})
        for at in range(0, len(everyone), BATCH_RECORDS)
    ]


def batches(key: str) -> list[bytes]:
    """The same as requests."""
    headers = {"Authorization": f"Bearer {key}", "User-Agent": "bench/1"}
    return [
        post("/v1/batch", {**headers, "X-Forwarded-For": address(n)}, body)
        for n, body in enumerate(bodies())
    ]
