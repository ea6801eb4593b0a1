"""Every dimension, once: its name, the column of ``Fact`` it reads, and what it means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from attribune.model.errors import Invalid


class Dimension(Struct, frozen=True, kw_only=True):
    """One way to break a report down, or to filter it."""

    name: str
    #: The column of ``Fact``.
    column: str
    help: str
    #: How the column says that there is no value: None, or an empty text.
    absent: str | None = None


def _is(name: str, help_: str, column: str = "", *, absent: str | None = None) -> Dimension:
    return Dimension(name=name, column=column or name, help=help_, absent=absent)


_TABLE: Final = (
    _is("partner", "Who brought it; absent when it is organic or its source is unknown."),
    _is("campaign", "The campaign of the touch."),
    _is("campaign_id", "The partner's own id of the campaign."),
    _is("adgroup", "The ad group (some say ad set) of the touch."),
    _is("creative", "The ad as shown."),
    _is("site_id", "The publisher's place inside the partner."),
    _is("sub_site_id", "The next level inside the site."),
    _is("link", "The tracking link of the touch."),
    _is("country", "Country of the address it came from, two letters."),
    _is("platform", "Where the app runs; absent for touches.", absent=""),
    _is("app", "The app it happened in; absent for touches.", absent=""),
    _is("product", "The product; absent for a refusal that names none.", absent=""),
    _is("day", "The product's day that it is booked on; numbers of a closed day stand."),
    _is("own_day", "The product's day that it happened on, also when it came too late for it."),
    _is("source", "attributed, organic or unknown; absent for touches and refusals.", absent=""),
    _is("method", "How the winning touch was joined to the conversion."),
    _is("touch_kind", "click or impression: what the touch was."),
    _is("event", "The name of the event."),
    _is("os_version", "Version of the device's system."),
    _is("app_version", "Version of the app."),
    _is(
        "vendor",
        "Whose word it is: another measurement partner's; absent for our own.",
        absent="",
    ),
    _is("reason", "Why a hit or record was refused."),
)

#: By name, in the order of the reference page.
DIMENSIONS: Final[dict[str, Dimension]] = {dimension.name: dimension for dimension in _TABLE}


def dimension(name: str, param: str) -> Dimension:
    """The dimension of a name. Raises Invalid, listing the right ones."""
    found = DIMENSIONS.get(name)
    if found is None:
        raise Invalid(
            f"there is no dimension named {name!r}; choose from {', '.join(DIMENSIONS)}",
            param=param,
        )
    return found


def chosen(names: Iterable[str]) -> tuple[Dimension, ...]:
    """The dimensions of these names, each once. Raises Invalid."""
    return tuple({name: dimension(name, "by") for name in names}.values())
