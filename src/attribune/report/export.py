"""Exports: every row that stands, page by page, with columns that have names and types.

A row is shown as it stands now: what a correction took away is not there, what it gave is. So the rows of a day are those
that happened on it (``own_day``), and they add up to the report of the same own days.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from attribune.model.errors import Invalid
from attribune.model.fact import Fact, FactKind, RowPlace, Selection
from attribune.model.ids import Position, ProductId
from attribune.ports import Facts

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
    read: Callable[[Fact], Any]


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _is(name: str, type_: str, help_: str, field: str = "") -> Column:
    return Column(name, type_, help_, lambda fact: getattr(fact, field or name))


def _words(name: str, help_: str) -> Column:
    return Column(name, "text", help_, lambda fact: getattr(fact, name) or None)


#: In the order in which they are written.
COLUMNS: Final = (
    _is("place", "whole", "The place in the journal of the record that the row is about.", "about"),
    Column("kind", "text", "What it is: see the kinds of each export.", lambda f: str(f.kind)),
    _is("is_primary", "yes_no", "False for secondary credit, which no report counts."),
    _is("revision", "whole", "How often it was decided; 1 when it was never corrected."),
    Column("at", "moment", "When it happened.", lambda f: _moment(f.at_ms)),
    Column(
        "received_at",
        "moment",
        "When it came in; of a decision, when it was made.",
        lambda f: _moment(f.received_at_ms),
    ),
    Column("own_day", "day", "The product's day that it happened on.", lambda f: f.own_day),
    Column("day", "day", "The product's day that it is booked on.", lambda f: f.day),
    _words("product", "The product."),
    _words("app", "The app; absent for touches."),
    _words("platform", "Where the app runs; absent for touches."),
    _words("source", "attributed, organic or unknown; absent for touches."),
    _words("partner", "Who brought it; absent when nobody did."),
    _words("link", "The tracking link of the touch."),
    _words("campaign", "The campaign of the touch."),
    _words("campaign_id", "The partner's own id of the campaign."),
    _words("adgroup", "The ad group of the touch."),
    _words("creative", "The ad as shown."),
    _words("site_id", "The publisher's place inside the partner."),
    _words("sub_site_id", "The next level inside the site."),
    _words("touch_kind", "click or impression: what the touch was."),
    _words("method", "How the winning touch was joined to the conversion."),
    _words("country", "Country of the address it came from, two letters."),
    _words("os_version", "Version of the device's system."),
    _words("app_version", "Version of the app."),
    _words("event", "The name of the event."),
    _is("amount_minor", "whole", "Revenue in minor units of its currency; 0 without revenue."),
    _words("currency", "Currency of the revenue."),
    _is("cost_minor", "whole", "Cost of the touch in minor units of its currency; 0 without."),
    _words("cost_currency", "Currency of the cost."),
    _words("device", "The SDK's id of the installation."),
    _words("touch", "The touch itself, or the one that won."),
    _words("conversion", "The conversion that it is, or belongs to."),
    _words("record", "The sender's id of the record."),
)
NAMES: Final = tuple(column.name for column in COLUMNS)


def ask(facts: Facts, request: ExportRequest, *, lag: int = 0) -> ExportPage:
    """One page of an export. Raises Invalid for a wrong name, day or cursor, StoreUnavailable."""
    until, after = _place(request.after) if request.after else (facts.position(), None)
    wanted = _selection(request, until)
    found = facts.standing(wanted, after, request.rows_max)
    return ExportPage(
        columns=NAMES,
        rows=[[column.read(fact) for column in COLUMNS] for fact in found.facts],
        next=_cursor(until, found.next) if found.next else None,
        rows_total=facts.count_standing(wanted) if after is None else None,
        until=until,
        lag=lag,
    )


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
