"""The columns of a fact table, once: their types in ClickHouse, and which of them a question may name.

Both engines of the facts check a question against this list, so nothing that a person types ever becomes SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from msgspec import Struct

from attribune.model.errors import Invalid
from attribune.model.fact import Question

_WORD: Final = "LowCardinality(String)"
_WORD_OR_NULL: Final = "LowCardinality(Nullable(String))"
_NAME_OR_NULL: Final = "Nullable(String) CODEC(ZSTD(1))"
_COUNT: Final = "UInt64 CODEC(DoubleDelta, ZSTD(1))"
_AMOUNT: Final = "Int64 CODEC(T64, ZSTD(1))"
_DAY: Final = "Date32 CODEC(Delta, ZSTD(1))"


class Column(Struct, frozen=True):
    """One column of ``Fact``."""

    #: With its codec, as in CREATE TABLE.
    type: str
    #: A report may break down and filter by it.
    is_dimension: bool = False

    @property
    def is_day(self) -> bool:
        """Whether its values are days."""
        return self.type.startswith("Date")


#: In the order of ``Fact``; a test holds the two together.
COLUMNS: Final[Mapping[str, Column]] = {
    "position": Column(_COUNT),
    "ordinal": Column("UInt32 CODEC(T64, ZSTD(1))"),
    "sign": Column("Int8", is_dimension=True),
    "kind": Column(_WORD, is_dimension=True),
    "product": Column(_WORD, is_dimension=True),
    "app": Column(_WORD, is_dimension=True),
    "platform": Column(_WORD, is_dimension=True),
    "source": Column(_WORD, is_dimension=True),
    "partner": Column(_WORD_OR_NULL, is_dimension=True),
    "link": Column(_WORD_OR_NULL, is_dimension=True),
    "campaign": Column(_WORD_OR_NULL, is_dimension=True),
    "campaign_id": Column(_WORD_OR_NULL, is_dimension=True),
    "adgroup": Column(_WORD_OR_NULL, is_dimension=True),
    "creative": Column(_WORD_OR_NULL, is_dimension=True),
    "site_id": Column(_WORD_OR_NULL, is_dimension=True),
    "sub_site_id": Column(_WORD_OR_NULL, is_dimension=True),
    "touch_kind": Column(_WORD_OR_NULL, is_dimension=True),
    "method": Column(_WORD_OR_NULL, is_dimension=True),
    "country": Column(_WORD_OR_NULL, is_dimension=True),
    "os_version": Column(_WORD_OR_NULL, is_dimension=True),
    "app_version": Column(_WORD_OR_NULL, is_dimension=True),
    "event": Column(_WORD_OR_NULL, is_dimension=True),
    "is_primary": Column("Bool"),
    "amount_minor": Column(_AMOUNT),
    "currency": Column(_WORD, is_dimension=True),
    "cost_minor": Column(_AMOUNT),
    "cost_currency": Column(_WORD, is_dimension=True),
    "reason": Column(_WORD_OR_NULL, is_dimension=True),
    "at_ms": Column("Int64 CODEC(Delta, ZSTD(1))"),
    "received_at_ms": Column("Int64 CODEC(Delta, ZSTD(1))"),
    "day": Column(_DAY, is_dimension=True),
    "own_day": Column(_DAY, is_dimension=True),
    "about": Column("UInt64 CODEC(Delta, ZSTD(1))"),
    "device": Column(_NAME_OR_NULL),
    "touch": Column(_NAME_OR_NULL),
    "conversion": Column(_NAME_OR_NULL),
    "record": Column(_NAME_OR_NULL),
    "revision": Column("UInt32 CODEC(T64, ZSTD(1))"),
    "vendor": Column(_WORD, is_dimension=True),
    "handles": Column("Array(UInt64)"),
}

DIMENSIONS: Final = frozenset(name for name, column in COLUMNS.items() if column.is_dimension)


def check(question: Question) -> None:
    """Raise Invalid when a question has no measure, or names what is no dimension, or a day that is none."""
    if not question.measures:
        raise Invalid("a question asks for at least one measure", param="measures")
    for name in (*question.by, *question.where):
        if name not in DIMENSIONS:
            raise Invalid(f"facts cannot be asked by {name!r}", param=name)
    for name in question.where:
        if COLUMNS[name].is_day:
            days_of(question, name)


def days_of(question: Question, name: str) -> list[date]:
    """The days that a filter allows. Raises Invalid."""
    try:
        return [date.fromisoformat(value) for value in question.where[name] if value is not None]
    except ValueError:
        raise Invalid(f"{name} must be days such as 2026-03-01", param=name) from None
