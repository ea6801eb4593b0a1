"""What Snowplow's events of consent say that a person allows. Pure.

Sources: Snowplow's public Iglu schemas of consent, and its trackers' public documentation of when each is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from attribune.collect.dialects.allowed import CATEGORIES
from attribune.model.control import Door

#: The entity that names a document which consent is given to, or withdrawn from.
DOCUMENT: Final = "consent_document"
FIELDS: Final = {
    "consent_preferences.eventType": "a consent before the event: allow_all allows measurement and sharing; deny_all and withdrawn forbid both; allow_selected as its scopes say; the others say nothing",
    "consent_preferences.consentScopes": "analytics is measurement, advertising and advertisement are sharing; others by --map consent:SCOPE=measurement or sharing, of which one that is not listed is forbidden",
    "consent_withdrawn": "all forbids measurement and sharing; else what the door maps of its documents (--map consent:DOCUMENT_ID=sharing)",
    "consent_granted": "what the door maps of its documents",
}

_VENDOR: Final = "iglu:com.snowplowanalytics.snowplow/"
_SCOPES: Final = {**CATEGORIES, "advertisement": "sharing"}
_ALL: Final = frozenset(CATEGORIES.values())
#: What the banner's end means; how else it ended (pending, implicit_consent, expired) is no choice of the person's.
_ENDS: Final = {"allow_all": True, "deny_all": False, "withdrawn": False}
_SELECTED: Final = "allow_selected"
_KIND: Final = "consent:"


def choices_of(
    schema: str, data: Mapping[str, Any], documents: Iterable[Any], door: Door
) -> dict[str, bool]:
    """Measurement and sharing, as far as a self-describing event says; of several that mean one thing, one no is a no.

    ``documents`` is the data of the documents that stand beside it.
    """
    if schema.startswith(f"{_VENDOR}consent_preferences/"):
        return _preferences(data, door)
    if schema.startswith(f"{_VENDOR}consent_withdrawn/"):
        return _every(may=False) if data.get("all") is True else _of(documents, door, may=False)
    if schema.startswith(f"{_VENDOR}consent_granted/"):
        return _of(documents, door, may=True)
    return {}


def _preferences(data: Mapping[str, Any], door: Door) -> dict[str, bool]:
    end = data.get("eventType")
    if end == _SELECTED:
        said = data.get("consentScopes")
        return _selected({one for one in said if isinstance(one, str)}, door) if isinstance(said, list) else {}  # fmt: skip
    may = _ENDS.get(end) if isinstance(end, str) else None
    return {} if may is None else _every(may=may)


def _selected(scopes: set[str], door: Door) -> dict[str, bool]:
    """What the scopes that were allowed mean. Only the door's maps say which others there were to allow."""
    found: dict[str, bool] = {}
    mapped = {name.removeprefix(_KIND): meaning for name, meaning in door.maps.items() if name.startswith(_KIND)}  # fmt: skip
    for name, meaning in mapped.items():
        found[meaning] = name in scopes and found.get(meaning, True)
    for name in scopes - mapped.keys():
        meaning_ = _SCOPES.get(name.lower())
        if meaning_ is not None:
            found.setdefault(meaning_, True)
    return found


def _of(documents: Iterable[Any], door: Door, *, may: bool) -> dict[str, bool]:
    """The same word of all that the door maps of some documents."""
    ids = (one.get("id") for one in documents if isinstance(one, dict))
    meanings = (door.mapped("consent", id_) for id_ in ids if isinstance(id_, str))
    return {meaning: may for meaning in meanings if meaning is not None}


def _every(*, may: bool) -> dict[str, bool]:
    return dict.fromkeys(_ALL, may)
