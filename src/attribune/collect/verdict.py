"""Verdicts about the records of a request. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from attribune.collect.fields import Fields
from attribune.collect.refuse import Refused
from attribune.model.activity import Activity
from attribune.model.control import Change
from attribune.model.ids import RecordId
from attribune.model.position import Topic
from attribune.model.touch import Touch

#: Longest id or type that a refusal names.
_PEEK_CHARACTERS_MAX: Final = 256


class Kept(NamedTuple):
    """A record that was understood."""

    topic: Topic
    record: Activity | Touch
    #: Whether the sender waits for the device's attribution.
    wants_attribution: bool = False
    #: Whether the answer says what stands decided about the device, without a wait for it.
    looks_up: bool = False
    #: Whether it was found in another record of the letter, and so is none that the sender counts.
    is_beside: bool = False


class Making(NamedTuple):
    """Something that a letter makes beside what it tells, such as a link."""

    change: Change


Verdict = Kept | Refused


class Judged(NamedTuple):
    """A record as sent, and what became of it."""

    verdict: Verdict | Making
    raw: bytes


def peek(raw: bytes) -> tuple[RecordId | None, str | None]:
    """Id and type of a record that was refused, as far as they can be read."""
    try:
        fields = Fields.of(raw)
    except Refused:
        return None, None
    id_ = _readable(fields, "id")
    return (RecordId(id_) if id_ else None), _readable(fields, "type")


def _readable(fields: Fields, name: str) -> str | None:
    try:
        return fields.text(name, _PEEK_CHARACTERS_MAX)
    except (Refused, msgspec.MsgspecError, UnicodeDecodeError):
        return None
