"""Deliveries for people: what a partner was told, when, and what it answered."""

from __future__ import annotations

from msgspec import Struct

from attribune.model.control import Postback
from attribune.model.delivery import DeliveryState, Logged, OutboxRow, Trigger
from attribune.ports import Directory
from attribune.report.moment import moment


class ToldRequest(Struct, frozen=True, kw_only=True):
    """What was sent, with the names of secrets in their places."""

    method: str
    url: str
    body: str


class ToldAttempt(Struct, frozen=True, kw_only=True):
    """One try, and what the partner answered."""

    number: int
    at_ms: int
    took_ms: int
    #: None when there was no answer; then ``error`` says why.
    status: int | None
    error: str | None
    #: The answer's beginning.
    answer: str


class ToldDelivery(Struct, frozen=True, kw_only=True):
    """One thing that one partner was to be told, and what became of it."""

    delivery_id: str
    postback: str
    #: Who is credited; empty when nobody is.
    partner: str
    trigger: Trigger
    outcome_id: str
    revision: int
    state: DeliveryState
    #: Why it is not delivered, and while it waits from when on it is tried again. None of what waits for its turn.
    reason: str | None
    #: When it is sent, or sent again, while it waits. Milliseconds, UTC.
    due_at_ms: int | None
    planned_at_ms: int
    #: None until it was sent.
    request: ToldRequest | None
    attempts: list[ToldAttempt]


def delivery(one: Logged, directory: Directory) -> ToldDelivery:
    """A delivery as people read it, with what its postback holds it back for."""
    row, planned = one.row, one.row.planned
    sent = row.request
    return ToldDelivery(
        delivery_id=planned.id,
        postback=planned.postback,
        partner=planned.partner,
        trigger=planned.trigger,
        outcome_id=planned.outcome_id,
        revision=planned.revision,
        state=row.state,
        reason=_reason(row, directory.postback(planned.postback)),
        due_at_ms=row.due_at_ms if row.state is DeliveryState.WAITING else None,
        planned_at_ms=planned.at_ms,
        request=ToldRequest(method=sent.method, url=sent.url, body=sent.body) if sent else None,
        attempts=[
            ToldAttempt(
                number=tried.number,
                at_ms=tried.at_ms,
                took_ms=tried.took_ms,
                status=tried.status,
                error=tried.error,
                answer=tried.answer,
            )
            for tried in one.attempts
        ],
    )


def _reason(row: OutboxRow, postback: Postback | None) -> str | None:
    """Why a delivery stands as it does. That its postback is paused is no news of its own, and stands in no row."""
    if row.state is not DeliveryState.WAITING:
        return row.reason
    is_paused = postback is not None and postback.is_paused
    if row.reason is None:
        return "paused" if is_paused else None
    if is_paused:
        return f"paused; {row.reason}"
    again = "asked" if row.poll_url is not None else "tried"
    return f"{row.reason}; {again} again from {moment(row.due_at_ms)} on"
