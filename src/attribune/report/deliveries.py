"""Deliveries for people: what a partner was told, when, and what it answered."""

from __future__ import annotations

from msgspec import Struct

from attribune.model.delivery import DeliveryState, Logged, Trigger


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
    #: Why it is not delivered.
    reason: str | None
    #: When it is sent, or sent again, while it waits. Milliseconds, UTC.
    due_at_ms: int | None
    planned_at_ms: int
    #: None until it was sent.
    request: ToldRequest | None
    attempts: list[ToldAttempt]


def delivery(one: Logged) -> ToldDelivery:
    """A delivery as people read it."""
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
        reason=row.reason,
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
