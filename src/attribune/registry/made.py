"""What a verb makes: the records to journal, and the answer for who asked."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from attribune.model.control import ControlRecord

A = TypeVar("A")


class Made(NamedTuple, Generic[A]):
    """Records to journal next to each other (none when nothing changed), and what is shown of them."""

    records: tuple[ControlRecord, ...]
    answer: A
