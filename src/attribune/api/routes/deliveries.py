"""Deliveries: what partners were told, what they answered, and telling them again."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Request, get, post
from litestar.params import FromQuery, JSONBody, QueryParameter
from msgspec import Meta, Struct

from attribune.api.access import BY
from attribune.api.here import Here
from attribune.model.control import Redelivery
from attribune.model.delivery import DeliveryState, LogQuestion
from attribune.model.errors import NotFound
from attribune.model.ids import DeliveryId
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
    return DeliveriesAnswer(rows=[delivery(one) for one in found], next=next_)


@post("/api/deliveries/again", sync_to_thread=True, status_code=200)
def send_again(house: Here, request: Request[Any, Any, Any], data: JSONBody[Again]) -> AgainAnswer:
    """Send deliveries again, whatever came of them; some thousand given up ones at a time. The delivery's id stays."""
    house.keeper.settle_outbox()
    registry = house.up_to_date()
    scope: Any = request.scope
    ids = _given(house, data.deliveries)
    if data.postback is not None:
        wanted = LogQuestion(
            postback=postbacks.postback(registry, data.postback).id,
            state=DeliveryState.GAVE_UP,
            rows_max=AGAIN_MAX,
        )
        ids += [one.row.planned.id for one in house.outbox().log(wanted)]
    ids = list(dict.fromkeys(ids))
    again = Redelivery(deliveries=tuple(ids), by=str(scope.get(BY, "operator")))
    return house.change(
        lambda _registry, _now: Made((again,) if ids else (), AgainAnswer(deliveries=[*ids]))
    )


def _given(house: Here, names: tuple[str, ...]) -> list[DeliveryId]:
    """Deliveries by id. Raises NotFound."""
    if not names:
        return []
    ids = tuple(map(DeliveryId, dict.fromkeys(names)))
    found = {
        one.row.planned.id for one in house.outbox().log(LogQuestion(ids=ids, rows_max=len(ids)))
    }
    if missing := [id_ for id_ in ids if id_ not in found]:
        raise NotFound(
            f"there is no delivery {missing[0]!r}; see `attribune postback log`", param="deliveries"
        )
    return list(ids)


HANDLERS = (list_deliveries, send_again)
