"""What partners were told, in stories: of what, by which postback, and what became of it."""

from __future__ import annotations

import pytest

from attribune.model.delivery import DeliveryState, Trigger
from attribune.report import told
from attribune.report.deliveries import ToldAttempt, ToldDelivery
from attribune.report.stories import Story


@pytest.mark.parametrize(
    ("state", "status", "reason", "said"),
    [
        ("delivered", 200, None, "told of the partial reversal by acme-tune (answered 200)"),
        ("waiting", None, None, "to be told of the partial reversal by acme-tune"),
        ("waiting", 503, "later", "to be told of the partial reversal by acme-tune (answered 503): later"),
        ("gave_up", 400, "400", "not told of the partial reversal by acme-tune: 400"),
        ("withdrawn", None, "undone", "needs not be told of the partial reversal by acme-tune: undone"),
    ],
)  # fmt: skip
def test_a_story_says_by_which_postback_and_what_became_of_it(
    state: str, status: int | None, reason: str | None, said: str
) -> None:
    tried = ToldAttempt(number=1, at_ms=2000, took_ms=3, status=status, error=None, answer="")
    one = ToldDelivery(
        delivery_id="dl_1",
        postback="acme-tune",
        partner="acme",
        trigger=Trigger.PARTIAL_REVERSAL,
        outcome_id="c1",
        revision=1,
        state=DeliveryState(state),
        reason=reason,
        due_at_ms=None,
        planned_at_ms=1000,
        request=None,
        attempts=[tried] if status else [],
    )
    lines = told.plain(Story(conversion="c1", deliveries=[one])).splitlines()
    assert [line for line in lines if line.rstrip().endswith(said)], lines
