"""Match keys: the words by which a touch and a device can be found to belong together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import md5, sha1, sha256
from ipaddress import IPv6Address, ip_address
from typing import Final

from attribune.model.ids import ProductId, digest

#: Ids that say the same person's device, also over installations.
PERSON_IDS: Final = ("gaid", "idfa", "idfv", "oaid", "app_set_id", "android_id", "fire_adid")

#: Ids that may also come hashed, by themselves or in capitals (Adjust's ``…_upper_md5``).
_HASHES: Final = {"md5": md5, "sha1": sha1, "sha256": sha256}

_HASH_PREFIXES: Final = tuple(f"{name}_" for name in _HASHES)

#: The operating system of a touch that does not say.
UNKNOWN_OS: Final = ""

_WEEK_MS: Final = 7 * 24 * 3_600_000

_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#: Nearly all addresses of IPv4: canonical, and of a first octet under which nothing is private, reserved or multicast.
_PLAINLY_GLOBAL: Final = re.compile(
    r"(?!(?:0|10|100|127|169|172|192|198|203|22[4-9]|23[0-9]|24[0-9]|25[0-5])\.)"
    + r"\.".join([_OCTET] * 4)
)


def week(at_ms: int) -> int:
    """The bucket of a time: weeks since the epoch, from 1."""
    return max(1, at_ms // _WEEK_MS + 1)


def id_key(product: ProductId, kind: str, value: str) -> bytes:
    """The key of one device identifier, compared without regard to case."""
    return digest("id", product, kind, value.lower())


def touch_id_keys(product: ProductId, ids: dict[str, str]) -> list[bytes]:
    """The keys a touch is found by through its identifiers."""
    return [id_key(product, kind, value) for kind, value in ids.items()]


def click_key(product: ProductId, click: str) -> bytes:
    """The key of a partner's own name of a click, compared with regard to case."""
    return digest("click", product, click)


def is_hashed(ids: Iterable[str]) -> bool:
    """Whether identifiers of these kinds came hashed."""
    return any(kind.startswith(_HASH_PREFIXES) for kind in ids)


def device_id_keys(
    product: ProductId, ids: Iterable[tuple[str, str]], *, with_hashed: bool = True
) -> list[bytes]:
    """The keys under which touches of a device may stand: each identifier plain, and in every hashed form."""
    keys = []
    for kind, value in ids:
        keys.append(id_key(product, kind, value))
        if not with_hashed or kind not in PERSON_IDS:
            continue
        for form in {value.lower(), value.upper()}:
            keys += (
                id_key(product, f"{name}_{kind}", hash_(form.encode()).hexdigest())
                for name, hash_ in _HASHES.items()
            )
    return sorted(keys)


def network(address: str | None) -> str | None:
    """What of an address is compared: all of IPv4, the first 64 bits of IPv6.

    None for addresses that say nothing of a place: private, loopback, link-local, reserved, or not an address.
    """
    if not address:
        return None
    # Reading an address in full takes longer than all else that is done to file a touch.
    return address if _PLAINLY_GLOBAL.fullmatch(address) else _network(address)


@lru_cache(maxsize=65_536)
def _network(address: str) -> str | None:
    try:
        read = ip_address(address)
    except ValueError:
        return None
    if isinstance(read, IPv6Address):
        if read.ipv4_mapped:
            return network(str(read.ipv4_mapped))
        if not read.is_global:
            return None
        return str(IPv6Address(int(read) >> 64 << 64))
    return str(read) if read.is_global else None


def address_key(product: ProductId, net: str, os: str) -> bytes:
    """The key of an address and an operating system."""
    return digest("at", product, net, os)
