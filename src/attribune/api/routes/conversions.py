"""Conversions that other measurement partners decided, from their files."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import Final, NamedTuple
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
from attribune.model.activity import ForeignConversion, Sender, Vendor
from attribune.model.codec import decode
from attribune.model.errors import Invalid, StoreUnavailable
from attribune.model.fact import FOREIGN_KINDS, FactKind, Told
from attribune.model.ids import Position, ProductId, RecordId, derived
from attribune.model.outcome import ForeignCredited, RefusedRecord
from attribune.model.position import Topic
from attribune.model.refusal import Refusal, RefusalReason
from attribune.ports import Facts
from attribune.registry import find
from attribune.registry.doors import checked_maps
from attribune.registry.requests import Request as Body

#: Rows of one request; a file comes in many.
ROWS_MAX: Final = 2000
#: Records with one id happened in one second.
_SAME_ID_MS: Final = 1000
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
    heard = [_heard(one, data.vendor, hearing, keeper) for one in enumerate(data.rows)]
    known = _told_before(house, hearing, heard)
    new = [one for one in heard if one.id not in known]
    places = house.journal_together([(one.topic, one.record) for one in new])
    refused = {one.number: one.refused for one in heard if one.refused is not None}
    told = {
        place: one.number for place, one in zip(places, new, strict=True) if one.refused is None
    }
    duplicates = len(heard) - len(refused) - len(told)
    for place, reason in _judged(house, told).items():
        if reason is RefusalReason.REPEATED_RECORD:
            duplicates += 1
        elif reason is not None:
            refused[told[place]] = Refused(reason, "refused behind the door")
    return ConversionsAnswer(
        ConversionsImported(
            read=len(heard),
            accepted=len(heard) - duplicates - len(refused),
            duplicate=duplicates,
            refused=len(refused),
            reasons=dict(Counter(str(one.reason) for one in refused.values())),
            rows=tuple(_row(index, refused[index]) for index in sorted(refused)),
        )
    )


class _Heard(NamedTuple):
    """A row as it is journaled."""

    number: int
    topic: Topic
    record: ForeignConversion | Refusal
    #: The same whenever the same row is told.
    id: RecordId
    #: Why it is not used.
    refused: Refused | None = None


def _heard(
    said: tuple[int, dict[str, str]], vendor: Vendor, hearing: Hearing, keeper: Keeper
) -> _Heard:
    """What a row by its number tells."""
    number, row = said
    verdict = read_row(vendor, row, hearing)
    if not isinstance(verdict, Refused):
        return _Heard(number, Topic.ACTIVITY, verdict, verdict.id)
    raw = msgspec.json.encode(row)
    why = (str(vendor), hearing.app.id, str(verdict.reason), verdict.param or "", raw.decode())
    about = RefusedAbout(
        product=hearing.product.id,
        app=hearing.app.id,
        record_type="foreign",
        record_id=RecordId(derived("fr", *why)),
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
    refusal = keeper.refusal(head, verdict, raw, about)
    assert about.record_id is not None, "it was just made"
    return _Heard(number, Topic.REFUSED, refusal, about.record_id, verdict)


def _told_before(house: House, hearing: Hearing, heard: list[_Heard]) -> set[RecordId]:
    """Which rows have reached the facts already, so that they need not be journaled again.

    The facts may lag behind, or not answer: what they do not say is journaled, and the attributor says that it is a duplicate.
    Only rows that nobody else can bring about are looked at.
    """
    with suppress(StoreUnavailable):
        return _in_facts(house.facts(), hearing.product.id, heard)
    return set()


def _in_facts(facts: Facts, product: ProductId, heard: list[_Heard]) -> set[RecordId]:
    conversions = [one.record for one in heard if isinstance(one.record, ForeignConversion)]
    refused = tuple(one.id for one in heard if one.refused is not None)
    known: set[RecordId] = set()
    if conversions:
        times = [record.occurred_at_ms for record in conversions]
        wanted = Told(
            product=product,
            kinds=FOREIGN_KINDS,
            records=tuple(record.id for record in conversions),
            since_ms=min(times) - _SAME_ID_MS,
            until_ms=max(times) + _SAME_ID_MS,
        )
        known |= facts.told(wanted)
    if refused:
        wanted = Told(product=product, kinds=(FactKind.REFUSED,), records=refused)
        known |= facts.told(wanted)
    return known


def _row(index: int, refused: Refused) -> RefusedRow:
    return RefusedRow(
        index=index, reason=str(refused.reason), param=refused.param, message=refused.message
    )


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
    house.keeper.settle_decisions()
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
