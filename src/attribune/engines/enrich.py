"""What a user agent and an address say, by data that is shipped with the package and named in every decision.

User agents by ua-parser's rules (uap-core), countries by the registries' allocations (iptocc: where a block of addresses
was given to, which is not always where it is used). Both are read where nobody waits: behind the journal.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.metadata import version
from typing import Final

from iptocc import country_code
from ua_parser import OS, Device, Domain, load_builtins
from ua_parser.regex import Resolver

from attribune.ports import UserAgent

#: Different user agents remembered; one that is not costs about 0.1 ms.
CACHE_MAX: Final = 65_536
#: What lies behind is not read; real ones are shorter.
CHARACTERS_MAX: Final = 1024

_UNKNOWN: Final = UserAgent(None, None, None)
#: Our names; every other family is its own name in lower case.
_FAMILIES: Final = {"Mac OS X": "macos", "Chrome OS": "chromeos", "Other": None}
#: Chrome on Android says this of every device, whatever its version and model.
_REDUCED: Final = re.compile(r"\(Linux; Android 10; K(?:; wv)?\)")
#: From iOS 26 the system's part of the user agent stands still at 18_6 or a later 18; ``Version/`` moves on.
_IOS_FROZEN: Final = (18, 6)
_IOS_MOVES_ON: Final = 26
_VERSION: Final = re.compile(r" Version/(\d{1,3}(?:\.\d{1,3}){0,2})")
#: Words that stand where a model would, and name none. Apple's user agents never name the model.
_NO_MODELS: Final = frozenset(
    {"K", "Smartphone", "Feature Phone", "Tablet", "iPhone", "iPad", "iPod", "iOS-Device", "Mac"}
)


class UaEnricher:
    """Reads user agents and countries."""

    def __init__(self) -> None:
        self._resolver = Resolver(load_builtins())
        self._remembered = lru_cache(maxsize=CACHE_MAX)(self._read)
        self._version = f"uap {version('ua-parser-builtins')}, iptocc {version('iptocc')}"

    def version(self) -> str:
        """Names the data, so that a decision can say what it was made with."""
        return self._version

    def user_agent(self, text: str) -> UserAgent:
        """Operating system (``android``, ``ios``, ``windows`` …), its version and the model; None is unknown."""
        return self._remembered(text[:CHARACTERS_MAX]) if text else _UNKNOWN

    def country(self, address: str) -> str | None:
        """ISO 3166 code of the country an address was given to; None when it was given to none or is no address."""
        try:
            return country_code(address)
        except ValueError:
            return None

    def _read(self, text: str) -> UserAgent:
        found = self._resolver(text, Domain.OS | Domain.DEVICE)
        if found.os is None:
            return _UNKNOWN
        family = found.os.family
        os = _FAMILIES.get(family, family.lower())
        if _REDUCED.search(text):
            return UserAgent(os, None, None)
        os_version = _ios_version(text, found.os) if os == "ios" else _joined(found.os)
        return UserAgent(os, os_version, _model(found.device))


def _joined(os: OS) -> str | None:
    parts = [part for part in (os.major, os.minor, os.patch) if part is not None]
    return ".".join(parts) or None


def _ios_version(text: str, os: OS) -> str | None:
    """The version of iOS: the system's part, unless it may be the one that stands still."""
    try:
        said = (int(os.major or 0), int(os.minor or 0))
    except ValueError:
        return _joined(os)
    if said[0] != _IOS_FROZEN[0] or said < _IOS_FROZEN:
        return _joined(os)
    browser = _VERSION.search(text)
    if browser is None:  # an in-app browser of iOS 18 or of any later one
        return None
    moved_on = int(browser[1].split(".")[0]) >= _IOS_MOVES_ON
    return browser[1] if moved_on else _joined(os)


def _model(device: Device | None) -> str | None:
    return None if device is None or device.model in _NO_MODELS else device.model
