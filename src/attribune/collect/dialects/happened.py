"""Events of product analytics: a name, and properties in which a few words mean money, an order or a link. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from attribune.collect.dialects import loose
from attribune.collect.fields import Fields
from attribune.collect.records import Telling
from attribune.collect.verdict import Kept
from attribune.model.activity import Event, Open
from attribune.model.control import Door
from attribune.model.position import Topic


class Words(NamedTuple):
    """What a vendor's names mean; of several properties of one meaning the first that says something counts."""

    #: Events of a device that say that the app was started.
    opens: frozenset[str]
    revenue: tuple[str, ...]
    currency: tuple[str, ...]
    transaction: tuple[str, ...]
    #: Of an open.
    link: tuple[str, ...] = ()


def happened(
    name: str,
    frame: dict[str, Any],
    said: tuple[Fields, Fields],
    words: Words,
    door: Door,
    telling: Telling,
    extra: dict[str, str],
) -> Kept:
    """The open or event that an event is; ``said`` are its fields and its properties, as far as they are unread. Raises Refused."""
    fields, properties = said
    if name in words.opens and frame["device"] is not None:
        link = next(filter(None, (loose.word(properties, one) for one in words.link)), None)
        extra = extra | {"event": loose.json_of(name)} | properties.rest("properties.")
        return Kept(Topic.ACTIVITY, Open(**frame, link_opened=link, extra=extra | fields.rest()))
    event = Event(
        **frame,
        name=door.event(name),
        revenue=loose.revenue(properties, words.revenue, words.currency, telling),
        transaction_id=loose.first_id(
            properties, words.transaction, telling.settings.id_characters_max
        ),
        params=properties.rest(),
        implies_open=door.implies_open,
        extra=extra | fields.rest(),
    )
    return Kept(Topic.ACTIVITY, event)
