"""What an answer makes of a delivery: told, to be tried again, or given up. Pure."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

from msgspec.structs import replace

from attribune.model.delivery import Attempt, DeliveryState, OutboxRow
from attribune.postback.deliver import Answer, Came, judge
from attribune.postback.outgoing import Outgoing, poll_url
from attribune.postback.partner import PartnerData, Poll
from attribune.postback.schedule import GIVE_UP_MS, poll_wait_ms, wait_ms

#: What the log keeps of an answer. Characters.
ANSWER_CHARACTERS_MAX: Final = 2000
#: Beside redirects, what somebody in the partner's place may answer to everything: a login, a proxy, another application.
_TURNED_AWAY: Final = frozenset({401, 403, 404, 405, 407})


class Presence(Enum):
    """What an answer says of whether the partner is there at all."""

    #: It answered, by taking or by refusing.
    THERE = auto()
    #: It did not, or said that it cannot now.
    ABSENT = auto()
    #: It turned a delivery away that it was told for the first time.
    DOUBTFUL = auto()
    #: It turned one away again: that one may be at fault, or nobody may be there.
    UNSAID = auto()


def attempt(
    outgoing: Outgoing, answer: Answer, data: PartnerData, sent_at_ms: int, now_ms: int, chance: int
) -> tuple[Attempt, Presence]:
    """What is journaled of a request and its answer, and what it says of whether the partner is there.

    ``now_ms`` is when the answer came; ``chance`` is 0 to 65,535.
    """
    row, one = outgoing.row, outgoing.row.planned
    if not row.tries:  # it may have waited long for its turn, and is tried from now on
        row = replace(row, since_ms=sent_at_ms)
    came = judge(answer, data.success)
    outgoing = Outgoing(row, outgoing.request, outgoing.shown, outgoing.is_poll)
    state, reason, next_at_ms, ask = _state(outgoing, answer, came, data, now_ms, chance)
    body = answer.body[: 4 * ANSWER_CHARACTERS_MAX].decode(errors="replace")
    made = Attempt(
        delivery=one.id,
        postback=one.postback,
        number=row.tries + 1,
        at_ms=sent_at_ms,
        took_ms=answer.took_ms,
        status=answer.status,
        error=answer.error,
        answer=body[:ANSWER_CHARACTERS_MAX],
        state=state,
        reason=reason,
        next_at_ms=next_at_ms,
        poll_url=ask,
        request=outgoing.shown,
        declines=row.declines + 1 if came is Came.DECLINED else 0,
    )
    return made, _presence(row.tries, answer, came)


def _presence(tries: int, answer: Answer, came: Came) -> Presence:
    if came is Came.FAILED:
        return Presence.ABSENT
    status = answer.status or 0
    if came is Came.DECLINED and (300 <= status < 400 or status in _TURNED_AWAY):
        return Presence.UNSAID if tries else Presence.DOUBTFUL
    return Presence.THERE


_State = tuple[DeliveryState, str | None, int | None, str | None]


def _state(
    outgoing: Outgoing, answer: Answer, came: Came, data: PartnerData, now_ms: int, chance: int
) -> _State:
    """State, reason, when it is sent again, and where the partner is asked later."""
    row = outgoing.row
    if came in {Came.FAILED, Came.DECLINED}:
        asked_ms = (answer.retry_after_s or 0) * 1000
        return _untaken(row, answer, now_ms, wait_ms(row.tries + 1, chance, asked_ms))
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


def _untaken(row: OutboxRow, answer: Answer, now_ms: int, wait: int) -> _State:
    """It is tried again, a poll as a poll, unless that has gone on for too long."""
    why = _said(answer)
    if now_ms - row.since_ms > GIVE_UP_MS:
        return DeliveryState.GAVE_UP, f"tried for 3 days; {why}", None, None
    return DeliveryState.WAITING, why, now_ms + wait, row.poll_url


def _said(answer: Answer) -> str:
    if answer.status is None:
        return answer.error or "it cannot be sent"
    if 200 <= answer.status < 300:
        return f"the partner answered {answer.status} and refused it"
    return f"the partner answered {answer.status}"


def _refusal(answer: Answer) -> str:
    return _said(answer) if answer.status is None else f"{_said(answer)}, for good"
