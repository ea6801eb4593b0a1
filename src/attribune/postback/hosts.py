"""Which hosts are addresses themselves, and which addresses are of the public internet. Pure: no name is looked up."""

from __future__ import annotations

import socket
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

#: IPv6 addresses that carry an IPv4 one for a translator (RFC 6052, RFC 8215).
_TRANSLATED: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))


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


def spelled(host: str) -> str | None:
    """The address that a host is, however it is spelled (``2130706433``, ``0x7f.1``, ``017700000001``); None of a name."""
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        return str(IPv4Address(socket.inet_aton(host)))
    except (OSError, ValueError):
        return None


def why_not(host: str, allowed: Collection[str]) -> str | None:
    """Why no request goes to a host that is an address; None when one may, and of a name, of which only its look-up tells."""
    address = spelled(host)
    if address is None:
        is_here = host == "localhost" or host.endswith(".localhost")  # RFC 6761 section 6.3
        if is_here and host not in allowed:
            return f"{host} is this machine itself; if that is meant, give --allow-host {host}"
        return None
    is_odd = address != host and ":" not in host
    said = f"{host} is {address}, which" if is_odd else f"{host}"
    if host not in allowed and address not in allowed and not is_public(address):
        write = f"write {address} and give" if is_odd else "give"
        return (
            f"{said} is not of the public internet; if it is yours, {write} --allow-host {address}"
        )
    return f"{said} no request finds in that spelling; write {address}" if is_odd else None
