"""What a person can ask for a row by: everything with a name that they may hold in their hand, as 64-bit hashes.

Rows keep hashes and not the words, so that the facts hold no advertising id, user or click id in clear. Two words may fall
on one hash; who follows a handle sees a story more, never one less.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from attribune.model.ids import DeviceId, ProductId, forgotten
from attribune.model.outcome import (
    Attribution,
    CreditedEvent,
    CreditedOpen,
    ForeignCredited,
    Forgets,
    Held,
    LateTouch,
    Noted,
    RefusedRecord,
)
from attribune.model.refusal import Refusal
from attribune.model.touch import Touch

#: Candidates of a conversion that lead to it by their touch id; the winner stands first.
CANDIDATES_MAX: Final = 50


@lru_cache(maxsize=65_536)
def handle_hash(text: str) -> int:
    """The hash of a handle, unsigned, 64 bits. Case and surrounding space do not matter."""
    word = text.strip().casefold().encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(word, digest_size=8).digest(), "big")


def _hashes(words: Iterable[str | None]) -> tuple[int, ...]:
    return tuple({handle_hash(word): None for word in words if word})


def of_touch(touch: Touch) -> tuple[int, ...]:
    """A touch: its id, the sender's and the partner's own id of it, and the device ids it named."""
    return _hashes((touch.id, touch.partner_click_id, touch.record_id, *touch.ids.values()))


def of_attribution(outcome: Attribution) -> tuple[int, ...]:
    """A conversion: its id and all that leads to the device, and the touches that competed for it."""
    credit = outcome.credit
    candidates = (candidate.touch for candidate in outcome.candidates[:CANDIDATES_MAX])
    won = (credit.touch, credit.partner_click_id) if credit else ()
    return _hashes((outcome.conversion, *_of_device(outcome), *won, *candidates))


def of_open(outcome: CreditedOpen) -> tuple[int, ...]:
    """An open: its record, its device, and the conversion it is credited through."""
    return _hashes((*_of_device(outcome), outcome.conversion))


def of_event(outcome: CreditedEvent) -> tuple[int, ...]:
    """An event: as an open, and its transaction."""
    return _hashes((*_of_device(outcome), outcome.conversion, outcome.transaction_id))


def of_foreign(outcome: ForeignCredited) -> tuple[int, ...]:
    """What another measurement partner told: its record, our device, and every id that came with it."""
    return _hashes((outcome.record, outcome.device, *outcome.handles))


def of_refused(outcome: RefusedRecord) -> tuple[int, ...]:
    """A record not used: its own id, its device, and the record that stands instead of it."""
    return _hashes((outcome.record, outcome.device, outcome.instead_of))


def of_noted(outcome: Noted) -> tuple[int, ...]:
    """What was taken note of: its record and device; of a request to forget, hashes of whom it names."""
    if outcome.forgets is None:
        return _hashes((outcome.record, outcome.device))
    return _hashes(forgotten_words(outcome.product, outcome.forgets))


def forgotten_words(product: ProductId, who: Forgets) -> list[str]:
    """What a request to forget is found by: hashes of whom it names, the same when the journal keeps only these."""
    words = (DeviceId(word.lower()) for word in who.words)
    return [forgotten(product, word) for word in (*who.devices, *words)]


def of_held(outcome: Held) -> tuple[int, ...]:
    """An event that waits: its record, its device, and all that it will be found by when it is credited."""
    return _hashes((outcome.record, outcome.device, *outcome.handles))


def of_late_touch(outcome: LateTouch) -> tuple[int, ...]:
    """A touch that came too late: itself, and the conversion that it could have won."""
    return _hashes((outcome.candidate.touch, outcome.conversion, outcome.device))


def of_refusal(refusal: Refusal) -> tuple[int, ...]:
    """A hit refused at the door: the record's id, when it could be read."""
    return _hashes((refusal.record_id,))


def _of_device(outcome: Attribution | CreditedOpen | CreditedEvent) -> tuple[str | None, ...]:
    return (outcome.record, outcome.device, outcome.user_id, *outcome.handles)
