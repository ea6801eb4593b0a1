"""A policy's list of hosting networks: checked entry by entry, and brought into one form."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final

from attribune.model.errors import Invalid

NAME: Final = "hosting_networks"
NETWORKS_MAX: Final = 50_000
#: The shortest prefixes; what is wider, such as 0.0.0.0/0, is a slip.
PREFIX_MIN: Final = {4: 8, 6: 16}
#: IPv4 written as IPv6 (RFC 4291, 2.5.5.2).
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
#: How much of a bad entry an error repeats.
_SHOWN_CHARACTERS: Final = 60

_Network = IPv4Network | IPv6Network


def checked_networks(given: Any) -> tuple[str, ...]:
    """The networks in CIDR form, each once, in the order of their addresses. Raises Invalid, naming the entry's place."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise Invalid(f"{NAME} is a list of networks such as 192.0.2.0/24", param=NAME)
    if len(given) > NETWORKS_MAX:
        raise Invalid(
            f"{NAME} may have at most {NETWORKS_MAX} entries, not {len(given)}; leave out what is there twice and "
            "merge neighbours (Python's ipaddress.collapse_addresses does both)",
            param=NAME,
        )
    found = {_checked(entry, f"{NAME}[{place}]") for place, entry in enumerate(given)}
    return tuple(map(str, sorted(found, key=_order)))


def _checked(entry: Any, param: str) -> _Network:
    network = _read(entry)
    if network is None:
        todo = "write a network such as 192.0.2.0/24 or 2001:db8::/32, or an address"
        raise Invalid(f"{param} is {_shown(entry)}; {todo}", param=param)
    shortest = PREFIX_MIN[network.version]
    if network.prefixlen < shortest:
        todo = f"write networks of /{shortest} or longer"
        raise Invalid(f"{param} is {_shown(entry)}, which is too wide; {todo}", param=param)
    return network


def _read(entry: Any) -> _Network | None:
    if not isinstance(entry, str) or "%" in entry:  # a scope means something on one machine only
        return None
    try:
        network = ip_network(entry.strip())
    except ValueError:
        return None
    if isinstance(network, IPv6Network) and network.overlaps(_MAPPED):
        return _as_ipv4(network)
    return network


def _as_ipv4(mapped: IPv6Network) -> IPv4Network:
    """The IPv4 network that an IPv6 one means."""
    bits = max(0, mapped.prefixlen - _MAPPED.prefixlen)
    return IPv4Network((int(mapped.network_address) & 0xFFFF_FFFF, bits))


def _order(network: _Network) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen


def _shown(entry: Any) -> str:
    text = repr(entry)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
