"""Facts: what the reports add up. One row per thing that happened, and pairs of rows for what was corrected."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from msgspec import Struct, field

from attribune.model.ids import DeviceId, Position, ProductId, RecordId, TouchId


class FactKind(StrEnum):
    """What a fact row counts."""

    #: A click kept.
    CLICK = "click"
    #: An impression kept.
    IMPRESSION = "impression"
    #: A start of the app, conversions included.
    OPEN = "open"
    #: An install.
    INSTALL = "install"
    #: A reinstall.
    REINSTALL = "reinstall"
    #: A reattribution.
    REATTRIBUTION = "reattribution"
    #: A re-engagement.
    REENGAGEMENT = "reengagement"
    #: An event in the app, with its money.
    EVENT = "event"
    #: An install that another measurement partner told of.
    FOREIGN_INSTALL = "foreign_install"
    #: An event that another measurement partner told of, with its money.
    FOREIGN_EVENT = "foreign_event"
    #: A return, a start, an uninstall or a rejection that another measurement partner told of.
    FOREIGN_OTHER = "foreign_other"
    #: A hit or record refused at the door or behind it.
    REFUSED = "refused"
    #: Taken note of (consent, evidence, a claim, a late touch, an event that waits). No metric counts it; it leads explain from a handle.
    NOTE = "note"


#: What other measurement partners told of.
FOREIGN_KINDS: Final = (
    FactKind.FOREIGN_INSTALL,
    FactKind.FOREIGN_EVENT,
    FactKind.FOREIGN_OTHER,
)


class Fact(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row. A correction writes the old row again with ``sign`` -1 and the new one with +1; sums use ``sign``."""

    #: The entry it came from, and its number among that entry's rows.
    position: Position
    ordinal: int
    sign: Literal[1, -1] = 1
    kind: FactKind
    #: Empty when unknown (a refusal that named nobody).
    product: ProductId | str = ""
    app: str = ""
    platform: str = ""
    #: ``attributed``, ``organic``, ``unknown``; empty for touches and refusals.
    source: str = ""
    partner: str | None = None
    link: str | None = None
    campaign: str | None = None
    campaign_id: str | None = None
    adgroup: str | None = None
    creative: str | None = None
    site_id: str | None = None
    sub_site_id: str | None = None
    #: Kind of the winning touch, and how it was joined.
    touch_kind: str | None = None
    method: str | None = None
    country: str | None = None
    os_version: str | None = None
    app_version: str | None = None
    event: str | None = None
    #: Secondary credit (the install's source during a re-engagement) is 0; sums use primary only.
    is_primary: bool = True
    amount_minor: int = 0
    currency: str = ""
    #: Cost of a touch.
    cost_minor: int = 0
    cost_currency: str = ""
    #: Why, of a refusal.
    reason: str | None = None
    #: When it happened, and when we saw it. Milliseconds, UTC.
    at_ms: int
    received_at_ms: int
    #: The product's day that it is booked on: its own day, or the first open day when that one was closed.
    day: date
    #: The product's day that it happened on.
    own_day: date
    #: The place of the record it is about, the outcome's id and revision.
    about: Position
    device: str | None = None
    touch: str | None = None
    conversion: str | None = None
    record: str | None = None
    revision: int = 1
    #: The other measurement partner whose word it is; empty for our own.
    vendor: str = ""
    #: Hashes of everything a person could ask for this row by (see ``record.handles``).
    handles: tuple[int, ...] = ()


class Measure(Struct, frozen=True, kw_only=True):
    """One sum over facts: the signs of some kinds, or an amount per currency."""

    name: str
    kinds: tuple[FactKind, ...]
    #: ``rows`` sums signs; ``amount`` and ``cost`` sum money per currency; ``devices`` counts distinct devices.
    value: Literal["rows", "amount", "cost", "devices"] = "rows"
    #: Also rows of secondary credit.
    with_secondary: bool = False
    #: Only rows of these sources (``attributed`` …); empty is any.
    sources: tuple[str, ...] = ()
    #: No rows of these events.
    without_events: tuple[str, ...] = ()


class Question(Struct, frozen=True, kw_only=True):
    """What a report asks of the facts. Dimensions and filters name columns of ``Fact``."""

    measures: tuple[Measure, ...]
    by: tuple[str, ...] = ()
    product: ProductId | None = None
    app: str | None = None
    #: Booked days, both ends included.
    first_day: date | None = None
    last_day: date | None = None
    #: Column → allowed values; None in the values means "absent".
    where: dict[str, tuple[str | None, ...]] = field(default_factory=dict)
    #: Only rows whose ``position`` is not beyond this place; None is all.
    until: Position | None = None
    #: Only rows about records behind this place; None is all.
    about_after: Position | None = None
    rows_max: int = 10_000


class Selection(Struct, frozen=True, kw_only=True):
    """Which rows that stand are wanted. A row stands when no later revision took it away."""

    kinds: tuple[FactKind, ...]
    #: Only entries up to this place, so that all pages of a selection tell of the same moment.
    until: Position
    product: ProductId | None = None
    app: str | None = None
    partner: str | None = None
    #: Days of the product on which it happened, both ends included.
    first_day: date
    last_day: date


class Told(Struct, frozen=True, kw_only=True):
    """Which records are asked for: whether rows of these kinds about them stand among those of a product."""

    product: ProductId
    kinds: tuple[FactKind, ...]
    records: tuple[RecordId, ...]
    #: When they happened, both ends included; None is any time. Milliseconds, UTC.
    since_ms: int | None = None
    until_ms: int | None = None


class RowPlace(NamedTuple):
    """Where a row stands in the order of the rows."""

    product: str
    day: date
    kind: str
    position: int
    ordinal: int


class Standing(NamedTuple):
    """A page of rows that stand, without ``handles``. It may be shorter than asked for, or empty, and not be the last."""

    facts: list[Fact]
    #: Where to go on; None after the last page.
    next: RowPlace | None


class Sum(Struct, frozen=True, kw_only=True):
    """One answer row: the dimensions' values and each measure's sum.

    A measure of money is a mapping of currency to minor units.
    """

    by: tuple[str | date | None, ...]
    values: dict[str, int | dict[str, int]]


class Forgotten(NamedTuple):
    """A person of a product who was forgotten: rows of them stay for the sums, and nobody is found by them."""

    product: ProductId
    devices: tuple[DeviceId, ...]
    touches: tuple[TouchId, ...]


class Trace(NamedTuple):
    """Where a handle leads: one fact row's places and names.

    ``position`` is the entry that the row came from: an outcome's own place, or (when it equals ``about``) a touch's or a
    refusal's.
    """

    position: Position
    kind: str
    #: The place of the record that the row is about.
    about: Position
    device: str | None
    touch: str | None
    conversion: str | None
