"""Where a postback may go: to addresses of the public internet, and to hosts that the operator allows by name.

What is checked is what is connected to: the resolver that the connection uses refuses, so a name that leads elsewhere at the next
question (DNS rebinding) is refused then.
"""

from __future__ import annotations

import socket
from collections.abc import Set as AbstractSet
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

#: IPv6 addresses that carry an IPv4 one for a translator (RFC 6052, RFC 8215).
_TRANSLATED: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))


class AddressRefused(OSError):
    """A host whose address is not one of the public internet, and that the operator has not allowed."""


def is_public(address: str) -> bool:
    """Whether an address is of the public internet, whatever it carries inside."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        is_own = found.is_global and not found.is_multicast
        return is_own and all(map(_is_public_v4, _inside(found)))
    return _is_public_v4(found)


def _is_public_v4(address: IPv4Address) -> bool:
    return address.is_global and not address.is_multicast


def _inside(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 one leads to."""
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _TRANSLATED):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]


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
