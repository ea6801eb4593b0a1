"""Where a postback may go: to addresses of the public internet, and to hosts that the operator allows by name.

What is checked is what is connected to: the resolver that the connection uses refuses, so a name that leads elsewhere at the next
question (DNS rebinding) is refused then.
"""

from __future__ import annotations

import socket
from collections.abc import Set as AbstractSet

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from attribune.postback.hosts import is_public


class AddressRefused(OSError):
    """A host whose address is not one of the public internet, and that the operator has not allowed."""


class PublicResolver(AbstractResolver):
    """Resolves names as the system does, and gives only addresses that a postback may go to."""

    def __init__(self, allowed: AbstractSet[str]) -> None:
        """Take the hosts that may lead anywhere."""
        self._allowed = allowed
        self._system = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises AddressRefused when one of them is not allowed, OSError when there is none."""
        found = await self._system.resolve(host, port, family)
        for one in found:
            check(host, one["host"], self._allowed)
        return found

    async def close(self) -> None:
        """Nothing is held."""


def check(host: str, address: str, allowed: AbstractSet[str]) -> None:
    """Let an address of a host pass. Raises AddressRefused."""
    if host not in allowed and not is_public(address):
        raise AddressRefused(
            f"{host} is at {address}, which is not of the public internet; allow the host by name if it is yours"
        )
