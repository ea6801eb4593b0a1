"""Postbacks: what a partner would be told of what has been decided."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import post
from litestar.params import JSONBody
from msgspec import Meta, Struct

from attribune.api.access import OPT
from attribune.api.here import Here
from attribune.api.routes.asking import HANDLE_CHARACTERS_MAX, sources
from attribune.model.activity import Event, Open
from attribune.model.codec import decode
from attribune.model.control import Scope
from attribune.model.delivery import Trigger
from attribune.model.ids import ConversionId, Position
from attribune.model.outcome import Attribution, CreditedEvent
from attribune.model.position import Topic
from attribune.postback.partner import read_partner
from attribune.postback.plan import UNDOING, Looked, Telling, tellings
from attribune.postback.render import Prepared, Skipped
from attribune.report import explain

#: Longest ``partner.toml``, and most settings and names of events, that a preview takes.
PARTNER_CHARACTERS_MAX: Final = 65_536
PAIRS_MAX: Final = 200
#: What a preview calls the delivery, which has no id before it is one.
DELIVERY_ID: Final = "preview"

Pairs = Annotated[
    dict[Annotated[str, Meta(max_length=256)], Annotated[str, Meta(max_length=8192)]],
    Meta(max_length=PAIRS_MAX),
]


class PreviewRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A partner as data, its settings, and what it would be told of."""

    #: The text of a ``partner.toml``.
    partner: Annotated[str, Meta(max_length=PARTNER_CHARACTERS_MAX)]
    settings: Pairs = {}
    #: Names of events: ours → the partner's.
    events: Pairs = {}
    #: Whatever leads to a story.
    handle: Annotated[str, Meta(min_length=1, max_length=HANDLE_CHARACTERS_MAX)]


class PreviewedRequest(Struct, frozen=True, kw_only=True):
    """What would be sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: str


class Preview(Struct, frozen=True, kw_only=True):
    """One telling: what would be sent, or why nothing would."""

    outcome_id: str
    revision: int
    trigger: Trigger
    #: The partner that is credited.
    partner: str
    request: PreviewedRequest | None
    skipped: str | None


class PreviewAnswer(Struct, frozen=True, kw_only=True):
    """Every telling that a handle leads to, in the order of the decisions."""

    previews: list[Preview]


@post("/api/postbacks/preview", sync_to_thread=True, status_code=200, opt={OPT: Scope.READ})
def preview(house: Here, data: JSONBody[PreviewRequest]) -> PreviewAnswer:
    """What a partner with this data would be told of what a handle leads to. Sends nothing and keeps nothing."""
    prepared = Prepared(read_partner(data.partner), data.settings, data.events)
    house.keeper.settle()
    asked = sources(house)
    found = explain.decided(data.handle, asked)
    previews = [
        _preview(telling, prepared)
        for outcome in found.outcomes
        for telling in tellings(outcome, _looked(asked, outcome, found))
    ]
    return PreviewAnswer(previews=previews)


def _preview(telling: Telling, prepared: Prepared) -> Preview:
    found = prepared.request(telling.trigger, {**telling.values, "delivery_id": DELIVERY_ID})
    request = skipped = None
    if isinstance(found, Skipped):
        skipped = found.reason
    else:
        request = PreviewedRequest(
            method=found.method, url=found.url, headers=found.headers, body=found.body.decode()
        )
    return Preview(
        outcome_id=telling.outcome_id,
        revision=telling.revision,
        trigger=telling.trigger,
        partner=telling.partner or "",
        request=request,
        skipped=skipped,
    )


def _looked(
    asked: explain.Sources, outcome: Attribution | CreditedEvent, found: explain.Decided
) -> Looked:
    app = asked.directory.app(outcome.app)
    return Looked(
        record=_record(asked, outcome.about),
        touches=found.touches,
        store_id=app.store_id if app else None,
        conversion_at_ms=_conversion_at_ms(outcome.conversion, found.outcomes),
        undone=_undone(outcome, found.outcomes),
    )


def _record(asked: explain.Sources, place: Position) -> Open | Event | None:
    entry = asked.journal.get(Topic.ACTIVITY, place)
    record = decode(entry) if entry else None
    return record if isinstance(record, Open | Event) else None


def _conversion_at_ms(
    conversion: ConversionId | None, others: list[Attribution | CreditedEvent]
) -> int | None:
    found = (
        one.at_ms for one in others if isinstance(one, Attribution) and one.conversion == conversion
    )
    return next(found, None)


def _undone(
    outcome: Attribution | CreditedEvent, others: list[Attribution | CreditedEvent]
) -> CreditedEvent | None:
    """The event that a refund or chargeback undoes: the newest revision of the one with its transaction."""
    if not isinstance(outcome, CreditedEvent) or outcome.name not in UNDOING:
        return None
    found = [
        one
        for one in others
        if isinstance(one, CreditedEvent)
        and one.transaction_id is not None
        and one.transaction_id == outcome.transaction_id
        and one.product == outcome.product
        and one.name not in UNDOING
    ]
    return found[-1] if found else None


HANDLERS: tuple[Any, ...] = (preview,)
