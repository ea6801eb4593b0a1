"""What an answer makes of a delivery: told, to be tried again, or given up. Pure."""

from __future__ import annotations

import re
from typing import Final

from attribune.model.delivery import Attempt, DeliveryState
from attribune.postback.deliver import Answer, Came, judge
from attribune.postback.outgoing import Outgoing, poll_url
from attribune.postback.partner import PartnerData, Poll
from attribune.postback.schedule import GIVE_UP_MS, poll_wait_ms, wait_ms

#: What the log keeps of an answer. Characters.
ANSWER_CHARACTERS_MAX: Final = 2000


def attempt(
    outgoing: Outgoing, answer: Answer, data: PartnerData, now_ms: int, chance: int
) -> tuple[Attempt, bool]:
    """What is journaled of a request and its answer, and whether the partner failed to answer.

    ``chance`` is 0 to 65,535.
    """
    row, one = outgoing.row, outgoing.row.planned
    came = judge(answer, data.success)
    state, reason, next_at_ms, ask = _state(outgoing, answer, came, data, now_ms, chance)
    body = answer.body[: 4 * ANSWER_CHARACTERS_MAX].decode(errors="replace")
    made = Attempt(
        delivery=one.id,
        postback=one.postback,
        number=row.tries + 1,
        at_ms=now_ms,
        took_ms=answer.took_ms,
        status=answer.status,
        error=answer.error,
        answer=body[:ANSWER_CHARACTERS_MAX],
        state=state,
        reason=reason,
        next_at_ms=next_at_ms,
        poll_url=ask,
        request=outgoing.shown,
    )
    return made, came is Came.FAILED


_State = tuple[DeliveryState, str | None, int | None, str | None]


def _state(
    outgoing: Outgoing, answer: Answer, came: Came, data: PartnerData, now_ms: int, chance: int
) -> _State:
    """State, reason, when it is sent again, and where the partner is asked later."""
    row = outgoing.row
    if came is Came.FAILED:
        return _failed(row.since_ms, row.tries + 1, answer, now_ms, chance, row.poll_url)
    if came is Came.REFUSED:
        return DeliveryState.GAVE_UP, _refusal(answer), None, None
    if data.poll is None or came is Came.REPEATED:
        return DeliveryState.DELIVERED, None, None, None
    body = answer.body.decode(errors="replace")
    if outgoing.is_poll:
        return _decided(outgoing, body, data.poll, now_ms)
    later = re.search(data.poll.later, body)
    ask = poll_url(outgoing.request.url, later.group(1)) if later else None
    if ask is None:
        return DeliveryState.DELIVERED, None, None, None
    return DeliveryState.WAITING, "the partner decides later", now_ms + poll_wait_ms(0), ask


def _decided(outgoing: Outgoing, body: str, poll: Poll, now_ms: int) -> _State:
    """What a partner that was asked says that it decided."""
    refused = re.search(poll.refused, body)
    if refused:
        said = refused.group(1) if refused.re.groups else "against it"
        return DeliveryState.GAVE_UP, f"the partner decided: {said[:200]}", None, None
    if re.search(poll.decided, body):
        return DeliveryState.DELIVERED, None, None, None
    row = outgoing.row
    if now_ms - row.since_ms > GIVE_UP_MS:
        # It took the request; that it never says what became of it is no reason to send it again.
        return DeliveryState.DELIVERED, "the partner never said what it decided", None, None
    wait = poll_wait_ms(row.tries)
    return DeliveryState.WAITING, "the partner decides later", now_ms + wait, row.poll_url


def _failed(
    since_ms: int, failures: int, answer: Answer, now_ms: int, chance: int, ask: str | None
) -> _State:
    why = answer.error or f"the partner answered {answer.status}"
    if now_ms - since_ms > GIVE_UP_MS:
        return DeliveryState.GAVE_UP, f"tried for 3 days; {why}", None, None
    wait = wait_ms(failures, chance, (answer.retry_after_s or 0) * 1000)
    return DeliveryState.WAITING, why, now_ms + wait, ask


def _refusal(answer: Answer) -> str:
    if answer.status is None:
        return answer.error or "it cannot be sent"
    said = "the partner refused it" if 200 <= answer.status < 300 else "the partner answered"
    return f"{said} ({answer.status}), and will not want it later"
