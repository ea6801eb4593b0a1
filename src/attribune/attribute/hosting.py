"""Addresses of hosting providers, data centres and VPNs, where a guess would join strangers. The policy lists their networks.

IPv4 and IPv6 stand on one line of numbers, IPv4 where its IPv4-mapped form stands (RFC 4291, 2.5.5.2), so the same
address in either form is the same number, and a look is one bisection.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from attribune.attribute.same import Same
from attribune.model.policy import Policy

_MAPPED: Final = 0xFFFF << 32
_BITS: Final = 128
#: Different lists kept ready to look into; 50,000 networks take some 5 MB.
_LISTS_MAX: Final = 32

#: Where ranges begin, sorted, and where each ends, itself included; none touches another.
_Ranges = tuple[list[int], list[int]]


def is_hosting(policy: Policy, address: str | None) -> bool:
    """Whether an address lies in one of the policy's ``hosting_networks``; what is no address does not."""
    if not address or not policy.hosting_networks:
        return False
    try:
        number, _ = _number(address)
    except ValueError:
        return False
    begins, ends = _ranges(Same(policy.hosting_networks))
    before = bisect_right(begins, number)
    return before > 0 and number <= ends[before - 1]


@lru_cache(maxsize=_LISTS_MAX)
def _ranges(key: Same[tuple[str, ...]]) -> _Ranges:
    """A list read once; ranges that overlap or touch are one."""
    begins: list[int] = []
    ends: list[int] = []
    for begin, end in sorted(map(_range, key.value)):
        if ends and begin <= ends[-1] + 1:
            ends[-1] = max(ends[-1], end)
        else:
            begins.append(begin)
            ends.append(end)
    return begins, ends


def _range(network: str) -> tuple[int, int]:
    """The first and the last number of a network in CIDR form, as the registry keeps it."""
    address, _, prefix = network.partition("/")
    begin, bits = _number(address)
    return begin, begin + (1 << bits - int(prefix)) - 1


def _number(address: str) -> tuple[int, int]:
    """The number of an address, and how many bits its own form has. Raises ValueError."""
    read = ip_address(address)
    return (int(read) | _MAPPED, 32) if read.version == 4 else (int(read), _BITS)
