"""Addresses in one usual form. Pure."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

#: Addresses whose usual form is remembered; some 10 MB.
ADDRESSES_MAX: Final = 65_536
#: Longer texts are no addresses, and are not remembered.
_CHARACTERS_MAX: Final = 128


def peer_address(client: str) -> str | None:
    """The address of ``1.2.3.4:5`` or ``[::1]:5``, without its port."""
    host = client.rpartition(":")[0]
    if host and host[0] != "[":
        return host  # an IPv4 address as the kernel wrote it
    return plain_address(host)


def plain_address(text: str) -> str | None:
    """An address in its usual form, IPv4 inside IPv6 as IPv4; a port is left out. None when it is no address."""
    return _plain(text) if len(text) <= _CHARACTERS_MAX else None


@lru_cache(maxsize=ADDRESSES_MAX)
def _plain(text: str) -> str | None:
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)
