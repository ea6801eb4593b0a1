"""Deliveries: what partners were told, what they answered, and telling them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Annotated, Any, Final

from litestar import Request, get, post
from litestar.params import FromQuery, JSONBody, QueryParameter
from msgspec import Meta, Struct

from attribune.api.access import BY
from attribune.api.here import Here
from attribune.model.control import Redelivery
from attribune.model.delivery import DeliveryState, LogQuestion, OutboxRow
from attribune.model.errors import Invalid, NotFound
from attribune.model.ids import DeliveryId, PostbackId
from attribune.postback.again import FORGOTTEN, why_not
from attribune.registry import find, postbacks
from attribune.registry.made import Made
from attribune.registry.requests import Request as Body
from attribune.report.deliveries import ToldDelivery, delivery

ROWS_MAX: Final = 1000
#: Most deliveries sent again by one request.
AGAIN_MAX: Final = 1000


class DeliveriesAnswer(Struct, frozen=True, kw_only=True):
    """Deliveries, the newest first, and where the next page begins."""

    rows: list[ToldDelivery]
    next: int | None


class AgainAnswer(Struct, frozen=True, kw_only=True):
    """What is sent again."""

    deliveries: list[str]
    #: How many that a postback gave up are not, by why: since then they were taken back, or corrected, or the person was forgotten.
    skipped: dict[str, int]


class Again(Body, frozen=True, kw_only=True):
    """Send deliveries again, by their ids, or those of a postback that were given up."""

    deliveries: Annotated[tuple[str, ...], Meta(max_length=AGAIN_MAX)] = ()
    postback: str | None = None


@get("/api/deliveries", sync_to_thread=True)
def list_deliveries(
    house: Here,
    partner: FromQuery[str | None] = None,
    postback: FromQuery[str | None] = None,
    stands: Annotated[
        DeliveryState | None, QueryParameter(name="state", description="Only what stands so.")
    ] = None,
    outcome: Annotated[
        str | None, QueryParameter(max_length=256, description="The conversion, or the event's id.")
    ] = None,
    before: Annotated[
        int | None, QueryParameter(description="The `next` of the page before.")
    ] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=ROWS_MAX)] = 100,
) -> DeliveriesAnswer:
    """What partners were told, the newest first."""
    house.keeper.settle_outbox()
    registry = house.up_to_date()
    wanted = LogQuestion(
        partner=find.partner(registry, partner).id if partner is not None else None,
        postback=postbacks.postback(registry, postback).id if postback is not None else None,
        state=stands,
        outcome_ids=(outcome,) if outcome is not None else (),
        before=before,
        rows_max=limit,
    )
    found = house.outbox().log(wanted)
    next_ = found[-1].number if len(found) == limit else None
    return DeliveriesAnswer(rows=[delivery(one, registry) for one in found], next=next_)


@post("/api/deliveries/again", sync_to_thread=True, status_code=200)
def send_again(house: Here, request: Request[Any, Any, Any], data: JSONBody[Again]) -> AgainAnswer:
    """Send deliveries again, whatever came of them; some thousand given up ones at a time. The delivery's id stays.

    What was taken back or corrected since is not: of a postback it is skipped and counted, by its id it is refused.
    """
    house.keeper.settle_outbox()
    registry = house.up_to_date()
    scope: Any = request.scope
    ids = dict.fromkeys(_given(house, data.deliveries))
    skipped: Counter[str] = Counter()
    if data.postback is not None:
        _add_given_up(house, postbacks.postback(registry, data.postback).id, ids, skipped)
    again = Redelivery(deliveries=tuple(ids), by=str(scope.get(BY, "operator")))
    answer = AgainAnswer(deliveries=[*ids], skipped=dict(skipped))
    return house.change(lambda _registry, _now: Made((again,) if ids else (), answer))


def _given(house: Here, names: tuple[str, ...]) -> list[DeliveryId]:
    """Deliveries by id. Raises NotFound, and Invalid for one that would tell what is no longer so."""
    if not names:
        return []
    ids = tuple(map(DeliveryId, dict.fromkeys(names)))
    rows = [one.row for one in house.outbox().log(LogQuestion(ids=ids, rows_max=len(ids)))]
    if missing := set(ids) - {row.planned.id for row in rows}:
        first = next(id_ for id_ in ids if id_ in missing)
        raise NotFound(
            f"there is no delivery {first!r}; see `attribune postback log`", param="deliveries"
        )
    for row, why in _judged(house, rows, ids):
        one = row.planned
        if why == FORGOTTEN:
            raise Invalid(
                f"delivery {one.id} is not sent again: {why}, and what was told is kept no more",
                param="deliveries",
            )
        if why is not None:
            raise Invalid(
                f"what delivery {one.id} tells was {why}, so the partner would be told what is no longer so; "
                f"see `attribune postback log --postback {one.postback}`",
                param="deliveries",
            )
    return list(ids)


def _add_given_up(
    house: Here, postback: PostbackId, ids: dict[DeliveryId, None], skipped: Counter[str]
) -> None:
    """Add what a postback gave up, the newest first, as far as it may be sent again; count what may not, and why."""
    before: int | None = None
    while len(ids) < AGAIN_MAX:
        wanted = LogQuestion(
            postback=postback, state=DeliveryState.GAVE_UP, before=before, rows_max=AGAIN_MAX
        )
        found = house.outbox().log(wanted)
        # The newest first: of what is corrected and was given up as well, the correction goes already.
        for row, why in _judged(house, [one.row for one in found], ids):
            if why is not None:
                skipped[why] += 1
            elif len(ids) < AGAIN_MAX:
                ids[row.planned.id] = None
        if len(found) < AGAIN_MAX:
            return
        before = found[-1].number


def _judged(
    house: Here, rows: list[OutboxRow], going: Collection[DeliveryId]
) -> Iterator[tuple[OutboxRow, str | None]]:
    """Rows, and why one may not be sent again; ``going`` may grow meanwhile."""
    subjects: dict[PostbackId, set[str]] = {}
    for row in rows:
        subjects.setdefault(row.planned.postback, set()).add(row.planned.subject)
    about = {of: house.outbox().about(of, some) for of, some in subjects.items()}
    for row in rows:
        one = row.planned
        yield row, why_not(row, about[one.postback].get(one.subject, ()), going)


HANDLERS = (list_deliveries, send_again)
