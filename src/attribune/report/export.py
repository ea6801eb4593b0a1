"""Exports: every row that stands, page by page, with columns that have names and types.

A row is shown as it stands now: what a correction took away is not there, what it gave is. So the rows of a day are those
that happened on it (``own_day``), and they add up to the report of the same own days.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import Struct

from attribune.model.codec import decode
from attribune.model.errors import Invalid
from attribune.model.fact import FOREIGN_KINDS, Fact, FactKind, RowPlace, Selection
from attribune.model.ids import Position, ProductId
from attribune.model.outcome import ForeignCredited
from attribune.model.position import Topic
from attribune.ports import Facts, Journal

FOREIGN: Final = "foreign_conversions"
#: What may be exported, and the rows it is made of.
EXPORTS: Final[dict[str, tuple[FactKind, ...]]] = {
    "touches": (FactKind.CLICK, FactKind.IMPRESSION),
    "installs": (
        FactKind.INSTALL,
        FactKind.REINSTALL,
        FactKind.REATTRIBUTION,
        FactKind.REENGAGEMENT,
    ),
    "events": (FactKind.EVENT,),
    FOREIGN: FOREIGN_KINDS,
}
#: Days that the facts can hold.
_FIRST_DAY: Final = date(1900, 1, 1)
_LAST_DAY: Final = date(2299, 12, 31)
_CURSOR_CHARACTERS_MAX: Final = 4096


class ExportRequest(Struct, frozen=True, kw_only=True):
    """What a person asks for, in names."""

    what: str
    #: Days of the product, both included.
    first_day: date
    last_day: date
    product: ProductId | None = None
    app: str | None = None
    #: Where the page before ended (``next``); None for the first.
    after: str | None = None
    rows_max: int = 10_000


class ExportPage(Struct, frozen=True, kw_only=True):
    """Some rows, each a list of values in the order of ``columns``."""

    columns: tuple[str, ...]
    rows: list[list[Any]]
    #: Goes into ``after``; null after the last page. A page may have no rows and not be the last.
    next: str | None
    #: Rows of all pages together, and the place up to which entries are in them; of the first page only.
    rows_total: int | None
    until: int
    #: Entries of the journal that were not in the facts when the export began.
    lag: int


class Column(Struct, frozen=True):
    """One column of an export."""

    name: str
    #: ``text``, ``whole``, ``yes_no``, ``day``, ``moment`` (to the millisecond, UTC).
    type: str
    help: str
    #: From the row and, of a foreign conversion, its outcome.
    read: Callable[[Fact, ForeignCredited | None], Any]


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _is(name: str, type_: str, help_: str, field: str = "") -> Column:
    return Column(name, type_, help_, lambda fact, _: getattr(fact, field or name))


def _words(name: str, help_: str, field: str = "") -> Column:
    return Column(name, "text", help_, lambda fact, _: getattr(fact, field or name) or None)


def _told(name: str, help_: str) -> Column:
    """What only the outcome says; absent when the journal has been pruned of it."""
    return Column(name, "text", help_, lambda _, told: told and getattr(told, name))


def _told_moment(name: str, help_: str) -> Column:
    def read(_: Fact, told: ForeignCredited | None) -> str | None:
        at_ms = getattr(told, f"{name}_ms", None)
        return None if at_ms is None else _moment(at_ms)

    return Column(name, "moment", help_, read)


_PLACE: Final = (
    _is("place", "whole", "The place in the journal of the record that the row is about.", "about"),
    Column("kind", "text", "What it is: see the kinds of each export.", lambda f, _: str(f.kind)),
    _is("is_primary", "yes_no", "False for secondary credit, which no report counts."),
)
_TIMES: Final = (
    Column("at", "moment", "When it happened.", lambda f, _: _moment(f.at_ms)),
    Column(
        "received_at",
        "moment",
        "When it came in; of a decision, when it was made.",
        lambda f, _: _moment(f.received_at_ms),
    ),
    _is("own_day", "day", "The product's day that it happened on."),
    _is("day", "day", "The product's day that it is booked on."),
    _words("product", "The product."),
)
_AD: Final = (
    _words("campaign", "The campaign of the touch."),
    _words("campaign_id", "The partner's own id of the campaign."),
    _words("adgroup", "The ad group of the touch."),
    _words("creative", "The ad as shown."),
    _words("site_id", "The publisher's place inside the partner."),
    _words("sub_site_id", "The next level inside the site."),
    _words("touch_kind", "click or impression: what the touch was."),
)
_DEVICE: Final = (
    _words("country", "Country of the address it came from, two letters."),
    _words("os_version", "Version of the device's system."),
    _words("app_version", "Version of the app."),
    _words("event", "The name of the event."),
    _is("amount_minor", "whole", "Revenue in minor units of its currency; 0 without revenue."),
    _words("currency", "Currency of the revenue."),
)
#: In the order in which they are written.
COLUMNS: Final = (
    *_PLACE,
    _is("revision", "whole", "How often it was decided; 1 when it was never corrected."),
    *_TIMES,
    _words("app", "The app; absent for touches."),
    _words("platform", "Where the app runs; absent for touches."),
    _words("source", "attributed, organic or unknown; absent for touches."),
    _words("partner", "Who brought it; absent when nobody did."),
    _words("link", "The tracking link of the touch."),
    *_AD,
    _words("method", "How the winning touch was joined to the conversion."),
    *_DEVICE,
    _is("cost_minor", "whole", "Cost of the touch in minor units of its currency; 0 without."),
    _words("cost_currency", "Currency of the cost."),
    _words("device", "The SDK's id of the installation."),
    _words("touch", "The touch itself, or the one that won."),
    _words("conversion", "The conversion that it is, or belongs to."),
    _words("record", "The sender's id of the record."),
)
#: The same of what other measurement partners told: the words are theirs, but for who is credited.
FOREIGN_COLUMNS: Final = (
    *_PLACE,
    _words("vendor", "Whose word it is."),
    *_TIMES,
    _words("app", "The app."),
    _words("platform", "Where the app runs."),
    _words("source", "What the vendor decided: attributed, organic, restricted or unknown."),
    _told("network", "The vendor's name of who brought it."),
    _words("partner", "The partner of ours that is meant; absent when none is."),
    _told("credited_by", "What led to the partner: touch, click_id, map or name."),
    _words("touch", "The touch of ours that it was credited by."),
    *_AD,
    _told_moment("touch_at", "When the winning touch happened, by the vendor."),
    _told_moment("installed_at", "When the app was installed, by the vendor."),
    _told("method_said", "How the vendor joined the two, in its own word."),
    _words("method", "The same in ours."),
    *_DEVICE,
    _told("transaction_id", "The order of an event."),
    _words("rejected_because", "Why the vendor rejected it.", "reason"),
    _words("device", "The installation of ours that it is about, when it is known."),
    _words("record", "Its id, the same whenever and however it is told."),
)
NAMES: Final = tuple(column.name for column in COLUMNS)


def columns_of(what: str) -> tuple[Column, ...]:
    """The columns of an export."""
    return FOREIGN_COLUMNS if what == FOREIGN else COLUMNS


def ask(
    facts: Facts, request: ExportRequest, *, lag: int = 0, journal: Journal | None = None
) -> ExportPage:
    """One page of an export. Raises Invalid for a wrong name, day or cursor, StoreUnavailable.

    The journal says of foreign conversions what the facts do not hold.
    """
    until, after = _place(request.after) if request.after else (facts.position(), None)
    wanted = _selection(request, until)
    found = facts.standing(wanted, after, request.rows_max)
    columns = columns_of(request.what)
    told = partial(_outcome, journal if request.what == FOREIGN else None)
    return ExportPage(
        columns=tuple(column.name for column in columns),
        rows=[
            [column.read(fact, outcome) for column in columns]
            for fact, outcome in zip(found.facts, map(told, found.facts), strict=True)
        ],
        next=_cursor(until, found.next) if found.next else None,
        rows_total=facts.count_standing(wanted) if after is None else None,
        until=until,
        lag=lag,
    )


def _outcome(journal: Journal | None, fact: Fact) -> ForeignCredited | None:
    """The outcome that a row came from; None when the journal has been pruned of it."""
    entry = journal.get(Topic.OUTCOMES, fact.position) if journal else None
    outcome = decode(entry) if entry else None
    return outcome if isinstance(outcome, ForeignCredited) else None


def _selection(request: ExportRequest, until: Position) -> Selection:
    kinds = EXPORTS.get(request.what)
    if kinds is None:
        raise Invalid(
            f"there is no export named {request.what!r}; choose from {', '.join(EXPORTS)}",
            param="what",
        )
    first, last = request.first_day, request.last_day
    if first > last:
        raise Invalid(f"the first day, {first}, lies after the last, {last}", param="first_day")
    return Selection(
        kinds=kinds,
        until=until,
        product=request.product,
        app=request.app,
        first_day=min(max(first, _FIRST_DAY), _LAST_DAY),
        last_day=min(max(last, _FIRST_DAY), _LAST_DAY),
    )


def _cursor(until: Position, place: RowPlace) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((until, place))).decode()


def _place(text: str) -> tuple[Position, RowPlace]:
    wrong = Invalid("after is what the page before called next", param="after")
    if len(text) > _CURSOR_CHARACTERS_MAX:
        raise wrong
    try:
        said = base64.b64decode(text, altchars=b"-_", validate=True)
        until, place = msgspec.json.decode(said, type=tuple[int, RowPlace])
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise wrong from None
    is_kept = all(0 <= at < limit for at, limit in _bounds(until, place))
    if not is_kept or not _FIRST_DAY <= place.day <= _LAST_DAY:
        raise wrong
    return Position(until), place


def _bounds(until: int, place: RowPlace) -> tuple[tuple[int, int], ...]:
    return (until, 1 << 64), (place.position, 1 << 64), (place.ordinal, 1 << 32)
