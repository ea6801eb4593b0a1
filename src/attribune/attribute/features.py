"""Features: what a touch's browser and a device's SDK say of the same phone, and whether they contradict."""

from __future__ import annotations

from msgspec import Struct

from attribune.model.touch import Touch, TouchRecord
from attribune.ports import Enricher

#: What browsers send when they will not say (Chrome's reduced user agent on Android).
_RESERVED_MODELS = frozenset({"k", "generic smartphone", "iphone", "ipad", "unknown"})


class Features(Struct, frozen=True, gc=False, array_like=True):
    """What is known of a phone; None is unknown and contradicts nothing."""

    #: The first part of the language: ``de`` of ``de-DE``.
    language: str | None = None
    #: The major version of the operating system.
    os_major: str | None = None
    model: str | None = None


def features(language: str | None, os_version: str | None, model: str | None) -> Features:
    """Bring stated features into the form that is compared."""
    name = model.strip().casefold() if model else None
    return Features(
        language=language.replace("_", "-").split("-")[0].casefold() or None if language else None,
        os_major=os_version.strip().split(".")[0] or None if os_version else None,
        model=None if not name or name in _RESERVED_MODELS else name,
    )


def of_touch(touch: Touch, enricher: Enricher) -> Features:
    """The features of a touch: client hints and stated fields first, then the user agent."""
    agent = enricher.user_agent(touch.user_agent) if touch.user_agent else None
    return features(
        touch.language,
        touch.os_version or (agent.os_version if agent else None),
        touch.model or (agent.model if agent else None),
    )


def contradict(one: Features, other: Features) -> bool:
    """Whether two sets of features cannot be of one phone: both know something and it differs."""
    return any(
        a is not None and b is not None and a != b
        for a, b in zip(_all(one), _all(other), strict=True)
    )


def _all(f: Features) -> tuple[str | None, ...]:
    return (f.language, f.os_major, f.model)


def os_of(user_agent: str | None) -> str:
    """The operating system by a cheap look at the user agent; empty when it does not say.

    Good enough to file a touch under; what is compared later is read in full.
    """
    if not user_agent:
        return ""
    if "Android" in user_agent:
        return "android"
    if "iPhone" in user_agent or "iPad" in user_agent or "iPod" in user_agent:
        return "ios"
    return "other"


def platform_os(touch: TouchRecord) -> str:
    """The operating system a touch is filed under."""
    return os_of(touch.user_agent)
