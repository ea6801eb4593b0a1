"""The macros: a closed list of what a postback can say, each with its shape and how much of a person it tells.

``docs/guides/postbacks.md`` shows this list, and a test holds the page to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, NamedTuple

from attribune.model.errors import Invalid


class Shape(StrEnum):
    """What a value is, which decides what functions it may go through."""

    TEXT = "text"
    #: A whole number.
    WHOLE = "whole"
    #: A decimal number as text, such as ``12.50``.
    DECIMAL = "decimal"
    #: Milliseconds since the epoch, UTC; said in whole seconds unless a function says otherwise.
    MOMENT = "moment"


class Reach(StrEnum):
    """How much of a person a macro tells, from least to most. A person who does not share is told of up to a partner's limit."""

    #: Nothing of a person: what was advertised, what happened, when.
    CAMPAIGN = "campaign"
    #: Which touch it was, by the names that the partner gave it.
    CLICK = "click"
    #: Who it was: identifiers, address, device, what the app said of the person.
    PERSON = "person"


class Macro(NamedTuple):
    """One name that a template may use."""

    name: str
    shape: Shape
    reach: Reach
    help: str


def _macro(name: str, reach: Reach, help_: str, shape: Shape = Shape.TEXT) -> Macro:
    return Macro(name, shape, reach, help_)


def _all(reach: Reach, words: dict[str, str], shape: Shape = Shape.TEXT) -> list[Macro]:
    return [_macro(name, reach, help_, shape) for name, help_ in words.items()]


_LIST: Final = [
    *_all(
        Reach.CAMPAIGN,
        {
            "delivery_id": "Ours, the same whenever this is told again; tell two postbacks apart by it.",
            "trigger": "Why it is told: install, event, reversal, partial_reversal …",
            "kind": "install, reinstall, reattribution, reengagement or event.",
            "source": "attributed, organic, restricted or unknown.",
            "reason": "Why it was refused or taken back.",
            "product": "Our id of the product.",
            "app": "Our id of the app.",
            "store_id": "The app's id in its store.",
            "platform": "ios, android or web.",
            "event": "The event's name, as the app says it.",
            "event_name": "The event's name, as the partner calls it; of a conversion its kind.",
            "currency": "Currency of the revenue, such as EUR.",
            "method": "How the touch was joined to the conversion.",
            "touch_kind": "click or impression.",
            "partner": "The partner's name here.",
            "link": "Our id of the tracking link.",
            "campaign": "The campaign.",
            "campaign_id": "The partner's id of the campaign.",
            "adgroup": "The ad group.",
            "adgroup_id": "The partner's id of the ad group.",
            "creative": "The ad as shown.",
            "creative_id": "The partner's id of the ad.",
            "country": "Country of the address, two letters.",
        },
    ),
    _macro("revision", Reach.CAMPAIGN, "1 at first; one more with every correction.", Shape.WHOLE),
    _macro(
        "revenue",
        Reach.CAMPAIGN,
        "Revenue, such as 12.50; of a refund the amount that the refund itself says.",
        Shape.DECIMAL,
    ),
    _macro("revenue_minor", Reach.CAMPAIGN, "Revenue in the currency's minor unit.", Shape.WHOLE),
    _macro(
        "revenue_undone",
        Reach.CAMPAIGN,
        "Of what is taken back: how much of its revenue this takes back, never more than was left.",
        Shape.DECIMAL,
    ),
    _macro(
        "revenue_undone_minor",
        Reach.CAMPAIGN,
        "The same in the currency's minor unit.",
        Shape.WHOLE,
    ),
    _macro(
        "revenue_left",
        Reach.CAMPAIGN,
        "Of what is taken back: how much of its revenue stands after this; 0.00 when all is taken back.",
        Shape.DECIMAL,
    ),
    _macro(
        "revenue_left_minor", Reach.CAMPAIGN, "The same in the currency's minor unit.", Shape.WHOLE
    ),
    *_all(
        Reach.CAMPAIGN,
        {
            "at": "When the event, or the conversion, happened.",
            "conversion_at": "When the conversion happened that the event belongs to.",
            "touch_at": "When the winning touch happened.",
        },
        Shape.MOMENT,
    ),
    *_all(
        Reach.CLICK,
        {
            "partner_click_id": "The partner's own id of the touch, as it came on the link.",
            "touch_id": "Our id of the touch.",
            "site_id": "The publisher's place inside the partner.",
            "sub_site_id": "The next level inside the site.",
            "transaction_id": "The order's number, as the app says it.",
            "record_id": "The sender's id of the record.",
            "conversion_id": "Our id of the conversion.",
            "told_id": "What is told, by one id that stays when it is taken back: the order's number; without one an event's "
            "`record_id`, a conversion's `conversion_id`.",
        },
    ),
    *_all(
        Reach.PERSON,
        {
            "device_id": "The SDK's id of the installation.",
            "user_id": "The customer's number, as the app says it.",
            "gaid": "Google's advertising id.",
            "idfa": "Apple's advertising id.",
            "idfv": "Apple's vendor id.",
            "android_id": "Android's id of the device.",
            "oaid": "The open advertising id.",
            "app_set_id": "Google's app set id.",
            "ip": "The address of the open or event.",
            "user_agent": "The user agent of the open or event.",
            "language": "The device's language.",
            "os_version": "Version of the device's system.",
            "app_version": "Version of the app.",
            "model": "The device's model.",
        },
    ),
]
MACROS: Final[dict[str, Macro]] = {macro.name: macro for macro in _LIST}

#: Names with a free part: a parameter of the link or of the event, or a setting of the partner.
FAMILIES: Final[dict[str, Macro]] = {
    "extra": _macro("extra.NAME", Reach.CLICK, "A parameter that stood on the link, by its name."),
    "param": _macro("param.NAME", Reach.PERSON, "A parameter of the event, by its name."),
    "setting": _macro(
        "setting.NAME", Reach.CAMPAIGN, "What was said with --set when the partner was added."
    ),
}
_MEMBER: Final = re.compile(r"[A-Za-z0-9_~$.-]{1,128}\Z")


def macro(name: str) -> Macro:
    """The macro of this name. Raises Invalid, with the nearest names, when there is none."""
    found = MACROS.get(name)
    if found is not None:
        return found
    family, dot, member = name.partition(".")
    if dot and family in FAMILIES and is_member(member):
        return FAMILIES[family]._replace(name=name)
    raise Invalid(f"there is no macro {name!r}{_nearest(name, [*MACROS, *FAMILIES])}")


def is_member(name: str) -> bool:
    """Whether a parameter's or setting's name can be written in a template."""
    return bool(_MEMBER.match(name))


def reaches(reach: Reach, limit: Reach) -> bool:
    """Whether what a macro tells lies within a limit."""
    order = tuple(Reach)
    return order.index(reach) <= order.index(limit)


def _nearest(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, list(names), 3, 0.5)
    return f"; did you mean {', '.join(near)}?" if near else "; the guide to postbacks lists them"
