"""Conversions that other measurement partners decided, from their files."""

from __future__ import annotations

import time
from collections import Counter
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from litestar import post
from litestar.params import JSONBody
from msgspec import Struct, field

from attribune.api.here import Here
from attribune.api.house import House
from attribune.collect.refuse import About as RefusedAbout
from attribune.collect.refuse import Head, Keeper, Refused
from attribune.collect.vendors import Hearing, read_row
from attribune.model.activity import Sender, Vendor
from attribune.model.codec import Record, decode
from attribune.model.errors import Invalid, StoreUnavailable
from attribune.model.ids import Position
from attribune.model.outcome import ForeignCredited, RefusedRecord
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason
from attribune.registry import find
from attribune.registry.doors import checked_maps
from attribune.registry.requests import Request as Body

#: Rows of one request; a file comes in many.
ROWS_MAX: Final = 2000
#: How long the attributor may take to say which rows it knew already.
_JUDGED_WAIT_S: Final = 120.0
_POLL_S: Final = 0.02
_ENTRIES_MAX: Final = 5000
#: Largest body of a request of the API.
BODY_BYTES_MAX: Final = 8 << 20
_PATH: Final = "/api/conversions/import"


class ImportConversions(Body, frozen=True, kw_only=True):
    """Some rows of a vendor's file, in the vendor's own words."""

    #: Id or name.
    app: str
    vendor: Vendor
    #: By the file's columns.
    rows: tuple[dict[str, str], ...]
    #: What the vendor's names mean here: ``network:NAME`` → a partner, ``event:NAME`` → an event.
    maps: dict[str, str] = field(default_factory=dict)
    #: IANA name: of times that state no offset.
    timezone: str = "UTC"


class RefusedRow(Struct, frozen=True, kw_only=True):
    """A row that is not used, and why. It is kept among the refusals."""

    #: Its number among the rows of the request, from 0.
    index: int
    reason: str
    param: str | None
    message: str


class ConversionsImported(Struct, frozen=True, kw_only=True):
    """What became of the rows: each is accepted, a duplicate or refused."""

    read: int
    accepted: int
    #: Told before, by this file, another one or a door.
    duplicate: int
    refused: int
    #: How many were refused for which reason.
    reasons: dict[str, int]
    rows: tuple[RefusedRow, ...]


class ConversionsAnswer(Struct, frozen=True):
    """One import."""

    imported: ConversionsImported


@post("/api/conversions/import", sync_to_thread=True, status_code=200)
def import_conversions(house: Here, data: JSONBody[ImportConversions]) -> ConversionsAnswer:
    """Take in rows of another measurement partner's file. The same rows again are duplicates and change nothing."""
    if len(data.rows) > ROWS_MAX:
        raise Invalid(f"at most {ROWS_MAX} rows a request; send more requests", param="rows")
    hearing = _hearing(house, data)
    keeper = Keeper(
        body_bytes_max=house.settings.refused_body_bytes_max,
        bytes_per_s_max=BODY_BYTES_MAX,  # what an operator is to mend must be whole
    )
    head = Head(
        method="POST",
        path=_PATH,
        query="",
        headers=(),
        received_at_ms=hearing.received_at_ms,
        ip=None,
        user_agent=None,
    )
    about = RefusedAbout(product=hearing.product.id, app=hearing.app.id, record_type="foreign")
    records: list[tuple[Topic, Record]] = []
    refused: list[RefusedRow] = []
    for index, row in enumerate(data.rows):
        verdict = read_row(data.vendor, row, hearing)
        if isinstance(verdict, Refused):
            raw = msgspec.json.encode(row)
            records.append((Topic.REFUSED, keeper.refusal(head, verdict, raw, about)))
            refused.append(_row(index, str(verdict.reason), verdict.param, verdict.message))
        else:
            records.append((Topic.ACTIVITY, verdict))
    places = house.journal_together(records)
    duplicates = 0
    told = {
        place: index
        for index, (place, (topic, _)) in enumerate(zip(places, records, strict=True))
        if topic is Topic.ACTIVITY
    }
    for place, reason in _judged(house, told).items():
        if reason is RefusalReason.REPEATED_RECORD:
            duplicates += 1
        elif reason is not None:
            refused.append(_row(told[place], str(reason), None, "refused behind the door"))
    reasons = Counter(row.reason for row in refused)
    return ConversionsAnswer(
        ConversionsImported(
            read=len(data.rows),
            accepted=len(told) - duplicates - (len(refused) - (len(records) - len(told))),
            duplicate=duplicates,
            refused=len(refused),
            reasons=dict(reasons),
            rows=tuple(sorted(refused, key=lambda row: row.index)),
        )
    )


def _row(index: int, reason: str, param: str | None, message: str) -> RefusedRow:
    return RefusedRow(index=index, reason=reason, param=param, message=message)


def _hearing(house: House, data: ImportConversions) -> Hearing:
    registry = house.up_to_date()
    app = find.app(registry, data.app)
    product = registry.product(app.product)
    assert product is not None, "an app has its product"
    maps = {}
    for name, value in checked_maps(data.maps).items():
        is_network = name.startswith("network:")
        maps[name.lower()] = find.partner(registry, value).id if is_network else value
    try:
        zone = ZoneInfo(data.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"{data.timezone[:64]!r} is no time zone; give an IANA name such as Europe/Berlin"
        raise Invalid(message, param="timezone") from None
    return Hearing(
        app=app,
        product=product,
        directory=registry,
        sender=Sender.OPERATOR,
        received_at_ms=house.clock.now_ms(),
        future_max_ms=house.settings.future_max_ms,
        maps=maps,
        zone=zone,
    )


def _judged(house: House, told: dict[Position, int]) -> dict[Position, RefusalReason | None]:
    """What the attributor made of conversions, by their places: None, or why it refused. Raises StoreUnavailable when it is not there."""
    if not told:
        return {}
    house.keeper.settle()
    found: dict[Position, RefusalReason | None] = {}
    after = min(told)
    give_up = time.monotonic() + _JUDGED_WAIT_S
    while len(found) < len(told):
        batch = house.journal.read((Topic.OUTCOMES,), after, _ENTRIES_MAX)
        for entry in batch:
            after = entry.position
            outcome = decode(entry)
            if isinstance(outcome, ForeignCredited | RefusedRecord) and outcome.about in told:
                found[outcome.about] = getattr(outcome, "reason", None)
        if batch:
            continue
        if time.monotonic() > give_up:
            raise StoreUnavailable(
                "the rows are journaled and the attributor has not judged them yet; see `attribune status`, "
                "then import the file again: what is known counts as duplicate"
            )
        time.sleep(_POLL_S)
    return found


HANDLERS = (import_conversions,)
