"""Addresses to call that a partner put on the click itself, as Adjust's partners do. Pure.

``install_callback``, ``reattribution_callback`` and the like stand for a trigger, ``event_callback_NAME`` for an event by the partner's
name; several names may stand in one, joined by ``_``, and several addresses in one value, with spaces between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from attribune.model.delivery import Trigger
from attribune.model.outcome import Attribution, CreditedEvent
from attribune.model.touch import Touch

#: Most addresses of one click that are called for one outcome.
CALLBACKS_MAX: Final = 5
_NAMES: Final = {
    Trigger.INSTALL: "install_callback",
    Trigger.REINSTALL: "reinstall_callback",
    Trigger.REATTRIBUTION: "reattribution_callback",
    Trigger.REENGAGEMENT: "reattribution_callback",
    Trigger.REJECTED_INSTALL: "rejected_install_callback",
}
_EVENT: Final = "event_callback_"
#: What branded links put in front of it.
_PREFIX: Final = "adj_"


def callbacks(
    touch: Touch,
    trigger: Trigger,
    outcome: Attribution | CreditedEvent,
    events: Mapping[str, str],
) -> list[str]:
    """The addresses that a click carries for what is told, as they stand there."""
    words = {name.removeprefix(_PREFIX): value for name, value in touch.extra.items()}
    if isinstance(outcome, CreditedEvent):
        name = events.get(outcome.name, outcome.name)
        found = [*_of_event(words, name)] if trigger is Trigger.EVENT else []
    else:
        found = words.get(_NAMES.get(trigger, ""), "").split()
    return found[:CALLBACKS_MAX]


def _of_event(words: Mapping[str, str], name: str) -> Iterator[str]:
    for parameter, value in sorted(words.items()):
        if not parameter.startswith(_EVENT):
            continue
        named = parameter.removeprefix(_EVENT)
        if name == named or name in named.split("_"):
            yield from value.split()
